"""Stops by a person: the bureau's kill switch, one company, one contract. Effective at the next claim, queued or not.

The change takes the lock that every claim takes first: once it returns, no call leaves that was not under way before.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select, update

from common.ids import ContractNumber, TenantId
from common.ledger import audit
from common.ledger.database import Ledger
from common.ledger.schema import audit as entries
from common.ledger.schema import bureau, contracts, tenants

Level = Literal["bureau", "tenant", "contract"]


@dataclass(frozen=True, slots=True)
class Pause:
    """A stop by a person that holds now, as the audit tells of it."""

    level: Level
    tenant: TenantId | None
    contract: ContractNumber | None
    by: str
    since: datetime
    why: str
    """Empty when the person gave no reason."""


async def standing(ledger: Ledger, tenant: TenantId | None = None) -> list[Pause]:
    """The pauses that hold now, of all or of what concerns one company: the bureau's, then by company and contract."""

    def work(connection: Connection) -> list[Pause]:
        stopped = _paused(connection, tenant)
        if not stopped:
            return []
        companies = sorted({company for company, _ in stopped if company is not None})
        newest = (
            select(func.max(entries.c.id))
            .where(or_(entries.c.tenant.is_(None), entries.c.tenant.in_(companies)), entries.c.action == "paused")
            .group_by(entries.c.tenant, entries.c.contract)
        )
        told = {
            (row.tenant, row.contract): row
            for row in connection.execute(select(entries).where(entries.c.id.in_(newest)))
        }
        found: list[Pause] = []
        for company, contract in stopped:
            row = told[company, contract]
            found.append(Pause(row.after["level"], company, contract, row.by, row.at, row.after["why"]))
        return found

    return await ledger.read(work)


def _paused(connection: Connection, tenant: TenantId | None) -> list[tuple[TenantId | None, ContractNumber | None]]:
    """What is paused, by company and contract; without either it is the bureau."""
    of_tenants = select(tenants.c.id).where(tenants.c.paused.is_(True)).order_by(tenants.c.id)
    of_contracts = select(contracts.c.tenant, contracts.c.number).where(contracts.c.paused.is_(True))
    if tenant is not None:
        of_tenants = of_tenants.where(tenants.c.id == tenant)
        of_contracts = of_contracts.where(contracts.c.tenant == tenant)
    whole: list[tuple[TenantId | None, ContractNumber | None]] = []
    if connection.execute(_BUREAU).scalar_one():
        whole.append((None, None))
    whole += [(row.id, None) for row in connection.execute(of_tenants)]
    parts = connection.execute(of_contracts.order_by(contracts.c.tenant, contracts.c.number))
    return whole + [(row.tenant, row.number) for row in parts]


async def pause(
    ledger: Ledger,
    level: Level,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    by: str,
    why: str = "",
) -> None:
    """Stops everything, one company, or one contract.

    Raises:
      LookupError: there is no such company or contract in the ledger.
    """
    await _set(ledger, level, tenant, contract, by, why, paused=True)


async def resume(
    ledger: Ledger,
    level: Level,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    by: str,
    why: str = "",
) -> None:
    """Ends a stop of the same level; one of another level stays. Raises as `pause`."""
    await _set(ledger, level, tenant, contract, by, why, paused=False)


async def _set(
    ledger: Ledger,
    level: Level,
    tenant: TenantId | None,
    contract: ContractNumber | None,
    by: str,
    why: str,
    *,
    paused: bool,
) -> None:
    table, where, name = _place(level, tenant, contract)

    def work(connection: Connection) -> None:
        if level == "contract":
            lock = select(tenants.c.id).where(tenants.c.id == tenant).with_for_update(key_share=True)
            connection.execute(lock)
        before = connection.execute(select(table.c.paused).where(where).with_for_update(key_share=True)).scalar()
        if before is None:
            raise LookupError(f"{name} is not in the ledger, so it cannot be paused or resumed. Check the number.")
        if before is not paused:
            connection.execute(update(table).where(where).values(paused=paused))
            audit.record(
                connection,
                ledger,
                by,
                "paused" if paused else "resumed",
                tenant=tenant,
                contract=contract,
                before={"level": level, "paused": before},
                after={"level": level, "paused": paused, "why": why},
            )

    await ledger.transact(work)


def _place(
    level: Level, tenant: TenantId | None, contract: ContractNumber | None
) -> tuple[Table, ColumnElement[bool], str]:
    match level:
        case "bureau":
            return bureau, bureau.c.id == 1, "The bureau"
        case "tenant" if tenant is not None:
            return tenants, tenants.c.id == tenant, f"Tenant {tenant}"
        case "contract" if tenant is not None and contract is not None:
            where = and_(contracts.c.tenant == tenant, contracts.c.number == contract)
            return contracts, where, f"Contract {contract} of tenant {tenant}"
    raise ValueError(f"a pause of level {level} needs its tenant, and its contract")


_BUREAU = select(bureau.c.paused)
