"""Actions on an invoice: bookkeep, cancel, credit, send, print, preview, warehouseready (API notes 2.5).

Sending is a GET with an effect. An action refuses before it changes anything. Bodies are passed over in silence: the
newer edition declares one and nobody needs it.
"""

from sandbox import bookkeeping, deliveries, invoices, invoicing, pdf
from sandbox.api import Answer, Call, Router


def add_to(router: Router) -> None:
    for method, action, act in (
        ("PUT", "bookkeep", bookkeep),
        ("PUT", "cancel", cancel),
        ("PUT", "credit", credit),
        ("PUT", "externalprint", external_print),
        ("PUT", "warehouseready", warehouse_ready),
        ("GET", "email", email),
        ("GET", "einvoice", einvoice),
        ("GET", "eprint", eprint),
    ):
        router.add(method, f"invoices/{{DocumentNumber}}/{action}", "invoice", act)
    for action, act in (("print", print_out), ("preview", preview), ("printreminder", print_reminder)):
        router.add("GET", f"invoices/{{DocumentNumber}}/{action}", "invoice", act, pdf=True)


def bookkeep(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    bookkeeping.book(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def cancel(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    invoicing.cancel(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def credit(call: Call) -> Answer:
    """Answers the original invoice, not the credit invoice (API notes 2.5)."""
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    invoicing.credit(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def external_print(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    deliveries.mark_printed(call.world, call.company, invoice, "externalprint", call.by)
    return invoices.shaped(invoice, call)


def warehouse_ready(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    invoicing.mark_ready(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def email(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    deliveries.email(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def einvoice(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    deliveries.einvoice(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def eprint(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    deliveries.eprint(call.world, call.company, invoice, call.by)
    return invoices.shaped(invoice, call)


def print_out(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    deliveries.mark_printed(call.world, call.company, invoice, "print", call.by)
    return _pdf(f"Faktura {invoice.number}")


def print_reminder(call: Call) -> Answer:
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    deliveries.mark_printed(call.world, call.company, invoice, "printreminder", call.by)
    return _pdf(f"Påminnelse om faktura {invoice.number}")


def preview(call: Call) -> Answer:
    """Does not set Sent."""
    invoice = invoices.find(call.world, call.company, call.path["DocumentNumber"])
    return _pdf(f"Faktura {invoice.number} (förhandsgranskning)")


def _pdf(title: str) -> Answer:
    return Answer(None, raw=pdf.page(title), content_type="application/pdf")
