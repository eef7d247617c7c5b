"""What every code of a finding, every safety word and every layer of the sandbox means, in one plain sentence each. Tables only."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

CODES: dict[str, Any] = {
    # the file as a whole
    "F-EMPTY": _("There is not one byte in the file."),
    "F-EXTENSION": _("The name says that the file is of another kind than its content shows."),
    "F-INTERNAL": _("The scanner met something that it was not made for, and what it cannot finish it does not let through."),
    "F-LIMIT": _("Understanding the file takes more time or memory than any honest weight file needs."),
    "F-MORE": _("There was more to say about this file than fits into a report."),
    "F-NOTHING": _("The archive holds texts or pictures and nothing that is weights."),
    "F-OPEN": _("The file could not be opened to be read."),
    "F-PACKED": _("The file is packed by a compressor, so what it holds cannot be judged until it is unpacked."),
    "F-PICTURE": _("The file is a picture and no weights."),
    "F-POLYGLOT": _("The file is two kinds at once, and which one a program reads depends on the program."),
    "F-PROGRAM": _("The file is a program, a script or a document that can run code."),
    "F-READ": _("The file could not be read to its end from where it lies."),
    "F-SANDBOX": _("The locked process that reads the file died, was stopped or gave no answer that can be read."),
    "F-TRUNCATED": _("The file ends before its own structure says that it does."),
    "F-UNKNOWN": _("Nothing in the file shows that it is a weight file of a known kind."),
    "F-UNSUPPORTED": _("The file is of a kind that is known but not taken here."),
    # pickles
    "P-BUFFER": _("The pickle asks its reader for data from outside of the file."),
    "P-BUILD": _("The pickle sets the inner state of something that has none to set, which can replace parts of loaded libraries."),
    "P-CALL": _("Loading the file would call a function that weights do not need."),
    "P-CONTRACT": _("A function that weights do need is called in a way that torch never writes."),
    "P-DYNGLOBAL": _("The name of what is imported is put together while loading, which hides it from whoever only reads names."),
    "P-EXT": _("Something is imported by a number in a registry instead of by its name."),
    "P-IMPORT": _("The file names a function or a class that can run code or reach the system."),
    "P-KEY": _("Something else than plain data is the key of a dictionary or a member of a set, and looking it up runs its code."),
    "P-LEFTOVER": _("Values are left over at the end of the pickle; no program that writes pickles does that."),
    "P-LIMIT": _("The pickle asks for more memory, depth or steps than the largest weight files do."),
    "P-ODD": _("A number is written in a way that programs read differently, or not at all."),
    "P-PARSE": _("The pickle breaks its own grammar; what stands in front of the break would already have run."),
    "P-PERSID": _("A reference to stored numbers has not the form that torch gives it."),
    "P-PROTO": _("The pickle says in its middle that it is of another version."),
    "P-SETITEM": _("Items are written into something that is no list and no dictionary; some loaders corrupt memory on that."),
    "P-STREAMS": _("Several pickles follow each other in the file, of which most loaders read only one."),
    "P-TRAILING": _("There are bytes behind the end of the pickle that no loader reads and everything may hide in."),
    "P-UNKNOWN": _("The file needs a class of another package, of which nobody here has said that it is harmless."),
    # zip archives
    "Z-BOMB": _("A part of the archive unpacks to far more than its packed size, or to another size than it states."),
    "Z-CRC": _("The checksum of a part does not fit its bytes."),
    "Z-DEPTH": _("An archive lies in an archive in an archive, deeper than anybody packs weights."),
    "Z-DUP": _("Two parts of the archive have the same name, and programs disagree on which one counts."),
    "Z-EXTENSION": _("A file in the archive is of another kind than its name says."),
    "Z-FLAGS": _("A part of the archive is encrypted or marked in a way that readers treat differently."),
    "Z-LAYOUT": _("The parts of the archive do not lie side by side to the last byte: there are gaps, overlaps or a second directory."),
    "Z-LIMIT": _("The archive has more parts than any checkpoint."),
    "Z-LOCAL": _("A part of the archive describes itself differently from the archive's directory."),
    "Z-MACOS": _("The archive holds notes that a Mac adds beside the files; they are no weights and no texts."),
    "Z-METHOD": _("A part of the archive is packed by a method that torch does not use."),
    "Z-NAME": _("A name in the archive leads out of its folder, is a link, or holds characters that no plain path has."),
    "Z-NOCRC": _("The checkpoint was saved without checksums, so damage to it cannot be seen; it is no danger."),
    "Z-PORTABLE": _("A name in the archive becomes another name, or a device, on some systems."),
    # torch checkpoints
    "T-ENDIAN": _("The numbers are stored in the byte order of big-endian machines."),
    "T-LIMIT": _("The checkpoint is nested deeper or holds more values than weights need."),
    "T-MEMBER": _("The archive holds a part that torch.save does not write."),
    "T-MISMATCH": _("The stored blocks of numbers and the tensors that use them do not match."),
    "T-NAME": _("The name of a tensor is too long or holds characters that are not text."),
    "T-NOTE": _("One of the short notes that torch puts into a checkpoint says something else than torch writes."),
    "T-PACKED": _("The numbers are compressed inside of the checkpoint, which is harmless but cannot be converted here."),
    "T-SCRIPT": _("The file is a TorchScript program: it carries code beside its weights."),
    # torch checkpoints in the formats of old
    "L-KEYS": _("The list of stored blocks in an old-format checkpoint is not what its tensors use."),
    "L-PROTOCOL": _("An old-format checkpoint states another version than torch writes."),
    "L-SIZE": _("A stored block of an old-format checkpoint has another size than stated."),
    "L-SYSTEM": _("The note on the machine in an old-format checkpoint is not what torch writes."),
    "L-TRAILING": _("There are bytes behind the last stored block of an old-format checkpoint."),
    # safetensors
    "S-DTYPE": _("A tensor is of an element type that is not known or not taken."),
    "S-DUP": _("The header names a key twice, and programs disagree on which one counts."),
    "S-ENTRY": _("An entry of the header lacks a field, has one too many or holds no whole numbers."),
    "S-HEADER-SIZE": _("The header states that it is longer than the file or than any header is."),
    "S-HOLE": _("There are bytes between two tensors that belong to neither, in which anything could hide."),
    "S-JSON": _("The header is not the plain JSON that safetensors asks for."),
    "S-METADATA": _("The metadata of the header is something else than texts."),
    "S-NAME": _("The name of a tensor is empty, too long or no text."),
    "S-OVERLAP": _("Two tensors share bytes."),
    "S-SIZE": _("A tensor takes more or fewer bytes than its shape and type need."),
    "S-TRAILING": _("There are bytes behind the last tensor."),
    # other kinds of files
    "A-COUNT": _("The tar states a number of tensors or stored blocks that no checkpoint has."),
    "A-KEYS": _("Tensors and stored blocks in the tar do not match, or one is there twice."),
    "A-LAYOUT": _("The tar archive is not laid out as torch wrote its oldest checkpoints, or has bytes that belong to nothing."),
    "A-PART": _("A tensor or a stored block in the tar is not described as torch described it."),
    "A-VIEW": _("A tensor in the tar reaches outside of its stored block."),
    "G-ALIGN": _("The GGUF file states an alignment that no program writes."),
    "G-DUP": _("The GGUF file names a key or a tensor twice, and programs disagree on which one counts."),
    "G-LIMIT": _("The GGUF file states more parts, or longer ones, than models have."),
    "G-NAME": _("A name in the GGUF file is empty, too long or no text."),
    "G-PADDING": _("Bytes that only fill up space in the GGUF file hold data."),
    "G-PLACE": _("The tensors of the GGUF file do not lie one behind the other."),
    "G-SHAPE": _("The shape of a tensor in the GGUF file is not one that programs can have written."),
    "G-TEMPLATE": _("The chat template of the GGUF file does more than put texts together; some programs run it unguarded."),
    "G-TRAILING": _("There are bytes behind the last tensor of the GGUF file."),
    "G-TYPE": _("A value or a tensor of the GGUF file is of a type that does not exist or is not known here."),
    "G-VERSION": _("The GGUF file is of a version or byte order that is not read here."),
    "I-LIMIT": _("The picture is larger, or of more parts, than pictures are."),
    "I-PADDING": _("Behind the end of the picture lies what phones put there: zeros, a film or notes of their own."),
    "I-PARSE": _("The picture breaks the grammar of its format."),
    "I-TRAILING": _("There are bytes behind the end of the picture, where another file may hide."),
    "K-CONFIG": _("The description of the layers of a Keras model cannot be read, so what they would do is not known."),
    "K-LAMBDA": _("The Keras model holds a layer that is Python code, which runs when the model is loaded."),
    "N-DTYPE": _("The numpy array holds something else than numbers."),
    "N-HEADER": _("The header of the numpy array is not what numpy writes."),
    "N-OBJECT": _("The numpy array holds Python objects, which numpy loads by running a pickle."),
    "N-SIZE": _("The numpy array has more or fewer bytes than its shape needs."),
    "O-DOMAIN": _("The ONNX model uses operators that are not ONNX's own and come from elsewhere."),
    "O-EXTERNAL": _("The numbers of the ONNX model lie in other files beside it."),
    "O-LARGE": _("The pickles in the file are too large for other scanners to be asked about them."),
    "O-LIMIT": _("The ONNX file has more parts, or deeper ones, than models have."),
    "O-PARSE": _("The ONNX file breaks the grammar of its format."),
    "O-PATH": _("The ONNX model takes its numbers from a path outside of its own folder, and so could read any file."),
    "X-LIMIT": _("A text in the archive is larger than texts beside weights are."),
    "X-TEXT": _("A file that is named as a text is none."),
    "X-YAML": _("Settings written in YAML name functions of Python, which some programs call as they read them."),
    # other voices
    "O-PEER": _("Another scanner calls dangerous what ours took for harmless; a person should look before anybody loads it."),
    "V-ERROR": _("The antivirus engine could not be asked or did not finish, and what was not read is not called clean."),
    "V-VIRUS": _("The antivirus engine knows a part of this file as malware."),
}
"""code -> what it says of a file that has it. What exactly was found, and where, is the finding's own sentence."""

FAMILIES = {
    "F": _("The file as a whole"), "P": _("Pickles"), "Z": _("Zip archives"), "T": _("Torch checkpoints"), "L": _("Torch's old format"),
    "A": _("Torch's oldest format, a tar"), "S": _("Safetensors"), "N": _("Numpy arrays"), "G": _("GGUF"), "O": _("ONNX"), "K": _("Keras"),
    "I": _("Pictures"), "X": _("Texts"), "V": _("Antivirus and other scanners"),
}  # fmt: skip

SAFETY_WORDS = (_("allowed"), _("name-only"), _("unknown"), _("dangerous"))
"""How imports are judged, as reports write it; templates ask the catalogues for them by their names."""

SAFETY: dict[str, Any] = {
    "allowed": _("Weights need it, and it is harmless when called as torch calls it; every call of it was compared with that."),
    "name-only": _("It may be named, as the type of something, but never called; this file does not call it unless a finding says so."),
    "unknown": _("It belongs to another package, and nobody here has said that it is harmless."),
    "dangerous": _("It can run code or reach the system."),
}

VERDICTS: dict[str, Any] = {
    "pending": _("The scanner has not answered yet. Until it does, nobody can download the file."),
    "success": _("Every byte of the file was accounted for, and everything that it imports is known and used as weights use it."),
    "suspicious": _("The file was understood, but it needs something that weights do not. Only a moderator can let it through."),
    "danger": _("The file would run code when it is loaded, or is not what it says it is. It is sealed, and nobody can release it."),
    "error": _("The file could not be understood to its end, and that counts as a no."),
}

LAYERS: dict[str, Any] = {
    "rlimit": _("limits on memory and time; no file can be written and no process started"),
    "landlock": _("no path on the disk and no network port can be opened"),
    "seccomp": _("only the few system calls that reading an open file needs are answered"),
}
"""Layer of `registry.sandbox.locks` without its number -> what it takes away from the process that reads the file."""


def explain(code: str) -> str:
    """The sentence for a code, "" for one that is not known."""
    return str(CODES.get(code, ""))


def layer(name: str) -> str:
    """ "landlock7" -> what Landlock does; "" for a layer that is not known."""
    return str(LAYERS.get(name.rstrip("0123456789"), ""))


def family(code: str) -> str:
    """The heading under which a code stands; a peer's word stands with the other voices."""
    return FAMILIES.get("V" if code == "O-PEER" else code[:1], "Others")


def families() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every code in its family, in alphabetic order: [(title, [(code, sentence), ...]), ...]."""
    titles = [*FAMILIES.values(), "Others"]
    rows = {title: sorted((code, said) for code, said in CODES.items() if family(code) == title) for title in titles}
    return [(title, codes) for title, codes in rows.items() if codes]
