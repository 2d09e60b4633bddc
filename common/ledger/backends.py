"""How a transaction is run on each of the databases, from an event loop.

On SQLite a whole transaction runs on a thread: crossing to one for every statement, as an asynchronous driver does, was
measured to cost eight times what the statements do. On PostgreSQL it runs on the loop, over asyncpg.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")

_READERS = 4

_IDLE_WITHIN = 5.0
"""Seconds that a transaction on PostgreSQL may stand between two statements. A process that is frozen, or whose network
is gone, would else hold its locks, and keep every other process waiting, for as long as that lasts. What is rolled back
so before its commit is run again. It does not end what was frozen between preparing a statement and running it, for
which PostgreSQL has no time-out before its version 17: `_STATEMENTS` keeps that seldom."""

_STATEMENTS = 500
"""How many statements a connection to PostgreSQL keeps prepared: more than the product has."""


class Backend(Protocol):
    """Runs a plain function of a connection, off or on the event loop."""

    connections: int
    """How many have been made so far."""

    async def run(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        """Runs it on a connection of its own. One that `writes` begins its transaction itself, and commits it."""

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        """Runs what reads a few rows by their key."""

    async def close(self) -> None:
        """Closes all connections."""


class SqliteBackend:
    """One thread that writes, since SQLite lets one connection write at a time, and a few that read.

    The queue before the writing thread is fair, where SQLite's own waiting sleeps; it waits only for other processes.
    """

    def __init__(self, address: URL) -> None:
        self._engine = create_engine(address, pool_size=_READERS + 2, max_overflow=0)
        self._at_hand: Connection | None = None
        self.connections = 0
        event.listen(self._engine, "connect", partial(_count, self))
        event.listen(self._engine, "connect", _set_up_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self._readers = ThreadPoolExecutor(_READERS, "ledger-reader")

    async def run(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        def on_thread() -> T:
            with self._engine.connect() as connection:
                return work(connection.execution_options(**{_WRITES: writes}))

        return await asyncio.get_running_loop().run_in_executor(self._writer if writes else self._readers, on_thread)

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        # On the loop itself, on a connection of its own: a reader waits for nobody in WAL mode, and crossing to a
        # thread was measured to cost three times the look-up.
        if self._at_hand is None:
            self._at_hand = self._engine.connect()
        with self._at_hand.begin():
            return work(self._at_hand)

    async def close(self) -> None:
        if self._at_hand is not None:
            self._at_hand.close()
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


class PostgresqlBackend:
    """A pool of asyncpg connections."""

    def __init__(self, address: URL) -> None:
        self._engine = create_async_engine(
            address,
            pool_size=10,
            max_overflow=10,
            pool_timeout=30,
            isolation_level="READ COMMITTED",
            connect_args={
                "timeout": 10,
                "command_timeout": 60,
                "prepared_statement_cache_size": _STATEMENTS,
                "server_settings": {
                    "application_name": "avtalsmotor",
                    "synchronous_commit": "on",
                    "jit": "off",
                    "idle_in_transaction_session_timeout": str(int(_IDLE_WITHIN * 1000)),
                },
            },
        )
        self.connections = 0
        event.listen(self._engine.sync_engine, "connect", partial(_count, self))

    async def run(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        async with self._engine.connect() as connection:
            if not writes:
                # Who only reads holds nothing, and may take minutes over what it reads: `_IDLE_WITHIN` is not for it.
                await connection.execution_options(isolation_level="AUTOCOMMIT")
            return await connection.run_sync(work)

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        return await self.run(work, writes=False)

    async def close(self) -> None:
        await self._engine.dispose()


_WRITES = "ledger_writes"


def _count(backend: Backend, _connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    backend.connections += 1


def _set_up_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes late and is deferred: two transactions then read the same, and one update is lost.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The order matters: whoever turns WAL on must be able to wait for another process that does the same.
    for setting in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
