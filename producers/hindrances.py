"""Says of which companies the plan is to be made anew, since what hindered them has passed or is another thing.

A person cures a company and lets one invoice be tried: with its success everything goes that was held behind it, and
not only with the next listing. Nothing is read from Fortnox for that.
"""

from collections.abc import Collection

from common.ids import TenantId
from common.ledger import preflights
from common.ledger.database import Ledger
from common.ledger.preflights import Holding


class Hindrances:
    """What hindered each company when its plan was last made anew for that."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._planned_by: dict[TenantId, Holding] = {}

    async def changed(self, ours: Collection[TenantId]) -> dict[TenantId, Holding]:
        """Those of our companies of which something is held for what may have passed, until `planned` is told."""
        holding = await preflights.holding(self._ledger)
        self._planned_by = {tenant: by for tenant, by in self._planned_by.items() if tenant in holding}
        return {tenant: by for tenant, by in holding.items() if tenant in ours and self._planned_by.get(tenant) != by}

    def planned(self, tenant: TenantId, by: Holding) -> None:
        """The company's plan was made anew after it was seen to be hindered so."""
        self._planned_by[tenant] = by
