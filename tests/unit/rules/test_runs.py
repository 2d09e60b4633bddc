"""How a run adds up: invoice by invoice, and never one currency with another."""

from datetime import date
from decimal import Decimal

from common.ids import ContractNumber, InvoiceNumber
from common.rules.runs import Figures, Kind, OursMade, Part, Shown, Sum, compare

DAY = date(2026, 12, 1)


def ours(number: int, total: str = "125", currency: str = "SEK") -> OursMade:
    return OursMade(InvoiceNumber(number), ContractNumber(number), "Gran & Tall AB", Decimal(total), currency)


def there(number: int, total: str = "125", currency: str = "SEK", day: date = DAY, **more: bool) -> Shown:
    return Shown(InvoiceNumber(number), Decimal(total), currency, day, "1", **more)


def kinds(*made: OursMade, shown: list[Shown], accounted: frozenset[int] = frozenset()) -> list[tuple[Kind, int]]:
    found = compare(DAY, made, shown, {InvoiceNumber(one) for one in accounted}).differences
    return [(one.kind, one.number) for one in found]


def test_the_same_invoices_at_the_same_totals_add_up() -> None:
    found = compare(DAY, [ours(1), ours(2, "10", "EUR")], [there(1), there(2, "10", "EUR")], ())
    assert found.adds_up
    assert found.ours == found.theirs == {"EUR": Sum(1, Decimal(10)), "SEK": Sum(1, Decimal(125))}


def test_each_invoice_that_differs_is_named() -> None:
    shown = [there(1, "126"), there(2, cancelled=True), there(3, credited=True)]
    assert kinds(ours(1), ours(2), ours(3), ours(4), shown=shown) == [
        (Kind.CHANGED, 1),
        (Kind.CANCELLED, 2),
        (Kind.CREDITED, 3),
        (Kind.NOT_THERE, 4),
    ]


def test_differences_that_make_up_for_each_other_are_told_all_the_same() -> None:
    found = compare(DAY, [ours(1), ours(2)], [there(1, "126"), there(2, "124")], ())
    assert found.ours == found.theirs
    assert not found.adds_up


def test_a_contract_s_invoice_of_nobody_s_among_ours_or_of_the_day_was_made_by_hand() -> None:
    later = date(2026, 12, 9)
    shown = [there(1), there(2, day=later), there(3), there(4), there(5, day=later)]
    assert kinds(ours(1), ours(3), shown=shown) == [(Kind.BY_HAND, 2), (Kind.BY_HAND, 4)]


def test_what_is_another_billing_s_or_of_no_contract_is_no_difference() -> None:
    shown = [there(1), there(2), there(3, of_contract=False), there(4, cancelled=True)]
    assert kinds(ours(1), shown=shown, accounted=frozenset({2})) == []


def test_currencies_are_never_added() -> None:
    figures = Figures()
    figures.add(Part.MADE, "SEK", Sum(1, Decimal(100)))
    figures.add(Part.MADE, "EUR", Sum(2, Decimal(10)))
    figures += figures
    assert figures.parts[Part.MADE] == {"SEK": Sum(2, Decimal(200)), "EUR": Sum(4, Decimal(20))}
    assert figures.number(Part.MADE) == 6
