"""Makes each company's proof once a day: in the morning, once what is due has been worked, and never in its way.

It reads through the same governor as everything else, one request of a company after the other, so that a call which
makes an invoice waits for one slot at most.
"""

import asyncio
from collections.abc import Collection
from datetime import date, datetime, time, timedelta

import structlog

from common.clock import STOCKHOLM
from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, NotSent
from common.ids import TenantId
from common.ledger import billings, proofs
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.rules.states import Status, Step
from producers.reconciliation import prove

log = structlog.get_logger()

BY = "producer"

AT_ONCE = 4
"""Companies that are proved at the same time: a bureau's are spread over the morning by that alone."""

TRY_AGAIN_AFTER = timedelta(minutes=15)
"""When a company could not be read, or who tried was killed."""

WORK_FIRST = timedelta(hours=2)
"""So long what is due goes before its proof; what is not done then is what the proof must tell."""


class Mornings:
    """The proofs of all companies.

    Parameters:
      opens: the time of day in Sweden from which on they are made.
    """

    def __init__(self, ledger: Ledger, fortnox: Fortnox, opens: time) -> None:
        self._ledger = ledger
        self._fortnox = fortnox
        self._opens = opens
        self._proved: dict[TenantId, date] = {}
        """The last day that needs no look into the ledger."""

    async def prove(self, everybody: Collection[Tenant], being_listed: Collection[TenantId]) -> None:
        """Makes the proofs of today that nobody has made, of the companies that are not at work.

        Parameters:
          being_listed: the companies that a pass is just planning for.

        Raises what says that Redis or the ledger is away; what concerns one company stays with it.
        """
        now = self._ledger.clock.now().astimezone(STOCKHOLM)
        today = now.date()
        wanted = [one for one in everybody if self._proved.get(one.id) != today]
        if now.time() < self._opens or not wanted:
            return
        if now < datetime.combine(today, self._opens, STOCKHOLM) + WORK_FIRST:
            # First who is listed, then whose pass has ended, then what came of it: in any other order a pass that ends
            # between two looks is seen by neither.
            planned = [one for one in wanted if is_listed_on(today, one) and one.id not in being_listed]
            going = await self._going(now)
            wanted = [one for one in planned if one.id not in going and one.id not in being_listed]
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(tenant: Tenant) -> None:
            async with turns:
                await self._prove(tenant, today)

        async with asyncio.TaskGroup() as proving:
            for tenant in wanted:
                proving.create_task(in_turn(tenant))

    async def _going(self, now: datetime) -> frozenset[TenantId]:
        """The companies with something that is to be called or found now, be it that a person has stopped it."""
        # In one statement: between two, a billing could pass from what the one shows to what the other does.
        found = await billings.find(self._ledger, status=(Status.WAITING, Status.CLAIMED, Status.SEEKING))
        return frozenset(
            one.tenant
            for one in found
            if (one.not_before is None or one.not_before <= now)
            and not (one.step is Step.DELIVER and one.status is Status.SEEKING)
        )

    async def _prove(self, tenant: Tenant, day: date) -> None:
        if not await proofs.begin(self._ledger, tenant.id, day, again_after=TRY_AGAIN_AFTER):
            if await proofs.is_made(self._ledger, tenant.id, day):
                self._proved[tenant.id] = day
            return
        try:
            await prove(self._ledger, self._fortnox, tenant, day, BY)
        except (FortnoxError, NotSent) as error:
            log.warning("proof_not_made", tenant=tenant.id, day=str(day), error=str(error))
        else:
            self._proved[tenant.id] = day


def is_listed_on(day: date, tenant: Tenant) -> bool:
    """Whether the contracts have been read on the day, so that what is due on it has been planned."""
    return tenant.listed_at is not None and tenant.listed_at.astimezone(STOCKHOLM).date() == day
