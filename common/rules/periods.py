"""Periods of a contract: from the first day to the last, both included, and the arithmetic of months between them.

Pure calendar: no clock, no zone, no policy. Fortnox counts intervals in whole months (API notes 1.4), and says
nowhere how it treats the ends of months, so what is planned here is compared with what the contract shows, never
written to it.
"""

from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_ONE_DAY = timedelta(days=1)
_LAST_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# Months counted as year * 12 + month - 1: January of year 1, and December of year 9999.
_FIRST_MONTH = 12
_LAST_MONTH = 9999 * 12 + 11


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """`start` to `end`, both days included.

    Raises:
      ValueError: `start` is after `end`.
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start})")

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end


def add_months(day: date, months: int, anchor: int | None = None) -> date:
    """The same day of the month, `months` (negative = earlier) away; the month's last day where it has no such day.

    `anchor` is the day of the month to return to after a short month: without it, 31 January becomes 28 February and
    then 28 March. Beyond the calendar's years 1 to 9999 the calendar's first or last day.
    """
    month = day.year * 12 + day.month - 1 + months
    if month > _LAST_MONTH:
        return date.max
    if month < _FIRST_MONTH:
        return date.min
    return day_of_month(month // 12, month % 12 + 1, anchor or day.day)


def day_of_month(year: int, month: int, day: int) -> date:
    """That day of the month, or the month's last day where it has no such day."""
    if day > 28:
        day = min(day, 29 if month == 2 and isleap(year) else _LAST_DAYS[month - 1])
    return date(year, month, day)


def following(period: Period, months: int) -> Period:
    """The next period of an interval of `months`: it begins the day after `period` ends.

    Raises:
      ValueError: `months` is not at least 1, or the next period lies beyond the calendar.
    """
    for later in upcoming(period, months):
        return later
    raise ValueError(f"no period of {months} months follows {period}")


def upcoming(period: Period, months: int) -> Iterator[Period]:
    """The periods after `period`, of an interval of `months`, without end but the calendar's; none if it is not >= 1.

    Month ends do not drift: where periods begin on the 1st, all end on the last day of their months; where they begin
    on the 29th to the 31st, a shorter month moves its own beginning only. (One period alone does not always show that
    day: after 31 August..29 November comes 30 November..27 February, which looks like the 30th.)
    """
    if months < 1 or period.end == date.max:
        return
    start = period.end + _ONE_DAY
    anchor = period.start.day
    if start != day_of_month(start.year, start.month, anchor):
        anchor = start.day
    while (after := add_months(start, months, anchor)) < date.max:
        yield Period(start, after - _ONE_DAY)
        start = after


def spans(period: Period, months: int) -> bool:
    """Whether the period is as long as an interval of `months`.

    Both 31 January..27 February and 28 February..30 March are one month: a day that a short month lacks may have been
    moved to its last day at the start or after the end.
    """
    if period.end == date.max:
        return False
    after = period.end + _ONE_DAY
    return add_months(period.start, months) == after or add_months(after, -months) == period.start


def follows(earlier: Period, later: Period) -> bool:
    """Whether `later` begins the day after `earlier` ends."""
    return later.start - earlier.end == _ONE_DAY
