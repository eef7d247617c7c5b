"""Judges the tar of torch before 0.1.10: four plain files in which pickles and raw numbers take turns. Every other tar is refused.

Layout: torch/serialization.py `legacy_load` (2.13), which unpickles each of them without restraint.
"""

from __future__ import annotations

from registry.formats.directory import Storage
from registry.formats.dtypes import SIZES, TORCH_STORAGES
from registry.formats.errors import FormatError, LimitExceeded, Unsupported
from registry.formats.plaintar import TarFile, read_tar
from registry.formats.window import Window
from scanner.pickles.harvest import Harvest
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import Stream
from scanner.pickles.policy import UNKNOWN
from scanner.pickles.report import Report
from scanner.pickles.sniff import UNTAKEN
from scanner.pickles.tensors import MAX_DIMENSIONS, Breach, StorageTable, is_count, need, rebuild_tensor
from scanner.pickles.torchfiles import keep
from scanner.pickles.values import Glob, Mapping, StorageRef, Tensor, Value

NAMES = frozenset({"sys_info", "pickle", "tensors", "storages"})
MAX_COUNT = 20_000
"""Storages, views or tensors; a checkpoint of that age has under a thousand."""


def scan_tar(window: Window, report: Report) -> None:
    """A tar archive; raises `Unsupported` "F-UNSUPPORTED" where it is not exactly torch's."""
    try:
        files = read_tar(window)
    except FormatError as error:
        raise _untaken() from error
    if files.keys() != NAMES:
        raise _untaken()
    report.kind = "torch-tar"
    table = _Objects()
    _check_system(_Member(window, files["sys_info"], report).only())
    table.read_storages(_Member(window, files["storages"], report))
    table.read_tensors(_Member(window, files["tensors"], report))
    root = _Member(window, files["pickle"], report).only(table)
    keep(report, Harvest("torch-tar", table.places).collect(root))


def _untaken() -> FormatError:
    return Unsupported("F-UNSUPPORTED", UNTAKEN.format("a tar archive"))


def _check_system(system: Value) -> None:
    if type(system) is not Mapping:
        raise FormatError("L-SYSTEM", "The checkpoint's system note is not what torch writes.", where="sys_info")
    for key, value in system.pairs:
        if type(key) is str and key == "little_endian" and value is not True:
            raise FormatError("T-ENDIAN", "The checkpoint was saved on a big-endian machine. Save it again on an ordinary one.")


class _Member:
    """One file of the archive, read from front to back: pickles by the machine, raw numbers by their length."""

    def __init__(self, window: Window, file: TarFile, report: Report) -> None:
        self.window = window.part(file.start, file.size)
        self.start = file.start
        self.name = file.name
        self.position = 0
        self._report = report

    def pickle(self, table: StorageTable | None = None) -> Value:
        stream = Stream(self.window, self.position)
        value = Machine(stream, self._report, self.name, table).run()
        self.position = stream.position
        return value

    def only(self, table: StorageTable | None = None) -> Value:
        """The one pickle that fills the file."""
        value = self.pickle(table)
        self.finish()
        return value

    def numbers(self, count: int, width: int = 8) -> tuple[int, ...]:
        """Signed little-endian numbers."""
        raw = self.window.read(self.position, count * width)
        self.position += len(raw)
        return tuple(int.from_bytes(raw[at : at + width], "little", signed=True) for at in range(0, len(raw), width))

    def count(self) -> int:
        """The number of things to follow, from a pickle of its own."""
        number = self.pickle()
        if not is_count(number) or number > MAX_COUNT:
            raise LimitExceeded("A-COUNT", "The checkpoint states a number of parts that none has.", where=self.name)
        return int(number)

    def finish(self) -> None:
        if self.position != self.window.size:
            raise FormatError("P-TRAILING", "There are bytes behind the end of a part.", where=self.name, offset=self.position)


class _Objects(StorageTable):
    """Storages and tensors by the number (once an address) that the pickles call them by; `places` is where storages lie in the file."""

    def __init__(self) -> None:
        super().__init__(None, legacy=True)
        self._storages: dict[int, StorageRef] = {}
        self._tensors: dict[int, Tensor] = {}
        self.places: dict[str, Storage] = {}

    def resolve(self, saved: Value) -> Value:
        """A tensor or storage by its number as text, or a module's class sent along with its source."""
        if type(saved) is tuple:
            plain = len(saved) == 3 and type(saved[0]) is Glob and all(type(text) in (str, type(None)) for text in saved[1:])
            need(plain and (saved[0].safety == UNKNOWN or saved[0].contract == "parameterdict"), "it is not a module with its source")
            return saved[0]
        need(type(saved) is str and saved.isascii() and saved.isdigit() and len(saved) <= 20, "it is not a number")
        found = self._tensors.get(int(saved), self._storages.get(int(saved)))
        need(found is not None, "it refers to what is not in the file")
        return found

    def read_storages(self, member: _Member) -> None:
        """`storages`: for each a pickle (key, place, type), its length and its bytes; then a pickle of views into them."""
        for _ in range(member.count()):
            key, kind, dtype = _described(member, member.pickle())
            (numel,) = member.numbers(1)
            if numel < 0 or numel * SIZES[dtype] > member.window.size - member.position:
                raise FormatError("F-TRUNCATED", "The checkpoint ends before its last storage; upload the whole file.", where=member.name)
            self._add(key, StorageRef(str(key), kind, dtype, SIZES[dtype], numel), member)
            self.places[str(key)] = Storage(str(key), member.start + member.position, numel * SIZES[dtype])
            member.position += numel * SIZES[dtype]
        views = member.pickle()
        if type(views) is not list or len(views) > MAX_COUNT:
            raise _odd("list of views", member)
        for view in views:
            self._view(view, member)
        member.finish()

    def _add(self, key: int, storage: StorageRef, member: _Member) -> None:
        if key in self._storages:
            raise FormatError("A-KEYS", "Two storages of the checkpoint have the same number.", where=member.name)
        self._storages[key] = storage

    def _view(self, view: Value, member: _Member) -> None:
        if type(view) is not tuple or len(view) != 4 or not all(is_count(number) for number in view):
            raise _odd("view", member)
        target, root, offset, numel = view
        whole = self._storages.get(root)
        if whole is None or whole.start or offset + numel > whole.numel:
            raise FormatError("A-VIEW", "A view of the checkpoint reaches outside of its storage.", where=member.name)
        self._add(target, StorageRef(whole.key, whole.kind, whole.dtype, whole.itemsize, numel, offset), member)

    def read_tensors(self, member: _Member) -> None:
        """`tensors`: for each a pickle (key, storage, type), then its shape, strides and offset as numbers."""
        for _ in range(member.count()):
            saved = member.pickle()
            if type(saved) is not tuple or len(saved) != 3 or not is_count(saved[0]) or not is_count(saved[1]):
                raise _odd("tensor", member)
            key, storage, kind = saved
            if key in self._tensors or storage not in self._storages or type(kind) is not Glob:
                raise FormatError("A-KEYS", "A tensor of the checkpoint is there twice, or its storage is missing.", where=member.name)
            self._tensors[key] = _tensor(self._storages[storage], member)
        member.finish()


def _described(member: _Member, saved: Value) -> tuple[int, str, str]:
    """(key, name of the type, our element type) of a storage."""
    if type(saved) is not tuple or len(saved) != 3 or not is_count(saved[0]) or type(saved[1]) is not str:
        raise _odd("storage", member)
    kind = saved[2]
    if type(kind) is not Glob or kind.contract != "storage" or kind.name not in TORCH_STORAGES:
        raise _odd("storage", member)
    return saved[0], kind.name, TORCH_STORAGES[kind.name]


def _tensor(storage: StorageRef, member: _Member) -> Tensor:
    (dimensions,) = member.numbers(1)  # 4 bytes and 4 unused ones, which torch skips
    if not 0 <= dimensions <= MAX_DIMENSIONS:
        raise _odd("tensor", member)
    shape, stride = member.numbers(dimensions), member.numbers(dimensions)
    (offset,) = member.numbers(1)
    try:
        return rebuild_tensor((storage, offset, shape, stride))
    except Breach as breach:
        raise FormatError("A-VIEW", f"A tensor of the checkpoint is not what torch writes: {breach}.", where=member.name) from breach


def _odd(what: str, member: _Member) -> FormatError:
    return FormatError("A-PART", f"A {what} of the checkpoint is not described as torch describes it.", where=member.name)
