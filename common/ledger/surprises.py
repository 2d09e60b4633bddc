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
        blocks.put_in(connection, ledger, tenant, Step.CREATE, Reason.SURPRISE, facts, by)
        parameters = {"of_tenant": tenant, "within": microseconds(AGAIN_WITHIN), **ledger.shift}
        earlier = connection.execute(_EARLIER, parameters).scalar_one()
        audit.record(connection, ledger, by, SURPRISED, tenant=tenant, before={}, after=dict(facts))
        return bool(earlier)

    again = await ledger.transact(work)
    if again:
        why = f"the second surprise within the hour, on contract {facts.get('contract', 'unknown')}"
        await pauses.pause(ledger, "tenant", tenant=tenant, by=by, why=why)
    return again


_EARLIER: Any = select(func.count()).where(
    entries.c.tenant == bindparam("of_tenant"),
    entries.c.action == SURPRISED,
    entries.c.at > NOW - bindparam("within", type_=Instant.impl),
)
