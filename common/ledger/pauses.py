"""Stops by a person: the bureau's kill switch, one company, one contract. Effective at the next claim."""

from typing import Literal

from common.ids import ContractNumber, TenantId
from common.ledger.database import Ledger

Level = Literal["bureau", "tenant", "contract"]


async def bureau_paused(ledger: Ledger) -> bool:
    raise NotImplementedError


async def pause(
    ledger: Ledger,
    level: Level,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    by: str,
    why: str = "",
) -> None:
    raise NotImplementedError


async def resume(
    ledger: Ledger,
    level: Level,
    *,
    tenant: TenantId | None = None,
    contract: ContractNumber | None = None,
    by: str,
    why: str = "",
) -> None:
    raise NotImplementedError
