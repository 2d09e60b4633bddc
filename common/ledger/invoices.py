"""The mirror of the invoices: what was last read of each.

An older read never overwrites a newer one. A list tells less than the invoice itself (API notes 2.2): it brings what it
shows up to date, and never takes away what was read in full.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.ledger import corrections
from common.ledger.contracts import period_of
from common.ledger.database import Ledger
from common.ledger.records import Invoice
from common.ledger.schema import invoices
from common.rules.periods import Period


async def mirror(ledger: Ledger, seen: Sequence[Invoice]) -> None:
    """Takes in what was read; an invoice, or what a list shows of it, that was read later than this stays.

    The billings of those that turn out to be cancelled or credited are voided.
    """
    if seen:
        await ledger.transact(lambda connection: take_in(connection, ledger, seen))
        # A transaction of its own, since it locks the company before the invoices, as every change of a billing does.
        for tenant in {one.tenant for one in seen if one.cancelled or one.credit or one.credited_by is not None}:
            await corrections.void_ended(ledger, tenant)


def take_in(connection: Connection, ledger: Ledger, seen: Sequence[Invoice]) -> None:
    """`mirror` within a transaction."""
    # In one order everywhere: two listings of a company must not wait for each other in a circle.
    ordered = sorted(seen, key=lambda invoice: (invoice.tenant, invoice.number))
    connection.execute(_UPSERT[ledger.is_sqlite], [_values_of(invoice) for invoice in ordered])


async def get(ledger: Ledger, tenant: TenantId, number: InvoiceNumber) -> Invoice | None:
    """One invoice; `None` if it was never seen."""
    found = await ledger.look_up(_ONE, {"of_tenant": tenant, "of_number": number})
    return invoice_of(found[0]) if found else None


async def of_contract(
    ledger: Ledger, tenant: TenantId, contract: ContractNumber, period: Period | None = None
) -> list[Invoice]:
    """The invoices known to be the contract's, or of one of its periods; newest first, cancelled ones included."""
    facts: dict[str, Any] = {"of_tenant": tenant, "of_contract": contract}
    if period is None:
        return [invoice_of(row) for row in await ledger.look_up(_OF_CONTRACT, facts)]
    facts |= {"start": period.start, "end": period.end}
    return [invoice_of(row) for row in await ledger.look_up(_OF_PERIOD, facts)]


async def above(ledger: Ledger, tenant: TenantId, number: InvoiceNumber | None) -> list[Invoice]:
    """The invoices with a higher number than that (`None`: all), newest first."""
    return [invoice_of(row) for row in await ledger.fetch(_ABOVE, {"of_tenant": tenant, "number_seen": number or 0})]


_SAME = tuple(field.name for field in fields(Invoice) if field.name != "period")


def invoice_of(row: Row[Any]) -> Invoice:
    """A row of `invoices` as a record."""
    return Invoice(period=period_of(row.period_start, row.period_end), **{name: getattr(row, name) for name in _SAME})


def _values_of(invoice: Invoice) -> dict[str, Any]:
    period = invoice.period
    return {
        **{name: getattr(invoice, name) for name in _SAME},
        "period_start": period.start if period else None,
        "period_end": period.end if period else None,
    }


_LISTED = frozenset(
    {
        "invoice_date",
        "due_date",
        "invoice_type",
        "customer_number",
        "total",
        "currency",
        "booked",
        "sent",
        "cancelled",
        "nox_finans",
    }
)
"""What an item of a list shows (API notes 2.2)."""


def _upsert(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    old, new = invoices.c, insert.excluded
    newest_known = func.coalesce(
        case((func.coalesce(old.listed_at, 0) > func.coalesce(old.read_at, 0), old.listed_at), else_=old.read_at), 0
    )
    in_full = and_(new.read_at.is_not(None), func.coalesce(old.read_at, 0) <= new.read_at)
    in_list = and_(new.read_at.is_(None), newest_known <= func.coalesce(new.listed_at, 0))

    def taken(name: str) -> ColumnElement[Any]:
        if name == "listed_at":
            return case((new.read_at.is_(None), new.listed_at), else_=old.listed_at)
        # A full read that began before a later list is right in the rest, and not in what that list showed.
        newer_list = and_(new.read_at.is_not(None), func.coalesce(old.listed_at, 0) > new.read_at)
        if name in _LISTED:
            return case((newer_list, old[name]), else_=new[name])
        if name == "vat":
            # It belongs to the total that it was read with.
            same = old.total == new.total
            listed = and_(new.read_at.is_(None), same)
            return case((listed, old.vat), (or_(new.read_at.is_(None), and_(newer_list, ~same)), None), else_=new.vat)
        return case((new.read_at.is_(None), old[name]), else_=new[name])

    names = [column.name for column in invoices.c if column.name not in ("tenant", "number")]
    return insert.on_conflict_do_update(
        index_elements=["tenant", "number"], set_={name: taken(name) for name in names}, where=or_(in_full, in_list)
    )


_OF_TENANT = select(invoices).where(invoices.c.tenant == bindparam("of_tenant")).order_by(invoices.c.number.desc())
_ONE = _OF_TENANT.where(invoices.c.number == bindparam("of_number"))
_OF_CONTRACT = _OF_TENANT.where(invoices.c.contract == bindparam("of_contract"))
_OF_PERIOD = _OF_CONTRACT.where(
    invoices.c.period_start == bindparam("start"), invoices.c.period_end == bindparam("end")
)
_ABOVE = _OF_TENANT.where(invoices.c.number > bindparam("number_seen"))
_UPSERT = {True: _upsert(sqlite.insert(invoices)), False: _upsert(postgresql.insert(invoices))}
