"""What the feeder lets in: as much as will get a slot, less what the answers already given still need to be found."""

from datetime import timedelta

from redis.asyncio import Redis

from common.clock import boottime
from common.fortnox.governor import LIMIT
from common.ledger.database import Ledger
from common.ledger.outcomes import Seek
from common.queue.layout import waiting
from producers.feeder import FOUND_WITHIN, Feeder
from tests.integration.ledger.story import ACTED, TENANT, company, planned, settled

DUE = 30


async def bureau(ledger: Ledger, *, sought: int = 0) -> None:
    """A company with so many due contracts, of which some are created and their invoices still to be found."""
    await company(ledger)
    for billing in (await planned(ledger, range(1, DUE + sought + 1)))[:sought]:
        await settled(ledger, billing, ACTED, Seek())


async def creates_admitted(feeder: Feeder, queues: Redis) -> int:
    await feeder.ask_for_evidence()
    await feeder.admit({TENANT: boottime()})
    return int(await queues.llen(waiting("invoicing")))


async def test_as_many_creates_are_let_in_as_there_are_slots(ledger: Ledger, feeder: Feeder, queues: Redis) -> None:
    await bureau(ledger)
    assert await creates_admitted(feeder, queues) == LIMIT


async def test_answers_that_are_looked_for_keep_their_slots_free(ledger: Ledger, feeder: Feeder, queues: Redis) -> None:
    await bureau(ledger, sought=10)
    assert await creates_admitted(feeder, queues) == LIMIT - 10


async def test_an_answer_that_is_not_found_keeps_no_slot_for_ever(
    ledger: Ledger, feeder: Feeder, queues: Redis
) -> None:
    await bureau(ledger, sought=10)
    ledger.clock.shift += timedelta(seconds=FOUND_WITHIN + 1)
    assert await creates_admitted(feeder, queues) == LIMIT
