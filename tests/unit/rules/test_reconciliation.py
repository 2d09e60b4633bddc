"""What a period, or an invoice, amounts to in the proof of a company: without a ledger, and without a Fortnox."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.rules.periods import Period
from common.rules.plan import ContractView, Verdict
from common.rules.policy import Policy
from common.rules.reasons import Reason
from common.rules.reconciliation import BillingSeen, Finding, InvoiceSeen, Line, Stop, reconcile, unreadable
from common.rules.states import Status, Step

MAY = Period(date(2026, 5, 1), date(2026, 5, 31))
JUNE = Period(date(2026, 6, 1), date(2026, 6, 30))
JULY = Period(date(2026, 7, 1), date(2026, 7, 31))
SINCE = date(2026, 3, 1)
TODAY = date(2026, 6, 1)
ONE = ContractNumber(1)


def verdict(period: Period | None = JULY, reason: Reason = Reason.NOT_YET, **about: Any) -> Verdict:
    policy = about.pop("policy", Policy(mode="live"))
    view = ContractView(
        tenant=TenantId(4711),
        number=ONE,
        customer_number="1",
        customer_name="Gran AB",
        status="ACTIVE",
        continuous=True,
        interval=1,
        period=period,
        invoices_remaining=None,
        total=Decimal(100),
        currency="SEK",
        template=None,
        paused=False,
    )
    return Verdict(replace(view, **about), period, reason, None, None, policy, Decimal(100), {}, False)


def billing(period: Period = JUNE, invoice: int | None = 101, **about: Any) -> BillingSeen:
    """A billing that is done, with its invoice, or one that waits."""
    made = BillingSeen(
        id=BillingId(7),
        contract=ONE,
        customer_number="1",
        customer_name="Gran AB",
        period=period,
        generation=1,
        due_on=period.start,
        invoice_date=period.start,
        step=Step.CREATE if invoice is None else Step.DELIVER,
        status=Status.WAITING if invoice is None else Status.DONE,
        reason=None,
        detail={},
        invoice=None if invoice is None else InvoiceNumber(invoice),
        handmade=False,
        amount=Decimal(100),
        currency="SEK",
        made_total=None if invoice is None else Decimal(125),
        approved=frozenset(),
        planned_on=period.start,
        is_later=False,
        done_by_us=frozenset(),
    )
    return replace(made, **about)


def invoice(number: int = 101, period: Period | None = JUNE, **about: Any) -> InvoiceSeen:
    shown = InvoiceSeen(
        number=InvoiceNumber(number),
        contract=ONE,
        period=period,
        invoice_date=period.start if period else TODAY,
        customer_number="1",
        total=Decimal(125),
        currency="SEK",
        booked=False,
        sent=False,
        cash_method=False,
        ended=None,
    )
    return replace(shown, **about)


def proof(
    billings: list[BillingSeen] | None = None,
    invoices: list[InvoiceSeen] | None = None,
    shown: Verdict | None = None,
    **about: Any,
) -> list[Line]:
    return reconcile(
        about.get("since", SINCE),
        about.get("day", TODAY),
        billings or [],
        invoices or [],
        [shown or verdict()],
        about.get("stops", {}),
        about.get("covered_to", {}),
    )


def told(*given: Any, **about: Any) -> list[tuple[str, str]]:
    return [(line.finding.value, line.state) for line in proof(*given, **about)]


def test_a_finished_billing_with_its_invoice_is_proved_with_the_invoice_s_total() -> None:
    (line,) = proof([billing()], [invoice()])
    assert (line.finding, line.amount, line.invoices) == (Finding.PROVED, Decimal(125), (101,))


def test_a_final_billing_of_before_the_proof_has_no_line_and_an_unfinished_one_has() -> None:
    old = Period(date(2026, 1, 1), date(2026, 1, 31))
    assert told([billing(old)], [invoice(period=old)]) == []
    assert told([billing(old, None, status=Status.HELD, reason=Reason.CATCH_UP)]) == [("explained", "held")]


@pytest.mark.parametrize(
    ("step", "state", "shown"),
    [(Step.BOOKKEEP, "booked", invoice(booked=True)), (Step.DELIVER, "sent", invoice(sent=True))],
)
def test_what_was_done_by_us_and_does_not_show_differs(step: Step, state: str, shown: InvoiceSeen) -> None:
    done = billing(done_by_us=frozenset({step}))
    assert told([done], [invoice()]) == [("differs", state)]
    assert told([done], [shown]) == [("proved", "")]


def test_by_the_cash_method_nothing_is_booked_until_it_is_paid() -> None:
    done = billing(done_by_us=frozenset({Step.BOOKKEEP}))
    assert told([done], [invoice(cash_method=True)]) == [("proved", "")]


def test_what_a_person_booked_and_sent_by_hand_is_no_difference() -> None:
    assert told([billing()], [invoice(booked=True, sent=True)]) == [("proved", "")]


def test_a_hand_over_that_is_not_open_yet_is_no_difference() -> None:
    followed = billing(status=Status.SEEKING, done_by_us=frozenset({Step.DELIVER}))
    assert told([followed], [invoice()]) == [("explained", "seeking")]


def test_another_amount_differs_unless_a_person_knows_or_has_said_yes() -> None:
    changed = [invoice(total=Decimal(250))]
    assert told([billing()], changed) == [("differs", "amount")]
    known = billing(step=Step.BOOKKEEP, status=Status.HELD, reason=Reason.INVOICE_CHANGED)
    assert told([known], changed) == [("explained", "held")]
    # A yes takes the invoice as it was then for what it is to be.
    assert told([billing(made_total=Decimal(250))], changed) == [("proved", "")]
    said_yes_before = billing(made_total=Decimal(200), approved=frozenset({Reason.INVOICE_CHANGED}))
    assert told([said_yes_before], changed) == [("differs", "amount")]


def test_another_date_differs_unless_a_person_made_the_invoice() -> None:
    dated = [invoice(invoice_date=date(2026, 6, 3))]
    assert told([billing()], dated) == [("differs", "date")]
    assert told([billing(handmade=True)], dated) == [("explained", "handmade")]


def test_another_contract_or_period_differs() -> None:
    assert told([billing()], [invoice(contract=ContractNumber(2))]) == [("differs", "contract")]
    assert told([billing()], [invoice(period=MAY, invoice_date=JUNE.start)]) == [("differs", "period")]


def test_the_invoice_that_a_parked_billing_speaks_of_is_not_a_person_s() -> None:
    parked = billing(JUNE, None, status=Status.PARKED, reason=Reason.UNVERIFIED, detail={"invoice": "102"})
    by_person, ours = invoice(101), invoice(102, JULY, invoice_date=TODAY)
    assert told([parked], [by_person, ours]) == [("explained", "parked")]
    assert told([replace(parked, detail={})], [by_person, ours]) == [("explained", "parked"), ("handmade", "handmade")]


def test_a_skipped_period_that_a_person_invoiced_is_explained_once() -> None:
    skipped = billing(invoice=None, status=Status.SKIPPED)
    assert told([skipped], [invoice()]) == [("explained", "skipped")]


def test_a_voided_billing_is_explained_unless_its_period_was_invoiced_again() -> None:
    voided = billing(status=Status.VOIDED, reason=Reason.CREDITED)
    ended = invoice(ended=Reason.CREDITED)
    assert told([voided], [ended]) == [("explained", "voided")]
    again = billing(invoice=102, id=BillingId(8), generation=2)
    assert told([voided, again], [ended, invoice(102)]) == [("proved", "")]
    assert told([voided], [ended, invoice(102)]) == [("handmade", "handmade")]
    planned_again = billing(invoice=None, id=BillingId(8), generation=2)
    assert told([voided, planned_again], [ended]) == [("explained", "waiting")]


def test_what_was_withdrawn_hides_no_voided_billing_of_its_period() -> None:
    voided = billing(status=Status.VOIDED, reason=Reason.CREDITED)
    withdrawn = billing(invoice=None, id=BillingId(8), generation=2, status=Status.VOIDED, reason=Reason.WITHDRAWN)
    assert told([voided, withdrawn], [invoice(ended=Reason.CREDITED)]) == [("explained", "voided")]


def test_two_invoices_of_a_period_are_one_line_whoever_made_them() -> None:
    (line,) = proof([billing()], [invoice(), invoice(102)])
    assert (line.finding, line.invoices, line.billing) == (Finding.DOUBLED, (101, 102), 7)
    (line,) = proof([], [invoice(), invoice(102)])
    assert line.finding is Finding.DOUBLED


def test_an_ended_invoice_neither_doubles_nor_overlaps() -> None:
    for other in (
        invoice(102, ended=Reason.CANCELLED),
        invoice(102, Period(MAY.start, JUNE.end), ended=Reason.CREDITED),
    ):
        assert told([billing()], [invoice(), other]) == [("proved", "")]


def test_an_overlap_is_seen_behind_a_period_in_between() -> None:
    quarter = Period(MAY.start, JULY.end)
    found = proof([], [invoice(101, quarter), invoice(102, JUNE), invoice(103, JULY, invoice_date=TODAY)])
    assert [(line.finding, line.invoices) for line in found] == [
        (Finding.OVERLAPPING, (101, 102)),
        (Finding.OVERLAPPING, (101, 103)),
    ]


def test_invoices_of_different_contracts_do_not_overlap() -> None:
    two = billing(invoice=102, id=BillingId(8), contract=ContractNumber(2))
    assert told([billing(), two], [invoice(), invoice(102, contract=two.contract)]) == [("proved", "")] * 2


def test_a_wait_is_explained_on_the_day_and_missing_on_the_next_unless_something_is_known() -> None:
    waiting = billing(MAY, None)
    assert told([waiting], day=MAY.start) == [("explained", "waiting")]
    assert told([waiting]) == [("missing", "waiting")]
    assert told([replace(waiting, planned_on=TODAY)]) == [("explained", "waiting")]
    assert told([replace(waiting, is_later=True)]) == [("explained", "waiting")]
    assert told([replace(waiting, reason=Reason.THROTTLED)]) == [("explained", "waiting")]
    assert told([replace(waiting, status=Status.CLAIMED)]) == [("missing", "under_way")]


def test_what_waits_to_be_booked_or_sent_has_its_invoice_and_is_explained() -> None:
    assert told([billing(MAY, status=Status.WAITING)], [invoice(period=MAY)]) == [("explained", "waiting")]


def test_a_stop_explains_the_step_that_it_stops_and_no_other() -> None:
    stops = {Step.CREATE: Stop(Reason.LICENCE_MISSING, {})}
    assert told([billing(MAY, None)], stops=stops) == [("explained", "stopped")]
    assert told([billing(MAY, None)], stops={Step.DELIVER: stops[Step.CREATE]}) == [("missing", "waiting")]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.DUE, [("missing", "not_planned")]),
        (Reason.CATCH_UP, [("explained", "held")]),
        (Reason.EARLIER_OPEN, [("explained", "earlier_open")]),
        (Reason.PROPOSAL, [("explained", "proposal")]),
        (Reason.PAUSED, [("explained", "paused")]),
        (Reason.INACTIVE, []),
        (Reason.FINISHED, []),
        (Reason.ALREADY_BILLED, []),
    ],
)
def test_a_due_period_without_a_billing_is_what_the_plan_says(reason: Reason, expected: list[tuple[str, str]]) -> None:
    assert told(shown=verdict(MAY, reason)) == expected


def test_a_due_period_that_a_person_has_invoiced_is_not_missing_too() -> None:
    assert told([], [invoice(period=MAY)], verdict(MAY, Reason.DUE)) == [("handmade", "handmade")]


def test_a_period_that_is_not_due_by_the_day_has_no_line() -> None:
    assert told(shown=verdict(JUNE, Reason.PAUSED), day=MAY.start) == []
    assert told([billing()], [invoice()], day=MAY.start) == []


def test_days_that_nothing_covers_are_missing_unless_a_person_is_asked_or_has_answered() -> None:
    covered = {ONE: date(2026, 4, 30)}
    shown = verdict(JULY)
    assert told(shown=shown, covered_to=covered) == [("missing", "passed_over")]
    assert told(shown=verdict(JULY), covered_to={ONE: JUNE.end}) == []
    moved = verdict(JUNE, Reason.PERIOD_MOVED)
    assert told(shown=moved, covered_to=covered) == [("explained", "period_moved"), ("explained", "held")]
    billed = verdict(JUNE, Reason.ALREADY_BILLED)
    held = billing(invoice=None, status=Status.HELD, reason=Reason.PERIOD_MOVED)
    assert told([held], shown=billed, covered_to=covered) == [("explained", "period_moved"), ("explained", "held")]
    approved = billing(approved=frozenset({Reason.PERIOD_MOVED}))
    assert told([approved], [invoice()], billed, covered_to=covered) == [("explained", "period_moved"), ("proved", "")]


def test_days_that_nothing_covers_are_not_missing_before_they_would_be_due() -> None:
    in_arrears = Policy(mode="live", invoice_on="period_end")
    assert told(shown=verdict(JULY, policy=in_arrears), covered_to={ONE: date(2026, 5, 31)}) == []


def test_a_contract_that_has_ended_or_stands_still_misses_nothing() -> None:
    covered = {ONE: date(2026, 4, 30)}
    assert told(shown=verdict(JULY, status="INACTIVE"), covered_to=covered) == []
    assert told(shown=verdict(JULY, paused=True), covered_to=covered) == [("explained", "paused")]
    assert told(shown=verdict(JULY, policy=Policy()), covered_to=covered) == [("explained", "proposal")]


def test_a_person_s_invoice_dated_after_the_day_is_not_looked_at_yet() -> None:
    assert told([], [invoice()], day=date(2026, 5, 31)) == []


def test_every_line_that_is_not_proved_says_why_and_what_to_do() -> None:
    lines = [
        *proof([billing()], [invoice(), invoice(102), invoice(103, Period(MAY.start, JUNE.start))]),
        *proof([billing()], []),
        *proof([billing()], [invoice(total=Decimal(1))]),
        *proof([billing(MAY, None)], [invoice(101, None)]),
        *proof(shown=verdict(JULY), covered_to={ONE: date(2026, 4, 30)}),
        unreadable("12x"),
    ]
    assert {line.finding for line in lines} == set(Finding) - {Finding.PROVED, Finding.EXPLAINED}
    assert all(line.why.endswith(".") and line.cure for line in lines)
