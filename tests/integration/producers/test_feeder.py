"""What the feeder lets in: as much as will get a slot, less what the answers already given still need to be found."""

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from common.clock import boottime
from common.fortnox.governor import LIMIT
from common.ids import BillingId
from common.ledger.database import Ledger
from common.ledger.outcomes import Seek
from common.queue import outbox
from common.queue.layout import bodies, waiting
from common.queue.messages import CreateInvoice
from producers.feeder import FOUND_WITHIN, MESSAGE_LATE_AFTER, Feeder
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


async def test_messages_that_were_lost_are_sent_again_though_their_queue_is_never_empty(
    ledger: Ledger, feeder: Feeder, queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bureau(ledger)
    assert await creates_admitted(feeder, queues) == LIMIT
    await queues.delete(waiting("invoicing"), bodies("invoicing"))
    await outbox.enqueue(queues, [CreateInvoice(billing=BillingId(9999), tenant=TENANT)])
    later = boottime() + MESSAGE_LATE_AFTER
    for now, messages in ((later - 1, 1), (later + 1, 1 + LIMIT)):
        monkeypatch.setattr("producers.feeder.boottime", lambda now=now: now)
        await feeder.admit({TENANT: now})
        assert await queues.llen(waiting("invoicing")) == messages
