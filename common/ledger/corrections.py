"""Corrections after the end: a billing whose invoice was cancelled or credited in Fortnox afterwards is voided.

What the mirror shows decides, whoever read it. Nothing here plans a period again: that only the contract can bring
about, by showing the period once more (design, section 6). A call that is under way or in doubt is never touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Row, Select, and_, case, exists, or_, select, text, tuple_, union

from common.ids import BillingId, TenantId
from common.ledger import blocks
from common.ledger.billing_changes import change, policy_in_force, read_locked
from common.ledger.billing_rows import billing_of, was_withdrawn
from common.ledger.database import Ledger, instant_of
from common.ledger.outcomes import Void
from common.ledger.records import Billing
from common.ledger.schema import IS_ENDED, IS_VOIDED, billings, contracts, invoices, word
from common.ledger.transitions import land
from common.rules.periods import Period
from common.rules.reasons import Reason
from common.rules.states import Status

BY = "mirror"
"""Who voids, for the audit: nobody decides anything, it is what was read."""

_MAY_BE_VOIDED = frozenset({Status.DONE, Status.WAITING, Status.HELD, Status.PARKED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Corrected:
    """A billing with an invoice, and what its contract shows now."""

    billing: Billing
    shown: Period


async def void_ended(ledger: Ledger, tenant: TenantId) -> Sequence[Billing]:
    """Voids the company's billings whose invoice the mirror shows as cancelled or credited. Returns them."""
    found = await ledger.fetch(_ended(tenant))
    voided = [
        await ledger.transact(partial(_void, ledger=ledger, billing=row.id, reason=Reason(row.ended))) for row in found
    ]
    return [one for one in voided if one is not None]


def _void(connection: Connection, ledger: Ledger, billing: BillingId, reason: Reason) -> Billing | None:
    row = read_locked(connection, ledger, billing)
    if row is None:
        return None
    current = billing_of(row)
    if current.status not in _MAY_BE_VOIDED or current.invoice is None:
        return None
    if current.reason is Reason.EARLY:
        return None  # its contract must be set back with it, which a person asks for (`billings cancel`)
    now = instant_of(row.now)
    to = Void(reason, {"invoice": str(current.invoice)})
    if row.is_probe:
        blocks.release_probe(connection, billing)
    return change(connection, ledger, current, land(current, policy_in_force(row, current), to, now), BY, "voided", now)


async def not_invoiced_again(ledger: Ledger, tenant: TenantId | None = None) -> list[Corrected]:
    """The voided billings that are the last word of a contract which has gone on: until somebody sets its period back.

    Once a later period of the contract is planned, nobody waits for that any more.
    """
    later = billings.alias("later")
    is_last = ~exists(
        select(later.c.id).where(
            later.c.tenant == billings.c.tenant,
            later.c.contract == billings.c.contract,
            tuple_(later.c.period_start, later.c.generation) > tuple_(billings.c.period_start, billings.c.generation),
            ~was_withdrawn(later),
        )
    )
    statement = (
        _with_contract(tenant)
        .where(text(f"billings.{IS_VOIDED}"), contracts.c.period_start > billings.c.period_start, is_last)
        .order_by(billings.c.tenant, billings.c.contract)
    )
    return [_corrected_of(row) for row in await ledger.fetch(statement)]


async def set_back(ledger: Ledger, tenant: TenantId | None = None) -> list[Corrected]:
    """The billings with a live invoice whose contract, read later than they last changed, shows their period again.

    The invoice that was not read for longest comes first: it may have been cancelled since.
    """
    statement = (
        _with_contract(tenant)
        .outerjoin(invoices, and_(invoices.c.tenant == billings.c.tenant, invoices.c.number == billings.c.invoice))
        .where(
            contracts.c.period_start == billings.c.period_start,
            contracts.c.read_at > billings.c.changed_at,
            billings.c.status != word(Status.VOIDED.value),
        )
        .order_by(invoices.c.read_at.is_not(None), invoices.c.read_at, billings.c.id)
    )
    return [_corrected_of(row) for row in await ledger.fetch(statement)]


def _with_contract(tenant: TenantId | None) -> Select[Any]:
    """Billings with an invoice, and the period that their active contracts show."""
    statement = (
        select(billings, contracts.c.period_start.label("shown_start"), contracts.c.period_end.label("shown_end"))
        .join(contracts, and_(contracts.c.tenant == billings.c.tenant, contracts.c.number == billings.c.contract))
        .where(contracts.c.status == "ACTIVE", billings.c.invoice.is_not(None))
    )
    return statement if tenant is None else statement.where(billings.c.tenant == tenant)


def _corrected_of(row: Row[Any]) -> Corrected:
    return Corrected(billing_of(row), Period(row.shown_start, row.shown_end))


def _ended(tenant: TenantId) -> CompoundSelect[Any]:
    """The ids of the billings to void, and why. A list does not tell of an invoice that it was credited; the credit
    invoice does."""
    credit = and_(invoices.c.credit, ~invoices.c.cancelled)
    cancelled, credited = word(Reason.CANCELLED.value), word(Reason.CREDITED.value)
    by_itself = or_(invoices.c.cancelled, invoices.c.credited_by.is_not(None))
    parts = (
        (invoices.c.number, by_itself, case((invoices.c.cancelled, cancelled), else_=credited)),
        (invoices.c.credit_of, credit, credited),
    )
    return union(
        *(
            select(billings.c.id, reason.label("ended"))
            .join(invoices, and_(invoices.c.tenant == billings.c.tenant, number == billings.c.invoice))
            .where(
                invoices.c.tenant == tenant,
                text(IS_ENDED),
                which,
                billings.c.status.in_([word(status.value) for status in sorted(_MAY_BE_VOIDED)]),
            )
            for number, which, reason in parts
        )
    )
