"""The plan: every contract gets one verdict, the most useful one, and nothing is ever planned twice or overlapping."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.rules.due import due_on
from common.rules.periods import Period, add_months, following, follows
from common.rules.plan import HOLDS, BilledView, ContractView, Lacks, TenantFacts, Verdict, plan
from common.rules.policy import Policy
from common.rules.reasons import REASONS, Reason, explain
from common.rules.states import Delivery, Status, Step
from common.rules.ways import Way

TENANT = TenantId(4711)
ONE_DAY = timedelta(days=1)
FEBRUARY = Period(date(2026, 2, 1), date(2026, 2, 28))
MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
MISTYPED = Period(date(2026, 2, 15), date(2026, 3, 14))
APRIL = Period(date(2026, 4, 1), date(2026, 4, 30))
FIRST_OF_MARCH = date(2026, 3, 1)
YEAR = Period(date(2026, 1, 1), date(2026, 12, 31))
LIVE = Policy(mode="live")
CONTRACT = ContractView(
    tenant=TENANT,
    number=ContractNumber(12),
    customer_number="100",
    customer_name="Bryggeriet AB",
    status="ACTIVE",
    continuous=True,
    interval=1,
    period=MARCH,
    invoices_remaining=None,
    total=Decimal("1250.00"),
    currency="SEK",
    template=None,
    paused=False,
)
BILLED = BilledView(
    period=FEBRUARY,
    generation=1,
    step=Step.DELIVER,
    status=Status.DONE,
    amount=Decimal("1250.00"),
    invoice_date=date(2026, 2, 1),
    created_on=date(2026, 2, 1),
)


def live(**said: Any) -> Policy:
    return Policy(mode="live", **said)


def verdict(
    contract: ContractView = CONTRACT,
    policy: Policy = LIVE,
    billed: Sequence[BilledView] = (BILLED,),
    facts: TenantFacts | None = None,
    today: date = FIRST_OF_MARCH,
) -> Verdict:
    only, *others = plan([(contract, policy, billed)], {TENANT: facts} if facts else {}, today)
    assert not others
    return only


def previews(
    contract: ContractView = CONTRACT,
    policy: Policy = LIVE,
    billed: Sequence[BilledView] = (BILLED,),
    facts: TenantFacts | None = None,
    today: date = FIRST_OF_MARCH,
    days: int = 62,
) -> list[Verdict]:
    _, *later = plan([(contract, policy, billed)], {TENANT: facts} if facts else {}, today, days)
    return later


def periods(found: list[Verdict]) -> list[Period | None]:
    return [one.period for one in found]


# What falls due


def test_a_company_with_the_cash_method_is_planned_without_bookkeeping_whatever_was_wished() -> None:
    found = verdict(policy=live(bookkeep=True, deliver="email"), facts=TenantFacts(cash=True))
    assert (found.outcome, found.policy.bookkeep, found.policy.deliver) == ("bill", False, Delivery.EMAIL)


def test_a_period_that_is_due_is_billed() -> None:
    found = verdict()
    assert (found.reason, found.outcome, found.preview) == (Reason.DUE, "bill", False)
    assert (found.period, found.due_on, found.invoice_date) == (MARCH, FIRST_OF_MARCH, FIRST_OF_MARCH)
    assert found.amount == Decimal("1250.00")


def test_the_first_period_of_a_contract_needs_no_history() -> None:
    assert verdict(billed=()).outcome == "bill"


def test_a_period_is_not_billed_before_its_due_day() -> None:
    found = verdict(today=date(2026, 2, 28))
    assert (found.reason, found.outcome, found.due_on) == (Reason.NOT_YET, "none", FIRST_OF_MARCH)


def test_a_contract_in_arrears_is_billed_when_its_period_ends() -> None:
    arrears = live(invoice_on="period_end")
    assert verdict(policy=arrears, today=date(2026, 3, 30)).reason is Reason.NOT_YET
    assert verdict(policy=arrears, today=date(2026, 3, 31)).reason is Reason.DUE


def test_a_late_billing_is_dated_on_the_day_it_is_made() -> None:
    assert verdict(today=date(2026, 3, 5)).invoice_date == date(2026, 3, 5)


# What is over, stopped, or done already


@pytest.mark.parametrize(
    ("status", "reason"),
    [("FINISHED", Reason.FINISHED), ("INACTIVE", Reason.INACTIVE), ("GONE", Reason.INACTIVE), ("", Reason.INACTIVE)],
)
def test_only_an_active_contract_is_billed(status: str, reason: Reason) -> None:
    found = verdict(replace(CONTRACT, status=status))
    assert (found.reason, found.outcome) == (reason, "none")


def test_a_fixed_length_contract_without_invoices_left_is_finished() -> None:
    assert verdict(replace(CONTRACT, continuous=False, invoices_remaining=0)).reason is Reason.FINISHED


def test_a_fixed_length_contract_with_one_invoice_left_is_billed() -> None:
    assert verdict(replace(CONTRACT, continuous=False, invoices_remaining=1)).reason is Reason.DUE


def test_a_continuous_contract_never_finishes_by_count() -> None:
    assert verdict(replace(CONTRACT, continuous=True, invoices_remaining=0)).reason is Reason.DUE


def test_a_contract_without_a_period_is_not_billed() -> None:
    found = verdict(replace(CONTRACT, period=None))
    assert (found.reason, found.outcome) == (Reason.NO_PERIOD, "none")


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.VOIDED])
def test_a_period_in_the_ledger_is_not_billed_again(status: Status) -> None:
    found = verdict(billed=[replace(BILLED, period=MARCH, step=Step.CREATE, status=status)])
    assert (found.reason, found.outcome) == (Reason.ALREADY_BILLED, "none")
    assert found.detail == {"step": "create", "status": status.value}


def test_a_period_whose_billing_was_voided_is_billed_again() -> None:
    voided = replace(BILLED, period=MARCH, status=Status.VOIDED)
    assert verdict(billed=[voided, BILLED]).outcome == "bill"


def test_a_period_set_back_by_hand_to_one_in_the_ledger_is_not_billed_again() -> None:
    billed = [replace(BILLED, period=APRIL), replace(BILLED, period=MARCH), BILLED]
    assert verdict(billed=billed).reason is Reason.ALREADY_BILLED


def test_a_paused_contract_is_not_billed() -> None:
    found = verdict(replace(CONTRACT, paused=True))
    assert (found.reason, found.outcome) == (Reason.PAUSED, "none")


# Proposal


def test_a_company_in_proposal_mode_sees_what_would_happen() -> None:
    found = verdict(policy=Policy())
    assert (found.reason, found.outcome, found.detail) == (Reason.PROPOSAL, "none", {"verdict": "due"})
    assert (found.due_on, found.invoice_date) == (FIRST_OF_MARCH, FIRST_OF_MARCH)


def test_a_company_in_proposal_mode_sees_what_would_be_held() -> None:
    found = verdict(replace(CONTRACT, total=Decimal(0)), policy=Policy())
    assert (found.reason, found.outcome) == (Reason.PROPOSAL, "none")
    assert found.detail == {"verdict": "amount_zero", "amount": "0 SEK"}


# Holds


def test_a_period_waits_while_an_earlier_one_has_no_invoice_yet() -> None:
    found = verdict(billed=[replace(BILLED, step=Step.CREATE, status=Status.IN_DOUBT)])
    assert (found.reason, found.outcome) == (Reason.EARLIER_OPEN, "none")
    assert found.detail == {"earlier": str(FEBRUARY), "status": "in_doubt"}


def test_a_period_does_not_wait_for_an_earlier_one_to_be_bookkept() -> None:
    assert verdict(billed=[replace(BILLED, step=Step.BOOKKEEP, status=Status.PARKED)]).outcome == "bill"


@pytest.mark.parametrize(
    "period",
    [Period(date(2026, 3, 1), date(2026, 3, 28)), Period(date(2026, 3, 1), date(2026, 5, 31))],
    ids=["shorter", "longer"],
)
def test_a_period_of_another_length_than_the_interval_is_held(period: Period) -> None:
    found = verdict(replace(CONTRACT, period=period))
    assert (found.reason, found.outcome) == (Reason.PERIOD_LENGTH, "hold")
    assert found.detail == {"period": str(period), "interval": "1 month"}


@pytest.mark.parametrize("interval", [None, 0, -1])
def test_a_contract_whose_interval_makes_no_sense_is_held(interval: int | None) -> None:
    assert verdict(replace(CONTRACT, interval=interval)).reason is Reason.PERIOD_LENGTH


@pytest.mark.parametrize(
    "last",
    [
        Period(date(2026, 1, 1), date(2026, 1, 31)),
        Period(date(2026, 2, 15), date(2026, 3, 14)),
        APRIL,
    ],
    ids=["gap", "overlap", "earlier than what is billed"],
)
def test_a_period_that_does_not_follow_the_last_billed_one_is_held(last: Period) -> None:
    found = verdict(billed=[replace(BILLED, period=last)])
    assert (found.reason, found.outcome) == (Reason.PERIOD_MOVED, "hold")
    assert found.detail == {"period": str(MARCH), "last_billed": str(last)}


def test_a_period_follows_one_that_a_person_skipped() -> None:
    skipped = replace(BILLED, step=Step.CREATE, status=Status.SKIPPED)
    assert verdict(billed=[skipped]).outcome == "bill"


def test_a_period_need_not_follow_a_mistyped_one_that_a_person_skipped() -> None:
    mistyped = replace(BILLED, step=Step.CREATE, status=Status.SKIPPED, period=MISTYPED)
    assert verdict(billed=[mistyped, BILLED]).outcome == "bill"


def test_a_period_corrected_after_it_was_skipped_is_judged_by_what_is_billed_before_it() -> None:
    shorter = Period(MARCH.start, date(2026, 3, 14))
    skipped = replace(BILLED, step=Step.CREATE, status=Status.SKIPPED, period=shorter)
    assert verdict(billed=[skipped, BILLED]).outcome == "bill"
    assert verdict(billed=[skipped]).outcome == "bill"
    assert verdict(replace(CONTRACT, period=shorter), billed=[skipped, BILLED]).reason is Reason.ALREADY_BILLED


def test_a_period_that_follows_a_skipped_one_may_not_overlap_what_is_billed() -> None:
    skipped = replace(BILLED, step=Step.CREATE, status=Status.SKIPPED)
    found = verdict(billed=[replace(BILLED, period=MISTYPED), skipped])
    assert (found.reason, found.detail["last_billed"]) == (Reason.PERIOD_MOVED, str(MISTYPED))


def test_the_newest_of_many_billings_is_the_one_to_follow() -> None:
    january = replace(BILLED, period=Period(date(2026, 1, 1), date(2026, 1, 31)))
    assert verdict(billed=[january, BILLED]).outcome == verdict(billed=[BILLED, january]).outcome == "bill"


def test_a_period_that_began_more_than_one_interval_ago_is_held() -> None:
    assert verdict(today=date(2026, 4, 1)).reason is Reason.DUE
    found = verdict(today=date(2026, 4, 2))
    assert (found.reason, found.outcome) == (Reason.CATCH_UP, "hold")


def test_in_arrears_the_interval_is_counted_from_the_end_of_the_period() -> None:
    arrears = live(invoice_on="period_end")
    assert verdict(policy=arrears, today=date(2026, 4, 30)).reason is Reason.DUE
    assert verdict(policy=arrears, today=date(2026, 5, 1)).reason is Reason.CATCH_UP


def test_a_lead_does_not_make_a_period_older_than_it_is() -> None:
    assert verdict(policy=live(lead_days=20), today=date(2026, 4, 1)).reason is Reason.DUE


def test_a_period_that_falls_due_long_after_it_began_is_not_held_on_its_due_day() -> None:
    late = live(lead_days=-45)
    due = date(2026, 4, 15)
    assert verdict(policy=late, today=due).reason is Reason.DUE
    assert verdict(policy=late, today=add_months(due, 1) + ONE_DAY).reason is Reason.CATCH_UP


def test_old_periods_are_billed_where_the_policy_says_so() -> None:
    assert verdict(policy=live(catch_up="invoice"), today=date(2026, 9, 1)).outcome == "bill"


def test_a_contract_is_invoiced_once_a_day_at_most() -> None:
    today = date(2026, 3, 5)
    found = verdict(billed=[replace(BILLED, created_on=today)], today=today)
    assert (found.reason, found.outcome) == (Reason.ONE_A_DAY, "hold")
    assert verdict(billed=[replace(BILLED, created_on=today)], today=today + ONE_DAY).outcome == "bill"


def test_a_billing_planned_the_evening_before_counts_on_the_day_of_its_invoice() -> None:
    today = date(2026, 3, 5)
    evening_before = replace(BILLED, created_on=today - ONE_DAY, invoice_date=today)
    assert verdict(billed=[evening_before], today=today).reason is Reason.ONE_A_DAY


def test_a_period_skipped_today_does_not_count_as_an_invoice() -> None:
    skipped = replace(BILLED, step=Step.CREATE, status=Status.SKIPPED, created_on=FIRST_OF_MARCH)
    assert verdict(billed=[skipped]).outcome == "bill"


def test_an_invoice_of_nothing_is_held() -> None:
    found = verdict(replace(CONTRACT, total=Decimal("0.00")))
    assert (found.reason, found.outcome) == (Reason.AMOUNT_ZERO, "hold")


def test_an_invoice_of_nothing_is_billed_where_the_policy_allows_it() -> None:
    free = replace(BILLED, amount=Decimal(0))
    assert verdict(replace(CONTRACT, total=Decimal(0)), policy=live(allow_zero=True), billed=[free]).outcome == "bill"


@pytest.mark.parametrize("total", ["875.00", "1250.00", "1625.00"])
def test_an_amount_that_changed_as_much_as_allowed_is_billed(total: str) -> None:
    assert verdict(replace(CONTRACT, total=Decimal(total))).outcome == "bill"


@pytest.mark.parametrize("total", ["874.99", "1625.01", "-1250.00"])
def test_an_amount_that_changed_more_than_allowed_is_held(total: str) -> None:
    found = verdict(replace(CONTRACT, total=Decimal(total)))
    assert (found.reason, found.outcome) == (Reason.AMOUNT_CHANGED, "hold")
    assert found.detail == {"amount": f"{total} SEK", "last_billed": "1250.00 SEK", "allowed_change": "30 %"}


def test_the_policy_says_how_much_an_amount_may_change() -> None:
    raised = replace(CONTRACT, total=Decimal("1300.00"))
    assert verdict(raised, policy=live(amount_change_percent=4)).outcome == "bill"
    assert verdict(raised, policy=live(amount_change_percent=3)).reason is Reason.AMOUNT_CHANGED


def test_an_amount_that_new_prices_of_ours_have_made_is_compared_as_it_was_before_them() -> None:
    risen = replace(CONTRACT, total=Decimal("2500.00"), repriced_from=Decimal("1250.00"))
    assert verdict(risen).outcome == "bill"
    edited_before = replace(risen, repriced_from=Decimal("2000.00"))
    assert verdict(edited_before).reason is Reason.AMOUNT_CHANGED
    invoiced_since = replace(BILLED, amount=Decimal("2500.00"))
    assert verdict(risen, billed=[invoiced_since]).outcome == "bill"


def test_an_amount_after_an_invoice_of_nothing_is_held() -> None:
    assert verdict(billed=[replace(BILLED, amount=Decimal(0))]).reason is Reason.AMOUNT_CHANGED


def test_an_amount_is_compared_with_what_was_invoiced_and_not_with_what_was_skipped() -> None:
    skipped = replace(BILLED, step=Step.CREATE, status=Status.SKIPPED, amount=Decimal(9000))
    january = replace(BILLED, period=Period(date(2026, 1, 1), date(2026, 1, 31)))
    assert verdict(billed=[skipped, january]).outcome == "bill"


def test_what_is_not_known_of_an_amount_holds_nothing() -> None:
    assert verdict(replace(CONTRACT, total=None)).outcome == "bill"
    assert verdict(billed=[replace(BILLED, amount=None)]).outcome == "bill"


@pytest.mark.parametrize(("bookkeep", "cash"), [(True, False), (False, False), (True, True)])
def test_a_locked_period_holds_an_invoice_of_its_days_whoever_bookkeeps_it(*, bookkeep: bool, cash: bool) -> None:
    locked = TenantFacts(locked_until=FIRST_OF_MARCH, cash=cash)
    found = verdict(policy=live(bookkeep=bookkeep), facts=locked)
    assert (found.reason, found.outcome) == (Reason.PERIOD_LOCKED, "hold")
    assert found.detail == {"invoice_date": "2026-03-01", "locked_until": "2026-03-01"}


def test_the_day_after_a_locked_period_can_be_bookkept() -> None:
    locked = TenantFacts(locked_until=date(2026, 2, 28))
    assert verdict(policy=live(bookkeep=True), facts=locked).outcome == "bill"


@pytest.mark.parametrize("bookkeep", [True, False])
def test_a_missing_financial_year_holds_an_invoice_whoever_bookkeeps_it(*, bookkeep: bool) -> None:
    facts = TenantFacts(years=(Period(date(2025, 1, 1), date(2025, 12, 31)),))
    found = verdict(policy=live(bookkeep=bookkeep), facts=facts)
    assert (found.reason, found.outcome) == (Reason.YEAR_MISSING, "hold")


# May to April, as many associations have it.
BROKEN_YEAR = Period(date(2025, 5, 1), date(2026, 4, 30))
THE_NEXT = Period(date(2026, 5, 1), date(2027, 4, 30))


@pytest.mark.parametrize(
    ("dated", "years", "reason"),
    [
        (date(2026, 4, 30), (BROKEN_YEAR,), Reason.DUE),
        (date(2026, 5, 1), (BROKEN_YEAR,), Reason.YEAR_MISSING),
        (date(2026, 5, 1), (BROKEN_YEAR, THE_NEXT), Reason.DUE),
        (date(2025, 4, 30), (BROKEN_YEAR, THE_NEXT), Reason.YEAR_MISSING),
    ],
)
def test_a_broken_financial_year_ends_with_its_own_last_day(
    dated: date, years: tuple[Period, ...], reason: Reason
) -> None:
    month = Period(dated, add_months(dated, 1) - timedelta(days=1))
    found = verdict(replace(CONTRACT, period=month), billed=[], facts=TenantFacts(years=years), today=dated)
    assert found.reason is reason


def test_a_lead_that_dates_the_invoice_in_the_next_year_asks_for_that_year() -> None:
    january = replace(CONTRACT, period=Period(date(2027, 1, 1), date(2027, 1, 31)))
    ahead = live(lead_days=14, invoice_date="period_start")
    found = verdict(january, policy=ahead, billed=[], facts=TenantFacts(years=(YEAR,)), today=date(2026, 12, 18))
    assert (found.reason, found.detail["invoice_date"]) == (Reason.YEAR_MISSING, "2027-01-01")
    dated_today = live(lead_days=14)
    found = verdict(january, policy=dated_today, billed=[], facts=TenantFacts(years=(YEAR,)), today=date(2026, 12, 18))
    assert (found.reason, found.invoice_date) == (Reason.DUE, date(2026, 12, 18))


def test_fakturatjanster_has_nothing_to_take_from_a_company_with_the_cash_method() -> None:
    finance = live(deliver=Delivery.FINANCE, bookkeep=True)
    found = verdict(policy=finance, facts=TenantFacts(cash=True))
    assert (found.reason, found.detail["needs"]) == (Reason.DELIVERY_UNSUPPORTED, "bookkeep")


def test_a_company_that_has_no_financial_year_at_all_cannot_bookkeep() -> None:
    assert verdict(policy=live(bookkeep=True), facts=TenantFacts(years=())).reason is Reason.YEAR_MISSING


@pytest.mark.parametrize("facts", [None, TenantFacts(), TenantFacts(years=(YEAR,))])
def test_an_invoice_in_a_known_year_or_in_years_unknown_is_billed(facts: TenantFacts | None) -> None:
    assert verdict(policy=live(bookkeep=True), facts=facts).outcome == "bill"


def test_the_locked_period_is_asked_about_the_date_that_the_invoice_gets() -> None:
    locked = TenantFacts(locked_until=date(2026, 3, 31))
    assert verdict(policy=live(bookkeep=True), facts=locked, today=date(2026, 4, 1)).outcome == "bill"


@pytest.mark.parametrize("deliver", Delivery)
def test_every_way_of_delivery_is_billed_while_nothing_is_known_against_it(deliver: Delivery) -> None:
    assert verdict(policy=live(deliver=deliver, bookkeep=True)).outcome == "bill"


def test_fakturatjanster_takes_only_swedish_crowns() -> None:
    finance = live(deliver=Delivery.FINANCE, bookkeep=True)
    found = verdict(replace(CONTRACT, currency="EUR"), policy=finance)
    assert (found.reason, found.detail) == (
        Reason.DELIVERY_UNSUPPORTED,
        {"deliver": "finance", "currency": "EUR", "needs": "SEK"},
    )
    assert verdict(replace(CONTRACT, currency=""), policy=finance).outcome == "bill"


def test_fakturatjanster_takes_only_what_is_bookkept() -> None:
    assert verdict(policy=live(deliver=Delivery.FINANCE)).reason is Reason.DELIVERY_UNSUPPORTED


# Which reason is told first: each case has this flaw and all those after it.

FLAWS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.FINISHED, {"status": "FINISHED"}),
    (Reason.NO_PERIOD, {"period": None}),
    (Reason.ALREADY_BILLED, {"billed": [replace(BILLED, period=MARCH, step=Step.CREATE, status=Status.HELD)]}),
    (Reason.PAUSED, {"paused": True}),
    (Reason.NOT_YET, {"today": date(2026, 2, 28)}),
    (Reason.PROPOSAL, {"mode": "proposal"}),
    (Reason.EARLIER_OPEN, {"billed": [replace(BILLED, step=Step.CREATE, status=Status.HELD)]}),
    (Reason.PERIOD_LENGTH, {"interval": 2}),
    (Reason.PERIOD_MOVED, {"billed": [replace(BILLED, period=Period(date(2026, 1, 1), date(2026, 1, 31)))]}),
    (Reason.CATCH_UP, {"today": date(2026, 5, 31)}),
    (Reason.ONE_A_DAY, {"billed": [replace(BILLED, created_on=date(2026, 5, 31))]}),
    (Reason.AMOUNT_ZERO, {"total": Decimal(0)}),
    (Reason.AMOUNT_CHANGED, {"total": Decimal(1)}),
    (Reason.PERIOD_LOCKED, {"locked_until": date(2026, 5, 31)}),
    (Reason.YEAR_MISSING, {"years": ()}),
    (Reason.DELIVERY_UNSUPPORTED, {"deliver": Delivery.FINANCE, "currency": "EUR"}),
]


@pytest.mark.parametrize("nth", range(len(FLAWS)), ids=[reason.value for reason, _ in FLAWS])
def test_the_most_useful_reason_is_told_first(nth: int) -> None:
    case: dict[str, Any] = {"today": date(2026, 5, 31), "mode": "live", "catch_up": "invoice"}
    for reason, flaw in reversed(FLAWS[nth:]):
        case.update({"catch_up": "hold"} if reason is Reason.CATCH_UP else flaw)
    of_contract = ("status", "period", "paused", "interval", "total", "currency")
    view = {name: case.pop(name) for name in of_contract if name in case}
    facts = TenantFacts(locked_until=case.pop("locked_until", None), years=case.pop("years", None))
    today, billed = case.pop("today"), case.pop("billed", [BILLED])
    found = verdict(replace(CONTRACT, **view), Policy(bookkeep=True, **case), billed, facts, today)
    assert found.reason is FLAWS[nth][0]


# Previews


def test_without_days_there_is_no_preview() -> None:
    assert previews(days=0) == []


def test_a_preview_shows_the_later_periods_as_they_fall_due() -> None:
    found = previews(days=61)
    assert periods(found) == [APRIL, Period(date(2026, 5, 1), date(2026, 5, 31))]
    assert [(one.reason, one.due_on, one.invoice_date) for one in found] == [
        (Reason.DUE, date(2026, 4, 1), date(2026, 4, 1)),
        (Reason.DUE, date(2026, 5, 1), date(2026, 5, 1)),
    ]
    assert all(one.preview and one.outcome == "none" for one in found)


def test_a_preview_ends_with_the_days_asked_for() -> None:
    assert periods(previews(days=30)) == []
    assert periods(previews(days=31)) == [APRIL]


def test_a_preview_shows_the_current_period_on_its_due_day() -> None:
    today = date(2026, 2, 20)
    found = previews(today=today, days=10)
    assert [(one.period, one.reason, one.due_on, one.invoice_date) for one in found] == [
        (MARCH, Reason.DUE, FIRST_OF_MARCH, FIRST_OF_MARCH)
    ]
    assert previews(today=today, days=8) == []


def test_a_preview_shows_no_more_than_a_fixed_length_contract_has_left() -> None:
    fixed = replace(CONTRACT, continuous=False, invoices_remaining=3)
    assert len(previews(fixed, days=365)) == 2
    assert len(previews(fixed, days=365, today=date(2026, 2, 20))) == 3


def test_a_preview_goes_on_from_a_period_that_is_billed_already() -> None:
    billed = replace(BILLED, period=MARCH, created_on=FIRST_OF_MARCH)
    assert periods(previews(billed=[billed], days=31)) == [APRIL]


def test_a_preview_goes_on_from_a_period_whose_invoice_is_not_made_yet() -> None:
    waiting = replace(BILLED, period=MARCH, created_on=FIRST_OF_MARCH, step=Step.CREATE, status=Status.WAITING)
    assert [(one.period, one.reason) for one in previews(billed=[waiting], days=31)] == [(APRIL, Reason.DUE)]


def test_a_preview_foresees_a_year_that_is_missing() -> None:
    facts = TenantFacts(years=(YEAR,))
    found = previews(policy=live(bookkeep=True), facts=facts, days=310)
    assert [one.reason for one in found[-2:]] == [Reason.DUE, Reason.YEAR_MISSING]


def test_a_preview_compares_the_amount_with_the_last_invoice_once() -> None:
    raised = replace(CONTRACT, total=Decimal(5000))
    billed = replace(BILLED, period=MARCH, created_on=FIRST_OF_MARCH)
    assert [one.reason for one in previews(raised, billed=[billed])] == [Reason.AMOUNT_CHANGED, Reason.DUE]


def test_a_preview_of_a_backlog_bills_one_a_day() -> None:
    found = previews(policy=live(catch_up="invoice"), today=date(2026, 5, 15), days=10)
    assert [(one.period, one.invoice_date) for one in found] == [
        (APRIL, date(2026, 5, 16)),
        (Period(date(2026, 5, 1), date(2026, 5, 31)), date(2026, 5, 17)),
    ]


def test_a_preview_of_a_company_in_proposal_mode_is_a_proposal() -> None:
    assert {one.reason for one in previews(policy=Policy())} == {Reason.PROPOSAL}


@pytest.mark.parametrize("view", [{"paused": True}, {"status": "INACTIVE"}, {"period": None}, {"interval": None}])
def test_nothing_is_foreseen_of_a_contract_that_stands_still(view: dict[str, Any]) -> None:
    assert previews(replace(CONTRACT, **view), days=365) == []


def test_a_period_at_the_end_of_the_calendar_stops_nobody_elses_plan() -> None:
    endless = replace(CONTRACT, period=Period(date(2026, 3, 1), date.max))
    ordinary = replace(CONTRACT, number=ContractNumber(13))
    found = plan([(endless, LIVE, [BILLED]), (ordinary, LIVE, [BILLED])], {}, FIRST_OF_MARCH, 31)
    assert [one.reason for one in found] == [Reason.PERIOD_LENGTH, Reason.DUE, Reason.DUE]


# Whatever the contracts

DAYS = st.dates(date(2025, 6, 1), date(2027, 6, 1))
PERIODS = st.one_of(
    st.builds(lambda day, months: Period(day, add_months(day, months) - ONE_DAY), DAYS, st.sampled_from([1, 3, 12])),
    st.builds(lambda day, length: Period(day, day + timedelta(days=length)), DAYS, st.integers(0, 400)),
)
AMOUNTS = st.none() | st.decimals(-1000, 10_000, places=2)
BILLINGS = st.builds(
    BilledView,
    period=PERIODS,
    generation=st.just(1),
    step=st.sampled_from(Step),
    status=st.sampled_from(Status),
    amount=AMOUNTS,
    invoice_date=st.none() | DAYS,
    created_on=DAYS,
)
CONTRACTS = st.builds(
    ContractView,
    tenant=st.just(TENANT),
    number=st.just(ContractNumber(12)),
    customer_number=st.just("100"),
    customer_name=st.just("Bryggeriet AB"),
    status=st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE", "FINISHED", "GONE"]),
    continuous=st.booleans(),
    interval=st.none() | st.sampled_from([0, 1, 3, 12]),
    period=st.none() | PERIODS,
    invoices_remaining=st.none() | st.integers(0, 12),
    total=AMOUNTS,
    currency=st.sampled_from(["SEK", "EUR", ""]),
    template=st.none(),
    paused=st.booleans(),
)
POLICIES = st.builds(
    Policy,
    mode=st.sampled_from(["live", "live", "proposal"]),
    bookkeep=st.booleans(),
    deliver=st.sampled_from(Delivery),
    invoice_on=st.sampled_from(["period_start", "period_end"]),
    lead_days=st.integers(-60, 60),
    invoice_day=st.none() | st.integers(1, 31) | st.just("last"),
    invoice_month=st.sampled_from(["before", "same", "after"]),
    invoice_date=st.sampled_from(["due_day", "period_start"]),
    catch_up=st.sampled_from(["hold", "invoice"]),
    allow_zero=st.booleans(),
)
FACTS = st.builds(
    TenantFacts, locked_until=st.none() | DAYS, years=st.none() | st.lists(PERIODS, max_size=2).map(tuple)
)
CASES = st.tuples(CONTRACTS, POLICIES, st.lists(BILLINGS, max_size=3))


@given(st.lists(CASES, max_size=5), FACTS, DAYS, st.integers(0, 90))
def test_every_contract_gets_exactly_one_verdict(
    cases: list[tuple[ContractView, Policy, list[BilledView]]], facts: TenantFacts, today: date, days: int
) -> None:
    found = [one for one in plan(cases, {TENANT: facts}, today, days) if not one.preview]
    assert [(one.contract, one.period) for one in found] == [(contract, contract.period) for contract, _, _ in cases]


@given(CASES, FACTS, DAYS)
def test_the_same_question_has_the_same_answer(
    case: tuple[ContractView, Policy, list[BilledView]], facts: TenantFacts, today: date
) -> None:
    assert list(plan([case], {TENANT: facts}, today, 60)) == list(plan([case], {TENANT: facts}, today, 60))


@given(CASES, FACTS, DAYS)
def test_every_verdict_can_be_told(
    case: tuple[ContractView, Policy, list[BilledView]], facts: TenantFacts, today: date
) -> None:
    for one in plan([case], {TENANT: facts}, today, 60):
        assert explain(one.reason, **one.detail).startswith(REASONS[one.reason].title)


@given(CASES, FACTS, DAYS)
def test_what_is_billed_or_held_has_its_period_due_day_and_date(
    case: tuple[ContractView, Policy, list[BilledView]], facts: TenantFacts, today: date
) -> None:
    found = next(plan([case], {TENANT: facts}, today))
    assert (found.outcome == "hold") == (found.reason in HOLDS)
    assert (found.outcome == "bill") == (found.reason is Reason.DUE)
    if found.outcome != "none":
        assert found.period is not None
        assert found.due_on is not None
        assert found.due_on <= today
        assert found.invoice_date is not None
        assert found.invoice_date >= today


@given(CASES, FACTS, DAYS)
def test_nothing_is_inserted_for_a_company_in_proposal_mode(
    case: tuple[ContractView, Policy, list[BilledView]], facts: TenantFacts, today: date
) -> None:
    contract, policy, billed = case
    proposal = policy.model_copy(update={"mode": "proposal"})
    assert next(plan([(contract, proposal, billed)], {TENANT: facts}, today)).outcome == "none"


@given(CASES, FACTS, DAYS)
def test_no_period_that_overlaps_a_billed_one_is_billed_without_a_persons_yes(
    case: tuple[ContractView, Policy, list[BilledView]], facts: TenantFacts, today: date
) -> None:
    found = next(plan([case], {TENANT: facts}, today))
    if found.outcome == "bill" and found.period is not None:
        for billing in case[2]:
            assert billing.status is Status.VOIDED or billing.period.end < found.period.start


# A story: day after day, with a Fortnox that moves the period when the invoice is made


def years_of(contract: ContractView, policy: Policy, first: date, days: int) -> list[Verdict]:
    billed: list[BilledView] = []
    made: list[Verdict] = []
    for today in (first + timedelta(days=day) for day in range(days + 1)):
        found = verdict(contract, policy, billed[-1:], today=today)
        if found.outcome == "bill" and found.period is not None and contract.interval is not None:
            made.append(found)
            billed.append(
                BilledView(found.period, 1, Step.DELIVER, Status.DONE, found.amount, found.invoice_date, today)
            )
            contract = replace(contract, period=following(found.period, contract.interval))
    return made


@given(
    start=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    interval=st.sampled_from([1, 2, 3, 6, 12]),
    policy=POLICIES,
)
def test_day_after_day_every_period_is_billed_once_on_its_due_day(start: date, interval: int, policy: Policy) -> None:
    assume(start.day <= 28)
    policy = policy.model_copy(update={"mode": "live", "deliver": Delivery.NONE})
    period = Period(start, add_months(start, interval) - ONE_DAY)
    first = due_on(period, policy)
    made = years_of(replace(CONTRACT, interval=interval, period=period), policy, first, 800)
    assert made[0].period == period
    assert len(made) >= 800 // (interval * 31)
    for earlier, later in pairwise(made):
        assert earlier.period is not None
        assert later.period is not None
        assert follows(earlier.period, later.period)
    assert all(one.due_on == one.invoice_date or policy.invoice_date == "period_start" for one in made)


@given(
    start=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    interval=st.sampled_from([1, 3, 12]),
    policy=POLICIES,
    late=st.integers(-40, 70),
)
def test_the_preview_is_what_happens(start: date, interval: int, policy: Policy, late: int) -> None:
    assume(start.day <= 28)
    policy = policy.model_copy(update={"mode": "live", "deliver": Delivery.NONE, "catch_up": "invoice"})
    contract = replace(CONTRACT, interval=interval, period=Period(start, add_months(start, interval) - ONE_DAY))
    first = due_on(contract.period or MARCH, policy) + timedelta(days=late)
    foreseen = [one for one in plan([(contract, policy, [])], {}, first, 200) if one.reason is Reason.DUE]
    happened = years_of(contract, policy, first, 200)
    assert [(one.period, one.due_on, one.invoice_date) for one in foreseen] == [
        (one.period, one.due_on, one.invoice_date) for one in happened
    ]


# Corrections ---------------------------------------------------------------------------------------------------------

NINE = datetime(2026, 3, 1, 8, tzinfo=UTC)
INVOICED = replace(BILLED, period=MARCH, invoice=InvoiceNumber(17), changed_at=NINE)
UNDONE = replace(INVOICED, status=Status.VOIDED, reason=Reason.CANCELLED)


def test_a_contract_read_later_than_its_period_was_invoiced_was_set_back() -> None:
    seen = replace(CONTRACT, read_at=NINE + timedelta(seconds=1))
    (verdict,) = plan([(seen, LIVE, [INVOICED])], {}, FIRST_OF_MARCH)
    assert (verdict.reason, verdict.outcome) == (Reason.SET_BACK, "none")
    assert verdict.detail == {"invoice": "17", "period": str(MARCH)}


@pytest.mark.parametrize("read_at", [NINE, NINE - timedelta(seconds=1)])
@pytest.mark.parametrize("billing", [INVOICED, UNDONE])
def test_a_contract_read_before_says_nothing_of_what_became_of_its_period(
    read_at: datetime, billing: BilledView
) -> None:
    (verdict,) = plan([(replace(CONTRACT, read_at=read_at), LIVE, [billing])], {}, FIRST_OF_MARCH)
    assert verdict.reason is Reason.ALREADY_BILLED


def test_a_cancelled_period_that_the_contract_shows_again_is_due() -> None:
    seen = replace(CONTRACT, read_at=NINE + timedelta(seconds=1))
    (verdict,) = plan([(seen, LIVE, [UNDONE, BILLED])], {}, date(2026, 3, 2))
    assert (verdict.reason, verdict.outcome, verdict.warnings) == (Reason.DUE, "bill", ())


def test_the_period_after_a_cancelled_one_follows_it_and_warns_of_it() -> None:
    (verdict,) = plan([(replace(CONTRACT, period=APRIL), LIVE, [UNDONE, BILLED])], {}, date(2026, 4, 1))
    assert verdict.reason is Reason.DUE
    assert verdict.warnings == (
        (Reason.CANCELLED, {"invoice": "17", "period": str(MARCH), "contract shows": str(APRIL)}),
    )


def test_nobody_is_warned_of_a_cancelled_period_once_a_later_one_is_billed() -> None:
    later = replace(INVOICED, period=APRIL, invoice=InvoiceNumber(18))
    may = Period(date(2026, 5, 1), date(2026, 5, 31))
    (verdict,) = plan([(replace(CONTRACT, period=may), LIVE, [later, UNDONE])], {}, date(2026, 4, 20))
    assert verdict.warnings == ()


# Recipients ----------------------------------------------------------------------------------------------------------

NOBODY = TenantFacts(lacking={CONTRACT.customer_number: Lacks(email=True, address=("city",))})


@pytest.mark.parametrize(
    ("deliver", "own_address", "reason"),
    [
        (Delivery.EMAIL, "", Reason.RECIPIENT_MISSING),
        (Delivery.EMAIL, "ekonomi@bryggeriet.example", Reason.DUE),
        (Delivery.EMAIL, None, Reason.DUE),
        (Delivery.FINANCE, "ekonomi@bryggeriet.example", Reason.RECIPIENT_MISSING),
        (Delivery.NONE, "", Reason.DUE),
    ],
)
def test_an_invoice_that_is_known_to_reach_nobody_is_held_before_it_is_made(
    deliver: Delivery, own_address: str | None, reason: Reason
) -> None:
    policy = live(deliver=deliver, bookkeep=True)
    contract = replace(CONTRACT, email_to=own_address)
    (verdict,) = plan([(contract, policy, [BILLED])], {TENANT: NOBODY}, FIRST_OF_MARCH)
    assert verdict.reason is reason


def test_what_is_missing_is_told() -> None:
    finance = live(deliver=Delivery.FINANCE, bookkeep=True)
    (verdict,) = plan([(CONTRACT, finance, [BILLED])], {TENANT: NOBODY}, FIRST_OF_MARCH)
    assert verdict.detail == {"customer": CONTRACT.customer_number, "missing": "city"}


# Ways by the customer's card -----------------------------------------------------------------------------------------


def by_card(card: str | None, *, lacks: Lacks | None = None, **policy: Any) -> Verdict:
    number = CONTRACT.customer_number
    facts = TenantFacts(lacking={} if lacks is None else {number: lacks}, cards={} if card is None else {number: card})
    (found,) = plan([(replace(CONTRACT, email_to=""), live(**policy), [BILLED])], {TENANT: facts}, FIRST_OF_MARCH)
    return found


@pytest.mark.parametrize(
    ("card", "way", "missing"),
    [
        ("EMAIL", Way.EMAIL, "e-mail address"),
        ("ELECTRONICINVOICE", Way.EINVOICE, "GLN"),
        ("PRINTSERVICE", Way.PRINT, "city"),
        ("PRINT", Way.BY_HAND, None),
    ],
)
def test_what_the_cards_way_needs_is_held_against_the_contract_and_nothing_else(
    card: str, way: Way, missing: str | None
) -> None:
    found = by_card(card, lacks=Lacks(email=True, address=("city",), gln=True), deliver=Delivery.CUSTOMER)
    assert found.way is way
    assert found.reason is (Reason.DUE if missing is None else Reason.RECIPIENT_MISSING)
    assert found.detail.get("missing") == missing
    fine = by_card(card, deliver=Delivery.CUSTOMER)
    assert (fine.way, fine.reason) == (way, Reason.DUE)


@pytest.mark.parametrize(("card", "missing"), [("", "way of delivery"), ("FAX", "way of delivery (the card says FAX)")])
def test_a_card_that_says_no_way_is_held_before_the_invoice_is_made(card: str, missing: str) -> None:
    found = by_card(card, deliver=Delivery.CUSTOMER)
    assert (found.reason, found.detail["missing"]) == (Reason.RECIPIENT_MISSING, missing)


def test_a_card_that_was_not_read_holds_nothing() -> None:
    found = by_card(None, lacks=Lacks(email=True, address=("city",), gln=True), deliver=Delivery.CUSTOMER)
    assert (found.way, found.reason) == (Way.UNKNOWN, Reason.DUE)


@pytest.mark.parametrize("deliver", [Delivery.EMAIL, Delivery.PRINT])
@pytest.mark.parametrize("card", ["EMAIL", "ELECTRONICINVOICE", "PRINTSERVICE", "PRINT", "", "FAX"])
def test_a_card_may_ask_for_an_einvoice_and_for_nothing_else_where_the_policy_says_so(
    deliver: Delivery, card: str
) -> None:
    own = Way(deliver.value)
    wanted = Way.EINVOICE if card == "ELECTRONICINVOICE" else own
    assert by_card(card, deliver=deliver, einvoice_by_card=True).way is wanted
    assert by_card(card, deliver=deliver).way is own


@pytest.mark.parametrize("deliver", [Delivery.NONE, Delivery.FINANCE, Delivery.EINVOICE])
def test_the_card_has_no_say_in_any_other_way(deliver: Delivery) -> None:
    found = by_card("EMAIL", deliver=deliver, einvoice_by_card=True, bookkeep=True)
    assert found.way is Way(deliver.value)


# Accruals ------------------------------------------------------------------------------------------------------------

YEARLY = replace(CONTRACT, interval=12, period=YEAR)
BOOKED = live(bookkeep=True, catch_up="invoice")
NEW_YEAR = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("contract", "policy", "accruals", "warns"),
    [
        (YEARLY, BOOKED, frozenset(), True),
        (YEARLY, BOOKED, frozenset({YEARLY.number}), False),
        (YEARLY, BOOKED, None, False),
        (YEARLY, LIVE, frozenset(), False),
        (CONTRACT, BOOKED, frozenset(), False),
    ],
)
def test_an_invoice_for_many_months_that_is_bookkept_without_an_accrual_is_warned_of_and_not_held(
    contract: ContractView, policy: Policy, accruals: frozenset[ContractNumber] | None, warns: bool
) -> None:
    facts = {TENANT: TenantFacts(accruals=accruals)}
    (verdict,) = plan([(contract, policy, [])], facts, contract.period.start if contract.period else NEW_YEAR)
    assert verdict.reason is Reason.DUE
    assert [reason for reason, _ in verdict.warnings] == [Reason.ACCRUAL_MISSING] * warns


def test_with_the_cash_method_nobody_is_warned_of_an_accrual() -> None:
    facts = {TENANT: TenantFacts(accruals=frozenset(), cash=True)}
    (verdict,) = plan([(YEARLY, BOOKED, [])], facts, NEW_YEAR)
    assert verdict.warnings == ()


def test_an_invoice_made_a_month_ahead_and_dated_today_is_not_another_of_today() -> None:
    ahead = live(invoice_day=1, invoice_month="before", invoice_date="period_start")
    made_ahead = replace(BILLED, period=MARCH, created_on=date(2026, 2, 1), invoice_date=FIRST_OF_MARCH)
    (verdict,) = plan([(replace(CONTRACT, period=APRIL), ahead, [made_ahead])], {}, FIRST_OF_MARCH)
    assert verdict.reason is Reason.DUE
