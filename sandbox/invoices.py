"""/3/invoices: list, create, read and update (API notes 2.1 to 2.4); actions are in sandbox.invoice_actions.

A booked invoice is never changed here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from sandbox import finance, invoice_shapes, invoicing, listing, payload, refusals, rows, totals
from sandbox.api import Answer, Call, Router
from sandbox.books import Company, Invoice, World
from sandbox.listing import Sort, Test

_SUBSTRINGS: Mapping[str, Callable[[Invoice], str]] = {
    "costcenter": lambda invoice: invoice.cost_center,
    "customername": lambda invoice: invoice.customer_name,
    "customernumber": lambda invoice: invoice.customer_number,
    "documentnumber": lambda invoice: str(invoice.number),
    "ocr": lambda invoice: invoice.ocr,
    "ourreference": lambda invoice: invoice.our_reference,
    "project": lambda invoice: invoice.project,
    "externalinvoicereference1": lambda invoice: invoice.external_reference1,
    "externalinvoicereference2": lambda invoice: invoice.external_reference2,
    "yourreference": lambda invoice: invoice.your_reference,
    "currency": lambda invoice: invoice.currency,
    "yourordernumber": lambda invoice: invoice.your_order_number,
}
_BOOLEANS: Mapping[str, Callable[[Invoice], bool]] = {
    "notcompleted": lambda invoice: invoice.not_completed,
    "sent": lambda invoice: invoice.sent,
    "credit": lambda invoice: invoice.credit,
}
_FROM_DAY: Mapping[str, Callable[[Invoice], date | None]] = {
    "fromdate": lambda invoice: invoice.invoice_date,
    "fromfinalpaydate": lambda invoice: invoice.final_pay_date,
}
_TO_DAY: Mapping[str, Callable[[Invoice], date | None]] = {
    "todate": lambda invoice: invoice.invoice_date,
    "tofinalpaydate": lambda invoice: invoice.final_pay_date,
}
_OTHERS = ("label", "invoicetype", "articlenumber", "articledescription", "accountnumberfrom", "accountnumberto")
_SORT_KEYS: Mapping[str, Sort[Invoice]] = {
    "customername": lambda invoice: invoice.customer_name.casefold(),
    "customernumber": lambda invoice: invoice.customer_number,
    "documentnumber": lambda invoice: invoice.number,
    "invoicedate": lambda invoice: invoice.invoice_date,
    "ocr": lambda invoice: invoice.ocr,
    "total": lambda invoice: invoice.total,
}
_TYPES = ("INVOICE", "AGREEMENTINVOICE", "INTRESTINVOICE", "SUMMARYINVOICE", "CASHINVOICE")

_FIELDS: payload.Fields = {
    "Address1": ("address1", payload.text()),
    "Address2": ("address2", payload.text()),
    "AdministrationFee": ("administration_fee", payload.money),
    "City": ("city", payload.text()),
    "Comments": ("comments", payload.text()),
    "CostCenter": ("cost_center", payload.text()),
    "Country": ("country", payload.text()),
    "Currency": ("currency", payload.text(3)),
    "CurrencyRate": ("currency_rate", payload.money),
    "CustomerName": ("customer_name", payload.text()),
    "CustomerNumber": ("customer_number", payload.text()),
    "DeliveryDate": ("delivery_date", payload.day),
    "DocumentNumber": ("number", payload.whole),
    "DueDate": ("due_date", payload.day),
    "EmailInformation": ("email", payload.email),
    "ExternalInvoiceReference1": ("external_reference1", payload.text(80)),
    "ExternalInvoiceReference2": ("external_reference2", payload.text(80)),
    "Freight": ("freight", payload.money),
    "InvoiceDate": ("invoice_date", payload.day),
    "InvoiceRows": ("rows", lambda value: value),
    "InvoiceType": ("invoice_type", payload.one_of(*_TYPES)),
    "Labels": ("labels", lambda value: _labels(value)),
    "Language": ("language", payload.one_of("SV", "EN")),
    "NotCompleted": ("not_completed", payload.yes_no),
    "OCR": ("ocr", payload.text()),
    "OurReference": ("our_reference", payload.text(50)),
    "OutboundDate": ("outbound_date", payload.day),
    "PaymentWay": ("payment_way", payload.text()),
    "Phone1": ("phone1", payload.text()),
    "PriceList": ("price_list", payload.text()),
    "PrintTemplate": ("print_template", payload.text()),
    "Project": ("project", payload.text()),
    "Remarks": ("remarks", payload.text()),
    "TaxReductionType": ("tax_reduction_type", payload.one_of("none", "rot", "rut", "green")),
    "TermsOfDelivery": ("terms_of_delivery", payload.text()),
    "TermsOfPayment": ("terms_of_payment", payload.text()),
    "VATIncluded": ("vat_included", payload.yes_no),
    "WayOfDelivery": ("way_of_delivery", payload.text()),
    "YourOrderNumber": ("your_order_number", payload.text(75)),
    "YourReference": ("your_reference", payload.text(50)),
    "ZipCode": ("zip_code", payload.text()),
}
"""What the official payload has and the books keep (OLD `fortnox_InvoicePayload`)."""

_UNKEPT = frozenset(
    {
        "CreditInvoiceReference",
        "CurrencyUnit",
        "DeliveryAddress1",
        "DeliveryAddress2",
        "DeliveryCity",
        "DeliveryCountry",
        "DeliveryName",
        "DeliveryZipCode",
        "EDIInformation",
        "EUQuarterlyReport",
        "Phone2",
    }
)
_READ_ONLY = frozenset(
    {
        "@url",
        "@urlTaxReductionList",
        "AccountingMethod",
        "AdministrationFeeVAT",
        "Balance",
        "BasisTaxReduction",
        "Booked",
        "Cancelled",
        "ContractReference",
        "ContributionPercent",
        "ContributionValue",
        "Credit",
        "FinalPayDate",
        "FreightVAT",
        "Gross",
        "HouseWork",
        "InvoicePeriodEnd",
        "InvoicePeriodReference",
        "InvoicePeriodStart",
        "InvoiceReference",
        "LastRemindDate",
        "Net",
        "NoxFinans",
        "OfferReference",
        "OrderReference",
        "OrganisationNumber",
        "Reminders",
        "RoundOff",
        "Sent",
        "TaxReduction",
        "TimeBasisReference",
        "Total",
        "TotalToPay",
        "TotalVAT",
        "VoucherNumber",
        "VoucherSeries",
        "VoucherYear",
        "WarehouseReady",
    }
)
_PASSED_OVER = _UNKEPT | _READ_ONLY


def add_to(router: Router) -> None:
    router.add("GET", "invoices", "invoice", list_invoices)
    router.add("POST", "invoices", "invoice", create)
    router.add("GET", "invoices/{DocumentNumber}", "invoice", get)
    router.add("PUT", "invoices/{DocumentNumber}", "invoice", update)


def list_invoices(call: Call) -> Answer:
    """Every official filter, substring semantics, ascending by number by default (API notes 2.2, 9.1)."""
    known = {*_SUBSTRINGS, *_BOOLEANS, *_FROM_DAY, *_TO_DAY, *_OTHERS}
    listing.check_parameters(call.query, known)
    finance.ripen(call.world, call.company)
    found = listing.select(call.company.invoices.values(), _tests(call))
    ordered = listing.sort(found, call.query, _SORT_KEYS, "documentnumber")
    shown, meta = listing.page(ordered, call.query, call.world.behaviour)
    return Answer({"MetaInformation": meta, "Invoices": [invoice_shapes.listed(invoice) for invoice in shown]})


def get(call: Call) -> Answer:
    return shaped(find(call.world, call.company, call.path["DocumentNumber"]), call)


def create(call: Call) -> Answer:
    """What is missing comes from the customer's card; what is said wins (API notes 2.3).

    Raises:
      Refusal: 2001392 no customer given; 2000433 no such customer; 2001302 no such article.
    """
    given = payload.fields(payload.wrapped(call, "Invoice"), _FIELDS, _PASSED_OVER)
    company = call.company
    customer = company.customers.get(given.get("customer_number", ""))
    if customer is None:
        raise refusals.no_customer() if given.get("customer_number") else refusals.bad_body()
    if given.get("number") in company.invoices:
        raise refusals.placeholder(call.world.behaviour, "already_exists", "Fakturanumret används redan.")
    price_list = given.get("price_list", customer.price_list)
    made = rows.merged([], given.pop("rows", []), call, price_list, vat_free=customer.vat_free)
    number = given.pop("number", None)
    invoice = invoicing.by_hand(call.world, company, customer, made, call.by, number)
    _change(invoice, given)
    totals.settle(invoice, company)
    return replace(shaped(invoice, call), status=201)


def update(call: Call) -> Answer:
    """Partial, and only while unbooked; rows by the RowId rules, all RowIds regenerated (API notes 2.4).

    Raises:
      Refusal: booked or cancelled (placeholder codes); wrong fields, customers or articles.
    """
    invoice = find(call.world, call.company, call.path["DocumentNumber"])
    given = payload.fields(payload.wrapped(call, "Invoice"), _FIELDS, _PASSED_OVER)
    company = call.company
    if invoice.booked:
        raise refusals.placeholder(call.world.behaviour, "booked_update", "Fakturan är bokförd och kan inte ändras.")
    if invoice.cancelled:
        raise refusals.placeholder(call.world.behaviour, "invoice_cancelled", "Fakturan är makulerad.")
    customer = company.customers.get(given.get("customer_number", invoice.customer_number))
    if customer is None:
        raise refusals.no_customer()
    given.pop("number", None)
    if "rows" in given:
        price_list = given.get("price_list", invoice.price_list)
        new_rows = rows.merged(invoice.rows, given.pop("rows"), call, price_list, vat_free=customer.vat_free)
        invoice.rows = new_rows
    company.number_rows(invoice.rows)
    _change(invoice, given)
    totals.settle(invoice, company)
    call.world.record(call.company, invoice, "update", call.by)
    return shaped(invoice, call)


def find(world: World, company: Company, number: str) -> Invoice:
    """The invoice, with what has ripened since the last look.

    Raises:
      Refusal: 404, 2000434.
    """
    finance.ripen(world, company)
    invoice = company.invoices.get(int(number)) if number.isdigit() else None
    if invoice is None:
        raise refusals.no_invoice()
    return invoice


def shaped(invoice: Invoice, call: Call) -> Answer:
    return Answer({"Invoice": invoice_shapes.single(invoice, call.company, call.world.behaviour)})


def _change(invoice: Invoice, given: dict[str, Any]) -> None:
    """Write fields; a new date or new terms move the due date unless that is given too."""
    invoice.email = replace(invoice.email, **given.pop("email", {}))
    moves_due_date = "due_date" not in given and ("invoice_date" in given or "terms_of_payment" in given)
    for attribute, value in given.items():
        if value is None and attribute in {"invoice_date", "due_date"}:
            continue
        setattr(invoice, attribute, value)
    if moves_due_date:
        invoice.due_date = invoicing.due_date(invoice.invoice_date, invoice.terms_of_payment)
    if "invoice_date" in given and "outbound_date" not in given:
        invoice.outbound_date = invoice.invoice_date


def _labels(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(label, dict) for label in value):
        raise refusals.bad_body()
    return [payload.whole(label.get("Id")) for label in value]


def _tests(call: Call) -> list[Test[Invoice]]:
    query = call.query
    tests: list[Test[Invoice]] = []
    if (wanted := query.get("filter")) is not None:
        tests.append(_filter(wanted, call.world.clock.today()))
    tests += [listing.contains(query[name], read) for name, read in _SUBSTRINGS.items() if name in query]
    tests += [listing.is_true(query[name], read) for name, read in _BOOLEANS.items() if name in query]
    tests += [_not_before(listing.parse_day(query[name]), read) for name, read in _FROM_DAY.items() if name in query]
    tests += [_not_after(listing.parse_day(query[name]), read) for name, read in _TO_DAY.items() if name in query]
    if (text := query.get("lastmodified")) is not None:
        tests.append(listing.modified_since(text, lambda invoice: invoice.modified_at))
    if (kind := query.get("invoicetype")) is not None:
        tests.append(lambda invoice: invoice.invoice_type == kind)
    if (text := query.get("label")) is not None:
        label = listing.parse_whole(text)
        tests.append(lambda invoice: label in invoice.labels)
    if (text := query.get("financialyear") or query.get("financialyeardate")) is not None:
        tests.append(_in_year(call, text, by_date="financialyear" not in query))
    return tests + _row_tests(query)


def _row_tests(query: Mapping[str, str]) -> list[Test[Invoice]]:
    tests: list[Test[Invoice]] = []
    if (number := query.get("articlenumber")) is not None:
        sought = number.casefold()
        tests.append(lambda invoice: any(sought in row.article_number.casefold() for row in invoice.rows))
    if (words := query.get("articledescription")) is not None:
        described = words.casefold()
        tests.append(lambda invoice: any(described in row.description.casefold() for row in invoice.rows))
    if "accountnumberfrom" in query or "accountnumberto" in query:
        lowest = listing.parse_whole(query.get("accountnumberfrom", "0"))
        highest = listing.parse_whole(query.get("accountnumberto", "99999"))
        tests.append(lambda invoice: any(lowest <= (row.account_number or 0) <= highest for row in invoice.rows))
    return tests


def _filter(wanted: str, today: date) -> Test[Invoice]:
    tests: Mapping[str, Test[Invoice]] = {
        "cancelled": lambda invoice: invoice.cancelled,
        "fullypaid": lambda invoice: invoice.booked and not invoice.cancelled and invoice.balance == 0,
        "unpaid": lambda invoice: invoice.booked and not invoice.cancelled and invoice.balance != 0,
        "unpaidoverdue": lambda i: i.booked and not i.cancelled and i.balance != 0 and i.due_date < today,
        "unbooked": lambda invoice: not invoice.booked and not invoice.cancelled,
    }
    if wanted not in tests:
        raise refusals.bad_filter()
    return tests[wanted]


def _not_before(limit: date, read: Callable[[Invoice], date | None]) -> Test[Invoice]:
    def test(invoice: Invoice) -> bool:
        day = read(invoice)
        return day is not None and day >= limit

    return test


def _not_after(limit: date, read: Callable[[Invoice], date | None]) -> Test[Invoice]:
    def test(invoice: Invoice) -> bool:
        day = read(invoice)
        return day is not None and day <= limit

    return test


def _in_year(call: Call, text: str, *, by_date: bool) -> Test[Invoice]:
    if by_date:
        year = call.company.year_of(listing.parse_day(text))
    else:
        wanted = listing.parse_whole(text)
        year = next((year for year in call.company.financial_years if year.id == wanted), None)
    return lambda invoice: year is not None and year.holds(invoice.invoice_date)
