"""What an actor works with: the ledger, Redis and the Fortnox client of this process, opened once on its event loop.

Dramatiq runs every async actor of a process on one event loop; sessions and pools belong to that loop, so they are
opened by the first message and not at import.
"""

import asyncio
import os
import socket
from dataclasses import dataclass, field
from datetime import timedelta

from redis.asyncio import Redis

from common.consents import Consents
from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ledger.database import Ledger, open_ledger
from common.queue import doorbell
from common.queue.connections import connect_async
from common.settings import Settings
from workers.in_hand import InHand

LONGEST_WAIT = 10.0
"""Seconds; the feeder admits only what waits about two."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of one worker process."""

    settings: Settings
    ledger: Ledger
    redis: Redis
    """The queues' database."""
    slots: Redis
    """The governor's database."""
    fortnox: Fortnox
    high_water: HighWater
    name: str
    in_hand: InHand = field(default_factory=InHand)

    @property
    def lease(self) -> timedelta:
        """How long a claim holds: longer than the longest call can take."""
        return timedelta(seconds=self.settings.call_timeout + self.settings.lease_margin)

    @property
    def settle(self) -> timedelta:
        """How long Fortnox may take to show what it has begun."""
        return timedelta(seconds=self.settings.settle)

    @property
    def longest_wait(self) -> float:
        """Seconds that a call may wait for its slot: what was fresh before it must still be fresh after it."""
        return min(LONGEST_WAIT, self.settings.fresh_seconds / 3)

    async def ring(self) -> None:
        """Tells the feeder that a step became ready. A ring that is lost costs a poll of the feeder, nothing else."""
        await doorbell.ring(self.redis, doorbell.READY)

    @classmethod
    async def open(cls, settings: Settings, redis_url: str, in_hand: InHand | None = None) -> "Runtime":
        """Opens all parts. Raises LedgerError when the ledger cannot be used, RedisError when Redis does not answer.

        Parameters:
          in_hand: of the process, where it may be told to stop.
        """
        ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock)
        client = connect_async(redis_url)
        slots = governor_redis(redis_url)
        high_water = HighWater(ledger, slots, settings.data_dir)
        try:
            await high_water.check()
        except BaseException:
            await slots.aclose()
            await client.aclose()
            await ledger.close()
            raise
        fortnox = await Fortnox.open(settings, slots, Consents(ledger, settings))
        name = f"{socket.gethostname()}:{os.getpid()}"
        return cls(settings, ledger, client, slots, fortnox, high_water, name, in_hand or InHand())

    async def close(self) -> None:
        await self.fortnox.close()
        await self.slots.aclose()
        await self.redis.aclose()
        await self.ledger.close()


class RuntimeOnce:
    """Opens the runtime with the first message and hands the same one to all others of the process."""

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._opening: asyncio.Task[Runtime] | None = None
        self.in_hand = InHand()

    async def __call__(self) -> Runtime:
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.ensure_future(Runtime.open(self._settings, self._redis_url, self.in_hand))
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        if self._opening is not None and self._opening.done() and self._opening.exception() is None:
            await self._opening.result().close()
