"""The ground of it all: no lost update, no repeated commit, exact instants and money, on both databases."""

import asyncio
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Connection, event, select, text, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from common.clock import STOCKHOLM, Clock
from common.ids import TenantId
from common.ledger import billings, tenants
from common.ledger.columns import Instant, Money
from common.ledger.database import NOW, Ledger, open_ledger
from common.ledger.outcomes import Refusal, Refused
from common.ledger.records import Claim
from common.ledger.schema import tenants as tenants_table
from tests.integration.ledger.story import TENANT, ask, company, one, planned, read_at


async def test_read_then_write_loses_no_update_among_tasks(ledger: Ledger) -> None:
    await company(ledger)

    def count_up(connection: Connection) -> None:
        read = select(tenants_table.c.newest_invoice).where(tenants_table.c.id == TENANT).with_for_update()
        before = connection.execute(read).scalar_one() or 0
        connection.execute(update(tenants_table).values(newest_invoice=before + 1))

    await asyncio.gather(*(ledger.transact(count_up) for _ in range(50)))
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert tenant.newest_invoice == 50


CLAIMER = """
import asyncio, sys
from pathlib import Path
from common.clock import Clock
from common.ledger import billings
from common.ledger.database import open_ledger
from common.ledger.records import Claim
from tests.integration.ledger.story import ask

async def main() -> None:
    ledger = await open_ledger(sys.argv[1], Path(), Clock())
    waiting = await billings.find(ledger)
    print("ready", flush=True)
    sys.stdin.readline()
    answers = await asyncio.gather(*(ask(ledger, billing, by=sys.argv[2]) for billing in waiting for _ in range(5)))
    print(*(answer.billing.id for answer in answers if isinstance(answer, Claim)), flush=True)
    await ledger.close()

asyncio.run(main())
"""


async def test_of_four_processes_with_twenty_tasks_exactly_one_claims_each_billing(
    ledger: Ledger, database_url: str
) -> None:
    await company(ledger)
    waiting = await planned(ledger, [1, 2, 3, 4])
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CLAIMER,
            database_url,
            f"process-{number}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    said = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    claimed = [int(word) for output, _ in said for word in output.split()]
    assert sorted(claimed) == sorted(billing.id for billing in waiting)
    for billing in waiting:
        assert len(await billings.attempts(ledger, billing.id)) == 1


async def test_a_reader_does_not_wait_for_a_writer(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)

    async def read() -> None:
        for _ in range(20):
            assert await billings.get(ledger, billing.id) is not None

    await asyncio.gather(read(), *(ask(ledger, billing) for _ in range(20)))


async def test_a_collision_before_the_commit_is_tried_again(ledger: Ledger) -> None:
    tries = []

    def collides_twice(connection: Connection) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise DBAPIError("", None, ValueError("database is locked"))
        return "through"

    assert await ledger.transact(collides_twice) == "through"


async def test_what_is_no_collision_is_not_tried_again(ledger: Ledger) -> None:
    tries = []

    def fails(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("SELECT * FROM nothing_of_that_name"))

    with pytest.raises(DBAPIError):
        await ledger.transact(fails)
    assert len(tries) == 1


async def test_a_commit_whose_answer_was_lost_is_not_repeated(ledger: Ledger) -> None:
    """The error looks like a collision, but comes from the commit: only the caller can say what follows from that."""
    tries = []

    def commit_is_lost(_connection: Connection) -> None:
        raise DBAPIError("COMMIT", None, ValueError("database is locked"))

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(update(tenants_table).values(name="x"))
        event.listen(connection, "commit", commit_is_lost, once=True)

    with pytest.raises(DBAPIError, match="database is locked"):
        await ledger.transact(work)
    assert len(tries) == 1


async def test_connections_that_the_server_has_cut_are_replaced_unseen(postgresql_url: str, tmp_path: Path) -> None:
    ledger = await open_ledger(postgresql_url, tmp_path, Clock())
    await company(ledger)
    billing = await one(ledger)

    async def cut() -> None:
        connection = await asyncpg.connect(postgresql_url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()

    await cut()
    assert await billings.get(ledger, billing.id) == billing
    await cut()
    assert isinstance(await ask(ledger, billing), Claim)
    await ledger.close()


async def test_a_transaction_that_fails_changes_nothing(ledger: Ledger) -> None:
    await company(ledger)

    def fails(connection: Connection) -> None:
        connection.execute(update(tenants_table).values(name="changed"))
        raise KeyError

    with pytest.raises(KeyError):
        await ledger.transact(fails)
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert tenant.name != "changed"


async def test_on_sqlite_a_writing_transaction_holds_the_lock_before_its_first_read(
    sqlite_url: str, tmp_path: Path
) -> None:
    """Begun any later, it would read what another is about to change."""
    ledger = await open_ledger(sqlite_url, tmp_path, Clock())

    def another_tries(_connection: Connection) -> None:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        await ledger.transact(another_tries)
    await ledger.read(another_tries)
    await ledger.close()


async def test_sqlite_is_set_to_lose_nothing(sqlite_url: str, tmp_path: Path) -> None:
    ledger = await open_ledger(sqlite_url, tmp_path, Clock())

    def settings(connection: Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in names}

    for found in (await ledger.transact(settings), await ledger.read(settings)):
        assert (found["journal_mode"], found["synchronous"], found["foreign_keys"]) == ("wal", 2, 1)
        assert int(str(found["busy_timeout"])) >= 5000
    await ledger.close()


async def test_postgresql_is_set_to_lose_nothing(postgresql_url: str, tmp_path: Path) -> None:
    ledger = await open_ledger(postgresql_url, tmp_path, Clock())

    def settings(connection: Connection) -> tuple[object, object]:
        show = (
            connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("synchronous_commit", "transaction_isolation")
        )
        return next(show), next(show)

    assert await ledger.transact(settings) == ("on", "read committed")
    await ledger.close()


async def test_now_is_the_databases_clock_moved_by_the_shift(ledger: Ledger, clock: Clock) -> None:
    before = datetime.now(UTC)
    assert abs(await ledger.now() - before) < timedelta(seconds=5)
    clock.shift = timedelta(days=-3, microseconds=7)
    assert abs(await ledger.now() - before - clock.shift) < timedelta(seconds=5)


async def test_now_is_the_time_of_day_and_finer_than_a_second(ledger: Ledger) -> None:
    """Not that it never runs backwards: the machine's clock is set back at times, and both databases follow it."""
    before, first = datetime.now(UTC), await ledger.now()
    # A whole second of either clock's being set is allowed for.
    assert abs((first - before).total_seconds()) < 1 + (datetime.now(UTC) - before).total_seconds()
    looked_until = time.monotonic() + 2
    while (await ledger.now()).microsecond == first.microsecond:
        assert time.monotonic() < looked_until, "the database's clock has whole seconds"


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 5, 1, 8, 30, 15, 123456, tzinfo=UTC),
        datetime(2026, 10, 25, 2, 30, tzinfo=STOCKHOLM, fold=1),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
async def test_an_instant_is_kept_to_the_microsecond_and_comes_back_in_utc(ledger: Ledger, instant: datetime) -> None:
    await company(ledger)
    await ledger.transact(lambda connection: connection.execute(update(tenants_table).values(listed_at=instant)))
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert tenant.listed_at == instant.astimezone(UTC)
    assert tenant.listed_at.tzinfo is UTC


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="must be aware"):
        Instant().process_bind_param(datetime(2026, 5, 1), None)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("amount", "kept"),
    [
        ("0", "0.00"),
        ("0.1", "0.10"),
        ("-1234567.89", "-1234567.89"),
        ("999999999999.999999", "999999999999.999999"),
        ("10.125", "10.125"),
        ("0.30000000000000004", "0.30"),
    ],
)
def test_money_is_kept_exactly_without_the_noise_of_a_double(amount: str, kept: str) -> None:
    stored = Money().process_bind_param(Decimal(amount), None)  # type: ignore[arg-type]
    assert isinstance(stored, int)
    assert str(Money().process_result_value(stored, None)) == kept  # type: ignore[arg-type]


async def test_the_statement_of_now_uses_no_clock_of_ours(ledger: Ledger) -> None:
    """Leases of workers on several machines are compared by one clock."""
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await ledger.fetch(select(NOW), ledger.shift)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert any("julianday('now')" in statement or "statement_timestamp()" in statement for statement in statements)


async def test_companies_of_many_tasks_are_served_side_by_side(ledger: Ledger) -> None:
    ids = [TenantId(number) for number in range(1, 21)]
    for tenant in ids:
        await company(ledger, tenant)
    waiting = [await one(ledger, tenant=tenant) for tenant in ids]
    answers = await asyncio.gather(*(ask(ledger, billing) for billing in waiting for _ in range(2)))
    assert sum(isinstance(answer, Claim) for answer in answers) == len(ids)
    assert {answer.why for answer in answers if isinstance(answer, Refused)} == {Refusal.TAKEN}
    assert read_at() < await ledger.now()


async def test_who_only_reads_on_postgresql_may_take_long_over_it_and_holds_nothing(
    postgresql_url: str, tmp_path: Path
) -> None:
    ledger = await open_ledger(postgresql_url, tmp_path, Clock(), migrate=True)

    def began(connection: Connection) -> set[datetime]:
        # In a transaction it is when that began, so that the server's limit for standing still in one would count.
        return {connection.execute(text("SELECT transaction_timestamp()")).scalar_one() for _ in range(3)}

    try:
        assert len(await ledger.read(began)) == 3
        assert len(await ledger.transact(began)) == 1
        assert len(await ledger.read(began)) == 3
    finally:
        await ledger.close()
