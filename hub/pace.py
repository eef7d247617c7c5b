"""How often one person or one address may do something that others have to read: counted in the cache, by the hour. No queries.

Where the cache is a process's own (no `WEIGH_CACHE_URL`), each process counts for itself: a limit is then so many times as high.
"""

from __future__ import annotations

import hashlib
import time

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.http import HttpRequest

HOUR = 3600
PER_HOUR = {"review": 30, "report": 20, "stranger-report": 5, "save": 300}
"""By what is done: far above what somebody does who means it."""


def allowed(request: HttpRequest, what: str) -> bool:
    """Count one more `what` (a name of `PER_HOUR`) of this visitor, and say whether it is still within the limit."""
    hour = int(time.time() // HOUR)
    key = f"pace:{what}:{hour}:{_who(request)}"
    cache.add(key, 0, timeout=HOUR)
    try:
        return int(cache.incr(key)) <= PER_HOUR[what]
    except ValueError:  # forgotten between the two
        return True


def _who(request: HttpRequest) -> str:
    """A member by number, a stranger by a digest of the address: no address is kept."""
    if request.user.is_authenticated:
        return str(request.user.pk)
    return hashlib.sha256(get_adapter().get_client_ip(request).encode()).hexdigest()[:32]
