"""When each company has its turn to be read: spread evenly, at the same instants whoever does it, whenever it started.

Pure: nothing here looks at a clock. A company's share of the interval is drawn from its number, so that it is as good
as random, and the same in every producer and after every start.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from common.ids import TenantId

AT_ONCE = 20
"""Turns that may be taken at once when many are due, as at a start or after a take-over ..."""

A_SECOND = 20.0
"""... and so many more each second."""

DAY = timedelta(days=1)


def share(tenant: TenantId) -> float:
    """The company's own place between 0 and 1."""
    drawn = blake2b(str(tenant).encode(), digest_size=8).digest()
    return float(int.from_bytes(drawn, "big") / 2**64)


def latest_turn(tenant: TenantId, now: datetime, interval: timedelta) -> datetime:
    """The company's last turn that is not after `now`, of those that come once in each interval."""
    passed = (now - _EPOCH) - interval * share(tenant)
    return _EPOCH + interval * share(tenant) + (passed // interval) * interval


def next_turn(tenant: TenantId, after: datetime, interval: timedelta) -> datetime:
    """The company's first turn that is half an interval or more after `after`, which may have been out of turn."""
    return latest_turn(tenant, after + interval / 2, interval) + interval


class Turnstile:
    """Lets in so many a second, however many wait: a thousand companies do not begin in one second."""

    def __init__(self) -> None:
        self._free: float = AT_ONCE
        self._at = float("-inf")

    def let_in(self, waiting: Sequence[TenantId], now: float) -> Sequence[TenantId]:
        """Those who may begin, the first first.

        Parameters:
          now: seconds by a clock that never goes back.
        """
        self._free = min(AT_ONCE, self._free + (now - self._at) * A_SECOND)
        self._at = now
        admitted = waiting[: int(self._free)]
        self._free -= len(admitted)
        return admitted


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
