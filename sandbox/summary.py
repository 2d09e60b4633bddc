"""The sandbox's verdict: what became of the contracts since the seeding, against what the story wrote down.

It looks at the books alone: the invoices, vouchers, e-mails and hand-overs that exist. It must never ask a product what
it did, and never change anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import combinations

from sandbox.books import By, Company, Delivery, Invoice, World
from sandbox.story import story_of
from sandbox.story_record import QUIET, SENTENCES, CompanyStory, Expectation, Reason
from sandbox.story_rules import Span


class Kind(StrEnum):
    """Ways to differ from the story; each is a list in the summary."""

    DOUBLED = "doubled"
    OVERLAPPING = "overlapping"
    MISSING = "missing"
    UNEXPECTED = "unexpected"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_DATE = "wrong_date"
    WRONG_BOOKING = "wrong_booking"
    WRONG_DELIVERY = "wrong_delivery"


def summarise(world: World) -> dict[str, object]:
    """Compare the live contract invoices made since the seeding with what the story expects by the virtual today.

    Live: neither cancelled, nor credited, nor a credit invoice. The answer is JSON-able: `clean`; a list for each
    `Kind`, whose entries name tenant, contract, period and invoices, and say in words what is wrong; `counts` (what
    was due and to be made, and what was created, booked and delivered); `failures` (for each stated reason how many
    periods are expected to fail for it, and how many did just that); the same counts for each of `companies`. `problem`
    says why nothing can be clean when the clock has passed the last expectation, and is null otherwise.

    Raises NotSeededError in a world that has not been seeded.
    """
    story, today = story_of(world), world.clock.today()
    verdicts = [
        _Verdict(world.companies.get(tenant) or Company(tenant, told.name), told, today)
        for tenant, told in story.companies.items()
    ]
    faults = [fault for verdict in verdicts for fault in verdict.faults]
    passed = today > story.until
    return {
        "clean": not faults and not passed,
        "problem": _horizon_passed(today, story.until) if passed else None,
        "number": story.number,
        "seeded_at": story.seeded_at.isoformat(timespec="seconds"),
        "today": today.isoformat(),
        "until": story.until.isoformat(),
        "counts": _added([verdict.counts for verdict in verdicts]),
        "failures": _failures(verdicts),
        **{kind.value: [fault.as_json() for fault in faults if fault.kind is kind] for kind in Kind},
        "companies": [verdict.as_json() for verdict in verdicts],
    }


@dataclass(frozen=True, slots=True)
class _Fault:
    kind: Kind
    tenant: int
    company: str
    contract: int
    span: Span | None
    invoices: tuple[int, ...]
    what: str

    def as_json(self) -> dict[str, object]:
        return {
            "tenant_id": self.tenant,
            "tenant": self.company,
            "contract": str(self.contract),
            "period_start": self.span.start.isoformat() if self.span else None,
            "period_end": self.span.end.isoformat() if self.span else None,
            "invoices": [str(number) for number in self.invoices],
            "sentence": self.what,
        }


@dataclass(slots=True)
class _Counts:
    due: int = 0
    to_make: int = 0
    created: int = 0
    booked: int = 0
    emailed: int = 0
    handed_over: int = 0
    failures_expected: int = 0
    failures_met: int = 0
    faults: int = 0


class _Verdict:
    """The judgement of one company."""

    def __init__(self, company: Company, told: CompanyStory, today: date) -> None:
        self._company = company
        self._told = told
        self._today = today
        self._sendings: dict[int, list[Delivery]] = defaultdict(list)
        for delivery in company.outbox:
            self._sendings[delivery.invoice].append(delivery)
        self._vouchers = Counter(voucher.invoice for voucher in company.vouchers)
        live = [invoice for invoice in company.invoices.values() if invoice.contract_reference and _is_live(invoice)]
        self._older = [invoice for invoice in live if invoice.created_by is By.SEED]
        self._new = [invoice for invoice in live if invoice.created_by is not By.SEED]
        self.faults = [*self._clashes(), *self._against_the_story(), *self._missing(), *self._sent_of_old()]
        self.failures = {reason: self._failure(reason) for reason in Reason if reason not in QUIET}
        self.counts = self._counted()

    def as_json(self) -> dict[str, object]:
        return {
            "tenant_id": self._told.tenant,
            "name": self._told.name,
            **asdict(self.counts),
            "failures": sorted(reason.value for reason, (expected, _) in self.failures.items() if expected),
        }

    def _clashes(self) -> Iterator[_Fault]:
        """Two invoices of one contract for one period, or for periods that share a day; one of them at least is new."""
        by_contract: dict[int, list[Invoice]] = defaultdict(list)
        for invoice in (*self._older, *self._new):
            by_contract[invoice.contract_reference].append(invoice)
        for contract, invoices in by_contract.items():
            for earlier, later in combinations(invoices, 2):
                span, other = _span(earlier), _span(later)
                if later.created_by is By.SEED or span is None or other is None or not span.overlaps(other):
                    continue
                numbers = (earlier.number, later.number)
                if span == other:
                    yield self._fault(
                        Kind.DOUBLED,
                        contract,
                        span,
                        numbers,
                        f"was invoiced twice, by {earlier.number} and by {later.number}",
                    )
                else:
                    yield self._fault(
                        Kind.OVERLAPPING,
                        contract,
                        other,
                        numbers,
                        f"overlaps {span}: invoice {later.number} and invoice {earlier.number} share days",
                    )

    def _against_the_story(self) -> Iterator[_Fault]:
        expected = {(one.contract, one.span): one for one in self._told.expectations if one.made}
        reasons = {one.contract: one for one in self._told.expectations if not one.made}
        for invoice in self._new:
            contract, span = invoice.contract_reference, _span(invoice)
            expectation = expected.get((contract, span))
            if expectation is None:
                refused = reasons.get(contract)
                because = refused.why if refused else "The story has no such period."
                what = f"was invoiced by {invoice.number}, which is not expected. {because}"
                yield self._fault(Kind.UNEXPECTED, contract, span, (invoice.number,), what)
            elif not expectation.is_due(self._today):
                what = f"was invoiced by {invoice.number} too early: it is due on {expectation.due_on}"
                yield self._fault(Kind.UNEXPECTED, contract, span, (invoice.number,), what)
            else:
                for kind, what in self._differences(invoice, expectation):
                    yield self._fault(kind, contract, span, (invoice.number,), f"invoice {invoice.number} {what}")

    def _differences(self, invoice: Invoice, expectation: Expectation) -> Iterator[tuple[Kind, str]]:
        if invoice.total != expectation.amount:
            yield Kind.WRONG_AMOUNT, f"amounts to {_money(invoice.total)}, not {_money(expectation.amount)}"
        if invoice.invoice_date != expectation.invoice_date:
            yield Kind.WRONG_DATE, f"is dated {invoice.invoice_date}, not {expectation.invoice_date}"
        if invoice.booked and not expectation.booked:
            yield Kind.WRONG_BOOKING, f"is booked, and should not be. {expectation.why}".strip()
        if expectation.booked and not invoice.booked:
            yield Kind.WRONG_BOOKING, "is not booked, and should be"
        if invoice.booked and self._vouchers[invoice.number] != 1:
            yield Kind.WRONG_BOOKING, f"has {self._vouchers[invoice.number]} vouchers instead of one"
        for what in self._misdeliveries(invoice, expectation):
            yield Kind.WRONG_DELIVERY, what

    def _misdeliveries(self, invoice: Invoice, expectation: Expectation) -> Iterator[str]:
        sendings = self._sendings[invoice.number]
        emails = sum(sending.kind == "email" for sending in sendings)
        if emails > 1:
            yield f"was e-mailed {emails} times"
        if emails and expectation.delivery != "email":
            yield f"was e-mailed, and should not be. {expectation.why}".strip()
        if not emails and expectation.delivery == "email":
            yield "was not e-mailed, and should be"
        for sending in sendings:
            if sending.kind != "email":
                yield f"was delivered by {sending.kind}, which nobody wishes"
        hand_over = self._company.hand_overs.get(invoice.number)
        if hand_over and expectation.delivery != "finance":
            yield f"was handed over to Fakturatjänster, and should not be. {expectation.why}".strip()
        if hand_over and hand_over.service != "LEDGERBASE":
            yield f"was handed over for the service {hand_over.service}, not LEDGERBASE"
        if not hand_over and expectation.delivery == "finance":
            yield "was not handed over to Fakturatjänster, and should be"

    def _missing(self) -> Iterator[_Fault]:
        made = {(invoice.contract_reference, _span(invoice)) for invoice in self._new}
        for one in self._told.expectations:
            if one.made and one.is_due(self._today) and (one.contract, one.span) not in made:
                what = f"has no invoice; one dated {one.invoice_date} of {_money(one.amount)} is expected"
                yield self._fault(Kind.MISSING, one.contract, one.span, (), what)

    def _sent_of_old(self) -> Iterator[_Fault]:
        """Invoices from before the seeding that have left the house since."""
        for number, invoice in self._company.invoices.items():
            if invoice.created_by is By.SEED and (self._sendings[number] or number in self._company.hand_overs):
                what = f"invoice {number} from before the seeding was delivered again"
                yield self._fault(Kind.WRONG_DELIVERY, invoice.contract_reference, _span(invoice), (number,), what)

    def _failure(self, reason: Reason) -> tuple[int, int]:
        """How many periods are expected to fail for this reason by today, and how many did just that."""
        concerned = [
            one
            for one in self._told.expectations
            if one.reason is reason and (one.due_on is None or one.is_due(self._today))
        ]
        invoiced = {invoice.contract_reference for invoice in self._new}
        faulty = {(fault.contract, fault.span) for fault in self.faults}
        met = [
            one
            for one in concerned
            if ((one.contract, one.span) not in faulty if one.made else one.contract not in invoiced)
        ]
        return len(concerned), len(met)

    def _counted(self) -> _Counts:
        due = [one for one in self._told.expectations if one.is_due(self._today)]
        return _Counts(
            due=len(due),
            to_make=sum(one.made for one in due),
            created=len(self._new),
            booked=sum(invoice.booked for invoice in self._new),
            emailed=sum(
                any(sending.kind == "email" for sending in self._sendings[invoice.number]) for invoice in self._new
            ),
            handed_over=sum(invoice.number in self._company.hand_overs for invoice in self._new),
            failures_expected=sum(expected for expected, _ in self.failures.values()),
            failures_met=sum(met for _, met in self.failures.values()),
            faults=len(self.faults),
        )

    def _fault(self, kind: Kind, contract: int, span: Span | None, invoices: tuple[int, ...], what: str) -> _Fault:
        name = self._told.name
        sentence = f"{name}, contract {contract}, {span or 'no period'}: {what}{'' if what.endswith('.') else '.'}"
        return _Fault(kind, self._told.tenant, name, contract, span, invoices, sentence)


def _is_live(invoice: Invoice) -> bool:
    return not (invoice.cancelled or invoice.credit or invoice.credit_reference)


def _span(invoice: Invoice) -> Span | None:
    if invoice.period_start is None or invoice.period_end is None:
        return None
    return Span(invoice.period_start, invoice.period_end)


def _failures(verdicts: Sequence[_Verdict]) -> list[dict[str, object]]:
    totals = {
        reason: (
            sum(verdict.failures[reason][0] for verdict in verdicts),
            sum(verdict.failures[reason][1] for verdict in verdicts),
        )
        for reason in Reason
        if reason not in QUIET
    }
    return [
        {"reason": reason.value, "sentence": SENTENCES[reason], "expected": expected, "met": met}
        for reason, (expected, met) in totals.items()
        if expected
    ]


def _added(counts: Sequence[_Counts]) -> dict[str, int]:
    return {each.name: sum(getattr(count, each.name) for count in counts) for each in fields(_Counts)}


def _money(amount: Decimal | None) -> str:
    return f"{amount:.2f} kr"


def _horizon_passed(today: date, until: date) -> str:
    return (
        f"The sandbox's clock stands at {today}, but the story ends on {until}: later invoices cannot be judged. "
        "Seed again with more horizon_days."
    )
