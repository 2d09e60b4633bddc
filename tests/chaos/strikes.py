"""What was struck, when, and how long it took to recover: the record that hits, recoveries and explanations rest on.

An injection is a fault that was set up; a hit is one that struck while a step was in flight. Nothing here strikes.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from tests.chaos.points import Struck
from tests.chaos.sight import Flight, Sight

log = structlog.get_logger()

MARGIN = 3.0
"""Seconds by which what was going on around a strike may lie before or after it."""

_ON_ITS_WAY = frozenset({"waiting", "claimed", "seeking"})


class Step(NamedTuple):
    """A step that was in flight. By its id a billing is known only until the ledger is put back to an older copy."""

    billing: int
    tenant: int
    contract: int
    step: str


@dataclass(slots=True)
class Strike:
    """One fault that struck. Times are Unix seconds.

    Parameters:
      struck: the steps that were in flight.
      worker: the name of the worker that was struck, as attempts have it.
      everywhere: whatever was in flight anywhere may have felt it.
    """

    kind: str
    began: float
    ended: float
    struck: Sequence[Step] = ()
    worker: str | None = None
    everywhere: bool = False

    def has_struck(self, tenant: int, contract: int, step: str) -> bool:
        """Whether it struck that step of that contract."""
        return any((one.tenant, one.contract, one.step) == (tenant, contract, step) for one in self.struck)

    def may_have_touched(
        self, tenant: int, contract: int, called_at: float, answered_within: float, worker: str
    ) -> bool:
        """Whether a call made then, by that worker, may have come to nothing certain because of this."""
        if not self.began - answered_within - MARGIN <= called_at <= self.ended + MARGIN:
            return False
        of_it = any((one.tenant, one.contract) == (tenant, contract) for one in self.struck)
        return of_it or self.everywhere or self.worker == worker


@dataclass(slots=True)
class _Recovering:
    kind: str
    since: float
    billing: int
    step: str
    in_sight: bool = False


class Record:
    """The strikes of a run."""

    def __init__(self) -> None:
        self.injections: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()
        self.strikes: list[Strike] = []
        self.longest_recovery: dict[str, float] = defaultdict(float)
        self.longest_resolution: dict[str, float] = defaultdict(float)
        self._recovering: list[_Recovering] = []

    def struck(self, strike: Strike) -> None:
        """A hit: what it struck is followed until it has recovered."""
        self.hits[strike.kind] += 1
        self.touched(strike)
        self._recovering += [_Recovering(strike.kind, strike.began, one.billing, one.step) for one in strike.struck]

    def touched(self, strike: Strike) -> None:
        """It happened, and may explain something, whether or not it counts."""
        self.strikes.append(strike)

    def ledger_put_back(self) -> None:
        """What was struck before is followed no further: the ledger does not know it, or has put it in doubt anew."""
        self._recovering = []

    def is_recovering(self, strike: Strike) -> bool:
        """Whether something that it struck neither has gone on nor stands in plain sight."""
        return any(
            (one.kind, one.since) == (strike.kind, strike.began) and not one.in_sight for one in self._recovering
        )

    def total(self) -> int:
        return sum(self.hits.values())

    async def follow(self, sight: Sight) -> None:
        """Looks how those struck stand; to be called about twice a second."""
        if not self._recovering:
            return
        ids = {one.billing for one in self._recovering}
        now = time.time()
        standing = {flight.billing: flight for flight in await sight.of(ids)}
        self._recovering = [one for one in self._recovering if not self._has_ended(one, standing, now)]

    def _has_ended(self, one: _Recovering, standing: Mapping[int, Flight], now: float) -> bool:
        flight = standing.get(one.billing)
        took = now - one.since
        if flight is not None and flight.step == one.step:
            if flight.status in _ON_ITS_WAY:
                if not one.in_sight:
                    self.longest_recovery[one.kind] = max(self.longest_recovery[one.kind], took)
                return False
            if flight.status == "in_doubt":
                if not one.in_sight:
                    one.in_sight = True
                    self._recovered(one, took)
                return False
        if not one.in_sight:
            self._recovered(one, took)
        self.longest_resolution[one.kind] = max(self.longest_resolution[one.kind], took)
        return True

    def _recovered(self, one: _Recovering, took: float) -> None:
        self.longest_recovery[one.kind] = max(self.longest_recovery[one.kind], took)
        log.info("goes_on", kind=one.kind, billing=one.billing, step=one.step, seconds=round(took, 1))


def steps_of(flights: Iterable[Flight | Struck]) -> tuple[Step, ...]:
    """The steps that they are at."""
    return tuple({Step(one.billing, one.tenant, one.contract, one.step) for one in flights})
