"""What the feeder lets in: as much as will get a slot, less what the answers already given still need to be found."""

import json
from collections import Counter
from datetime import timedelta
from typing import cast

import pytest
from redis.asyncio import Redis

from common.clock import boottime
from common.fortnox.governor import LIMIT
from common.ids import TenantId
from common.ledger.database import Ledger
from common.ledger.outcomes import Seek
from common.queue.contents import on_their_way
from common.queue.layout import bodies, waiting
from producers import feeder as module
from producers.feeder import FOUND_WITHIN, Feeder, Sent
from tests.integration.ledger.bulk import fill
from tests.integration.ledger.story import ACTED, TENANT, company, planned, settled

DUE = 30
BIG, SMALL = 7_001, 7_002


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


async def held_by(queues: Redis) -> Counter[int]:
    """How many messages each company has on the queue of creates."""
    sent = await queues.hgetall(bodies("invoicing"))
    return Counter(json.loads(body)["args"][0]["tenant"] for body in sent.values())


async def test_a_company_with_thousands_due_holds_no_more_messages_than_slots_and_keeps_nobody_waiting(
    ledger: Ledger, feeder: Feeder, queues: Redis
) -> None:
    await fill(ledger, {BIG: 5_000, SMALL: 5})
    feeder._tenancy.begin(await feeder._tenancy.renew(keep=()))
    listed = {TenantId(BIG): boottime(), TenantId(SMALL): boottime()}
    for _ in range(3):
        await feeder.admit(listed)
        assert await held_by(queues) == {BIG: LIMIT, SMALL: 5}
        feeder._filled_until.clear()
    # The small one's stand among the first of the big one's: nobody waits behind a big company.
    order = [
        json.loads(cast(bytes, await queues.hget(bodies("invoicing"), name)))["args"][0]["tenant"]
        for name in await queues.lrange(waiting("invoicing"), 0, -1)
    ]
    assert order[:10].count(SMALL) == 5


async def test_a_company_that_is_filled_is_not_asked_about_at_every_round(
    ledger: Ledger, feeder: Feeder, queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(ledger, {BIG: 100, SMALL: 5})
    feeder._tenancy.begin(await feeder._tenancy.renew(keep=()))
    listed = {TenantId(BIG): boottime(), TenantId(SMALL): boottime()}
    await feeder.admit(listed)
    assert set(feeder._filled_until) == {BIG}
    # There would be room again, and it is not looked for yet.
    await queues.flushdb()
    feeder._admitted.clear()
    await feeder.admit(listed)
    assert await held_by(queues) == {SMALL: 5}
    monkeypatch.setattr(feeder, "_filled_until", {TenantId(BIG): boottime()})
    await feeder.admit(listed)
    assert await held_by(queues) == {BIG: LIMIT, SMALL: 5}


async def test_creates_wait_for_the_shared_listing_while_it_is_made_and_else_go_by_single_reads(
    ledger: Ledger, feeder: Feeder, queues: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(ledger, {BIG: 100})
    feeder._tenancy.begin(await feeder._tenancy.renew(keep=()))
    assert await feeder.admit({}) == {BIG}
    monkeypatch.setattr(module, "LISTING_BEGINS_WITHIN", 0.0)
    assert await feeder.admit({}, being_listed={TenantId(BIG)}) == {BIG}
    assert await held_by(queues) == {}
    # Its listing has not begun in time: each create takes a slot for the read of its contract, too.
    assert await feeder.admit({}) == {BIG}
    assert await held_by(queues) == {BIG: LIMIT // 2}


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
