"""A connection of aiosqlite that crosses to its thread once per statement, where the stock one crosses four times.

The crossings, not SQLite, are most of what a statement costs. Everything else is aiosqlite's.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiosqlite


class _Cursor:
    """What SQLAlchemy's adapter asks of a cursor; all rows are read together with the execution."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1
        self.arraysize = 1

    async def __aenter__(self) -> "_Cursor":
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> "_Cursor":
        await self._connection.cross(self._run, operation, parameters)
        return self

    async def executemany(self, operation: str, parameters: Iterable[Sequence[Any]]) -> "_Cursor":
        await self._connection.cross(self._run_many, operation, list(parameters))
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    def _run(self, operation: str, parameters: Sequence[Any]) -> None:
        self._take(self._connection._conn.execute(operation, parameters))  # noqa: SLF001

    def _run_many(self, operation: str, parameters: list[Sequence[Any]]) -> None:
        self._take(self._connection._conn.executemany(operation, parameters))  # noqa: SLF001

    def _take(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description else []
        self.lastrowid = cursor.lastrowid
        self.rowcount = cursor.rowcount
        cursor.close()


class _Connection(aiosqlite.Connection):
    def cursor(self) -> _Cursor:  # type: ignore[override]
        return _Cursor(self)

    async def cross(self, function: Callable[..., None], *arguments: Any) -> None:
        """Runs a function on the connection's thread."""
        await self._execute(function, *arguments)  # type: ignore[no-untyped-call]


def connect_sqlite(database: str, **options: Any) -> aiosqlite.Connection:
    """The connection, not yet opened; opened with no transactions of the driver's own."""
    return _Connection(lambda: sqlite3.connect(database, isolation_level=None, **options), iter_chunk_size=64)
