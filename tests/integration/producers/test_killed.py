"""Roles as processes of their own that are killed or frozen at work: others take over, and nothing is done twice."""

import contextlib
import itertools
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from common.clock import Clock
from common.ids import TenantId
from common.ledger import billings, policies, tenants
from common.ledger.database import Ledger, open_ledger
from common.rules.policy import PolicyChoice
from common.rules.states import Status
from sandbox.books import By
from tests.databases import database_url, postgresql_url
from tests.roles import Role, environment_for, roles, until
from tests.roles import environment as common_environment
from tests.sandboxes import Sandbox, sandbox

__all__ = ["common_environment", "database_url", "postgresql_url", "sandbox"]

COMPANIES = range(600_001, 600_007)
LEASE = 4.0
INTERVAL = 3.0


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await open_ledger(database_url, tmp_path, Clock())
    yield opened
    await opened.close()


@pytest.fixture
def environment(common_environment: Mapping[str, str]) -> Mapping[str, str]:
    return environment_for(common_environment, POLL_INTERVAL=repr(INTERVAL), PRODUCER_LEASE=repr(LEASE))


async def listings(sandbox: Sandbox) -> Mapping[int, list[float]]:
    """When each company's contracts were listed."""
    found: dict[int, list[float]] = defaultdict(list)
    for one in await sandbox.requests("path=/3/contracts"):
        found[one["tenant"]].append(one["arrived"])
    return found


async def holders(ledger: Ledger) -> int:
    """How many producers have the companies; 0 while some company is nobody's."""
    found = {one.leased_by for one in await tenants.every(ledger)}
    return 0 if None in found else len(found)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_the_companies_of_a_producer_that_falls_silent_are_the_others_and_nothing_is_listed_twice(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, database_url: str, blow: signal.Signals
) -> None:
    two = COMPANIES[:2]
    for tenant in two:
        await sandbox.company(tenant)
        await sandbox.contract(tenant)
        await tenants.add(ledger, TenantId(tenant), "Björks Data AB", "test")

    async def shared() -> bool:
        return await holders(ledger) == 2 and len(await listings(sandbox)) == 2

    async def one_has_all() -> bool:
        return await holders(ledger) == 1

    async def listed_again(company: int, times: int) -> bool:
        return len((await listings(sandbox))[company]) >= times

    async with roles(environment, ("produce",), ("produce",)) as (first, _):
        await until(shared)
        # Struck between two listings: what is on its way to Fortnox nobody can call back.
        (company,) = [
            one.id for one in await tenants.every(ledger) if one.leased_by and f":{first.pid}:" in one.leased_by
        ]
        listed = len((await listings(sandbox))[company])
        await until(lambda: listed_again(company, listed + 1))
        await until(lambda: is_noted(ledger, company))
        await strike(first, blow, database_url)
        struck = time.monotonic()
        await until(one_has_all)
        assert time.monotonic() - struck < 10
        for tenant in two:
            listed = len((await listings(sandbox))[tenant])
            await until(partial(listed_again, tenant, listed + 2))
        if blow is signal.SIGSTOP:
            first.process.send_signal(signal.SIGCONT)
            await until(shared)
            for tenant in two:
                listed = len((await listings(sandbox))[tenant])
                await until(partial(listed_again, tenant, listed + 2))
    for times in (await listings(sandbox)).values():
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        # Of two that list in the same interval, one does so within half of it after the other.
        assert min(pauses) > INTERVAL / 2, pauses


async def strike(role: Role, blow: signal.Signals, database_url: str) -> None:
    """Kills it, or freezes it at a moment when it keeps no lock that nothing but its end would free."""
    role.process.send_signal(blow)
    keeps_locks = keeps_sqlite if database_url.startswith("sqlite:///") else keeps_postgresql
    while blow is signal.SIGSTOP and await keeps_locks(database_url):
        role.process.send_signal(signal.SIGCONT)
        await until(partial(has_let_go, keeps_locks, database_url))
        role.process.send_signal(signal.SIGSTOP)


async def has_let_go(keeps_locks: Callable[[str], Awaitable[bool]], url: str) -> bool:
    return not await keeps_locks(url)


async def keeps_sqlite(url: str) -> bool:
    """Whether somebody goes on writing: nothing frees the lock of a process that lives."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.2)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


async def keeps_postgresql(url: str) -> bool:
    """Whether somebody prepared a statement and does not run it: any other transaction is ended within seconds."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(10):
            if not await connection.fetchval(PREPARED_ONLY):
                return False
    finally:
        await connection.close()
    return True


PREPARED_ONLY = """
    SELECT count(*) FROM pg_stat_activity, pg_sleep(0.05)
    WHERE datname = current_database() AND state = 'active' AND wait_event = 'ClientRead'
"""


async def is_noted(ledger: Ledger, company: TenantId) -> bool:
    """Whether the company's last listing is long enough over for its producer to rest."""
    found = await tenants.get(ledger, company)
    assert found is not None
    assert found.listed_at is not None
    return await ledger.now() - found.listed_at > timedelta(seconds=INTERVAL / 3)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_a_killed_worker_had_fetched_and_not_called_goes_on_within_a_minute(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    for tenant in COMPANIES:
        await sandbox.company(tenant)
        for _ in range(2):
            await sandbox.contract(tenant)
        await tenants.add(ledger, TenantId(tenant), "Björks Data AB", "test")
        live = PolicyChoice(mode="live", catch_up="invoice")
        await policies.change(ledger, "tenant", live, "test", tenant=TenantId(tenant))
    # Every contract is read by itself before it is called, and the first of each company waits there.
    stale = {**environment, "AVTALSMOTOR_FRESH_SECONDS": "0.3", "AVTALSMOTOR_POLL_INTERVAL": "600"}
    await sandbox.fault(kind="delay", method="GET", path="/3/contracts/*", seconds=30.0, times=len(COMPANIES))

    async def all_in_hand() -> bool:
        return len(await sandbox.requests("path=/3/contracts/*&method=GET")) == len(COMPANIES)

    async def all_made() -> bool:
        found = await billings.find(ledger, status=Status.DONE)
        return len(found) == 2 * len(COMPANIES)

    async with roles(stale, ("produce",), ("work", "all")) as (_, worker):
        await until(all_in_hand)
        worker.process.kill()
        async with roles(stale, ("work", "all")):
            await until(all_made)
    for tenant in COMPANIES:
        made = [one for one in sandbox.world.companies[tenant].invoices.values() if one.created_by is not By.SEED]
        assert len({(one.contract_reference, one.period_start) for one in made}) == len(made) == 2
