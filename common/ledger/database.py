"""Opens the ledger on SQLite or PostgreSQL, and gives transactions that lose no update.

Never repeats a transaction whose commit was sent: an answer lost then is for the caller to doubt, not for us to guess.
"""

# ruff: noqa: N818 - the names say what is wrong with the ledger

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Connection, bindparam, event, literal, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from common.clock import Clock
from common.ledger.columns import Instant, database_now, microseconds
from common.ledger.sqlite import connect_sqlite

T = TypeVar("T")

REVISIONS: Final = ("0001",)
"""The revisions of the schema that this version of the product knows, the newest last."""

NOW: Final[ColumnElement[int]] = database_now() + bindparam("shift", type_=Instant.impl)
"""The database's clock plus the rehearsal shift, in microseconds; a statement with it is given `Ledger.shift`."""

_WRITES = "ledger_writes"
_TRIES = 6
_MIGRATION_LOCK = 0x4176_7461  # any constant of our own, for pg_advisory_lock
_TRANSIENT_SQLSTATES = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not available


class LedgerError(Exception):
    """Something is wrong with the ledger as a whole. The message says what happened, to what, and what to do now."""


class LedgerNewer(LedgerError):
    """The ledger was made by a newer version of the product."""


class LedgerOlder(LedgerError):
    """The ledger is empty or was made by an older version, and must be migrated first."""


class LedgerUnreachable(LedgerError):
    """The database cannot be opened."""


class Ledger:
    """The open ledger. One per event loop.

    Parameters:
      engine: made by `open_ledger`.
      clock: its shift moves what counts as now; the instant itself is the database's.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite lets one connection write at a time, and waits by sleeping; within a process a queue is fairer.
        self._turn = asyncio.Lock() if self.is_sqlite else None

    @property
    def shift(self) -> dict[str, int]:
        """The parameter of a statement that uses `NOW`."""
        return {"shift": microseconds(self.clock.shift)}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction: commits at the end of the block, rolls back on an exception."""
        if self._turn is None:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._turn, self.engine.connect() as connection:
            connection = await connection.execution_options(**{_WRITES: True})
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A reading transaction: one consistent view on SQLite, READ COMMITTED on PostgreSQL."""
        async with self.engine.connect() as connection:
            yield connection

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `work` in a writing transaction; again from its beginning when the database says that it collided.

        `work` must do nothing but read and write through the connection. What fails at the commit is not run again.
        """
        for tried in range(1, _TRIES + 1):
            finished = False
            try:
                async with self.transaction() as connection:
                    result = await work(connection)
                    finished = True
                return result
            except DBAPIError as error:
                if finished or tried == _TRIES or not _collided(error):
                    raise
            await asyncio.sleep(random.uniform(0.005, 0.02) * 2**tried)
        raise AssertionError("unreachable")

    async def now(self) -> datetime:
        """The database's clock plus the rehearsal shift, in UTC."""
        async with self.reading() as connection:
            return instant_of((await connection.execute(_SELECT_NOW, self.shift)).scalar_one())

    def sql_now(self) -> ColumnElement[int]:
        """The same as an SQL expression, in the unit of the `Instant` columns, for statements made on the spot."""
        return database_now() + literal(self.shift["shift"], Instant.impl)

    async def close(self) -> None:
        """Gives the connections back to the database."""
        await self.engine.dispose()


def instant_of(value: int) -> datetime:
    """The instant that `NOW` gave."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


async def open_ledger(url: str | None, data_dir: Path, clock: Clock, *, migrate: bool = False) -> Ledger:
    """Opens the ledger, and sees to it that its schema is the one this version knows.

    Parameters:
      url: `sqlite:///PATH`, `postgresql://...` or `postgresql+asyncpg://...`; `None` is `ledger.sqlite3` in `data_dir`.
      migrate: makes or upgrades the schema where needed; several processes may do so at once.

    Raises:
      LedgerNewer, LedgerOlder, LedgerUnreachable: each says what to do.
    """
    address = _address(url, data_dir)
    where = _where(address)
    ledger = Ledger(_engine(address), clock)
    try:
        if migrate:
            await _migrate(ledger, where)
        else:
            async with ledger.reading() as connection:
                _check(await connection.run_sync(_revision), where)
    except LedgerError:
        await ledger.close()
        raise
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        await ledger.close()
        raise LedgerUnreachable(
            f"The ledger cannot be opened: {_cause(error)}. It is {where}. "
            "Check that the database runs and that AVTALSMOTOR_DATABASE_URL names it and a user who may create tables."
        ) from None
    return ledger


def _address(url: str | None, data_dir: Path) -> URL:
    if url is None:
        data_dir.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite+aiosqlite", database=str(data_dir / "ledger.sqlite3"))
    try:
        address = make_url(url)
    except ArgumentError:
        raise LedgerUnreachable(
            "The ledger cannot be opened: the database URL cannot be read. It is what AVTALSMOTOR_DATABASE_URL says. "
            "Write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    match address.drivername:
        case "sqlite" | "sqlite+aiosqlite" if address.database not in (None, "", ":memory:"):
            return address.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres" | "postgresql+asyncpg":
            return address.set(drivername="postgresql+asyncpg")
    raise LedgerUnreachable(
        f"The ledger cannot be opened: {address.drivername!r} is not a database that it can be kept in. "
        "It is what AVTALSMOTOR_DATABASE_URL says. Write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE."
    )


def _where(address: URL) -> str:
    """The database in words, without its password, which a URL may also hold in its query."""
    if address.drivername.startswith("sqlite"):
        return f"the file {address.database}"
    return (
        f"the PostgreSQL database {address.database!r} at {address.host or 'the local socket'}:{address.port or 5432}"
    )


def _engine(address: URL) -> AsyncEngine:
    if not address.drivername.startswith("sqlite"):
        return create_async_engine(
            address,
            pool_size=10,
            max_overflow=10,
            pool_timeout=30,
            isolation_level="READ COMMITTED",
            connect_args={
                "timeout": 10,
                "command_timeout": 60,
                "server_settings": {"application_name": "avtalsmotor", "synchronous_commit": "on", "jit": "off"},
            },
        )
    engine = create_async_engine(
        address, pool_size=8, max_overflow=0, pool_timeout=30, connect_args={"async_creator_fn": connect_sqlite}
    )
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # The order matters: whoever turns WAL on must be able to wait for another process that does the same.
    for setting in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # The driver's own BEGIN comes late and is deferred: two transactions then read the same, and one update is lost.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _collided(error: DBAPIError) -> bool:
    """Whether the database refused the transaction as a whole, so that another try may go well."""
    if getattr(error.orig, "sqlstate", None) in _TRANSIENT_SQLSTATES:
        return True
    return error.connection_invalidated or "database is locked" in str(error.orig)


def _cause(error: BaseException) -> str:
    """The innermost cause in one line; SQLAlchemy's own text would quote the statement."""
    while (inner := getattr(error, "orig", None) or error.__cause__) is not None:
        error = inner
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


_SELECT_NOW = select(NOW)


def _revision(connection: Connection) -> str | None:
    """The revision of the schema; `None` for an empty database."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _check(revision: str | None, where: str) -> None:
    if revision is not None and revision not in REVISIONS:
        raise LedgerNewer(
            f"The ledger was made by a newer version of Avtalsmotor (its schema is {revision}, this version knows "
            f"{REVISIONS[-1]}). It is {where}. Start the newer version again; this one has changed nothing."
        )
    if revision != REVISIONS[-1]:
        made = "is empty" if revision is None else f"has the schema {revision} of an older version of Avtalsmotor"
        raise LedgerOlder(
            f"The ledger {made}, and this version needs {REVISIONS[-1]}. It is {where}. "
            "Take a backup if it holds anything, then run: avtalsmotor ledger migrate"
        )


async def _migrate(ledger: Ledger, where: str) -> None:
    """Brings the schema up to date in one transaction, which one process at a time may enter."""
    async with ledger.transaction() as connection:
        if not ledger.is_sqlite:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        revision = await connection.run_sync(_revision)
        if revision is None or revision in REVISIONS[:-1]:
            await connection.run_sync(_upgrade)
        else:
            _check(revision, where)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # slow to import, and seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
