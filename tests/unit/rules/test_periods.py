"""Periods and months: nothing drifts, and what follows what is never in doubt."""

from datetime import date, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rules.periods import Period, add_months, day_of_month, following, follows, spans, upcoming

DAYS = st.dates(date(1990, 1, 1), date(2100, 12, 31))
INTERVALS = st.integers(1, 36)
ONE_DAY = timedelta(days=1)


def beginning(start: date, months: int) -> Period:
    return Period(start, add_months(start, months) - ONE_DAY)


def whole_months(year: int, month: int, months: int) -> Period:
    return beginning(date(year, month, 1), months)


def test_a_period_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="ends"):
        Period(date(2026, 2, 1), date(2026, 1, 31))


def test_a_period_of_one_day_is_a_period() -> None:
    assert date(2026, 2, 1) in Period(date(2026, 2, 1), date(2026, 2, 1))


def test_periods_are_ordered_by_their_start() -> None:
    assert whole_months(2026, 1, 12) < whole_months(2026, 2, 1)


@given(DAYS, st.integers(-600, 600))
def test_adding_months_lands_in_the_month_so_far_away(day: date, months: int) -> None:
    moved = add_months(day, months)
    assert (moved.year - day.year) * 12 + moved.month - day.month == months


@given(DAYS, st.integers(-600, 600))
def test_adding_months_keeps_the_day_unless_the_month_lacks_it(day: date, months: int) -> None:
    moved = add_months(day, months)
    assert moved.day == day.day or (moved.day < day.day and (moved + ONE_DAY).day == 1)


@pytest.mark.parametrize(
    ("day", "months", "moved"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2100, 1, 30), 1, date(2100, 2, 28)),
    ],
)
def test_months_are_added_by_the_calendar(day: date, months: int, moved: date) -> None:
    assert add_months(day, months) == moved


def test_an_anchor_brings_the_day_back_after_a_short_month() -> None:
    assert add_months(date(2026, 2, 28), 1, anchor=31) == date(2026, 3, 31)


@pytest.mark.parametrize("months", [1, 9_999, 10**9])
def test_beyond_the_calendar_the_last_day_stands_for_all(months: int) -> None:
    assert add_months(date(9999, 12, 1), months) == date.max
    assert add_months(date(1, 1, 31), -months) == date.min


@given(st.integers(1, 9999), st.integers(1, 12), st.integers(1, 31))
def test_a_day_of_a_month_is_clamped_to_the_length_of_the_month(year: int, month: int, day: int) -> None:
    found = day_of_month(year, month, day)
    assert (found.year, found.month) == (year, month)
    assert found.day == day or (found.day < day and (found == date.max or (found + ONE_DAY).day == 1))


@given(DAYS, INTERVALS)
def test_ten_years_of_periods_begin_on_the_same_day_of_the_month(start: date, months: int) -> None:
    count = 120 // months + 1
    for nth, period in enumerate(islice(upcoming(beginning(start, months), months), count), start=1):
        assert period.start == add_months(start, nth * months)


@given(st.integers(2000, 2090), st.integers(1, 12), INTERVALS)
def test_a_period_that_ends_on_the_last_of_a_month_stays_on_the_last(year: int, month: int, months: int) -> None:
    period = whole_months(year, month, months)
    for _ in range(120 // months + 1):
        period = following(period, months)
        assert period.start.day == 1
        assert (period.end + ONE_DAY).day == 1


@given(DAYS)
def test_one_period_alone_shows_the_day_that_monthly_periods_return_to(start: date) -> None:
    first = beginning(start, 1)
    by_itself = first
    for period in islice(upcoming(first, 1), 120):
        by_itself = following(by_itself, 1)
        assert by_itself == period


@given(DAYS, st.integers(0, 500), INTERVALS)
def test_what_is_upcoming_always_follows_and_spans_the_interval(start: date, length: int, months: int) -> None:
    irregular = Period(start, start + timedelta(days=length))
    later = list(islice(upcoming(irregular, months), 40))
    assert len(later) == 40
    assert all(follows(one, other) for one, other in pairwise([irregular, *later]))
    assert all(spans(period, months) for period in later)


@given(DAYS, INTERVALS)
def test_following_is_the_first_of_the_upcoming(start: date, months: int) -> None:
    period = beginning(start, months)
    assert following(period, months) == next(upcoming(period, months))


def test_a_yearly_period_takes_in_the_leap_day() -> None:
    assert following(Period(date(2027, 1, 1), date(2027, 12, 31)), 12) == Period(date(2028, 1, 1), date(2028, 12, 31))
    assert following(Period(date(2026, 3, 1), date(2027, 2, 28)), 12) == Period(date(2027, 3, 1), date(2028, 2, 29))


def test_a_short_month_moves_only_its_own_beginning() -> None:
    january = Period(date(2026, 1, 31), date(2026, 2, 27))
    february = following(january, 1)
    assert february == Period(date(2026, 2, 28), date(2026, 3, 30))
    assert following(february, 1) == Period(date(2026, 3, 31), date(2026, 4, 29))


def test_after_an_odd_period_the_next_ones_begin_where_it_ended() -> None:
    assert following(Period(date(2026, 1, 15), date(2026, 1, 31)), 1) == Period(date(2026, 2, 1), date(2026, 2, 28))


@pytest.mark.parametrize("months", [0, -1])
def test_no_period_follows_without_an_interval(months: int) -> None:
    period = whole_months(2026, 1, 1)
    assert list(upcoming(period, months)) == []
    with pytest.raises(ValueError, match="no period"):
        following(period, months)


@pytest.mark.parametrize("end", [date.max, date.max - ONE_DAY])
def test_no_period_follows_the_end_of_the_calendar(end: date) -> None:
    with pytest.raises(ValueError, match="no period"):
        following(Period(date(9999, 12, 1), end), 1)


@given(DAYS, INTERVALS)
def test_from_one_beginning_to_the_next_is_an_interval(start: date, months: int) -> None:
    assert spans(beginning(start, months), months)


@given(DAYS, INTERVALS, st.integers(-27, 27).filter(bool))
def test_another_length_is_not_an_interval(start: date, months: int, off: int) -> None:
    start = start.replace(day=min(start.day, 27))  # later days may be moved by a short month
    assert not spans(Period(start, beginning(start, months).end + timedelta(days=off)), months)


@given(DAYS, st.integers(0, 1500), INTERVALS, INTERVALS)
def test_a_period_is_as_long_as_one_interval_at_most(start: date, length: int, one: int, other: int) -> None:
    period = Period(start, start + timedelta(days=length))
    assert one == other or not (spans(period, one) and spans(period, other))


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        (date(2026, 1, 31), date(2026, 2, 27), 1),
        (date(2026, 2, 28), date(2026, 3, 30), 1),
        (date(2026, 2, 28), date(2026, 3, 28), 1),
        (date(2026, 1, 30), date(2026, 2, 27), 1),
        (date(2028, 2, 29), date(2028, 3, 30), 1),
        (date(2028, 2, 29), date(2029, 2, 27), 12),
        (date(2026, 11, 30), date(2027, 2, 27), 3),
    ],
)
def test_a_day_moved_by_a_short_month_is_still_an_interval(start: date, end: date, months: int) -> None:
    assert spans(Period(start, end), months)


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        (date(2026, 3, 1), date(2026, 3, 28), 1),
        (date(2026, 1, 31), date(2026, 2, 28), 1),
        (date(2026, 1, 1), date(2026, 1, 31), 3),
        (date(2026, 1, 1), date(2026, 3, 31), 1),
        (date(2026, 1, 1), date(2026, 1, 31), 0),
        (date(2026, 1, 1), date.max, 12),
    ],
)
def test_a_period_of_another_length_does_not_span(start: date, end: date, months: int) -> None:
    assert not spans(Period(start, end), months)


def test_only_the_period_that_begins_the_day_after_follows() -> None:
    january = whole_months(2026, 1, 1)
    assert follows(january, whole_months(2026, 2, 1))
    assert not follows(january, january)
    assert not follows(january, whole_months(2026, 3, 1))
    assert not follows(january, Period(date(2026, 1, 31), date(2026, 2, 27)))
