"""Which rows of a contract follow a changed list price, to what and from which period; and why the others do not.

Pure: no clock, no I/O. A row keeps its own price in Fortnox (API notes 4.3), so nothing but a comparison with the list
tells a row that has the list's price from one that was negotiated. Of a row only its price is ever another: quantity,
discount and all the rest are the contract's own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from common.ids import ContractNumber, TenantId
from common.rules.periods import Period, upcoming
from common.rules.price_lists import ListPrice, price_for, rounded, steps_in_force

PriceRows = Literal["following", "all"]
PriceFrom = Literal["next_period", "at_once"]

HOME = "SEK"
"""The currency of price lists, which tell none themselves (API notes 4.2)."""


@dataclass(frozen=True, slots=True)
class PricedRow:
    """A row of a contract, as far as its price goes. `discount` is per cent where `is_percent`, else an amount."""

    row_id: int | None
    article: str
    quantity: Decimal
    price: Decimal
    discount: Decimal = Decimal(0)
    is_percent: bool = True
    vat: Decimal | None = None
    """Per cent; `None` when the row does not tell."""


@dataclass(frozen=True, slots=True)
class PricedContract:
    """A contract with its rows. `period` is what its next invoice covers, `interval` is in months."""

    tenant: TenantId
    number: ContractNumber
    rows: tuple[PricedRow, ...]
    price_list: str
    currency: str
    vat_included: bool
    interval: int | None
    period: Period | None
    has_accrual: bool = False
    untouchable: frozenset[str] = frozenset()
    """The articles whose rows a person has marked as never to be touched."""


@dataclass(frozen=True, slots=True)
class Change:
    """An article's list prices, all lists and steps of it, before and after the day they changed."""

    article: str
    before: tuple[ListPrice, ...]
    after: tuple[ListPrice, ...]
    day: date
    fallback: str | None = None
    """The list that stands in where a contract's own has no price of the article (`price_lists`)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user has chosen. `rise_percent`: a row that rises by more is a caution; `None`: none is."""

    rows: PriceRows = "following"
    start: PriceFrom = "next_period"
    rise_percent: int | None = None


class Why(StrEnum):
    """Why a row follows, or does not. `WORDS` says it to a person."""

    FOLLOWS = "follows"
    ALREADY = "already"
    NEGOTIATED = "negotiated"
    OTHER_LIST = "other_list"
    SAME_PRICE = "same_price"
    NO_PRICE = "no_price"
    NEVER_TOUCH = "never_touch"
    CURRENCY = "currency"
    VAT = "vat"


WORDS: dict[Why, str] = {
    Why.FOLLOWS: "follows the list price",
    Why.ALREADY: "has the new price already",
    Why.NEGOTIATED: "has another price than the list had: negotiated",
    Why.OTHER_LIST: "the contract's price list has not changed",
    Why.SAME_PRICE: "the list price for this quantity has not changed",
    Why.NO_PRICE: "the contract's price list has no price for this quantity",
    Why.NEVER_TOUCH: "marked as never to be touched",
    Why.CURRENCY: "the contract has another currency than the price lists",
    Why.VAT: "the contract's prices include VAT, and it cannot be told whether the list's do",
}


class Caution(StrEnum):
    """Why a contract is only proposed, whatever the policy says."""

    ACCRUAL = "accrual"
    RISE = "rise"
    NO_PERIOD = "no_period"


CAUTIONS: dict[Caution, str] = {
    Caution.ACCRUAL: "the contract has an accrual (periodisering), whose amounts would have to follow",
    Caution.RISE: "a row rises by more than the bound",
    Caution.NO_PERIOD: "it cannot be told from which period the new price would hold",
}


@dataclass(frozen=True, slots=True)
class RowVerdict:
    """What becomes of one row of the article."""

    row: PricedRow
    why: Why
    price: Decimal
    """The row's price afterwards: its own, unless it follows."""

    @property
    def follows(self) -> bool:
        return self.why is Why.FOLLOWS


@dataclass(frozen=True, slots=True)
class ContractVerdict:
    """What becomes of one contract."""

    contract: PricedContract
    rows: tuple[RowVerdict, ...]
    """Those of the article, in the contract's order."""
    first: date | None
    """The first day of the first period with the new price; `None` when that cannot be told."""
    cautions: tuple[Caution, ...]

    @property
    def follows(self) -> bool:
        """Whether any row does."""
        return any(row.follows for row in self.rows)

    @property
    def is_ripe(self) -> bool:
        """Whether the contract shows a period that is to have the new price: before, its rows keep the old one."""
        period = self.contract.period
        return self.first is not None and period is not None and period.start >= self.first

    @property
    def a_month(self) -> Decimal | None:
        """What the change comes to in a month, before any discount on the whole document; `None` without interval."""
        if not self.contract.interval:
            return None
        rises = ((one.price - one.row.price) * one.row.quantity * _undiscounted(one.row) for one in self.rows)
        return rounded(sum(rises, Decimal(0)) / self.contract.interval)


def judge(contract: PricedContract, change: Change, terms: Terms) -> ContractVerdict:
    """What the change of an article's prices means for one contract."""
    before, after = (
        steps_in_force(prices, contract.price_list, change.article, fallback=change.fallback)
        for prices in (change.before, change.after)
    )
    rows = tuple(
        _judge_row(contract, row, before, after, terms.rows) for row in contract.rows if row.article == change.article
    )
    first = first_day(contract, change.day, terms.start)
    return ContractVerdict(contract, rows, first, tuple(_cautions(contract, rows, first, terms)))


def first_day(contract: PricedContract, day: date, start: PriceFrom) -> date | None:
    """The first day of the first period that gets a price changed on that day; `None` when that cannot be told.

    The contract shows the period of its next invoice. One that has begun before the day keeps the price it began with,
    in advance and in arrears alike.
    """
    shown = contract.period
    if shown is None or start == "at_once" or shown.start >= day:
        return None if shown is None else shown.start
    if shown.end + _ONE_DAY >= day:
        return shown.end + _ONE_DAY
    later = upcoming(shown, contract.interval or 0)
    return next((period.start for period in later if period.start >= day), None)


def repriced(rows: Sequence[PricedRow], verdict: ContractVerdict) -> tuple[PricedRow, ...]:
    """The rows with their new prices; a row that the verdict is not about stays as it is."""
    prices = {one.row: one.price for one in verdict.rows if one.follows}
    return tuple(replace(row, price=prices.get(row, row.price)) for row in rows)


def restored(rows: Sequence[PricedRow], verdict: ContractVerdict) -> tuple[PricedRow, ...]:
    """The rows with the old prices back, where the new one still stands; a price that was set since stays.

    Row ids are new after every change of a document, so that a row is known by what it charges for (API notes 1.5).
    """
    due = [(replace(one.row, row_id=None, price=one.price), one.row.price) for one in verdict.rows]
    result = []
    for row in rows:
        match = next((pair for pair in due if pair[0] == replace(row, row_id=None)), None)
        if match is not None:
            due.remove(match)
        result.append(row if match is None else replace(row, price=match[1]))
    return tuple(result)


def _judge_row(
    contract: PricedContract,
    row: PricedRow,
    before: Sequence[ListPrice],
    after: Sequence[ListPrice],
    which: PriceRows,
) -> RowVerdict:
    def stays(why: Why) -> RowVerdict:
        return RowVerdict(row, why, row.price)

    if row.article in contract.untouchable:
        return stays(Why.NEVER_TOUCH)
    if contract.currency != HOME:
        return stays(Why.CURRENCY)
    if before == after:
        return stays(Why.OTHER_LIST)
    old, new = price_for(before, row.quantity), price_for(after, row.quantity)
    if new is None:
        return stays(Why.NO_PRICE)
    if old == new:
        return stays(Why.SAME_PRICE)
    news = [rounded(reading) for reading in _readings(contract, row, new)]
    if row.price in news:
        return stays(Why.ALREADY)
    olds = [] if old is None else [rounded(reading) for reading in _readings(contract, row, old)]
    if row.price in olds:
        # The row itself tells in which way it was once made from the list.
        news = [now for then, now in zip(olds, news, strict=True) if then == row.price]
    elif which == "following":
        return stays(Why.NEGOTIATED)
    return RowVerdict(row, Why.FOLLOWS, news[0]) if len(set(news)) == 1 else stays(Why.VAT)


def _readings(contract: PricedContract, row: PricedRow, price: Decimal) -> list[Decimal]:
    """What a list price may be in a row: as it stands; where the row's price includes VAT, perhaps with VAT added.

    Nothing documents whether Fortnox adds it (API notes 4.3).
    """
    if not contract.vat_included or not row.vat:
        return [price]
    return [price, price * (100 + row.vat) / 100]


def _cautions(
    contract: PricedContract, rows: Sequence[RowVerdict], first: date | None, terms: Terms
) -> Iterator[Caution]:
    if contract.has_accrual:
        yield Caution.ACCRUAL
    if terms.rise_percent is not None and any(_rises_above(one, terms.rise_percent) for one in rows):
        yield Caution.RISE
    if first is None:
        yield Caution.NO_PERIOD


def _rises_above(verdict: RowVerdict, percent: int) -> bool:
    return verdict.price > verdict.row.price and (verdict.price - verdict.row.price) * 100 > verdict.row.price * percent


def _undiscounted(row: PricedRow) -> Decimal:
    """The share of a row's price that is charged; a discount that is an amount does not change with the price."""
    return (100 - row.discount) / 100 if row.is_percent else Decimal(1)


_ONE_DAY = timedelta(days=1)
