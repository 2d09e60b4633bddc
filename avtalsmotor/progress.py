"""How far the work has come, company by company and step by step, as the demo shows it. Reads the ledger and the
queues."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import redis.asyncio

from common.ids import TenantId
from common.ledger import billings, blocks, tenants
from common.ledger.database import Ledger
from common.ledger.records import Billing, Block
from common.queue.depth import QueueDepth, depths
from common.rules.states import Status, Step

UNDER_WAY = frozenset({Status.CLAIMED, Status.SEEKING, Status.IN_DOUBT})


@dataclass
class Company:
    """The figures of one company."""

    tenant: TenantId
    name: str
    listed_at: datetime | None
    due: int = 0
    created: int = 0
    bookkept: int = 0
    delivered: int = 0
    waiting: int = 0
    under_way: int = 0
    held: int = 0
    parked: int = 0
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """The figures of all companies at one moment."""

    companies: Sequence[Company]
    queues: Sequence[QueueDepth]
    ready: int
    """How many billings could be worked on now."""

    @property
    def is_quiet(self) -> bool:
        """Whether every company has been read, and nothing is left that goes on without a person or a later day."""
        return (
            self.ready == 0
            and all(company.under_way == 0 for company in self.companies)
            and all(company.listed_at is not None or company.blocks for company in self.companies)
        )

    def total(self, figure: str) -> int:
        """The sum of one figure over the companies."""
        return sum(int(getattr(company, figure)) for company in self.companies)


async def read_progress(ledger: Ledger, client: redis.asyncio.Redis) -> Progress:
    """Reads the figures. They are not of one instant, and need not be."""
    companies = {tenant.id: Company(tenant.id, tenant.name, tenant.listed_at) for tenant in await tenants.every(ledger)}
    for count in await billings.counts(ledger):
        company = companies[count.tenant]
        if count.status is Status.VOIDED:
            continue
        company.due += count.number
        company.under_way += count.number * (count.status in UNDER_WAY)
        company.waiting += count.number * (count.status is Status.WAITING)
        company.held += count.number * (count.status is Status.HELD)
        company.parked += count.number * (count.status is Status.PARKED)
    for (tenant, step), number in (await billings.carried_out(ledger)).items():
        match step:
            case Step.CREATE:
                companies[tenant].created = number
            case Step.BOOKKEEP:
                companies[tenant].bookkept = number
            case Step.DELIVER:
                companies[tenant].delivered = number
    for block in await blocks.every(ledger):
        companies[block.tenant].blocks.append(block)
    ready = await billings.ready(ledger, per_tenant=1)
    return Progress(list(companies.values()), await depths(client), len(ready))


async def needing_a_person(ledger: Ledger) -> dict[TenantId, list[Billing]]:
    """The held and parked billings by company."""
    found: dict[TenantId, list[Billing]] = defaultdict(list)
    for billing in await billings.find(ledger, status={Status.HELD, Status.PARKED}):
        found[billing.tenant].append(billing)
    return found
