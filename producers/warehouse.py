"""Sees that warehouse invoices were marked as ready (klarmarkerade), for which their booking waits (design, section 7).

It only reads, and lets go on what waited for that. That an invoice is not ready is for Fortnox to say, by refusing to
book it: what it shows of companies that have no warehouse is not known.
"""

from datetime import UTC, datetime

import structlog

from common import mirror
from common.fortnox.client import Fortnox
from common.fortnox.errors import Missing
from common.ids import InvoiceNumber, TenantId
from common.ledger import billings, invoices, mended
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.rules.reasons import Reason
from common.rules.states import Status, Step

log = structlog.get_logger()

READ_AT_ONCE = 20
"""Invoices read again at a pass, those first that were read longest ago."""

TRIES = 3
"""So often is one tried that is shown as ready; if Fortnox says each time that it is not, a person must look."""

_NEVER = datetime.min.replace(tzinfo=UTC)


async def see_ready(ledger: Ledger, fortnox: Fortnox, tenant: TenantId, by: str) -> int:
    """Reads again the invoices that could not be booked before they are ready; books them that are.

    Returns how many go on. Raises FortnoxError or NotSent.
    """
    gone_on = 0
    for billing, number in (await _waiting(ledger, tenant))[:READ_AT_ONCE]:
        try:
            read = await fortnox.invoice(tenant, number)
        except Missing:
            log.warning("invoice_not_found", tenant=tenant, invoice=number)
            continue
        invoice = mirror.invoice(tenant, read.value, read.read_at)
        await invoices.mirror(ledger, [invoice])
        if invoice.warehouse_ready and await _may_be_tried(ledger, billing):
            gone_on += await mended.go_on(ledger, billing.id, Reason.NOT_WAREHOUSE_READY, by)
    return gone_on


async def _waiting(ledger: Ledger, tenant: TenantId) -> list[tuple[Billing, InvoiceNumber]]:
    found: list[tuple[datetime, Billing, InvoiceNumber]] = []
    for one in await billings.find(ledger, tenant=tenant, status=Status.PARKED, step=Step.BOOKKEEP):
        if one.reason is Reason.NOT_WAREHOUSE_READY and one.invoice is not None:
            known = await invoices.get(ledger, tenant, one.invoice)
            found.append(((known.read_at if known else None) or _NEVER, one, one.invoice))
    found.sort(key=lambda entry: entry[0])
    return [(one, number) for _, one, number in found]


async def _may_be_tried(ledger: Ledger, billing: Billing) -> bool:
    calls = await billings.attempts(ledger, billing.id)
    return sum(one.step is Step.BOOKKEEP for one in calls) < TRIES
