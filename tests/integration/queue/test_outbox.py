"""The outbox against a real server: everything arrives, in order, whole or not at all, and trouble is told."""

import json

import pytest
import redis.asyncio
from dramatiq.brokers.redis import RedisBroker

from common.ids import BillingId, TenantId
from common.queue import layout
from common.queue.connections import connect_async
from common.queue.messages import Bookkeep, CreateInvoice, Deliver, Message
from common.queue.outbox import BATCH, QueueUnreachable, enqueue
from tests.integration.queue.conftest import Desks, Wire, free_port


def created(count: int) -> list[CreateInvoice]:
    return [CreateInvoice(billing=BillingId(number), tenant=TenantId(1)) for number in range(count)]


async def test_messages_of_several_queues_and_batches_are_all_worked_off(
    client: redis.asyncio.Redis, url: str, desks: Desks
) -> None:
    kinds: tuple[type[CreateInvoice | Bookkeep | Deliver], ...] = (CreateInvoice, Bookkeep, Deliver)
    sent: list[Message] = [
        kinds[number % 3](billing=BillingId(number), tenant=TenantId(1)) for number in range(BATCH + 100)
    ]
    desk = desks(url)
    for kind in kinds:
        desk.actor(kind)
    desk.start()
    await enqueue(client, sent)
    received = {await desk.next() for _ in sent}
    assert received == set(sent)


async def test_messages_wait_in_the_order_in_which_they_were_sent(client: redis.asyncio.Redis, desks: Desks) -> None:
    await enqueue(client, created(BATCH + 10))
    waiting = await client.lrange(layout.waiting("invoicing"), 0, -1)
    bodies = await client.hgetall(layout.bodies("invoicing"))
    order = [json.loads(bodies[redis_id])["args"][0]["billing"] for redis_id in waiting]
    assert order == list(range(BATCH + 10))


async def test_a_stock_broker_reads_what_the_outbox_writes(client: redis.asyncio.Redis, url: str) -> None:
    stock = RedisBroker(url=url, middleware=[])  # type: ignore[no-untyped-call]
    stock.declare_queue("invoicing")
    await enqueue(client, created(1))
    consumer = stock.consume("invoicing")
    message = next(consumer)
    assert message is not None
    assert (message.actor_name, message.args) == ("create_invoice", ({"billing": 0, "tenant": 1},))
    consumer.ack(message)
    assert await client.hlen(layout.bodies("invoicing")) == 0
    stock.client.close()


async def test_nothing_to_send_is_not_sent(client: redis.asyncio.Redis) -> None:
    await enqueue(client, [])
    assert await client.keys() == []


async def test_without_redis_the_caller_is_told_what_happened_to_what_and_what_to_do() -> None:
    absent = connect_async(f"redis://:hush@127.0.0.1:{free_port()}/0")
    with pytest.raises(QueueUnreachable) as caught:
        await enqueue(absent, created(3))
    await absent.aclose()
    said = str(caught.value)
    assert "3 messages for the queues invoicing" in said
    assert "AVTALSMOTOR_REDIS_URL" in said
    assert "hush" not in said


async def test_a_server_that_refuses_writes_is_told_too(client: redis.asyncio.Redis) -> None:
    await client.set(layout.waiting("invoicing"), "not a list")
    with pytest.raises(QueueUnreachable, match="WRONGTYPE"):
        await enqueue(client, created(1))


async def test_a_lost_answer_is_told_and_the_messages_are_not_sent_twice(url: str, wire: Wire) -> None:
    through_wire = connect_async(wire.url)
    await through_wire.ping()
    wire.cut_at = b"*"
    with pytest.raises(QueueUnreachable):
        await enqueue(through_wire, created(5))
    await through_wire.aclose()
    client = connect_async(url)
    assert await client.llen(layout.waiting("invoicing")) == 5
    await client.aclose()


async def test_a_body_is_never_without_its_place_in_the_queue(url: str, wire: Wire) -> None:
    """Cut at each answer in turn, so also between the commands if they were not one transaction."""
    lost = 0
    for answer in (b"OK", b"QUEUED", b"*"):
        through_wire = connect_async(wire.url)
        await through_wire.ping()
        wire.cut_at = answer
        try:
            await enqueue(through_wire, created(2))
        except QueueUnreachable:
            lost += 1
        await through_wire.aclose()
    client = connect_async(url)
    assert await client.llen(layout.waiting("invoicing")) == await client.hlen(layout.bodies("invoicing"))
    assert lost == 3
    await client.aclose()
