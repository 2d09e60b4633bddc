"""Sees corrections that people make in Fortnox: an invoice cancelled or credited after its billing was done.

It only reads. Whether the period is invoiced again is for the contract to say, by showing it once more.
"""

import structlog

from common import mirror
from common.fortnox.client import Fortnox
from common.fortnox.errors import Missing
from common.ids import TenantId
from common.ledger import corrections, invoices
from common.ledger.database import Ledger

log = structlog.get_logger()

READ_AT_ONCE = 5
"""Invoices read again at a pass: enough to follow what people do, and few if Fortnox moved no period at all."""


async def see(ledger: Ledger, fortnox: Fortnox, tenant: TenantId) -> bool:
    """Reads again the invoices whose contracts were set back to their period; voids the billings of those that ended.

    Nobody sets a period back for nothing: its invoice is cancelled before that, or soon after. Returns whether there
    were any, and what is due is to be planned anew. Raises FortnoxError or NotSent.
    """
    # What was seen to end by somebody who was killed before it could act on that.
    await corrections.void_ended(ledger, tenant)
    concerned = [one.billing.invoice for one in await corrections.set_back(ledger, tenant)]
    numbers = [number for number in concerned if number is not None][:READ_AT_ONCE]
    for number in numbers:
        try:
            read = await fortnox.invoice(tenant, number)
        except Missing:
            log.warning("invoice_not_found", tenant=tenant, invoice=number)
            continue
        await invoices.mirror(ledger, [mirror.invoice(tenant, read.value, read.read_at)])
    return bool(numbers)
