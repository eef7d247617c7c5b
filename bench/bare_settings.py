"""The hub's settings with one more address, for benches only: a view that does nothing, behind the same middleware and server."""

from hub.settings import *  # noqa: F403

ROOT_URLCONF = "bench.bare_urls"
