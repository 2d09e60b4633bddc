"""Access tokens, by client credentials or by refresh token: one per tenant, shared by all processes, renewed in time.

What is shared lies in Redis (`shared_tokens`), a refresh token in the ledger (`Consents`); nothing of either is ever in
a log or an error. Nothing here makes a request to the API itself.
"""

import asyncio
import json
import random
import secrets
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import aiohttp
import structlog
from redis.asyncio import Redis

from common.clock import Clock, boottime
from common.fortnox.answers import without
from common.fortnox.errors import GovernorUnreachable, TokenRefused, TokenUnreachable
from common.fortnox.shared_tokens import SharedTokens
from common.fortnox.token import Granted, Token
from common.ids import TenantId

log = structlog.get_logger()

FETCH_TIMEOUT = 8.0
"""Seconds for one request to the token server, all phases together."""
LOCK_LIFE = 10.0
"""Seconds after which the lock of a process that died while fetching is anybody's: longer than a fetch can last."""
PATIENCE = 25.0
"""Seconds for which a token is waited for while others fetch it: two lost locks and one's own fetch."""
LEFT_WITHIN = 1.0
"""Seconds that Redis has for taking a new refresh token before it is committed without that."""
USUAL_LIFE = 3600.0
"""Seconds that a token lives when the answer does not say (API notes 7)."""

NOT_KNOWN_YET = TenantId(0)
"""In place of a tenant whose consent is just being given."""

_NONE: Mapping[str, str] = MappingProxyType({})
_TRANSIENT = frozenset({"server_error", "temporarily_unavailable"})


class Renewal(Protocol):
    """The right to use a refresh token once, and the token; see `common.consents.Renewal`."""

    @property
    def refresh_token(self) -> str: ...

    @property
    def held_until(self) -> float: ...


Turn = TypeVar("Turn", bound=Renewal)


class Consents(Protocol[Turn]):
    """How each tenant's tokens are had; see `common.consents.Consents`."""

    async def is_refreshed(self, tenant: TenantId) -> bool: ...

    async def take_turn(self, tenant: TenantId) -> Turn | None: ...

    async def seal(self, renewal: Turn, refresh_token: str) -> str: ...

    async def keep(self, renewal: Turn, sealed: str) -> None: ...

    async def give_up(self, renewal: Turn, *, unanswered: bool) -> None: ...

    async def refused(self, renewal: Turn, refusal: TokenRefused) -> bool: ...


class Tokens:
    """The access tokens of all tenants under one client id.

    Parameters:
      session: has no time-outs of its own that are shorter than `FETCH_TIMEOUT`.
      redis: the governor's database.
      auth_url: the OAuth root, such as `https://apps.fortnox.se/oauth-v1`.
      call_timeout: seconds that one request to the API may take.
      consents: `None`: all by client credentials.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        redis: Redis,
        *,
        auth_url: str,
        client_id: str,
        client_secret: str,
        call_timeout: float,
        clock: Clock,
        consents: Consents[Any] | None = None,
    ) -> None:
        self._session = session
        self._shared = SharedTokens(redis, client_id, client_secret, clock)
        self._url = f"{auth_url}/token"
        self._client = client_id
        self._secret = client_secret
        self._call_timeout = call_timeout
        self._clock = clock
        self._consents = consents
        self._held: dict[TenantId, Token] = {}
        self._renewals: dict[TenantId, asyncio.Task[Token]] = {}
        self._refreshing: set[asyncio.Task[Token]] = set()

    async def token(self, tenant: TenantId) -> Token:
        """A token that lives long enough for a call, as far as its life allows.

        Raises: `TokenRefused`, `TokenUnreachable`, `GovernorUnreachable`.
        """
        held = self._held.get(tenant)
        if held is not None and self._fresh(held):
            return held
        renewal = self._renewals.get(tenant)
        if renewal is None:
            renewal = asyncio.create_task(self._renew(tenant))
            self._renewals[tenant] = renewal
            renewal.add_done_callback(lambda task: self._renewed(tenant, task))
        try:
            # Shielded: the others who wait for it need it also when this caller is cancelled.
            return await asyncio.shield(renewal)
        except TokenUnreachable:
            if held is None or self._held.get(tenant) is not held or held.left(self._clock.now()) <= self._call_timeout:
                raise
            log.warning("token_renewal_failed", tenant=tenant, seconds_left=round(held.left(self._clock.now())))
            return held

    def fresh_for(self, token: Token) -> float:
        """Seconds for which `token` gives the same one again, whatever else may happen; none left: 0 or less."""
        return token.fresh_for(self._clock.now(), self._call_timeout)

    async def invalidate(self, tenant: TenantId, token: Token) -> None:
        """Drop a token that the API did not accept, here and for all processes; one that is newer stays."""
        held = self._held.get(tenant)
        if held is not None and held.value == token.value:
            del self._held[tenant]
        log.info("token_dropped", tenant=tenant, shared=await self._shared.drop(tenant, token))

    async def close(self) -> None:
        """End the fetches under way; those that use up a refresh token are waited for, to the commit of the next."""
        renewals = list(self._renewals.values())
        for renewal in renewals:
            renewal.cancel()
        await asyncio.gather(*renewals, *self._refreshing, return_exceptions=True)

    def _renewed(self, tenant: TenantId, task: asyncio.Task[Token]) -> None:
        self._renewals.pop(tenant, None)
        if not task.cancelled():
            task.exception()  # Seen, for the case that all who waited for it were cancelled.

    def _fresh(self, token: Token) -> bool:
        return self.fresh_for(token) > 0

    async def _renew(self, tenant: TenantId) -> Token:
        """The shared token if it is fresh, else a new one, fetched by whichever process gets the lock."""
        mine = secrets.token_hex(16)
        give_up = boottime() + PATIENCE
        pause = 0.02
        while True:
            shared = await self._shared.get(tenant)
            if shared is not None and self._fresh(shared):
                self._held[tenant] = shared
                return shared
            if await self._shared.lock(tenant, mine, LOCK_LIFE):
                break
            if boottime() > give_up:
                raise TokenUnreachable(tenant, "other processes have been fetching one for too long")
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 1.5, 0.25)
        try:
            # Whoever held the lock until now may have left a token between our look and our lock.
            token = await self._shared.get(tenant)
            if token is None or not self._fresh(token):
                token = await self._fetch(tenant)
                await self._shared.put(tenant, token)
        finally:
            await self._shared.unlock(tenant, mine)
        self._held[tenant] = token
        return token

    async def _fetch(self, tenant: TenantId) -> Token:
        if self._consents is None or not await self._consents.is_refreshed(tenant):
            return (await self.by_client_credentials(tenant)).token
        refreshing = asyncio.create_task(self._refresh(tenant, self._consents))
        self._refreshing.add(refreshing)
        refreshing.add_done_callback(self._refreshing.discard)
        # Never cancelled: what it gets is nowhere else until it is committed.
        return await asyncio.shield(refreshing)

    async def _refresh(self, tenant: TenantId, consents: Consents[Turn]) -> Token:
        """A new token for the refresh token, whose successor is committed before the token is used."""
        give_up, pause = boottime() + PATIENCE, 0.05
        while True:
            renewal = await consents.take_turn(tenant)
            if renewal is not None and (token := await self._renewed_by(tenant, consents, renewal)) is not None:
                return token
            # Somebody else has the turn, or has had it: what that gave is shared in a moment.
            if boottime() > give_up:
                raise TokenUnreachable(tenant, "other processes have been renewing it for too long")
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 1.5, 0.5)
            shared = await self._shared.get(tenant)
            if shared is not None and self._fresh(shared):
                return shared
            await consents.is_refreshed(tenant)

    async def _renewed_by(self, tenant: TenantId, consents: Consents[Turn], renewal: Turn) -> Token | None:
        """`None`: the refresh token had been used, and there is a newer one."""
        try:
            left = await self._shared.successor(tenant, renewal.refresh_token)
        except GovernorUnreachable:
            await consents.give_up(renewal, unanswered=False)
            raise
        if left is not None:
            # Whoever renewed it has died before the commit.
            log.warning("refresh_token_found", tenant=tenant)
            await consents.keep(renewal, left)
            return None
        if boottime() + FETCH_TIMEOUT > renewal.held_until:
            # This process stood still: the turn may be somebody else's before an answer is here.
            await consents.give_up(renewal, unanswered=False)
            return None
        try:
            granted = await self._ask(tenant, {"grant_type": "refresh_token", "refresh_token": renewal.refresh_token})
        except TokenRefused as refusal:
            if refusal.error != "invalid_grant":
                # It is this client that is refused: the refresh token is as good as it was.
                await consents.give_up(renewal, unanswered=False)
                raise
            if await consents.refused(renewal, refusal):
                raise
            return None
        except TokenUnreachable:
            await consents.give_up(renewal, unanswered=True)
            raise
        if granted.refresh_token is None:
            await consents.give_up(renewal, unanswered=True)
            raise TokenUnreachable(tenant, f"an answer without a refresh token from {self._url}")
        sealed = await consents.seal(renewal, granted.refresh_token)
        await self._leave(tenant, renewal.refresh_token, sealed)
        await consents.keep(renewal, sealed)
        return granted.token

    async def _leave(self, tenant: TenantId, used: str, sealed: str) -> None:
        """A commit may wait for others, or for the database to come back; Redis takes a fraction of a millisecond."""
        try:
            async with asyncio.timeout(LEFT_WITHIN):
                await self._shared.leave_successor(tenant, used, sealed)
        except (GovernorUnreachable, TimeoutError) as error:
            log.warning("refresh_token_not_left", tenant=tenant, error=type(error).__name__)

    async def by_client_credentials(self, tenant: TenantId) -> Granted:
        """What a service account gets, which a person has consented to once. It is not kept here.

        Raises: `TokenRefused`, `TokenUnreachable`.
        """
        return await self._ask(tenant, {"grant_type": "client_credentials"}, {"TenantId": str(tenant)})

    async def by_code(self, code: str, redirect_uri: str) -> Granted:
        """What a person's consent gives, once, by the code that came with it. It is not kept here.

        Raises: `TokenRefused`, `TokenUnreachable`.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return await self._ask(NOT_KNOWN_YET, form)

    async def adopt(self, tenant: TenantId, token: Token) -> None:
        """Keeps and shares a token that was had otherwise. Raises: `GovernorUnreachable`."""
        self._held[tenant] = token
        await self._shared.put(tenant, token)

    async def _ask(self, tenant: TenantId, form: Mapping[str, str], headers: Mapping[str, str] = _NONE) -> Granted:
        if not (self._client and self._secret):
            raise TokenRefused(tenant, "no credentials", "no client id or no client secret is set")
        started, credentials = boottime(), aiohttp.encode_basic_auth(self._client, self._secret)
        try:
            async with self._session.post(
                self._url,
                data=dict(form),
                headers={
                    "Authorization": credentials,
                    "Accept": "application/json",
                    **headers,
                },
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT),
            ) as response:
                status = response.status
                content = await response.read()
        except TimeoutError as error:
            raise TokenUnreachable(tenant, f"no answer within {FETCH_TIMEOUT:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TokenUnreachable(tenant, str(error) or type(error).__name__) from error
        log.debug("token_requested", tenant=tenant, status=status, seconds=round(boottime() - started, 3))
        if status != 200:
            traded = (form.get("refresh_token", ""), form.get("code", ""))
            content = without(content, self._secret, credentials.removeprefix("Basic "), *traded)
        return self._read_answer(tenant, status, content)

    def _read_answer(self, tenant: TenantId, status: int, content: bytes) -> Granted:
        """Read as JSON whatever the content type says: errors come as text/html and text/plain (API notes 5.1)."""
        body = _json_object(content)
        error = body.get("error")
        if status in (400, 401, 403) and (isinstance(error, str) or status == 401) and error not in _TRANSIENT:
            description = body.get("error_description") or body.get("message") or ""
            raise TokenRefused(tenant, str(error or "not accepted"), str(description), status)
        if status != 200:
            raise TokenUnreachable(tenant, f"HTTP {status} from {self._url}")
        value = body.get("access_token")
        if not isinstance(value, str) or not value:
            raise TokenUnreachable(tenant, f"an answer without a token from {self._url}")
        try:
            life = float(body.get("expires_in") or USUAL_LIFE)
            if life <= 0:
                raise ValueError(life)
            # Counted from now and not from the request: whether an attempt's token may still work is judged by this.
            expires_at = self._clock.now() + timedelta(seconds=life)
        except (TypeError, ValueError, OverflowError) as unreadable:
            raise TokenUnreachable(tenant, f"an answer with an unreadable expires_in from {self._url}") from unreadable
        refresh_token, scope = body.get("refresh_token"), body.get("scope")
        return Granted(
            Token(value, expires_at, life),
            refresh_token if isinstance(refresh_token, str) and refresh_token else None,
            frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
        )


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
