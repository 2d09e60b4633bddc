"""Writes one company of the story: its books up to tonight, and what is expected of its contracts from tonight on.

Everything is drawn from the generator it is given, and dated by the instant it is given. The expectations come from the
story's own rules (`story_rules`) and must never be read off the sandbox's endpoints or a product's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal

from sandbox import totals
from sandbox.books import (
    CONTRACT_LICENCE,
    Article,
    By,
    Company,
    Contract,
    ContractTemplate,
    Customer,
    Deed,
    EmailInformation,
    FinancialYear,
    Invoice,
    Price,
    PriceList,
    Row,
    Voucher,
)
from sandbox.clock import STOCKHOLM
from sandbox.names import Party, Register
from sandbox.story_cast import Good, Part
from sandbox.story_record import NOT_MADE, CompanyStory, Expectation, Reason
from sandbox.story_rules import (
    Span,
    Wishes,
    due_on,
    ends_due,
    latest_due_start,
    months_later,
    next_span,
    previous_span,
    span_from,
    total_of,
)

Turn = Literal["due", "later"] | Reason
"""What a contract is in the story for: due tonight, due later, or an example of what can be wrong."""

TEMPLATES: Final = {
    1: ContractTemplate(1, "Månadsavtal, löpande", interval=1),
    2: ContractTemplate(2, "Kvartalsavtal, löpande", interval=3),
    3: ContractTemplate(3, "Årsavtal, löpande", interval=12),
    4: ContractTemplate(4, "Avtal med bindningstid", length=24, interval=1, continuous=False),
}
TEMPLATE_OF_INTERVAL: Final = {1: 1, 3: 2, 12: 3}
WITHOUT_PAST: Final = frozenset({Reason.ZERO_TOTAL, Reason.NO_PERIOD, Reason.NO_ROWS})
INTERVALS_MISSED: Final = 3


@dataclass(slots=True)
class _Past:
    """An invoice of earlier days, not numbered yet."""

    day: date
    customer: Customer
    rows: list[Row]
    contract: Contract | None = None
    span: Span | None = None
    cancelled: bool = False
    credits: _Past | None = None
    number: int = 0


def write_company(
    part: Part,
    party: Party,
    register: Register,
    random: Random,
    *,
    tenant: int,
    scale: float,
    today: date,
    until: date,
) -> tuple[Company, CompanyStory]:
    """One company with all its documents, and its story.

    Parameters
    ----------
    party
        The company's own name and address.
    register
        Where its customers come from.
    scale
        1 for the cast's number of contracts due tonight; never fewer than those that are examples.
    today
        The virtual day of seeding: tonight.
    until
        The last day on which an expectation falls due.
    """
    return _Author(part, party, register, random, tenant, today, until).write(scale)


class _Author:
    def __init__(
        self, part: Part, party: Party, register: Register, random: Random, tenant: int, today: date, until: date
    ) -> None:
        self._part = part
        self._register = register
        self._random = random
        self._today = today
        self._until = until
        self._past: list[_Past] = []
        self._regulars: list[Customer] = []
        self._company = self._registered(party, tenant)
        self._story = CompanyStory(tenant, party.name, part.line, part.wishes)

    def write(self, scale: float) -> tuple[Company, CompanyStory]:
        self._stock_articles()
        for turn, changes in self._turns(scale):
            self._write_contract(turn, changes)
        self._sell_now_and_then(max(4, round(8 * scale)))
        self._number_the_past()
        return self._company, self._story

    def _registered(self, party: Party, tenant: int) -> Company:
        part, trouble = self._part, self._part.trouble
        company = Company(
            tenant=tenant,
            name=party.name,
            organisation_number=party.organisation_number,
            address=party.street,
            zip_code=party.zip_code,
            city=party.city,
            email=party.email,
            phone=party.phone,
            accounting_method="CASH" if trouble is Reason.CASH_METHOD else "ACCRUAL",
            bankgiro=None if trouble is Reason.NO_BANK_DETAILS else _bankgiro(self._random),
            rounding=part.whole_kronor,
            templates={number: replace(template, rows=[]) for number, template in TEMPLATES.items()},
        )
        if trouble is Reason.NO_LICENCE:
            company.licences.discard(CONTRACT_LICENCE)
        if trouble is Reason.BOOKS_LOCKED:
            company.locked_until = self._locked_a_year_too_far()
        first_month = 5 if part.broken_year else 1
        for identity, year in enumerate(range(self._today.year - 3, self._today.year + 2), start=1):
            begins = date(year, first_month, 1)
            company.financial_years.append(
                FinancialYear(identity, begins, span_from(begins, 12).end, company.accounting_method)
            )
        company.next_contract = self._random.choice((1, 1, 101, 1001))
        company.next_customer = self._random.choice((1, 100, 1001))
        company.next_invoice = self._random.randrange(800, 40_000)
        company.next_voucher = self._random.randrange(50, 900)
        return company

    def _locked_a_year_too_far(self) -> date:
        months = 12
        while (locked := months_later(self._today.replace(day=1), months) - timedelta(days=1)) <= self._until:
            months += 12
        return locked

    def _stock_articles(self) -> None:
        company, stocked_at = self._company, self._at(months_later(self._today, -14), 8)
        if self._part.price_list_b:
            company.price_lists["B"] = PriceList("B", "Ramavtal", comments="Tio procent under standard")
        for good in self._part.goods:
            article = Article(
                good.number,
                good.description,
                unit=good.unit,
                vat=Decimal(good.vat),
                sales_account=good.account,
                modified_at=stocked_at,
            )
            company.add_article(article, Decimal(good.price), at=stocked_at)
            if self._part.price_list_b:
                company.add_price(Price("B", good.number, self._list_price(good, "B"), modified_at=stocked_at))

    def _turns(self, scale: float) -> list[tuple[Turn, dict[str, Any]]]:
        """What each contract is in the story for, in the order of their numbers, with its own wishes."""
        part = self._part
        ordinary = max(1 + len(part.contract_wishes), round(part.due * scale) - len(part.failing))
        turns: list[tuple[Turn, dict[str, Any]]] = [("due", dict(changes)) for changes in part.contract_wishes]
        turns += [("due", {})] * (ordinary - len(turns))
        turns += [("later", {})] * max(1, ordinary // 5)
        turns += [(reason, {}) for reason in part.failing]
        turns += [(Reason.INACTIVE, {})] * max(1, ordinary // 20)
        turns += [(Reason.FINISHED, {})] * max(1, ordinary // 20)
        self._random.shuffle(turns)
        return turns

    def _write_contract(self, turn: Turn, changes: dict[str, Any]) -> None:
        wishes = replace(self._part.wishes, **changes)
        interval = self._interval(turn)
        span = self._shown_period(turn, interval, wishes)
        customer = self._customer(turn)
        contract = self._drafted(turn, customer, interval, span)
        if changes:
            self._story.contract_wishes[contract.number] = changes
        brand_new = contract.continuous and turn == "due" and self._random.random() < 0.1
        if span and turn not in WITHOUT_PAST and not brand_new:
            self._invoice_earlier(contract, customer, previous_span(span, interval), wishes)
        self._story.expectations.extend(self._expected(contract, customer, turn, span, wishes))

    def _interval(self, turn: Turn) -> int:
        if turn is Reason.MISSED_INTERVALS:
            return 1
        return 3 if turn is Reason.PERIOD_LENGTH else self._random.choice(self._part.intervals)

    def _shown_period(self, turn: Turn, interval: int, wishes: Wishes) -> Span | None:
        """The period that the contract shows tonight."""
        if turn is Reason.NO_PERIOD:
            return None
        if wishes.invoice_on == "period_end":
            end = self._random.choice(ends_due(self._today, wishes.lead_days))
            start = months_later(end + timedelta(days=1), -interval)
        else:
            start = latest_due_start(self._today, wishes.lead_days, self._random.choice(self._part.anchors))
        if turn == "later":
            start = months_later(start, self._random.randint(1, min(interval, 3)))
        if turn is Reason.MISSED_INTERVALS:
            start = months_later(start, -INTERVALS_MISSED * interval)
        return span_from(start, 1 if turn is Reason.PERIOD_LENGTH else interval)

    def _customer(self, turn: Turn) -> Customer:
        random = self._random
        special = turn in (Reason.CUSTOMER_WITHOUT_EMAIL, Reason.CUSTOMER_WITHOUT_CITY)
        if self._regulars and not special and random.random() < 0.35:
            return random.choice(self._regulars)
        kinds = list(self._part.customers)
        kind = random.choices(kinds, [self._part.customers[kind] for kind in kinds])[0]
        party = {
            "company": self._register.company,
            "municipality": self._register.municipality,
            "person": self._register.person,
        }[kind]()
        customer = Customer(
            number=str(self._company.next_customer),
            name=party.name,
            organisation_number=party.organisation_number,
            address1=party.street,
            zip_code=party.zip_code,
            city=party.city,
            email=party.email,
            phone=party.phone,
            type="PRIVATE" if kind == "person" else "COMPANY",
            terms_of_payment="30" if kind == "municipality" else random.choice(("30", "30", "20", "10")),
            price_list=random.choice(("A", "B")) if self._part.price_list_b else "A",
            your_reference=party.contact,
            modified_at=self._at(months_later(self._today, -14), 10),
        )
        self._company.next_customer += 1
        if turn is Reason.CUSTOMER_WITHOUT_EMAIL:
            customer.email, customer.delivery = "", "PRINT"
        if turn is Reason.CUSTOMER_WITHOUT_CITY:
            customer.city = ""
        if not special:
            self._regulars.append(customer)
        return self._company.add_customer(customer)

    def _drafted(self, turn: Turn, customer: Customer, interval: int, span: Span | None) -> Contract:
        random, company = self._random, self._company
        rows = [] if turn is Reason.NO_ROWS else self._rows(customer, interval)
        if turn is Reason.ZERO_TOTAL:
            for row in rows:
                row.price = Decimal(0)
        fixed = turn == "due" and random.random() < self._part.fixed
        length = interval * random.choice((2, 4, 8)) if fixed else 12
        contract = Contract(
            number=company.take_contract_number(),
            customer_number=customer.number,
            period_start=span.start if span else None,
            period_end=span.end if span else None,
            rows=rows,
            interval=interval,
            length=length,
            continuous=not fixed and turn is not Reason.FINISHED,
            invoices_remaining=random.randrange(1, length // interval) if fixed else 0,
            active=turn is not Reason.INACTIVE,
            finished=turn is Reason.FINISHED,
            contract_date=months_later(span.start if span else self._today, -2 * interval),
            price_list=customer.price_list,
            terms_of_payment=customer.terms_of_payment,
            vat_included=self._part.prices_with_vat,
            email=EmailInformation(to=customer.invoice_address),
            your_reference=customer.your_reference,
            your_order_number=f"{random.randrange(100_000, 999_999)}" if random.random() < 0.2 else "",
            remarks=random.choice(("", "", "Avser period enligt avtal.")),
            template_number=4 if fixed else TEMPLATE_OF_INTERVAL.get(interval),
        )
        if turn is Reason.NO_ROWS:
            contract.freight = Decimal(49)
        contract.modified_at = self._at(contract.contract_date or self._today, 11)
        contract.deeds.append(Deed(contract.modified_at, "create", By.SEED))
        return company.add_contract(contract)

    def _rows(self, customer: Customer, months: int) -> list[Row]:
        random = self._random
        goods = random.sample(self._part.goods, min(random.choice((1, 1, 1, 2, 2, 3)), len(self._part.goods)))
        return [
            Row(
                article_number=good.number,
                description=good.description,
                quantity=self._quantity(good, months),
                price=self._agreed_price(good, customer),
                vat=Decimal(good.vat),
                account_number=good.account,
                unit=good.unit,
                discount=Decimal(random.choice((0, 0, 0, 0, 0, 0, 0, 10))),
            )
            for good in goods
        ]

    def _quantity(self, good: Good, months: int) -> Decimal:
        whole = Decimal(self._random.randint(1, good.most))
        if good.unit == "mån":
            return whole * months
        return whole / 2 if good.unit == "tim" else whole

    def _agreed_price(self, good: Good, customer: Customer) -> Decimal:
        """The list price, or now and then one that was haggled over."""
        listed = self._list_price(good, customer.price_list)
        return listed - 10 if listed > 100 and self._random.random() < 0.1 else listed

    def _list_price(self, good: Good, price_list: str) -> Decimal:
        return Decimal(good.price) * 9 / 10 if price_list == "B" else Decimal(good.price)

    def _invoice_earlier(self, contract: Contract, customer: Customer, span: Span, wishes: Wishes) -> None:
        """The invoice of the period before the one that the contract shows, made by hand in its time."""
        day = min(due_on(span, wishes), self._today)
        past = _Past(day, customer, [replace(row) for row in contract.rows], contract, span)
        if self._random.random() < 0.04:
            self._past.append(replace(past, cancelled=True, rows=[replace(row) for row in contract.rows]))
        self._past.append(past)
        contract.last_invoice_date = day
        contract.modified_at = self._at(day, 9)

    def _sell_now_and_then(self, times: int) -> None:
        """Ordinary invoices of the last months; one is cancelled, one is credited."""
        for turn in range(times):
            customer = self._random.choice(self._regulars)
            day = self._today - timedelta(days=self._random.randint(5, 120))
            past = _Past(day, customer, self._rows(customer, 1), cancelled=turn == 0)
            self._past.append(past)
            if turn == 1:
                rows = totals.negated(past.rows)
                self._past.append(_Past(day + timedelta(days=4), customer, rows, credits=past))

    def _number_the_past(self) -> None:
        company = self._company
        for past in sorted(self._past, key=lambda past: past.day):
            past.number = company.take_invoice_number()
            company.next_invoice += 1
            company.invoices[past.number] = self._invoice_of(past)

    def _invoice_of(self, past: _Past) -> Invoice:
        company, customer, contract = self._company, past.customer, past.contract
        made_at = self._at(past.day, 9)
        due = past.day + timedelta(days=int(customer.terms_of_payment))
        invoice = Invoice(
            number=past.number,
            customer_number=customer.number,
            customer_name=customer.name,
            invoice_date=past.day,
            due_date=due,
            created_at=made_at,
            created_by=By.SEED,
            rows=past.rows,
            invoice_type="AGREEMENTINVOICE" if contract else "INVOICE",
            contract_reference=contract.number if contract else 0,
            period_start=past.span.start if past.span else None,
            period_end=past.span.end if past.span else None,
            ocr=totals.ocr(past.number),
            sent=not past.cancelled,
            cancelled=past.cancelled,
            accounting_method=company.accounting_method,
            price_list=customer.price_list,
            terms_of_payment=customer.terms_of_payment,
            vat_included=self._part.prices_with_vat,
            email=EmailInformation(to=customer.invoice_address),
            address1=customer.address1,
            zip_code=customer.zip_code,
            city=customer.city,
            country=customer.country,
            phone1=customer.phone,
            organisation_number=customer.organisation_number,
            your_reference=customer.your_reference,
            your_order_number=contract.your_order_number if contract else "",
            remarks=contract.remarks if contract else "",
            outbound_date=past.day,
            modified_at=made_at,
            deeds=[Deed(made_at, "create", By.SEED)],
        )
        company.number_rows(invoice.rows)
        totals.settle(invoice, company)
        if past.credits:
            credited = company.invoices[past.credits.number]
            invoice.credit, invoice.credit_reference = True, credited.number
            credited.credit_reference, credited.balance, invoice.balance = invoice.number, Decimal(0), Decimal(0)
        if not past.cancelled:
            self._book(invoice)
        if due < self._today and not past.cancelled and self._random.random() < 0.85:
            invoice.balance, invoice.final_pay_date = Decimal(0), due
        return invoice

    def _book(self, invoice: Invoice) -> None:
        company = self._company
        year = company.year_of(invoice.invoice_date)
        if company.accounting_method == "CASH" or year is None:
            return
        invoice.booked = True
        invoice.voucher_series, invoice.voucher_number = company.voucher_series, company.next_voucher
        invoice.voucher_year = year.id
        company.vouchers.append(
            Voucher(
                company.voucher_series,
                company.next_voucher,
                year.id,
                invoice.invoice_date,
                invoice.number,
                invoice.total,
                invoice.created_at,
            )
        )
        company.next_voucher += 1

    def _expected(
        self, contract: Contract, customer: Customer, turn: Turn, span: Span | None, wishes: Wishes
    ) -> Iterator[Expectation]:
        reason = turn if isinstance(turn, Reason) else self._trouble_for(wishes)
        about = Expectation(self._company.tenant, contract.number, customer.name, span, None, made=False, reason=reason)
        if span is None or reason in (Reason.INACTIVE, Reason.FINISHED):
            yield about
            return
        if reason in NOT_MADE:
            yield replace(about, due_on=due_on(span, wishes))
            return
        remaining = contract.invoices_remaining
        while due_on(span, wishes) <= self._until and (contract.continuous or remaining):
            day = due_on(span, wishes)
            yield replace(
                about,
                span=span,
                due_on=day,
                made=True,
                invoice_date=max(day, self._today),
                amount=total_of(
                    contract.rows, vat_included=contract.vat_included, whole_kronor=self._part.whole_kronor
                ),
                booked=wishes.bookkeep and reason is not Reason.CASH_METHOD,
                delivery="none" if self._undeliverable(reason, wishes) else wishes.deliver,
            )
            span = next_span(span, contract.interval)
            remaining -= 1

    def _trouble_for(self, wishes: Wishes) -> Reason | None:
        """The company's trouble, where it stands in the way of what this contract wishes."""
        trouble = self._part.trouble
        if trouble is Reason.CASH_METHOD and not wishes.bookkeep:
            return None
        if trouble is Reason.NO_BANK_DETAILS and wishes.deliver != "email":
            return None
        return trouble

    def _undeliverable(self, reason: Reason | None, wishes: Wishes) -> bool:
        return wishes.deliver == "email" and reason is Reason.NO_BANK_DETAILS

    def _at(self, day: date, hour: int) -> datetime:
        """An instant of that day's working hours; of today its first, so that the hour of seeding changes nothing."""
        instant = datetime.combine(day, time(hour, self._random.randrange(60)), STOCKHOLM)
        return min(instant, datetime.combine(self._today, time.min, STOCKHOLM))


def _bankgiro(random: Random) -> str:
    return f"{random.randrange(5000, 5999)}-{random.randrange(1000, 9999)}"
