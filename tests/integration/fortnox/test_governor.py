"""No more than 25 requests in any window, first come first served, in all processes together."""

import asyncio
import itertools
import multiprocessing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from avtalsmotor.embedded import EmbeddedServer
from common.clock import boottime
from common.fortnox.errors import GovernorUnreachable, NoSlot
from common.fortnox.governor import Governor, governor_redis, governor_url
from common.ids import TenantId
from tests.integration.fortnox.conftest import TENANT
from tests.integration.fortnox.wire import closed_port

OTHER = TenantId(1002)
PATIENT = 60.0
SHORT = 1.05
"""A window for what is watched in real time, in which it may last; 25 a second are let through then."""
STRICT = 1.0


@pytest.fixture
async def governor(redis: Redis) -> Governor:
    governor = Governor(redis, "client")
    await governor.vouch()
    return governor


async def take(governor: Governor, count: int, tenant: TenantId = TENANT) -> list[float]:
    return [(await governor.slot(tenant, PATIENT)).wait for _ in range(count)]


class Grant(NamedTuple):
    """When a slot was asked for and answered, by this machine's clock, and the wait that came back."""

    asked: float
    answered: float
    wait: float

    @property
    def earliest(self) -> float:
        return self.asked + self.wait

    @property
    def latest(self) -> float:
        return self.answered + self.wait


def hammer(redis_url: str, tasks: int, seconds: float, start: Barrier, grants: "Queue[list[Grant]]") -> None:
    """One process of many: each of its tasks takes one slot after the other, and waits for each."""

    async def taking(governor: Governor, until: float, taken: list[Grant]) -> None:
        while (asked := boottime()) < until:
            wait = (await governor.slot(TENANT, PATIENT)).wait
            taken.append(Grant(asked, boottime(), wait))
            await asyncio.sleep(min(wait, until - asked))

    async def main() -> list[Grant]:
        client = governor_redis(redis_url)
        try:
            governor, taken = Governor(client, "client", SHORT), list[Grant]()
            await asyncio.to_thread(start.wait)
            until = boottime() + seconds
            await asyncio.gather(*(taking(governor, until, taken) for _ in range(tasks)))
            return taken
        finally:
            await client.aclose()

    grants.put(asyncio.run(main()))


async def hammered(redis_url: str, processes: int, tasks: int, seconds: float) -> list[Grant]:
    spawn = multiprocessing.get_context("spawn")
    grants: Queue[list[Grant]] = spawn.Queue()
    start = spawn.Barrier(processes)
    running = [spawn.Process(target=hammer, args=(redis_url, tasks, seconds, start, grants)) for _ in range(processes)]
    for process in running:
        process.start()
    taken = [grant for _ in running for grant in await asyncio.to_thread(grants.get, True, 90)]
    for process in running:
        process.join()
    return taken


async def test_four_processes_share_one_window_and_are_served_in_the_order_in_which_they_come(
    redis_url: str, governor: Governor
) -> None:
    """Checked by bounds alone, without knowledge of the script: a fault that shows is one whatever the machine did."""
    taken = await hammered(redis_url, processes=4, tasks=8, seconds=1.5)

    assert len(taken) >= 50
    by_slot = sorted(taken, key=lambda grant: grant.earliest)
    for first, last in zip(by_slot, by_slot[25:], strict=False):
        assert last.latest - first.earliest >= STRICT, "26 slots within a second"
    for one, other in itertools.permutations(taken, 2):
        if one.answered < other.asked:
            assert one.earliest <= other.latest, "served before one that came earlier"


async def test_25_slots_are_free_at_once_and_the_next_a_window_later(governor: Governor) -> None:
    waits = await take(governor, 26)

    assert waits[:25] == [0.0] * 25
    assert 4.0 < waits[25] <= 5.25


async def test_slots_are_handed_out_in_the_order_in_which_they_are_asked_for(governor: Governor) -> None:
    await take(governor, 25)

    waits = await take(governor, 30)

    assert all(4.0 < wait <= 5.25 for wait in waits[:25])
    assert all(9.0 < wait <= 10.5 for wait in waits[25:])


async def test_a_slot_too_far_away_is_not_booked(governor: Governor) -> None:
    await take(governor, 25)

    with pytest.raises(NoSlot) as no_slot:
        await governor.slot(TENANT, 2.0)

    assert 4.0 < no_slot.value.wait <= 5.25
    assert await governor.room(TENANT, 6.0) == 25


async def test_tenants_do_not_wait_for_each_other(governor: Governor) -> None:
    await take(governor, 25)

    assert (await governor.slot(OTHER, 0)).wait == 0


async def test_clients_do_not_wait_for_each_other(redis: Redis, governor: Governor) -> None:
    await take(governor, 25)
    other = Governor(redis, "other client")
    await other.vouch()

    assert (await other.slot(TENANT, 0)).wait == 0


async def test_room_counts_what_is_left_and_books_nothing(governor: Governor) -> None:
    await take(governor, 20)

    assert await governor.room(TENANT, 2.0) == 5
    assert await governor.room(TENANT, 2.0) == 5
    assert await governor.room(TENANT, 5.3) == 30
    assert await governor.room(OTHER, 0) == 25


async def test_a_slot_that_was_spent_late_is_still_one_slot(governor: Governor) -> None:
    slot = await governor.slot(TENANT, PATIENT)
    await governor.left_late(TENANT, slot)

    assert await governor.room(TENANT, 1.0) == 24


async def test_a_throttled_tenant_gets_no_slot_in_any_process_until_the_time_has_passed(
    redis_url: str, governor: Governor
) -> None:
    second = governor_redis(redis_url)
    try:
        await governor.throttle(TENANT, 9.0)
        elsewhere = Governor(second, "client")

        assert await elsewhere.room(TENANT, 5.0) == 0
        assert 8.0 < (await elsewhere.slot(TENANT, PATIENT)).wait <= 9.0
        assert (await elsewhere.slot(OTHER, 0)).wait == 0
    finally:
        await second.aclose()


async def test_without_a_retry_after_the_pause_is_a_whole_window(governor: Governor) -> None:
    await governor.throttle(TENANT, None)

    assert 4.2 < (await governor.slot(TENANT, PATIENT)).wait <= 5.25


async def test_a_retry_after_of_zero_makes_no_storm(governor: Governor) -> None:
    await governor.throttle(TENANT, 0)

    assert 0.2 < (await governor.slot(TENANT, PATIENT)).wait <= 1.0


async def test_a_shorter_pause_does_not_cut_a_longer_one_short(governor: Governor) -> None:
    await governor.throttle(TENANT, 9.0)
    await governor.throttle(TENANT, 1.0)

    assert (await governor.slot(TENANT, PATIENT)).wait > 8.0


async def test_a_pause_does_not_forget_what_was_spent_before_it(governor: Governor) -> None:
    await take(governor, 25)
    await governor.throttle(TENANT, 1.0)

    assert (await governor.slot(TENANT, PATIENT)).wait > 4.0


async def test_a_wiped_redis_opens_no_burst(governor: Governor, redis: Redis) -> None:
    await take(governor, 25)
    await redis.flushall()

    waits = await take(governor, 26)

    assert min(waits) > 4.0
    assert waits[25] > 9.0


def test_a_redis_that_was_restarted_remembers_what_was_spent_and_costs_no_wait(tmp_path: Path) -> None:
    async def spends(redis_url: str) -> None:
        async with governor_redis(redis_url) as client:
            governor = Governor(client, "client", window=50)
            await governor.vouch()
            await take(governor, 20)

    async def waits(redis_url: str) -> list[float]:
        async with governor_redis(redis_url) as client:
            return await take(Governor(client, "client", window=50), 6)

    with EmbeddedServer(tmp_path) as server:
        asyncio.run(spends(server.url))
    with EmbeddedServer(tmp_path) as server:
        later = asyncio.run(waits(server.url))

    assert later[:5] == [0.0] * 5
    assert later[5] > 20.0


async def test_after_a_wipe_also_a_tenant_seen_later_in_the_window_waits_it_out(
    governor: Governor, redis: Redis
) -> None:
    await redis.flushall()
    await governor.slot(TENANT, PATIENT)

    assert (await governor.slot(OTHER, PATIENT)).wait > 4.0


async def test_an_idle_tenant_is_not_taken_for_one_of_a_wiped_redis(governor: Governor, redis: Redis) -> None:
    await take(governor, 3)
    await redis.delete("governor:{client}:1001:slots")

    assert (await governor.slot(TENANT, 0)).wait == 0


async def test_what_can_hold_nothing_back_any_more_is_forgotten(governor: Governor, redis: Redis) -> None:
    await take(governor, 26)
    await governor.throttle(TENANT, 2.0)

    slots, throttled = "governor:{client}:1001:slots", "governor:{client}:1001:throttled"
    assert 10_000 < await redis.pttl(slots) < 13_000
    assert 0 < await redis.pttl(throttled) < 2_100
    assert await redis.pttl("governor:{client}:epoch") == -1


async def test_a_script_that_redis_has_forgotten_is_sent_again(governor: Governor, redis: Redis) -> None:
    await take(governor, 1)
    await redis.script_flush()

    assert (await governor.slot(TENANT, 0)).wait == 0


async def test_without_redis_nobody_gets_a_slot() -> None:
    client = governor_redis(f"redis://127.0.0.1:{closed_port()}/0")
    try:
        with pytest.raises(GovernorUnreachable, match="AVTALSMOTOR_REDIS_URL"):
            await Governor(client, "client").slot(TENANT, 1)
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    ("broker", "governor"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/1"),
        ("redis://localhost:6379", "redis://localhost:6379/1"),
        ("redis://localhost:6379/", "redis://localhost:6379/1"),
        ("rediss://:secret@host:6380/3", "rediss://:secret@host:6380/4"),
        ("redis://host?db=2", "redis://host?db=3"),
        ("redis://host/2?protocol=3", "redis://host/3?protocol=3"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock?db=1"),
    ],
)
def test_the_governor_has_the_database_after_the_brokers(broker: str, governor: str) -> None:
    assert governor_url(broker) == governor
