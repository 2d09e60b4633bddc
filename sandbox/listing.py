"""Lists: filters, sorting and paging as Fortnox does them (API notes 9.1, 9.2).

A field filter is a substring match without regard to case, so `documentnumber=1` also finds 10 and 21: clients must
filter again. Nothing here may be kinder than that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sandbox import refusals, wire
from sandbox.behaviour import Behaviour
from sandbox.clock import STOCKHOLM

T = TypeVar("T")
Test = Callable[[T], bool]
Sort = Callable[[T], Any]

GLOBAL_PARAMETERS = frozenset(
    {"limit", "page", "offset", "sortby", "sortorder", "lastmodified", "filter", "financialyear", "financialyeardate"}
)
MAX_LIMIT = 500
DEFAULT_LIMIT = 100


def check_parameters(query: Mapping[str, str], known: Iterable[str]) -> None:
    """Parameter names are lower case only (API notes 9.1); anything unknown is refused with 2000588.

    Raises:
      Refusal: 2000588.
    """
    if not set(query) <= GLOBAL_PARAMETERS.union(known):
        raise refusals.bad_parameter()


def contains(needle: str, read: Callable[[T], str]) -> Test[T]:
    """ILIKE '%needle%'."""
    folded = needle.casefold()
    return lambda item: folded in read(item).casefold()


def is_true(given: str, read: Callable[[T], bool]) -> Test[T]:
    if given not in {"true", "false"}:
        raise refusals.invalid(2000134, f"Värdet måste vara en boolean ({given})")
    wanted = given == "true"
    return lambda item: read(item) is wanted


def parse_day(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise refusals.bad_parameter() from None


def parse_whole(given: str) -> int:
    try:
        return int(given)
    except ValueError:
        raise refusals.invalid(2000108, f"Värdet måste vara numeriskt ({given})") from None


def parse_decimal(given: str) -> Decimal:
    try:
        return Decimal(given)
    except ArithmeticError:
        raise refusals.invalid(2000108, f"Värdet måste vara numeriskt ({given})") from None


def modified_since(given: str, read: Callable[[T], datetime | None], *, by_day: bool = False) -> Test[T]:
    """`lastmodified`: minutes or seconds, on Stockholm's wall clock, inclusive (API notes 9.3)."""
    try:
        since = datetime.fromisoformat(given)
    except ValueError:
        raise refusals.bad_parameter() from None
    if since.tzinfo is None:
        since = since.replace(tzinfo=STOCKHOLM)
    if by_day:
        since = since.replace(hour=0, minute=0, second=0, microsecond=0)

    def modified(item: T) -> bool:
        at = read(item)
        return at is not None and at >= since

    return modified


def select(items: Iterable[T], tests: Sequence[Test[T]]) -> list[T]:
    return [item for item in items if all(test(item) for test in tests)]


def sort(items: list[T], query: Mapping[str, str], keys: Mapping[str, Sort[T]], default: str) -> list[T]:
    """Sort by `sortby` and `sortorder`; ascending by the default key otherwise."""
    by = query.get("sortby", default)
    if by not in keys:
        raise refusals.bad_parameter()
    order = query.get("sortorder", "ascending")
    if order not in {"ascending", "descending"}:
        raise refusals.bad_parameter()
    return sorted(items, key=keys[by], reverse=order == "descending")


def page(items: Sequence[T], query: Mapping[str, str], behaviour: Behaviour) -> tuple[Sequence[T], Mapping[str, int]]:
    """The page asked for and its MetaInformation.

    No hits are 200 with 0 pages; a page beyond the last is 400 (API notes 9.2).

    Raises:
      Refusal: page beyond the end, or a limit, page or offset that is not a number in range.
    """
    limit = min(_at_least(query.get("limit"), 1, DEFAULT_LIMIT), MAX_LIMIT)
    wanted = _at_least(query.get("page"), 1, 1)
    offset = _at_least(query.get("offset"), 0, 0)
    total = len(items)
    pages = -(-max(total - offset, 0) // limit)
    if wanted > max(pages, 1):
        raise refusals.placeholder(behaviour, "page_missing", "Angiven sida hittades ej (24).")
    start = offset + (wanted - 1) * limit
    return items[start : start + limit], wire.meta(total, pages, wanted)


def _at_least(given: str | None, least: int, default: int) -> int:
    if given is None:
        return default
    value = parse_whole(given)
    if value < least:
        raise refusals.bad_parameter()
    return value
