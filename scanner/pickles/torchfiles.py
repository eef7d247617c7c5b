"""Judges what torch.save writes, as a zip or in the five streams of old, and plain pickles. It decides nothing about names of files."""

from __future__ import annotations

import io

from registry.formats.directory import Storage, TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.formats.strictzip import Archive
from registry.formats.torchlegacy import MAGIC, PROTOCOL, read_storages
from registry.formats.torchzip import TorchArchive, open_torch
from registry.formats.window import Window
from scanner.pickles.harvest import Harvest
from scanner.pickles.limits import LIMITS
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import Stream
from scanner.pickles.report import DANGER, ERROR, Report
from scanner.pickles.tensors import StorageTable
from scanner.pickles.values import Mapping, Value


def keep(report: Report, directory: TensorDirectory) -> None:
    """File a directory in the report, and what it counts."""
    report.directory = directory
    report.tensors = len(directory.tensors)
    report.bytes = sum(storage.size for storage in directory.storages)


def scan_torch_zip(archive: Archive, report: Report) -> None:
    """A zip that has a torch checkpoint's parts."""
    torch = open_torch(archive)
    report.kind = "torch-zip"
    data = torch.read_pickle()
    pickle = Window(io.BytesIO(data))
    table = StorageTable({key: member.size for key, member in torch.storages.items()})
    stream = Stream(pickle)
    root = Machine(stream, report, printable(torch.pickle.name), table).run()
    if stream.position != pickle.size:
        report.say(DANGER, "P-TRAILING", "There are bytes behind the end of the pickle.", where=torch.pickle.name, offset=stream.position)
    unused = torch.storages.keys() - table.used.keys()
    if unused:
        where = torch.storages[min(unused)].name
        report.say(ERROR, "T-MISMATCH", f"The checkpoint carries {len(unused)} stored blocks that no tensor uses.", where=where)
    if not archive.checksums:
        report.say("info", "Z-NOCRC", "The checkpoint was saved without checksums (torch.serialization.set_crc32_options).")
    if not torch.addressable:
        report.say("info", "T-PACKED", "The weights inside are packed; save the file again with torch.save to have it converted.")
        report.bytes = sum(member.size for member in torch.storages.values())
        return
    keep(report, Harvest("torch-zip", _places(torch, table)).collect(root))


def _places(torch: TorchArchive, table: StorageTable) -> dict[str, Storage]:
    """Where the used storages lie in the file, in file order; exactly the bytes that the pickle speaks of."""
    members = sorted(((torch.storages[key], key) for key in table.used), key=lambda pair: pair[0].data)
    stated = torch.archive.checksums
    return {key: Storage(key, member.data, member.size, member.crc32 if stated else None) for member, key in members}


def scan_streams(window: Window, report: Report) -> None:
    """A file that starts with a pickle: the five of legacy torch, or plain ones up to the last byte."""
    stream = Stream(window)
    try:
        first = Machine(stream, report, "pickle 1").run()
    except FormatError as error:
        if error.code != "P-PARSE" or report.imports or report.findings or window.read(0, 1) == b"\x80":
            raise
        report.kind = "unknown"
        raise FormatError("F-UNKNOWN", "This is not a weight file of a known kind. Upload .safetensors, .ckpt, .pt or .bin.") from error
    if type(first) is int and first == MAGIC:
        report.kind = "torch-legacy"
        _scan_legacy(window, stream.position, report)
        return
    roots = [first]
    while stream.position < window.size:
        if len(roots) >= LIMITS.streams:
            raise FormatError("P-LIMIT", "The file holds more pickles than weights need.", offset=stream.position)
        stream = _next(window, stream.position, report)
        roots.append(Machine(stream, report, f"pickle {len(roots) + 1}").run())
    if len(roots) > 1:
        report.say("suspicious", "P-STREAMS", "The file holds several pickles; loaders read only the first.", offset=stream.position)
    keep(report, Harvest("pickle", {}).collect(roots[0]))


def _next(window: Window, position: int, report: Report) -> Stream:
    if window.read(position, 1) not in (b"\x80", b"(", b"c", b"}", b"]", b")", b"I", b"L", b"X", b"V", b"S", b"N"):
        report.say(DANGER, "P-TRAILING", "There are bytes behind the end of the pickle.", offset=position)
    return Stream(window, position)


def _scan_legacy(window: Window, position: int, report: Report) -> None:
    """Streams 2 to 5 of a checkpoint from before torch 1.6, then its storages."""
    table = StorageTable(None, legacy=True)
    values: list[Value] = []
    for number in range(2, 6):
        stream = Stream(window, position)
        values.append(Machine(stream, report, f"pickle {number}", table if number == 4 else None).run())
        position = stream.position
    version, system, root, keys = values
    _check_notes(version, system)
    wanted = _wanted(keys, table)
    storages = read_storages(window, position, ((key, table.used[key].numel, table.used[key].itemsize) for key in wanted))
    keep(report, Harvest("torch-legacy", dict(zip(wanted, storages, strict=True))).collect(root))


def _check_notes(version: Value, system: Value) -> None:
    if type(version) is not int or version != PROTOCOL:
        raise FormatError("L-PROTOCOL", "The checkpoint's second pickle is not the version that torch writes.")
    if type(system) is not Mapping:
        raise FormatError("L-SYSTEM", "The checkpoint's third pickle is not the system note that torch writes.")
    for key, value in system.pairs:
        if type(key) is str and key == "little_endian" and value is not True:
            raise FormatError("T-ENDIAN", "The checkpoint was saved on a big-endian machine. Save it again on an ordinary one.")


def _wanted(keys: Value, table: StorageTable) -> list[str]:
    """The storage keys in the order of their bytes: each referred to by the fourth pickle, each once."""
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise FormatError("L-KEYS", "The checkpoint's fifth pickle is not the list of storages that torch writes.")
    if len(set(keys)) != len(keys) or set(keys) != set(table.used):
        raise FormatError("L-KEYS", "The checkpoint's list of storages does not match what its tensors use.")
    return list(keys)
