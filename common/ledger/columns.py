"""The column types that make both databases keep the same thing: instants, money, policies and facts.

Never a float for money, never a naive instant, never a type whose comparison differs between SQLite and PostgreSQL.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICRO = Decimal("0.000001")
_ORE = Decimal("0.01")

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""A primary key that counts by itself: SQLite does that only for a column declared INTEGER."""


def microseconds(delta: timedelta) -> int:
    """A duration in the unit of the instants."""
    return delta // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An instant as whole microseconds since 1970 in UTC; refuses a naive one."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant in the ledger must be aware, got {value!r}")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Money(TypeDecorator[Decimal]):
    """An amount as whole millionths, so that both databases add and compare exactly.

    Finer digits, which only a double's noise in an answer has, are rounded half to even. An amount comes back with two
    decimals, or as many as it needs.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value.quantize(_MICRO, ROUND_HALF_EVEN).scaleb(6))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else money_of(value)


def money_of(millionths: int) -> Decimal:
    """The amount that a `Money` column keeps as that number."""
    amount = Decimal(millionths).scaleb(-6)
    rounded = amount.quantize(_ORE)
    return rounded if rounded == amount else amount.normalize()


class Facts(TypeDecorator[Mapping[str, Any]]):
    """A small mapping as JSON text, with sorted keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(dict(value), sort_keys=True, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Mapping[str, Any] | None:
        return None if value is None else json.loads(value)


class database_now(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The database's own clock in microseconds since 1970: when the statement began; whole milliseconds on SQLite."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_now)
def _now_in_words(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "database_now()"  # for a statement that is printed


@compiles(database_now, "sqlite")
def _now_sqlite(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "(CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"


@compiles(database_now, "postgresql")
def _now_postgresql(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    # Not clock_timestamp(): being volatile it would keep PostgreSQL from using an index on an instant.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)"
