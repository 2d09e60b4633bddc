"""The consultant who looks after the bureau while the suite runs: does what the product asks a person to do.

She uses the product's own ways for people, and only those. What she leaves alone stays in plain sight.
"""

import contextlib

from common.ids import TenantId
from common.ledger import billings, blocks, pauses, tenants
from common.ledger.by_person import NotPossible
from common.ledger.database import Ledger
from common.ledger.records import Block
from common.rules.states import Status

BY = "the person on duty"


async def look_after(ledger: Ledger) -> None:
    """One round: retries one billing of each company that a reason stops, and resumes companies that were paused."""
    for tenant in await tenants.every(ledger):
        if tenant.paused:
            await pauses.resume(ledger, "tenant", tenant=tenant.id, by=BY)
    for block in await blocks.every(ledger):
        if block.probe is None:
            await _retry_one(ledger, block.tenant, block)


async def _retry_one(ledger: Ledger, tenant: TenantId, block: Block) -> None:
    stopped = await billings.find(ledger, tenant=tenant, step=block.step, status={Status.WAITING, Status.PARKED})
    probes = [one for one in stopped if one.status is Status.WAITING or one.reason is block.reason]
    for one in probes[:3]:
        with contextlib.suppress(NotPossible):
            await billings.retry(ledger, one.id, BY)
            return
