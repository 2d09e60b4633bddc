"""/3/contracts: list, create, read, update, createinvoice, increaseinvoicecount, finish (API notes 1).

What an effect does to the books is in sandbox.invoicing; here requests are read and answers shaped.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox import contract_shapes, invoice_shapes, invoicing, listing, payload, refusals, rows, totals
from sandbox.api import Answer, Call, Router
from sandbox.books import Company, Contract, EmailInformation, Row, World
from sandbox.listing import Sort, Test

_FILTERS = frozenset(
    {"periodstart", "periodend", "documentnumber", "customernumber", "templatenumber", "invoicesremaining"}
)

_FIELDS: payload.Fields = {
    "Active": ("active", payload.yes_no),
    "AdministrationFee": ("administration_fee", payload.money),
    "Comments": ("comments", payload.text()),
    "Continuous": ("continuous", payload.yes_no),
    "ContractDate": ("contract_date", payload.day),
    "ContractLength": ("length", payload.whole),
    "CostCenter": ("cost_center", payload.text()),
    "Currency": ("currency", payload.text(3)),
    "CustomerNumber": ("customer_number", payload.text()),
    "DocumentNumber": ("number", payload.whole),
    "EmailInformation": ("email", payload.email),
    "ExternalInvoiceReference1": ("external_reference1", payload.text(80)),
    "ExternalInvoiceReference2": ("external_reference2", payload.text(80)),
    "Freight": ("freight", payload.money),
    "InvoiceDiscount": ("invoice_discount", payload.money),
    "InvoiceInterval": ("interval", payload.whole),
    "InvoiceRows": ("rows", lambda value: value),
    "Language": ("language", payload.one_of("SV", "EN")),
    "OurReference": ("our_reference", payload.text(25)),
    "PeriodEnd": ("period_end", payload.day),
    "PeriodStart": ("period_start", payload.day),
    "PriceList": ("price_list", payload.text()),
    "PrintTemplate": ("print_template", payload.text()),
    "Project": ("project", payload.text()),
    "Remarks": ("remarks", payload.text()),
    "TaxReductionType": ("tax_reduction_type", payload.one_of("none", "rot", "rut", "green")),
    "TemplateNumber": ("template_number", payload.optional(payload.whole)),
    "TermsOfDelivery": ("terms_of_delivery", payload.text()),
    "TermsOfPayment": ("terms_of_payment", payload.text()),
    "VATIncluded": ("vat_included", payload.yes_no),
    "VatIncluded": ("vat_included", payload.yes_no),
    "WayOfDelivery": ("way_of_delivery", payload.text()),
    "YourOrderNumber": ("your_order_number", payload.text(75)),
    "YourReference": ("your_reference", payload.text()),
}
_READ_ONLY = frozenset(
    {
        "@url",
        "@urlTaxReductionList",
        "BasisTaxReduction",
        "ContributionPercent",
        "ContributionValue",
        "CustomerName",
        "Gross",
        "HouseWork",
        "InvoicesRemaining",
        "LastInvoiceDate",
        "Net",
        "RoundOff",
        "TaxReduction",
        "TemplateName",
        "Total",
        "TotalToPay",
        "TotalVAT",
    }
)
_COPIED_FROM_CUSTOMER = ("currency", "our_reference", "price_list", "terms_of_payment", "your_reference")


def add_to(router: Router) -> None:
    for method, path, act in (
        ("GET", "contracts", list_contracts),
        ("POST", "contracts", create),
        ("GET", "contracts/{DocumentNumber}", get),
        ("PUT", "contracts/{DocumentNumber}", update),
        ("PUT", "contracts/{DocumentNumber}/createinvoice", create_invoice),
        ("PUT", "contracts/{DocumentNumber}/increaseinvoicecount", increase_invoice_count),
        ("PUT", "contracts/{DocumentNumber}/finish", finish),
    ):
        router.add(method, path, "invoice", act, contract_feature=True)


def list_contracts(call: Call) -> Answer:
    """Every filter of both editions; `sortby` from the official C# library (API notes 1.2)."""
    listing.check_parameters(call.query, _FILTERS)
    found = listing.select(call.company.contracts.values(), list(_tests(call)))
    ordered = listing.sort(found, call.query, _sort_keys(call.company), "documentnumber")
    shown, meta = listing.page(ordered, call.query, call.world.behaviour)
    items = [contract_shapes.listed(contract, call.company, call.world.behaviour) for contract in shown]
    return Answer({"MetaInformation": meta, "Contracts": items})


def get(call: Call) -> Answer:
    return _single(find(call.world, call.company, call.path["DocumentNumber"]), call)


def create(call: Call) -> Answer:
    """Needs CustomerNumber, InvoiceRows and PeriodEnd; the customer's card fills in the rest (API notes 1.4).

    Raises:
      Refusal: 2001392 something required is missing; 2000433 no such customer; 2001302 no such article.
    """
    given = payload.fields(payload.wrapped(call, "Contract"), _FIELDS, _READ_ONLY)
    if not all(given.get(required) for required in ("customer_number", "rows", "period_end")):
        raise refusals.bad_body()
    company = call.company
    customer = company.customers.get(given["customer_number"])
    if customer is None:
        raise refusals.no_customer()
    number = given.pop("number", None)
    if number in company.contracts:
        raise refusals.placeholder(call.world.behaviour, "already_exists", f"Avtalsnummer {number} används redan.")
    for attribute in _COPIED_FROM_CUSTOMER:
        given.setdefault(attribute, getattr(customer, attribute))
    contract = Contract(
        number=number or company.take_contract_number(),
        customer_number=customer.number,
        period_start=None,
        period_end=None,
        contract_date=call.world.clock.today(),
        email=EmailInformation(to=customer.invoice_address),
    )
    new_rows = rows.merged([], given.pop("rows"), call, given["price_list"], vat_free=customer.vat_free)
    _change(contract, given, new_rows)
    if not contract.continuous:
        contract.invoices_remaining = contract.length // max(contract.interval, 1)
    company.add_contract(contract)
    call.world.record(call.company, contract, "create", call.by)
    return replace(_single(contract, call), status=201)


def update(call: Call) -> Answer:
    """Partial; rows by the RowId rules, all RowIds regenerated (API notes 1.5, 2.4)."""
    contract = find(call.world, call.company, call.path["DocumentNumber"])
    given = payload.fields(payload.wrapped(call, "Contract"), _FIELDS, _READ_ONLY)
    company = call.company
    customer = company.customers.get(given.get("customer_number", contract.customer_number))
    if customer is None:
        raise refusals.no_customer()
    given.pop("number", None)
    new_rows = contract.rows
    if "rows" in given:
        price_list = given.get("price_list", contract.price_list)
        new_rows = rows.merged(contract.rows, given.pop("rows"), call, price_list, vat_free=customer.vat_free)
    _change(contract, given, new_rows)
    company.number_rows(contract.rows)
    call.world.record(call.company, contract, "update", call.by)
    return _single(contract, call)


def create_invoice(call: Call) -> Answer:
    """Makes an invoice each time it is called; answers Contract or Invoice by switch (API notes 1.6)."""
    if not set(call.query) <= {"invoicedate"}:
        raise refusals.bad_parameter()
    contract = find(call.world, call.company, call.path["DocumentNumber"])
    asked = call.query.get("invoicedate")
    invoice_date = listing.parse_day(asked) if asked else None
    invoice = invoicing.from_contract(call.world, call.company, contract, invoice_date, call.by)
    if call.world.behaviour.create_answer == "Invoice":
        return Answer({"Invoice": invoice_shapes.single(invoice, call.company, call.world.behaviour)})
    return _single(contract, call)


def increase_invoice_count(call: Call) -> Answer:
    """Two readings, by switch: one invoice counts as made, or one more remains (API notes 1.8)."""
    contract = find(call.world, call.company, call.path["DocumentNumber"])
    if call.world.behaviour.increase_count == "a":
        invoicing.advance(call.world, contract)
    else:
        contract.invoices_remaining += 1
    call.world.record(call.company, contract, "increaseinvoicecount", call.by)
    return _single(contract, call)


def finish(call: Call) -> Answer:
    contract = find(call.world, call.company, call.path["DocumentNumber"])
    contract.finished = True
    call.world.record(call.company, contract, "finish", call.by)
    return _single(contract, call)


def find(world: World, company: Company, number: str) -> Contract:
    contract = company.contracts.get(int(number)) if number.isdigit() else None
    if contract is None:
        raise refusals.no_contract(world.behaviour)
    return contract


def _single(contract: Contract, call: Call) -> Answer:
    return Answer({"Contract": contract_shapes.single(contract, call.company, call.world.behaviour)})


def _change(contract: Contract, given: dict[str, Any], new_rows: list[Row]) -> None:
    contract.email = replace(contract.email, **given.pop("email", {}))
    for attribute, value in given.items():
        setattr(contract, attribute, value)
    contract.rows = new_rows


def _tests(call: Call) -> list[Test[Contract]]:
    query = call.query
    behaviour = call.world.behaviour
    tests: list[Test[Contract]] = []
    if (wanted := query.get("filter")) is not None:
        if wanted not in {"active", "inactive", "finished"}:
            raise refusals.bad_filter()
        tests.append(lambda contract: contract.status == wanted.upper())
    if (text := query.get("documentnumber")) is not None:
        tests.append(listing.contains(text, lambda contract: str(contract.number)))
    if (text := query.get("customernumber")) is not None:
        tests.append(listing.contains(text, lambda contract: contract.customer_number))
    if (text := query.get("templatenumber")) is not None:
        template = listing.parse_whole(text)
        tests.append(lambda contract: contract.template_number == template)
    if (text := query.get("invoicesremaining")) is not None:
        remaining = listing.parse_whole(text)
        tests.append(lambda contract: contract.invoices_remaining == remaining)
    exact = behaviour.period_filter == "exact"
    if (text := query.get("periodstart")) is not None:
        start = listing.parse_day(text)
        tests.append(
            lambda c: c.period_start is not None and (c.period_start == start or (not exact and c.period_start > start))
        )
    if (text := query.get("periodend")) is not None:
        end = listing.parse_day(text)
        tests.append(lambda c: c.period_end is not None and (c.period_end == end or (not exact and c.period_end < end)))
    if (text := query.get("lastmodified")) is not None:
        by_day = behaviour.contract_lastmodified_by_day
        tests.append(listing.modified_since(text, lambda contract: contract.modified_at, by_day=by_day))
    return tests


def _sort_keys(company: Company) -> Mapping[str, Sort[Contract]]:
    return {
        "customername": lambda contract: contract_shapes.customer_name(contract, company).casefold(),
        "customernumber": lambda contract: contract.customer_number,
        "documentnumber": lambda contract: contract.number,
        "invoicesremaining": lambda contract: contract.invoices_remaining,
        "lastinvoicedate": lambda contract: str(contract.last_invoice_date or ""),
        "periodend": lambda contract: str(contract.period_end or ""),
        "periodstart": lambda contract: str(contract.period_start or ""),
        "templatenumber": lambda contract: contract.template_number or 0,
        "total": lambda contract: totals.of(contract, company).total,
    }
