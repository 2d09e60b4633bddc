"""Decides whether an invoice is the one that a billing asked for. Pure: it reads nothing and changes nothing.

Nothing is done with an invoice before it has passed here (design, section 6).
"""

from common.ledger.records import Billing, Invoice


def same_period(invoice: Invoice, billing: Billing) -> bool:
    """Whether the invoice came from the billing's contract for the billing's period, whatever became of it since."""
    return invoice.contract == billing.contract and invoice.period == billing.period


def is_live(invoice: Invoice) -> bool:
    """Whether the invoice stands: not cancelled, no credit invoice, not credited."""
    return not (invoice.cancelled or invoice.credit or invoice.credited_by is not None)


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
