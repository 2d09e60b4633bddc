"""What the feeder lets in: as much as will get a slot, less what the answers already given still need to be found."""

from datetime import timedelta
from typing import cast

import pytest
from redis.asyncio import Redis

from common.clock import boottime
from common.fortnox.governor import LIMIT
from common.ledger.database import Ledger
from common.ledger.outcomes import Seek
from common.queue.contents import on_their_way
from common.queue.layout import bodies, waiting
from producers import feeder as module
from producers.feeder import FOUND_WITHIN, Feeder, Sent
from tests.integration.ledger.story import ACTED, TENANT, company, planned, settled

DUE = 30


async def bureau(ledger: Ledger, *, sought: int = 0) -> None:
    """A company with so many due contracts, of which some are created and their invoices still to be found."""
    await company(ledger)
    for billing in (await planned(ledger, range(1, DUE + sought + 1)))[:sought]:
        await settled(ledger, billing, ACTED, Seek())


async def creates_admitted(feeder: Feeder, queues: Redis) -> int:
    feeder._tenancy.begin(await feeder._tenancy.renew(keep=()))
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


async def lose(queues: Redis, messages: int) -> None:
    """So many of the messages on the queue of creates vanish."""
    for _ in range(messages):
        name = cast(bytes, await queues.lpop(waiting("invoicing")))
        await queues.hdel(bodies("invoicing"), name)


async def test_a_message_that_is_lost_from_a_queue_that_is_never_empty_is_sent_again(
    ledger: Ledger, feeder: Feeder, queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MESSAGE_LOST_AFTER", 0.0)
    await bureau(ledger)
    assert await creates_admitted(feeder, queues) == LIMIT
    await lose(queues, 3)
    await feeder.admit({TENANT: boottime()})
    # Found to be lost; there is room for them again.
    assert await queues.llen(waiting("invoicing")) == LIMIT
    assert len(await on_their_way(queues, ["invoicing"])) == LIMIT


async def test_a_message_that_waits_long_is_not_sent_again_at_every_look(
    ledger: Ledger, feeder: Feeder, queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MESSAGE_LOST_AFTER", 0.0)
    await bureau(ledger)
    await creates_admitted(feeder, queues)
    for _ in range(3):
        await feeder.admit({TENANT: boottime()})
    assert await queues.llen(waiting("invoicing")) == LIMIT


async def test_a_message_that_nobody_ever_acts_upon_is_sent_again_after_a_while(
    ledger: Ledger, feeder: Feeder, queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MESSAGE_LOST_AFTER", 0.0)
    monkeypatch.setattr(module, "SENT_AGAIN_AFTER", 0.0)
    await bureau(ledger)
    await creates_admitted(feeder, queues)
    # In somebody's hands for ever.
    await queues.delete(waiting("invoicing"))
    await feeder.admit({TENANT: boottime()})
    assert await queues.llen(waiting("invoicing")) == LIMIT


@pytest.mark.parametrize(("times", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 30), (5, 30), (50, 30)])
def test_the_pauses_before_a_message_is_sent_again_grow(times: int, seconds: float) -> None:
    sent = Sent(100.0, times)
    assert not sent.is_overdue(100.0 + seconds - 0.1)
    assert sent.is_overdue(100.0 + seconds + 0.1)
