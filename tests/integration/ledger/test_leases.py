"""Several producers share the companies: each company is one producer's, and none is nobody's for long."""

import asyncio
import signal
import sys
from collections.abc import Collection
from datetime import timedelta

import pytest

from common.ids import TenantId
from common.ledger import billings, leases, tenants
from common.ledger.database import Ledger
from common.ledger.leases import share
from tests.integration.ledger.story import TENANT, company, one

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=50)


async def companies(ledger: Ledger, number: int) -> set[TenantId]:
    ids = {TenantId(tenant) for tenant in range(1, number + 1)}
    for tenant in ids:
        await tenants.add(ledger, tenant, f"Bolaget {tenant} AB", "anna")
    return ids


async def renew(ledger: Ledger, producer: str, lease: timedelta = LONG, keep: Collection[TenantId] = ()) -> set[int]:
    return set(await leases.renew(ledger, producer, lease, keep))


async def until_dead(ledger: Ledger, producers: int) -> None:
    """Until no more than so many live."""
    async with asyncio.timeout(60):
        while await leases.alive(ledger) > producers:  # noqa: ASYNC110 - it is the database's clock that goes on
            await asyncio.sleep(0.01)


async def test_one_producer_has_all_companies_at_once(ledger: Ledger) -> None:
    everybody = await companies(ledger, 5)
    assert await renew(ledger, "a") == everybody
    assert await renew(ledger, "a") == everybody


async def test_a_newcomer_gets_its_share_as_the_others_give_back(ledger: Ledger) -> None:
    everybody = await companies(ledger, 5)
    await renew(ledger, "a")
    assert await renew(ledger, "b") == set()
    first = await renew(ledger, "a")
    second = await renew(ledger, "b")
    assert (len(first), len(second)) == (3, 2)
    assert first | second == everybody
    # And so it stays.
    assert (await renew(ledger, "a"), await renew(ledger, "b")) == (first, second)


async def test_what_a_producer_is_in_the_middle_of_it_gives_back_later(ledger: Ledger) -> None:
    everybody = await companies(ledger, 4)
    await renew(ledger, "a")
    await renew(ledger, "b")
    assert await renew(ledger, "a", keep=everybody) == everybody
    assert await renew(ledger, "b") == set()
    assert len(await renew(ledger, "a")) == 2


async def test_what_a_killed_producer_had_is_taken_when_its_lease_is_over(ledger: Ledger) -> None:
    everybody = await companies(ledger, 4)
    await renew(ledger, "killed", SHORT)
    await until_dead(ledger, 0)
    assert await renew(ledger, "b") == everybody


async def test_a_producer_that_comes_back_has_nothing_that_another_has_taken(ledger: Ledger) -> None:
    await companies(ledger, 4)
    await renew(ledger, "frozen", SHORT)
    await until_dead(ledger, 0)
    await renew(ledger, "b")
    assert await renew(ledger, "frozen") == set()
    assert len(await renew(ledger, "b")) == 2
    assert len(await renew(ledger, "frozen")) == 2


async def test_a_producer_that_stops_gives_all_back_at_once(ledger: Ledger) -> None:
    everybody = await companies(ledger, 4)
    await renew(ledger, "a")
    await leases.give_back(ledger, "a")
    assert await leases.alive(ledger) == 0
    assert await renew(ledger, "b") == everybody


async def test_many_at_once_take_no_company_twice(ledger: Ledger) -> None:
    everybody = await companies(ledger, 7)
    names = ["a", "b", "c"]
    for _ in range(3):
        had = await asyncio.gather(*(renew(ledger, name) for name in names))
        assert sum(map(len, had)) == len(set().union(*had))
    assert set().union(*had) == everybody
    assert sorted(map(len, had)) == [2, 2, 3]


async def test_only_what_a_living_producer_has_is_ready_for_it(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)

    async def ready(producer: str) -> list[int]:
        return [found.id for found in await billings.ready(ledger, per_tenant=5, producer=producer)]

    assert await ready("a") == []
    assert await renew(ledger, "a") == {TENANT}
    assert await ready("a") == [billing.id]
    assert await ready("b") == []
    await renew(ledger, "a", SHORT)
    await until_dead(ledger, 0)
    assert await ready("a") == []


@pytest.mark.parametrize(("companies", "producers"), [(0, 1), (1, 3), (7, 3), (1000, 7), (5, 5)])
def test_the_shares_cover_everything_and_differ_by_one_at_most(companies: int, producers: int) -> None:
    shares = [share(rank, producers, companies) for rank in range(producers)]
    assert sum(shares) == companies
    assert max(shares) - min(shares) <= 1


FROZEN = """
import asyncio, os, signal, sys
from pathlib import Path
from sqlalchemy import Connection, update
from common.clock import Clock
from common.ledger.database import open_ledger
from common.ledger.schema import tenants

tries = 0

def rename(connection: Connection) -> None:
    global tries
    tries += 1
    for half in (1, 2):
        connection.execute(update(tenants).values(name=f"half {half} of try {tries}"))
        if half == tries == 1:
            print("in the middle", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)

async def main() -> None:
    ledger = await open_ledger(sys.argv[1], Path(), Clock())
    await ledger.transact(rename)
    await ledger.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_process_that_is_frozen_in_mid_transaction_holds_the_others_up_for_seconds_only(
    ledger: Ledger, database_url: str
) -> None:
    everybody = await companies(ledger, 2)
    frozen = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN, database_url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert frozen.stdout is not None
        assert await frozen.stdout.readline() == b"in the middle\n"
        async with asyncio.timeout(30):
            assert await renew(ledger, "a") == everybody
        # What it was in the middle of was undone, and is done as a whole when it thaws.
        assert {tenant.name for tenant in await tenants.every(ledger)} == {f"Bolaget {one} AB" for one in everybody}
        frozen.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(frozen.wait(), 60) == 0
        assert {tenant.name for tenant in await tenants.every(ledger)} == {"half 2 of try 2"}
    finally:
        if frozen.returncode is None:
            frozen.kill()
            await frozen.wait()
