"""Which price a price list gives for a quantity of an article. Pure; knows nothing of contracts.

What Fortnox takes when a list has no price for the article is not documented (API notes 4.2, 4.3); `fallback` names the
list that is assumed to stand in, and without it none does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, order=True)
class ListPrice:
    """What an article costs in a price list, a piece, from a quantity on (API notes 4.2)."""

    price_list: str
    article: str
    from_quantity: Decimal
    price: Decimal


def steps_of(prices: Iterable[ListPrice], price_list: str, article: str) -> tuple[ListPrice, ...]:
    """The steps (kvantitetsrabatter) of the article in the list, the smallest quantity first."""
    return tuple(sorted(one for one in prices if (one.price_list, one.article) == (price_list, article)))


def steps_in_force(
    prices: Sequence[ListPrice], price_list: str, article: str, *, fallback: str | None
) -> tuple[ListPrice, ...]:
    """The steps that hold for a document with that price list: the list's own, or those of the fallback.

    Parameters:
      price_list: of the document; "" when it names none.
      fallback: the company's pre-selected list; `None`: a list without the article has no price for it.
    """
    own = steps_of(prices, price_list, article)
    return own if own or fallback is None else steps_of(prices, fallback, article)


def price_for(steps: Iterable[ListPrice], quantity: Decimal) -> Decimal | None:
    """The price of the largest `from_quantity` that is not above the quantity; `None` when the quantity reaches none.

    A deduction (a negative quantity) has the price of as many pieces.
    """
    reached = [one for one in steps if one.from_quantity <= abs(quantity)]
    return max(reached, key=lambda one: one.from_quantity).price if reached else None


def rounded(price: Decimal) -> Decimal:
    """The price as Fortnox keeps it in a row: two decimals, half up, also below zero (API notes 2.1)."""
    return price.quantize(_CENT, ROUND_HALF_UP)
