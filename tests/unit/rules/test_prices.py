"""Which rows follow a list price: only those that had it, only in their price, once, and back again."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import ContractNumber, TenantId
from common.rules.periods import Period, add_months, upcoming
from common.rules.price_lists import ListPrice, price_for, rounded
from common.rules.prices import (
    Caution,
    Change,
    ContractVerdict,
    PricedContract,
    PricedRow,
    Terms,
    Why,
    first_day,
    judge,
    repriced,
    restored,
)

MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
DAY = date(2026, 3, 20)
OLD, NEW = Decimal(1000), Decimal(1200)


def listed(price: Decimal | int, *, price_list: str = "A", article: str = "A100", start: int = 0) -> ListPrice:
    return ListPrice(price_list, article, Decimal(start), Decimal(price))


def row(price: Decimal | str | int = OLD, quantity: str = "1", *, article: str = "A100", **about: object) -> PricedRow:
    known = PricedRow(None, article, Decimal(quantity), Decimal(price))
    return replace(known, **about)  # type: ignore[arg-type]


def contract(*rows: PricedRow, **about: object) -> PricedContract:
    known = PricedContract(TenantId(1), ContractNumber(7), rows, "A", "SEK", False, 1, MARCH)
    return replace(known, **about)  # type: ignore[arg-type]


RISE = Change("A100", (listed(OLD),), (listed(NEW),), DAY)
ALL = Terms(rows="all")


def judged(about: PricedContract, change: Change = RISE, terms: Terms | None = None) -> ContractVerdict:
    return judge(about, change, terms or Terms())


def outcome(about: PricedContract, change: Change = RISE, terms: Terms | None = None) -> list[tuple[Why, Decimal]]:
    return [(one.why, one.price) for one in judged(about, change, terms).rows]


def test_a_row_with_the_old_list_price_gets_the_new_one_and_a_negotiated_one_stays() -> None:
    assert outcome(contract(row(1000), row(900))) == [(Why.FOLLOWS, NEW), (Why.NEGOTIATED, Decimal(900))]


def test_rows_of_other_articles_are_none_of_the_changes_business() -> None:
    assert outcome(contract(row(article="A1000"), row(article="B100"))) == []


def test_all_rows_follow_where_the_user_says_so() -> None:
    assert outcome(contract(row(1000), row(900)), terms=ALL) == [(Why.FOLLOWS, NEW), (Why.FOLLOWS, NEW)]


def test_a_row_that_somebody_has_mended_by_hand_has_the_new_price_already() -> None:
    assert outcome(contract(row(1200)), terms=ALL) == [(Why.ALREADY, NEW)]


@pytest.mark.parametrize("terms", [Terms(), ALL])
@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"untouchable": frozenset({"A100"})}, Why.NEVER_TOUCH),
        ({"currency": "EUR"}, Why.CURRENCY),
        ({"price_list": "B"}, Why.OTHER_LIST),
    ],
)
def test_a_row_stays_whatever_it_costs(about: dict[str, object], why: Why, terms: Terms) -> None:
    change = replace(
        RISE, before=(listed(OLD), listed(OLD, price_list="B")), after=(listed(NEW), listed(1000, price_list="B"))
    )
    assert outcome(contract(row(), **about), change, terms) == [(why, OLD)]


def test_a_contract_follows_its_own_list_and_not_the_one_that_stands_in() -> None:
    before = (listed(1000), listed(800, price_list="B"))
    after = (listed(1200), listed(850, price_list="B"))
    change = replace(RISE, before=before, after=after, fallback="A")
    assert outcome(contract(row(800), row(1000), price_list="B"), change) == [
        (Why.FOLLOWS, Decimal(850)),
        (Why.NEGOTIATED, Decimal(1000)),
    ]


def test_the_list_that_stands_in_counts_where_the_contracts_own_has_no_price() -> None:
    about = contract(row(), price_list="B")
    assert outcome(about, replace(RISE, fallback="A")) == [(Why.FOLLOWS, NEW)]
    assert outcome(about) == [(Why.OTHER_LIST, OLD)]


def test_a_price_that_comes_into_the_contracts_own_list_takes_the_place_of_the_one_that_stood_in() -> None:
    change = replace(RISE, after=(listed(OLD), listed(950, price_list="B")), fallback="A")
    assert outcome(contract(row(), price_list="B"), change) == [(Why.FOLLOWS, Decimal(950))]


def test_a_list_price_that_was_removed_leaves_the_row_alone() -> None:
    assert outcome(contract(row()), replace(RISE, after=()), ALL) == [(Why.NO_PRICE, OLD)]


def test_the_price_is_that_of_the_largest_step_not_above_the_quantity() -> None:
    before = (listed(1000), listed(900, start=10), listed(800, start=50))
    after = (listed(1000), listed(950, start=10), listed(700, start=50))
    about = contract(row(1000, "9.99"), row(900, "10"), row(900, "49"), row(800, "50"), row(900, "60"))
    assert outcome(about, replace(RISE, before=before, after=after)) == [
        (Why.SAME_PRICE, Decimal(1000)),
        (Why.FOLLOWS, Decimal(950)),
        (Why.FOLLOWS, Decimal(950)),
        (Why.FOLLOWS, Decimal(700)),
        (Why.NEGOTIATED, Decimal(900)),
    ]


def test_a_deduction_follows_as_what_it_deducts_from() -> None:
    assert outcome(contract(row(1000, "-2"))) == [(Why.FOLLOWS, NEW)]


def test_a_quantity_below_every_step_has_no_list_price() -> None:
    change = replace(RISE, before=(listed(900, start=10),), after=(listed(950, start=10),))
    assert outcome(contract(row(900, "9")), change, ALL) == [(Why.NO_PRICE, Decimal(900))]


def test_prices_are_compared_and_set_with_the_two_decimals_that_fortnox_keeps() -> None:
    change = replace(RISE, before=(listed(Decimal("10.125")),), after=(listed(Decimal("10.245")),))
    assert outcome(contract(row("10.13"), row("10.12")), change) == [
        (Why.FOLLOWS, Decimal("10.25")),
        (Why.NEGOTIATED, Decimal("10.12")),
    ]
    assert rounded(Decimal("-0.125")) == Decimal("-0.13")


def with_vat(*rows: PricedRow) -> PricedContract:
    return contract(*(replace(one, vat=Decimal(25)) for one in rows), vat_included=True)


def test_where_prices_include_vat_the_row_tells_whether_it_was_added_to_the_lists() -> None:
    assert outcome(with_vat(row(1000), row(1250), row(1100))) == [
        (Why.FOLLOWS, NEW),
        (Why.FOLLOWS, Decimal(1500)),
        (Why.NEGOTIATED, Decimal(1100)),
    ]


def test_where_no_row_tells_whether_vat_is_to_be_added_the_price_stays() -> None:
    assert outcome(with_vat(row(1100), row(0)), terms=ALL) == [(Why.VAT, Decimal(1100)), (Why.VAT, Decimal(0))]


def test_without_vat_on_the_row_the_two_ways_are_one() -> None:
    about = contract(row(900, vat=Decimal(0)), vat_included=True)
    assert outcome(about, terms=ALL) == [(Why.FOLLOWS, NEW)]


@pytest.mark.parametrize(
    ("period", "interval", "first"),
    [
        (MARCH, 1, date(2026, 4, 1)),
        (Period(date(2026, 3, 20), date(2026, 4, 19)), 1, date(2026, 3, 20)),
        (Period(date(2026, 4, 1), date(2026, 4, 30)), 1, date(2026, 4, 1)),
        (Period(date(2026, 1, 1), date(2026, 3, 31)), 3, date(2026, 4, 1)),
        # Two invoices behind: neither of them begins on or after the day.
        (Period(date(2026, 1, 1), date(2026, 1, 31)), 1, date(2026, 4, 1)),
        (Period(date(2026, 1, 1), date(2026, 1, 31)), None, None),
        (None, 1, None),
    ],
)
def test_a_new_price_holds_from_the_next_period_that_begins(
    period: Period | None, interval: int | None, first: date | None
) -> None:
    verdict = judged(contract(row(), period=period, interval=interval))
    assert verdict.first == first
    assert verdict.is_ripe == (first is not None and period is not None and first == period.start)
    assert (Caution.NO_PERIOD in verdict.cautions) == (first is None)


def test_at_once_is_from_the_period_that_is_invoiced_next() -> None:
    verdict = judged(contract(row()), terms=Terms(start="at_once"))
    assert (verdict.first, verdict.is_ripe) == (MARCH.start, True)


def test_an_accrual_and_a_rise_above_the_bound_are_told_as_cautions() -> None:
    assert judged(contract(row(), has_accrual=True)).cautions == (Caution.ACCRUAL,)
    assert judged(contract(row()), terms=Terms(rise_percent=19)).cautions == (Caution.RISE,)
    assert judged(contract(row()), terms=Terms(rise_percent=20)).cautions == ()
    assert judged(contract(row(900)), terms=Terms(rise_percent=19)).cautions == ()
    free = replace(RISE, before=(listed(0),))
    assert judged(contract(row(0)), free, Terms(rise_percent=1000)).cautions == (Caution.RISE,)


def test_what_it_comes_to_a_month_counts_quantity_discount_and_interval() -> None:
    half_off = row(1000, "3", discount=Decimal(50))
    ten_off = row(1000, "1", discount=Decimal(10), is_percent=False)
    assert judged(contract(half_off, ten_off, row(900), interval=3)).a_month == Decimal("166.67")
    assert judged(contract(row(), interval=None)).a_month is None


# Whatever the lists and the rows are ---------------------------------------------------------------------------------

AMOUNTS = st.sampled_from([Decimal(text) for text in ("0", "100", "125", "156.25", "80", "99.995", "100.00", "-10")])
STEPS = st.builds(
    ListPrice,
    st.sampled_from(["A", "B"]),
    st.sampled_from(["A100", "B200"]),
    st.sampled_from([Decimal(0), Decimal(1), Decimal(5)]),
    AMOUNTS,
)
LISTS = st.lists(STEPS, max_size=6, unique_by=lambda one: (one.price_list, one.article, one.from_quantity)).map(tuple)
CHANGES = st.builds(Change, st.just("A100"), LISTS, LISTS, st.just(DAY), st.sampled_from([None, "A"]))
ROWS = st.builds(
    PricedRow,
    st.integers(1, 99),
    st.sampled_from(["A100", "A100", "B200"]),
    st.sampled_from([Decimal(text) for text in ("-1", "0", "1", "4.5", "10")]),
    AMOUNTS.map(rounded),
    st.sampled_from([Decimal(0), Decimal(10)]),
    st.booleans(),
    st.sampled_from([None, Decimal(0), Decimal(25)]),
)
CONTRACTS = st.builds(
    PricedContract,
    st.just(TenantId(1)),
    st.just(ContractNumber(7)),
    st.lists(ROWS, max_size=5, unique_by=lambda one: one.row_id).map(tuple),
    st.sampled_from(["A", "B", ""]),
    st.sampled_from(["SEK", "SEK", "EUR"]),
    st.booleans(),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, MARCH, Period(date(2026, 4, 1), date(2026, 4, 30))]),
    st.booleans(),
    st.sampled_from([frozenset(), frozenset({"A100"})]),
)
TERMS = st.builds(
    Terms,
    st.sampled_from(["following", "all"]),
    st.sampled_from(["next_period", "at_once"]),
    st.sampled_from([None, 10]),
)


@given(CONTRACTS, CHANGES)
def test_under_following_no_row_with_another_price_than_the_old_list_price_is_ever_changed(
    about: PricedContract, change: Change
) -> None:
    lists = {one.price_list for one in change.before if one.article == "A100"}
    in_force = about.price_list if about.price_list in lists else change.fallback
    steps = [one for one in change.before if (one.price_list, one.article) == (in_force, "A100")]
    for was, now in zip(about.rows, repriced(about.rows, judge(about, change, Terms())), strict=True):
        old = price_for(steps, was.quantity)
        factors = [Decimal(1), 1 + (was.vat or Decimal(0)) / 100] if about.vat_included else [Decimal(1)]
        if was.article != "A100" or old is None or was.price not in [rounded(old * factor) for factor in factors]:
            assert now == was


@given(CONTRACTS, CHANGES, TERMS)
def test_only_the_price_of_a_row_of_the_article_ever_differs(
    about: PricedContract, change: Change, terms: Terms
) -> None:
    for was, now in zip(about.rows, repriced(about.rows, judge(about, change, terms)), strict=True):
        assert replace(now, price=was.price) == was
        assert now == was or (was.article == "A100" and now.price == rounded(now.price))


@given(CONTRACTS, CHANGES, TERMS)
def test_applying_twice_is_applying_once(about: PricedContract, change: Change, terms: Terms) -> None:
    once = replace(about, rows=repriced(about.rows, judge(about, change, terms)))
    assert repriced(once.rows, judge(once, change, terms)) == once.rows


@given(CONTRACTS, CHANGES, TERMS, st.integers(100, 200))
def test_undo_restores_the_rows_though_their_ids_are_new(
    about: PricedContract, change: Change, terms: Terms, ids: int
) -> None:
    verdict = judge(about, change, terms)
    after = [replace(one, row_id=ids + place) for place, one in enumerate(repriced(about.rows, verdict))]
    assert [replace(one, row_id=None) for one in restored(after, verdict)] == [
        replace(one, row_id=None) for one in about.rows
    ]


def test_undo_leaves_a_row_alone_that_had_the_new_price_before() -> None:
    about = contract(row(NEW), row(OLD))
    verdict = judge(about, RISE, Terms())
    after = repriced(about.rows, verdict)
    assert [one.price for one in after] == [NEW, NEW]
    assert [one.price for one in restored(after, verdict)] == [NEW, OLD]


@given(CONTRACTS, CHANGES, TERMS, st.sampled_from([Decimal("77.70"), Decimal("88.80")]))
def test_undo_leaves_a_price_that_was_set_since(
    about: PricedContract, change: Change, terms: Terms, since: Decimal
) -> None:
    verdict = judge(about, change, terms)
    edited = tuple(replace(one, price=since) for one in repriced(about.rows, verdict))
    assert restored(edited, verdict) == edited


@given(
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    st.integers(1, 12),
)
def test_the_first_period_that_begins_on_or_after_the_change_gets_the_new_price(
    start: date, day: date, interval: int
) -> None:
    shown = Period(start, add_months(start, interval) - timedelta(days=1))
    later = takewhile(lambda one: one.start < date(2029, 1, 1), upcoming(shown, interval))
    starts = [shown.start, *(one.start for one in later)]
    first = first_day(contract(row(), period=shown, interval=interval), day, "next_period")
    assert first == min(one for one in starts if one >= day)
