"""The hub's settings with bare views before everything else, for benches only: what a server costs that does nothing but one SELECT."""

from hub.settings import *  # noqa: F403
from hub.settings import MIDDLEWARE as HUB_MIDDLEWARE

MIDDLEWARE = ["bench.bare_views.Bare", *HUB_MIDDLEWARE]
