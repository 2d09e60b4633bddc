"""The mirror of the contracts' rows: which contracts use an article is a look-up here, not a reading of them all.

It is filled in and kept fresh at leisure (`producers/prices.py`), so it may be behind Fortnox: good enough to propose
by, never to be written back. Beside it the rows that a person has marked as never to be touched.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, insert, or_, select, update

from common.ids import ContractNumber, TenantId
from common.ledger import audit
from common.ledger.columns import Instant, microseconds
from common.ledger.contracts import period_of
from common.ledger.database import NOW, Ledger
from common.ledger.schema import contract_rows, contracts, tenants, untouchable_rows, word
from common.rules.prices import PricedContract, PricedRow


@dataclass(frozen=True, slots=True)
class ReadRows:
    """What reading one contract told of its rows. `read_at` is the start of the request."""

    tenant: TenantId
    contract: ContractNumber
    rows: tuple[PricedRow, ...]
    price_list: str
    vat_included: bool
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A contract with its rows, or those of one article, as the mirror has them."""

    priced: PricedContract
    template: str | None
    customer_name: str
    rows_read_at: datetime | None


async def unread(ledger: Ledger, tenant: TenantId, refresh: timedelta, limit: int) -> list[ContractNumber]:
    """Active contracts whose rows were never read, or may have changed since: those never read first.

    A change of the rows shows in the total that every listing tells; one that leaves the total as it was is found by
    `refresh`, the age from which rows are read anew.
    """
    found = await ledger.fetch(
        _UNREAD.limit(limit), {"of_tenant": tenant, "refresh": microseconds(refresh), **ledger.shift}
    )
    return [row.number for row in found]


def take_in(connection: Connection, seen: ReadRows) -> datetime | None:
    """Takes the rows in, unless a later reading was first. Returns when they were read before; `None` for never.

    The total is the listing's, not the reading's own: whether the two are made alike nobody says.
    """
    this = and_(contracts.c.tenant == seen.tenant, contracts.c.number == seen.contract)
    before: datetime | None = connection.execute(select(contracts.c.rows_read_at).where(this)).scalar()
    if before is not None and before > seen.read_at:
        return before
    connection.execute(
        update(contracts)
        .where(this)
        .values(
            price_list=seen.price_list,
            vat_included=seen.vat_included,
            rows_total=contracts.c.total,
            rows_read_at=seen.read_at,
        )
    )
    of_contract = and_(contract_rows.c.tenant == seen.tenant, contract_rows.c.contract == seen.contract)
    connection.execute(delete(contract_rows).where(of_contract))
    if seen.rows:
        values = [
            {"tenant": seen.tenant, "contract": seen.contract, "place": place, **_values_of(row)}
            for place, row in enumerate(seen.rows)
        ]
        connection.execute(insert(contract_rows), values)
    return before


def using(connection: Connection, tenant: TenantId, article: str) -> list[Mirrored]:
    """The active contracts that use the article, by number, each with its rows of it."""
    of_article = and_(contract_rows.c.tenant == tenant, contract_rows.c.article == article)
    users = select(contract_rows.c.contract).where(of_article)
    return _mirrored(connection, tenant, contracts.c.number.in_(users), of_article)


def of(connection: Connection, tenant: TenantId, contract: ContractNumber) -> Mirrored | None:
    """The contract with all its rows; `None` unless it is active."""
    of_contract = and_(contract_rows.c.tenant == tenant, contract_rows.c.contract == contract)
    found = _mirrored(connection, tenant, contracts.c.number == contract, of_contract)
    return found[0] if found else None


async def read_using(ledger: Ledger, tenant: TenantId, article: str) -> list[Mirrored]:
    """`using`, in a transaction of its own."""
    return await ledger.read(lambda connection: using(connection, tenant, article))


def mark(
    connection: Connection, ledger: Ledger, tenant: TenantId, contract: ContractNumber, article: str, by: str
) -> bool:
    """Marks the contract's rows of the article as never to be touched. Returns whether they were not before.

    By the article, since the ids of rows are new after every change of the contract (API notes 1.5).
    """
    key = {"tenant": tenant, "contract": contract, "article": article}
    if connection.execute(select(untouchable_rows).where(_is(key))).one_or_none() is not None:
        return False
    connection.execute(insert(untouchable_rows).values(key))
    told = {"article": article}
    audit.record(
        connection, ledger, by, "row_marked_untouchable", tenant=tenant, contract=contract, before={}, after=told
    )
    return True


def unmark(
    connection: Connection, ledger: Ledger, tenant: TenantId, contract: ContractNumber, article: str, by: str
) -> bool:
    """Takes such a mark away. Returns whether there was one."""
    key = {"tenant": tenant, "contract": contract, "article": article}
    if not connection.execute(delete(untouchable_rows).where(_is(key))).rowcount:
        return False
    told = {"article": article}
    audit.record(connection, ledger, by, "row_mark_taken_away", tenant=tenant, contract=contract, before=told, after={})
    return True


def _mirrored(
    connection: Connection, tenant: TenantId, which: ColumnElement[bool], rows: ColumnElement[bool]
) -> list[Mirrored]:
    of_contract: dict[int, list[PricedRow]] = defaultdict(list)
    ordered = select(contract_rows).where(rows).order_by(contract_rows.c.contract, contract_rows.c.place)
    for row in connection.execute(ordered):
        of_contract[row.contract].append(_row_of(row))
    marks: dict[int, set[str]] = defaultdict(set)
    for row in connection.execute(select(untouchable_rows).where(untouchable_rows.c.tenant == tenant)):
        marks[row.contract].add(row.article)
    accruals = connection.execute(select(tenants.c.accruals).where(tenants.c.id == tenant)).scalar() or {
        "contracts": []
    }
    active = and_(contracts.c.tenant == tenant, contracts.c.status == word("ACTIVE"), which)
    return [
        Mirrored(
            PricedContract(
                tenant=tenant,
                number=row.number,
                rows=tuple(of_contract[row.number]),
                price_list=row.price_list or "",
                currency=row.currency,
                vat_included=bool(row.vat_included),
                interval=row.interval,
                period=period_of(row.period_start, row.period_end),
                has_accrual=row.number in accruals["contracts"],
                untouchable=frozenset(marks[row.number]),
            ),
            row.template,
            row.customer_name,
            row.rows_read_at,
        )
        for row in connection.execute(select(contracts).where(active).order_by(contracts.c.number))
    ]


def _values_of(row: PricedRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


def _row_of(row: Row[Any]) -> PricedRow:
    return PricedRow(**{name: getattr(row, name) for name in _COLUMNS})


def _is(key: dict[str, Any]) -> ColumnElement[bool]:
    return and_(*(untouchable_rows.c[name] == value for name, value in key.items()))


_COLUMNS: Sequence[str] = ("row_id", "article", "quantity", "price", "discount", "is_percent", "vat")
_UNREAD = (
    select(contracts.c.number)
    .where(
        contracts.c.tenant == bindparam("of_tenant"),
        contracts.c.status == word("ACTIVE"),
        or_(
            contracts.c.rows_read_at.is_(None),
            contracts.c.rows_total.is_distinct_from(contracts.c.total),
            contracts.c.rows_read_at < NOW - bindparam("refresh", type_=Instant.impl),
        ),
    )
    .order_by(contracts.c.rows_read_at.nulls_first(), contracts.c.number)
)
