"""A run from its first process to its verdict: the bureau works, faults strike it, it comes to rest, and is judged.

The lanes of the deck strike beside each other; the supply, the person on duty and the record go on all the while.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

import asyncpg
import structlog
from redis import RedisError
from sqlalchemy.exc import DBAPIError

from common.ledger.database import open_ledger
from common.queue.outbox import QueueUnreachable
from tests.chaos import books, deck
from tests.chaos.books import Due
from tests.chaos.deck import Card, Kind
from tests.chaos.explanations import Explanations, Forgotten, faulty_calls
from tests.chaos.person_on_duty import PersonOnDuty
from tests.chaos.points import Arms
from tests.chaos.scene import Scene
from tests.chaos.sight import Sight
from tests.chaos.stage import Database, set_up
from tests.chaos.strikes import Record, Strike
from tests.chaos.summary import Run
from tests.chaos.supply import Supply, bureau
from tests.chaos.verdict import judge

log = structlog.get_logger()

WORKERS = 4
WARM_WITHIN = 60.0
LOOKED_AT_TWICE_WITHIN = 15.0
"""Seconds after a doubt is behind its lease, its token and its settling time. One that stands for longer waits for a
person."""
RESTS_WITHIN = 90.0
"""Seconds more: what goes on by itself has come to an end, also on a busy machine."""
SECONDS_A_FAULT = 4.0
"""What a fault may take on the average, before a run is given up."""
SECONDS_IN_TURN = 60.0
"""Likewise, where a lane waits until what it struck goes on: longer than that promises."""
LEAST_SHARE = 0.04
"""Of the faults asked for, so many hits of each kind at the least."""
ANSWER_CHANGES_EVERY = 20.0
UNDONE = (OSError, DBAPIError, sqlite3.Error, asyncpg.PostgresError, RedisError, QueueUnreachable)
"""A fault that another one, struck at the same moment, has kept from being set up."""
_LOOK_EVERY = 0.5
STANDS_STILL_FOR = 2.5
"""Poll intervals: every company has been listed since, and what was due there has been planned."""
_DUTY_EVERY = 2.0
_RETIRES_EVERY = 5.0
_TENDS_EVERY = 1.0


class Deal:
    """Whose turn it is, and whether enough has been dealt."""

    def __init__(self, kinds: Sequence[Kind], record: Record, faults: int, seed: int) -> None:
        self.kinds = kinds
        self.least = max(1, int(faults * LEAST_SHARE))
        self._record = record
        self._faults = faults
        self._cards = {
            lane: deck.dealt(lane, among, seed)
            for lane in deck.LANES
            if (among := [kind for kind in kinds if kind.lane == lane])
        }

    @property
    def lanes(self) -> list[str]:
        return list(self._cards)

    def is_over(self) -> bool:
        return self._record.total() >= self._faults and not self._lacking()

    def next(self, lane: str) -> Card | None:
        """The lane's next card of a kind that lacks hits; of any kind once no lane lacks any. `None`: others do."""
        lacking = self._lacking()
        of_lane = {kind.name for kind in self.kinds if kind.lane == lane}
        wanted = lacking & of_lane if lacking else of_lane
        return next(card for card in self._cards[lane] if card.kind.name in wanted) if wanted else None

    def _lacking(self) -> set[str]:
        return {kind.name for kind in self.kinds if self._record.hits[kind.name] < self.least}


async def run(
    home: Path,
    *,
    seed: int,
    faults: int,
    database: Database,
    companies: int = 24,
    kinds: Sequence[str] | None = None,
    longest: float | None = None,
    times: str = "scaled",
    in_turn: bool = False,
) -> Run:
    """Runs, and judges.

    Parameters:
      home: a folder for the ledger, the logs and everything else; the caller's to keep or remove.
      kinds: the names of those to strike with; `None` for all.
      longest: seconds after which no more faults are dealt, whatever is lacking.
      times: the name of those in `times.TIMES`.
      in_turn: each lane strikes again only when what it struck goes on.
    """
    began = time.monotonic()
    async with _scene(home, database, seed, companies, times) as scene:
        chosen = [kind for kind in deck.kinds(database) if kinds is None or kind.name in kinds]
        deal = Deal(chosen, scene.record, faults, seed)
        ended_early = None
        async with _meanwhile(scene, supplying=True):
            await _warm(scene)
            log.info("night_began", kinds=len(chosen), companies=companies, database=database)
            within = longest or faults * (SECONDS_IN_TURN if in_turn else SECONDS_A_FAULT) + 60.0
            try:
                async with asyncio.timeout(within):
                    await _strike_all(scene, deal, in_turn=in_turn)
            except TimeoutError:
                ended_early = f"not enough hits within {within:.0f} s"
        log.info("strikes_over", hits=scene.record.total())
        _all_well_again(scene)
        await scene.sandbox.control("DELETE", "faults")
        async with _meanwhile(scene, supplying=False):
            await _rest(scene)
            told = await scene.on_duty.prove()
        # Nothing moves while the books and the ledger are read, whatever has not come to rest.
        scene.stage.lower_the_curtain()
        due, invoices, rows = await _read(scene)
        requests = (await scene.sandbox.control("GET", "requests"))["requests"]
        forgotten = Forgotten(scene.record.strikes, told, scene.stage.times)
        explanations = Explanations(scene.record.strikes, scene.deeds, faulty_calls(requests), scene.stage.times)
        return Run(
            seed=seed,
            faults=faults,
            database=database,
            duration=time.monotonic() - began,
            kinds=[kind.name for kind in chosen],
            least_hits=deal.least,
            invoices=len(invoices),
            left=Counter(way for invoice in invoices for way in invoice.left),
            record=scene.record,
            verdict=judge(due, invoices, rows, explanations.why, _edited(scene), forgotten, told),
            ended_early=ended_early,
        )


@contextlib.asynccontextmanager
async def _scene(home: Path, database: Database, seed: int, companies: int, times: str) -> AsyncIterator[Scene]:
    async with set_up(home, database, times) as stage:
        ledger = await open_ledger(stage.settings.ledger_url, stage.settings.data_dir, stage.settings.clock)
        try:
            supply = Supply(stage.sandbox, bureau(companies, Random(seed)))
            await supply.open(ledger)
            async with PersonOnDuty.at_work(stage.settings, ledger) as person:
                scene = Scene(stage, ledger, Sight(ledger), Record(), supply, person, Arms(home / "arms"), WORKERS)
                stage.replace_dead("producer", 1)
                stage.replace_dead("worker", WORKERS)
                yield scene
        finally:
            await ledger.close()


@contextlib.asynccontextmanager
async def _meanwhile(scene: Scene, *, supplying: bool) -> AsyncIterator[None]:
    """What goes on beside the faults."""

    async def supply() -> None:
        await scene.supply.fill(scene.sight)

    async def retire() -> None:
        await scene.supply.retire(scene.sight)

    async def tend() -> None:
        # A role that finds its ledger or Redis gone at its start ends; whoever runs the product starts it again.
        scene.stage.replace_dead("producer", 1)
        scene.stage.replace_dead("worker", scene.workers)

    async def follow() -> None:
        await scene.record.follow(scene.sight)

    async def duty() -> None:
        async with scene.lock("person on duty"):
            await scene.on_duty.look_after()

    rounds: list[tuple[Callable[[], Awaitable[None]], float]] = [
        (follow, _LOOK_EVERY),
        (duty, _DUTY_EVERY),
        (tend, _TENDS_EVERY),
    ]
    if supplying:
        rounds += [(supply, _LOOK_EVERY), (retire, _RETIRES_EVERY), (_other_answer(scene), ANSWER_CHANGES_EVERY)]
    tasks = [asyncio.create_task(_again_and_again(what, every)) for what, every in rounds]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _again_and_again(what: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        try:
            await what()
        except (OSError, DBAPIError) as error:
            log.info("controller_waits", error=str(error))
        await asyncio.sleep(every)


def _other_answer(scene: Scene) -> Callable[[], Awaitable[None]]:
    """Fortnox answers createinvoice now with the contract, now with the invoice (API notes 1.6)."""
    answers = ["Contract", "Invoice"]

    async def change() -> None:
        answers.reverse()
        await scene.sandbox.control("PATCH", "behaviour", {"create_answer": answers[0]})

    return change


async def _warm(scene: Scene) -> None:
    """Until every company has had an invoice made: the first create of each runs alone."""
    async with asyncio.timeout(WARM_WITHIN):
        while True:
            counts = await scene.sight.counts()
            if len({tenant for tenant, step, status in counts if step != "create"}) == len(scene.supply.clients):
                return
            await asyncio.sleep(_LOOK_EVERY)


async def _strike_all(scene: Scene, deal: Deal, *, in_turn: bool) -> None:
    async with asyncio.TaskGroup() as lanes:
        for lane in deal.lanes:
            for _ in range(deck.LANES[lane]):
                lanes.create_task(_lane(scene, deal, lane, in_turn=in_turn))


async def _lane(scene: Scene, deal: Deal, lane: str, *, in_turn: bool) -> None:
    while not deal.is_over():
        card = deal.next(lane)
        if card is None:
            await asyncio.sleep(_LOOK_EVERY)
            continue
        scene.record.injections[card.kind.name] += 1
        try:
            strike = await card.kind.fault(scene, card.rng())
        except UNDONE as error:
            log.warning("not_struck", kind=card.kind.name, error=str(error))
            strike = None
        log.info("struck", kind=card.kind.name, hit=strike is not None, hits=scene.record.total())
        if strike is not None:
            strike.kind = card.kind.name
            scene.record.struck(strike)
            if in_turn:
                await _until_it_goes_on(scene, strike)
        if breathes := deck.BREATHES_AFTER.get(lane):
            await scene.calls_are_answered(breathes)


async def _until_it_goes_on(scene: Scene, strike: Strike) -> None:
    """Until all that was struck has gone on or is in sight, and the workers are at work again."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        if not scene.record.is_recovering(strike) and scene.stage.is_at_work("worker"):
            return


def _all_well_again(scene: Scene) -> None:
    """Nothing armed, nothing frozen, nothing dead."""
    scene.arms.disarm_all()
    for process in scene.stage.processes:
        if process.frozen:
            process.thaw()
    scene.stage.replace_dead("producer", 1)
    scene.stage.replace_dead("worker", WORKERS)


async def _rest(scene: Scene) -> None:
    """Until nothing goes on by itself any more, doubts about creates included. The verdict tells what did not end."""
    times = scene.stage.times
    doubts_end_within = times.lease + times.token_life + times.settle + LOOKED_AT_TWICE_WITHIN
    began = still_since = time.monotonic()
    before: object = None
    while (rested := time.monotonic() - began) < doubts_end_within + RESTS_WITHIN:
        counts = await scene.sight.counts()
        doubts = any(status == "in_doubt" and step != "deliver" for _, step, status in counts)
        going_on = any(status in {"waiting", "claimed", "seeking"} for _, _, status in counts)
        if counts != before or going_on or (doubts and rested < doubts_end_within):
            before, still_since = counts, time.monotonic()
        if time.monotonic() - still_since > STANDS_STILL_FOR * times.poll_interval:
            return
        await asyncio.sleep(_LOOK_EVERY)


def _edited(scene: Scene) -> set[tuple[int, int]]:
    return {(deed.tenant, deed.contract) for deed in scene.deeds if deed.action == "set_period"}


async def _read(scene: Scene) -> tuple[list[Due], list[books.Invoice], list[books.Row]]:
    start, end = scene.supply.period
    due = [Due(tenant, contract, start, end) for tenant, contract in scene.supply.contracts()]
    invoices = await books.of_sandbox(scene.sandbox, [client.tenant for client in scene.supply.clients])
    return due, invoices, await books.of_ledger(scene.ledger)
