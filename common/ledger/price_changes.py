"""The mirror of the price lists, and the changes that comparing with it has shown.

However a changed price comes to be read, it comes here: what the mirror had is compared with what was read, in one
transaction with the note of how far the reading goes, so that no change is missed over a restart and none is told
twice. An older read never overwrites a newer one. The first reading of a company is what later ones are compared with.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.clock import STOCKHOLM
from common.ids import TenantId
from common.ledger import audit
from common.ledger.database import NOW, Ledger
from common.ledger.schema import price_changes, price_watches, prices
from common.rules.price_lists import ListPrice
from common.rules.prices import Change


class SeenPrice(NamedTuple):
    """A price as it was read, by a request that began at `read_at`. `changed_on`: the day that Fortnox tells, if it
    does."""

    price: ListPrice
    read_at: datetime
    changed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a company's prices.

    Parameters:
      covers: which prices it would have shown, had they still been there.
      started_at: when it began.
      of_changed: it is of everything that was changed since the last such reading.
      of_all: it is of all prices.
    """

    seen: Sequence[SeenPrice]
    covers: Callable[[ListPrice], bool]
    started_at: datetime
    of_changed: bool = False
    of_all: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """How far a company's prices are known."""

    since: datetime
    """When the first reading began: what changed before it is not ours to tell."""
    polled_at: datetime
    """When the last reading of what has changed began."""
    all_read_at: datetime
    price_list: str | None
    """The company's pre-selected list."""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A change of an article's list prices."""

    id: int
    tenant: TenantId
    facts: Change
    noticed_at: datetime

    @property
    def article(self) -> str:
        return self.facts.article


async def watch(ledger: Ledger, tenant: TenantId) -> Watch | None:
    """How far the company's prices are known; `None`: not at all yet."""
    rows = await ledger.fetch(select(price_watches).where(price_watches.c.tenant == tenant))
    return _watch_of(rows[0]) if rows else None


async def begin(ledger: Ledger, tenant: TenantId, reading: Reading, price_list: str | None, by: str) -> None:
    """Takes the first reading of a company as what later ones are compared with."""

    def work(connection: Connection) -> None:
        began = {"since": reading.started_at, "polled_at": reading.started_at, "all_read_at": reading.started_at}
        put = (sqlite.insert if ledger.is_sqlite else postgresql.insert)(price_watches)
        first = connection.execute(
            put.values(tenant=tenant, price_list=price_list, **began).on_conflict_do_nothing()
        ).rowcount
        if not first:
            return
        _mirror(connection, ledger, tenant, reading.seen)
        told = {"prices": len(reading.seen), "price_list": price_list}
        audit.record(connection, ledger, by, "prices_first_read", tenant=tenant, before={}, after=told)

    await ledger.transact(work)


async def take_in(
    ledger: Ledger,
    tenant: TenantId,
    reading: Reading,
    consider: Callable[[Connection, Ledger, PriceChange, str], None],
    by: str,
) -> list[PriceChange]:
    """Compares a reading with the mirror, which then shows it; each article that has changed is considered.

    Parameters:
      consider: what a change means for the contracts (`price_updates.consider`), in the same transaction.

    Returns the changes; none for a company that was never read, or that is read by somebody else meanwhile.
    """

    def work(connection: Connection) -> list[PriceChange]:
        watched = lock(connection, tenant)
        if watched is None:
            return []
        changes = [
            _note(connection, ledger, tenant, facts, by)
            for facts in _compare(connection, ledger, tenant, reading, watched)
        ]
        for change in changes:
            consider(connection, ledger, change, by)
        _note_reading(connection, tenant, reading)
        return changes

    return await ledger.transact(work)


def lock(connection: Connection, tenant: TenantId) -> Watch | None:
    """Nobody else changes the company's prices or price updates before the transaction has ended."""
    row = connection.execute(
        select(price_watches).where(price_watches.c.tenant == tenant).with_for_update()
    ).one_or_none()
    return None if row is None else _watch_of(row)


async def note_price_list(ledger: Ledger, tenant: TenantId, price_list: str | None) -> None:
    """The company's pre-selected list, as it was read; it counts for changes to come."""
    known = update(price_watches).where(price_watches.c.tenant == tenant).values(price_list=price_list)
    await ledger.transact(lambda connection: connection.execute(known))


async def of_article(ledger: Ledger, tenant: TenantId, article: str) -> list[ListPrice]:
    """The article's prices in all lists, as last read."""
    wanted = select(prices).where(prices.c.tenant == tenant, prices.c.article == article)
    return [_price_of(row) for row in await ledger.fetch(wanted)]


async def first_prices(ledger: Ledger, tenant: TenantId, price_list: str) -> dict[str, Decimal]:
    """What each article costs in the list for the smallest quantity, as last read."""
    wanted = (
        select(prices)
        .where(prices.c.tenant == tenant, prices.c.price_list == price_list)
        .order_by(prices.c.from_quantity.desc())
    )
    return {row.article: row.price for row in await ledger.fetch(wanted)}


async def every(ledger: Ledger, tenant: TenantId | None = None, *, limit: int | None = None) -> list[PriceChange]:
    """The changes of one company, or of all, the newest first."""
    statement = select(price_changes).order_by(price_changes.c.id.desc()).limit(limit)
    if tenant is not None:
        statement = statement.where(price_changes.c.tenant == tenant)
    return [change_of(row) for row in await ledger.fetch(statement)]


async def get(ledger: Ledger, change: int) -> PriceChange | None:
    """One change; `None` if there is none of that id."""
    rows = await ledger.fetch(select(price_changes).where(price_changes.c.id == change))
    return change_of(rows[0]) if rows else None


def change_of(row: Row[Any]) -> PriceChange:
    """A row of `price_changes` as a record."""
    facts = Change(
        row.article, _steps_of(row.article, row.before), _steps_of(row.article, row.after), row.day, row.price_list
    )
    return PriceChange(row.id, row.tenant, facts, row.noticed_at)


def _compare(
    connection: Connection, ledger: Ledger, tenant: TenantId, reading: Reading, watched: Watch
) -> list[Change]:
    """The articles that have other prices than the mirror had, which afterwards shows what was read."""
    known = {
        _key(price): (price, row.read_at) for row in _known(connection, tenant, reading) for price in (_price_of(row),)
    }
    fresh = [one for one in reading.seen if _key(one.price) not in known or known[_key(one.price)][1] <= one.read_at]
    shown = {_key(one.price) for one in reading.seen}
    gone = [
        price
        for key, (price, read_at) in known.items()
        if key not in shown and read_at < reading.started_at and reading.covers(price)
    ]
    articles = sorted({one.price.article for one in fresh} | {price.article for price in gone})
    before: dict[str, set[ListPrice]] = defaultdict(set)
    for price, _ in known.values():
        before[price.article].add(price)
    after = {article: {_key(price): price for price in before[article]} for article in articles}
    for price in gone:
        del after[price.article][_key(price)]
    for one in fresh:
        after[one.price.article][_key(one.price)] = one.price
    _mirror(connection, ledger, tenant, fresh)
    if gone:
        connection.execute(_DELETE, [{"of_tenant": tenant, **_named(price)} for price in gone])
    return [
        Change(
            article,
            tuple(sorted(before[article])),
            tuple(sorted(after[article].values())),
            _day(ledger, article, fresh, before[article], watched),
            watched.price_list,
        )
        for article in articles
        # An article that has its first price has changed nothing for any contract.
        if before[article] and before[article] != set(after[article].values())
    ]


def _known(connection: Connection, tenant: TenantId, reading: Reading) -> Sequence[Row[Any]]:
    """What the mirror has of the articles that a reading may be about."""
    statement = select(prices).where(prices.c.tenant == tenant)
    if not reading.of_all:
        articles = sorted({one.price.article for one in reading.seen})
        statement = statement.where(prices.c.article.in_(articles))
    return connection.execute(statement).all()


def _day(ledger: Ledger, article: str, fresh: Sequence[SeenPrice], before: set[ListPrice], watched: Watch) -> date:
    """The day of the change: the one that Fortnox tells if that can be, else the day on which it is noticed."""
    today = ledger.clock.today()
    changed = [one for one in fresh if one.price.article == article and one.price not in before]
    told = [one.changed_on for one in changed if one.changed_on is not None]
    last_look = watched.polled_at.astimezone(STOCKHOLM).date()
    return min(max(max(told), last_look), today) if changed and len(told) == len(changed) else today


def _mirror(connection: Connection, ledger: Ledger, tenant: TenantId, seen: Sequence[SeenPrice]) -> None:
    values = [
        {
            "tenant": tenant,
            "article": one.price.article,
            "price_list": one.price.price_list,
            "from_quantity": one.price.from_quantity,
            "price": one.price.price,
            "read_at": one.read_at,
        }
        for one in sorted(seen, key=lambda one: one.price)
    ]
    if values:
        connection.execute(_UPSERT[ledger.is_sqlite], values)


def _note(connection: Connection, ledger: Ledger, tenant: TenantId, facts: Change, by: str) -> PriceChange:
    before, after = ({"steps": _as_steps(steps)} for steps in (facts.before, facts.after))
    values = {"tenant": tenant, "article": facts.article, "price_list": facts.fallback, "day": facts.day}
    noted = connection.execute(_INSERT, {**values, "old": before, "new": after, **ledger.shift}).one()
    told = {"article": facts.article, "change": noted.id, "day": str(facts.day)}
    audit.record(
        connection, ledger, by, "price_changed", tenant=tenant, before={**told, **before}, after={**told, **after}
    )
    return PriceChange(noted.id, tenant, facts, noted.noticed_at)


def _note_reading(connection: Connection, tenant: TenantId, reading: Reading) -> None:
    values = {}
    if reading.of_changed or reading.of_all:
        values["polled_at"] = reading.started_at
    if reading.of_all:
        values["all_read_at"] = reading.started_at
    for name, at in values.items():
        column = price_watches.c[name]
        connection.execute(
            update(price_watches).where(price_watches.c.tenant == tenant, column < at).values({name: at})
        )


def _key(price: ListPrice) -> tuple[str, str, Decimal]:
    return price.article, price.price_list, price.from_quantity


def _named(price: ListPrice) -> dict[str, object]:
    return {"of_article": price.article, "of_list": price.price_list, "from_so_many": price.from_quantity}


def _price_of(row: Row[Any]) -> ListPrice:
    return ListPrice(row.price_list, row.article, row.from_quantity, row.price)


def _as_steps(steps: Sequence[ListPrice]) -> list[list[str]]:
    return [[one.price_list, str(one.from_quantity), str(one.price)] for one in steps]


def _steps_of(article: str, stored: Mapping[str, Any]) -> tuple[ListPrice, ...]:
    return tuple(ListPrice(code, article, Decimal(start), Decimal(price)) for code, start, price in stored["steps"])


def _watch_of(row: Row[Any]) -> Watch:
    return Watch(row.since, row.polled_at, row.all_read_at, row.price_list)


def _upsert(put: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    new = put.excluded
    return put.on_conflict_do_update(
        index_elements=["tenant", "article", "price_list", "from_quantity"],
        set_={"price": new.price, "read_at": new.read_at},
        where=prices.c.read_at <= new.read_at,
    )


_UPSERT = {True: _upsert(sqlite.insert(prices)), False: _upsert(postgresql.insert(prices))}
_DELETE = delete(prices).where(
    prices.c.tenant == bindparam("of_tenant"),
    prices.c.article == bindparam("of_article"),
    prices.c.price_list == bindparam("of_list"),
    prices.c.from_quantity == bindparam("from_so_many"),
)
_INSERT = (
    insert(price_changes)
    .values(
        {
            **{name: bindparam(name) for name in ("tenant", "article", "price_list", "day")},
            "before": bindparam("old"),
            "after": bindparam("new"),
            "noticed_at": NOW,
        }
    )
    .returning(price_changes.c.id, price_changes.c.noticed_at)
)
