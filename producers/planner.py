"""Turns what the mirror shows into billings: asks the rules, and inserts what they say. Decides nothing by itself.

`plan` on the command line and the producer take this one way, so that the preview is what happens.
"""

from collections.abc import Sequence
from datetime import date

import structlog

from common.ids import TenantId
from common.ledger import planning
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.rules.plan import Verdict, plan

log = structlog.get_logger()


async def verdicts(ledger: Ledger, tenant: TenantId | None, today: date, days: int = 0) -> list[Verdict]:
    """What the rules say of every mirrored contract, of one tenant or of all."""
    views = await planning.views(ledger, tenant)
    return list(plan(views.contracts, views.facts, today, days))


async def insert_due(ledger: Ledger, tenant: TenantId | None, today: date, by: str) -> Sequence[Billing]:
    """Plans, and inserts the billings of what is due or held. What is there already stays as it is."""
    decided = [one for one in await verdicts(ledger, tenant, today) if one.outcome != "none"]
    inserted = await planning.insert(ledger, decided, by)
    if inserted:
        log.info("billings_inserted", tenant=tenant, billings=len(inserted))
    return inserted
