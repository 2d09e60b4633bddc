"""The queues are transport only: what is lost, doubled, replayed or spoilt there makes no second invoice and loses
none."""

import json

from common.ids import BillingId, ContractNumber, TenantId
from common.queue import layout, outbox
from common.queue.depth import depths
from common.queue.messages import POOLS, Bookkeep, CreateInvoice, Deliver, Message, SeekEvidence, SetPrices
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, proven

JANUARY_AND_FEBRUARY = """
    1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    2 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    3 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
"""
EFFECTS = ("contracts/*/createinvoice", "invoices/*/bookkeep", "invoices/*/email")


async def test_a_redis_that_is_wiped_with_work_on_the_queues_costs_nothing(bureau: Bureau) -> None:
    await proven(bureau, 3)
    async with bureau.without_workers():
        await bureau.plan(billings=6)
        await bureau.redis.flushall()
    await bureau.work()
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)
    assert await calls(bureau) == [6, 6, 6]


async def test_a_redis_that_is_wiped_while_invoices_are_being_made_costs_nothing(bureau: Bureau) -> None:
    await proven(bureau, 3)
    await bureau.sandbox.fault(kind="delay", path="/3/contracts/*/createinvoice", seconds=0.3)

    async def all_are_being_made() -> bool:
        return await bureau.calls(BJORK, "/3/contracts/*/createinvoice") == 6

    await bureau.work(until=all_are_being_made)
    await bureau.redis.flushall()
    await bureau.work()
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)
    assert await calls(bureau) == [6, 6, 6]


async def test_messages_that_come_five_times_and_again_when_all_is_done_are_acted_upon_once(bureau: Bureau) -> None:
    await proven(bureau, 3)
    async with bureau.without_workers():
        await bureau.plan(billings=6)
        await send(bureau, times=5)
    await bureau.work()
    await send(bureau, times=3)
    await bureau.work()
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)
    assert await calls(bureau) == [6, 6, 6]


async def test_garbage_on_the_queues_is_put_aside_and_stops_nothing(bureau: Bureau) -> None:
    await proven(bureau, 3)
    queues = list(POOLS)
    async with bureau.without_workers():
        await bureau.plan(billings=6)
        for queue in queues:
            for name, body in garbage(queue).items():
                await bureau.redis.hset(layout.bodies(queue), name, body)
                await bureau.redis.lpush(layout.waiting(queue), name)
        nobody = [kind(billing=BillingId(999), tenant=TenantId(999)) for kind in (CreateInvoice, Bookkeep, Deliver)]
        nobodys_prices = SetPrices(tenant=TenantId(999), contract=ContractNumber(999))
        await outbox.enqueue(bureau.redis, [*nobody, SeekEvidence(tenant=TenantId(999)), nobodys_prices])
    await bureau.work()
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)
    assert await calls(bureau) == [6, 6, 6]
    dead = {depth.queue: depth.dead for depth in await depths(bureau.redis)}
    assert dead == {queue: len(garbage(queue)) for queue in queues}


def garbage(queue: str) -> dict[str, str]:
    """Bodies that no worker can use, under the ids that they would have."""

    def message(name: str, actor: str, payload: object) -> str:
        options = {"redis_message_id": name}
        common = {"queue_name": queue, "kwargs": {}, "options": options, "message_id": name, "message_timestamp": 0}
        return json.dumps({"actor_name": actor, "args": [payload], **common})

    return {
        "not-json": "\\x00 ]] not a message",
        "another-shape": json.dumps(["a", "list"]),
        "nobodys": message("nobodys", "an_actor_that_does_not_exist", {}),
        "without-ids": message("without-ids", queue, {"billing": "eleven"}),
    }


async def send(bureau: Bureau, *, times: int) -> None:
    """Messages of all steps for all billings, so often."""
    messages: list[Message] = [SeekEvidence(tenant=TenantId(BJORK))]
    for billing in await bureau.billings():
        messages += [kind(billing=billing.id, tenant=billing.tenant) for kind in (CreateInvoice, Bookkeep, Deliver)]
    await outbox.enqueue(bureau.redis, messages * times)


async def calls(bureau: Bureau) -> list[int]:
    """How many invoices were asked for, booked and e-mailed, all in all."""
    return [await bureau.calls(BJORK, f"/3/{path}") for path in EFFECTS]
