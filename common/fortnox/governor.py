"""The rate limit: at most 25 requests in any window per client id and tenant, shared by all processes through Redis.

One round trip books a slot, first come first served, by Redis' clock alone; `governor.lua` says how, and holds the key
layout. It never counts in this process and never lets a request through when Redis does not answer.
"""

import secrets
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

from common.clock import boottime
from common.fortnox.errors import GovernorUnreachable, NoSlot
from common.ids import TenantId

log = structlog.get_logger()

WINDOW = 5.25
"""Seconds. Fortnox counts 25 in any 5 s (API notes 6); the rest covers jitter on the way (design, section 9)."""
LIMIT = 25
PUNCTUAL = 0.025
"""Seconds after its slot within which a request may leave without our telling the governor: a tenth of the margin that
the window has over Fortnox' own (design, section 9)."""
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

    A command whose reply was lost is sent once more, which changes nothing: a ticket has one slot, however often asked
    for.

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
      ticket: what it is booked under.
      wait: seconds until it is due, or to be asked for again, from when it was asked for.
    """

    ticket: str
    wait: float


class Governor:
    """Hands out the slots of all tenants under one client id.

    Parameters:
      redis: see `governor_redis`.
      client_id: the integration whose requests are counted.
      window: seconds in which at most `limit` slots lie; after a 429 the tenant's is wider for a while.

    Every method raises `GovernorUnreachable` when Redis does not answer.
    """

    def __init__(self, redis: Redis, client_id: str, window: float = WINDOW, limit: int = LIMIT) -> None:
        self._redis = redis
        self._client = client_id
        self._window = window
        self._limit = limit
        self._script = redis.register_script(_SCRIPT)

    async def slot(self, tenant: TenantId, max_wait: float, booked: Slot | None = None) -> Slot:
        """Book the tenant's next free slot. Without a wait its request may leave now, and is to leave at once.

        Otherwise the caller waits, then asks again for what it has booked: a 429 or a late request may have moved it.

        Parameters:
          max_wait: seconds; more than a minute counts as a minute.
          booked: the slot whose wait is over, or whose ticket it is to be booked under.

        Raises: `NoSlot` when the slot is further away than `max_wait`; nothing is booked then, or stays booked.
        """
        ticket = booked.ticket if booked else new_ticket()
        granted, wait = await self._run("slot", tenant, max_wait, ticket, round(PUNCTUAL * _SECOND))
        if not granted:
            raise NoSlot(tenant, wait / _SECOND)
        return Slot(ticket, wait / _SECOND)

    async def left_late(self, tenant: TenantId, slot: Slot) -> None:
        """The slot's request leaves now, later than it was due: the slot is spent now, and counts from now."""
        await self._run("left", tenant, 0, slot.ticket)

    async def give_back(self, tenant: TenantId, slot: Slot) -> None:
        """The slot will not be used. Who has a later one keeps it; what is booked from now on may come the sooner."""
        await self._run("back", tenant, 0, slot.ticket)

    async def room(self, tenant: TenantId, horizon: float) -> int:
        """How many slots are free within the next `horizon` seconds. Books nothing."""
        return int(await self._run("room", tenant, horizon))

    async def throttle(self, tenant: TenantId, retry_after: float | None) -> None:
        """After a 429: no slot for the tenant in any process for `retry_after` seconds, and a wider window after that.

        Without a `Retry-After` it is a whole window, since Fortnox goes on refusing until the average is back at 25 a
        period (API notes 6). A pause under way that lasts longer stands.
        """
        wanted = self._window if retry_after is None else max(retry_after, LEAST_PAUSE)
        pause, window = await self._run("throttle", tenant, wanted)
        log.warning(
            "tenant_throttled",
            tenant=tenant,
            seconds=round(pause / _SECOND, 3),
            retry_after=retry_after,
            window=round(window / _SECOND, 3),
        )

    async def vouch(self) -> None:
        """Say that nobody has called Fortnox with this client id for a window.

        A new Redis looks like one that has lost its memory, and costs a window's wait. Who has just started a sandbox
        knows better; nobody else does.
        """
        await redis_says(self._redis.set(self._key("epoch"), 0))

    async def _run(self, command: str, tenant: TenantId, seconds: float, *more: str | int) -> Any:
        keys = [self._key("epoch"), *(self._key(f"{tenant}:{what}") for what in ("slots", "throttled", "wider"))]
        arguments = [command, round(self._window * _SECOND), self._limit, round(seconds * _SECOND), *more]
        return await redis_says(self._script(keys, arguments))

    def _key(self, rest: str) -> str:
        return f"governor:{{{self._client}}}:{rest}"


def new_ticket() -> str:
    """A name for a slot that is nobody else's. The lesser one is the older, as far as one machine can tell."""
    return f"{boottime():017.6f}-{secrets.token_hex(4)}"


async def redis_says(reply: Awaitable[Reply]) -> Reply:
    """What Redis answers. Raises: `GovernorUnreachable` when it does not."""
    try:
        return await reply
    except (RedisError, OSError, TimeoutError) as error:
        raise GovernorUnreachable(str(error) or type(error).__name__) from error
