"""What SIGTERM does to each role, as processes of their own: calls are finished, everything else goes back at once."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping, Sequence

import psutil
import pytest
import redis
from redis.asyncio import Redis

from avtalsmotor.processes import ROLES
from common.ids import TenantId
from common.ledger import billings, tenants
from common.ledger.database import Ledger
from common.ledger.records import Attempt, Billing
from common.queue.connections import connect_async
from common.queue.depth import depths
from common.queue.messages import CreateInvoice
from common.rules.states import Status, Step
from tests.roles import company, environment_for, made, roles, until
from tests.sandboxes import Sandbox
from tests.valkeys import valkey

BJORK = 600_001
CREATE = "/3/contracts/*/createinvoice"
SECONDS = 10.0
"""In which a role that waits for nothing has stopped, beside much other work; two at most on an idle machine."""


async def called(sandbox: Sandbox) -> bool:
    """Whether an invoice is being asked for."""
    return bool(await sandbox.requests(f"path={CREATE}"))


async def the_one(ledger: Ledger) -> tuple[Billing, list[Attempt]]:
    (billing,) = await billings.find(ledger)
    return billing, list(await billings.attempts(ledger, billing.id))


async def on_the_queue(queues: Redis) -> tuple[int, int]:
    """How many creates wait, and how many are in somebody's hands."""
    (found,) = await depths(queues, [CreateInvoice.queue])
    return found.ready, found.in_flight


async def test_an_idle_worker_ends_in_seconds(ledger: Ledger, environment: Mapping[str, str]) -> None:
    async with roles(environment, ("work", "all")) as (worker,):
        await worker.is_up()
        worker.process.terminate()
        assert await worker.ended() < SECONDS
        assert worker.process.returncode == 0
        assert worker.says("worker_stopped")


async def test_a_worker_in_the_middle_of_a_call_stores_its_outcome_and_ends(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", path=CREATE, seconds=3.0)
    async with roles(environment, ("produce",), ("work", "invoicing")) as (_, worker):
        await until(lambda: called(sandbox))
        worker.process.terminate()
        assert await worker.ended() < 3.0 + SECONDS
        assert worker.process.returncode == 0
        billing, (attempt,) = await the_one(ledger)
    assert (attempt.verdict, attempt.http_status) == ("acted", 200)
    assert billing.status is not Status.CLAIMED
    assert made(sandbox, BJORK) == [(1, "2026-01-01")]


async def test_a_call_that_hangs_is_waited_for_until_its_time_is_up_and_is_then_a_doubt(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", path=CREATE, seconds=60.0)
    async with roles(environment_for(environment, CALL_TIMEOUT="3"), ("produce",), ("work", "invoicing")) as (
        _,
        worker,
    ):
        await until(lambda: called(sandbox))
        worker.process.terminate()
        assert await worker.ended() < 3.0 + SECONDS
        billing, (attempt,) = await the_one(ledger)
    assert billing.status is Status.IN_DOUBT
    assert attempt.verdict is None


async def test_a_worker_told_twice_does_not_wait_for_the_call_and_leaves_it_as_a_doubt(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", path=CREATE, seconds=4.5, times=1)
    hasty = environment_for(environment, CALL_TIMEOUT="5", LEASE_MARGIN="1", SETTLE="5")

    async def done() -> bool:
        return (await the_one(ledger))[0].status is Status.DONE

    async with roles(hasty, ("produce",), ("work", "invoicing")) as (_, worker):
        await until(lambda: called(sandbox))
        worker.process.terminate()
        worker.process.send_signal(signal.SIGINT)
        assert await worker.ended() < 3.0
        billing, (attempt,) = await the_one(ledger)
        assert (billing.status, attempt.verdict) == (Status.CLAIMED, None)
        # Its lease runs out, and what Fortnox shows decides.
        async with roles(hasty, ("work", "all")):
            await until(done)
    assert made(sandbox, BJORK) == [(1, "2026-01-01")]
    assert len(await sandbox.requests(f"path={CREATE}")) == 1


async def test_what_a_worker_has_fetched_and_not_claimed_is_back_on_its_queue_before_it_has_ended(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, queues: Redis
) -> None:
    """One call hangs, so the worker goes on for a while; three others are still reading, with a hang of their own."""
    await company(ledger, sandbox, BJORK)
    others = [await company(ledger, sandbox, tenant) for tenant in range(BJORK + 1, BJORK + 4)]
    await sandbox.fault(kind="delay", path=CREATE, seconds=6.0, tenant=BJORK)
    for tenant in others:
        await sandbox.fault(kind="delay", method="GET", path="/3/contracts/*", seconds=60.0, tenant=tenant, times=1)
    # Every contract is read by itself before it is called.
    stale = environment_for(environment, FRESH_SECONDS="0.01", POLL_INTERVAL="600")

    async def all_in_hand() -> bool:
        reading = await sandbox.requests("path=/3/contracts/*&method=GET")
        return await called(sandbox) and {one["tenant"] for one in reading} >= set(others)

    async def back() -> bool:
        return await on_the_queue(queues) == (3, 1)

    async def made_by_another() -> bool:
        return all(made(sandbox, tenant) for tenant in others)

    async with roles(stale, ("produce",), ("work", "invoicing")) as (_, worker):
        await until(all_in_hand)
        worker.process.terminate()
        await until(back, within=SECONDS)
        assert worker.process.returncode is None
        async with roles(stale, ("work", "invoicing")):
            await until(made_by_another)
        await worker.ended()
    assert [made(sandbox, tenant) for tenant in (BJORK, *others)] == [[(1, "2026-01-01")]] * 4
    assert len(await sandbox.requests(f"path={CREATE}")) == 4


async def test_a_worker_whose_redis_is_gone_stores_its_outcome_and_ends_in_seconds(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", path=CREATE, seconds=2.0)
    with valkey() as url:
        async with (
            roles(environment_for(environment, REDIS_URL=url), ("produce",), ("work", "invoicing")) as (_, worker),
            connect_async(url) as queues,
        ):
            await until(lambda: called(sandbox))
            with contextlib.suppress(redis.ConnectionError):
                await queues.shutdown(nosave=True)
            worker.process.terminate()
            assert await worker.ended() < 2.0 + SECONDS
            _, (attempt,) = await the_one(ledger)
    assert attempt.verdict == "acted"


@pytest.mark.parametrize("listing", [0.0, 60.0], ids=["idle", "listing"])
async def test_a_producer_gives_its_companies_back_and_ends_in_seconds(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, listing: float
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", path="/3/contracts", seconds=listing)

    async def has_asked() -> bool:
        return bool(await sandbox.requests("path=/3/contracts"))

    async with roles(environment, ("produce",)) as (producer,):
        await until(has_asked)
        producer.process.terminate()
        assert await producer.ended() < SECONDS
        assert producer.process.returncode == 0
    found = await tenants.get(ledger, TenantId(BJORK))
    assert found is not None
    assert found.leased_by is None


def offspring(pid: int) -> Sequence[psutil.Process]:
    return list(psutil.Process(pid).children(recursive=True))


@pytest.mark.parametrize("times", [1, 2], ids=["told once", "told twice"])
async def test_everything_that_runs_on_one_machine_ends_together(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, times: int
) -> None:
    await company(ledger, sandbox, BJORK)
    await sandbox.fault(kind="delay", path=CREATE, seconds=4.0 if times == 1 else 25.0)
    embedded = environment_for(environment, REDIS_URL="")
    async with roles(embedded, ("up",)) as (up,):
        await until(lambda: called(sandbox))
        roles_of_it = offspring(up.pid)
        assert len(roles_of_it) == 1 + len(ROLES)  # the embedded server, too
        began = time.monotonic()
        up.process.terminate()
        if times == 2:
            await asyncio.to_thread(psutil.wait_procs, roles_of_it, 1.5)
            up.process.terminate()
        await up.ended()
        took = time.monotonic() - began
        assert up.process.returncode == 0
        assert [one for one in roles_of_it if one.is_running()] == []
    billing, (attempt,) = await the_one(ledger)
    assert billing.step is Step.CREATE
    if times == 1:
        assert attempt.verdict == "acted"
        assert took < 4.0 + SECONDS
    else:
        assert (billing.status, attempt.verdict) == (Status.CLAIMED, None)
        assert took < 1.5 + SECONDS
