"""The consultant who looks after the bureau while the suite runs: does what the product asks a person to do.

She uses the product's own ways for people, and only those. What she leaves alone stays in plain sight.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, NotSent
from common.fortnox.governor import governor_redis
from common.ledger import billings, blocks, pauses, tenants
from common.ledger.billings import NotPossible
from common.ledger.database import Ledger
from common.ledger.records import Block, Tenant
from common.rules.reasons import Reason
from common.rules.reconciliation import SETTLED
from common.rules.states import Status
from common.settings import Settings
from producers.reconciliation import reconcile
from workers import early

BY = "the person on duty"
TRIES = 3
PROOFS_AT_ONCE = 8


class PersonOnDuty:
    """One person, with the product's ledger and client."""

    def __init__(self, ledger: Ledger, fortnox: Fortnox) -> None:
        self._ledger = ledger
        self._fortnox = fortnox

    @classmethod
    @contextlib.asynccontextmanager
    async def at_work(cls, settings: Settings, ledger: Ledger) -> AsyncIterator["PersonOnDuty"]:
        """On duty for the block."""
        assert settings.redis_url is not None
        async with governor_redis(settings.redis_url.get_secret_value()) as slots:
            fortnox = await Fortnox.open(settings, slots)
            try:
                yield cls(ledger, fortnox)
            finally:
                await fortnox.close()

    async def look_after(self) -> None:
        """One round over everything that waits for a person and that she can do something about."""
        for tenant in await tenants.every(self._ledger):
            if tenant.paused:
                await pauses.resume(self._ledger, "tenant", tenant=tenant.id, by=BY)
        for block in await blocks.every(self._ledger):
            probe = await billings.get(self._ledger, block.probe) if block.probe is not None else None
            if probe is None or probe.status is Status.IN_DOUBT:
                await self._retry_one(block)
        await self._cancel_early()

    async def prove(self) -> set[tuple[int, int]]:
        """Proves every company, as is done each morning; (company, invoice) of what the proof says needs a look.

        It is also when a correction is seen that nothing else had to look at again.
        """
        turns = asyncio.Semaphore(PROOFS_AT_ONCE)

        async def of(tenant: Tenant) -> set[tuple[int, int]]:
            async with turns:
                proof = await reconcile(self._ledger, self._fortnox, tenant, self._ledger.clock.today())
            # One that no billing has is told of, too, where its contract is not active any more (`Supply.retire`).
            telling = [line for line in proof.lines if line.finding not in SETTLED or line.state == "handmade"]
            return {(tenant.id, number) for line in telling for number in line.invoices}

        told = await asyncio.gather(*(of(tenant) for tenant in await tenants.every(self._ledger)))
        return set().union(*told)

    async def _retry_one(self, block: Block) -> None:
        """Retries one of the company's billings that the reason stops; the others follow if that goes well."""
        stopped = await billings.find(
            self._ledger, tenant=block.tenant, step=block.step, status={Status.WAITING, Status.PARKED}
        )
        probes = [one for one in stopped if one.status is Status.WAITING or one.reason is block.reason]
        for one in probes[:TRIES]:
            with contextlib.suppress(NotPossible):
                await billings.retry(self._ledger, one.id, BY)
                return

    async def _cancel_early(self) -> None:
        """Cancels every second of the invoices that were made too early; the others wait for their day."""
        for one in await billings.find(self._ledger, status=Status.PARKED):
            if one.reason is Reason.EARLY and one.id % 2:
                with contextlib.suppress(NotPossible, FortnoxError, NotSent):
                    await early.cancel(self._ledger, self._fortnox, one.id, BY)
