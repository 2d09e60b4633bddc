"""Callers on several governors and a clock that a test turns: what leaves when, over minutes, in a moment.

The governors are the product's, on a real Valkey, with a connection each and with the product's own script but for one
word of it: it asks a key for the time instead of the server. It knows nothing of how slots are kept, but for the prefix
of the keys.
"""

import heapq
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from redis.asyncio import Redis

from common.fortnox import governor as product
from common.fortnox.errors import NoSlot
from common.fortnox.governor import PUNCTUAL, Governor, Slot, governor_redis
from common.ids import TenantId

TENANT = TenantId(1001)
_CLOCK = "test:clock"
_BEGINNING = 1_790_000_000_000_000
_SCRIPT = product._SCRIPT.replace("redis.call('TIME')", f"redis.call('MGET', '{_CLOCK}:s', '{_CLOCK}:us')")


@dataclass(frozen=True)
class Caller:
    """Somebody who wants to make one request. Times in seconds.

    Parameters:
      at: when it comes.
      frozen: how much later than its slot it wakes.
      late: how much later than it may its request leaves.
      dies: it books, and is never heard of again.
      cancelled: how long after it came it gives up waiting and gives its slot back.
    """

    at: float
    governor: int = 0
    frozen: float = 0.0
    late: float = 0.0
    dies: bool = False
    cancelled: float | None = None
    max_wait: float = 60.0
    tenant: TenantId = TENANT


@dataclass(frozen=True)
class Trouble:
    """What befalls all callers: "throttle" (a 429, with `retry_after`), "wipe", "restart"."""

    at: float
    kind: str
    retry_after: float | None = None


@dataclass(frozen=True)
class Left:
    """A request that was made.

    Parameters:
      place: which of those who came.
      may: when its governor let it go.
      at: when it left.
    """

    caller: Caller
    place: int
    may: float
    at: float


class Event(NamedTuple):
    """At the same time, who wakes comes before who leaves, before who comes, before trouble."""

    at: float
    order: int
    place: int
    what: str
    who: Caller | Trouble
    slot: Slot | None = None


@dataclass
class Street:
    """A Valkey with a clock of its own and some governors on it; `leaving` is what was seen at the far end."""

    redis_url: str
    window: float = product.WINDOW
    now: float = 0.0
    governors: list[Governor] = field(default_factory=list)
    leaving: list[Left] = field(default_factory=list)
    turned_away: list[Caller] = field(default_factory=list)
    _may: dict[int, float] = field(default_factory=dict)
    _clients: list[Redis] = field(default_factory=list)
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> "Street":
        for _ in range(3):
            client = governor_redis(self.redis_url)
            self._opened.push_async_callback(client.aclose)
            governor = Governor(client, "client", self.window)
            governor._script = client.register_script(_SCRIPT)
            self._clients.append(client)
            self.governors.append(governor)
        await self._clients[0].flushall()
        await self.turn(0)
        await self.governors[0].vouch()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @property
    def redis(self) -> Redis:
        return self._clients[0]

    async def turn(self, now: float) -> None:
        """Sets the clock, which may also go back. What would have expired meanwhile has."""
        if now > self.now + 3:
            for key in await self.redis.keys("governor:*"):
                left = await self.redis.pttl(key)
                # The server counts them down by a clock of its own, during which this machine may have stood still.
                if 0 <= left / 1000 < now - self.now - 2:
                    await self.redis.delete(key)
        self.now = now
        seconds, microseconds = divmod(_BEGINNING + round(now * 1_000_000), 1_000_000)
        await self.redis.mset({f"{_CLOCK}:s": seconds, f"{_CLOCK}:us": microseconds})

    async def wipe(self) -> None:
        await self.redis.flushall()
        await self.turn(self.now)

    async def restart(self) -> None:
        """As one that has written down everything comes back: no connections, no scripts."""
        await self.redis.script_flush()
        for client in self._clients:
            await client.connection_pool.disconnect()

    async def watch(self, callers: Iterable[Caller], troubles: Iterable[Trouble] = ()) -> "Street":
        """Lets everything happen, each thing in its time."""
        events = [
            Event(caller.at, 2, place, "comes", caller)
            for place, caller in enumerate(sorted(callers, key=lambda caller: caller.at))
        ]
        events += [Event(trouble.at, 3, number, trouble.kind, trouble) for number, trouble in enumerate(troubles)]
        heapq.heapify(events)
        while events:
            event = heapq.heappop(events)
            if event.at > self.now:
                await self.turn(event.at)
            if isinstance(event.who, Trouble):
                await self._befall(event.who)
            elif (next_event := await self._live(event, event.who)) is not None:
                heapq.heappush(events, next_event)
        return self

    async def _befall(self, trouble: Trouble) -> None:
        match trouble.kind:
            case "throttle":
                await self.governors[0].throttle(TENANT, trouble.retry_after)
            case "wipe":
                await self.wipe()
            case "restart":
                await self.restart()

    async def _live(self, event: Event, caller: Caller) -> Event | None:
        """What comes next in the caller's life."""
        governor, place = self.governors[caller.governor], event.place
        if event.what == "leaves" and event.slot:
            self.leaving.append(Left(caller, place, self._may[place], self.now))
            if caller.late > PUNCTUAL:
                await governor.left_late(caller.tenant, event.slot)
            return None
        if event.what == "gives up" and event.slot:
            await governor.give_back(caller.tenant, event.slot)
            return None
        try:
            patience = max(caller.at + caller.max_wait - self.now, 0)
            slot = await governor.slot(caller.tenant, patience, event.slot)
        except NoSlot:
            self.turned_away.append(caller)
            return None
        if caller.dies:
            return None
        if not slot.wait:
            self._may[place] = self.now
            return Event(self.now + caller.late, 1, place, "leaves", caller, slot)
        wakes = self.now + slot.wait + caller.frozen
        if caller.cancelled is not None and caller.at + caller.cancelled < wakes:
            return Event(max(caller.at + caller.cancelled, self.now), 0, place, "gives up", caller, slot)
        return Event(wakes, 0, place, "wakes", caller, slot)
