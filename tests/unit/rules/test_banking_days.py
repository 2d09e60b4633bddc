"""The days on which Swedish banks are open, against the published holidays of seven years."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rules.banking_days import banking_day_from, easter_sunday, is_banking_day

CLOSED = {
    2024: "01-01 03-29 04-01 05-01 05-09 06-06 06-21 12-24 12-25 12-26 12-31",
    2025: "01-01 01-06 04-18 04-21 05-01 05-29 06-06 06-20 12-24 12-25 12-26 12-31",
    2026: "01-01 01-06 04-03 04-06 05-01 05-14 06-19 12-24 12-25 12-31",
    2027: "01-01 01-06 03-26 03-29 05-06 06-25 12-24 12-31",
    2028: "01-06 04-14 04-17 05-01 05-25 06-06 06-23 12-25 12-26",
    2029: "01-01 03-30 04-02 05-01 05-10 06-06 06-22 12-24 12-25 12-26 12-31",
    2030: "01-01 04-19 04-22 05-01 05-30 06-06 06-21 12-24 12-25 12-26 12-31",
}
"""Each weekday on which the banks are closed."""

HALF = {
    "trettondagsafton": ["2026-01-05", "2027-01-05", "2028-01-05"],
    "skärtorsdagen": ["2024-03-28", "2026-04-02", "2030-04-18"],
    "valborgsmässoafton": ["2024-04-30", "2026-04-30", "2029-04-30"],
    "the day before Kristi himmelsfärdsdag": ["2024-05-08", "2026-05-13"],
    "the day before alla helgons dag": ["2024-11-01", "2026-10-30"],
    "the day before julafton": ["2024-12-23", "2026-12-23"],
}

DAYS = st.dates(date(2005, 1, 1), date(2200, 12, 31))


def weekdays(year: int) -> set[date]:
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    return {day for day in days if day.year == year and day.weekday() < 5}


@pytest.mark.parametrize("year", CLOSED)
def test_banks_are_closed_on_the_published_days_and_open_on_all_other_weekdays(year: int) -> None:
    published = {date.fromisoformat(f"{year}-{day}") for day in CLOSED[year].split()}
    assert published <= weekdays(year)
    assert {day for day in weekdays(year) if not is_banking_day(day)} == published


@pytest.mark.parametrize("day", [day for days in HALF.values() for day in days])
def test_a_day_on_which_banks_close_early_is_a_banking_day(day: str) -> None:
    assert is_banking_day(date.fromisoformat(day))


@pytest.mark.parametrize(
    "day",
    ["2024-04-01", "2025-04-21", "2026-04-06", "2027-03-29", "2028-04-17", "2038-04-26", "2008-03-24", "2049-04-19"],
)
def test_easter_is_the_day_before_annandag_pask(day: str) -> None:
    monday = date.fromisoformat(day)
    assert easter_sunday(monday.year) == monday - timedelta(days=1)


@given(st.integers(1583, 9998))
def test_easter_is_a_sunday_between_the_first_and_the_last_that_it_can_be(year: int) -> None:
    easter = easter_sunday(year)
    assert easter.weekday() == 6
    assert date(year, 3, 22) <= easter <= date(year, 4, 25)


@given(DAYS)
def test_no_banking_day_is_a_saturday_or_a_sunday(day: date) -> None:
    assert not is_banking_day(day) or day.weekday() < 5


@given(DAYS)
def test_the_next_banking_day_is_the_first_one_and_five_days_away_at_the_most(day: date) -> None:
    following = banking_day_from(day)
    assert is_banking_day(following)
    assert timedelta(0) <= following - day <= timedelta(days=5)
    assert not any(is_banking_day(day + timedelta(days=number)) for number in range((following - day).days))


@pytest.mark.parametrize(
    ("day", "following"),
    [
        ("2026-11-27", "2026-11-27"),
        ("2026-11-28", "2026-11-30"),
        ("2025-12-24", "2025-12-29"),
        ("2026-04-03", "2026-04-07"),
        ("2026-06-19", "2026-06-22"),
        ("2026-12-31", "2027-01-04"),
        ("2027-12-31", "2028-01-03"),
    ],
)
def test_over_a_holiday_it_goes_on_after_it(day: str, following: str) -> None:
    assert banking_day_from(date.fromisoformat(day)) == date.fromisoformat(following)
