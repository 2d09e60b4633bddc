"""The depth of the queues, with messages in every state that they can be in."""

from datetime import timedelta

import pytest
import redis
import redis.asyncio

from common.ids import BillingId, TenantId
from common.queue import layout
from common.queue.connections import connect_async
from common.queue.depth import QueueDepth, depths
from common.queue.messages import POOLS, CreateInvoice, SeekEvidence
from common.queue.outbox import enqueue
from tests.integration.queue.conftest import Desks, body, eventually, free_port


def create(count: int) -> list[CreateInvoice]:
    return [CreateInvoice(billing=BillingId(number), tenant=TenantId(1)) for number in range(count)]


async def test_empty_queues_are_listed_as_empty(client: redis.asyncio.Redis) -> None:
    assert await depths(client) == [QueueDepth(pool, 0, 0, 0, 0, None) for pool in POOLS]


async def test_waiting_fetched_and_dead_messages_are_told_apart(
    client: redis.asyncio.Redis, url: str, desks: Desks
) -> None:
    desk = desks(url)
    desk.actor(CreateInvoice)
    desk.may_end.clear()
    redis_id, garbage = body("invoicing", options={})
    await client.hset(layout.bodies("invoicing"), redis_id, garbage)
    await client.rpush(layout.waiting("invoicing"), redis_id)
    desk.start(threads=2)
    await eventually(lambda: desk.broker.client.zcard(layout.dead("invoicing")) == 1)
    await enqueue(client, create(5))
    for _ in range(2):
        await desk.next()
    (invoicing,) = await depths(client, ["invoicing"])
    assert (invoicing.ready, invoicing.in_flight, invoicing.delayed, invoicing.dead) == (3, 2, 0, 1)


async def test_the_age_is_that_of_the_message_that_has_waited_longest(client: redis.asyncio.Redis) -> None:
    seconds, _ = await client.time()
    redis_id, old = body("evidence", message_timestamp=(seconds - 90) * 1000)
    await client.hset(layout.bodies("evidence"), redis_id, old)
    await client.rpush(layout.waiting("evidence"), redis_id)
    await enqueue(client, [SeekEvidence(tenant=TenantId(1))])
    (evidence,) = await depths(client, ["evidence"])
    assert evidence.ready == 2
    assert evidence.oldest_age is not None
    assert timedelta(seconds=90) <= evidence.oldest_age < timedelta(seconds=110)


async def test_a_sender_whose_clock_is_ahead_makes_no_negative_age(client: redis.asyncio.Redis) -> None:
    seconds, _ = await client.time()
    redis_id, early = body("evidence", message_timestamp=(seconds + 90) * 1000)
    await client.hset(layout.bodies("evidence"), redis_id, early)
    await client.rpush(layout.waiting("evidence"), redis_id)
    (evidence,) = await depths(client, ["evidence"])
    assert evidence.oldest_age == timedelta(0)


@pytest.mark.parametrize("unreadable", ["not json", "[]", "{}", '{"message_timestamp": "noon"}', b"\xff"])
async def test_garbage_in_front_has_no_age_but_counts(client: redis.asyncio.Redis, unreadable: str | bytes) -> None:
    await client.hset(layout.bodies("evidence"), "odd", unreadable)
    await client.rpush(layout.waiting("evidence"), "odd")
    assert await depths(client, ["evidence"]) == [QueueDepth("evidence", 1, 0, 0, 0, None)]


async def test_delayed_messages_of_somebody_else_are_in_sight(client: redis.asyncio.Redis) -> None:
    await client.hset(layout.delayed("delivery"), "one", "body")
    assert await depths(client, ["delivery"]) == [QueueDepth("delivery", 0, 0, 1, 0, None)]


async def test_without_redis_the_error_is_redis_own() -> None:
    absent = connect_async(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(redis.ConnectionError):
        await depths(absent)
    await absent.aclose()
