"""The append-only record of every change of state (behandlingshistorik). Written in the transaction of the change."""

from common.ids import BillingId, ContractNumber, TenantId
from common.ledger.database import Ledger
from common.ledger.records import AuditEntry


async def entries(
    ledger: Ledger,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    billing: BillingId | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[AuditEntry]:
    """Oldest first, those with a higher id than `after`."""
    raise NotImplementedError
