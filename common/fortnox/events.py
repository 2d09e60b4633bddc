"""What Fortnox announces, for all tenants over one websocket that is connected anew for as long as anybody listens.

An event may come twice and is not missed: after a loss it is resumed from the offsets that the listener says it has
kept (API notes 8). Where it cannot be resumed, it is said from when on events are told. What an event means is not
known here; access tokens and the client secret go over the wire and never into a log.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

import aiohttp
import structlog

from common.clock import boottime
from common.fortnox.auth import Tokens
from common.fortnox.errors import GovernorUnreachable, TokenRefused, TokenUnreachable
from common.fortnox.event_socket import Event, EventSocket, Lost, Patience
from common.fortnox.token import Token
from common.ids import TenantId
from common.settings import Settings

__all__ = ["Event", "Events", "Joined", "Patience", "Refused", "Told"]

log = structlog.get_logger()

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
"""Seconds before the first try to connect anew, and before those after many in vain; drawn from the upper half."""
REFUSED_AGAIN = 300.0
"""Seconds after which a tenant without a token is tried again: a consent may be given anew."""
UNREACHABLE_AGAIN = 5.0
"""Seconds after which a token that could not be fetched is fetched again."""

_AT_ONCE = 10
"""Tokens fetched at a time."""
_BATCH = 50
"""Tokens told to Fortnox in one command."""
_LONG = 60.0


@dataclass(frozen=True, slots=True)
class Joined:
    """From here on the events of these tenants are told.

    Parameters:
      from_now: the topics of which nothing from before is told. Who must miss nothing reads what has changed since it
        last looked, once this has come.
    """

    tenants: frozenset[TenantId]
    from_now: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refused:
    """The events of this tenant are not told, since it has no token that is accepted; it is tried again by itself."""

    tenant: TenantId
    reason: str


Told = Event | Joined | Refused

Kept = Callable[[], Awaitable[Mapping[str, str]]]
"""By topic, the offset of the last event that the listener has done with and will not need again."""


class Events:
    """The events of some topics, of all tenants that are added.

    Parameters:
      kept: asked before each connection. A topic without an offset begins now; an offset that is older than what
        Fortnox keeps (14 days) begins with the earliest that is there, which nothing tells apart: who has kept one for
        so long reads what has changed by other means.
      first_pause: seconds before the first try to connect anew.
    """

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        topics: Collection[str],
        kept: Kept,
        *,
        patience: Patience | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._url = settings.fortnox_ws_url
        self._secret = settings.fortnox_client_secret
        self._clock = settings.clock
        self._tokens = tokens
        self._topics = frozenset(topics)
        self._kept = kept
        self._patience = patience or Patience()
        self._first_pause = first_pause
        self._wanted: set[TenantId] = set()
        self._woken = asyncio.Event()
        self._not_before: dict[TenantId, float] = {}
        """By `boottime`, when a token is asked for again, of tenants whose last one could not be had or used."""
        self._refused: dict[TenantId, str] = {}
        self._doubted: set[TenantId] = set()
        """Tenants whose last token was not accepted, though it should have been."""

    def add(self, tenants: Iterable[TenantId]) -> None:
        """Tell the events of these, too, from when `Joined` says so; one that was refused is tried again at once."""
        for tenant in tenants:
            self._wanted.add(tenant)
            self._not_before.pop(tenant, None)
            self._refused.pop(tenant, None)
        self._woken.set()

    def remove(self, tenants: Iterable[TenantId]) -> None:
        """Do not tell the events of these any more; what has come already may still be told."""
        for tenant in tenants:
            self._wanted.discard(tenant)
            self._refused.pop(tenant, None)
        self._woken.set()

    async def told(self) -> AsyncGenerator[Told]:
        """Everything that is told, for ever; to be closed by who iterates it (`contextlib.aclosing`).

        What has come when a connection is lost, and has not been told yet, comes again with the next one.

        Raises: `ValueError` for a topic that Fortnox does not have; whatever `kept` raises.
        """
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None), headers=_HEADERS
        ) as session:
            in_vain = 0
            while True:
                try:
                    async with aclosing(self._connection(session)) as connection:
                        async for told in connection:
                            if isinstance(told, Event):
                                in_vain = 0
                            yield told
                except Lost as lost:
                    pause = min(self._first_pause * 2**in_vain, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
                    in_vain = min(in_vain + 1, 30)
                    log.warning("events_lost", reason=str(lost), pause=round(pause, 2))
                    await asyncio.sleep(pause)

    async def _connection(self, session: aiohttp.ClientSession) -> AsyncGenerator[Told]:
        """What one connection tells, to its loss; ends without one where no tenant has a token yet."""
        tokens, refusals = await self._fetch(self._due({}))
        for refusal in refusals:
            yield refusal
        if not tokens:
            await self._rest()
            return
        kept = await self._kept()
        async with EventSocket(session, self._url, self._patience) as socket:
            held, refusals = await self._tell_tokens(socket, tokens)
            for refusal in refusals:
                yield refusal
            if not held:
                return
            await self._subscribe(socket, kept)
            log.info("events_connected", tenants=len(held), resumed=sorted(self._topics & kept.keys()))
            yield Joined(frozenset(held), self._topics - kept.keys())
            async with aclosing(self._listen(socket, held)) as listening:
                async for told in listening:
                    yield told

    async def _subscribe(self, socket: EventSocket, kept: Mapping[str, str]) -> None:
        topics = [
            {"topic": topic, "offset": kept[topic]} if topic in kept else {"topic": topic}
            for topic in sorted(self._topics)
        ]
        answer = await socket.ask("add-topics-v1", topics=topics)
        if invalid := answer.get("invalidTopics"):
            raise ValueError(f"Fortnox announces nothing of {invalid}; listen to other topics, and read these.")
        if answer.get("result") != "ok":
            raise Lost("add-topics-v1 was refused")
        if (await socket.ask("subscribe-v1")).get("result") != "ok":
            raise Lost("subscribe-v1 was refused")

    async def _listen(self, socket: EventSocket, held: dict[TenantId, Token]) -> AsyncGenerator[Told]:
        """Events, while tenants come and go and their tokens are renewed.

        Parameters:
          held: the tokens that Fortnox has been told; kept up to date.
        """
        waking = asyncio.create_task(self._woken.wait())
        fetching: asyncio.Task[tuple[dict[TenantId, Token], list[Refused]]] | None = None
        look_at = boottime()
        try:
            while True:
                if waking.done():
                    self._woken.clear()
                    waking = asyncio.create_task(self._woken.wait())
                    look_at = boottime()
                if fetching is not None and fetching.done():
                    tokens, refusals = fetching.result()
                    fetching = None
                    for told in [*refusals, *await self._renew(socket, held, tokens)]:
                        yield told
                    look_at = boottime()
                if boottime() >= look_at:
                    await self._leave_out(socket, held)
                    if fetching is None and (due := self._due(held)):
                        fetching = asyncio.create_task(self._fetch(due))
                    look_at = boottime() + (_LONG if fetching is not None else self._next_due(held))
                others = [waking] if fetching is None else [waking, fetching]
                for event in await socket.hear(*others, at_most=max(look_at - boottime(), 0)):
                    yield event
        finally:
            tasks = [task for task in (waking, fetching) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _renew(
        self, socket: EventSocket, held: dict[TenantId, Token], tokens: dict[TenantId, Token]
    ) -> list[Joined | Refused]:
        """Tell Fortnox the tokens, of new tenants and of those whose old ones run out."""
        for tenant in [tenant for tenant, token in tokens.items() if tenant in held and token == held[tenant]]:
            # There was no other to be had, though this one runs out.
            del tokens[tenant]
            self._not_before[tenant] = boottime() + UNREACHABLE_AGAIN
        now = self._clock.now()
        told, refusals = await self._tell_tokens(socket, tokens)
        # After an old token has run out, nobody knows what of its tenant was not told.
        joined = frozenset(tenant for tenant in told if tenant not in held or held[tenant].left(now) <= 0)
        held.update(told)
        log.debug("event_tokens_told", tenants=sorted(told))
        return [*refusals, *([Joined(joined, self._topics)] if joined else [])]

    async def _leave_out(self, socket: EventSocket, held: dict[TenantId, Token]) -> None:
        gone = sorted(tenant for tenant in held if tenant not in self._wanted or tenant in self._refused)
        if gone:
            if (await socket.ask("remove-tenants-v1", tenants=gone)).get("result") != "ok":
                raise Lost("remove-tenants-v1 was refused")
            for tenant in gone:
                del held[tenant]

    async def _tell_tokens(
        self, socket: EventSocket, tokens: Mapping[TenantId, Token]
    ) -> tuple[dict[TenantId, Token], list[Refused]]:
        """Those that were accepted, and the tenants that are refused for good.

        Whether the others of a command with an invalid token were taken is not known: they are told once more.
        """
        accepted: dict[TenantId, Token] = {}
        refusals: list[Refused] = []
        for batch in _batches(tokens):
            while batch:
                by_text = {f"Bearer {token.value}": tenant for tenant, token in batch.items()}
                answer = await socket.ask(
                    "add-tenants-v1",
                    includeChildTenants=False,
                    clientSecret=self._secret.get_secret_value(),
                    accessTokens=list(by_text),
                )
                if answer.get("result") == "ok":
                    accepted.update(batch)
                    break
                invalid = {by_text[text] for text in answer.get("invalidTokens") or () if text in by_text}
                if not invalid:
                    raise Lost("add-tenants-v1 was refused")
                for tenant in invalid:
                    refusals += await self._not_accepted(tenant, batch.pop(tenant))
        for tenant in accepted:
            self._not_before.pop(tenant, None)
            self._refused.pop(tenant, None)
            self._doubted.discard(tenant)
        return accepted, refusals

    async def _not_accepted(self, tenant: TenantId, token: Token) -> list[Refused]:
        """A token may have been ended since it was fetched: another is asked for, once."""
        try:
            await self._tokens.invalidate(tenant, token)
        except GovernorUnreachable as error:
            log.warning("refusal_not_shared", tenant=tenant, error=error.reason)
        if tenant in self._doubted:
            return self._refuse(tenant, "Fortnox' websocket does not accept its access token")
        self._doubted.add(tenant)
        self._not_before[tenant] = boottime()
        return []

    async def _fetch(self, tenants: Collection[TenantId]) -> tuple[dict[TenantId, Token], list[Refused]]:
        """A token for each that can have one now, and the tenants that are refused one."""
        room = asyncio.Semaphore(_AT_ONCE)
        tokens: dict[TenantId, Token] = {}
        refusals: list[Refused] = []

        async def fetch(tenant: TenantId) -> None:
            async with room:
                try:
                    tokens[tenant] = await self._tokens.token(tenant)
                except TokenRefused as refused:
                    refusals.extend(self._refuse(tenant, str(refused)))
                except (TokenUnreachable, GovernorUnreachable) as error:
                    self._not_before[tenant] = boottime() + UNREACHABLE_AGAIN
                    log.warning("event_token_not_fetched", tenant=tenant, error=error.reason)

        await asyncio.gather(*(fetch(tenant) for tenant in tenants))
        return tokens, refusals

    def _refuse(self, tenant: TenantId, reason: str) -> list[Refused]:
        """Told once for each reason, however often it is tried."""
        self._not_before[tenant] = boottime() + REFUSED_AGAIN
        if tenant not in self._wanted or self._refused.get(tenant) == reason:
            return []
        self._refused[tenant] = reason
        return [Refused(tenant, reason)]

    def _due(self, held: Mapping[TenantId, Token]) -> list[TenantId]:
        """The tenants that need a token now: a first one, or another."""
        now = boottime()
        return [tenant for tenant in self._wanted if self._due_in(tenant, held, now) <= 0]

    def _next_due(self, held: Mapping[TenantId, Token]) -> float:
        """Seconds until a tenant needs a token."""
        now = boottime()
        return min((self._due_in(tenant, held, now) for tenant in self._wanted), default=_LONG)

    def _due_in(self, tenant: TenantId, held: Mapping[TenantId, Token], now: float) -> float:
        token = held.get(tenant)
        return max(self._tokens.fresh_for(token) if token is not None else 0.0, self._not_before.get(tenant, now) - now)

    async def _rest(self) -> None:
        """Until a tenant is to be tried, or some are added."""
        try:
            async with asyncio.timeout(max(self._next_due({}), 0)):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()


_HEADERS = {"User-Agent": "Avtalsmotor"}


def _batches(tokens: Mapping[TenantId, Token]) -> Iterator[dict[TenantId, Token]]:
    items = iter(tokens.items())
    while batch := dict(islice(items, _BATCH)):
        yield batch
