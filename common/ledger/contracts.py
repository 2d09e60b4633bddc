"""The mirror of the contracts: what was last read of each.

An older read never overwrites a newer one, and what a listing does not show is not refreshed (design, section 6).
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import ContractNumber, TenantId
from common.ledger.database import Ledger
from common.ledger.records import GONE, Contract
from common.ledger.schema import billings, bureau, contracts, tenants
from common.rules.periods import Period
from common.rules.plan import ContractView


async def mirror(
    ledger: Ledger,
    tenant: TenantId,
    rows: Sequence[Contract],
    *,
    complete: bool,
    started_at: datetime | None = None,
) -> None:
    """Takes in what was read; a row that was read later than this one stays. Pauses are a person's, and stay.

    Parameters:
      complete: `rows` are all active contracts. Active ones that it does not show, and that were not read since it
        began, become `GONE`; what was known to be finished or inactive stays so.
      started_at: when the listing began; without it, the earliest read of `rows`.
    """
    began = started_at or min((row.read_at for row in rows), default=None)

    def work(connection: Connection) -> None:
        if rows:
            take_in(connection, ledger, tenant, rows)
        if complete and began is not None:
            # What the listing shows was read since it began, by itself or by something later.
            connection.execute(
                update(contracts)
                .where(
                    contracts.c.tenant == tenant,
                    contracts.c.read_at < began,
                    contracts.c.status == "ACTIVE",
                )
                .values(status=GONE)
            )

    await ledger.transact(work)


def take_in(connection: Connection, ledger: Ledger, tenant: TenantId, rows: Sequence[Contract]) -> None:
    """`mirror` of some contracts, within a transaction."""
    # In one order everywhere: two listings of a company must not wait for each other in a circle.
    values = [_values_of(tenant, row) for row in sorted(rows, key=lambda row: row.view.number)]
    connection.execute(_UPSERT[ledger.is_sqlite], values)


def reprice(connection: Connection, tenant: TenantId, number: ContractNumber, before: Decimal) -> None:
    """New prices that we have set, and nothing else, have made the contract's total what the mirror shows.

    Several in a row are one, unless there was an invoice in between.

    Parameters:
      before: its total until then.
    """
    this = and_(contracts.c.tenant == tenant, contracts.c.number == number)
    of_contract = and_(billings.c.tenant == tenant, billings.c.contract == number, billings.c.amount.is_not(None))
    last = select(billings.c.amount).where(of_contract).order_by(billings.c.period_end.desc()).limit(1)
    goes_on = and_(contracts.c.repriced_to == before, last.scalar_subquery().is_distinct_from(before))
    connection.execute(
        update(contracts)
        .where(this)
        .values(
            repriced_from=case((goes_on, contracts.c.repriced_from), else_=literal(before, contracts.c.total.type)),
            repriced_to=contracts.c.total,
        )
    )


async def get(ledger: Ledger, tenant: TenantId, number: ContractNumber) -> Contract | None:
    """One contract; `None` if it was never seen."""
    found = await ledger.look_up(_ONE, {"tenant_id": tenant, "contract_number": number})
    return contract_of(found[0]) if found else None


async def of_tenant(ledger: Ledger, tenant: TenantId | None = None) -> list[Contract]:
    """The contracts of one company, or of all, by company and number."""
    return [contract_of(row) for row in await ledger.fetch(select_contracts(tenant))]


class TemplateUse(NamedTuple):
    """How many contracts of a company have one template."""

    tenant: TenantId
    template: str | None
    """Its number in Fortnox; `None`: contracts without a template."""
    contracts: int
    active: int
    """How many of them are active."""


async def templates(ledger: Ledger, tenant: TenantId | None = None) -> list[TemplateUse]:
    """The templates that the contracts of one company, or of all, have, by company."""
    statement = _TEMPLATES if tenant is None else _TEMPLATES.where(contracts.c.tenant == tenant)
    return [TemplateUse(row.tenant, row.template, row.contracts, row.active) for row in await ledger.fetch(statement)]


async def own_addresses_read_at(ledger: Ledger, tenant: TenantId) -> dict[ContractNumber, datetime]:
    """When the company's contracts were last read by themselves, which alone tells their own e-mail address."""
    statement = select(contracts.c.number, contracts.c.email_read_at).where(
        contracts.c.tenant == tenant, contracts.c.email_read_at.is_not(None)
    )
    return {row.number: row.email_read_at for row in await ledger.fetch(statement)}


def select_contracts(tenant: TenantId | None) -> Select[Any]:
    """The statement whose rows `contract_of` reads."""
    return _EVERY if tenant is None else _EVERY.where(contracts.c.tenant == tenant)


def read(connection: Connection, tenant: TenantId, number: ContractNumber) -> Contract | None:
    """`get` within a transaction."""
    row = connection.execute(_ONE, {"tenant_id": tenant, "contract_number": number}).one_or_none()
    return None if row is None else contract_of(row)


def contract_of(row: Row[Any]) -> Contract:
    """A row of `select_contracts` as a record."""
    return Contract(view=view_of(row), read_at=row.read_at, paused=row.paused)


def view_of(row: Row[Any], read_at: datetime | None = None) -> ContractView:
    """The same as the rules see it, who are told only by the plan when it was read."""
    return ContractView(
        tenant=row.tenant,
        number=row.number,
        customer_number=row.customer_number,
        customer_name=row.customer_name,
        status=row.status,
        continuous=row.continuous,
        interval=row.interval,
        period=period_of(row.period_start, row.period_end),
        invoices_remaining=row.invoices_remaining,
        total=row.total,
        currency=row.currency,
        template=row.template,
        paused=bool(row.stopped),
        read_at=read_at,
        email_to=row.email_to,
        repriced_from=row.repriced_from if row.total == row.repriced_to else None,
    )


def period_of(start: date | None, end: date | None) -> Period | None:
    """Two columns as a period."""
    return None if start is None or end is None else Period(start, end)


def _values_of(tenant: TenantId, row: Contract) -> dict[str, Any]:
    view = row.view
    return {
        "tenant": tenant,
        "number": view.number,
        "customer_number": view.customer_number,
        "customer_name": view.customer_name,
        "status": view.status,
        "continuous": view.continuous,
        "interval": view.interval,
        "period_start": view.period.start if view.period else None,
        "period_end": view.period.end if view.period else None,
        "invoices_remaining": view.invoices_remaining,
        "total": view.total,
        "currency": view.currency,
        "template": view.template,
        "read_at": row.read_at,
        "email_to": view.email_to,
        "email_read_at": None if view.email_to is None else row.read_at,
    }


def _upsert(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    new = insert.excluded
    own_address = ("email_to", "email_read_at")
    kept_apart = ("tenant", "number", "paused", "price_list", "vat_included")
    of_prices = ("rows_total", "rows_read_at", "repriced_from", "repriced_to")
    read = [column.name for column in contracts.c if column.name not in (*kept_apart, *of_prices, *own_address)]
    # A list does not tell it, and takes nothing away.
    kept = {name: func.coalesce(new[name], contracts.c[name]) for name in own_address}
    return insert.on_conflict_do_update(
        index_elements=["tenant", "number"],
        set_={name: new[name] for name in read} | kept,
        where=contracts.c.read_at <= new.read_at,
    )


_TEMPLATES = (
    select(
        contracts.c.tenant,
        contracts.c.template,
        func.count().label("contracts"),
        func.count().filter(contracts.c.status == "ACTIVE").label("active"),
    )
    .group_by(contracts.c.tenant, contracts.c.template)
    .order_by(contracts.c.tenant)
)
_EVERY = (
    select(contracts, or_(contracts.c.paused, tenants.c.paused, bureau.c.paused).label("stopped"))
    .join(tenants, tenants.c.id == contracts.c.tenant)
    .join(bureau, bureau.c.id == 1)
    .order_by(contracts.c.tenant, contracts.c.number)
)
_ONE = _EVERY.where(contracts.c.tenant == bindparam("tenant_id"), contracts.c.number == bindparam("contract_number"))
_UPSERT = {True: _upsert(sqlite.insert(contracts)), False: _upsert(postgresql.insert(contracts))}
