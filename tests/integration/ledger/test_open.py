"""Opening the ledger: from nothing, by several at once, of another version, and where there is none."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from common.clock import Clock
from common.ledger import database, tenants
from common.ledger.database import Ledger, LedgerNewer, LedgerOlder, LedgerUnreachable, open_ledger
from common.ledger.schema import metadata
from tests.databases import Databases
from tests.integration.ledger.story import TENANT, company


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """A database in which nothing has been made yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
        return
    url = databases.new_postgresql(migrated=False)
    yield url
    databases.drop_postgresql(url)


async def test_a_ledger_is_made_from_nothing_and_found_again(empty_url: str, tmp_path: Path) -> None:
    ledger = await open_ledger(empty_url, tmp_path, Clock(), migrate=True)
    await company(ledger)
    await ledger.close()
    ledger = await open_ledger(empty_url, tmp_path, Clock())
    assert [tenant.id for tenant in await tenants.every(ledger)] == [TENANT]
    await ledger.close()


async def test_without_an_address_the_ledger_is_a_file_of_the_data_directory(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    ledger = await open_ledger(None, directory, Clock(), migrate=True)
    await ledger.close()
    assert (directory / "ledger.sqlite3").exists()


async def test_an_empty_database_is_not_made_into_a_ledger_unasked(empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerOlder, match=r"The ledger is empty.* It is .*\. .*run: avtalsmotor ledger migrate"):
        await open_ledger(empty_url, tmp_path, Clock())


async def test_several_processes_may_migrate_at_once(empty_url: str, tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from common.clock import Clock\n"
        "from common.ledger.database import open_ledger\n"
        "async def main():\n"
        "    await (await open_ledger(sys.argv[1], Path(), Clock(), migrate=True)).close()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_url, stderr=asyncio.subprocess.PIPE)
        for _ in range(4)
    ]
    said = [(await process.communicate())[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    ledger = await open_ledger(empty_url, tmp_path, Clock())
    await ledger.close()


@pytest.mark.parametrize("migrate", [False, True])
async def test_a_ledger_from_a_newer_version_is_refused_and_left_alone(
    ledger: Ledger, database_url: str, tmp_path: Path, migrate: bool
) -> None:
    await ledger.transact(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    )
    with pytest.raises(LedgerNewer, match=r"made by a newer version .*0999.* It is .*Start the newer version"):
        await open_ledger(database_url, tmp_path, Clock(), migrate=migrate)
    kept = await ledger.fetch(text("SELECT version_num FROM alembic_version"))
    assert [row.version_num for row in kept] == ["0999"]


async def test_a_ledger_from_an_older_version_asks_to_be_migrated(
    ledger: Ledger, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "REVISIONS", (*database.REVISIONS, "0998"))
    with pytest.raises(LedgerOlder, match=r"the schema 0001 of an older version.*avtalsmotor ledger migrate"):
        await open_ledger(database_url, tmp_path, Clock())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:hemligt@127.0.0.1:1/bok?password=hemligt",
        "postgresql+asyncpg://anna:hemligt@127.0.0.1:1/bok",
        "sqlite:////nowhere/at/all/ledger.sqlite3",
        "mysql://anna:hemligt@127.0.0.1/bok",
        "sqlite://",
        "hemligt",
    ],
)
async def test_what_cannot_be_opened_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreachable) as raised:
        await open_ledger(url, tmp_path, Clock())
    told = str(raised.value)
    assert "hemligt" not in told
    assert re.match(r"The ledger cannot be opened: .+\. It is .+\. (Check|Write) .+\.$", told), told
    assert raised.value.__cause__ is None


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite3"
    file.write_text("not a database " * 100)
    with pytest.raises(LedgerUnreachable, match="file is not a database"):
        await open_ledger(None, tmp_path, Clock())


async def test_the_migrations_make_what_the_schema_says(ledger: Ledger) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    assert await ledger.read(differences) == []


async def test_the_schema_and_the_migrations_forbid_the_same(sqlite_url: str, tmp_path: Path) -> None:
    """What alembic does not compare: the conditions of checks and partial indexes, which SQLite keeps word by word."""
    ledger = await open_ledger(sqlite_url, tmp_path, Clock())
    made = {row.name: _words(row.sql) for row in await ledger.fetch(text("SELECT name, sql FROM sqlite_master"))}

    def create_elsewhere(connection: Connection) -> dict[str, str]:
        connection.execute(text("ATTACH DATABASE ':memory:' AS elsewhere"))
        metadata.create_all(connection.execution_options(schema_translate_map={None: "elsewhere"}))
        rows = connection.execute(text("SELECT name, sql FROM elsewhere.sqlite_master"))
        return {row.name: _words(row.sql) for row in rows}

    wanted = await ledger.read(create_elsewhere)
    await ledger.close()
    for table in metadata.tables:
        assert sorted(_checks(made[table])) == sorted(_checks(wanted[table]))
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        assert made[str(index.name)].partition(" where ")[2] == wanted[str(index.name)].partition(" where ")[2]


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == database.REVISIONS


def _words(sql: str | None) -> str:
    return re.sub(r"\s+", " ", sql or "").lower()


def _checks(sql: str) -> list[str]:
    found, start = [], sql.find("check (")
    while start >= 0:
        depth, end = 0, start + len("check ")
        while True:
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
            if depth == 0:
                break
        found.append(sql[start:end].replace(" ", ""))
        start = sql.find("check (", end)
    return found
