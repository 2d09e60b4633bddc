"""The contracts that Fortnox lists in a way that cannot be understood: what is due of them cannot be seen.

Only the last listing of a company counts. What was read of such a contract before stays in the mirror as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import TenantId
from common.ledger.database import NOW, Ledger
from common.ledger.schema import unreadable_contracts as unreadable


@dataclass(frozen=True, slots=True)
class UnreadableContract:
    """A contract of which nothing is known but its number, if that."""

    tenant: TenantId
    number: str
    """As Fortnox sent it; "" if it sent none."""
    error: str
    """Which fields, and why."""
    since: datetime


async def note(ledger: Ledger, tenant: TenantId, seen: Mapping[str, str]) -> None:
    """Takes in what a listing could not understand, by number; what it does not name can be read, or is gone."""
    known = {one.number: one.error for one in await of(ledger, tenant)}
    if known == dict(seen):
        return

    def work(connection: Connection) -> None:
        gone = and_(unreadable.c.tenant == tenant, unreadable.c.number.not_in(seen))
        connection.execute(delete(unreadable).where(gone))
        for number, error in sorted(seen.items()):
            facts = {"of_tenant": tenant, "of_number": number, "wrong": error, **ledger.shift}
            connection.execute(_NOTE[ledger.is_sqlite], facts)

    await ledger.transact(work)


async def of(ledger: Ledger, tenant: TenantId | None = None) -> list[UnreadableContract]:
    """Those of one company, or of all, by company and number."""
    statement = select(unreadable).order_by(unreadable.c.tenant, unreadable.c.number)
    if tenant is not None:
        statement = statement.where(unreadable.c.tenant == tenant)
    return [UnreadableContract(row.tenant, row.number, row.error, row.since) for row in await ledger.fetch(statement)]


def _note(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    values = {
        "tenant": bindparam("of_tenant"),
        "number": bindparam("of_number"),
        "error": bindparam("wrong"),
        "since": NOW,
    }
    put = insert.values(values)
    return put.on_conflict_do_update(index_elements=["tenant", "number"], set_={"error": put.excluded.error})


_NOTE = {True: _note(sqlite.insert(unreadable)), False: _note(postgresql.insert(unreadable))}
