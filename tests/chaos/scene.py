"""What a fault has in its hands: the stage, the sight of the ledger, the record, and what people have done."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from random import Random

from common.ledger.database import Ledger
from tests.chaos.person_on_duty import PersonOnDuty
from tests.chaos.points import Action, Arms, Struck
from tests.chaos.sight import Flight, Sight
from tests.chaos.stage import Sandbox, Stage
from tests.chaos.strikes import Record, Strike, steps_of
from tests.chaos.supply import Supply

STRIKES_WITHIN = 10.0
"""Seconds for which a fault waits for its moment; then it was an injection and no hit."""

ANSWERED_WITHIN = 20.0
_LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class PersonsDeed:
    """What the suite's person did to a contract or its invoice in Fortnox."""

    action: str
    tenant: int
    contract: int
    at: float


@dataclass
class Scene:
    """A run under way."""

    stage: Stage
    ledger: Ledger
    sight: Sight
    record: Record
    supply: Supply
    on_duty: PersonOnDuty
    arms: Arms
    workers: int
    deeds: list[PersonsDeed] = field(default_factory=list)
    _one_at_a_time: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @property
    def sandbox(self) -> Sandbox:
        return self.stage.sandbox

    def lock(self, name: str) -> asyncio.Lock:
        """For faults that must not strike at the same time."""
        return self._one_at_a_time[name]

    async def strikes_at(self, action: Action, point: str, step: str) -> Struck | None:
        """Arms a point, and waits until a worker has been struck there. `None`: nobody came by."""
        async with self.lock(f"{action}.{point}.{step}"):
            before = len(self.arms.struck(0))
            self.arms.arm(action, point, step)

            def taken() -> Struck | None:
                for one in self.arms.struck(before):
                    if (one.action, one.point, one.step) == (action, point, step):
                        return one
                return None

            deadline = time.monotonic() + STRIKES_WITHIN
            while (struck := taken()) is None:
                late = time.monotonic() - deadline
                # Who has taken the arming and then been killed by another fault writes nothing down.
                if late > 0 and (self.arms.disarm(action, point, step) or late > STRIKES_WITHIN):
                    return None
                await asyncio.sleep(_LOOK_EVERY)
            return struck if action == "kill" or await self.stage.stands_still(struck.pid) else None

    async def claimed(self) -> list[Flight]:
        """What is in flight, waited for if there is nothing just now."""
        deadline = time.monotonic() + STRIKES_WITHIN
        while True:
            flights = await self.sight.claimed()
            if flights or time.monotonic() > deadline:
                return flights
            await asyncio.sleep(_LOOK_EVERY)

    async def calls_are_answered(self, calls: int) -> None:
        """Waits until so many more calls have been answered, or for long enough."""
        wanted = await self.sight.settled() + calls
        deadline = time.monotonic() + ANSWERED_WITHIN
        while time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY)
            if await self.sight.settled() >= wanted:
                return

    def felt_everywhere(self, began: float, flights: Sequence[Flight], kind: str = "") -> Strike | None:
        """What ends now was felt wherever it was; it is a hit if something was in flight, and on the record if not."""
        strike = Strike(kind, began, time.time(), steps_of(flights), everywhere=True)
        if flights:
            return strike
        self.record.touched(strike)
        return None

    async def person(self, action: str, tenant: int, of_contract: int, **about: object) -> bool:
        """A person's click in Fortnox, about a contract or an invoice of it. `False`: Fortnox refused it."""
        body = {"action": action, **{key: str(what) if isinstance(what, date) else what for key, what in about.items()}}
        try:
            await self.sandbox.control("POST", f"companies/{tenant}/person", body)
        except RuntimeError:
            return False
        self.deeds.append(PersonsDeed(action, tenant, of_contract, time.time()))
        return True


Fault = Callable[[Scene, Random], Awaitable[Strike | None]]
"""Sets a fault up and strikes; returns the strike if a step was in flight. What may have touched something without
counting it puts on the record by itself."""


def chosen(rng: Random, flights: Sequence[Flight]) -> Flight:
    """One of them, by the card's own generator."""
    return rng.choice(sorted(flights, key=lambda flight: flight.billing))
