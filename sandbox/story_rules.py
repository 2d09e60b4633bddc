"""The story's own rules: what a company wishes, which period comes next, when one is due, what an invoice amounts to.

Written from the facts of the trade alone, so that the sandbox can judge a product: it must never be made to agree with
the product's code, nor use the sandbox's own createinvoice or totals.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from sandbox.books import Row

LAST_ANCHOR: Final = 28
"""Periods of the story begin on a day that every month has, or on the first: their next one is never in dispute."""

ORE: Final = Decimal("0.01")
KRONA: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a company wants one contract invoiced."""

    bookkeep: bool = False
    deliver: Literal["none", "email", "finance"] = "none"
    invoice_on: Literal["period_start", "period_end"] = "period_start"
    lead_days: int = 0
    """Days before the period's start (or end) on which it is due."""
    deliver_from: str = "any"
    """HH:MM in Stockholm, or "any"."""
    mode: Literal["live"] = "live"

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Span:
    """A period, both days included."""

    start: date
    end: date

    def overlaps(self, other: Span) -> bool:
        return self.start <= other.end and other.start <= self.end

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


def months_later(day: date, months: int) -> date:
    """The same day of the month so many months on (or back); the month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def span_from(start: date, months: int) -> Span:
    """The period of so many months that begins on a day; from the 1st it ends on a month's last day."""
    return Span(start, months_later(start, months) - timedelta(days=1))


def next_span(span: Span, months: int) -> Span:
    return span_from(span.end + timedelta(days=1), months)


def previous_span(span: Span, months: int) -> Span:
    return span_from(months_later(span.start, -months), months)


def due_on(span: Span, wishes: Wishes) -> date:
    """The day on which the period is to be invoiced."""
    day = span.start if wishes.invoice_on == "period_start" else span.end
    return day - timedelta(days=wishes.lead_days)


def latest_due_start(today: date, lead_days: int, day_of_month: int) -> date:
    """The latest day of the month's number on which a period billed in advance can begin and be due by today."""
    reach = today + timedelta(days=lead_days)
    first = reach.replace(day=1)
    return (first if day_of_month <= reach.day else months_later(first, -1)).replace(day=day_of_month)


def ends_due(today: date, lead_days: int) -> list[date]:
    """The days from today on on which a period billed in arrears can end, be due, and have an undisputed next one."""
    ends = [today + timedelta(days=days) for days in range(lead_days + 1)]
    return [end for end in ends if (end + timedelta(days=1)).day <= LAST_ANCHOR]


def total_of(rows: Iterable[Row], *, vat_included: bool, whole_kronor: bool) -> Decimal:
    """What the rows amount to with VAT. A discount is per cent of its row; VAT is reckoned by rate; halves go up."""
    by_rate: dict[Decimal, Decimal] = {}
    for row in rows:
        worth = _rounded(row.quantity * row.price * (100 - row.discount) / 100, ORE)
        by_rate[row.vat] = by_rate.get(row.vat, Decimal(0)) + worth
    total = sum(by_rate.values(), Decimal(0))
    if not vat_included:
        total += sum((_rounded(worth * rate / 100, ORE) for rate, worth in by_rate.items()), Decimal(0))
    return _rounded(total, KRONA if whole_kronor else ORE)


def _rounded(money: Decimal, to: Decimal) -> Decimal:
    return money.quantize(to, ROUND_HALF_UP)
