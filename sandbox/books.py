"""What the sandbox knows: a world of companies, with their registers, contracts, invoices and what was done to them.

Plain state and number series, in memory. It must never know about HTTP, wire types or faults, and nothing here checks a
rule of Fortnox: the endpoint modules do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from sandbox.behaviour import Behaviour
from sandbox.clock import Clock
from sandbox.topics import Topics, invoice_event

ALL_SCOPES = frozenset(
    {
        "invoice",
        "noxfinansinvoice",
        "article",
        "price",
        "customer",
        "settings",
        "companyinformation",
        "bookkeeping",
        "profile",
    }
)
CONTRACT_LICENCE = "Avtalsfakturering"
ALL_LICENCES = frozenset({"Kundfaktura", "Order", "Bokföring", CONTRACT_LICENCE})
"""Licences by their Swedish names (API notes 7.1). Without Avtalsfakturering contracts: `Feature inte tillgänglig`."""

DEFAULT_CLIENT_ID = "sandbox-client"
DEFAULT_CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's published credentials


class By(StrEnum):
    """Who did something."""

    API = "api"
    PERSON = "person"
    SEED = "seed"


@dataclass(slots=True, frozen=True)
class Deed:
    """One thing done to a document: kept in order on the document itself."""

    at: datetime
    action: str
    by: By
    detail: str = ""


@dataclass(slots=True)
class EmailInformation:
    """Fortnox' EmailInformation; None and "" differ on the wire (API notes 2.1)."""

    to: str = ""
    sender: str | None = None
    cc: str | None = None
    bcc: str | None = None
    subject: str = "Faktura {no} bifogas"
    body: str = " "


@dataclass(slots=True)
class Row:
    """A row of a contract or an invoice. `vat` is a percentage; `price` is with VAT where the document says so."""

    article_number: str
    description: str
    quantity: Decimal
    price: Decimal
    vat: Decimal = Decimal(25)
    account_number: int | None = 3001
    unit: str = "st"
    discount: Decimal = Decimal(0)
    discount_type: Literal["PERCENT", "AMOUNT"] = "PERCENT"
    cost_center: str = ""
    project: str = ""
    housework: bool = False
    housework_type: str | None = None
    housework_hours: int | None = None
    row_id: int = 0
    """0: not given one yet; `Company.number_rows` does it."""


@dataclass(slots=True)
class Customer:
    number: str
    name: str
    organisation_number: str = ""
    address1: str = ""
    address2: str = ""
    zip_code: str = ""
    city: str = ""
    country: str = "Sverige"
    country_code: str = "SE"
    email: str = ""
    email_invoice: str = ""
    phone: str = ""
    type: Literal["PRIVATE", "COMPANY"] = "COMPANY"
    delivery: Literal["PRINT", "EMAIL", "PRINTSERVICE", "ELECTRONICINVOICE", ""] = "EMAIL"
    """DefaultDeliveryTypes.Invoice: PRINT is the company's own printer; neither specification has ELECTRONICINVOICE."""
    terms_of_payment: str = "30"
    price_list: str = "A"
    currency: str = "SEK"
    vat_type: Literal["SEVAT", "SEREVERSEDVAT", "EUREVERSEDVAT", "EUVAT", "EXPORT"] = "SEVAT"
    gln: str = ""
    """Where e-invoices go; empty: the customer cannot receive one."""
    our_reference: str = ""
    your_reference: str = ""
    vat_number: str = ""
    comments: str = ""
    active: bool = True
    modified_at: datetime | None = None

    @property
    def invoice_address(self) -> str:
        return self.email_invoice or self.email

    @property
    def vat_free(self) -> bool:
        """Reverse charge or export: rows carry no VAT."""
        return self.vat_type in {"SEREVERSEDVAT", "EUREVERSEDVAT", "EXPORT"}


@dataclass(slots=True)
class Article:
    number: str
    description: str
    unit: str = "st"
    vat: Decimal = Decimal(25)
    sales_account: int = 3001
    type: Literal["STOCK", "SERVICE"] = "SERVICE"
    housework: bool = False
    active: bool = True
    note: str = ""
    modified_at: datetime | None = None


@dataclass(slots=True)
class PriceList:
    code: str
    description: str
    comments: str = ""
    preselected: bool = False


@dataclass(slots=True)
class Price:
    """One step of a price list; the base row has `from_quantity` 0."""

    price_list: str
    article_number: str
    price: Decimal
    from_quantity: Decimal = Decimal(0)
    percent: Decimal = Decimal(0)
    modified_at: datetime | None = None


@dataclass(slots=True)
class ContractTemplate:
    number: int
    name: str
    length: int = 12
    interval: int = 1
    continuous: bool = True
    rows: list[Row] = field(default_factory=list)
    terms_of_payment: str = "30"
    remarks: str = ""
    our_reference: str = ""


@dataclass(slots=True)
class Contract:
    """An avtal. `length` and `interval` are months; the period is what the next invoice covers."""

    number: int
    customer_number: str
    period_start: date | None
    period_end: date | None
    rows: list[Row] = field(default_factory=list)
    interval: int = 1
    length: int = 12
    continuous: bool = True
    invoices_remaining: int = 0
    """Only counted for fixed-length contracts."""
    active: bool = True
    finished: bool = False
    contract_date: date | None = None
    last_invoice_date: date | None = None
    currency: str = "SEK"
    price_list: str = "A"
    terms_of_payment: str = "30"
    vat_included: bool = False
    language: Literal["SV", "EN"] = "SV"
    email: EmailInformation = field(default_factory=EmailInformation)
    our_reference: str = ""
    your_reference: str = ""
    your_order_number: str = ""
    remarks: str = ""
    comments: str = ""
    external_reference1: str = ""
    external_reference2: str = ""
    cost_center: str = ""
    project: str = ""
    template_number: int | None = None
    administration_fee: Decimal = Decimal(0)
    freight: Decimal = Decimal(0)
    invoice_discount: Decimal = Decimal(0)
    """Per cent."""
    tax_reduction_type: Literal["none", "rot", "rut", "green"] = "none"
    print_template: str = "st"
    terms_of_delivery: str = ""
    way_of_delivery: str = ""
    accrual: bool = False
    modified_at: datetime | None = None
    deeds: list[Deed] = field(default_factory=list)

    @property
    def status(self) -> Literal["ACTIVE", "INACTIVE", "FINISHED"]:
        if self.finished:
            return "FINISHED"
        return "ACTIVE" if self.active else "INACTIVE"


@dataclass(slots=True)
class Invoice:
    """A customer invoice; its money fields are set by sandbox.totals and kept: a booked invoice never changes them."""

    number: int
    customer_number: str
    customer_name: str
    invoice_date: date
    due_date: date
    created_at: datetime
    created_by: By
    rows: list[Row] = field(default_factory=list)
    invoice_type: str = "INVOICE"
    contract_reference: int = 0
    period_start: date | None = None
    period_end: date | None = None
    net: Decimal = Decimal(0)
    total_vat: Decimal = Decimal(0)
    round_off: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    balance: Decimal = Decimal(0)
    ocr: str = ""
    booked: bool = False
    sent: bool = False
    cancelled: bool = False
    nox_finans: bool = False
    not_completed: bool = False
    warehouse_ready: bool = True
    """False only in a warehouse company, until warehouseready."""
    credit: bool = False
    credit_reference: int = 0
    """On a credit invoice the number it credits, on a credited one the number of its credit invoice."""
    voucher_series: str | None = None
    voucher_number: int | None = None
    voucher_year: int | None = None
    final_pay_date: date | None = None
    accounting_method: Literal["ACCRUAL", "CASH"] = "ACCRUAL"
    currency: str = "SEK"
    currency_rate: Decimal = Decimal(1)
    price_list: str = "A"
    terms_of_payment: str = "30"
    vat_included: bool = False
    language: Literal["SV", "EN"] = "SV"
    email: EmailInformation = field(default_factory=EmailInformation)
    address1: str = ""
    address2: str = ""
    zip_code: str = ""
    city: str = ""
    country: str = ""
    phone1: str = ""
    organisation_number: str = ""
    our_reference: str = ""
    your_reference: str = ""
    your_order_number: str = ""
    remarks: str = ""
    comments: str = ""
    external_reference1: str = ""
    external_reference2: str = ""
    cost_center: str = ""
    project: str = ""
    administration_fee: Decimal = Decimal(0)
    freight: Decimal = Decimal(0)
    invoice_discount: Decimal = Decimal(0)
    tax_reduction_type: Literal["none", "rot", "rut", "green"] = "none"
    print_template: str = "st"
    terms_of_delivery: str = ""
    way_of_delivery: str = ""
    payment_way: str = ""
    delivery_date: date | None = None
    outbound_date: date | None = None
    labels: list[int] = field(default_factory=list)
    modified_at: datetime | None = None
    deeds: list[Deed] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Delivery:
    """Something that left the house: an e-mail, an e-invoice, a print order. Kept in `Company.outbox`, oldest first."""

    at: datetime
    kind: Literal["email", "einvoice", "eprint", "print", "externalprint", "printreminder"]
    invoice: int
    to: str
    subject: str
    by: By


@dataclass(slots=True)
class HandOver:
    """An invoice handed over to Fakturatjänster; unripe until `ripens_at` (virtual time)."""

    invoice: int
    at: datetime
    ripens_at: datetime
    send_method: str
    service: Literal["LEDGERBASE", "REMINDER"]
    service_name: str
    by: By
    status: str = "UNKNOWN"
    ripe: bool = False
    ocr: str = ""
    next_event: str = ""
    next_event_date: date | None = None
    paused_until: date | None = None
    fees_taken: bool = False


@dataclass(slots=True, frozen=True)
class Voucher:
    series: str
    number: int
    year: int
    """The financial year's id."""
    date: date
    invoice: int
    amount: Decimal
    at: datetime


@dataclass(slots=True, frozen=True)
class FinancialYear:
    id: int
    from_date: date
    to_date: date
    accounting_method: Literal["ACCRUAL", "CASH"] = "ACCRUAL"

    def holds(self, day: date) -> bool:
        return self.from_date <= day <= self.to_date


@dataclass(slots=True)
class Consent:
    """What a company agreed to for one client: the scopes, and whether as a service account (API notes 7)."""

    scopes: set[str]
    service: bool = False
    at: datetime | None = None


@dataclass(slots=True)
class Company:
    """A client company (klientföretag); its `tenant` is Fortnox' tenantId and DatabaseNumber."""

    tenant: int
    name: str
    organisation_number: str = "556000-0000"
    address: str = ""
    zip_code: str = ""
    city: str = ""
    email: str = ""
    phone: str = ""
    accounting_method: Literal["ACCRUAL", "CASH"] = "ACCRUAL"
    bankgiro: str | None = "5050-1055"
    """None: no bank details, and sending is refused with `Bankuppgifter saknas`."""
    scopes: set[str] = field(default_factory=lambda: set(ALL_SCOPES))
    """What any client may have; a new consent sets it to what the clients then have."""
    licences: set[str] = field(default_factory=lambda: set(ALL_LICENCES))
    integration_licence: bool = True
    """False: every call is refused with 2001103 (Api-licens saknas)."""
    locked_until: date | None = None
    financial_years: list[FinancialYear] = field(default_factory=list)
    may_send: bool = True
    """False: served under an agency's licence alone, which may make, edit and book, and not send (API notes 2.5)."""
    finance_service: Literal["SERVICE_FULL", "SERVICE_LIGHT"] | None = "SERVICE_FULL"
    """None: Fakturatjänster is not activated."""
    warehouse: bool = False
    rounding: bool = True
    """Öresavrundning: totals in SEK are rounded to whole kronor."""
    consented: bool = True
    """False: no token is given for this tenant until somebody consents."""
    consents: dict[str, Consent] = field(default_factory=dict)
    """By client id, once somebody has consented; until then as `consented` says: every client, as a service account."""
    service_account_allowed: bool = True
    customers: dict[str, Customer] = field(default_factory=dict)
    articles: dict[str, Article] = field(default_factory=dict)
    price_lists: dict[str, PriceList] = field(
        default_factory=lambda: {"A": PriceList("A", "Standard", preselected=True)}
    )
    prices: dict[tuple[str, str, Decimal], Price] = field(default_factory=dict)
    """By (price list, article number, from quantity)."""
    templates: dict[int, ContractTemplate] = field(default_factory=dict)
    contracts: dict[int, Contract] = field(default_factory=dict)
    invoices: dict[int, Invoice] = field(default_factory=dict)
    vouchers: list[Voucher] = field(default_factory=list)
    outbox: list[Delivery] = field(default_factory=list)
    hand_overs: dict[int, HandOver] = field(default_factory=dict)
    """By invoice number."""
    unripe: list[HandOver] = field(default_factory=list)
    next_contract: int = 1
    next_invoice: int = 1
    next_row: int = 1
    next_customer: int = 1
    next_voucher: int = 1
    voucher_series: str = "B"

    def take_contract_number(self) -> int:
        self.next_contract = _free(self.next_contract, self.contracts)
        return self.next_contract

    def take_invoice_number(self) -> int:
        self.next_invoice = _free(self.next_invoice, self.invoices)
        return self.next_invoice

    def number_rows(self, rows: list[Row]) -> None:
        """Give every row a new id: RowIds are regenerated on every update (API notes 2.4)."""
        for row in rows:
            row.row_id = self.next_row
            self.next_row += 1

    def add_customer(self, customer: Customer) -> Customer:
        self.customers[customer.number] = customer
        return customer

    def add_article(self, article: Article, price: Decimal | None = None, at: datetime | None = None) -> Article:
        """Add an article; with a price also the base row that every new article has in list A (API notes 4.2)."""
        self.articles[article.number] = article
        if price is not None:
            self.add_price(Price("A", article.number, price, modified_at=at))
        return article

    def add_price(self, price: Price) -> Price:
        self.prices[price.price_list, price.article_number, price.from_quantity] = price
        return price

    def add_contract(self, contract: Contract) -> Contract:
        self.number_rows(contract.rows)
        self.contracts[contract.number] = contract
        return contract

    def year_of(self, day: date) -> FinancialYear | None:
        return next((year for year in self.financial_years if year.holds(day)), None)


@dataclass(slots=True)
class World:
    """Everything: the companies, the clock that dates them, the assumptions, and the credentials that open them."""

    clock: Clock = field(default_factory=Clock)
    behaviour: Behaviour = field(default_factory=Behaviour)
    clients: dict[str, str] = field(default_factory=lambda: {DEFAULT_CLIENT_ID: DEFAULT_CLIENT_SECRET})
    redirect_uris: dict[str, str] = field(default_factory=dict)
    """By client id, as in the developer portal; a client without one may name any address of this machine."""
    companies: dict[int, Company] = field(default_factory=dict)
    story: object | None = None
    """What the seeding wrote down as expected; only sandbox.story writes it and only sandbox.summary reads it."""
    topics: Topics = field(init=False)
    """What is announced of it."""

    def __post_init__(self) -> None:
        self.topics = Topics(self.clock)

    def add_company(self, company: Company) -> Company:
        self.companies[company.tenant] = company
        return company

    def record(self, company: Company, document: Contract | Invoice, action: str, by: By, detail: str = "") -> None:
        """Write down that something was done to a document now; it counts as modified, and an invoice is announced."""
        document.modified_at = self.clock.now()
        document.deeds.append(Deed(document.modified_at, action, by, detail))
        if isinstance(document, Invoice) and self._tells_of(document, action):
            self.topics.announce("invoices", invoice_event(action), company.tenant, str(document.number))

    def _tells_of(self, invoice: Invoice, action: str) -> bool:
        from_contract = action == "create" and invoice.contract_reference and not invoice.credit
        return not from_contract or self.behaviour.created_announced

    def __iter__(self) -> Iterator[Company]:
        return iter(self.companies.values())


def _free(number: int, taken: dict[int, Contract] | dict[int, Invoice]) -> int:
    while number in taken:
        number += 1
    return number
