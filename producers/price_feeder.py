"""Admits to the queue the contracts whose prices are to be set: a few of each company, and never all its slots.

What the feeder remembers is a hint: lost, it sends a message twice, and the second one finds nothing to claim.
"""

import redis.asyncio

from common.clock import boottime
from common.fortnox.governor import Governor
from common.ids import ContractNumber, TenantId
from common.ledger import price_claims
from common.ledger.database import Ledger
from common.queue import outbox
from common.queue.messages import SetPrices
from producers.tenancy import Tenancy

LOOKED_AT = 2000
"""Price updates at the most that are looked at in a round."""

HORIZON = 1.0
"""Seconds ahead for which slots are filled ..."""

LEAVES_FREE = 5
"""... but for so many of a company's, so that an invoice which falls due meanwhile goes at once."""

REQUESTS = 2
"""That a contract takes: it is read, and sent back."""

SENT_AGAIN_AFTER = 10.0
"""Seconds after which a contract that is still to be done is sent again."""


class PriceFeeder:
    """Feeds the pool *pricing* with the contracts of the producer's companies."""

    def __init__(self, ledger: Ledger, client: redis.asyncio.Redis, governor: Governor, tenancy: Tenancy) -> None:
        self._ledger = ledger
        self._redis = client
        self._governor = governor
        self._tenancy = tenancy
        self._sent: dict[tuple[TenantId, ContractNumber], float] = {}

    async def admit(self) -> int:
        """One round. Returns how many contracts were sent."""
        ready = await price_claims.ready(self._ledger, limit=LOOKED_AT)
        now = boottime()
        still = {(tenant, number) for tenant, numbers in ready.items() for number in numbers}
        self._sent = {key: at for key, at in self._sent.items() if key in still and now - at < SENT_AGAIN_AFTER}
        messages = []
        for tenant, numbers in ready.items():
            if not self._tenancy.holds(tenant):
                continue
            waiting = [number for number in numbers if (tenant, number) not in self._sent]
            under_way = len(numbers) - len(waiting)
            if not waiting:
                continue
            room = (await self._governor.room(tenant, HORIZON) - LEAVES_FREE) // REQUESTS - under_way
            messages += [SetPrices(tenant=tenant, contract=number) for number in waiting[: max(room, 0)]]
        if messages:
            await outbox.enqueue(self._redis, messages)
            self._sent |= {(one.tenant, one.contract): now for one in messages}
        return len(messages)
