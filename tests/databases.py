"""Ledgers for tests: a fresh, migrated one for each test, on SQLite and on PostgreSQL alike.

Import the fixtures in a conftest and name them in `__all__`: `ledger` (both databases, one after the other) with
`database_url`, `databases` and `clock`; `sqlite_url` or `postgresql_url` for a test of one of them. What is migrated is
a template, made once per session and copied for each test. A missing PostgreSQL fails its tests.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from common.clock import Clock
from common.ledger.database import Ledger, open_ledger
from tests.postgresql import shared_server

__all__ = ["clock", "database_url", "databases", "ledger", "postgresql_url", "sqlite_url"]

_TEMPLATE = "migrated"


@dataclass(frozen=True, slots=True)
class Databases:
    """The templates of the session. PostgreSQL is started by the first test that wants it."""

    directory: Path

    def new_sqlite(self, directory: Path) -> str:
        """The URL of a migrated SQLite ledger of its own in the directory."""
        template = self.directory / f"{_TEMPLATE}.sqlite3"
        if not template.exists():
            # Under another name first: another process of the session may be doing the same.
            fresh = self.directory / f"{uuid4().hex}.sqlite3"
            asyncio.run(_migrate(f"sqlite:///{fresh}"))
            fresh.rename(template)
        copy = directory / f"{uuid4().hex}.sqlite3"
        shutil.copyfile(template, copy)
        return f"sqlite:///{copy}"

    def new_postgresql(self, *, migrated: bool = True) -> str:
        """The URL of a PostgreSQL ledger of its own, to be dropped by `drop_postgresql`."""
        server = shared_server(self.directory, _prepare)
        name = f"test_{uuid4().hex}"
        template = _TEMPLATE if migrated else "template0"
        asyncio.run(_execute(server, f'CREATE DATABASE "{name}" TEMPLATE {template}'))
        return f"{server}/{name}"

    async def copy(self, url: str, directory: Path) -> str:
        """The URL of a copy of a ledger that nobody has open, as of a backup. One on PostgreSQL is the caller's to
        drop."""
        if url.startswith("sqlite:///"):
            copy = directory / f"{uuid4().hex}.sqlite3"
            shutil.copyfile(url.removeprefix("sqlite:///"), copy)
            return f"sqlite:///{copy}"
        server, original = url.rsplit("/", 1)
        name = f"test_{uuid4().hex}"
        await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{original}"')
        return f"{server}/{name}"

    def drop_postgresql(self, url: str) -> None:
        """Drops it, whoever is still connected."""
        server, name = url.rsplit("/", 1)
        asyncio.run(_execute(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """The templates of the session, shared by its test processes."""
    base = tmp_path_factory.getbasetemp()
    return Databases(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture
def clock() -> Clock:
    """The product's clock, not moved; a test may set its `shift`."""
    return Clock()


@pytest.fixture
def sqlite_url(databases: Databases, tmp_path: Path) -> str:
    """A migrated ledger on SQLite."""
    return databases.new_sqlite(tmp_path)


@pytest.fixture
def postgresql_url(databases: Databases) -> Iterator[str]:
    """A migrated ledger on PostgreSQL."""
    url = databases.new_postgresql()
    yield url
    databases.drop_postgresql(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated ledger on each of the databases."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def ledger(database_url: str, clock: Clock, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A migrated ledger, opened, on each of the databases."""
    opened = await open_ledger(database_url, tmp_path, clock)
    yield opened
    await opened.close()


def _prepare(server: str) -> None:
    asyncio.run(_execute(server, f"CREATE DATABASE {_TEMPLATE}"))
    asyncio.run(_migrate(f"{server}/{_TEMPLATE}"))


async def _migrate(url: str) -> None:
    ledger = await open_ledger(url, Path(), Clock(), migrate=True)
    await ledger.close()


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
