"""Lists a tenant's contracts into the ledger's mirror, and reads what else the plan must know of the company.

It only reads. What cannot be read because a scope is missing stays unknown and is learned from the first refusal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import structlog

from common import mirror
from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.fortnox.models import FinancialYear
from common.ids import InvoiceNumber, TenantId
from common.ledger import billings, contracts, planning, tenants, unreadable
from common.ledger.database import Ledger
from common.ledger.records import Contract, Tenant
from common.rules.periods import Period
from common.rules.plan import TenantFacts, is_for_many_months
from common.rules.reasons import Reason
from common.rules.states import Status
from producers.pace import DAY, latest_turn

log = structlog.get_logger()

BY = "producer"
"""Who reads, for the audit, also when a person's command does it."""


async def poll(ledger: Ledger, fortnox: Fortnox, tenant: Tenant) -> Sequence[Contract]:
    """Lists the tenant's contracts and returns the rows, mirrored.

    Once a day, at the tenant's own time of it, the list is of all contracts, else of the active ones. The company's
    locked period and financial years are read once a day, too, and as long as a billing is held for them. Raises
    FortnoxError or TokenError; the mirror then keeps what it had.
    """
    today = ledger.clock.today()
    of_all = tenant.all_listed_at is None or tenant.all_listed_at < latest_turn(tenant.id, ledger.clock.now(), DAY)
    if tenant.newest_invoice is None:
        await note_newest_invoice(ledger, fortnox, tenant.id)
    if tenant.facts_on is None or tenant.facts_on < today or await _waits_for_the_books(ledger, tenant.id):
        # Before the list, so that nothing stands between finding a contract due and invoicing it.
        books = await read_books(fortnox, tenant.id)
        if books is not None:
            await tenants.note_facts(ledger, tenant.id, books.on(today), max(today, tenant.facts_on or today))
    listing = await fortnox.contracts(tenant.id, status=None if of_all else "active")
    rows = [mirror.listed_contract(tenant.id, read) for read in listing.rows]
    for row in listing.unreadable:
        log.error("contract_unreadable", tenant=tenant.id, contract=row.number, error=row.error)
    await unreadable.note(ledger, tenant.id, {row.number: row.error for row in listing.unreadable})
    complete = listing.complete and not listing.unreadable
    await contracts.mirror(ledger, tenant.id, rows, complete=complete, started_at=listing.started_at)
    if of_all:
        await _read_accruals(ledger, fortnox, tenant.id)
    await tenants.note_listing(ledger, tenant.id, listing.started_at, of_all=of_all)
    log.info("contracts_listed", tenant=tenant.id, contracts=len(rows), all=of_all)
    return rows


async def _read_accruals(ledger: Ledger, fortnox: Fortnox, tenant: TenantId) -> None:
    """Which contracts have an accrual, of a company that bookkeeps invoices for many months; the plan warns by it."""
    seen = await planning.views(ledger, tenant)
    if not any(policy.bookkeep and is_for_many_months(view) for view, policy, _ in seen.contracts):
        return
    try:
        listing = await fortnox.contract_accruals(tenant)
    except errors.FortnoxError as failure:
        # A warning is not worth more than what it warns of.
        log.info("accruals_unknown", tenant=tenant, answer=str(failure))
        await tenants.note_accruals(ledger, tenant, None)
        return
    known = listing.complete
    await tenants.note_accruals(ledger, tenant, {row.value.document_number for row in listing.rows} if known else None)


async def _waits_for_the_books(ledger: Ledger, tenant: TenantId) -> bool:
    """Whether a billing is held for a locked period or a missing year, which somebody may have mended since."""
    held = await billings.find(ledger, tenant=tenant, status=Status.HELD)
    return any(billing.reason in (Reason.PERIOD_LOCKED, Reason.YEAR_MISSING) for billing in held)


async def note_newest_invoice(ledger: Ledger, fortnox: Fortnox, tenant: TenantId) -> None:
    """Notes the newest invoice of a tenant seen for the first time: that one and the older ones are history, not
    ours."""
    newest = await fortnox.newest_invoice(tenant)
    await tenants.note_history(ledger, tenant, newest or InvoiceNumber(0), BY)


@dataclass(frozen=True, slots=True)
class Books:
    """What decides about bookkeeping before an invoice is made, as it was read; `None` = not known."""

    locked_until: date | None
    years: Sequence[FinancialYear] | None

    def on(self, day: date) -> TenantFacts:
        """What it says of an invoice of that day: the accounting method may change with the year."""
        if self.years is None:
            return TenantFacts(locked_until=self.locked_until)
        cash = any(one.from_date <= day <= one.to_date and one.accounting_method == "CASH" for one in self.years)
        years = tuple(Period(one.from_date, one.to_date) for one in self.years)
        return TenantFacts(locked_until=self.locked_until, years=years, cash=cash)


async def read_books(fortnox: Fortnox, tenant: TenantId) -> Books | None:
    """The locked period and the financial years.

    `None`: they could not be read now, and what was known of them stays. A refusal makes one of them unknown.
    """
    locked_until = None
    years = None
    try:
        locked_until = await fortnox.locked_period(tenant)
    except errors.Rejected as refusal:
        log.info("locked_period_unknown", tenant=tenant, answer=str(refusal))
    except errors.InDoubt as failure:
        log.warning("locked_period_not_read", tenant=tenant, error=str(failure))
        return None
    try:
        years = await fortnox.financial_years(tenant)
    except errors.Rejected as refusal:
        log.info("financial_years_unknown", tenant=tenant, answer=str(refusal))
    except errors.InDoubt as failure:
        log.warning("financial_years_not_read", tenant=tenant, error=str(failure))
        return None
    return Books(locked_until, years)
