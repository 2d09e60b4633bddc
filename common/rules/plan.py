"""What will happen to every contract, and why: the producer inserts what this says, and the preview prints it.

Pure: the same contracts, ledger, facts and day always give the same verdicts. It never looks at a clock and never
plans a period that the contract does not show now, save as a preview.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Literal, NamedTuple

from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.rules import due
from common.rules.periods import Period, add_months, follows, spans, upcoming
from common.rules.policy import Policy
from common.rules.preflight import STEP_OF, Need, needs_of
from common.rules.reasons import REASONS, Reason
from common.rules.states import OPEN, Delivery, Status, Step
from common.rules.ways import Way, asks_the_card, no_way, way_of

Outcome = Literal["bill", "hold", "none"]

HOLDS: frozenset[Reason] = frozenset(
    {
        Reason.PERIOD_LENGTH,
        Reason.PERIOD_MOVED,
        Reason.CATCH_UP,
        Reason.ONE_A_DAY,
        Reason.AMOUNT_ZERO,
        Reason.AMOUNT_CHANGED,
        Reason.PERIOD_LOCKED,
        Reason.YEAR_MISSING,
        Reason.COMPANY_HINDERED,
        Reason.DELIVERY_UNSUPPORTED,
        Reason.RECIPIENT_MISSING,
    }
)
"""The verdicts that hold a billing for a person's yes."""


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract as last read from Fortnox (API notes 1.3), and whether a person has paused it."""

    tenant: TenantId
    number: ContractNumber
    customer_number: str
    customer_name: str
    status: str
    """`ACTIVE`, `INACTIVE`, `FINISHED`; anything else counts as not active."""
    continuous: bool
    """Löpande: never finishes by count."""
    interval: int | None
    """Months between invoices (Fakturaintervall); `None` = not known."""
    period: Period | None
    invoices_remaining: int | None
    """How many invoices are left to make, the period shown included; `None` = not known."""
    total: Decimal | None
    currency: str
    """ISO code; empty = the company's own."""
    template: str | None
    paused: bool
    """By a person, at the level of the contract, the company or the bureau."""
    read_at: datetime | None = None
    """When the request began that showed it so."""
    email_to: str | None = None
    """The contract's own e-mail address for its invoices, "" for none; `None`: not known, as lists do not tell it."""
    repriced_from: Decimal | None = None
    """What the total was before the new prices that make it what it is, all of which we have set; `None`: it is not
    known to be by them alone."""


@dataclass(frozen=True, slots=True)
class BilledView:
    """A billing of the contract in the ledger; of each period the latest."""

    period: Period
    generation: int
    step: Step
    status: Status
    amount: Decimal | None
    """The contract's total when it was planned."""
    invoice_date: date | None
    created_on: date
    """The Swedish day on which the billing was planned."""
    invoice: InvoiceNumber | None = None
    reason: Reason | None = None
    changed_at: datetime | None = None
    """When it last changed its state."""


def is_skipped_uninvoiced(billing: BilledView) -> bool:
    """Whether a person skipped the period before its invoice was made."""
    return billing.step is Step.CREATE and billing.status is Status.SKIPPED


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a customer's card is known to lack."""

    email: bool
    """Neither an e-mail address for invoices nor another one."""
    address: tuple[str, ...]
    """Of name, address, zip code and city, those that are missing."""
    gln: bool = False
    """The number to which e-invoices go."""


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What a company's bookkeeping allows; `None` = nothing locked, or years not known."""

    locked_until: date | None = None
    years: tuple[Period, ...] | None = None
    cash: bool = False
    """The cash method (kontantmetoden): invoices are booked when they are paid, so that none is bookkept here."""
    accruals: frozenset[ContractNumber] | None = None
    """The contracts that have an accrual (periodisering); `None` = not known."""
    lacking: Mapping[str, Lacks] = field(default_factory=dict)
    """By their numbers, the customers that are known to lack something."""
    cards: Mapping[str, str] = field(default_factory=dict)
    """By their numbers, what the customers' cards say of how they get invoices; those whose card was read."""
    hindered: Mapping[Need, Reason] = field(default_factory=dict)
    """What of the company's needs would certainly be refused, and why (`rules.preflight.certain`)."""


class Verdict(NamedTuple):
    """What the plan says of one period of one contract.

    A tuple and not a dataclass, since a frozen dataclass costs four times as much to make, and a large bureau plans
    hundreds of thousands at a time.
    """

    contract: ContractView
    period: Period | None
    reason: Reason
    due_on: date | None
    invoice_date: date | None
    """The date that the invoice gets; `None` where none is foreseen."""
    policy: Policy
    amount: Decimal | None
    detail: Mapping[str, str]
    """The facts behind the reason, fit for `reasons.explain`."""
    preview: bool
    """A later period or day: shown, never inserted."""
    warnings: tuple[tuple[Reason, Mapping[str, str]], ...] = ()
    """What a person should know of the contract besides, and no hindrance: reasons, each with its facts."""
    way: Way | None = None
    """How the invoice would leave by what is known now; `None` where no invoice is foreseen."""

    @property
    def outcome(self) -> Outcome:
        """What the producer does: insert a billing that waits, insert one that is held, or nothing."""
        if self.preview:
            return "none"
        if self.reason is Reason.DUE:
            return "bill"
        return "hold" if self.reason in HOLDS else "none"


def plan(
    contracts: Iterable[tuple[ContractView, Policy, Sequence[BilledView]]],
    facts: Mapping[TenantId, TenantFacts],
    today: date,
    days: int = 0,
) -> Iterator[Verdict]:
    """One verdict for the period that each contract shows now, and with `days` > 0 previews up to `today` + `days`.

    The first that applies is the verdict, in this order:

      finished, inactive   not an active contract; a fixed-length one with no invoice left is finished
      no_period            the contract shows none
      set_back             the ledger has a billing with an invoice of that period's start, and the contract was read
                           later than that last changed: somebody has set it back
      already_billed       the ledger has a billing of that period's start, a skipped one of that very period included;
                           or one that was voided after the contract was read
      paused               by a person
      not_yet              the due day is after `today`
      proposal             the company is not live; `detail["verdict"]` is which of the following it would be
      earlier_open         the ledger allows one billing per contract whose invoice is not made, and has one
      period_length        the period is not as long as the interval, or the interval is not known
      period_moved         it does not begin the day after the last billed one, or a later skipped one, ended
      catch_up             its due day, or the day that this is reckoned from if later, is more than one interval ago
      one_a_day            another billing of the contract was planned today, or has the same invoice date
      amount_zero          the total is zero
      amount_changed       the total differs too much from that of the last billing
      period_locked        the invoice date is locked, whoever is to bookkeep the invoice
      year_missing         no financial year has the invoice date
      company_hindered     a later step that the policy asks for would certainly be refused for the whole company
      delivery_unsupported the way of delivery cannot be gone with such an invoice
      recipient_missing    the customer is known to lack the address that it needs, and so is the contract; or the
                           policy asks the customer's card for the way, and that says none
      due                  none of these

    A company with the cash method is planned as if nobody had wished for bookkeeping (design, section 7).

    Warned of are, besides the verdict: the last period of the contract, if its invoice was cancelled or credited and
    the contract has gone on; an invoice for three months or more that is to be bookkept and has no accrual.

    What is not known (a total, the years, earlier billings) is not held against a contract: Fortnox has the last word.

    Previews (`preview=True`, never inserted) are judged as on the day on which they would be planned if all before them
    went well: the period shown now if it falls due within `days`, then those after it, one a day at most, and no more
    than a fixed-length contract has left.

    Parameters:
      contracts: each with its resolved policy, and its billings in the ledger: the newest is needed, more may be given.
      facts: of each tenant; a tenant that is absent has `TenantFacts()`.
      today: the Swedish day to plan for; the evening before midnight, tomorrow.
    """
    unknown = TenantFacts()
    for contract, policy, billed in contracts:
        allowed = facts.get(contract.tenant, unknown)
        if allowed.cash:
            policy = without_bookkeeping(policy)
        verdict = _verdict(contract, policy, billed, allowed, today)
        yield _warned(verdict, billed, allowed)
        if days > 0:
            for later in _previews(verdict, billed, allowed, today, today + timedelta(days=days)):
                yield _warned(later, (), allowed)


@cache
def without_bookkeeping(policy: Policy) -> Policy:
    """The same policy, but for the bookkeeping."""
    return policy.model_copy(update={"bookkeep": False})


Hold = tuple[Reason, dict[str, str]]
"""A reason to hold a billing, and the facts behind it."""

_Warnings = tuple[tuple[Reason, Mapping[str, str]], ...]


def closed(facts: TenantFacts, dated: date) -> Hold | None:
    """Whether the books are closed for an invoice of that date, or have no year for it.

    Asked before the invoice is made (design, section 7), also of one that a person bookkeeps, or that the cash method
    bookkeeps when it is paid: in a closed period or a missing year neither can.
    """
    if facts.locked_until is not None and dated <= facts.locked_until:
        return Reason.PERIOD_LOCKED, {"invoice_date": str(dated), "locked_until": str(facts.locked_until)}
    if facts.years is not None and not any(dated in year for year in facts.years):
        return Reason.YEAR_MISSING, {"invoice_date": str(dated), "years": ", ".join(map(str, facts.years))}
    return None


class _Case(NamedTuple):
    """A period that is due, as it stands on the day `on`."""

    contract: ContractView
    policy: Policy
    billed: Sequence[BilledView]
    facts: TenantFacts
    period: Period
    due_on: date
    on: date


def _verdict(
    contract: ContractView, policy: Policy, billed: Sequence[BilledView], facts: TenantFacts, today: date
) -> Verdict:
    if contract.status != "ACTIVE":
        if contract.status == "FINISHED":
            return _nothing(contract, policy, Reason.FINISHED, {})
        return _nothing(contract, policy, Reason.INACTIVE, {"status": contract.status})
    if contract.invoices_remaining is not None and contract.invoices_remaining <= 0 and not contract.continuous:
        return _nothing(contract, policy, Reason.FINISHED, {"invoices_remaining": "0"})
    period = contract.period
    if period is None:
        return _nothing(contract, policy, Reason.NO_PERIOD, {})
    due_on = due.due_on(period, policy)
    billing = _billing_of(period, billed) or _just_voided(contract, period, billed)
    if billing is not None:
        reason, detail = Reason.ALREADY_BILLED, {"step": billing.step.value, "status": billing.status.value}
        if billing.invoice is not None and billing.status is not Status.VOIDED and _read_since(contract, billing):
            reason, detail = Reason.SET_BACK, {"invoice": str(billing.invoice), "period": str(billing.period)}
        return Verdict(contract, period, reason, due_on, billing.invoice_date, policy, contract.total, detail, False)
    if contract.paused:
        return _nothing(contract, policy, Reason.PAUSED, {})
    if due_on > today:
        return Verdict(contract, period, Reason.NOT_YET, due_on, None, policy, contract.total, {}, False)
    return _judged(_Case(contract, policy, billed, facts, period, due_on, today), preview=False)


def _nothing(contract: ContractView, policy: Policy, reason: Reason, detail: dict[str, str]) -> Verdict:
    return Verdict(contract, contract.period, reason, None, None, policy, contract.total, detail, False)


def _billing_of(period: Period, billed: Sequence[BilledView]) -> BilledView | None:
    for billing in billed:
        if billing.period.start != period.start or billing.status is Status.VOIDED:
            continue
        # A mistyped period that was skipped and corrected: what the contract shows now was never decided upon.
        if is_skipped_uninvoiced(billing) and billing.period != period:
            continue
        return billing
    return None


def _just_voided(contract: ContractView, period: Period, billed: Sequence[BilledView]) -> BilledView | None:
    """A voided billing of the period that may explain why the contract still showed it: it was read before."""
    return next(
        (one for one in billed if one.period == period and not _may_be_planned_again(contract, one)),
        None,
    )


def _may_be_planned_again(contract: ContractView, billing: BilledView) -> bool:
    if billing.status is not Status.VOIDED or billing.invoice is None:
        return True
    return billing.changed_at is None or contract.read_at is None or contract.read_at > billing.changed_at


def _read_since(contract: ContractView, billing: BilledView) -> bool:
    """Whether the contract was read later than the billing last changed."""
    return contract.read_at is not None and billing.changed_at is not None and contract.read_at > billing.changed_at


def _warned(verdict: Verdict, billed: Sequence[BilledView], facts: TenantFacts) -> Verdict:
    warnings = (*_warn_of_undone(verdict, billed), *_warn_of_accrual(verdict, facts))
    return verdict._replace(warnings=warnings) if warnings else verdict


def is_for_many_months(contract: ContractView) -> bool:
    """Whether what an invoice brings in belongs to other months than its own: a quarter, a year."""
    return contract.interval is not None and contract.interval >= 3


def _warn_of_accrual(verdict: Verdict, facts: TenantFacts) -> _Warnings:
    contract = verdict.contract
    if facts.accruals is None or contract.number in facts.accruals or not verdict.policy.bookkeep:
        return ()
    if not is_for_many_months(contract) or verdict.invoice_date is None:
        return ()
    if verdict.reason in (Reason.ALREADY_BILLED, Reason.SET_BACK):
        return ()
    return ((Reason.ACCRUAL_MISSING, {"interval": _months(contract.interval or 0)}),)


def _warn_of_undone(verdict: Verdict, billed: Sequence[BilledView]) -> _Warnings:
    contract, shown = verdict.contract, verdict.period
    last = max(billed, key=_end, default=None)
    if last is None or last.status is not Status.VOIDED or last.reason is None or last.invoice is None:
        return ()
    if contract.status != "ACTIVE" or shown is None or shown.start <= last.period.start:
        return ()
    return ((last.reason, {"invoice": str(last.invoice), "period": str(last.period), "contract shows": str(shown)}),)


def _judged(case: _Case, *, preview: bool) -> Verdict:
    dated = due.invoice_date(case.period, case.policy, case.on)
    live = [billing for billing in case.billed if billing.status is not Status.VOIDED]
    way = _way(case)
    reason, detail = (
        _history_hold(case, live, dated)
        or _amount_hold(case, live)
        or closed(case.facts, dated)
        or _company_hold(case)
        or _delivery_hold(case)
        or _recipient_hold(case, way)
        or (Reason.DUE, {})
    )
    if case.policy.mode == "proposal":
        reason, detail = Reason.PROPOSAL, {"verdict": reason.value, **detail}
    amount = case.contract.total
    return Verdict(
        case.contract, case.period, reason, case.due_on, dated, case.policy, amount, detail, preview, way=way
    )


def _history_hold(case: _Case, live: list[BilledView], dated: date) -> Hold | None:
    """What speaks against the period in the light of its interval, of the billings before it, and of the day."""
    period, interval = case.period, case.contract.interval
    for billing in live:
        if billing.step is Step.CREATE and billing.status in OPEN:
            return Reason.EARLIER_OPEN, {"earlier": str(billing.period), "status": billing.status.value}
    if interval is None or not spans(period, interval):
        months = "not known" if interval is None else _months(interval)
        return Reason.PERIOD_LENGTH, {"period": str(period), "interval": months}
    last = _to_follow(period, case.billed)
    if last is not None and not follows(last.period, period):
        return Reason.PERIOD_MOVED, {"period": str(period), "last_billed": str(last.period)}
    if case.policy.catch_up == "hold":
        expected = max(case.due_on, due.anchor_of(period, case.policy))
        if add_months(expected, interval) < case.on:
            return Reason.CATCH_UP, {"period": str(period), "expected": str(expected), "interval": _months(interval)}
    for billing in live:
        # Not the earlier one's date against today: one made ahead is dated long after it was made.
        if not is_skipped_uninvoiced(billing) and (billing.created_on == case.on or billing.invoice_date == dated):
            return Reason.ONE_A_DAY, {"period": str(period), "billed_today": str(billing.period)}
    return None


def _months(interval: int) -> str:
    return f"{interval} month" if interval == 1 else f"{interval} months"


def _to_follow(period: Period, billed: Sequence[BilledView]) -> BilledView | None:
    """The billing that the period must follow: the last one invoiced, or one after it that a person skipped or undid.

    A skipped period may have been a mistake that was corrected since, so that nothing need follow it; one that overlaps
    the period certainly was. The same goes for one whose invoice was cancelled or credited.
    """
    made = max((billing for billing in billed if not _is_undone(billing)), key=_end, default=None)
    skipped = [
        billing
        for billing in billed
        if _is_undone(billing)
        and billing.period.end < period.start
        and (made is None or billing.period.end > made.period.end)
    ]
    followed = next((billing for billing in skipped if follows(billing.period, period)), None)
    return followed or made or max(skipped, key=_end, default=None)


def _is_undone(billing: BilledView) -> bool:
    return is_skipped_uninvoiced(billing) or billing.status is Status.VOIDED


def _amount_hold(case: _Case, live: list[BilledView]) -> Hold | None:
    total, currency, policy = case.contract.total, case.contract.currency, case.policy
    if total is None:
        return None
    if total == 0 and not policy.allow_zero:
        return Reason.AMOUNT_ZERO, {"amount": f"{total} {currency}"}
    last = max(
        (billing for billing in live if billing.amount is not None and not is_skipped_uninvoiced(billing)),
        key=_end,
        default=None,
    )
    if last is None or last.amount is None:
        return None
    # A rise that somebody has said yes to, or the rules, is no surprise; what else has changed may be one.
    totals = [one for one in (total, case.contract.repriced_from) if one is not None]
    if all(abs(one - last.amount) * 100 > abs(last.amount) * policy.amount_change_percent for one in totals):
        allowed = f"{policy.amount_change_percent} %"
        return Reason.AMOUNT_CHANGED, {
            "amount": f"{total} {currency}",
            "last_billed": f"{last.amount} {currency}",
            "allowed_change": allowed,
        }
    return None


def _company_hold(case: _Case) -> Hold | None:
    """Whether its invoice would lie there half done, for a cause that is known of the whole company."""
    for need in needs_of(case.policy):
        reason = case.facts.hindered.get(need)
        if reason is not None:
            return Reason.COMPANY_HINDERED, {"step": STEP_OF[need].value, "because": REASONS[reason].title}
    return None


def _delivery_hold(case: _Case) -> Hold | None:
    """What the way of delivery lacks; Fakturatjänster takes only SEK, and only what is bookkept (API notes 3)."""
    deliver, currency = case.policy.deliver, case.contract.currency
    if deliver is Delivery.FINANCE and currency not in ("SEK", ""):
        return Reason.DELIVERY_UNSUPPORTED, {"deliver": deliver.value, "currency": currency, "needs": "SEK"}
    if deliver is Delivery.FINANCE and not case.policy.bookkeep:
        return Reason.DELIVERY_UNSUPPORTED, {"deliver": deliver.value, "needs": "bookkeep"}
    return None


def _way(case: _Case) -> Way:
    return way_of(case.policy, case.facts.cards.get(case.contract.customer_number))


def _recipient_hold(case: _Case, way: Way) -> Hold | None:
    """Whether it would reach nobody; neither Fakturatjänster (API notes 3) nor a letter takes half an address."""
    number = case.contract.customer_number
    told = {"customer": number} | ({"deliver": way.value} if asks_the_card(case.policy) else {})
    if way is Way.UNKNOWN and number in case.facts.cards:
        return Reason.RECIPIENT_MISSING, {"customer": number, "missing": no_way(case.facts.cards[number])}
    lacks = case.facts.lacking.get(number)
    if lacks is None:
        return None
    if way is Way.EMAIL and lacks.email and case.contract.email_to == "":
        return Reason.RECIPIENT_MISSING, {**told, "missing": "e-mail address"}
    if way is Way.EINVOICE and lacks.gln:
        return Reason.RECIPIENT_MISSING, {**told, "missing": "GLN"}
    if way in (Way.FINANCE, Way.PRINT) and lacks.address:
        return Reason.RECIPIENT_MISSING, {**told, "missing": ", ".join(lacks.address)}
    return None


def _end(billing: BilledView) -> date:
    return billing.period.end


def _previews(
    verdict: Verdict, billed: Sequence[BilledView], facts: TenantFacts, today: date, horizon: date
) -> Iterator[Verdict]:
    contract, policy, period = verdict.contract, verdict.policy, verdict.period
    if period is None or verdict.due_on is None:
        return  # finished, inactive, paused: nothing is foreseen of what stands still
    done = _billing_of(period, billed)
    if done is None:
        on = max(verdict.due_on, today)
        if on > horizon:
            return
        if verdict.reason is Reason.NOT_YET:
            yield _judged(_Case(contract, policy, billed, facts, period, verdict.due_on, on), preview=True)
        done = _as_billed(contract, period, on)
    else:
        done = replace(done, step=Step.DELIVER, status=Status.DONE)

    fixed = None if contract.continuous else contract.invoices_remaining
    for later in islice(upcoming(period, contract.interval or 0), None if fixed is None else fixed - 1):
        due_on = due.due_on(later, policy)
        on = max(due_on, today, done.created_on + timedelta(days=1))
        if on > horizon:
            return
        yield _judged(_Case(contract, policy, (done,), facts, later, due_on, on), preview=True)
        done = _as_billed(contract, later, on)


def _as_billed(contract: ContractView, period: Period, on: date) -> BilledView:
    return BilledView(period, 0, Step.DELIVER, Status.DONE, contract.total, None, on)
