"""Turns what was read of Fortnox into what the ledger mirrors. Pure; the one place that knows both vocabularies."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from common.fortnox import models
from common.fortnox.answers import Read
from common.ids import TenantId
from common.ledger.contract_rows import ReadRows
from common.ledger.customers import Customer
from common.ledger.price_changes import SeenPrice
from common.ledger.records import Contract, Invoice
from common.rules.periods import Period
from common.rules.plan import ContractView
from common.rules.price_lists import ListPrice
from common.rules.prices import PricedRow

SWEDISH = "SEK"
"""The currency of a document that names none: the company's own."""


CONTRACT_INVOICE = "AGREEMENTINVOICE"
"""The type of the invoices that contracts make; presumed, not confirmed (API notes 1.7)."""


def listed_contract(tenant: TenantId, read: Read[models.ContractItem]) -> Contract:
    """A row of the contract list."""
    item = read.value
    return _contract(tenant, item, item.status or "ACTIVE", item.invoices_remaining, read.read_at)


def single_contract(tenant: TenantId, contract: models.Contract, read_at: datetime) -> Contract:
    """A contract read by itself or answered by a call; it has no `Status`, only `Active` (API notes 1.3)."""
    spent = contract.invoices_remaining == 0 and not contract.continuous
    status = "INACTIVE" if contract.active is False else "FINISHED" if spent else "ACTIVE"
    row = _contract(tenant, contract, status, contract.invoices_remaining, read_at)
    # Whether an invoice takes over the address of its contract is not known (API notes, questions 2).
    return replace(row, view=replace(row.view, email_to=contract.email_information.email_address_to))


def _contract(
    tenant: TenantId,
    read: models.ContractItem | models.Contract,
    status: str,
    invoices_remaining: int | None,
    read_at: datetime,
) -> Contract:
    view = ContractView(
        tenant=tenant,
        number=read.document_number,
        customer_number=read.customer_number,
        customer_name=read.customer_name,
        status=status.upper(),
        continuous=bool(read.continuous),
        interval=read.invoice_interval or None,
        period=_period(read.period_start, read.period_end),
        invoices_remaining=invoices_remaining,
        total=read.total,
        currency=read.currency or SWEDISH,
        template=str(read.template_number) if read.template_number else None,
        paused=False,
    )
    return Contract(view=view, read_at=read_at)


def rows_of(tenant: TenantId, read: Read[models.Contract]) -> ReadRows:
    """The rows of a contract that charge for an article, as far as their prices go."""
    contract = read.value
    rows = tuple(
        PricedRow(
            row_id=row.row_id,
            article=row.article_number,
            quantity=row.delivered_quantity,
            price=row.price,
            discount=row.discount or Decimal(0),
            is_percent=row.discount_type.upper() != "AMOUNT",
            vat=row.vat,
        )
        for row in contract.invoice_rows
        if row.article_number and row.delivered_quantity is not None and row.price is not None
    )
    included = bool(contract.vat_included)
    return ReadRows(tenant, contract.document_number, rows, contract.price_list, included, read.read_at)


def price(read: Read[models.Price]) -> SeenPrice | None:
    """A price of a list; `None` where it tells no amount."""
    row = read.value
    if row.price is None:
        return None
    listed = ListPrice(row.price_list, row.article_number, row.from_quantity or Decimal(0), row.price)
    return SeenPrice(listed, read.read_at, _day(row.date))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def invoice(tenant: TenantId, read: models.Invoice, read_at: datetime) -> Invoice:
    """An invoice read by itself or answered by a call (API notes 2.1)."""
    is_credit = bool(read.credit)
    return Invoice(
        tenant=tenant,
        number=read.document_number,
        invoice_date=read.invoice_date,
        due_date=read.due_date,
        invoice_type=read.invoice_type,
        customer_number=read.customer_number,
        total=read.total if read.total is not None else Decimal(0),
        currency=read.currency or SWEDISH,
        booked=bool(read.booked),
        sent=bool(read.sent),
        cancelled=bool(read.cancelled),
        nox_finans=bool(read.nox_finans),
        vat=read.total_vat,
        contract=read.contract_reference,
        period=_period(read.invoice_period_start, read.invoice_period_end),
        credit=is_credit,
        # One field points both ways: from a credit invoice to what it credits, and from a credited one to its credit.
        credit_of=read.credit_invoice_reference if is_credit else None,
        credited_by=None if is_credit else read.credit_invoice_reference,
        accounting_method=read.accounting_method or None,
        email_to=read.email_information.email_address_to,
        tax_reduction=read.tax_reduction_type if read.tax_reduction_type.lower() not in ("", "none") else None,
        warehouse_ready=read.warehouse_ready,
        rows_digest=read.rows_digest,
        read_at=read_at,
    )


def listed_invoice(tenant: TenantId, read: Read[models.InvoiceItem], listed_at: datetime) -> Invoice:
    """A row of the invoice list, which tells neither the contract nor the period (API notes 2.2)."""
    item = read.value
    return Invoice(
        tenant=tenant,
        number=item.document_number,
        invoice_date=item.invoice_date,
        due_date=item.due_date,
        invoice_type=item.invoice_type,
        customer_number=item.customer_number,
        total=item.total if item.total is not None else Decimal(0),
        currency=item.currency or SWEDISH,
        booked=bool(item.booked),
        sent=bool(item.sent),
        cancelled=bool(item.cancelled),
        nox_finans=bool(item.nox_finans),
        listed_at=listed_at,
    )


def listed_customer(tenant: TenantId, read: Read[models.Customer]) -> Customer:
    """A row of the customer list, which tells neither the e-mail address for invoices nor the way of delivery."""
    return _customer(tenant, read.value, read.read_at)


def single_customer(tenant: TenantId, card: models.Customer, read_at: datetime) -> Customer:
    """A customer's card."""
    return replace(
        _customer(tenant, card, read_at),
        email_invoice=card.email_invoice,
        gln=card.gln,
        delivery=card.default_delivery_types.invoice,
    )


def _customer(tenant: TenantId, read: models.Customer, read_at: datetime) -> Customer:
    return Customer(
        tenant=tenant,
        number=read.customer_number,
        name=read.name,
        email=read.email,
        address1=read.address1,
        zip_code=read.zip_code,
        city=read.city,
        country_code=read.country_code,
        currency=read.currency,
        read_at=read_at,
    )


def _period(start: date | None, end: date | None) -> Period | None:
    """Both days, or none: half a period, or one that ends before it begins, is no period to invoice."""
    return Period(start, end) if start is not None and end is not None and start <= end else None
