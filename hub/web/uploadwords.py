"""What the scripts of the upload pages say, translated here and handed over as JSON. {braces} are filled in by the script."""

from __future__ import annotations

from django.utils.translation import gettext as _


def texts() -> dict[str, str]:
    """Name -> sentence, in the language of the page."""
    return {**_choosing(), **_sending(), **_amounts()}


def _choosing() -> dict[str, str]:
    return {
        "reading": _("Reading its header"),
        "readLater": _("What it is will be read when it has arrived."),
        "words": _("Words: {words}"),
        "hashing": _("Computing its SHA-256: {done} of {size}"),
        "isNew": _("New to this hub."),
        "isHere": _("Already here: it will be linked and not sent again."),
        "notChecked": _("Whether it is here already could not be asked."),
        "fromFile": _("Filled in from the file. Change it if it is wrong."),
        "leftOut": _("Left out, for they are no weights: {n}."),
        "lookAgain": _("Please look at these fields again. Nothing you typed is lost."),
    }


def _sending() -> dict[str, str]:
    return {
        "begins": _("Beginning"),
        "sent": _("{done} of {size}"),
        "parts": _("part {n} of {all}"),
        "pace": _(" · {speed}/s · {left} left"),
        "pausedText": _("Paused. What arrived stays here for a day."),
        "offline": _("No connection. It goes on by itself when there is one."),
        "arrived": _("Arrived. It is examined now: see below."),
        "linked": _("Already here: linked, nothing was sent."),
        "look": _("Look at it"),
        "trouble": _("The connection broke and did not come back in time. What arrived is kept."),
        "tooLarge": _("This hub takes files of up to {size}."),
        "otherFile": _("Another file with this name and size was begun here. Discard it above, then try again."),
        "whose": _("{name} belongs to none of these drafts. Open the draft that it belongs to and add it there."),
        "skip": _("Send without checking"),
        "remove": _("Remove"),
        "pause": _("Pause"),
        "resume": _("Resume"),
        "again": _("Try again"),
    }


def _amounts() -> dict[str, str]:
    return {"seconds": _("{n} s"), "minutes": _("{n} min"), "hours": _("{n} h")}
