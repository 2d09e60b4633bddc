"""Lifts a surprise that a fresh full listing explains; one that it does not explain stays for a person.

A surprise stops the creates of a tenant (design, section 6). It is explained when the contract that caused it now
stands exactly one period after the last one that has its invoice: the answer was late or wrong, or what was made too
early is taken in.
"""

from collections.abc import Sequence

import structlog

from common.ids import ContractNumber, TenantId
from common.ledger import billings, blocks
from common.ledger.database import Ledger
from common.ledger.records import Block, Contract
from common.rules.periods import follows
from common.rules.reasons import Reason
from common.rules.states import Status, Step

log = structlog.get_logger()

BY = "producer"


async def unexplained(ledger: Ledger) -> dict[TenantId, float]:
    """The tenants whose surprise a listing may explain, and for how many seconds they have been stopped by it.

    Two invoices of one period it cannot explain.
    """
    now = ledger.clock.now()
    return {
        block.tenant: (now - block.since).total_seconds()
        for block in await blocks.every(ledger)
        if _may_be_explained(block)
    }


def _may_be_explained(block: Block) -> bool:
    return block.reason is Reason.SURPRISE and "contract" in block.detail and "invoices" not in block.detail


async def explain(ledger: Ledger, tenant: TenantId, listed: Sequence[Contract]) -> None:
    """Clears the tenant's surprise if the rows just listed explain it, of every contract that it is about."""
    for block in await blocks.every(ledger, tenant):
        if not _may_be_explained(block):
            continue
        numbers = [ContractNumber(int(number)) for number in block.detail["contract"].split(", ")]
        if all([await _is_explained(ledger, tenant, number, listed) for number in numbers]):
            await blocks.clear(ledger, tenant, Step.CREATE, Reason.SURPRISE, by=BY)
            log.info("surprise_explained", tenant=tenant, contracts=numbers)


async def _is_explained(ledger: Ledger, tenant: TenantId, number: ContractNumber, listed: Sequence[Contract]) -> bool:
    shown = next((row.view.period for row in listed if row.view.number == number), None)
    billed = await billings.find(ledger, tenant=tenant, contract=number)
    invoiced = (one.period for one in billed if one.invoice is not None and one.status is not Status.VOIDED)
    latest = max(invoiced, default=None)
    return shown is not None and latest is not None and follows(latest, shown)
