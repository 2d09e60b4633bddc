"""Where an outcome takes a billing: pure decisions, which `settling`, `claims` and `by_person` carry out.

No clock, no connection. Steps only go forward; what the policy leaves out or the invoice shows as done is passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

from common.ids import InvoiceNumber
from common.ledger.outcomes import Again, Booked, Delivered, Doubt, Hold, Made, Outcome, Park, Seek, Void
from common.ledger.records import Billing, Invoice
from common.rules import due
from common.rules.policy import Policy
from common.rules.reasons import ROWS_SEEN, Reason
from common.rules.states import Delivery, Status, Step

_STEPS = tuple(Step)


@dataclass(frozen=True, slots=True)
class Landing:
    """The state that a billing is to have."""

    step: Step
    status: Status
    invoice: InvoiceNumber | None
    handmade: bool
    made_total: Decimal | None
    made_rows: str | None
    invoice_date: date
    reason: Reason | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    not_before: datetime | None = None
    failures: int = 0


def land(billing: Billing, policy: Policy, to: Outcome, now: datetime) -> Landing:
    """Where `to` takes the billing.

    Parameters:
      policy: what the next call would have to follow (the stricter of the snapshot and of now).
      now: the database's clock.

    Raises:
      ValueError: the outcome is none that this step can have.
    """
    if not fits(billing.step, to):
        raise ValueError(f"{type(to).__name__} is no outcome of the step {billing.step}")
    match to:
        case Made(invoice, handmade, vouched=vouched):
            if wrong := mismatch(billing, invoice, vouched=vouched):
                return _stay(billing, Status.PARKED, Reason.UNVERIFIED, wrong)
            return onward(billing, policy, now, invoice=invoice, handmade=handmade)
        case Booked(invoice):
            return onward(billing, policy, now, invoice=invoice)
        case Delivered():
            return onward(billing, policy, now)
        case Seek(detail, delay):
            reason = Reason.NUMBER_UNKNOWN if billing.step is Step.CREATE else None
            return _stay(billing, Status.SEEKING, reason, detail, not_before=now + delay if delay else None)
        case Doubt(reason, detail):
            return _stay(billing, Status.IN_DOUBT, reason, detail)
        case Park(reason, detail):
            return _stay(billing, Status.PARKED, reason, detail)
        case Hold(reason, detail):
            return _stay(billing, Status.HELD, reason, detail)
        case Void(reason, detail):
            return _stay(billing, Status.VOIDED, reason, detail)
        case Again(reason, delay, failed, detail):
            later = now + delay if delay > timedelta(0) else None
            failures = billing.failures + (1 if failed else 0)
            return _stay(billing, Status.WAITING, reason, detail, not_before=later, failures=failures)


def fits(step: Step, to: Outcome) -> bool:
    """Whether a step can have that outcome."""
    match to:
        case Made():
            return step is Step.CREATE
        case Booked():
            return step is Step.BOOKKEEP
        case Delivered():
            return step is Step.DELIVER
    return True


def mismatch(billing: Billing, invoice: Invoice, *, vouched: bool = False) -> dict[str, str]:
    """What shows that the invoice is not the billing's, for a person to read; empty if nothing does.

    The last gate before an invoice may be booked and sent: this contract, this period, neither cancelled nor a credit.

    Parameters:
      vouched: a person says that it is; then what it does not tell is not held against it, what it tells still is.
    """
    checks = {
        "tenant": (billing.tenant, invoice.tenant),
        "contract": (billing.contract, (invoice.contract or billing.contract) if vouched else invoice.contract),
        "period": (billing.period, (invoice.period or billing.period) if vouched else invoice.period),
        "cancelled": (False, invoice.cancelled),
        "credit": (False, invoice.credit),
    }
    wrong = {name: f"{shown} instead of {wanted}" for name, (wanted, shown) in checks.items() if wanted != shown}
    return {"invoice": str(invoice.number), **wrong} if wrong else {}


def onward(
    billing: Billing,
    policy: Policy,
    now: datetime,
    *,
    invoice: Invoice | None = None,
    handmade: bool | None = None,
) -> Landing:
    """The first later step that is left to do, or DONE.

    Parameters:
      invoice: as last read, where it was; what it shows as done is not done again.
    """
    handmade = billing.handmade if handmade is None else handmade
    going_on = partial(_with_invoice, billing, invoice, handmade)
    for step in _STEPS[_STEPS.index(billing.step) + 1 :]:
        if is_left_out(step, billing, policy, handmade=handmade) or (invoice and _shows_done(step, policy, invoice)):
            continue
        if invoice and is_held_for_tax(billing, policy, invoice.tax_reduction):
            kind = {"tax_reduction": invoice.tax_reduction or ""}
            return going_on(step, Status.HELD, reason=Reason.TAX_REDUCTION, detail=kind)
        opens = due.deliver_not_before(policy, now) if step is Step.DELIVER else None
        return going_on(step, Status.WAITING, not_before=opens)
    return going_on(_STEPS[-1], Status.DONE)


def is_left_out(step: Step, billing: Billing, policy: Policy, *, handmade: bool) -> bool:
    """Whether the policy leaves the step out. One made by hand is finished only by policy or by a person's yes."""
    if handmade and not policy.finish_handmade and Reason.HANDMADE not in billing.approved:
        return True
    match step:
        case Step.CREATE:
            return False
        case Step.BOOKKEEP:
            return not policy.bookkeep
        case Step.DELIVER:
            return policy.deliver is Delivery.NONE


def is_held_for_tax(billing: Billing, policy: Policy, tax_reduction: str | None) -> bool:
    """ROT, RUT and green deductions wait for a person before they are booked or sent (design, section 7)."""
    return bool(tax_reduction) and not policy.allow_tax_reduction and Reason.TAX_REDUCTION not in billing.approved


def waiting_again(billing: Billing, *, not_before: datetime | None = None) -> Landing:
    """The same step once more, with nothing held against it."""
    return _stay(billing, Status.WAITING, None, {}, not_before=not_before, failures=0)


def approved(billing: Billing) -> tuple[Landing, frozenset[Reason]]:
    """Where a person's yes takes a held billing, and all that has been said yes to: it is not held for that again.

    A yes to an invoice that somebody has changed is one to the invoice as it was then, and is remembered as that.
    """
    landing = waiting_again(billing, not_before=billing.not_before)
    if billing.reason is None:
        return landing, billing.approved
    if billing.reason is not Reason.INVOICE_CHANGED:
        return landing, billing.approved | {billing.reason}
    total = Decimal(billing.detail["now"]) if "now" in billing.detail else billing.made_total
    rows = billing.detail.get(ROWS_SEEN) or billing.made_rows
    return replace(landing, made_total=total, made_rows=rows), billing.approved


def _shows_done(step: Step, policy: Policy, invoice: Invoice) -> bool:
    if step is Step.BOOKKEEP:
        # The cash method books when the customer pays (API notes 2.5).
        return invoice.booked or invoice.accounting_method == "CASH"
    # One that somebody sent is not thereby handed over to the finance service; delivery looks at that case itself.
    return invoice.nox_finans or (invoice.sent and policy.deliver is not Delivery.FINANCE)


def _with_invoice(
    billing: Billing,
    invoice: Invoice | None,
    handmade: bool,
    step: Step,
    status: Status,
    *,
    reason: Reason | None = None,
    detail: Mapping[str, str] | None = None,
    not_before: datetime | None = None,
) -> Landing:
    """A billing that has gone on; the invoice is remembered as it was when it was taken in."""
    taken_in = invoice if billing.invoice is None else None
    return Landing(
        step=step,
        status=status,
        invoice=taken_in.number if taken_in else billing.invoice,
        handmade=handmade,
        made_total=taken_in.total if taken_in else billing.made_total,
        made_rows=taken_in.rows_digest if taken_in else billing.made_rows,
        invoice_date=(taken_in.invoice_date if taken_in else None) or billing.invoice_date,
        reason=reason,
        detail=detail or {},
        not_before=not_before,
    )


def _stay(
    billing: Billing,
    status: Status,
    reason: Reason | None,
    detail: Mapping[str, str],
    *,
    not_before: datetime | None = None,
    failures: int | None = None,
) -> Landing:
    return Landing(
        step=billing.step,
        status=status,
        invoice=billing.invoice,
        handmade=billing.handmade,
        made_total=billing.made_total,
        made_rows=billing.made_rows,
        invoice_date=billing.invoice_date,
        reason=reason,
        detail=detail,
        not_before=not_before,
        failures=billing.failures if failures is None else failures,
    )
