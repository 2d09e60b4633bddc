"""The proof of a company: every period that was due has one live invoice, or a reason why not.

Pure: it compares what the ledger set out to do and what the plan says with what Fortnox shows, and changes nothing. It
never guesses in favour of the product: what it cannot explain is a finding, and so is an invoice that is nobody's here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from common.ids import BillingId, ContractNumber, InvoiceNumber
from common.rules import due
from common.rules.due import STOCKHOLM
from common.rules.periods import Period
from common.rules.plan import HOLDS, Verdict
from common.rules.reasons import REASONS, Reason, explain
from common.rules.states import OPEN, Status, Step

_ONE_DAY = timedelta(days=1)


class Finding(StrEnum):
    """What is known of a period, or of an invoice that belongs to none."""

    PROVED = "proved"
    """One live invoice in Fortnox, as the ledger has it."""
    EXPLAINED = "explained"
    """No invoice yet, or not all done with it, for a reason that the ledger knows."""
    MISSING = "missing"
    DOUBLED = "doubled"
    """More than one live invoice of the very same period."""
    OVERLAPPING = "overlapping"
    """Live invoices of one contract whose periods share a day."""
    HANDMADE = "handmade"
    """A live invoice that no billing of the ledger has made or taken in."""
    DIFFERS = "differs"
    """One live invoice, and not as the ledger has it."""
    UNREADABLE = "unreadable"
    """An invoice or a contract that Fortnox listed in a way that could not be understood."""


SETTLED: frozenset[Finding] = frozenset({Finding.PROVED, Finding.EXPLAINED})
"""What needs nobody."""


@dataclass(frozen=True, slots=True)
class InvoiceSeen:
    """An invoice that came from a contract, as Fortnox shows it."""

    number: InvoiceNumber
    contract: ContractNumber | None
    """`None`: it does not say which."""
    period: Period | None
    invoice_date: date | None
    customer_number: str
    total: Decimal
    currency: str
    booked: bool
    sent: bool
    """Sent, or handed over to Fakturatjänster."""
    cash_method: bool
    """The company books when the customer pays (API notes 2.5)."""
    ended: Reason | None
    """`CANCELLED` or `CREDITED`; `None` = it is live."""


@dataclass(frozen=True, slots=True)
class BillingSeen:
    """A billing of the ledger."""

    id: BillingId
    contract: ContractNumber
    customer_number: str
    customer_name: str
    period: Period
    generation: int
    due_on: date
    invoice_date: date
    step: Step
    status: Status
    reason: Reason | None
    detail: Mapping[str, str]
    invoice: InvoiceNumber | None
    handmade: bool
    amount: Decimal | None
    currency: str
    made_total: Decimal | None
    approved: frozenset[Reason]
    planned_on: date
    """The Swedish day on which it was planned."""
    is_later: bool
    """It is not to be tried again before an instant that is still to come."""
    done_by_us: frozenset[Step]
    """The steps of which a call of ours is known to have taken effect."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What stops a step of the whole company."""

    reason: Reason
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lost:
    """The time that the ledger lost when it was restored from an older copy."""

    since: datetime
    until: datetime
    above: InvoiceNumber
    """The newest invoice of the company that the copy knew."""

    def made(self, invoice: InvoiceSeen) -> bool:
        """Whether the invoice may have been made in that time."""
        last = self.until.astimezone(STOCKHOLM).date()
        return invoice.number > self.above and (invoice.invoice_date is None or invoice.invoice_date <= last)


@dataclass(frozen=True, slots=True)
class Line:
    """One period, or one invoice, and what is known of it."""

    finding: Finding
    contract: ContractNumber | None
    customer_number: str
    customer_name: str
    period: Period | None
    state: str
    """In a word why it is not simply proved: a billing's status, `paused`, `proposal` ...; empty if it is."""
    why: str
    cure: str
    """The one safe thing to do next."""
    reason: Reason | None = None
    due_on: date | None = None
    amount: Decimal | None = None
    currency: str = ""
    billing: BillingId | None = None
    invoices: tuple[InvoiceNumber, ...] = ()

    @property
    def mark(self) -> str:
        """Names the line from one day's proof to the next, as long as it tells of the very same thing."""
        same = [self.finding.value, self.contract, self.period, self.state, *sorted(self.invoices)]
        if self.finding in (Finding.DIFFERS, Finding.UNREADABLE):
            same.append(self.why)
        return sha256("|".join(map(str, same)).encode()).hexdigest()[:8]


@dataclass(slots=True)
class _Case:
    """All that is compared."""

    day: date
    billings: Sequence[BillingSeen]
    """Those of which a line is wanted, and was due."""
    by_number: Mapping[InvoiceNumber, InvoiceSeen]
    verdicts: Mapping[ContractNumber, Verdict]
    stops: Mapping[Step, Stop]
    covered_to: Mapping[ContractNumber, date]
    lost: Sequence[Lost]
    owners: dict[InvoiceNumber, BillingSeen] = field(default_factory=dict)
    live: dict[tuple[ContractNumber, Period], list[InvoiceSeen]] = field(default_factory=dict)
    told: set[InvoiceNumber] = field(default_factory=set)
    """The invoices without a billing that a line has told of."""


def reconcile(
    since: date,
    day: date,
    billings: Sequence[BillingSeen],
    invoices: Iterable[InvoiceSeen],
    verdicts: Iterable[Verdict],
    stops: Mapping[Step, Stop],
    covered_to: Mapping[ContractNumber, date],
    lost: Sequence[Lost] = (),
) -> list[Line]:
    """A line for each period that was due by `day`, and for each live contract invoice that no billing has.

    Parameters:
      since: of billings that are final and fell due before, there is no line.
      day: a Swedish day, not after today.
      billings: those of the company that are in question; of each contract with an invoice that none has, all.
      invoices: the contract invoices in question, ended ones included.
      verdicts: what the plan of `day` says of each contract of the company.
      stops: the steps that are stopped for the whole company.
      covered_to: the last day that a billing or an invoice of the contract covers before the period it shows.
      lost: what times the ledger knows nothing of.
    """
    case = _Case(
        day,
        [one for one in billings if one.due_on <= day and (one.due_on >= since or one.status in OPEN)],
        {one.number: one for one in invoices},
        {one.contract.number: one for one in verdicts if not one.preview},
        stops,
        covered_to,
        lost,
    )
    case.owners = {one.invoice: one for one in billings if one.invoice is not None}
    for invoice in sorted(case.by_number.values(), key=lambda one: one.number):
        if invoice.ended is None and invoice.contract is not None and invoice.period is not None:
            case.live.setdefault((invoice.contract, invoice.period), []).append(invoice)
    lines = [
        *_doubled(case),
        *_overlapping(case),
        *_billed(case),
        *_not_billed(case),
        *_never_shown(case),
        *_made_by_hand(case),
    ]
    return sorted(lines, key=lambda line: (line.contract or 0, line.period.start if line.period else date.min))


# More than one invoice ------------------------------------------------------------------------------------------------


def _doubled(case: _Case) -> Iterator[Line]:
    for (contract, period), found in case.live.items():
        if len(found) > 1:
            case.told.update(one.number for one in found)
            yield _of_invoices(
                case,
                Finding.DOUBLED,
                contract,
                period,
                found,
                f"The period has {len(found)} live invoices: {_numbers(found)}.",
                "Find out in Fortnox which of them stands, and cancel or credit the other there.",
            )


def _overlapping(case: _Case) -> Iterator[Line]:
    by_contract: dict[ContractNumber, list[Period]] = defaultdict(list)
    for contract, period in case.live:
        by_contract[contract].append(period)
    for contract, periods in by_contract.items():
        furthest: Period | None = None
        for period in sorted(periods):
            if furthest is not None and period.start <= furthest.end:
                found = [*case.live[contract, furthest], *case.live[contract, period]]
                case.told.update(one.number for one in found)
                yield _of_invoices(
                    case,
                    Finding.OVERLAPPING,
                    contract,
                    period,
                    found,
                    f"The invoices {_numbers(found)} share days: {furthest} and {period}.",
                    "Compare both with the contract in Fortnox, and cancel or credit there the one that is wrong.",
                )
            if furthest is None or period.end > furthest.end:
                furthest = period


# What the ledger set out to do ----------------------------------------------------------------------------------------


def _billed(case: _Case) -> Iterator[Line]:
    newest: dict[tuple[ContractNumber, date], int] = {}
    planned = [one for one in case.billings if one.reason is not Reason.WITHDRAWN]
    for one in planned:
        key = one.contract, one.period.start
        newest[key] = max(newest.get(key, 0), one.generation)
    for billing in planned:
        if _is_tomorrows(case, billing):
            continue
        found = case.live.get((billing.contract, billing.period), [])
        if len(found) > 1 or billing.generation < newest[billing.contract, billing.period.start]:
            continue
        if billing.invoice is not None:
            line = _with_invoice(case, billing, billing.invoice)
        else:
            line = _without_number(case, billing, found[0] if found else None)
        if line is not None:
            yield line


def _is_tomorrows(case: _Case, billing: BillingSeen) -> bool:
    """Planned the evening before: it is the next day's proof that tells of it."""
    return billing.step is Step.CREATE and billing.status is Status.WAITING and billing.due_on > case.day


def _with_invoice(case: _Case, billing: BillingSeen, number: InvoiceNumber) -> Line | None:
    invoice = case.by_number.get(number)
    if billing.status is Status.VOIDED:
        if (billing.contract, billing.period) in case.live:
            return None  # made again by hand: that invoice has its own line
        return _explained(
            billing, "voided", billing.reason or Reason.CANCELLED, {**billing.detail, **_shown(case, billing)}, invoice
        )
    if invoice is None:
        return _line(
            billing,
            Finding.MISSING,
            "invoice_missing",
            f"The ledger has invoice {number}, and Fortnox does not show it.",
            f"Look for invoice {number} in Fortnox, and at what was called: avtalsmotor billings show {billing.id}",
            Reason.INVOICE_MISSING,
        )
    if invoice.ended is not None:
        known = {"invoice": str(number), **_shown(case, billing)}
        return _explained(billing, invoice.ended.value, invoice.ended, known, invoice)
    if wrong := _differences(billing, invoice):
        told = "; ".join(f"{name} {what}" for name, what in wrong.items())
        return _line(
            billing,
            Finding.DIFFERS,
            " ".join(wrong),
            f"Invoice {number} is not as the ledger has it: {told}.",
            f"Compare it in Fortnox with what was done: avtalsmotor billings show {billing.id}",
            invoice=invoice,
        )
    if billing.status is not Status.DONE:
        return _standing(case, billing, invoice)
    if billing.handmade:
        return _explained(billing, "handmade", Reason.HANDMADE, {"invoice": str(number)}, invoice, _TAKEN_IN)
    return _line(billing, Finding.PROVED, "", "", "", invoice=invoice)


def _shown(case: _Case, billing: BillingSeen) -> dict[str, str]:
    """What the contract shows now, for whoever wonders whether the period is to be set back."""
    verdict = case.verdicts.get(billing.contract)
    return {} if verdict is None or verdict.period is None else {"contract shows": str(verdict.period)}


_TAKEN_IN = "Nothing: it is taken in as the invoice of its period. Book and send it in Fortnox if that is not done."


def _differences(billing: BillingSeen, invoice: InvoiceSeen) -> dict[str, str]:
    """What Fortnox shows otherwise than the ledger has it."""
    wrong: dict[str, str] = {}
    if invoice.contract != billing.contract:
        wrong["contract"] = f"is {invoice.contract or 'not told'} instead of {billing.contract}"
    if invoice.period != billing.period:
        wrong["period"] = f"is {invoice.period or 'not told'} instead of {billing.period}"
    changed = billing.made_total is not None and invoice.total != billing.made_total
    # Held for that very change, a person knows.
    if changed and billing.reason is not Reason.INVOICE_CHANGED:
        wrong["amount"] = f"is {invoice.total:.2f} instead of {billing.made_total:.2f}"
    if invoice.invoice_date != billing.invoice_date and not billing.handmade:
        wrong["date"] = f"is {invoice.invoice_date} instead of {billing.invoice_date}"
    if Step.BOOKKEEP in billing.done_by_us and not (invoice.booked or invoice.cash_method):
        wrong["booked"] = "is no, although it was booked"
    if Step.DELIVER in billing.done_by_us and billing.status is Status.DONE and not invoice.sent:
        wrong["sent"] = "is no, although it was sent"
    return wrong


def _without_number(case: _Case, billing: BillingSeen, invoice: InvoiceSeen | None) -> Line | None:
    """A billing whose invoice the ledger does not know; `invoice` is one of its period that Fortnox shows."""
    if billing.status is Status.VOIDED:
        if invoice is not None:
            return None  # that invoice has its own line
        return _explained(billing, "voided", billing.reason or Reason.CANCELLED, billing.detail, None)
    if invoice is not None and invoice.number in case.owners:
        invoice = None
    if invoice is not None:
        if billing.status in (Status.WAITING, Status.HELD):
            return None  # nothing was called: a person made it, and it has its own line
        case.told.add(invoice.number)
    return _standing(case, billing, invoice)


def _standing(case: _Case, billing: BillingSeen, invoice: InvoiceSeen | None) -> Line | None:
    """A billing that is not done: why."""
    said = billing.detail.get("invoice", "")
    if billing.status in OPEN and said.isdigit():
        # The invoice that this billing's call made instead, for one, which is nobody's yet.
        case.told.add(InvoiceNumber(int(said)))
    match billing.status:
        case Status.SKIPPED:
            why = billing.detail.get("why", "")
            return _line(
                billing,
                Finding.EXPLAINED,
                "skipped",
                "A person skipped it" + (f": {why.rstrip('.')}." if why else "."),
                "Nothing, or do the rest by hand in Fortnox.",
                invoice=invoice,
            )
        case Status.SEEKING if billing.step is Step.DELIVER:
            status = billing.detail.get("status", "")
            return _line(
                billing,
                Finding.EXPLAINED,
                billing.status.value,
                "It is handed over to Fakturatjänster, which has not opened it yet"
                + (f" ({status})." if status else "."),
                "Nothing: it is followed by itself, and parked for you if it is not open within a day.",
                invoice=invoice,
            )
        case Status.HELD | Status.PARKED | Status.SEEKING | Status.IN_DOUBT:
            reason = billing.reason or (Reason.NUMBER_UNKNOWN if billing.status is Status.SEEKING else Reason.NO_ANSWER)
            return _explained(billing, billing.status.value, reason, billing.detail, invoice)
        case _:
            return _waiting(case, billing, invoice)


def _waiting(case: _Case, billing: BillingSeen, invoice: InvoiceSeen | None) -> Line:
    """A billing that waits for its call, or is in the middle of it."""
    verdict, stop = case.verdicts.get(billing.contract), case.stops.get(billing.step)
    if verdict is not None and verdict.contract.paused:
        return _explained(billing, "paused", Reason.PAUSED, {}, invoice)
    if verdict is not None and verdict.policy.mode == "proposal":
        return _line(
            billing,
            Finding.EXPLAINED,
            "proposal",
            "The company or the contract is in proposal mode, so nothing is called.",
            "Check the plan, then set it live.",
            Reason.PROPOSAL,
            invoice,
        )
    if stop is not None:
        return _explained(billing, "stopped", stop.reason, stop.detail, invoice)
    waits = "waiting" if billing.status is Status.WAITING else "under_way"
    if billing.reason is not None:
        return _explained(billing, waits, billing.reason, billing.detail, invoice)
    todo = {Step.CREATE: "invoiced", Step.BOOKKEEP: "bookkept", Step.DELIVER: "sent"}[billing.step]
    if invoice is None and not billing.is_later and max(billing.due_on, billing.planned_on) < case.day:
        since = max(billing.due_on, billing.planned_on)
        return _line(
            billing,
            Finding.MISSING,
            waits,
            f"It waits to be invoiced since {since}, and nothing is known that stops it.",
            f"See that `avtalsmotor up` runs; then look at it: avtalsmotor billings show {billing.id}",
        )
    return _line(
        billing,
        Finding.EXPLAINED,
        waits,
        f"It waits to be {todo}." if waits == "waiting" else f"It is being {todo}.",
        "Nothing: it goes by itself.",
        invoice=invoice,
    )


# What the ledger does not have ----------------------------------------------------------------------------------------


def _not_billed(case: _Case) -> Iterator[Line]:
    """Periods that contracts show, that were due, and that nobody has set out to invoice."""
    billed = {(one.contract, one.period.start) for one in case.billings if one.status is not Status.VOIDED}
    for verdict in case.verdicts.values():
        number, period = verdict.contract.number, verdict.period
        if period is None or (number, period.start) in billed or (number, period) in case.live:
            continue
        due_on = due.due_on(period, verdict.policy)
        if due_on > case.day or verdict.reason in _NOT_TO_BE_INVOICED:
            continue
        if verdict.reason is not Reason.DUE:
            state = "held" if verdict.reason in HOLDS else verdict.reason.value
            why, cure = explain(verdict.reason, **verdict.detail), REASONS[verdict.reason].cure
            yield _of_contract(verdict, Finding.EXPLAINED, period, due_on, state, why, cure, verdict.reason)
        elif due_on < case.day:
            yield _of_contract(
                verdict,
                Finding.MISSING,
                period,
                due_on,
                "not_planned",
                f"It was due on {due_on}, and the ledger has no billing of it.",
                f"See that `avtalsmotor up` runs; then: avtalsmotor plan --tenant {verdict.contract.tenant}",
            )
        else:
            yield _of_contract(
                verdict,
                Finding.EXPLAINED,
                period,
                due_on,
                "waiting",
                "It is due today, and about to be planned.",
                REASONS[Reason.DUE].cure,
                Reason.DUE,
            )


_NOT_TO_BE_INVOICED = frozenset(
    {Reason.FINISHED, Reason.INACTIVE, Reason.ALREADY_BILLED, Reason.SET_BACK, Reason.NOT_YET}
)


def _never_shown(case: _Case) -> Iterator[Line]:
    """Days between what was last invoiced and what the contract shows now: somebody moved the period past them."""
    shown = {(one.contract, one.period.start): one for one in case.billings if one.status is not Status.VOIDED}
    for verdict in case.verdicts.values():
        number, period = verdict.contract.number, verdict.period
        covered = case.covered_to.get(number)
        if period is None or covered is None or verdict.contract.status != "ACTIVE":
            continue
        if covered + _ONE_DAY >= period.start:
            continue
        gap = Period(covered + _ONE_DAY, period.start - _ONE_DAY)
        due_on = due.due_on(gap, verdict.policy)
        if due_on > case.day:
            continue
        billing = shown.get((number, period.start))
        reason = _stands_still(verdict)
        if reason is None and _is_known_to_have_moved(verdict, billing):
            reason = Reason.PERIOD_MOVED
        if reason is not None:
            yield _of_contract(
                verdict,
                Finding.EXPLAINED,
                gap,
                due_on,
                reason.value,
                explain(reason, period=period, last_billed_to=covered),
                REASONS[reason].cure,
                reason,
            )
        else:
            yield _of_contract(
                verdict,
                Finding.MISSING,
                gap,
                due_on,
                "passed_over",
                f"Nothing covers these days: what came before ends on {covered}, and the contract now shows {period}.",
                "Set the contract's period back in Fortnox if they are to be invoiced, or invoice them there by hand.",
            )


def _stands_still(verdict: Verdict) -> Reason | None:
    """Why nothing of the contract is invoiced from here."""
    if verdict.contract.paused:
        return Reason.PAUSED
    return Reason.PROPOSAL if verdict.policy.mode == "proposal" else None


def _is_known_to_have_moved(verdict: Verdict, billing: BillingSeen | None) -> bool:
    """Whether a person is asked about the gap, or has answered."""
    if billing is None:
        return verdict.reason is Reason.PERIOD_MOVED
    return billing.reason is Reason.PERIOD_MOVED or Reason.PERIOD_MOVED in billing.approved


def _made_by_hand(case: _Case) -> Iterator[Line]:
    for invoice in case.by_number.values():
        if invoice.ended is not None or invoice.number in case.owners or invoice.number in case.told:
            continue
        if invoice.invoice_date is not None and invoice.invoice_date > case.day:
            continue
        verdict = None if invoice.contract is None else case.verdicts.get(invoice.contract)
        still = None if verdict is None else _stands_still(verdict)
        if invoice.contract is None or invoice.period is None:
            what = "contract" if invoice.contract is None else "period"
            why = f"Invoice {invoice.number} is a contract's, does not say of which {what}, and is nobody's here."
            cure = "Look at it in Fortnox, and see that no period is invoiced twice."
        else:
            why, cure = _by_whom(case, invoice)
        if still is not None:
            why = f"{why} {REASONS[still].title}."
        yield Line(
            Finding.HANDMADE if still is None else Finding.EXPLAINED,
            invoice.contract,
            invoice.customer_number,
            verdict.contract.customer_name if verdict else "",
            invoice.period,
            "handmade",
            why,
            cure,
            Reason.HANDMADE,
            None,
            invoice.total,
            invoice.currency,
            None,
            (invoice.number,),
        )


def unreadable(number: str) -> Line:
    """An invoice that was listed, and could not be understood: nothing is proved of its contract."""
    return Line(
        Finding.UNREADABLE,
        None,
        "",
        "",
        None,
        f"invoice {number}",
        f"Fortnox listed invoice {number} in a way that could not be understood.",
        f"Look at invoice {number} in Fortnox; nothing is proved of its contract until it can be read.",
    )


def unreadable_contract(number: str, error: str) -> Line:
    """A contract that was listed, and could not be understood: what was due of it is not known."""
    return Line(
        Finding.UNREADABLE,
        ContractNumber(int(number)) if number.isdigit() else None,
        "",
        "",
        None,
        f"contract {number or 'without a number'}",
        explain(Reason.UNREADABLE, fields=error),
        REASONS[Reason.UNREADABLE].cure,
        Reason.UNREADABLE,
    )


def _by_whom(case: _Case, invoice: InvoiceSeen) -> tuple[str, str]:
    """Who made an invoice that is nobody's in the ledger, and what to do about it."""
    lost = next((one for one in case.lost if one.made(invoice)), None)
    if lost is None:
        return (
            f"Invoice {invoice.number} of this period was made by a person, not from here.",
            "See in Fortnox that it is booked and sent as it is to be; cancel it there if it was a mistake.",
        )
    return (
        f"Invoice {invoice.number} of this period was made in the time that the ledger lost when it was restored from"
        f" an older copy ({_minute(lost.since)} to {_minute(lost.until)}): from here, or by a person.",
        "See in Fortnox that it is booked and sent as it is to be. If the contract's next period is held because of it,"
        " approve that one.",
    )


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(STOCKHOLM):%Y-%m-%d %H:%M}"


# Lines ----------------------------------------------------------------------------------------------------------------


def _line(
    billing: BillingSeen,
    finding: Finding,
    state: str,
    why: str,
    cure: str,
    reason: Reason | None = None,
    invoice: InvoiceSeen | None = None,
) -> Line:
    return Line(
        finding,
        billing.contract,
        billing.customer_number,
        billing.customer_name,
        billing.period,
        state,
        why,
        cure,
        reason,
        billing.due_on,
        invoice.total if invoice else billing.amount,
        invoice.currency if invoice else billing.currency,
        billing.id,
        (invoice.number,) if invoice else () if billing.invoice is None else (billing.invoice,),
    )


def _explained(
    billing: BillingSeen,
    state: str,
    reason: Reason,
    detail: Mapping[str, str],
    invoice: InvoiceSeen | None,
    cure: str | None = None,
) -> Line:
    why = explain(reason, **detail)
    return _line(billing, Finding.EXPLAINED, state, why, cure or REASONS[reason].cure, reason, invoice)


def _of_contract(
    verdict: Verdict,
    finding: Finding,
    period: Period,
    due_on: date,
    state: str,
    why: str,
    cure: str,
    reason: Reason | None = None,
) -> Line:
    contract = verdict.contract
    return Line(
        finding,
        contract.number,
        contract.customer_number,
        contract.customer_name,
        period,
        state,
        why,
        cure,
        reason,
        due_on,
        contract.total,
        contract.currency,
    )


def _of_invoices(
    case: _Case,
    finding: Finding,
    contract: ContractNumber,
    period: Period,
    found: Sequence[InvoiceSeen],
    why: str,
    cure: str,
) -> Line:
    owner = next((case.owners[one.number] for one in found if one.number in case.owners), None)
    verdict = case.verdicts.get(contract)
    return Line(
        finding,
        contract,
        found[0].customer_number,
        owner.customer_name if owner else verdict.contract.customer_name if verdict else "",
        period,
        finding.value,
        why,
        cure,
        None,
        owner.due_on if owner else None,
        sum((one.total for one in found), Decimal(0)),
        found[0].currency,
        owner.id if owner else None,
        tuple(one.number for one in found),
    )


def _numbers(found: Sequence[InvoiceSeen]) -> str:
    return " and ".join(str(one.number) for one in found)
