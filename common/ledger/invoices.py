"""The mirror of the invoices: what was last read of each. An older read never overwrites a newer one."""

from collections.abc import Sequence

from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.ledger.database import Ledger
from common.ledger.records import Invoice
from common.rules.periods import Period


async def mirror(ledger: Ledger, invoices: Sequence[Invoice]) -> None:
    raise NotImplementedError


async def get(ledger: Ledger, tenant: TenantId, number: InvoiceNumber) -> Invoice | None:
    raise NotImplementedError


async def of_contract(
    ledger: Ledger, tenant: TenantId, contract: ContractNumber, period: Period | None = None
) -> list[Invoice]:
    """Newest first, cancelled ones included."""
    raise NotImplementedError


async def above(ledger: Ledger, tenant: TenantId, number: InvoiceNumber | None) -> list[Invoice]:
    """All mirrored invoices with a higher number, newest first."""
    raise NotImplementedError


async def unread_above(ledger: Ledger, tenant: TenantId, number: InvoiceNumber | None) -> list[InvoiceNumber]:
    """Those of them that were only seen in a list, newest first."""
    raise NotImplementedError
