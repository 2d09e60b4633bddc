"""The rate limit: at most 25 requests in any window per client id and tenant, shared by all processes through Redis.

One round trip books a slot, first come first served, by Redis' clock alone; `governor.lua` says how, and holds the key
layout. It never counts in this process and never lets a request through when Redis does not answer.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from common.fortnox.errors import GovernorUnreachable, NoSlot
from common.ids import TenantId

log = structlog.get_logger()

WINDOW = 5.25
"""Seconds. Fortnox counts 25 in any 5 s (API notes 6); the rest covers jitter on the way (design, section 9)."""
LIMIT = 25
LEAST_PAUSE = 1.0
"""Seconds that a 429 holds a tenant back at the least, so that a `Retry-After: 0` makes no storm."""

_SCRIPT = Path(__file__).with_name("governor.lua").read_text(encoding="utf-8")
_SECOND = 1_000_000

Reply = TypeVar("Reply")


def governor_url(redis_url: str) -> str:
    """The address of the governor's database: the one after the broker's.

    It has its own since the broker's maintenance scans all keys of the broker's (design, section 9).
    """
    address, _, query = redis_url.partition("?")
    options = dict(parse_qsl(query))
    parts = urlsplit(address)
    if "db" in options or parts.scheme == "unix":
        return f"{address}?{urlencode(options | {'db': int(options.get('db', 0)) + 1})}"
    path = f"/{int(parts.path.strip('/') or 0) + 1}"
    return urlunsplit(parts._replace(path=path, query=query))


def governor_redis(redis_url: str) -> Redis:
    """A connection to the governor's database, for the governor and for the shared tokens.

    A command whose reply was lost is sent once more: at worst that books a slot which nobody uses.

    Parameters:
      redis_url: the broker's address.
    """
    return Redis.from_url(
        governor_url(redis_url),
        socket_timeout=10,
        socket_connect_timeout=3,
        socket_keepalive=True,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
    )


@dataclass(frozen=True, slots=True)
class Slot:
    """A booked slot.

    Parameters:
      wait: seconds until it is due, from when it was booked.
      at: its time by Redis' clock, as the script wrote it.
    """

    wait: float
    at: bytes


class Governor:
    """Hands out the slots of all tenants under one client id.

    Parameters:
      redis: see `governor_redis`.
      client_id: the integration whose requests are counted.
      window: seconds in which at most `limit` slots lie.

    Every method raises `GovernorUnreachable` when Redis does not answer.
    """

    def __init__(self, redis: Redis, client_id: str, window: float = WINDOW, limit: int = LIMIT) -> None:
        self._redis = redis
        self._client = client_id
        self._window = window
        self._limit = limit
        self._script = redis.register_script(_SCRIPT)

    async def slot(self, tenant: TenantId, max_wait: float) -> Slot:
        """Book the tenant's next free slot; the caller waits until it is due, then makes one request.

        Raises: `NoSlot` when it is further away than `max_wait` seconds; nothing is booked then.
        """
        granted, wait, *at = await self._run("slot", tenant, max_wait)
        if not granted:
            raise NoSlot(tenant, wait / _SECOND)
        return Slot(wait / _SECOND, at[0])

    async def left_late(self, tenant: TenantId, slot: Slot, seconds: float) -> None:
        """The slot's request has left so many seconds after it was due: it was spent then, and counts from then."""
        await self._run("late", tenant, seconds, slot.at)

    async def room(self, tenant: TenantId, horizon: float) -> int:
        """How many slots are free within the next `horizon` seconds. Books nothing."""
        return int(await self._run("room", tenant, horizon))

    async def throttle(self, tenant: TenantId, retry_after: float | None) -> None:
        """After a 429: no slot for the tenant in any process for `retry_after` seconds.

        Without a `Retry-After` it is a whole window, since Fortnox goes on refusing until the average is back at 25 a
        period (API notes 6). A pause under way that lasts longer stands.
        """
        wanted = self._window if retry_after is None else max(retry_after, LEAST_PAUSE)
        pause = await self._run("throttle", tenant, wanted)
        log.warning("tenant_throttled", tenant=tenant, seconds=round(pause / _SECOND, 3), retry_after=retry_after)

    async def pause(self, tenant: TenantId) -> float:
        """The seconds that the pause of a 429 still lasts; 0 when there is none."""
        return float(await self._run("pause", tenant, 0) / _SECOND)

    async def vouch(self) -> None:
        """Say that nobody has called Fortnox with this client id for a window.

        A new Redis looks like one that has lost its memory, and costs a window's wait. Who has just started a sandbox
        knows better; nobody else does.
        """
        await redis_says(self._redis.set(self._key("epoch"), 0))

    async def _run(self, command: str, tenant: TenantId, seconds: float, *more: bytes) -> Any:
        keys = [self._key("epoch"), self._key(f"{tenant}:slots"), self._key(f"{tenant}:throttled")]
        arguments: list[str | int | bytes] = [
            command,
            round(self._window * _SECOND),
            self._limit,
            round(seconds * _SECOND),
            *more,
        ]
        return await redis_says(self._script(keys, arguments))

    def _key(self, rest: str) -> str:
        return f"governor:{{{self._client}}}:{rest}"


async def redis_says(reply: Awaitable[Reply]) -> Reply:
    """What Redis answers. Raises: `GovernorUnreachable` when it does not."""
    try:
        return await reply
    except (RedisError, OSError, TimeoutError) as error:
        raise GovernorUnreachable(str(error) or type(error).__name__) from error
