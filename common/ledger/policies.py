"""What the user has chosen at each of the four levels, kept and audited."""

from collections.abc import Collection
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from common.ids import ContractNumber, TenantId
from common.ledger.database import Ledger
from common.rules.policy import Policy, PolicyChoice

Level = Literal["bureau", "tenant", "template", "contract"]


class PolicyBook:
    """All choices, loaded at once."""

    def policy_of(self, tenant: TenantId, template: str | None, contract: ContractNumber | None) -> Policy:
        raise NotImplementedError


async def load(source: Ledger | AsyncConnection, tenant: TenantId | None = None) -> PolicyBook:
    raise NotImplementedError


async def get(
    ledger: Ledger,
    level: Level,
    *,
    tenant: TenantId | None = None,
    template: str | None = None,
    contract: ContractNumber | None = None,
) -> PolicyChoice:
    raise NotImplementedError


async def change(
    ledger: Ledger,
    level: Level,
    choice: PolicyChoice,
    by: str,
    *,
    tenant: TenantId | None = None,
    template: str | None = None,
    contract: ContractNumber | None = None,
    unsay: Collection[str] = (),
) -> PolicyChoice:
    """What the choice says replaces, the rest stays; fields in `unsay` say nothing again. Returns the whole choice."""
    raise NotImplementedError
