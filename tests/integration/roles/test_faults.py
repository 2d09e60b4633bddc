"""Faults of the transport at their real pace: what was on its way goes on within the time that docs/queue.md gives.

The same faults, one by one and at a faster pace, are in tests/integration/queue/test_broker.py.
"""

import time
from collections.abc import Iterator, Mapping

import pytest
from redis.asyncio import Redis

from common.ledger.database import Ledger
from common.queue.broker import HEARTBEAT_TIMEOUT
from common.queue.depth import depths
from common.queue.messages import CreateInvoice
from producers.feeder import MESSAGE_LOST_AFTER
from producers.run import FEED_AT_LEAST_EVERY
from tests.integration.queue.conftest import Wire
from tests.roles import company, environment_for, made, roles, until
from tests.sandboxes import Sandbox

BJORK = 600_001
CREATE = "/3/contracts/*/createinvoice"

LATE = 8.0
"""Seconds that a machine which is busy with other things may add to any of the times."""

CONSUMER_RESTARTS_AFTER = 3.0
"""Seconds: Dramatiq's own, after a lost connection."""


@pytest.fixture
def wire(redis_url: str) -> Iterator[Wire]:
    wire = Wire(redis_url)
    yield wire
    wire.close()


async def waits(queues: Redis, messages: int) -> bool:
    """Whether so many creates wait on their queue."""
    return sum(one.ready for one in await depths(queues) if one.queue == CreateInvoice.queue) == messages


async def is_made(sandbox: Sandbox) -> bool:
    return bool(made(sandbox, BJORK))


async def is_cut(wire: Wire) -> bool:
    return wire.cut_at is None


async def calls(sandbox: Sandbox) -> int:
    return len(await sandbox.requests(f"path={CREATE}"))


async def test_messages_that_were_wiped_with_redis_are_sent_again_by_the_feeder(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, queues: Redis
) -> None:
    await company(ledger, sandbox, BJORK)
    async with roles(environment, ("produce",)) as (producer,):
        await until(lambda: waits(queues, 1))
        await queues.flushall()
        wiped = time.monotonic()
        await until(lambda: waits(queues, 1))
        assert time.monotonic() - wiped < MESSAGE_LOST_AFTER * 1.2 + FEED_AT_LEAST_EVERY + LATE
        assert producer.says("messages_lost")
        async with roles(environment, ("work", "invoicing")):
            await until(lambda: is_made(sandbox))
    assert await calls(sandbox) == 1


async def test_messages_whose_enqueueing_was_never_answered_are_sent_again_in_the_feeders_next_round(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, queues: Redis, wire: Wire
) -> None:
    through_wire = environment_for(environment, REDIS_URL=wire.url)
    async with roles(through_wire, ("produce",)) as (producer,):
        await producer.is_up()
        wire.cut_at = b"QUEUED"
        await company(ledger, sandbox, BJORK)
        await until(lambda: is_cut(wire))
        lost = time.monotonic()
        # Once by the request whose answer was lost, and once more.
        await until(lambda: waits(queues, 2))
        assert time.monotonic() - lost < FEED_AT_LEAST_EVERY + LATE
        async with roles(environment, ("work", "invoicing")):
            await until(lambda: is_made(sandbox))
            await until(lambda: waits(queues, 0))
    assert await calls(sandbox) == 1


async def test_messages_whose_fetch_was_never_answered_are_begun_by_the_same_worker(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, wire: Wire
) -> None:
    await company(ledger, sandbox, BJORK)
    wire.cut_at = b"redis_message_id"
    async with roles(environment_for(environment, REDIS_URL=wire.url), ("work", "invoicing")) as (worker,):
        await worker.is_up()
        async with roles(environment, ("produce",)):
            await until(lambda: is_cut(wire))
            lost = time.monotonic()
            await until(lambda: is_made(sandbox))
            assert time.monotonic() - lost < CONSUMER_RESTARTS_AFTER + LATE
    assert worker.says("stranded_message_put_back")
    assert await calls(sandbox) == 1


async def test_messages_of_a_killed_worker_are_another_ones_when_its_heartbeat_is_missed(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", method="GET", path="/3/contracts/*", seconds=60.0, times=1)
    # The contract is read by itself before it is called, and the first reader waits.
    stale = environment_for(environment, FRESH_SECONDS="0.01", POLL_INTERVAL="600")

    async def is_read() -> bool:
        return bool(await sandbox.requests("path=/3/contracts/*&method=GET"))

    async with roles(stale, ("produce",), ("work", "invoicing")) as (_, doomed):
        await until(is_read)
        doomed.process.kill()
        struck = time.monotonic()
        async with roles(stale, ("work", "invoicing")):
            await until(lambda: is_made(sandbox))
        assert time.monotonic() - struck < HEARTBEAT_TIMEOUT.total_seconds() + 1.0 + LATE
    assert await calls(sandbox) == 1
