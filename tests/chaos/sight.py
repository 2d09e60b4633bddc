"""What the controller sees of the ledger while a run goes on: read only, and patient while the database is away.

It says what was in flight when a fault struck and what became of it. The verdict is not made of this: that is the
sandbox's.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, Row, and_, func, select, tuple_
from sqlalchemy.exc import DBAPIError

from common.ledger.database import Ledger
from common.ledger.schema import attempts, billings, word

_AWAY_AT_MOST = 60.0
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Flight:
    """A billing as it stood when it was looked at."""

    billing: int
    tenant: int
    contract: int
    step: str
    status: str
    reason: str | None
    invoice: int | None
    changed_at: datetime
    worker: str | None = None
    """Who has claimed it."""


class Sight:
    """Reads the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def claimed(self) -> list[Flight]:
        """Those of which a call is under way."""
        of_it = and_(attempts.c.billing == billings.c.id, attempts.c.step == billings.c.step)
        newest = select(attempts.c.claimed_by).where(of_it).order_by(attempts.c.id.desc()).limit(1)
        holder = newest.correlate(billings).scalar_subquery()
        statement = select(billings, holder.label("worker")).where(billings.c.status == word("claimed"))
        return [_flight(row, row.worker) for row in await self._rows(statement)]

    async def of(self, ids: Collection[int]) -> list[Flight]:
        """Those billings as they stand."""
        return [_flight(row) for row in await self._rows(select(billings).where(billings.c.id.in_(ids)))]

    async def of_contract(self, tenant: int, contract: int) -> Flight | None:
        """The newest billing of the contract."""
        where = and_(billings.c.tenant == tenant, billings.c.contract == contract)
        rows = await self._rows(select(billings).where(where).order_by(billings.c.id.desc()).limit(1))
        return _flight(rows[0]) if rows else None

    async def of_invoice(self, tenant: int, invoice: int) -> Flight | None:
        """The billing whose invoice it is."""
        rows = await self._rows(select(billings).where(billings.c.tenant == tenant, billings.c.invoice == invoice))
        return _flight(rows[0]) if rows else None

    async def standing(self, status: str, step: str | None = None, limit: int | None = None) -> list[Flight]:
        """Those of the status, the newest first."""
        statement = select(billings).where(billings.c.status == word(status))
        if step is not None:
            statement = statement.where(billings.c.step == word(step))
        return [_flight(row) for row in await self._rows(statement.order_by(billings.c.id.desc()).limit(limit))]

    async def billed(self, contracts: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
        """Those (tenant, contract) that have a billing."""
        about = tuple_(billings.c.tenant, billings.c.contract)
        rows = await self._rows(select(billings.c.tenant, billings.c.contract).where(about.in_(list(contracts))))
        return {(row.tenant, row.contract) for row in rows}

    async def done_before(self, instant: datetime) -> list[tuple[int, int]]:
        """(tenant, contract) of the billings that were done by then."""
        statement = select(billings.c.tenant, billings.c.contract)
        rows = await self._rows(statement.where(billings.c.status == word("done"), billings.c.changed_at < instant))
        return [(row.tenant, row.contract) for row in rows]

    async def called(self) -> int:
        """How many claims have been made."""
        return int((await self._rows(select(func.count().label("number")).select_from(attempts)))[0].number)

    async def settled(self) -> int:
        """How many calls have been answered, and their outcome committed."""
        statement = select(func.count().label("number")).where(attempts.c.answered_at.is_not(None))
        return int((await self._rows(statement))[0].number)

    async def counts(self) -> dict[tuple[int, str, str], int]:
        """(tenant, step, status) -> how many billings."""
        statement = select(billings.c.tenant, billings.c.step, billings.c.status, func.count().label("number"))
        rows = await self._rows(statement.group_by(billings.c.tenant, billings.c.step, billings.c.status))
        return {(row.tenant, row.step, row.status): row.number for row in rows}

    async def _rows(self, statement: Executable) -> Sequence[Row[Any]]:
        deadline = time.monotonic() + _AWAY_AT_MOST
        while True:
            try:
                return await self._ledger.fetch(statement)
            except (OSError, DBAPIError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_PAUSE)


def _flight(row: Row[Any], worker: str | None = None) -> Flight:
    return Flight(
        row.id, row.tenant, row.contract, row.step, row.status, row.reason, row.invoice, row.changed_at, worker
    )
