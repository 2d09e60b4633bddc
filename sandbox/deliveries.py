"""Sending an invoice: by e-mail, as an e-invoice, by the print service, or marked as printed; kept in the outbox.

Asked twice, it sends twice: Fortnox has no memory of a request (API notes 2.5). Nothing ever leaves the process.
"""

from typing import Literal

from sandbox import refusals
from sandbox.books import By, Company, Delivery, Invoice, World

Kind = Literal["email", "einvoice", "eprint", "print", "externalprint", "printreminder"]


def email(world: World, company: Company, invoice: Invoice, by: By) -> None:
    """To the address in the invoice's EmailInformation.

    Raises:
      Refusal: `Bankuppgifter saknas`, no recipient, or cancelled (placeholder codes); 2001101 without the company's
        own licence.
    """
    _check(world, company, invoice)
    if not invoice.email.to.strip():
        raise refusals.placeholder(world.behaviour, "recipient_missing", "Mottagarens e-postadress saknas.")
    subject = invoice.email.subject.replace("{no}", str(invoice.number))
    _send(world, company, invoice, "email", invoice.email.to, subject, by)


def einvoice(world: World, company: Company, invoice: Invoice, by: By) -> None:
    """To the customer's GLN; one without cannot receive e-invoices (placeholder code)."""
    _check(world, company, invoice)
    customer = company.customers.get(invoice.customer_number)
    if customer is None or not customer.gln:
        raise refusals.placeholder(world.behaviour, "einvoice_missing", "Kunden kan inte ta emot e-faktura.")
    _send(world, company, invoice, "einvoice", customer.gln, "", by)


def eprint(world: World, company: Company, invoice: Invoice, by: By) -> None:
    """Printed and posted by Fortnox' print service; a letter needs an address (placeholder code)."""
    _check(world, company, invoice)
    if not (invoice.address1 and invoice.zip_code and invoice.city):
        raise refusals.placeholder(world.behaviour, "post_address_missing", "Mottagarens postadress saknas.")
    _send(world, company, invoice, "eprint", f"{invoice.address1}, {invoice.zip_code} {invoice.city}", "", by)


def mark_printed(
    world: World, company: Company, invoice: Invoice, kind: Literal["print", "externalprint", "printreminder"], by: By
) -> None:
    """Printed here or elsewhere: only Sent changes."""
    _send(world, company, invoice, kind, "", "", by)


def _check(world: World, company: Company, invoice: Invoice) -> None:
    if not company.may_send:
        raise refusals.no_licence()
    if invoice.cancelled:
        raise refusals.placeholder(world.behaviour, "invoice_cancelled", "Fakturan är makulerad.")
    if company.bankgiro is None:
        raise refusals.placeholder(world.behaviour, "bank_details_missing", "Bankuppgifter saknas")


def _send(world: World, company: Company, invoice: Invoice, kind: Kind, to: str, subject: str, by: By) -> None:
    invoice.sent = True
    company.outbox.append(Delivery(world.clock.now(), kind, invoice.number, to, subject, by))
    world.record(company, invoice, kind, by, to)
