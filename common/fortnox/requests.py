"""One request to Fortnox: a permit first, then sent at most once, its outcome sorted by whether Fortnox may have acted.

No layer below repeats a call with an effect: aiohttp's own repetition is switched off and redirects are not followed
(design, section 5 rule 6). Reads alone are tried again, here. A token never reaches a log or an error.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import aiohttp
import structlog
from redis.asyncio import Redis
from yarl import URL

from common.clock import Clock, boottime
from common.fortnox.answers import REFUSALS, Answer, classify, read_json, without
from common.fortnox.auth import Consents, Tokens
from common.fortnox.errors import (
    Broken,
    Faulty,
    Forbidden,
    FortnoxError,
    GovernorUnreachable,
    Throttled,
    TimedOut,
    TokenError,
    Unauthorized,
    Unreachable,
)
from common.fortnox.governor import PUNCTUAL, Governor, Slot, new_ticket
from common.fortnox.token import Token
from common.ids import TenantId
from common.settings import Settings

log = structlog.get_logger()

CONNECT_TIMEOUT = 10.0
"""Seconds for name, connection and TLS together; nothing has been sent when it runs out."""
LATE = 1.0
"""Seconds after its slot was due from which a request does not just leave late: others may have had its place since."""
IDLE_CONNECTION = 15.0
"""Seconds after which an unused connection is closed by us, rather than found closed by an effect."""
READ_PAUSES = (0.2, 0.6, 1.8)
"""Seconds between the tries of a read, so four tries at most."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Permit:
    """A token, and a slot under the rate limit that is due now: good for one request, to be made at once.

    Parameters:
      due: by `boottime`, when the slot was due; a little before rather than after.
      spent: whether the request has been made.
    """

    tenant: TenantId
    token: Token
    slot: Slot
    due: float
    spent: bool = False


@dataclass(slots=True)
class _Phase:
    """How far one request has come. Once a connection stands, a byte of the request may have left."""

    connected: bool = False


class Requests:
    """The requests of one integration (client id) for all its tenants; one a process.

    Parameters:
      governor: shared with whoever wants to know how much room a tenant has.
    """

    def __init__(
        self, session: aiohttp.ClientSession, tokens: Tokens, governor: Governor, *, api_url: str, clock: Clock
    ) -> None:
        self.governor = governor
        self._session = session
        self.tokens = tokens
        self._api = api_url
        self._clock = clock
        self._noting: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, settings: Settings, redis: Redis, consents: Consents[Any] | None = None) -> "Requests":
        """Requests by the settings.

        Parameters:
          redis: the governor's database (`governor_redis`); the caller closes it, after the requests.
          consents: how each tenant's tokens are had; `None`: all by client credentials.
        """
        session = aiohttp.ClientSession(
            # The governor limits the requests; a wait for a connection of the pool would only hide how long they take.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION),
            # Cookies of a load balancer would otherwise travel from one tenant's answers to another's requests.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": "Avtalsmotor"},
            timeout=aiohttp.ClientTimeout(
                total=settings.call_timeout, connect=CONNECT_TIMEOUT, sock_connect=CONNECT_TIMEOUT
            ),
            trace_configs=[_connection_trace()],
        )
        # aiohttp 3.14.5 sends GET and PUT once more when a connection breaks, and has no public switch for it.
        if not hasattr(session, "_retry_connection"):
            await session.close()
            raise RuntimeError("This aiohttp cannot be told not to repeat requests; install the pinned version.")
        session._retry_connection = False  # noqa: SLF001
        clock = settings.clock
        client_id = settings.fortnox_client_id
        tokens = Tokens(
            session,
            redis,
            auth_url=settings.fortnox_auth_url,
            client_id=client_id,
            client_secret=settings.fortnox_client_secret.get_secret_value(),
            call_timeout=settings.call_timeout,
            clock=clock,
            consents=consents,
        )
        return cls(
            session,
            tokens,
            Governor(redis, client_id, settings.rate_window),
            api_url=settings.fortnox_api_url,
            clock=clock,
        )

    async def close(self) -> None:
        """Close the connections to Fortnox."""
        await asyncio.gather(*self._noting)
        await self.tokens.close()
        await self._session.close()

    async def permit(self, tenant: TenantId, *, max_wait: float = 30) -> Permit:
        """Wait for the tenant's next slot.

        The token comes first, so that a tenant without one spends no slots, and once more after the wait, since a
        short-lived one may have run out in it.

        Parameters:
          max_wait: seconds.

        Who has waited asks once more before it goes: a 429 holds back also those who had booked before it. Who is
        cancelled meanwhile, or has no token any more, gives the slot back.

        Raises: `TokenError`, `GovernorUnreachable`; `NoSlot` when the slot is further away than `max_wait`.
        """
        deadline = boottime() + max_wait
        await self.tokens.token(tenant)
        # Its ticket is known before it is booked: who is cancelled may have booked it, and not have heard so yet.
        slot = Slot(new_ticket(), 0.0)
        try:
            due = await self._until_due(tenant, slot, deadline)
            return Permit(tenant, await self.tokens.token(tenant), slot, due)
        except (asyncio.CancelledError, TokenError):
            self._tell_governor(self.governor.give_back(tenant, slot), "slot_not_given_back", tenant)
            raise

    async def still_due(self, permit: Permit, *, max_wait: float) -> None:
        """Waits for the permit's slot anew if it was not used when it was due, as when a commit took seconds.

        The token stays the one that whoever holds the permit has written down.

        Parameters:
          max_wait: seconds.

        Raises: `GovernorUnreachable`; `NoSlot` when the slot is further away than `max_wait`.
        """
        late = boottime() - permit.due
        if late > LATE:
            log.info("slot_asked_for_again", tenant=permit.tenant, late=round(late, 3))
            permit.due = await self._until_due(permit.tenant, permit.slot, boottime() + max_wait)

    async def _until_due(self, tenant: TenantId, slot: Slot, deadline: float) -> float:
        """Waits until what is booked under the slot's ticket is due; returns when that was, by `boottime`."""
        while True:
            asked = boottime()
            slot = await self.governor.slot(tenant, max(deadline - asked, 0), slot)
            if not slot.wait:
                return asked
            await asyncio.sleep(slot.wait)

    async def read(self, tenant: TenantId, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """A GET without effect, tried again where the reason may pass."""
        renewed = False
        for pause in (*READ_PAUSES, None):
            permit = await self.permit(tenant)
            try:
                return await self.send(permit, "GET", path, params=params)
            except Unauthorized:
                if renewed or pause is None:
                    raise
                renewed = True
            except Throttled:
                # The next permit waits as long as it must.
                if pause is None:
                    raise
            except (Unreachable, TimedOut, Broken, Faulty) as error:
                if pause is None:
                    raise
                log.info("read_repeated", path=path, tenant=tenant, error=type(error).__name__, pause=pause)
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def send(
        self,
        permit: Permit,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One request, sent at most once, its outcome sorted by whether Fortnox may have acted."""
        if permit.spent:
            raise RuntimeError("A permit is good for one request; ask for another.")
        permit.spent = True
        request, tenant, phase = f"{method} {path}", permit.tenant, _Phase()
        own_headers = {"Authorization": f"Bearer {permit.token.value}"}
        if body is not None:
            own_headers["Content-Type"] = "application/json"
        status, headers, content = 0, _NO_HEADERS, b""
        started_at, began = self._clock.now(), boottime()
        if began - permit.due > PUNCTUAL:
            # A claim's commit and a busy machine take their time after the slot was due. Were the governor not told, a
            # request that left late would be followed too closely by the one that is due a window after its slot.
            self._tell_governor(self.governor.left_late(tenant, permit.slot), "lateness_not_noted", tenant)
        try:
            async with self._session.request(
                method,
                URL(f"{self._api}{path}", encoded=True),
                params=params,
                json=body,
                headers=own_headers,
                # Fortnox minds a content type that it does not know (code 1000031), and aiohttp would make one up.
                skip_auto_headers=("Content-Type",),
                allow_redirects=False,
                trace_request_ctx=phase,
            ) as response:
                status, headers = response.status, response.headers
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # A refusal stands by its status alone, also when the rest of the answer is cut off.
            if status not in REFUSALS:
                raise _failed(request, tenant, phase, status, headers, error) from error
        finally:
            log.debug(
                "fortnox_request",
                method=method,
                path=path,
                status=status or None,
                tenant=tenant,
                seconds=round(boottime() - began, 4),
                x_uid=headers.get("X-Uid"),
            )
        refused = classify(request, tenant, status, without(content, permit.token.value), headers)
        if refused is not None:
            await self._told(refused, permit)
            raise refused
        answer = Answer(request, tenant, status, {}, headers.get("X-Uid"), started_at)
        try:
            document = read_json(content)
        except ValueError as error:
            raise answer.unreadable("the body is not JSON") from error
        if not isinstance(document, dict):
            raise answer.unreadable("the body is not an object")
        return replace(answer, body=document)

    def _tell_governor(self, telling: Coroutine[Any, Any, None], failure: str, tenant: TenantId) -> None:
        """Tells it beside what goes on here, and waits for it only at the end; what cannot be told is logged."""

        async def tell() -> None:
            try:
                await telling
            except GovernorUnreachable as error:
                log.warning(failure, tenant=tenant, error=error.reason)

        noting = asyncio.create_task(tell())
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _told(self, refused: FortnoxError, permit: Permit) -> None:
        """Let every process know what a refusal says of the token or the rate limit.

        That Redis cannot be told must not hide what Fortnox has answered.
        """
        try:
            if isinstance(refused, Unauthorized | Forbidden):
                # What a token may do is settled when it is given: rights that are added later come with the next one.
                await self.tokens.invalidate(permit.tenant, permit.token)
            elif isinstance(refused, Throttled):
                await self.governor.throttle(permit.tenant, refused.retry_after)
        except GovernorUnreachable as error:
            log.warning("refusal_not_shared", tenant=permit.tenant, status=refused.http_status, error=error.reason)


def _connection_trace() -> aiohttp.TraceConfig:
    """Tells each request's `_Phase` when its connection stands, just made or found open."""

    async def connected(
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        event: aiohttp.TraceConnectionCreateEndParams | aiohttp.TraceConnectionReuseconnParams,
    ) -> None:
        if isinstance(context.trace_request_ctx, _Phase):
            context.trace_request_ctx.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


def _failed(
    request: str,
    tenant: TenantId,
    phase: _Phase,
    status: int,
    headers: Mapping[str, str],
    failure: Exception,
) -> FortnoxError:
    """What a failure on the wire means, by how far the request had come."""
    kind: type[FortnoxError]
    if not phase.connected:
        kind = Unreachable
    elif isinstance(failure, TimeoutError):
        kind = TimedOut
    else:
        kind = Broken
    message = str(failure) or type(failure).__name__
    return kind(request, tenant, http_status=status or None, message=message, x_uid=headers.get("X-Uid"))
