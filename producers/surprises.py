"""Lifts a surprise that a fresh full listing explains; one that it does not explain stays for a person.

A surprise stops the creates of a tenant (design, section 6). It is explained when the contract that caused it now
stands exactly one period after the one that was billed: the answer was late or wrong, the effect was the one asked for.
"""

from collections.abc import Sequence

import structlog

from common.ids import ContractNumber, TenantId
from common.ledger import billings, blocks
from common.ledger.database import Ledger
from common.ledger.records import Contract
from common.rules.periods import follows
from common.rules.reasons import Reason
from common.rules.states import Status, Step

log = structlog.get_logger()

BY = "producer"


async def explain(ledger: Ledger, tenant: TenantId, listed: Sequence[Contract]) -> None:
    """Clears the tenant's surprise if the rows just listed explain it."""
    for block in await blocks.every(ledger, tenant):
        if block.reason is not Reason.SURPRISE or "contract" not in block.detail or "invoices" in block.detail:
            continue
        number = ContractNumber(int(block.detail["contract"]))
        shown = next((row.view.period for row in listed if row.view.number == number), None)
        billed = await billings.find(ledger, tenant=tenant, contract=number)
        latest = max((one.period for one in billed if one.status is not Status.VOIDED), default=None)
        if shown is not None and latest is not None and follows(latest, shown):
            await blocks.clear(ledger, tenant, Step.CREATE, Reason.SURPRISE, by=BY)
            log.info("surprise_explained", tenant=tenant, contract=number)
