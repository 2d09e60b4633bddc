"""Fortnox' documents as our types: lenient in reading, since both published specs and the recorded traffic disagree.

Field names are Fortnox' own in snake_case, and keys are matched whatever their case (`VatIncluded`, `VATIncluded`).
What is unknown is ignored and what is optional may be missing; a value that is there and cannot be understood fails,
never becomes a guess. Nothing here calls anything or decides anything.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from common.ids import ContractNumber, InvoiceNumber, TenantId


def _text(value: object) -> object:
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float | Decimal) else value


def _blank_to_none(value: object) -> object:
    return None if value is None or (isinstance(value, str) and not value.strip()) else value


def _decimal(value: object) -> object:
    value = _blank_to_none(value)
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        raise ValueError(f"{value} is not an amount")
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is not an amount") from None


def _whole(value: object) -> object:
    number = _decimal(value)
    if isinstance(number, Decimal):
        if not number.is_finite() or number != number.to_integral_value():
            raise ValueError(f"{value!r} is not a whole number")
        return int(number)
    return number


def _reference(value: object) -> object:
    """A number that points at another document; 0 says that there is none (API notes 1.7)."""
    return _whole(value) or None


def _flag(value: object) -> object:
    value = _blank_to_none(value)
    if isinstance(value, str):
        value = {"true": True, "false": False, "1": True, "0": False}.get(value.strip().lower(), value)
    return value


def _day(value: object) -> object:
    """A day, of which some editions send the midnight as well."""
    value = _blank_to_none(value)
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 10:
            datetime.fromisoformat(text)
        return date.fromisoformat(text[:10])
    if isinstance(value, int | float | Decimal):
        raise ValueError(f"{value} is not a day")
    return value


Text = Annotated[str, BeforeValidator(_text)]
"""A text; `null` reads as "", and a number as its digits."""
Amount = Annotated[Decimal | None, BeforeValidator(_decimal)]
"""Money or a quantity, exactly as sent; `None` when unset."""
Whole = Annotated[int | None, BeforeValidator(_whole)]
"""A whole number, sent as number or string; `None` when unset."""
Flag = Annotated[bool | None, BeforeValidator(_flag)]
"""A yes or no, sent as boolean or string (`Credit` is "false": API notes 2.1); `None` when unset."""
Day = Annotated[date | None, BeforeValidator(_day)]
"""A day; `None` when unset, which Fortnox sends as `""` or `null` (API notes 2.1)."""


class Document(BaseModel):
    """The base: keys in any case, unknown ones ignored, instances frozen."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        validate_by_name=True,
        validate_by_alias=True,
        alias_generator=lambda name: name.replace("_", ""),
    )

    @model_validator(mode="before")
    @classmethod
    def _keys_in_any_case(cls, body: object) -> object:
        """Two spellings of one key, which the newer spec declares (API notes 1.3), are one: the one that is set."""
        if not isinstance(body, Mapping):
            return body
        merged: dict[object, object] = {}
        for key, value in body.items():
            name = key.lower() if isinstance(key, str) else key
            if merged.get(name) is None:
                merged[name] = value
        return merged


class EmailInformation(Document):
    """Where an invoice is e-mailed."""

    email_address_from: Text = ""
    email_address_to: Text = ""
    email_address_cc: Text = ""
    email_address_bcc: Text = ""
    email_subject: Text = ""
    email_body: Text = ""


class Row(Document):
    """A row of a contract or an invoice. `row_id` is new after every change of the document (API notes 1.5, 2.4).

    `price` is with VAT where the document says `vat_included`; it is the row's own, whatever the price list says.
    """

    row_id: Whole = None
    article_number: Text = ""
    description: Text = ""
    delivered_quantity: Amount = None
    price: Amount = None
    discount: Amount = None
    discount_type: Text = ""
    vat: Amount = None
    account_number: Whole = None
    unit: Text = ""
    cost_center: Text = ""
    project: Text = ""
    house_work: Flag = None
    house_work_hours_to_report: Whole = None
    house_work_type: Text = ""
    stock_point_code: Text = ""
    vat_code: Text = ""
    price_excluding_vat: Amount = None
    total: Amount = None
    total_excluding_vat: Amount = None


def _none_to_empty(value: object) -> object:
    return {} if value is None or value == [] else value


Emails = Annotated[EmailInformation, BeforeValidator(_none_to_empty)]


class ContractItem(Document):
    """A contract as lists show it (API notes 1.3).

    `status` is `ACTIVE`, `INACTIVE` or `FINISHED`, "" when the list does not say; `invoice_interval` is in months.
    """

    document_number: Annotated[ContractNumber, BeforeValidator(_whole)]
    customer_number: Text = ""
    customer_name: Text = ""
    status: Text = ""
    continuous: Flag = None
    contract_length: Whole = None
    currency: Text = ""
    invoice_interval: Whole = Field(default=None, validation_alias=AliasChoices("invoiceinterval", "interval"))
    invoices_remaining: Whole = None
    last_invoice_date: Day = None
    period_start: Day = None
    period_end: Day = None
    template_number: Annotated[int | None, BeforeValidator(_reference)] = None
    total: Amount = None


class Contract(ContractItem):
    """A contract by itself (API notes 1.4). `status` is "" here: only lists tell finished from inactive."""

    active: Flag = None
    contract_date: Day = None
    email_information: Emails = EmailInformation()
    external_invoice_reference1: Text = ""
    external_invoice_reference2: Text = ""
    invoice_rows: Annotated[tuple[Row, ...], BeforeValidator(lambda rows: () if rows is None else rows)] = ()
    our_reference: Text = ""
    price_list: Text = ""
    tax_reduction_type: Text = ""
    template_name: Text = ""
    terms_of_payment: Text = ""
    total_to_pay: Amount = None
    total_vat: Amount = None
    vat_included: Flag = None
    your_order_number: Text = ""
    your_reference: Text = ""


class InvoiceItem(Document):
    """An invoice as lists show it: without the contract and the period it belongs to (API notes 1.7, 2.2)."""

    document_number: Annotated[InvoiceNumber, BeforeValidator(_whole)]
    customer_number: Text = ""
    customer_name: Text = ""
    invoice_date: Day = None
    due_date: Day = None
    invoice_type: Text = ""
    booked: Flag = None
    sent: Flag = None
    cancelled: Flag = None
    nox_finans: Flag = None
    balance: Amount = None
    total: Amount = None
    currency: Text = ""
    ocr: Text = ""
    voucher_series: Text = ""
    voucher_number: Whole = None
    voucher_year: Whole = None
    external_invoice_reference1: Text = ""
    external_invoice_reference2: Text = ""


class Invoice(InvoiceItem):
    """An invoice by itself (API notes 2.1). References to other documents are `None` where Fortnox says 0."""

    accounting_method: Text = ""
    contract_reference: Annotated[ContractNumber | None, BeforeValidator(_reference)] = None
    credit: Flag = None
    credit_invoice_reference: Annotated[InvoiceNumber | None, BeforeValidator(_reference)] = None
    email_information: Emails = EmailInformation()
    final_pay_date: Day = None
    invoice_period_start: Day = None
    invoice_period_end: Day = None
    invoice_rows: tuple[Row, ...] | None = None
    not_completed: Flag = None
    outbound_date: Day = None
    price_list: Text = ""
    address1: Text = ""
    zip_code: Text = ""
    city: Text = ""
    tax_reduction: Amount = None
    tax_reduction_type: Text = ""
    terms_of_payment: Text = ""
    total_to_pay: Amount = None
    total_vat: Amount = None
    vat_included: Flag = None
    warehouse_ready: Flag = None

    @property
    def rows_digest(self) -> str | None:
        """A hash of what the rows charge for, the same as long as article, quantity, price, discount and VAT are.

        `None` when the answer had no rows. Row ids are left out, since every change of an invoice renews them.
        """
        if self.invoice_rows is None:
            return None
        lines = [
            [
                row.article_number,
                _plain(row.delivered_quantity),
                _plain(row.price),
                _plain(row.discount),
                row.discount_type if row.discount else "",
                _plain(row.vat),
            ]
            for row in self.invoice_rows
        ]
        return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def _plain(number: Decimal | None) -> str | None:
    """One spelling for one number: 1, 1.0 and 1.00 are the same price."""
    if number is None:
        return None
    return f"{number.normalize():f}" if number else "0"


class FinanceInvoice(Document):
    """An invoice handed over to Fakturatjänster (API notes 3). `status` ripens from UNKNOWN to OPEN within hours."""

    invoice_number: Annotated[InvoiceNumber, BeforeValidator(_whole)]
    service: Text = ""
    service_name: Text = ""
    status: Text = ""
    ocr_number: Text = ""
    next_event: Text = ""
    next_event_date: Day = None
    balance_include_fees: Amount = None
    current_capital_balance: Amount = None
    invoice_document_url: Text = ""


class Company(Document):
    """The company itself, by scope `companyinformation` (API notes 7)."""

    company_name: Text = ""
    database_number: Annotated[TenantId, BeforeValidator(_whole)]
    organization_number: Text = ""
    address: Text = ""
    zip_code: Text = ""
    city: Text = ""
    country_code: Text = ""


class CompanySettings(Document):
    """The company's settings, by scope `settings`: bank details among them, which sending needs (API notes 2.5)."""

    name: Text = ""
    database_number: Annotated[TenantId | None, BeforeValidator(_whole)] = None
    organization_number: Text = ""
    bg: Text = ""
    pg: Text = ""
    iban: Text = ""
    bic: Text = ""
    email: Text = ""
    vat_number: Text = ""
    tax_enabled: Flag = None


class LockedPeriod(Document):
    """Up to and including which day the books are locked; `None`: nothing is (API notes 9.4)."""

    end_date: Day = None


class FinancialYear(Document):
    """A financial year, both days included. `accounting_method` is ACCRUAL or CASH, "" when not told."""

    id: Whole = None
    from_date: Annotated[date, BeforeValidator(_day)]
    to_date: Annotated[date, BeforeValidator(_day)]
    accounting_method: Text = ""


class ContractAccrual(Document):
    """That a contract has an accrual (periodisering), by the number of the contract (API notes 1.1)."""

    document_number: Annotated[ContractNumber, BeforeValidator(_whole)]


class Article(Document):
    """An article, from a list or by itself; `sales_price` is that of the default price list (API notes 4.1)."""

    article_number: Text
    description: Text = ""
    active: Flag = None
    type: Text = ""
    unit: Text = ""
    sales_price: Amount = None
    sales_account: Whole = None
    vat: Amount = None


class Price(Document):
    """One price of an article in a price list, from a quantity on. `date`: last changed, in Swedish local time."""

    article_number: Text
    price_list: Text = ""
    from_quantity: Amount = None
    price: Amount = None
    percent: Amount = None
    date: Text = ""


class PriceList(Document):
    """A price list; `pre_selected` is the default one, whose price an article shows as its own (API notes 4.1, 4.2)."""

    code: Text
    description: Text = ""
    comments: Text = ""
    pre_selected: Flag = None


class DeliveryTypes(Document):
    """How a customer gets its documents: PRINT, EMAIL, PRINTSERVICE or, in neither specification, ELECTRONICINVOICE."""

    invoice: Text = ""


class Customer(Document):
    """A customer, from a list or by itself; a list tells neither `email_invoice`, `gln` nor the delivery types."""

    customer_number: Text
    name: Text = ""
    active: Flag = None
    address1: Text = ""
    zip_code: Text = ""
    city: Text = ""
    country_code: Text = ""
    currency: Text = ""
    default_delivery_types: Annotated[DeliveryTypes, BeforeValidator(_none_to_empty)] = DeliveryTypes()
    email: Text = ""
    email_invoice: Text = ""
    gln: Text = ""
    organisation_number: Text = ""
    price_list: Text = ""
