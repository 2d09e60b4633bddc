"""Opens the ledger on SQLite or PostgreSQL, and gives transactions that lose no update."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.clock import Clock


class LedgerError(Exception):
    """Something is wrong with the ledger as a whole. The message says what happened, to what, and what to do now."""


class LedgerNewer(LedgerError):
    """The ledger was made by a newer version of the product."""


class LedgerOlder(LedgerError):
    """The ledger is empty or was made by an older version, and must be migrated."""


class LedgerUnreachable(LedgerError):
    """The database cannot be opened."""


class Ledger:
    """The open ledger."""

    engine: AsyncEngine
    clock: Clock

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A writing transaction: commits at the end of the block, rolls back on an exception."""
        raise NotImplementedError
        yield

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A reading transaction: one consistent view on SQLite, READ COMMITTED on PostgreSQL."""
        raise NotImplementedError
        yield

    async def now(self) -> datetime:
        """The database's clock plus the rehearsal shift, in UTC."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


async def open_ledger(url: str | None, data_dir: Path, clock: Clock, *, migrate: bool = False) -> Ledger:
    raise NotImplementedError
