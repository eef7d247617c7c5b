"""What a render worker and its child say to each other, heard with suspicion: one job, from its orders to how it ended. Free of torch.

It starts and ends no process (`inference.engine` does), and decides nothing about what is rendered.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from inference.diffusion import wire
from inference.diffusion.hearing import Hearing, refusal
from inference.diffusion.jobs import Event, Job
from registry.formats.plaintext import printable
from registry.sandbox.parent import Cancelled
from registry.sandbox.resident import Resident

ASK_EVERY = 0.5
"""Seconds between two questions whether the work is still wanted, and two looks at the child's memory."""

SAID_WHAT_CANNOT_BE = "The render process said what cannot be, and was ended."


class EngineTrouble(RuntimeError):
    """A job was not done, and not because of a file: `sentence` says it to whoever waits, `text` to whoever mends it.

    `reason` is "start", "died", "late", "memory", "device", "failed" or "broken" (what the child said cannot be).
    """

    def __init__(self, reason: str, sentence: str, text: str = "") -> None:
        super().__init__(f"{sentence} {text}".strip())
        self.reason, self.sentence, self.text = reason, sentence, text


class Line:
    """The line to a child: frames as they come, with the questions that are asked meanwhile."""

    def __init__(self, child: Resident, most_bytes: int) -> None:
        self.child, self._most = child, most_bytes
        self._poll = select.poll()
        self._poll.register(child.socket, select.POLLIN)
        self._poll.register(child.output, select.POLLIN)

    def ready(self, seconds: float, cancelled: Callable[[], bool]) -> dict[str, Any]:
        """What a starting child says of itself. Raises `EngineTrouble` and `Cancelled`."""
        end = time.monotonic() + seconds
        while (frame := self.frame()) is None:
            if time.monotonic() > end:
                raise EngineTrouble("start", "The render process did not become ready in time.", self.child.last_words())
            if cancelled():
                raise Cancelled("the pictures are no longer wanted")
        if frame.header.get("say") != "ready":
            self.trouble(frame.header)
        return frame.header

    def frame(self) -> wire.Frame | None:
        """The next frame, or None after `ASK_EVERY` seconds without one. Raises `EngineTrouble` where there will be none."""
        if self.child.private_bytes() > self._most:
            sentence = f"The render process took more than {self._most / 1e9:.1f} GB of memory and was ended."
            raise EngineTrouble("memory", f"{sentence} Ask for smaller pictures, or for a larger worker.")
        for fd, event in self._poll.poll(1000 * ASK_EVERY):
            if fd == self.child.output:
                self.child.drain()
                if not event & select.POLLIN:
                    self._poll.unregister(fd)
                continue
            return self._received()
        return None

    def _received(self) -> wire.Frame:
        try:
            frame = wire.receive(self.child.socket, most=wire.MAX_NEWS, most_blob=wire.MAX_PICTURE, files=0)
        except (wire.Broken, TimeoutError) as error:
            raise EngineTrouble("broken", SAID_WHAT_CANNOT_BE, str(error)) from error
        except OSError:
            frame = None
        if frame is None:
            raise self.died()
        return frame

    def died(self) -> EngineTrouble:
        code = self.child.wait(5)
        how = "It ended" if code is None or code >= 0 else f"Signal {-code} ended it"
        return EngineTrouble("died", f"The render process ended before it was done ({how.lower()}).", self.child.last_words())

    def trouble(self, told: Mapping[str, Any]) -> NoReturn:
        """Raise what a child says went wrong."""
        reason = told.get("reason")
        if told.get("say") != "trouble" or reason not in ("start", "memory", "device", "failed"):
            raise EngineTrouble("broken", SAID_WHAT_CANNOT_BE, printable(str(dict(told)), 500))
        text = str(told.get("text", ""))[-8000:]
        raise EngineTrouble(str(reason), printable(str(told.get("sentence", "")), 500), text)


class Conversation:
    """One job with one child, to its end."""

    def __init__(self, child: Resident, job: Job, fds: Sequence[int], *, patience: float, cancel_seconds: float, most_bytes: int) -> None:
        """The child may be silent for `patience` seconds, stop within `cancel_seconds`, and have `most_bytes` of memory of its own."""
        self._line, self._child = Line(child, most_bytes), child
        self._job, self._fds, self._patience, self._cancel_seconds = job, fds, patience, cancel_seconds
        self._hearing = Hearing(job)
        self._number = time.monotonic_ns()

    def run(self, heard: Callable[[Event], None], cancelled: Callable[[], bool]) -> dict[str, Any]:
        """How it ended: {"say": "finished" | "refused" | "cancelled", ...}, the child fit for the next. Raises as `Engine.render`."""
        self._send({"ask": "job", "number": self._number, "job": self._job.to_json()}, self._fds)
        end, stopping, asked = time.monotonic() + self._patience, False, 0.0
        while True:
            frame = self._line.frame()
            now = time.monotonic()
            if frame is not None:
                end = end if stopping else now + self._patience
                if frame.header.get("say") != "event":
                    return self._ending(frame.header, stopping)
                event = self._believe(frame)
                if not stopping:
                    heard(event)
            elif now > end:
                self._late(stopping)
            if not stopping and now - asked > ASK_EVERY:
                asked, stopping = now, cancelled()
                if stopping:
                    self._send({"ask": "cancel", "number": self._number}, ())
                    end = now + self._cancel_seconds

    def _send(self, header: dict[str, Any], fds: Sequence[int]) -> None:
        try:
            wire.send(self._child.socket, header, fds=fds)
        except OSError as error:
            raise self._line.died() from error

    def _believe(self, frame: wire.Frame) -> Event:
        try:
            return self._hearing.event(frame)
        except wire.Broken as error:
            raise EngineTrouble("broken", SAID_WHAT_CANNOT_BE, str(error)) from error

    def _ending(self, told: dict[str, Any], stopping: bool) -> dict[str, Any]:
        say = told.get("say")
        if stopping and say in ("cancelled", "finished", "refused"):
            return {"say": "cancelled"}
        if say not in ("refused", "finished") or (say == "finished" and not self._hearing.complete):
            self._line.trouble(told)
        if say == "refused":
            try:
                refusal(told)
            except wire.Broken as error:
                raise EngineTrouble("broken", SAID_WHAT_CANNOT_BE, str(error)) from error
        return told

    def _late(self, stopping: bool) -> NoReturn:
        if stopping:
            raise Cancelled("the pictures are no longer wanted; the render process was ended")
        sentence = f"The render process said nothing for {self._patience / 60:.0f} minutes and was ended."
        raise EngineTrouble("late", sentence, self._child.last_words())
