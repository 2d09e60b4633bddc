"""One look at a tenant's invoices: every contract invoice above a number is read once into the mirror.

After a look that ends without error, "the mirror does not have it" means "Fortnox did not show it". The tenant's newest
invoice, the mark for later looks, moves only when every candidate has been read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import structlog

from common.fortnox.client import Fortnox
from common.fortnox.models import InvoiceItem
from common.ids import InvoiceNumber, TenantId
from common.ledger import billings, invoices, tenants
from common.ledger.database import Ledger
from common.ledger.records import Attempt, Billing, Invoice
from common.mirror import CONTRACT_INVOICE
from common.rules.due import due_on
from workers.freshness import read_invoice
from workers.verification import is_early

log = structlog.get_logger()

ENDS_BEFORE = "ends before "
"""Followed by the first day of the period that the contract showed when our call had been carried out."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look has seen."""

    invoices: Sequence[Invoice]
    """Newest first."""
    complete: bool
    """Whether nothing was left out: only then does it say something about what it does not show."""


async def look(
    ledger: Ledger, fortnox: Fortnox, tenant: TenantId, *, above: InvoiceNumber | None, customers: frozenset[str]
) -> Look:
    """Reads what the mirror lacks of the tenant's invoices above a number, and returns all of them.

    Parameters:
      above: the newest number that was known before the first call whose effect is sought.
      customers: numbers of the customers whose invoices are sought. All new invoices of theirs are read, whatever type
        the list gives them: that contract invoices are marked AGREEMENTINVOICE is assumed, not confirmed (API notes
        1.7).

    Raises FortnoxError or NotSent as soon as one candidate cannot be read; the mark does not move then.
    """
    listing = await fortnox.invoices(tenant, above=above or InvoiceNumber(0))
    found: list[Invoice] = []
    for item in (read.value for read in listing.rows):
        if not is_candidate(item, customers):
            continue
        mirrored = await invoices.get(ledger, tenant, item.document_number)
        if mirrored is None or mirrored.read_at is None:
            mirrored = await read_invoice(ledger, fortnox, tenant, item.document_number)
        found.append(mirrored)
    newest = max((read.value.document_number for read in listing.rows), default=None)
    if newest is not None and listing.complete:
        await tenants.see_invoices(ledger, tenant, newest)
    log.debug("invoices_looked_at", tenant=tenant, above=above, newest=newest, read=len(found))
    return Look(found, listing.complete)


async def later_one(ledger: Ledger, billing: Billing, attempt: Attempt, told: str | None = None) -> Invoice | None:
    """The oldest invoice of a later period of the contract that is newer than the call, and no billing's, of those that
    the mirror has.

    Parameters:
      told: what the call's answer told of its invoice (`invoicing.EARLY`). Somebody may have made several by hand, all
        between our look and our call.

    In an older copy of the ledger, what was due may have been made in the time that it has lost. Nothing else was.
    """
    mark = attempt.newest_invoice_before or InvoiceNumber(0)
    known = await invoices.of_contract(ledger, billing.tenant, billing.contract)
    later = [invoice for invoice in known if invoice.number > mark and is_early(invoice, billing)]
    if not later:
        return None
    billed = await billings.find(ledger, tenant=billing.tenant, contract=billing.contract)
    owned = {other.invoice for other in billed}
    free = [one for one in later if one.number not in owned]
    if told is not None:
        of_it = [one for one in free if _is_told_of(one, told)]
        # How a contract's period moves on is assumed (API notes 1.6); a number is not.
        free = of_it or (free if told.startswith(ENDS_BEFORE) else [])
    oldest = min(free, key=lambda one: one.number, default=None)
    if oldest is None or oldest.period is None or attempt.stood is None:
        return oldest
    return oldest if due_on(oldest.period, billing.policy) > ledger.clock.today() else None


def _is_told_of(invoice: Invoice, told: str) -> bool:
    if not told.startswith(ENDS_BEFORE):
        return told == str(invoice.number)
    next_start = date.fromisoformat(told.removeprefix(ENDS_BEFORE))
    return invoice.period is not None and invoice.period.end + timedelta(days=1) == next_start


async def not_others(ledger: Ledger, billing: Billing, found: Sequence[Invoice]) -> Sequence[Invoice]:
    """The invoices but for those of other billings: no call of this one has made those."""
    owners = [await billings.owner_of(ledger, billing.tenant, one.number) for one in found]
    return [one for one, owner in zip(found, owners, strict=True) if owner in (None, billing.id)]


def is_candidate(item: InvoiceItem, customers: frozenset[str]) -> bool:
    """Whether the listed invoice may have come from a contract."""
    return item.invoice_type in ("", CONTRACT_INVOICE) or item.customer_number in customers
