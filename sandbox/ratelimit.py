"""The rate limit, exact: so many requests in any window of so many seconds, per client id and tenant (API notes 6).

By real monotonic time, whatever the virtual clock says: a client's pace is real. Nothing here waits or sleeps.
"""

import math
import time
from collections import deque

from sandbox.behaviour import Behaviour


class RateLimit:
    """A sliding window for each (client id, tenant)."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._taken: dict[tuple[str, int], deque[float]] = {}

    def admit(self, client: str, tenant: int, now: float | None = None) -> float | None:
        """Take a place in the window. None when admitted, else the seconds until a place is free.

        `now` is in seconds of any clock that only runs forward; time.monotonic() by default.
        """
        if now is None:
            now = time.monotonic()
        behaviour = self._behaviour
        taken = self._taken.setdefault((client, tenant), deque())
        while taken and now - taken[0] >= behaviour.window:
            taken.popleft()
        if len(taken) < behaviour.limit:
            taken.append(now)
            return None
        if behaviour.rejected_counts:
            taken.append(now)
        return taken[len(taken) - behaviour.limit] + behaviour.window - now

    def headers(self, wait: float) -> dict[str, str]:
        """None by default: nobody has seen a Retry-After from Fortnox (API notes 6)."""
        return {"Retry-After": str(math.ceil(wait))} if self._behaviour.retry_after == "seconds" else {}
