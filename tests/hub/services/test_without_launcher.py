"""What becomes of a hub whose launcher is killed. Apart from the other tests of `up` and after them: they need a hub that runs."""

from __future__ import annotations

import signal

from tests.hub.services.running import Hub, of_folder
from tests.hub.services.test_up import none_left


def test_killed_launcher_leaves_no_orphan(hub: Hub) -> None:
    assert len(of_folder(hub.data)) > 8
    hub.stop(signal.SIGKILL)
    assert none_left(hub.data, 5) == {}
