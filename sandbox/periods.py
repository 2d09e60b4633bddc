"""How a contract's period moves when an invoice has been made (API notes 1.6, a working model).

Pure functions of dates. A period that ends on the last day of a month goes on ending on the last day, unless the switch
`month_end` asks for the drift of naive month arithmetic.
"""

from calendar import monthrange
from datetime import date, timedelta

A_FEW_DAYS = 3
"""Months differ by up to three days: a start within that of the old end's morrow follows it directly."""


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last where it has no such day."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def next_period(start: date | None, end: date, months: int, *, drift: bool) -> tuple[date, date]:
    """Start and end of the period after this one, each `months` later."""
    later_end = add_months(end, months)
    if not drift and end.day == monthrange(end.year, end.month)[1]:
        later_end = later_end.replace(day=monthrange(later_end.year, later_end.month)[1])
    morrow = end + timedelta(days=1)
    later_start = add_months(start, months) if start else morrow
    if abs((later_start - morrow).days) <= A_FEW_DAYS:
        later_start = morrow
    return later_start, later_end
