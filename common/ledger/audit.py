"""The append-only record of every change of state (behandlingshistorik), written in the transaction of the change.

The database refuses to change or remove what stands here (triggers, in the migration); nothing in the product tries.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger.database import NOW, Ledger
from common.ledger.records import AuditEntry, Mark
from common.ledger.schema import audit, billings, tenants
from common.rules.periods import Period


def record(
    connection: Connection,
    ledger: Ledger,
    by: str,
    action: str,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    billing: BillingId | None = None,
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> Mark:
    """Writes one entry, at the database's instant and with the version of the software.

    Parameters:
      by: a person, or the part of the product that acts.
      action: a verb in the past.
      before, after: what the change concerns, in values that JSON knows.
    """
    facts = entry(tenant, contract, billing, before, after)
    row = connection.execute(_INSERT_ONE, {**_common(ledger, by, action), **facts}).one()
    return Mark(row.id, row.at)


def record_all(
    connection: Connection, ledger: Ledger, by: str, action: str, entries: Sequence[Mapping[str, Any]]
) -> None:
    """Writes an entry for each of `entry(...)`, in one statement."""
    if entries:
        common = _common(ledger, by, action)
        connection.execute(_INSERT, [{**common, **one} for one in entries])


def entry(
    tenant: TenantId | None,
    contract: ContractNumber | None,
    billing: BillingId | None,
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> dict[str, Any]:
    """What `record_all` takes."""
    return {"tenant": tenant, "contract": contract, "billing": billing, "before": before, "after": after}


def newest(connection: Connection) -> Mark | None:
    """The last entry; `None` where there is none yet."""
    row = connection.execute(_NEWEST).one_or_none()
    return None if row is None else Mark(row.id, row.at)


async def entries(
    ledger: Ledger,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    billing: BillingId | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[AuditEntry]:
    """What is written, oldest first, of those with a higher id than `after`."""
    statement = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
    for column, value in ((audit.c.tenant, tenant), (audit.c.contract, contract), (audit.c.billing, billing)):
        if value is not None:
            statement = statement.where(column == value)
    return [_entry_of(row) for row in await ledger.fetch(statement)]


@dataclass(frozen=True, slots=True)
class Told:
    """An entry, with what it is about in the words of whoever reads it years later."""

    entry: AuditEntry
    tenant_name: str | None
    period: Period | None
    """Of the billing, where it is about one."""
    invoice: InvoiceNumber | None
    """Of the billing, whether it was known then or only later."""


async def told(
    ledger: Ledger,
    *,
    tenant: TenantId | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    batch: int = 2000,
) -> AsyncIterator[Sequence[Told]]:
    """What is written, oldest first, in batches: of one company or of all, from `since` to before `until`."""
    statement = _TOLD.limit(batch)
    if tenant is not None:
        statement = statement.where(audit.c.tenant == tenant)
    if since is not None:
        statement = statement.where(audit.c.at >= since)
    if until is not None:
        statement = statement.where(audit.c.at < until)
    last = 0
    while rows := await ledger.fetch(statement, {"last_id": last}):
        yield [_told_of(row) for row in rows]
        last = rows[-1].id
        if len(rows) < batch:
            return


@cache
def software_version() -> str:
    """The version of the product as installed."""
    try:
        return installed_version("avtalsmotor")
    except PackageNotFoundError:
        return "not installed"


def text_of(instant: datetime | None) -> str | None:
    """An instant as the audit writes it."""
    return None if instant is None else instant.isoformat()


def _common(ledger: Ledger, by: str, action: str) -> dict[str, Any]:
    return {"by": by, "action": action, "version": software_version(), **ledger.shift}


def _entry_of(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        by=row.by,
        action=row.action,
        tenant=row.tenant,
        contract=row.contract,
        billing=row.billing,
        before=row.before,
        after=row.after,
        version=row.version,
    )


def _told_of(row: Row[Any]) -> Told:
    period = None if row.period_start is None else Period(row.period_start, row.period_end)
    return Told(_entry_of(row), row.tenant_name, period, row.invoice)


_TOLD = (
    select(
        audit,
        tenants.c.name.label("tenant_name"),
        billings.c.period_start,
        billings.c.period_end,
        billings.c.invoice,
    )
    .outerjoin(tenants, tenants.c.id == audit.c.tenant)
    .outerjoin(billings, billings.c.id == audit.c.billing)
    .where(audit.c.id > bindparam("last_id"))
    .order_by(audit.c.id)
)

_INSERT = insert(audit).values(
    {
        "at": NOW,
        **{
            name: bindparam(name)
            for name in ("by", "action", "tenant", "contract", "billing", "before", "after", "version")
        },
    }
)
_INSERT_ONE = _INSERT.returning(audit.c.id, audit.c.at)
_NEWEST = select(audit.c.id, audit.c.at).order_by(audit.c.id.desc()).limit(1)
