"""Turns what the mirror shows into billings: asks the rules, and inserts what they say. Decides nothing by itself.

`plan` on the command line and the producer take this one way, so that the preview is what happens.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

import structlog

from common.ids import ContractNumber, TenantId
from common.ledger import planning
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.rules.plan import Verdict, plan

log = structlog.get_logger()


async def verdicts(ledger: Ledger, tenant: TenantId | None, today: date, days: int = 0) -> list[Verdict]:
    """What the rules say of every mirrored contract, of one tenant or of all."""
    views = await planning.views(ledger, tenant)
    return list(plan(views.contracts, views.facts, today, days))


async def verdicts_on_due(ledger: Ledger, tenant: TenantId | None, today: date, days: int = 0) -> list[Verdict]:
    """The same, but for contracts of which nothing falls due by `days` after today: most of them, on most days."""
    views = await planning.views(ledger, tenant, due_by=today + timedelta(days=days))
    return list(plan(views.contracts, views.facts, today, days))


async def insert_due(
    ledger: Ledger,
    tenant: TenantId | None,
    today: date,
    by: str,
    but_for: Collection[ContractNumber] = (),
) -> Sequence[Billing]:
    """Plans, and inserts the billings of what is due or held. What is there already stays as it is, but for what was
    held in passing and need not be any more.

    Parameters:
      but_for: the contracts of the company of which something is still to be read before.
    """
    await planning.let_go(ledger, tenant, by)
    decided = [
        one
        for one in await verdicts_on_due(ledger, tenant, today)
        if one.outcome != "none" and one.contract.number not in but_for
    ]
    inserted = await planning.insert(ledger, decided, by)
    if inserted:
        log.info("billings_inserted", tenant=tenant, billings=len(inserted))
    return inserted
