"""/3/noxfinansinvoices: hand-over to Fakturatjänster and what can be done with one afterwards (API notes 3).

A hand-over is answered at once with an unripe status and ripens by the virtual clock, when the invoice gets a new OCR.
The error codes are placeholders, and so are statuses other than UNKNOWN, NOT_AUTHORIZED and OPEN: nobody knows them.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sandbox import payload, refusals, totals
from sandbox.api import Answer, Call, Router
from sandbox.books import By, Company, HandOver, Invoice, World
from sandbox.refusals import Refusal
from sandbox.wire import API, day, number

_LONGEST_PAUSE = timedelta(days=60)
_OLDEST_INVOICE = timedelta(days=730)
_FINANCE_OCR_STEM = 9_000_000

_CREATE_FIELDS: payload.Fields = {
    "InvoiceNumber": ("invoice", payload.text()),
    "SendMethod": ("send_method", payload.one_of("EMAIL", "LETTER", "EINVOICE", "NONE")),
    "Service": ("service", payload.one_of("LEDGERBASE", "REMINDER")),
}
_PAUSE_FIELDS: payload.Fields = {"PausedUntilDate": ("until", payload.day)}
_PAYMENT_FIELDS: payload.Fields = {
    "BookkeepPaymentInFortnox": ("bookkeep", payload.yes_no),
    "ClientTakesFees": ("client_takes_fees", payload.yes_no),
    "PaymentAmount": ("amount", payload.money),
    "PaymentMethodAccount": ("account", payload.whole),
    "PaymentMethodCode": ("method", payload.text()),
    "ReportToFinance": ("report", payload.yes_no),
}


def add_to(router: Router) -> None:
    router.add("POST", "noxfinansinvoices", "noxfinansinvoice", create)
    router.add("GET", "noxfinansinvoices/{Number}", "noxfinansinvoice", get)
    for action, act in (
        ("pause", pause),
        ("unpause", unpause),
        ("stop", stop),
        ("take-fees", take_fees),
        ("report-payment", report_payment),
    ):
        router.add("PUT", f"noxfinansinvoices/{{Number}}/{action}", "noxfinansinvoice", act)


def create(call: Call) -> Answer:
    given = _given(call, _CREATE_FIELDS)
    ripen(call.world, call.company)
    wanted = given["invoice"]
    invoice = call.company.invoices.get(int(wanted)) if wanted.isdigit() else None
    if invoice is None:
        raise refusals.no_invoice()
    made = hand_over(call.world, call.company, invoice, given["send_method"], given["service"], call.by)
    return _shaped(made, invoice, status=201)


def hand_over(world: World, company: Company, invoice: Invoice, send_method: str, service: Any, by: By) -> HandOver:
    """Hand an invoice over; `NoxFinans` is true from now on.

    Raises:
      Refusal: a precondition of API notes 3 is not met (placeholder code, the message says which).
    """
    hindrance = _hindrance(world, company, invoice, service)
    if hindrance:
        raise refusals.placeholder(world.behaviour, "finance_refused", hindrance)
    now = world.clock.now()
    made = HandOver(
        invoice.number,
        now,
        now + timedelta(seconds=world.behaviour.finance_delay),
        send_method,
        service,
        "REMINDER_SERVICE" if service == "REMINDER" else str(company.finance_service),
        by,
        status=world.behaviour.finance_first_status,
    )
    company.hand_overs[invoice.number] = made
    company.unripe.append(made)
    invoice.nox_finans = True
    world.record(company, invoice, "handover", by, service)
    return made


def ripen(world: World, company: Company) -> None:
    """Give every hand-over whose time has come its final status and OCR; cheap when nothing is unripe."""
    if not company.unripe:
        return
    now = world.clock.now()
    for made in [made for made in company.unripe if made.ripens_at <= now]:
        company.unripe.remove(made)
        if made.status == "STOPPED":
            continue
        made.ripe = True
        made.status = world.behaviour.finance_final_status
        made.ocr = totals.ocr(_FINANCE_OCR_STEM + made.invoice)
        invoice = company.invoices[made.invoice]
        invoice.ocr = made.ocr
        invoice.modified_at = now
        made.next_event, made.next_event_date = "REMINDER", invoice.due_date


def get(call: Call) -> Answer:
    made, invoice = _find(call)
    return _shaped(made, invoice)


def pause(call: Call) -> Answer:
    """At most 60 days, and only while OPEN."""
    until = _given(call, _PAUSE_FIELDS)["until"]
    made, invoice = _find(call)
    today = call.world.clock.today()
    if made.status != "OPEN" or until is None or not today < until <= today + _LONGEST_PAUSE:
        raise _refused(call.world, "Fakturan kan inte pausas till det datumet.")
    made.status, made.paused_until = "PAUSED", until
    return _recorded(call, made, invoice, "pause")


def unpause(call: Call) -> Answer:
    made, invoice = _find(call)
    if made.status != "PAUSED":
        raise _refused(call.world, "Fakturan är inte pausad.")
    made.status, made.paused_until = "OPEN", None
    return _recorded(call, made, invoice, "unpause")


def stop(call: Call) -> Answer:
    made, invoice = _find(call)
    made.status, made.next_event, made.next_event_date = "STOPPED", "", None
    return _recorded(call, made, invoice, "stop")


def take_fees(call: Call) -> Answer:
    made, invoice = _find(call)
    made.fees_taken = True
    return _recorded(call, made, invoice, "take-fees")


def report_payment(call: Call) -> Answer:
    amount: Decimal = _given(call, _PAYMENT_FIELDS)["amount"]
    made, invoice = _find(call)
    if not 0 < amount <= invoice.balance:
        raise _refused(call.world, "Betalningen överstiger fakturans saldo.")
    invoice.balance -= amount
    if invoice.balance == 0:
        made.status = "PAID"
        invoice.final_pay_date = call.world.clock.today()
    return _recorded(call, made, invoice, "report-payment")


def _hindrance(world: World, company: Company, invoice: Invoice, service: str) -> str | None:
    today = world.clock.today()
    original = company.invoices.get(invoice.credit_reference) if invoice.credit else None
    hindrances = (
        (company.finance_service is None, "Tjänsten är inte aktiverad."),
        (invoice.number in company.hand_overs, "Fakturan är redan överlämnad."),
        (invoice.cancelled, "Fakturan är makulerad."),
        (invoice.invoice_type == "INTRESTINVOICE", "Räntefakturor kan inte överlämnas."),
        (world.behaviour.finance_needs_booking and not invoice.booked, "Fakturan måste vara bokförd."),
        (invoice.credit and (original is None or original.total < -invoice.total), "Kreditfakturan saknar saldo."),
        (not invoice.credit and invoice.balance <= 0, "Fakturan saknar saldo."),
        (invoice.currency != "SEK", "Fakturan måste vara i SEK."),
        (not invoice.rows, "Fakturan saknar rader."),
        (today - invoice.invoice_date > _OLDEST_INVOICE, "Fakturan är äldre än två år."),
        (
            not all((invoice.customer_name, invoice.address1, invoice.zip_code, invoice.city)),
            "Fakturan saknar namn, adress, postnummer eller ort.",
        ),
        (service == "REMINDER" and invoice.due_date >= today, "Fakturan är inte förfallen."),
    )
    return next((message for hinders, message in hindrances if hinders), None)


def _given(call: Call, known: payload.Fields) -> dict[str, Any]:
    given = payload.fields(payload.wrapped(call, "NoxFinansInvoice"), known)
    if set(given) != {attribute for attribute, _ in known.values()}:
        raise refusals.bad_body()
    return given


def _find(call: Call) -> tuple[HandOver, Invoice]:
    ripen(call.world, call.company)
    wanted = call.path["Number"]
    made = call.company.hand_overs.get(int(wanted)) if wanted.isdigit() else None
    if made is None:
        raise refusals.missing("fakturan", call.world.behaviour.code("finance_missing"))
    return made, call.company.invoices[made.invoice]


def _refused(world: World, message: str) -> Refusal:
    return refusals.placeholder(world.behaviour, "finance_refused", message)


def _recorded(call: Call, made: HandOver, invoice: Invoice, action: str) -> Answer:
    call.world.record(call.company, invoice, action, call.by)
    return _shaped(made, invoice)


def _shaped(made: HandOver, invoice: Invoice, status: int = 200) -> Answer:
    balance = number(invoice.balance)
    shape: dict[str, Any] = {
        "@url": f"{API}/noxfinansinvoices/{made.invoice}",
        "InvoiceNumber": made.invoice,
        "Service": made.service,
        "ServiceName": made.service_name,
        "Status": made.status,
        "OCRNumber": made.ocr,
        "NextEvent": made.next_event,
        "NextEventDate": day(made.next_event_date),
        "BalanceIncludeFees": balance,
        "BalanceIncludeFeesCurrency": balance,
        "CurrentCapitalBalance": balance,
        "CurrentCapitalBalanceCurrency": balance,
    }
    if made.ripe:
        shape["InvoiceDocumentURL"] = f"{API}/sandbox/finance/{made.invoice}.pdf"
    return Answer({"NoxFinansInvoice": shape}, status)
