"""The companies (klientföretag): who is served, and what is known of their bookkeeping.

Nothing is removed: a company that is no longer served is paused.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, or_, select, update

from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.ledger import audit
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.ledger.schema import tenants
from common.rules.periods import Period
from common.rules.plan import TenantFacts

HISTORY_NOTED = "history_noted"
"""The action, in the audit, that tells the newest invoice that a company had when it was first read."""


async def add(ledger: Ledger, tenant: TenantId, name: str, by: str) -> Tenant:
    """Adds a company, unless it is there already. Its mode is what the policy says: `proposal` if nothing."""

    def work(connection: Connection) -> Tenant:
        found = connection.execute(_ONE, {"tenant_id": tenant}).one_or_none()
        if found is None:
            connection.execute(insert(tenants).values(id=tenant, name=name))
            audit.record(connection, ledger, by, "tenant_added", tenant=tenant, before={}, after={"name": name})
            found = connection.execute(_ONE, {"tenant_id": tenant}).one()
        return tenant_of(found)

    return await ledger.transact(work)


async def get(ledger: Ledger, tenant: TenantId) -> Tenant | None:
    """One company; `None` if it was never added."""
    found = await ledger.look_up(_ONE, {"tenant_id": tenant})
    return tenant_of(found[0]) if found else None


async def every(ledger: Ledger) -> list[Tenant]:
    """All companies, by name."""
    return [tenant_of(row) for row in await ledger.fetch(_EVERY)]


async def note_listing(
    ledger: Ledger,
    tenant: TenantId,
    started_at: datetime,
    newest_invoice: InvoiceNumber | None = None,
    *,
    of_all: bool = False,
) -> None:
    """A full listing of the contracts, begun at `started_at`, is in the mirror; an older one is forgotten.

    Parameters:
      of_all: it has the contracts that are not active, too.
    """

    def work(connection: Connection) -> None:
        connection.execute(_NOTE_LISTING, {"tenant_id": tenant, "started_at": started_at})
        if of_all:
            connection.execute(_NOTE_LISTING_OF_ALL, {"tenant_id": tenant, "started_at": started_at})
        if newest_invoice is not None:
            connection.execute(_SEE_INVOICES, {"tenant_id": tenant, "newest": newest_invoice})

    await ledger.transact(work)


async def note_facts(ledger: Ledger, tenant: TenantId, facts: TenantFacts, today: date) -> None:
    """What the company's bookkeeping allows, as read on the day `today`."""

    def work(connection: Connection) -> None:
        years = None if facts.years is None else {str(year.start): str(year.end) for year in facts.years}
        values = {"locked_until": facts.locked_until, "years": years, "cash": facts.cash, "facts_on": today}
        connection.execute(update(tenants).where(tenants.c.id == tenant).values(values))

    await ledger.transact(work)


async def note_accruals(ledger: Ledger, tenant: TenantId, accruals: Collection[ContractNumber] | None) -> None:
    """Which of the company's contracts have an accrual; `None`: that is not known."""
    stored = None if accruals is None else {"contracts": sorted(accruals)}

    def work(connection: Connection) -> None:
        connection.execute(update(tenants).where(tenants.c.id == tenant).values(accruals=stored))

    await ledger.transact(work)


async def see_invoices(ledger: Ledger, tenant: TenantId, newest: InvoiceNumber) -> None:
    """An invoice of that number exists, or with 0 none at all; the newest number ever seen never goes back."""

    def work(connection: Connection) -> None:
        connection.execute(_SEE_INVOICES, {"tenant_id": tenant, "newest": newest})

    await ledger.transact(work)


async def note_history(ledger: Ledger, tenant: TenantId, newest: InvoiceNumber, by: str) -> None:
    """The newest invoice of a company seen for the first time (0: it has none): that one and the older ones are not
    ours. What was noted before stays."""

    def work(connection: Connection) -> None:
        first = connection.execute(_SEE_FIRST_INVOICES, {"tenant_id": tenant, "newest": newest})
        if first.rowcount:
            after = {"newest_invoice": newest}
            audit.record(connection, ledger, by, HISTORY_NOTED, tenant=tenant, before={}, after=after)

    await ledger.transact(work)


def prove_creates(connection: Connection, ledger: Ledger, tenant: TenantId, by: str) -> None:
    """A create of ours was verified: from now on the company's creates need not go one by one (design, section 6)."""
    proven = connection.execute(_PROVE, {"tenant_id": tenant})
    if proven.rowcount:
        audit.record(
            connection,
            ledger,
            by,
            "creates_proven",
            tenant=tenant,
            before={"creates_proven": False},
            after={"creates_proven": True},
        )


def tenant_of(row: Row[Any]) -> Tenant:
    """A row of `tenants` as a record."""
    return Tenant(
        id=row.id,
        name=row.name,
        paused=row.paused,
        facts=replace(books_of(row), cash=row.cash, accruals=_accruals_of(row.accruals)),
        facts_on=row.facts_on,
        listed_at=row.listed_at,
        newest_invoice=row.newest_invoice,
        creates_proven=row.creates_proven,
        leased_by=row.leased_by,
        all_listed_at=row.all_listed_at,
    )


def books_of(row: Row[Any]) -> TenantFacts:
    """What a row with the columns `locked_until` and `years` says of the company's books."""
    return TenantFacts(row.locked_until, _years_of(row.years))


def _years_of(stored: Mapping[str, str] | None) -> tuple[Period, ...] | None:
    if stored is None:
        return None
    return tuple(Period(date.fromisoformat(start), date.fromisoformat(end)) for start, end in sorted(stored.items()))


def _accruals_of(stored: Mapping[str, Any] | None) -> frozenset[ContractNumber] | None:
    return None if stored is None else frozenset(stored["contracts"])


_THIS = tenants.c.id == bindparam("tenant_id")
_ONE = select(tenants).where(_THIS)
_EVERY = select(tenants).order_by(tenants.c.name, tenants.c.id)
_NOTE_LISTING = (
    update(tenants)
    .where(_THIS, or_(tenants.c.listed_at.is_(None), tenants.c.listed_at < bindparam("started_at")))
    .values(listed_at=bindparam("started_at"))
)
_NOTE_LISTING_OF_ALL = update(tenants).where(_THIS).values(all_listed_at=bindparam("started_at"))
_SEE_INVOICES = (
    update(tenants)
    .where(_THIS, or_(tenants.c.newest_invoice.is_(None), tenants.c.newest_invoice < bindparam("newest")))
    .values(newest_invoice=bindparam("newest"))
)
_SEE_FIRST_INVOICES = (
    update(tenants).where(_THIS, tenants.c.newest_invoice.is_(None)).values(newest_invoice=bindparam("newest"))
)
_PROVE = update(tenants).where(_THIS, tenants.c.creates_proven.is_(False)).values(creates_proven=True)
