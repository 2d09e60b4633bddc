"""Making invoices: from a contract, by hand, and as the credit of another; and moving the contract on.

The rules of the sandbox's own Fortnox, used alike by the API and by a person's click in a test. Not idempotent, on
purpose: asked twice, it makes two invoices (API notes 1.6).
"""

from dataclasses import replace
from datetime import date, timedelta

from sandbox import periods, refusals, totals
from sandbox.books import By, Company, Contract, Customer, EmailInformation, Invoice, Row, World


def from_contract(world: World, company: Company, contract: Contract, invoice_date: date | None, by: By) -> Invoice:
    """The next invoice of a contract, with the period it showed; then the contract moves on.

    Raises:
      Refusal: the contract is finished, inactive, or has no rows or no period (placeholder codes).
    """
    behaviour = world.behaviour
    if contract.finished:
        raise refusals.placeholder(behaviour, "contract_finished", "Avtalet är avslutat.")
    if not contract.active and not behaviour.inactive_creates:
        raise refusals.placeholder(behaviour, "contract_inactive", "Avtalet är inaktivt.")
    customer = company.customers.get(contract.customer_number)
    if customer is None:
        raise refusals.no_customer()
    if not contract.rows or contract.period_end is None:
        raise refusals.placeholder(behaviour, "contract_incomplete", "Avtalet saknar rader eller period.")
    if invoice_date is None:
        by_period = behaviour.default_invoice_date == "period_start"
        invoice_date = (contract.period_start if by_period else None) or world.clock.today()
    invoice = _drawn_up(world, company, contract, customer, invoice_date, by)
    _enter(world, company, invoice, "create")
    contract.last_invoice_date = invoice_date
    advance(world, contract)
    world.record(company, contract, "createinvoice", by, f"invoice {invoice.number}")
    return invoice


def advance(world: World, contract: Contract) -> None:
    """Move the period on and count one invoice as made, as the switches say (API notes 1.6)."""
    behaviour = world.behaviour
    if behaviour.period_moves and contract.period_end is not None:
        contract.period_start, contract.period_end = periods.next_period(
            contract.period_start, contract.period_end, contract.interval, drift=behaviour.month_end == "drift"
        )
    if not contract.continuous and behaviour.remaining_counts_down:
        contract.invoices_remaining = max(contract.invoices_remaining - 1, 0)
        if contract.invoices_remaining == 0 and behaviour.finishes_at_zero:
            contract.finished = True


def by_hand(
    world: World, company: Company, customer: Customer, rows: list[Row], by: By, number: int | None = None
) -> Invoice:
    """An ordinary invoice dated today, with the next number unless one is given."""
    today = world.clock.today()
    invoice = Invoice(
        number or company.take_invoice_number(),
        customer.number,
        customer.name,
        today,
        due_date(today, customer.terms_of_payment),
        world.clock.now(),
        by,
        rows=rows,
        currency=customer.currency,
        price_list=customer.price_list,
        terms_of_payment=customer.terms_of_payment,
        email=EmailInformation(to=customer.invoice_address),
        our_reference=customer.our_reference,
        your_reference=customer.your_reference,
    )
    _address(invoice, customer)
    _enter(world, company, invoice, "create")
    return invoice


def credit(world: World, company: Company, invoice: Invoice, by: By) -> Invoice:
    """A credit invoice of the whole; both point at each other. Returns the new one.

    The original stays owed until the credit invoice is booked.

    Raises:
      Refusal: the invoice is cancelled, already credited, or itself a credit invoice (placeholder code).
    """
    if invoice.cancelled or invoice.credit or invoice.credit_reference:
        raise refusals.placeholder(world.behaviour, "not_creditable", "Fakturan kan inte krediteras.")
    today = world.clock.today()
    inherits = world.behaviour.credit_inherits_contract
    made = replace(
        invoice,
        number=company.take_invoice_number(),
        invoice_date=today,
        due_date=today,
        created_at=world.clock.now(),
        created_by=by,
        rows=totals.negated(invoice.rows),
        contract_reference=invoice.contract_reference if inherits else 0,
        period_start=invoice.period_start if inherits else None,
        period_end=invoice.period_end if inherits else None,
        invoice_type=invoice.invoice_type if inherits else "INVOICE",
        booked=False,
        sent=False,
        nox_finans=False,
        credit=True,
        credit_reference=invoice.number,
        voucher_series=None,
        voucher_number=None,
        voucher_year=None,
        final_pay_date=None,
        administration_fee=-invoice.administration_fee,
        freight=-invoice.freight,
        email=replace(invoice.email),
        labels=[],
        deeds=[],
    )
    _enter(world, company, made, "create")
    invoice.credit_reference = made.number
    world.record(company, invoice, "credit", by, f"invoice {made.number}")
    return made


def cancel(world: World, company: Company, invoice: Invoice, by: By) -> None:
    """Makulera. A second time changes nothing."""
    if invoice.cancelled:
        return
    if invoice.booked and not world.behaviour.booked_cancel:
        raise refusals.placeholder(world.behaviour, "booked_update", "Fakturan är bokförd och kan inte ändras.")
    invoice.cancelled = True
    invoice.balance -= invoice.balance
    world.record(company, invoice, "cancel", by)


def mark_ready(world: World, company: Company, invoice: Invoice, by: By) -> None:
    """Klarmarkera."""
    invoice.warehouse_ready = True
    world.record(company, invoice, "warehouseready", by)


def due_date(invoice_date: date, terms_of_payment: str) -> date:
    """Invoice date plus the days of the terms; terms that are no number of days mean at once."""
    return invoice_date + timedelta(days=int(terms_of_payment) if terms_of_payment.isdigit() else 0)


def _drawn_up(
    world: World, company: Company, contract: Contract, customer: Customer, invoice_date: date, by: By
) -> Invoice:
    invoice = Invoice(
        company.take_invoice_number(),
        customer.number,
        customer.name,
        invoice_date,
        due_date(invoice_date, contract.terms_of_payment),
        world.clock.now(),
        by,
        rows=[replace(row) for row in contract.rows],
        invoice_type="AGREEMENTINVOICE",
        contract_reference=contract.number,
        period_start=contract.period_start,
        period_end=contract.period_end,
        currency=contract.currency,
        price_list=contract.price_list,
        terms_of_payment=contract.terms_of_payment,
        vat_included=contract.vat_included,
        language=contract.language,
        email=EmailInformation(to=customer.invoice_address),
        cost_center=contract.cost_center,
        project=contract.project,
        administration_fee=contract.administration_fee,
        freight=contract.freight,
        invoice_discount=contract.invoice_discount,
        tax_reduction_type=contract.tax_reduction_type,
        print_template=contract.print_template,
        terms_of_delivery=contract.terms_of_delivery,
        way_of_delivery=contract.way_of_delivery,
    )
    if world.behaviour.inherits_references:
        invoice.email = replace(contract.email, to=contract.email.to or customer.invoice_address)
        invoice.our_reference = contract.our_reference
        invoice.your_reference = contract.your_reference
        invoice.your_order_number = contract.your_order_number
        invoice.remarks = contract.remarks
        invoice.external_reference1 = contract.external_reference1
        invoice.external_reference2 = contract.external_reference2
    _address(invoice, customer)
    return invoice


def _address(invoice: Invoice, customer: Customer) -> None:
    invoice.address1, invoice.address2 = customer.address1, customer.address2
    invoice.zip_code, invoice.city, invoice.country = customer.zip_code, customer.city, customer.country
    invoice.phone1, invoice.organisation_number = customer.phone, customer.organisation_number


def _enter(world: World, company: Company, invoice: Invoice, action: str) -> None:
    """Into the register: own row numbers, sums, OCR, and the company's bookkeeping method."""
    company.number_rows(invoice.rows)
    invoice.accounting_method = company.accounting_method
    invoice.warehouse_ready = not company.warehouse
    invoice.outbound_date = invoice.invoice_date
    invoice.ocr = totals.ocr(invoice.number)
    totals.settle(invoice, company)
    company.invoices[invoice.number] = invoice
    world.record(company, invoice, action, invoice.created_by)
