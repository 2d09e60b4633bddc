"""Decides whether an invoice is the one that a billing asked for. Pure: it reads nothing and changes nothing.

Nothing is done with an invoice before it has passed here (design, section 6).
"""

from common.ledger.records import Billing, Invoice
from common.mirror import CONTRACT_INVOICE


def is_live(invoice: Invoice) -> bool:
    """Whether the invoice stands: not cancelled, no credit invoice, not credited."""
    return not (invoice.cancelled or invoice.credit or invoice.credited_by is not None)


def is_early(invoice: Invoice, billing: Billing) -> bool:
    """Whether it is a standing invoice of the same contract, of a later period than the billing's."""
    return (
        is_live(invoice)
        and invoice.contract == billing.contract
        and invoice.period is not None
        and invoice.period.start > billing.period.end
    )


def is_unclear(invoice: Invoice, billing: Billing) -> bool:
    """Whether a contract invoice of the same customer does not say which contract or period it is of."""
    return (
        is_live(invoice)
        and invoice.invoice_type == CONTRACT_INVOICE
        and invoice.customer_number == billing.customer_number
        and (invoice.contract is None or (invoice.contract == billing.contract and invoice.period is None))
    )


def objections(invoice: Invoice, billing: Billing) -> dict[str, str]:
    """Why the invoice is not what the billing asked for: fact -> what was found. Empty when it is."""
    found: dict[str, str] = {}
    if invoice.contract != billing.contract:
        found["contract"] = f"{invoice.contract}, not {billing.contract}"
    if invoice.period != billing.period:
        found["period"] = f"{invoice.period}, not {billing.period}"
    if invoice.invoice_date != billing.invoice_date:
        found["invoice date"] = f"{invoice.invoice_date}, not {billing.invoice_date}"
    if invoice.cancelled:
        found["state"] = "cancelled"
    elif invoice.credit or invoice.credited_by is not None:
        found["state"] = "credited"
    return found
