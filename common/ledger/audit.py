"""The append-only record of every change of state (behandlingshistorik), written in the transaction of the change.

The database refuses to change or remove what stands here (triggers, in the migration); nothing in the product tries.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from common.ids import BillingId, ContractNumber, TenantId
from common.ledger.database import NOW, Ledger
from common.ledger.records import AuditEntry
from common.ledger.schema import audit


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
) -> None:
    """Writes one entry, at the database's instant and with the version of the software.

    Parameters:
      by: a person, or the part of the product that acts.
      action: a verb in the past.
      before, after: what the change concerns, in values that JSON knows.
    """
    record_all(connection, ledger, by, action, [entry(tenant, contract, billing, before, after)])


def record_all(
    connection: Connection, ledger: Ledger, by: str, action: str, entries: Sequence[Mapping[str, Any]]
) -> None:
    """Writes an entry for each of `entry(...)`, in one statement."""
    if entries:
        common = {"by": by, "action": action, "version": software_version(), **ledger.shift}
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


_INSERT = insert(audit).values(
    {
        "at": NOW,
        **{
            name: bindparam(name)
            for name in ("by", "action", "tenant", "contract", "billing", "before", "after", "version")
        },
    }
)
