"""Fortnox did something that was not asked for: what a company's creates are stopped by, and when the company is.

A surprise stops the creates of the company at once; a second within the hour pauses the company for a person (design,
section 6). Nothing here may ever be talked out of that by how plausible the surprise looks.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from common.ids import TenantId
from common.ledger import audit, blocks, pauses
from common.ledger.columns import Instant, microseconds
from common.ledger.database import NOW, Ledger
from common.ledger.schema import audit as entries
from common.ledger.schema import blocks as standing_blocks
from common.rules.reasons import Reason
from common.rules.states import Step

AGAIN_WITHIN = timedelta(hours=1)
"""Two surprises of a company within so long are no coincidence."""

SURPRISED = "surprised"
"""The audit's word for one."""


async def note(ledger: Ledger, tenant: TenantId, facts: Mapping[str, str], by: str) -> bool:
    """Stops the creates of the company, and pauses the whole company if this is the second within the hour.

    Parameters:
      facts: what was asked for and what came, for the person who looks into it; `contract` among them.

    Returns:
      Whether the company is paused for it.
    """

    def work(connection: Connection) -> bool:
        blocks.lock(connection, tenant)
        standing = connection.execute(_STANDING, {"of_tenant": tenant}).scalar_one_or_none()
        told = {**facts, **_still_unexplained(standing or {}, facts)}
        blocks.put_in(connection, ledger, tenant, Step.CREATE, Reason.SURPRISE, told, by)
        parameters = {"of_tenant": tenant, "within": microseconds(AGAIN_WITHIN), **ledger.shift}
        earlier = connection.execute(_EARLIER, parameters).scalar_one()
        audit.record(connection, ledger, by, SURPRISED, tenant=tenant, before={}, after=dict(facts))
        return bool(earlier)

    again = await ledger.transact(work)
    if again:
        why = f"the second surprise within the hour, on contract {facts.get('contract', 'unknown')}"
        await pauses.pause(ledger, "tenant", tenant=tenant, by=by, why=why)
    return again


def _still_unexplained(standing: Mapping[str, str], facts: Mapping[str, str]) -> dict[str, str]:
    """What the block must go on telling of the surprises before: each contract is to be explained by itself, and two
    invoices of one period are explained by no listing."""
    contracts = [*standing.get("contract", "").split(", "), facts.get("contract", "")]
    told = {"contract": ", ".join(dict.fromkeys(filter(None, contracts)))}
    return told | {name: standing[name] for name in ("invoices",) if name in standing and name not in facts}


_STANDING: Any = select(standing_blocks.c.detail).where(
    standing_blocks.c.tenant == bindparam("of_tenant"),
    standing_blocks.c.step == Step.CREATE.value,
    standing_blocks.c.reason == Reason.SURPRISE.value,
)
_EARLIER: Any = select(func.count()).where(
    entries.c.tenant == bindparam("of_tenant"),
    entries.c.action == SURPRISED,
    entries.c.at > NOW - bindparam("within", type_=Instant.impl),
)
