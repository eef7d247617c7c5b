"""Why a file is recommended to somebody, in sentences. The rule is `filelist.recommended`'s; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from hub import wishes
from hub.templatetags.wording import bytesize
from hub.web import filelist, words
from hub.web.filelist import FileRow
from hub.wishes import Wish


def of(best: FileRow, rows: Sequence[FileRow], wish: Wish) -> list[str]:
    """One sentence for each thing that was wished, or why it is the one for most people where nothing was."""
    if sum(row.file.downloadable for row in rows) == 1:
        return [_("The only file of this version."), *_memory(best, wish)]
    told = [*_purpose(best, wish), *_memory(best, wish), *_precision(best, wish), *_form(best, wish)]
    return told or [_("For most people: a format that cannot run code, and the smallest file with the same pictures.")]


def _purpose(best: FileRow, wish: Wish) -> list[str]:
    if wish.purpose == "pictures":
        return [_("Because you make pictures: the smallest file that makes the same ones.")]
    if wish.purpose == "train":
        full = filelist.is_full(best.file)
        return [_("Because you train or merge: every number that its creator saved.") if full else _("The fullest file that suits you.")]
    return []


def _memory(best: FileRow, wish: Wish) -> list[str]:
    if not wish.memory_gb or not best.memory:
        return []
    said = {"weights": bytesize(best.memory), "gb": wish.memory_gb}
    if wishes.fits(best.file, wish):
        return [_("Its weights take %(weights)s of the %(gb)s GB that your GPU has.") % said]
    return [
        _("Its weights take %(weights)s, more than your GPU with %(gb)s GB holds at once: programs have to move them, which is slow.")
        % said
    ]


def _precision(best: FileRow, wish: Wish) -> list[str]:
    if not wish.precision:
        return []
    said = {"precision": wish.precision}
    if words.precision(best.file) == wish.precision:
        return [_("In %(precision)s, as you wish.") % said]
    return [_("Not in %(precision)s: no such file suits you here.") % said]


def _form(best: FileRow, wish: Wish) -> list[str]:
    if not wish.form:
        return []
    pickle = words.is_pickle(best.file)
    if wish.form == "ckpt":
        return [_("A .ckpt, as you wish.") if pickle else _("There is no .ckpt of this version.")]
    return [_("There is no .safetensors of this version.")] if pickle else []
