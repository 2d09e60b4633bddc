"""Every order of events that may befall one invoice: real workers that stop at gates, and disturbances at any of them.

The same nights every time. A longer search: `NIGHTS=5000 make test PYTEST=tests/model`.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common.ids import TenantId
from tests.model.night import FOR_PEOPLE, Disturbance, Night, Schedule
from tests.model.stage import Stage, open_stage

NIGHTS = {"sqlite": 80, "postgresql": 20}
"""How many of each kind are lived through in the ordinary run."""

FOUND = {
    "a worker is killed while Fortnox has its call in hand": [(5, Disturbance.KILL)],
    "a worker is frozen past its lease before its request": [
        (3, Disturbance.FREEZE),
        (0, Disturbance.LEASES),
        (0, Disturbance.THAW),
    ],
    "a worker is frozen past its lease with the answer in hand": [(7, Disturbance.FREEZE)],
    "the line is cut, and Fortnox acts afterwards": [(0, Disturbance.CUT), (9, Disturbance.ACT_LATE)],
    "the line is cut after Fortnox has sent the e-mail": [(20, Disturbance.CUT_AFTER)],
    "a message comes twice at once": [(2, Disturbance.FREEZE), (0, Disturbance.AGAIN), (2, Disturbance.THAW)],
    "a request leaves long after its lease, and is refused": [
        (4, Disturbance.FREEZE),
        (4, Disturbance.THAW),
    ],
    "a call is made just before its token ends, and may act just after": [
        (4, Disturbance.FREEZE),
        (0, Disturbance.NEARLY),
        (0, Disturbance.CUT),
        (0, Disturbance.THAW),
        (4, Disturbance.LEASES),
    ],
    "a look is held up, and a call is made meanwhile": [
        (0, Disturbance.CUT),
        (9, Disturbance.OVER),
        (1, Disturbance.FREEZE),
        (0, Disturbance.LOOK),
        (4, Disturbance.SWEEP),
        (3, Disturbance.CUT),
        (6, Disturbance.THAW),
    ],
    "our call makes an invoice too early, and its worker is frozen over it": [
        (3, Disturbance.CLICK),
        (2, Disturbance.FREEZE),
    ],
    "a thawed worker makes an invoice too early, when a person's is long taken in": [
        (4, Disturbance.FREEZE),
        (0, Disturbance.CLICK),
    ],
}
"""Histories that would break the product without the rule that they are about; the later ones once did."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A night tells its own history; hundreds of nights' logs tell nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


Live = Callable[[Schedule, str, bool], None]


@pytest.fixture
def live(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Live]:
    """Lives through one night after the other, each with a company of its own."""
    tenants = itertools.count(5000)

    async def night(stage: Stage, schedule: Schedule, answer: str, *, proven: bool) -> None:
        night = Night(stage, TenantId(next(tenants)))
        try:
            await night.begin(answer=answer, proven=proven)
            await night.live_through(schedule)
        finally:
            await stage.clear()

    with asyncio.Runner() as runner:
        opening = open_stage(database_url, redis_url, tmp_path)
        stage = runner.run(opening.__aenter__())
        yield lambda schedule, answer, proven: runner.run(night(stage, schedule, answer, proven=proven))
        runner.run(opening.__aexit__(None, None, None))


def search(live: Live, kinds: list[Disturbance], nights: int, *, proven: st.SearchStrategy[bool]) -> None:
    """Looks for a schedule that breaks what must hold; the shortest one found is what fails."""
    schedules = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(kinds)), min_size=1, max_size=6)

    @settings(
        max_examples=int(os.environ.get("NIGHTS", nights)),
        deadline=None,
        database=None,
        derandomize="NIGHTS" not in os.environ,
        suppress_health_check=list(HealthCheck),
        # Explaining would trace every line that runs.
        phases=(Phase.generate, Phase.shrink),
    )
    @given(schedules, st.sampled_from(["Contract", "Invoice"]), proven)
    def every(schedule: Schedule, answer: str, proven: bool) -> None:
        live(schedule, answer, proven)

    every()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("answer", ["Contract", "Invoice"])
@pytest.mark.parametrize("history", FOUND)
def test_the_nights_that_were_found_once_end_well(live: Live, history: str, answer: str) -> None:
    live(FOUND[history], answer, True)


@pytest.mark.timeout(0 if "NIGHTS" in os.environ else 120)
def test_whatever_machines_do_the_invoice_is_made_once(live: Live, database_url: str) -> None:
    kinds = [one for one in Disturbance if one not in FOR_PEOPLE]
    search(live, kinds, NIGHTS[database_url.split(":")[0]], proven=st.just(True))


@pytest.mark.timeout(0 if "NIGHTS" in os.environ else 120)
def test_whatever_people_and_machines_do_no_invoice_is_made_twice_or_lost(live: Live, database_url: str) -> None:
    search(live, list(Disturbance), NIGHTS[database_url.split(":")[0]], proven=st.booleans())
