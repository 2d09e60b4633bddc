"""Two producers at work: every company is one's, nothing is listed or sent by both, and one that ends is replaced."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from common.ledger import leases, tenants
from common.queue import layout
from common.rules.states import Status
from producers.run import Producer
from tests.bureau import WORKS_WITHIN, Bureau, lines
from tests.scenarios.companies import monthly

COMPANIES = range(600_001, 600_005)


@pytest.fixture
async def four(bureau: Bureau) -> Bureau:
    """Four companies with a contract each, on the morning on which all are due."""
    bureau.settings = bureau.settings.model_copy(update={"producer_lease": 6.0})
    for tenant in COMPANIES:
        await monthly(bureau, 1, tenant)
    bureau.at("2026-02-01 09:00")
    return bureau


def another(bureau: Bureau) -> Producer:
    return Producer(bureau.settings, bureau.ledger, bureau.redis, bureau.fortnox, bureau.high_water)


@asynccontextmanager
async def running(*producers: Producer) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(producer.run()) for producer in producers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WORKS_WITHIN):
        while not await reached():  # noqa: ASYNC110 - it is reached in the ledger and in Redis
            await asyncio.sleep(0.02)


async def feeds(producer: Producer, rounds: int) -> None:
    """Waits until the producer has fed the queues so many times more, each time with what it then has."""

    async def is_cleared() -> bool:
        return not producer._wake.is_set()

    # A wake that is cleared begins a round, and the next one to be cleared ends it.
    for _ in range(rounds + 1):
        producer._wake.set()
        await until(is_cleared)


async def lists(bureau: Bureau) -> list[int]:
    """How often each company's contracts were listed."""
    found = await bureau.sandbox.requests("path=/3/contracts")
    times = Counter(one["tenant"] for one in found)
    return [times[tenant] for tenant in COMPANIES]


async def sent(bureau: Bureau) -> list[int]:
    """The billings that messages on the queue of creates are about."""
    bodies = await bureau.redis.hvals(layout.bodies("invoicing"))
    return sorted(json.loads(body)["args"][0]["billing"] for body in bodies)


async def is_done(bureau: Bureau) -> bool:
    found = await bureau.billings()
    return len(found) == len(COMPANIES) and all(one.status is Status.DONE for one in found)


async def test_two_producers_share_the_companies_and_list_and_send_everything_once(four: Bureau) -> None:
    async with four.without_workers():
        first, second = another(four), another(four)

        async def shared() -> bool:
            return (len(first._tenancy.held), len(second._tenancy.held)) == (2, 2) and len(await sent(four)) == 4

        async with running(first, second):
            await until(shared)
            assert first._tenancy.held.isdisjoint(second._tenancy.held)
            for producer in (first, second):
                await feeds(producer, rounds=3)
        billings = sorted(one.id for one in await four.billings())
        assert await sent(four) == billings
        assert await lists(four) == [1, 1, 1, 1]


async def test_a_producer_that_stops_leaves_its_companies_to_the_other_at_once(four: Bureau) -> None:
    first, second = another(four), another(four)

    async def shared() -> bool:
        all_listed = len(await four.billings()) == 4
        return all_listed and (len(first._tenancy.held), len(second._tenancy.held)) == (2, 2)

    async def one_is_alive() -> bool:
        return await leases.alive(four.ledger) == 1

    async def second_has_all() -> bool:
        return len(second._tenancy.held) == 4

    async with running(first, second) as (working, _):
        await until(shared)
        working.cancel()
        await asyncio.wait({working})
        assert first._tenancy.name not in {one.leased_by for one in await tenants.every(four.ledger)}
        await until(one_is_alive)
        await until(second_has_all)
        await until(lambda: is_done(four))
    assert await lists(four) == [1, 1, 1, 1]
    for tenant in COMPANIES:
        assert four.books(tenant) == lines("1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed")


async def test_what_one_producer_has_sent_is_not_sent_again_by_the_one_that_takes_over(four: Bureau) -> None:
    async with four.without_workers():
        first, second = another(four), another(four)

        async def all_sent() -> bool:
            return len(await sent(four)) == 4

        async with running(first):
            await until(all_sent)

        async def second_has_fed() -> bool:
            return len(second._feeder._admitted) == 4

        async with running(second):
            await until(second_has_fed)
        assert await sent(four) == sorted(one.id for one in await four.billings())
        assert await lists(four) == [1, 1, 1, 1]


async def test_a_producer_whose_lease_is_over_does_nothing_for_what_it_had(four: Bureau) -> None:
    async with four.without_workers():
        await four.plan(billings=4)
        await four.redis.flushall()
        frozen, other = another(four), another(four)
        frozen._tenancy.begin(await frozen._tenancy.renew(keep=()))
        assert len(frozen._tenancy.held) == 4

        async def expired() -> bool:
            return await leases.alive(four.ledger) == 0

        await until(expired)
        assert frozen._tenancy.held == frozenset()
        assert len(await other._tenancy.renew(keep=())) == 4
        await frozen._feeder.admit({})
        assert await sent(four) == []
        assert await frozen._ours() == []
