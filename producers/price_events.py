"""Listens to what Fortnox announces of articles, so that a changed price is known within a second.

One listener for all companies that follow prices, whoever polls them. An event says only that an article has changed:
its price in the company's own list is looked up at once, and the company is polled soon for whatever else has. Polling
finds what an event does not tell, or what could not be looked up: nothing here is waited for.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import timedelta

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from common.clock import boottime
from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.fortnox.events import Event, Events, Joined, Refused
from common.ids import TenantId
from common.ledger import listening, policies, price_changes, tenants
from common.ledger.database import Ledger
from common.settings import Settings
from producers.prices import Prices, is_followed

log = structlog.get_logger()

TOPIC = "articles"

LEASE = timedelta(seconds=15)
"""A listener that has been silent for so long is dead."""

ALIVE_EVERY = 5.0
"""Seconds between two signs of life."""

LOOKS_EVERY = 60.0
"""Seconds between two looks which companies follow prices: that reads every policy there is."""


class PriceEvents:
    """The listener of one producer; of several that run, one listens.

    Parameters:
      name: the producer's.
      noticed: called when a price has changed.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        fortnox: Fortnox,
        prices: Prices,
        name: str,
        noticed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._fortnox = fortnox
        self._prices = prices
        self._name = name
        self._noticed = noticed
        self._companies: frozenset[TenantId] = frozenset()
        self._looks_at = 0.0
        self.heard: frozenset[TenantId] = frozenset()
        """The companies whose events are told now."""

    async def listen(self) -> None:
        """Listens for ever, while this is the one that does and any company follows prices."""
        try:
            while True:
                try:
                    await self._look()
                    if self._companies and await self._holds():
                        await self._listen()
                except (OSError, RedisError, DBAPIError) as error:
                    log.warning("price_events_wait", error=str(error))
                except Exception:
                    # A fault of ours here must not stop what is due.
                    log.exception("price_events_wait")
                await asyncio.sleep(ALIVE_EVERY if self._companies else LOOKS_EVERY)
        finally:
            with contextlib.suppress(OSError, DBAPIError):
                await listening.let_go(self._ledger, TOPIC, self._name)

    async def _listen(self) -> None:
        """One time of listening, to the end of the lease."""
        events = Events(self._settings, self._fortnox.tokens, [TOPIC], self._kept)
        events.add(self._companies)
        hearing = asyncio.create_task(self._hear(events))
        try:
            while not hearing.done():
                await asyncio.wait({hearing}, timeout=ALIVE_EVERY)
                before = self._companies
                await self._look()
                events.add(self._companies - before)
                events.remove(before - self._companies)
                if not self._companies or not await self._holds():
                    return
            hearing.result()
        finally:
            self.heard = frozenset()
            while not hearing.done():
                # More than once: Redis' client loses a cancellation that comes as a send ends.
                hearing.cancel()
                await asyncio.wait({hearing}, timeout=1.0)

    async def _hear(self, events: Events) -> None:
        async with aclosing(events.told()) as told:
            async for one in told:
                match one:
                    case Event():
                        await self._learn(one)
                        if not await listening.keep(self._ledger, TOPIC, self._name, one.offset):
                            return
                    case Joined():
                        self.heard |= one.tenants
                        if TOPIC in one.from_now:
                            self._prices.poll_soon(one.tenants)
                    case Refused():
                        log.info("price_events_refused", tenant=one.tenant, reason=one.reason)

    async def _learn(self, event: Event) -> None:
        """Looks up what the event is about; where that is not to be had now, the next poll finds it."""
        tenant = event.tenant
        if tenant not in self._companies:
            return
        self._prices.poll_soon([tenant])
        watch = await price_changes.watch(self._ledger, tenant)
        if watch is None or watch.price_list is None:
            return
        try:
            changes = await self._prices.look_up_when_quiet(tenant, watch.price_list, event.entity)
        except (errors.FortnoxError, errors.NotSent) as error:
            log.info("price_not_looked_up", tenant=tenant, article=event.entity, error=str(error))
            return
        if changes:
            self._noticed()

    async def _look(self) -> None:
        """Which companies follow prices, if it was long ago that it was asked."""
        if boottime() < self._looks_at:
            return
        book = await policies.load(self._ledger)
        self._companies = frozenset(one.id for one in await tenants.every(self._ledger) if is_followed(book, one.id))
        self._looks_at = boottime() + LOOKS_EVERY

    async def _holds(self) -> bool:
        return await listening.hold(self._ledger, TOPIC, self._name, LEASE)

    async def _kept(self) -> Mapping[str, str]:
        known = await listening.offset(self._ledger, TOPIC)
        return {} if not known else {TOPIC: known}
