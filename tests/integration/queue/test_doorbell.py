"""The bell between processes: a ring ends a wait, and a missed one does no harm."""

import asyncio
import signal
import time

import pytest
import redis
import redis.asyncio

from common.queue.connections import connect_async
from common.queue.doorbell import READY, Doorbell, ring
from tests.integration.queue.conftest import PATIENCE, Valkey, eventually, free_port


async def test_a_ring_ends_a_wait(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY) as bell:
        waiting = asyncio.create_task(bell.wait(PATIENCE))
        await ring(client, READY)
        assert await waiting


async def test_without_a_ring_the_wait_ends_by_itself(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY) as bell:
        assert not await bell.wait(0.05)


async def test_a_ring_between_two_waits_counts_once(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY) as bell:
        await ring(client, READY)
        assert await bell.wait(PATIENCE)
        assert not await bell.wait(0.05)


async def test_another_bell_is_not_heard(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY) as bell:
        await ring(client, "another")
        assert not await bell.wait(0.05)


async def test_every_listener_hears_a_ring(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY) as first, Doorbell(client, READY) as second:
        await ring(client, READY)
        assert await first.wait(PATIENCE)
        assert await second.wait(PATIENCE)


async def test_ringing_without_redis_is_no_error() -> None:
    absent = connect_async(f"redis://127.0.0.1:{free_port()}/0")
    await ring(absent, READY)
    await absent.aclose()


async def test_a_listener_without_redis_waits_in_vain_and_hears_when_redis_is_back(own_valkey: Valkey) -> None:
    own_valkey.end()
    client = connect_async(own_valkey.url)
    async with Doorbell(client, READY) as bell:
        assert not await bell.wait(0.05)
        await asyncio.to_thread(own_valkey.start)
        # The first connection counts as a ring: what was rung before it could not be heard.
        assert await bell.wait(PATIENCE)
        await ring(client, READY)
        assert await bell.wait(PATIENCE)
    await client.aclose()


async def test_a_lost_connection_counts_as_a_ring_when_it_is_back(own_valkey: Valkey) -> None:
    client = connect_async(own_valkey.url)
    async with Doorbell(client, READY) as bell:
        await asyncio.to_thread(own_valkey.end, signal.SIGKILL)
        await asyncio.to_thread(own_valkey.start)
        assert await bell.wait(PATIENCE)
    await client.aclose()


async def test_leaving_ends_the_subscription(client: redis.asyncio.Redis, url: str) -> None:
    async with Doorbell(client, READY):
        pass
    with redis.Redis.from_url(url) as other:
        await eventually(lambda: other.publish("avtalsmotor:bell:ready", "") == 0)


async def test_leaving_does_not_wait_for_a_message(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY):
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE / 2


async def test_a_wait_that_is_cancelled_just_as_it_rings_is_cancelled(client: redis.asyncio.Redis) -> None:
    async with Doorbell(client, READY) as bell:
        waiting = asyncio.create_task(bell.wait(PATIENCE))
        await asyncio.sleep(0.01)
        bell._rung.set()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
