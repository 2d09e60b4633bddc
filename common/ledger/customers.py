"""The mirror of the customers: how an invoice is to reach them, and whether it can, known before it is made.

A list tells neither the e-mail address for invoices nor the way of delivery nor the currency; the card itself does.
Since only cards that were changed are listed anew, what a card told before its last listing is forgotten.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import TenantId
from common.ledger.database import Ledger
from common.ledger.schema import contracts, customers, tenants
from common.rules.plan import Lacks


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as last read."""

    tenant: TenantId
    number: str
    name: str
    email: str
    address1: str
    zip_code: str
    city: str
    read_at: datetime
    """The start of the request that returned it."""
    email_invoice: str | None = None
    """Where invoices go, before `email`; `None`: only the card tells, and it was not read since the last listing."""
    gln: str | None = None
    """Where e-invoices go; `None` as before."""
    delivery: str | None = None
    """How invoices are to reach the customer (`DefaultDeliveryTypes.Invoice`); `None` as before."""
    country_code: str = ""
    currency: str = ""

    @property
    def has_email(self) -> bool:
        """Whether an address is known to which invoices can be e-mailed."""
        return bool(self.email or self.email_invoice)

    @property
    def is_unsure_of_email(self) -> bool:
        """Whether only the card can tell if there is an address."""
        return not self.email and self.email_invoice is None


@dataclass(frozen=True, slots=True)
class Recipients:
    """What is known of the customers of a company, by their numbers, as the plan takes it."""

    lacking: dict[str, Lacks] = field(default_factory=dict)
    cards: dict[str, str] = field(default_factory=dict)
    """What their cards say of how they get invoices; of those whose card was read."""


async def mirror(ledger: Ledger, seen: Sequence[Customer]) -> None:
    """Takes in what was read; a customer that was read later than this stays."""
    if seen:
        ordered = sorted(seen, key=lambda one: (one.tenant, one.number))
        values = [{name: getattr(one, name) for name in _COLUMNS} for one in ordered]
        await ledger.transact(lambda connection: connection.execute(_UPSERT[ledger.is_sqlite], values))


async def note_listing(ledger: Ledger, tenant: TenantId, started_at: datetime, *, known: bool) -> None:
    """The company's customers were listed, or with `known=False` we are not allowed to."""
    said = update(tenants).where(tenants.c.id == tenant).values(customers_at=started_at, customers_known=known)
    await ledger.transact(lambda connection: connection.execute(said))


async def listed(ledger: Ledger, tenant: TenantId) -> tuple[datetime | None, bool]:
    """When the last listing of the company's customers began, `None` for never; and whether they are known."""
    row = (await ledger.fetch(select(tenants.c.customers_at, tenants.c.customers_known).where(tenants.c.id == tenant)))[
        0
    ]
    return row.customers_at, row.customers_known


async def of_numbers(ledger: Ledger, tenant: TenantId, numbers: Collection[str]) -> dict[str, Customer]:
    """Those of the company's customers that were ever read."""
    wanted = sorted(numbers)
    found: dict[str, Customer] = {}
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        rows = await ledger.fetch(select(customers).where(customers.c.tenant == tenant, customers.c.number.in_(batch)))
        found |= {row.number: _customer_of(row) for row in rows}
    return found


def recipients(
    connection: Connection, tenant: TenantId | None, of_contracts: ColumnElement[bool] | None = None
) -> dict[TenantId, Recipients]:
    """By company, the customers that are known to lack something or whose card was read; of companies whose customers
    are known.

    Parameters:
      of_contracts: a condition on `contracts`: of those alone.
    """
    statement = _RECIPIENTS if tenant is None else _RECIPIENTS.where(customers.c.tenant == tenant)
    if of_contracts is not None:
        theirs = select(contracts.c.tenant, contracts.c.customer_number).where(of_contracts)
        statement = statement.where(tuple_(customers.c.tenant, customers.c.number).in_(theirs))
    found: dict[TenantId, Recipients] = {}
    for row in connection.execute(statement):
        one = _customer_of(row)
        parts = {"name": one.name, "address": one.address1, "zip code": one.zip_code, "city": one.city}
        missing = tuple(name for name, value in parts.items() if not value)
        no_email = not one.email and one.email_invoice == ""
        known = found.setdefault(one.tenant, Recipients())
        if no_email or missing or one.gln == "":
            known.lacking[one.number] = Lacks(email=no_email, address=missing, gln=one.gln == "")
        if one.delivery is not None:
            known.cards[one.number] = one.delivery
    return found


def _customer_of(row: Row[Any]) -> Customer:
    return Customer(**{name: getattr(row, name) for name in _COLUMNS})


def _upsert(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    new = insert.excluded
    read = [column.name for column in customers.c if column.name not in ("tenant", "number")]
    return insert.on_conflict_do_update(
        index_elements=["tenant", "number"],
        set_={name: new[name] for name in read},
        where=customers.c.read_at <= new.read_at,
    )


_BATCH = 500
_COLUMNS = tuple(column.name for column in customers.c)
_UPSERT = {True: _upsert(sqlite.insert(customers)), False: _upsert(postgresql.insert(customers))}
_RECIPIENTS = (
    select(customers)
    .join(tenants, and_(tenants.c.id == customers.c.tenant, tenants.c.customers_known))
    .where(
        or_(
            and_(customers.c.email == "", func.coalesce(customers.c.email_invoice, "?") == ""),
            customers.c.name == "",
            customers.c.address1 == "",
            customers.c.zip_code == "",
            customers.c.city == "",
            customers.c.delivery.is_not(None),
        )
    )
)
