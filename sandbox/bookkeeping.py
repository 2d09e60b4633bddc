"""Booking an invoice: the checks Fortnox makes, and the voucher (API notes 2.5, 5.3).

Only what is known or stated as an assumption is checked; an unknown code is a placeholder.
"""

from sandbox import refusals
from sandbox.books import By, Company, Invoice, Voucher, World


def book(world: World, company: Company, invoice: Invoice, by: By) -> Voucher:
    """Make the voucher and mark the invoice as booked.

    Raises:
      Refusal: 2000401 locked period; 2003498 not ready in a warehouse company; placeholder codes for already booked,
        cancelled, no financial year and the cash method.
    """
    behaviour = world.behaviour
    if invoice.cancelled:
        raise refusals.placeholder(behaviour, "invoice_cancelled", "Fakturan är makulerad.")
    if invoice.booked:
        raise refusals.placeholder(behaviour, "already_booked", "Fakturan är redan bokförd.")
    if company.accounting_method == "CASH" and behaviour.cash_bookkeep == "refused":
        raise refusals.placeholder(behaviour, "cash_bookkeep", "Fakturor bokförs vid betalning enligt kontantmetoden.")
    if not invoice.warehouse_ready:
        raise refusals.invalid(
            2003498,
            f"Kunde inte bokföra fakturanummer {invoice.number}. Faktura som bokförs måste var klarmarkerad.",
        )
    if company.locked_until is not None and invoice.invoice_date <= company.locked_until:
        raise refusals.invalid(
            2000401,
            f"{company.name} har låst perioden t.o.m. {company.locked_until}. Lås upp perioden för att fortsätta.",
        )
    year = company.year_of(invoice.invoice_date)
    if year is None:
        raise refusals.placeholder(behaviour, "year_missing", f"Räkenskapsår saknas för {invoice.invoice_date}.")
    voucher = Voucher(
        company.voucher_series,
        company.next_voucher,
        year.id,
        invoice.invoice_date,
        invoice.number,
        invoice.total,
        world.clock.now(),
    )
    company.next_voucher += 1
    company.vouchers.append(voucher)
    invoice.booked = True
    invoice.voucher_series, invoice.voucher_number, invoice.voucher_year = voucher.series, voucher.number, voucher.year
    original = company.invoices.get(invoice.credit_reference) if invoice.credit else None
    if original is not None:
        original.balance += invoice.total
        invoice.balance -= invoice.total
    world.record(company, invoice, "bookkeep", by, f"voucher {voucher.series}{voucher.number}")
    return voucher
