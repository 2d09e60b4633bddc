"""How figures, days and instants are written for a person: on the terminal and in what is sent.

Numbers and amounts are never shortened, and times are Swedish.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from common.clock import STOCKHOLM


def amount(value: Decimal) -> str:
    """`1250.00`: two decimals, as Fortnox keeps money; more only if there are more."""
    exponent = value.normalize().as_tuple().exponent
    decimals = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{value:.{decimals}f}"


def money(value: Decimal | None, currency: str) -> str:
    """`12 345.00 SEK`; empty when it is not known."""
    if value is None:
        return ""
    whole, _, fraction = amount(value).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}".replace(",", " ") + f".{fraction} {currency or 'SEK'}"


def day(value: date | None) -> str:
    """`2026-12-01`; empty for none."""
    return value.isoformat() if value is not None else ""


def instant(value: datetime | None) -> str:
    """`2026-12-01 08:00:05`, Swedish time; empty for none."""
    return f"{value.astimezone(STOCKHOLM):%Y-%m-%d %H:%M:%S}" if value is not None else ""


def minute(value: datetime | None) -> str:
    """`2026-12-01 08:00`, Swedish time; empty for none."""
    return f"{value.astimezone(STOCKHOLM):%Y-%m-%d %H:%M}" if value is not None else ""


def age(value: timedelta | None) -> str:
    """`4 s`, `12 min`, `3 h`, `2 days`; empty for none."""
    if value is None:
        return ""
    seconds = value.total_seconds()
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 company`, `2 companies`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def clean(text: str) -> str:
    """The text without control characters: a customer's name must not be able to steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
