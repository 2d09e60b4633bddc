"""The mirror of the contracts: what was last read of each. An older read never overwrites a newer one."""

from collections.abc import Sequence
from datetime import datetime

from common.ids import ContractNumber, TenantId
from common.ledger.database import Ledger
from common.ledger.records import Contract


async def mirror(
    ledger: Ledger,
    tenant: TenantId,
    rows: Sequence[Contract],
    *,
    complete: bool,
    started_at: datetime | None = None,
) -> None:
    """With `complete` (a full listing of the active ones, begun at `started_at`) contracts it did not show become GONE."""
    raise NotImplementedError


async def get(ledger: Ledger, tenant: TenantId, number: ContractNumber) -> Contract | None:
    raise NotImplementedError


async def of_tenant(ledger: Ledger, tenant: TenantId | None = None) -> list[Contract]:
    raise NotImplementedError
