"""Due days, invoice dates, and the hour before which nothing is sent."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rules.banking_days import banking_day_from, is_banking_day
from common.rules.due import deliver_not_before, due_on, invoice_date, reach
from common.rules.periods import Period, add_months
from common.rules.policy import Policy, PolicyChoice, resolve

SWEDEN = ZoneInfo("Europe/Stockholm")
MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
QUARTER = Period(date(2026, 1, 1), date(2026, 3, 31))
SPRING = date(2026, 3, 29)
AUTUMN = date(2026, 10, 25)

PERIODS = st.builds(
    lambda start, days: Period(start, start + timedelta(days=days)),
    st.dates(date(1990, 1, 1), date(2100, 12, 31)),
    st.integers(0, 800),
)
POLICIES = st.builds(
    Policy,
    invoice_on=st.sampled_from(["period_start", "period_end"]),
    lead_days=st.integers(-366, 366),
    invoice_day=st.none() | st.integers(1, 31) | st.just("last"),
    invoice_month=st.sampled_from(["before", "same", "after"]),
    invoice_date=st.sampled_from(["due_day", "period_start"]),
)
LEADS = st.builds(
    PolicyChoice,
    invoice_on=st.sampled_from([None, "period_start", "period_end"]),
    lead_days=st.none() | st.integers(-366, 366),
)
DAYS = st.builds(
    PolicyChoice,
    invoice_on=st.sampled_from([None, "period_start", "period_end"]),
    invoice_day=st.none() | st.integers(1, 31) | st.just("last"),
    invoice_month=st.sampled_from([None, "before", "same", "after"]),
)
# Apart as well as mixed: among many levels one is nearly always generous, and hides that another is forgotten.
LEVELS = (
    st.lists(LEADS, min_size=1, max_size=3)
    | st.lists(DAYS, min_size=1, max_size=3)
    | st.lists(LEADS | DAYS, min_size=1, max_size=4)
)
INSTANTS = st.integers(0, 15 * 366 * 86_400).map(lambda second: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(0, second))
# The hours around both changes of the clock, where mistakes live.
CHANGES = st.builds(
    lambda day, minutes: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from([SPRING, AUTUMN]),
    st.integers(-180, 1440),
)


@pytest.mark.parametrize(
    ("period", "choice", "expected"),
    [
        (MARCH, {}, date(2026, 3, 1)),
        (MARCH, {"invoice_on": "period_end"}, date(2026, 3, 31)),
        (MARCH, {"lead_days": 10}, date(2026, 2, 19)),
        (MARCH, {"lead_days": -10}, date(2026, 3, 11)),
        (MARCH, {"invoice_on": "period_end", "lead_days": -1}, date(2026, 4, 1)),
        (MARCH, {"invoice_day": 25, "invoice_month": "before"}, date(2026, 2, 25)),
        (MARCH, {"invoice_day": 25}, date(2026, 3, 25)),
        (MARCH, {"invoice_day": 5, "invoice_month": "after"}, date(2026, 4, 5)),
        (MARCH, {"invoice_day": 31, "invoice_month": "before"}, date(2026, 2, 28)),
        (MARCH, {"invoice_day": "last", "invoice_month": "before"}, date(2026, 2, 28)),
        (MARCH, {"invoice_day": "last", "invoice_month": "after"}, date(2026, 4, 30)),
        (MARCH, {"invoice_day": 15, "lead_days": 100}, date(2026, 3, 15)),
        (QUARTER, {"invoice_day": 15, "invoice_month": "before"}, date(2025, 12, 15)),
        (QUARTER, {"invoice_on": "period_end", "invoice_day": 5, "invoice_month": "after"}, date(2026, 4, 5)),
        (QUARTER, {"invoice_on": "period_end", "invoice_day": "last"}, date(2026, 3, 31)),
        (Period(date(2028, 2, 1), date(2028, 2, 29)), {"invoice_day": "last"}, date(2028, 2, 29)),
    ],
)
def test_the_due_day_is_where_the_policy_puts_it(period: Period, choice: dict[str, Any], expected: date) -> None:
    assert due_on(period, Policy(**choice)) == expected


@given(PERIODS, POLICIES)
def test_a_day_of_a_month_is_in_the_month_that_the_policy_names(period: Period, policy: Policy) -> None:
    if policy.invoice_day is None:
        return
    anchor = period.start if policy.invoice_on == "period_start" else period.end
    month = add_months(anchor, {"before": -1, "same": 0, "after": 1}[policy.invoice_month])
    found = due_on(period, policy)
    assert (found.year, found.month) == (month.year, month.month)
    wished = 31 if policy.invoice_day == "last" else policy.invoice_day
    assert found.day == wished or (found.day < wished and (found + timedelta(days=1)).day == 1)


@pytest.mark.parametrize("lead_days", [-366, 0, 366])
@pytest.mark.parametrize("period", [Period(date.min, date.min), Period(date.max, date.max), Period(date.min, date.max)])
@pytest.mark.parametrize("invoice_on", ["period_start", "period_end"])
@pytest.mark.parametrize("month", ["before", "same", "after"])
@pytest.mark.parametrize("day", [None, 31])
def test_a_nonsensical_period_still_has_a_due_day(
    period: Period, lead_days: int, invoice_on: Any, month: Any, day: int | None
) -> None:
    policy = Policy(lead_days=lead_days, invoice_on=invoice_on, invoice_month=month, invoice_day=day)
    assert date.min <= due_on(period, policy) <= date.max


@given(PERIODS, POLICIES, st.dates(date(1990, 1, 1), date(2100, 12, 31)))
def test_an_invoice_is_never_dated_in_the_past(period: Period, policy: Policy, today: date) -> None:
    assert invoice_date(period, policy, today) >= today


def test_an_invoice_made_on_its_due_day_has_that_date() -> None:
    assert invoice_date(MARCH, Policy(lead_days=10), date(2026, 2, 19)) == date(2026, 2, 19)


def test_an_invoice_made_late_has_the_date_of_the_day() -> None:
    assert invoice_date(MARCH, Policy(), date(2026, 3, 4)) == date(2026, 3, 4)


def test_an_invoice_made_early_has_the_date_of_its_due_day() -> None:
    assert invoice_date(MARCH, Policy(), date(2026, 2, 20)) == date(2026, 3, 1)


def test_an_invoice_made_ahead_can_be_dated_on_the_period_start() -> None:
    policy = Policy(lead_days=10, invoice_date="period_start")
    assert invoice_date(MARCH, policy, date(2026, 2, 19)) == date(2026, 3, 1)
    assert invoice_date(MARCH, policy, date(2026, 3, 4)) == date(2026, 3, 4)


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        (date(2026, 1, 15), datetime(2026, 1, 15, 7, tzinfo=UTC)),
        (date(2026, 7, 15), datetime(2026, 7, 15, 6, tzinfo=UTC)),
        (SPRING, datetime(2026, 3, 29, 6, tzinfo=UTC)),
        (AUTUMN, datetime(2026, 10, 25, 7, tzinfo=UTC)),
    ],
)
def test_sending_waits_for_eight_by_the_clock_in_stockholm(day: date, opens: datetime) -> None:
    policy = Policy(deliver_from=time(8))
    just_after_midnight = datetime.combine(day, time(0, 1), tzinfo=SWEDEN).astimezone(UTC)
    assert deliver_not_before(policy, just_after_midnight) == opens
    assert deliver_not_before(policy, opens - timedelta(microseconds=1)) == opens
    assert deliver_not_before(policy, opens) is None


def test_sending_late_in_the_evening_is_sending_today() -> None:
    assert deliver_not_before(Policy(), datetime(2026, 7, 15, 21, 59, tzinfo=UTC)) is None


def test_any_time_is_now() -> None:
    assert deliver_not_before(Policy(deliver_from="any"), datetime(2026, 7, 15, 1, tzinfo=UTC)) is None


def test_a_time_that_the_clock_skips_in_spring_is_an_hour_later_by_the_clock() -> None:
    opens = deliver_not_before(Policy(deliver_from=time(2, 30)), datetime(2026, 3, 29, 0, 15, tzinfo=UTC))
    assert opens == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert opens.astimezone(SWEDEN).time() == time(3, 30)


def test_a_time_that_the_clock_shows_twice_in_autumn_is_the_first() -> None:
    policy = Policy(deliver_from=time(2, 30))
    assert deliver_not_before(policy, datetime(2026, 10, 25, 0, tzinfo=UTC)) == datetime(
        2026, 10, 25, 0, 30, tzinfo=UTC
    )
    ten_past_two_again = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert deliver_not_before(policy, ten_past_two_again) is None


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-27 18:30", None),
        ("2026-11-30 07:59", "2026-11-30 08:00"),
        ("2026-11-28 00:00", "2026-11-30 08:00"),
        ("2026-12-23 23:59", None),
        ("2026-12-24 00:00", "2026-12-28 08:00"),
        ("2026-12-30 08:00", None),
        ("2026-12-31 10:00", "2027-01-04 08:00"),
        ("2027-01-05 16:00", None),
        ("2026-04-02 20:00", None),
        ("2026-04-03 00:01", "2026-04-07 08:00"),
        ("2026-03-28 12:00", "2026-03-30 08:00"),
        ("2026-10-25 12:00", "2026-10-26 08:00"),
        ("2026-06-18 23:00", None),
        ("2026-06-19 09:00", "2026-06-22 08:00"),
    ],
)
def test_with_banking_days_what_may_not_be_sent_today_waits_for_eight_on_the_next_one(
    now: str, opens: str | None
) -> None:
    policy = Policy(deliver_on="banking_days")
    assert deliver_not_before(policy, in_sweden(now)) == (in_sweden(opens) if opens else None)


def test_any_hour_of_a_banking_day_begins_at_midnight() -> None:
    policy = Policy(deliver_from="any", deliver_on="banking_days")
    assert deliver_not_before(policy, in_sweden("2026-11-28 12:00")) == in_sweden("2026-11-30 00:00")
    assert deliver_not_before(policy, in_sweden("2026-11-30 00:00")) is None


def in_sweden(wall: str) -> datetime:
    return datetime.fromisoformat(wall).replace(tzinfo=SWEDEN).astimezone(UTC)


@given(PERIODS, LEVELS, st.integers(0, 60))
def test_what_falls_due_by_a_day_under_the_levels_is_within_the_reach_of_that_day(
    period: Period, levels: list[PolicyChoice], days: int
) -> None:
    day = due_on(period, resolve(*levels)) + timedelta(days=days)
    start, end = reach(resolve(levels[0]), levels[1:], day)
    assert (start is not None and period.start <= start) or (end is not None and period.end <= end)


def test_in_advance_without_lead_nothing_that_starts_tomorrow_is_within_reach() -> None:
    assert reach(Policy(), [PolicyChoice(bookkeep=True)], date(2026, 3, 1)) == (date(2026, 3, 1), None)


def test_in_arrears_a_period_is_within_reach_when_it_ends() -> None:
    in_arrears = PolicyChoice(invoice_on="period_end", lead_days=3)
    assert reach(resolve(in_arrears), [in_arrears], date(2026, 3, 28)) == (None, date(2026, 3, 31))


def test_a_day_of_the_month_before_reaches_to_the_end_of_the_next_month() -> None:
    ahead = PolicyChoice(invoice_day=25, invoice_month="before")
    assert reach(Policy(), [ahead], date(2026, 1, 26)).start == date(2026, 2, 28)


@given(INSTANTS | CHANGES, st.times())
def test_the_wait_ends_on_the_same_swedish_day_and_is_over_when_it_ends(now: datetime, deliver_from: time) -> None:
    policy = Policy(deliver_from=deliver_from)
    opens = deliver_not_before(policy, now)
    if opens is None:
        return
    assert opens > now
    assert opens.utcoffset() == timedelta(0)
    assert opens.astimezone(SWEDEN).date() == now.astimezone(SWEDEN).date()
    assert opens.astimezone(SWEDEN).time() >= deliver_from
    assert deliver_not_before(policy, opens) is None


@given(INSTANTS | CHANGES, st.times() | st.just("any"))
def test_the_wait_ends_on_the_first_banking_day_from_today_as_it_would_on_any_day(
    now: datetime, deliver_from: time | Literal["any"]
) -> None:
    policy = Policy(deliver_from=deliver_from, deliver_on="banking_days")
    opens = deliver_not_before(policy, now)
    today = now.astimezone(SWEDEN).date()
    if is_banking_day(today):
        assert opens == deliver_not_before(Policy(deliver_from=deliver_from), now)
        return
    assert opens is not None
    assert opens.utcoffset() == timedelta(0)
    there = opens.astimezone(SWEDEN)
    assert there.date() == banking_day_from(today) > today
    assert there.time() == (time() if deliver_from == "any" else deliver_from)
    assert deliver_not_before(policy, opens) is None
    assert deliver_not_before(policy, opens - timedelta(microseconds=1)) == opens


@given(INSTANTS | CHANGES, st.times())
def test_nothing_is_sent_before_the_clock_has_shown_the_time(now: datetime, deliver_from: time) -> None:
    if deliver_not_before(Policy(deliver_from=deliver_from), now) is None:
        midnight = datetime.combine(now.astimezone(SWEDEN).date(), time(), tzinfo=SWEDEN).astimezone(UTC)
        minutes = int((now - midnight) / timedelta(minutes=1))
        shown = max((midnight + timedelta(minutes=n)).astimezone(SWEDEN).time() for n in range(minutes + 1))
        assert max(shown, now.astimezone(SWEDEN).time()) >= deliver_from.replace(second=0, microsecond=0)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        deliver_not_before(Policy(), datetime(2026, 7, 15, 1))  # noqa: DTZ001 - the mistake under test
