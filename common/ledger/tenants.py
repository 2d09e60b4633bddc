"""The companies (klientföretag): who is served, and what is known of their bookkeeping."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from common.ids import InvoiceNumber, TenantId
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.rules.plan import TenantFacts


async def add(ledger: Ledger, tenant: TenantId, name: str, by: str) -> Tenant:
    raise NotImplementedError


async def get(ledger: Ledger, tenant: TenantId) -> Tenant | None:
    raise NotImplementedError


async def every(ledger: Ledger) -> list[Tenant]:
    raise NotImplementedError


async def set_name(ledger: Ledger, tenant: TenantId, name: str, by: str) -> None:
    raise NotImplementedError


async def note_listing(
    ledger: Ledger, tenant: TenantId, started_at: datetime, newest_invoice: InvoiceNumber | None = None
) -> None:
    raise NotImplementedError


async def note_facts(ledger: Ledger, tenant: TenantId, facts: TenantFacts, today: date) -> None:
    raise NotImplementedError


async def see_invoices(ledger: Ledger, tenant: TenantId, newest: InvoiceNumber) -> None:
    raise NotImplementedError


async def prove_creates(connection: AsyncConnection, tenant: TenantId) -> None:
    raise NotImplementedError
