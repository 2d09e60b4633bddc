"""What the invoice as it stands now means for a billing that would go on with it."""

import structlog

from common.fortnox import errors
from common.ids import InvoiceNumber
from common.ledger.outcomes import Hold, Outcome, Void
from common.ledger.records import Billing, Invoice
from common.rules.reasons import ROWS_SEEN, Reason
from workers.freshness import read_invoice
from workers.runtime import Runtime

log = structlog.get_logger()


def invoice_of(billing: Billing) -> InvoiceNumber:
    """The number of the billing's invoice; the ledger lets no step after *create* be without one."""
    if billing.invoice is None:
        raise LookupError(f"billing {billing.id} is at step {billing.step.value} and has no invoice")
    return billing.invoice


def changed_or_gone(invoice: Invoice, billing: Billing) -> Outcome | None:
    """Why neither bookkeeping nor delivery may go on: cancelled or credited, or changed by a person since it was made,
    or since a person said yes to it as it was then."""
    if invoice.cancelled:
        return Void(Reason.CANCELLED, {"invoice": str(invoice.number)})
    if invoice.credit or invoice.credited_by is not None:
        return Void(Reason.CREDITED, {"invoice": str(invoice.number)})
    facts = {"invoice": str(invoice.number)}
    if billing.made_total is not None and invoice.total != billing.made_total:
        facts |= {"made": str(billing.made_total), "now": str(invoice.total)}
    elif None not in (billing.made_rows, invoice.rows_digest) and invoice.rows_digest != billing.made_rows:
        facts |= {"rows": "changed"}
    else:
        return None
    return Hold(Reason.INVOICE_CHANGED, {**facts, ROWS_SEEN: invoice.rows_digest or ""})


async def read_after_refusal(runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Invoice | None:
    """The one read that follows a refusal to bookkeep or to send (design, section 5 rule 5); `None` where it is no
    use."""
    if not isinstance(refusal, errors.Invalid) or billing.invoice is None:
        return None
    try:
        return await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, billing.invoice)
    except (errors.FortnoxError, errors.NotSent) as error:
        log.warning("invoice_not_read_after_refusal", error=str(error))
        return None
