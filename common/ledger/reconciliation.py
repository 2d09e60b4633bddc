"""What the reconciler asks of the ledger: the billings in question, what they cover, and since when a company is ours.

It only reads, and only of one company at a time.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, text, union_all

from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger.billing_rows import billing_of
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.ledger.restoring import RESTORED
from common.ledger.schema import IS_OPEN, attempts, audit, billings, contracts, invoices, tenants, word
from common.ledger.tenants import HISTORY_NOTED
from common.rules.reconciliation import Lost
from common.rules.states import Step


async def newest_known_before(ledger: Ledger, tenant: TenantId, instant: datetime) -> InvoiceNumber:
    """The highest invoice number that is surely of before the instant, or of before the company was added; 0 for none.

    Fortnox counts its invoices up, so that what was made by a call of ours then is older than all made later. In a
    ledger that has not noted where the company's history ends, it ends with the newest invoice ever seen.
    """
    noted = (
        select(audit.c.after)
        .where(audit.c.tenant == tenant, audit.c.action == HISTORY_NOTED)
        .order_by(audit.c.id)
        .limit(1)
    )
    made = (
        select(func.max(billings.c.invoice))
        .join(attempts, attempts.c.billing == billings.c.id)
        .where(
            billings.c.tenant == tenant,
            billings.c.handmade.is_(False),
            attempts.c.step == word("create"),
            attempts.c.verdict == word("acted"),
            attempts.c.called_at < instant,
        )
    )
    seen = select(tenants.c.newest_invoice).where(tenants.c.id == tenant)
    found = await ledger.fetch(noted)
    history = found[0].after["newest_invoice"] if found else (await ledger.fetch(seen))[0].newest_invoice
    return InvoiceNumber(max(history or 0, (await ledger.fetch(made))[0][0] or 0))


async def in_question(
    ledger: Ledger,
    tenant: TenantId,
    *,
    since: date,
    above: InvoiceNumber,
    contracts_too: Collection[ContractNumber] = (),
) -> list[Billing]:
    """The billings due since that day, those not final, those with an invoice above that number; and all of some
    contracts."""
    where = _in_question(tenant, since, above, contracts_too)
    statement = select(billings).where(where).order_by(billings.c.contract, billings.c.period_start, billings.c.id)
    return [billing_of(row) for row in await ledger.fetch(statement)]


async def carried_out(
    ledger: Ledger, tenant: TenantId, *, since: date, above: InvoiceNumber
) -> dict[BillingId, frozenset[Step]]:
    """Of the billings in question, the steps of which a call of ours took effect."""
    statement = (
        select(attempts.c.billing, attempts.c.step)
        .join(billings, billings.c.id == attempts.c.billing)
        .where(_in_question(tenant, since, above, ()), attempts.c.verdict == word("acted"))
    )
    steps: dict[BillingId, set[Step]] = defaultdict(set)
    for row in await ledger.fetch(statement):
        steps[row.billing].add(Step(row.step))
    return {billing: frozenset(done) for billing, done in steps.items()}


async def covered_to(ledger: Ledger, tenant: TenantId) -> dict[ContractNumber, date]:
    """For each contract the last day that a billing, or an invoice that was read, covers before the period shown now.

    Voided and skipped billings cover too, since they are explained by themselves; cancelled and credited invoices do
    not.
    """
    stands = and_(invoices.c.cancelled.is_(False), invoices.c.credit.is_(False), invoices.c.credited_by.is_(None))
    parts = union_all(
        *(
            select(contracts.c.number, func.max(table.c.period_end).label("last"))
            .join(
                table,
                and_(
                    table.c.tenant == contracts.c.tenant,
                    table.c.contract == contracts.c.number,
                    table.c.period_start < contracts.c.period_start,
                ),
            )
            .where(contracts.c.tenant == tenant, *what)
            .group_by(contracts.c.number)
            for table, what in ((billings, ()), (invoices, (stands,)))
        )
    ).subquery()
    statement = select(parts.c.number, func.max(parts.c.last).label("last")).group_by(parts.c.number)
    return {row.number: row.last for row in await ledger.fetch(statement)}


async def lost(ledger: Ledger, tenant: TenantId) -> list[Lost]:
    """The times that the ledger has lost, each time that it was restored from an older copy."""
    said = (
        select(audit.c.at, audit.c.after)
        .where(audit.c.tenant == tenant, audit.c.action == RESTORED)
        .order_by(audit.c.id)
    )
    return [
        Lost(datetime.fromisoformat(row.after["ended_at"]), row.at, InvoiceNumber(row.after["newest_invoice"]))
        for row in await ledger.fetch(said)
    ]


def _in_question(
    tenant: TenantId, since: date, above: InvoiceNumber, contracts_too: Collection[ContractNumber]
) -> ColumnElement[Any]:
    also = [billings.c.contract.in_(contracts_too)] if contracts_too else []
    return and_(
        billings.c.tenant == tenant,
        or_(billings.c.due_on >= since, text(f"billings.{IS_OPEN}"), billings.c.invoice > above, *also),
    )
