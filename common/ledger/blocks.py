"""Tenant-wide reasons that stop a step of a company, shown as one item, and tried with one billing before the rest go."""

from collections.abc import Mapping

from common.ids import TenantId
from common.ledger.database import Ledger
from common.ledger.records import Block
from common.rules.reasons import Reason
from common.rules.states import Step


async def every(ledger: Ledger, tenant: TenantId | None = None) -> list[Block]:
    raise NotImplementedError


async def put(
    ledger: Ledger, tenant: TenantId, step: Step | None, reason: Reason, detail: Mapping[str, str], by: str
) -> None:
    """Blocks without a billing that parks, as when a listing finds the token dead."""
    raise NotImplementedError


async def clear(ledger: Ledger, tenant: TenantId, step: Step | None, reason: Reason, by: str) -> bool:
    """Ends a block that is known to have passed; what parked for it waits again. False: there was none."""
    raise NotImplementedError
