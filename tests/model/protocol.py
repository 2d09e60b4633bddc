"""Every history of one step's calls: claim, request, answer, settle, sweep and look, in every order there is.

The ledger is the real one: what a transaction does to a billing is found by running it, once for each state that it can
be run in. Workers, Fortnox and time are a few lines of model around it. Time goes by in hours: a lease lasts half of
one, a token one and a half, and Fortnox takes one at most to finish what has come to it.
"""

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, Table, delete, insert, select

from common.ids import InvoiceNumber
from common.ledger import billings
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Answer, Delivered, Doubt, Made, Outcome, Seek
from common.ledger.records import Attempt, AttemptVerdict, Billing, Claim
from common.ledger.schema import attempts, blocks
from common.ledger.schema import billings as billings_table
from common.rules.reasons import Reason
from common.rules.states import UNRESOLVED, Status, Step
from tests.integration.ledger.story import company, invoice_of, made, one
from tests.model.stage import do_not_wait_for_the_disk
from workers.absence import is_believable

HOUR = timedelta(hours=1)
LEASE = HOUR / 2
TOKEN = HOUR * 3 / 2
SETTLE = HOUR
OVER = 3
"""Hours after a claim from which nothing can come of its call any more: it may be sent while its token lives."""


Answered = Literal["yes", "yes, no number", "no", "nothing", "not sent"]
At = Literal["claimed", "checked", "waiting"] | Answered
Effect = Literal["not called", "in hand", "done", "never"]
Found = Literal["it", "nothing", "a refusal"]

ANSWERS: Mapping[str, Answer] = {
    "yes": Answer("acted", 200),
    "yes, no number": Answer("acted", 200),
    "no": Answer("rejected", 401),
    "nothing": Answer(None),
    "not sent": Answer("not_sent"),
}
VERDICTS: Mapping[Found, AttemptVerdict | None] = {"it": "acted", "nothing": "absent", "a refusal": None}
RETRIES = "a person retries"
_TABLES: Sequence[Table] = (billings_table, attempts, blocks)
"""What the step's transactions write, but for the audit, which only grows; parents first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The ledger at an instant."""

    hour: int
    rows: Sequence[Sequence[Mapping[str, Any]]]
    billing: Billing
    calls: Sequence[Attempt]
    claims: tuple[Claim, ...]
    ages: tuple[int, ...]
    """How many hours ago each claim was given."""

    @property
    def key(self) -> tuple[object, ...]:
        """All that can matter for what happens next."""
        billing = self.billing
        known = tuple((call.verdict, call.answered_at is not None) for call in self.calls)
        return billing.step, billing.status, billing.invoice, known, self.ages


@dataclass(frozen=True, slots=True)
class World:
    """Everything at an instant."""

    ledger: int
    """Which `Standing`."""
    workers: tuple[tuple[int, At], ...] = ()
    """The workers with a claim in hand: with which, and how far they are."""
    effects: tuple[Effect, ...] = ()
    """What has become at Fortnox of the call of each claim."""
    looks: tuple[tuple[int, Found], ...] = ()
    """The looks that are about to tell: of which call, and what they found."""


class Broken(AssertionError):  # noqa: N818 - what the product did, not a fault of the model
    """A history that must not be."""


Events = AsyncIterator[tuple[str, World]]


class Protocol:
    """All reachable worlds of one step of one billing, with the shortest way to each.

    Parameters:
      workers: how many may have a claim in hand at once.
      looks: how many may be about to tell at once.
      calls: how many claims a history has at most.
    """

    def __init__(self, ledger: Ledger, step: Step, *, workers: int, looks: int, calls: int) -> None:
        self._ledger = ledger
        self._step = step
        self._workers = workers
        self._looks = looks
        self._calls = calls
        self._began = ledger.clock.shift
        self._standings: list[Standing] = []
        self._interned: dict[tuple[object, ...], int] = {}
        self._ran: dict[tuple[int, str], int] = {}
        self._ways: dict[World, tuple[World, str] | None] = {}
        self.after: dict[World, list[World]] = {}
        """What each world may turn into without a person."""

    async def explore(self) -> None:
        """Finds all worlds. Raises Broken at one that must not be, with the shortest way to it."""
        do_not_wait_for_the_disk(self._ledger)
        await company(self._ledger)
        billing = await one(self._ledger)
        if self._step is Step.DELIVER:
            billing = await made(self._ledger, billing, booked=True)
        first = World(self._intern(await self._read(billing, 0, (), ())))
        self._ways[first] = None
        ahead = deque([first])
        while ahead:
            world = ahead.popleft()
            self.after[world] = []
            async for what, after in self._events(world):
                if what != RETRIES:
                    self.after[world].append(after)
                if after not in self._ways:
                    self._ways[after] = (world, what)
                    self._check(after)
                    ahead.append(after)

    @property
    def transactions(self) -> int:
        """How many were run on the ledger."""
        return len(self._ran)

    def standing(self, world: World) -> Standing:
        """The ledger in that world."""
        return self._standings[world.ledger]

    def history(self, world: World) -> str:
        """The shortest way there, in words."""
        told: list[str] = []
        way = self._ways[world]
        while way is not None:
            world, what = way
            told.append(what)
            way = self._ways[world]
        return "\n".join(told[::-1])

    def is_at_its_end(self, world: World) -> bool:
        """Whether the step is done."""
        billing = self.standing(world).billing
        return billing.step is not self._step or billing.status is Status.DONE

    # What may happen --------------------------------------------------------------------------------------------------

    async def _events(self, world: World) -> Events:
        standing = self.standing(world)
        if len(world.workers) < self._workers and len(standing.claims) < self._calls:
            after = await self._run(world, "claim", self._claim)
            given = len(self.standing(after).claims)
            if given > len(standing.claims):
                workers = tuple(sorted([*world.workers, (given - 1, "claimed")]))
                yield "a claim is given", replace(after, workers=workers, effects=(*world.effects, "not called"))
        for worker in sorted(set(world.workers)):
            async for event in self._of_worker(world, *worker):
                yield event
        for call, effect in enumerate(world.effects):
            if effect == "in hand":
                yield f"Fortnox acts on call {call}", _became(world, call, "done")
        if standing.billing.status in UNRESOLVED and len(world.looks) < self._looks:
            found = self._found(world)
            if found is not None:
                look = (len(standing.calls) - 1, found)
                yield (
                    f"a look at call {look[0]} finds {found}",
                    replace(world, looks=tuple(sorted([*world.looks, look]))),
                )
        for look in sorted(set(world.looks)):
            told = await self._run(world, f"look {look}", partial(self._tell, *look))
            yield (
                f"the look at call {look[0]} that found {look[1]} tells",
                replace(told, looks=_without(world.looks, look)),
            )
        if standing.billing.status is Status.CLAIMED:
            yield "the sweeper runs", await self._run(world, "sweep", self._sweep)
        if standing.billing.status is Status.IN_DOUBT:
            yield RETRIES, await self._run(world, "retry", self._retry)
        if any(age < OVER for age in standing.ages):
            yield "an hour passes", self._an_hour_later(world)

    async def _of_worker(self, world: World, call: int, at: At) -> Events:
        age = self.standing(world).ages[call]
        gone = _without(world.workers, (call, at))

        def to(place: At) -> World:
            return replace(world, workers=tuple(sorted([*gone, (call, place)])))

        yield f"worker {call} dies, {at}", replace(world, workers=gone)
        match at:
            case "claimed":
                # As `workers.steps` does it: the request leaves only while the lease still holds.
                yield f"worker {call} looks at its lease", to("checked" if age == 0 else "not sent")
            case "checked" if age * HOUR < TOKEN:
                yield f"worker {call} sends", _became(to("waiting"), call, "in hand")
            case "checked":
                yield f"worker {call} sends, with a token that has expired", _became(to("no"), call, "never")
            case "waiting":
                yield f"worker {call} is cut off", to("nothing")
                if world.effects[call] == "in hand":
                    yield f"worker {call} is refused", _became(to("no"), call, "never")
                if world.effects[call] == "done":
                    yield f"worker {call} is told yes", to("yes")
                    if self._step is Step.CREATE:
                        yield f"worker {call} is told yes without a number", to("yes, no number")
            case _:
                settled = await self._run(world, f"settle {call} {at}", partial(self._settle, call, at))
                self._must_be_fenced(world, settled, call)
                yield f"worker {call} settles: {at}", replace(settled, workers=gone)

    def _found(self, world: World) -> Found | None:
        """What a look that begins now will tell: as `workers.evidence`, which believes absence of creates alone."""
        standing = self.standing(world)
        last = standing.calls[-1]
        if standing.billing.status is Status.IN_DOUBT and last.verdict in ("rejected", "not_sent"):
            return "a refusal"
        if "done" in world.effects:
            return "it"
        then = last.called_at + standing.ages[-1] * HOUR
        return "nothing" if self._step is Step.CREATE and is_believable(last, then, SETTLE) else None

    def _an_hour_later(self, world: World) -> World:
        standing = self.standing(world)
        ages = tuple(min(age + 1, OVER) for age in standing.ages)
        later = self._intern(replace(standing, hour=standing.hour + 1, ages=ages))
        effects = tuple(
            "never" if at == "in hand" and age == OVER else at for at, age in zip(world.effects, ages, strict=True)
        )
        return replace(world, ledger=later, effects=effects)

    # What the ledger does ---------------------------------------------------------------------------------------------

    async def _run(self, world: World, name: str, work: Callable[[Standing], Awaitable[Claim | None]]) -> World:
        """The world after a transaction of the real ledger, which is run where it was not run before."""
        key = (world.ledger, name)
        if key not in self._ran:
            standing = self.standing(world)
            self._ledger.clock.shift = self._began + standing.hour * HOUR
            await self._ledger.transact(partial(_put_back, standing=standing))
            claim = await work(standing)
            given = ((*standing.claims, claim), (*standing.ages, 0)) if claim else (standing.claims, standing.ages)
            self._ran[key] = self._intern(await self._read(standing.billing, standing.hour, *given))
        return replace(world, ledger=self._ran[key])

    async def _claim(self, standing: Standing) -> Claim | None:
        claim = await billings.claim(
            self._ledger,
            standing.billing.id,
            self._step,
            by="worker",
            lease=LEASE,
            token_expires_at=await self._ledger.now() + TOKEN,
            newest_invoice=InvoiceNumber(100),
        )
        return claim if isinstance(claim, Claim) else None

    async def _settle(self, call: int, answered: str, standing: Standing) -> None:
        claim = standing.claims[call]
        outcomes: Mapping[str, Outcome] = {
            "yes": Made(invoice_of(claim.billing)) if self._step is Step.CREATE else Delivered("e-mail"),
            "yes, no number": Seek(),
            "no": Again(Reason.UNAUTHORIZED),
            "nothing": Doubt(),
            "not sent": Again(Reason.NOT_SENT),
        }
        await billings.settle(self._ledger, claim, ANSWERS[answered], outcomes[answered])

    async def _tell(self, call: int, found: Found, standing: Standing) -> None:
        effect: Outcome = Made(invoice_of(standing.billing)) if self._step is Step.CREATE else Delivered("seen")
        await billings.resolve(
            self._ledger,
            standing.billing.id,
            self._step,
            effect if found == "it" else Again(Reason.NOT_SENT),
            "evidence",
            verdict=VERDICTS[found],
            note=found,
            looked_for=standing.claims[call].attempt,
        )

    async def _sweep(self, standing: Standing) -> None:
        for billing in await billings.expired(self._ledger):
            await billings.take_over(self._ledger, billing.id)

    async def _retry(self, standing: Standing) -> None:
        with contextlib.suppress(billings.NotPossible):
            await billings.retry(self._ledger, standing.billing.id, "anna")

    async def _read(self, billing: Billing, hour: int, claims: tuple[Claim, ...], ages: tuple[int, ...]) -> Standing:
        rows = await self._ledger.read(_rows)
        stored = await billings.get(self._ledger, billing.id)
        assert stored is not None
        calls = [call for call in await billings.attempts(self._ledger, billing.id) if call.step is self._step]
        # Of a call that was answered and is judged nothing more can come, however old it is.
        judged = [call.answered_at is not None and call.verdict is not None for call in calls]
        ages = tuple(OVER if over else age for over, age in zip(judged, ages, strict=True))
        return Standing(hour, rows, stored, calls, claims, ages)

    def _intern(self, standing: Standing) -> int:
        if standing.key not in self._interned:
            self._interned[standing.key] = len(self._standings)
            self._standings.append(standing)
        return self._interned[standing.key]

    # What must hold ---------------------------------------------------------------------------------------------------

    def _check(self, world: World) -> None:
        billing, effects = self.standing(world).billing, world.effects
        if effects.count("done") > 1:
            self._break(world, "two calls took effect")
        if any(effect in ("in hand", "done") for effect in effects[:-1]):
            self._break(world, "a call was permitted while an earlier one had taken effect, or might")
        if "done" in effects and billing.step is self._step and billing.status is Status.WAITING:
            self._break(world, "a call that took effect may be made again")
        if self.is_at_its_end(world) and "done" not in effects:
            self._break(world, "the step is done, and nobody did it")

    def _must_be_fenced(self, before: World, after: World, call: int) -> None:
        """A worker that has lost its claim moves nothing, but that a late yes stops what waits."""
        stood, stands = self.standing(before), self.standing(after)
        holds = stood.billing.status is Status.CLAIMED and call == len(stood.claims) - 1
        moved = (stood.billing.step, stood.billing.status) != (stands.billing.step, stands.billing.status)
        if moved and not holds and (stood.billing.status, stands.billing.status) != (Status.WAITING, Status.IN_DOUBT):
            self._break(before, f"worker {call} then moved what it did not hold")

    def _break(self, world: World, what: str) -> None:
        raise Broken(f"{what}, after:\n{self.history(world)}")


def _rows(connection: Connection) -> list[list[Mapping[str, Any]]]:
    return [[dict(row._mapping) for row in connection.execute(select(table))] for table in _TABLES]


def _put_back(connection: Connection, *, standing: Standing) -> None:
    for table in reversed(_TABLES):
        connection.execute(delete(table))
    for table, rows in zip(_TABLES, standing.rows, strict=True):
        if rows:
            connection.execute(insert(table), [dict(row) for row in rows])


def _became(world: World, call: int, effect: Effect) -> World:
    return replace(world, effects=(*world.effects[:call], effect, *world.effects[call + 1 :]))


def _without(several: tuple[Any, ...], one_of_them: Any) -> tuple[Any, ...]:
    place = several.index(one_of_them)
    return (*several[:place], *several[place + 1 :])
