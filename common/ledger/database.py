"""Opens the ledger on SQLite or PostgreSQL, and gives transactions that lose no update.

Never repeats a transaction whose commit was sent: an answer lost then is for the caller to doubt, not for us to guess.
"""

# ruff: noqa: N818 - the names say what is wrong with the ledger

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Executable, Row, bindparam, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from common.clock import Clock
from common.ledger.backends import Backend, PostgresqlBackend, SqliteBackend
from common.ledger.columns import Instant, database_now, microseconds

T = TypeVar("T")

REVISIONS: Final = ("0001",)
"""The revisions of the schema that this version of the product knows, the newest last."""

NOW: Final[ColumnElement[int]] = database_now() + bindparam("shift", type_=Instant.impl)
"""The database's clock plus the rehearsal shift, in microseconds; a statement with it is given `Ledger.shift`."""

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
    """The open ledger, for one event loop. What reads or writes is a plain function of a connection: one transaction.

    Parameters:
      backend: made by `open_ledger`.
      clock: its shift moves what counts as now; the instant itself is the database's.
      where: the database in words, for whoever must be told of it.
    """

    def __init__(self, backend: Backend, clock: Clock, where: str) -> None:
        self._backend = backend
        self.clock = clock
        self.where = where
        self.is_sqlite = isinstance(backend, SqliteBackend)

    @property
    def connections(self) -> int:
        """How many connections have been made so far. Behind one and the same, a database never goes back in time."""
        return self._backend.connections

    @property
    def shift(self) -> dict[str, int]:
        """The parameter of a statement that uses `NOW`."""
        return {"shift": microseconds(self.clock.shift)}

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` as one writing transaction; again from its beginning when the database says that it collided.

        `work` must do nothing but read and write through the connection. What fails at the commit is not run again.
        """
        for tried in range(1, _TRIES + 1):
            try:
                return await self._backend.run(partial(_transaction, work), writes=True)
            except _CommitFailed as failed:
                raise failed.error from None
            except DBAPIError as error:
                if tried == _TRIES or not _collided(error):
                    raise
            await asyncio.sleep(random.uniform(0.005, 0.02) * 2**tried)
        raise AssertionError("unreachable")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work`, which only reads: one consistent view on SQLite; on PostgreSQL each statement has its own."""
        return await _twice_if_cut(lambda: self._backend.run(work, writes=False))

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """All rows of one reading statement."""
        return await self.read(lambda connection: connection.execute(statement, parameters or {}).all())

    async def look_up(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """All rows of a statement that reads a few by their key; cheaper than `fetch`, which anything else is for."""
        return await _twice_if_cut(
            lambda: self._backend.look_up(lambda connection: connection.execute(statement, parameters).all())
        )

    async def now(self) -> datetime:
        """The database's clock plus the rehearsal shift, in UTC."""
        return instant_of((await self.look_up(_SELECT_NOW, self.shift))[0].now)

    async def close(self) -> None:
        """Gives the connections back to the database."""
        await self._backend.close()


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
    ledger = Ledger(_backend(address), clock, where)
    try:
        if migrate:
            await ledger.transact(partial(_migrate, where=where))
        else:
            _check(await ledger.read(_revision), where)
    except LedgerError:
        await ledger.close()
        raise
    except TypeError as error:
        await ledger.close()
        if not address.query:
            raise
        # What stands behind the question mark goes to the driver, as the arguments of a call.
        raise LedgerUnreachable(
            f"The ledger cannot be opened: an option of the database URL is not known ({error}). It is {where}. Take"
            " that option out of AVTALSMOTOR_DATABASE_URL; for an encrypted connection write ?ssl=require."
        ) from None
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        await ledger.close()
        raise LedgerUnreachable(
            f"The ledger cannot be opened: {_cause(error)}. It is {where}. {_advice(address, _cause(error))}"
        ) from None
    return ledger


def _address(url: str | None, data_dir: Path) -> URL:
    if url is None:
        data_dir.mkdir(parents=True, exist_ok=True)
        return URL.create("sqlite", database=str(data_dir / "ledger.sqlite3"))
    try:
        address = make_url(url)
    except ArgumentError:
        raise LedgerUnreachable(
            "The ledger cannot be opened: the database URL cannot be read. It is what AVTALSMOTOR_DATABASE_URL says. "
            "Write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    match address.drivername:
        case "sqlite" if address.database not in (None, "", ":memory:"):
            return address
        case "postgresql" | "postgres" | "postgresql+asyncpg":
            return address.set(drivername="postgresql+asyncpg")
    raise LedgerUnreachable(
        f"The ledger cannot be opened: {address.drivername!r} is not a database that it can be kept in. "
        "It is what AVTALSMOTOR_DATABASE_URL says. Write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE."
    )


def _where(address: URL) -> str:
    """The database in words, without its password, which a URL may also hold in its query."""
    if address.drivername.startswith("sqlite"):
        path = Path(address.database or "").absolute()
        return f"the file {path.name} in the directory {path.parent}"
    return (
        f"the PostgreSQL database {address.database!r} at {address.host or 'the local socket'}:{address.port or 5432}"
    )


def _advice(address: URL, cause: str) -> str:
    """What to do about a ledger that cannot be opened."""
    if address.drivername != "sqlite":
        return (
            "Check that the database runs and that AVTALSMOTOR_DATABASE_URL names it and a user who may create tables."
        )
    if "not a database" in cause or "malformed" in cause:
        return (
            "The file is damaged, or is something else than a ledger. Put back a backup of it, or name the right place"
            " by AVTALSMOTOR_DATA_DIR or AVTALSMOTOR_DATABASE_URL. Do not begin with an empty ledger while invoices may"
            " be under way: only the ledger knows of them."
        )
    return (
        "Check that AVTALSMOTOR_DATA_DIR or AVTALSMOTOR_DATABASE_URL names the right place, and that you may write in"
        " that directory."
    )


def _backend(address: URL) -> Backend:
    return SqliteBackend(address) if address.drivername == "sqlite" else PostgresqlBackend(address)


async def _twice_if_cut(read: Callable[[], Awaitable[T]]) -> T:
    """A connection of the pool may have been cut since it was last used, as by a restart of the database."""
    try:
        return await read()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return await read()


class _CommitFailed(Exception):
    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def _transaction(work: Callable[[Connection], T], connection: Connection) -> T:
    with connection.begin() as transaction:
        result = work(connection)
        try:
            transaction.commit()
        except Exception as error:
            raise _CommitFailed(error) from error
    return result


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


_SELECT_NOW = select(NOW.label("now"))


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


def _migrate(connection: Connection, where: str) -> None:
    """Brings the schema up to date, in a transaction that one process at a time may enter."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
    revision = _revision(connection)
    if revision is None or revision in REVISIONS[:-1]:
        _upgrade(connection)
    else:
        _check(revision, where)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # slow to import, and seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
