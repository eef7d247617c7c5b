"""One whole hub for all tests of the launcher: starting takes seconds, so tests share it and leave it running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.services.running import Hub


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub") / "data")
    try:
        hub.start()
        yield hub
    finally:
        hub.end()


@pytest.fixture
def hub(shared_hub: Hub) -> Hub:
    """The shared hub, running; a test that stops it need not start it again."""
    if not shared_hub.running():
        shared_hub.start()
    return shared_hub
