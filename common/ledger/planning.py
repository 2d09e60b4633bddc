"""Feeds the plan and takes in its verdicts: the only place that inserts a billing (design, section 5, rule 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.ids import TenantId
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.rules.plan import BilledView, ContractView, TenantFacts, Verdict
from common.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class Views:
    """What `rules.plan.plan` takes."""

    contracts: list[tuple[ContractView, Policy, list[BilledView]]]
    facts: dict[TenantId, TenantFacts]


async def views(ledger: Ledger, tenant: TenantId | None = None) -> Views:
    raise NotImplementedError


async def insert(ledger: Ledger, verdicts: Sequence[Verdict], by: str) -> list[Billing]:
    """Inserts what falls due; what is there already stays. Returns the billings that now wait and did not before."""
    raise NotImplementedError
