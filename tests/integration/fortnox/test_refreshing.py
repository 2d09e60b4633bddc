"""Refresh tokens: good once, renewed by one process at a time, and committed before what came with them is used."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from redis.asyncio import Redis

from common.consents import Consents, purpose
from common.fortnox.client import Fortnox
from common.fortnox.errors import TokenRefused, TokenUnreachable
from common.fortnox.shared_tokens import SharedTokens
from common.fortnox.token import Token
from common.ledger import consents, tenants
from common.ledger.database import Ledger
from common.seals import FILE, Seals
from common.settings import Settings
from tests.databases import clock, database_url, databases, ledger, postgresql_url, sqlite_url
from tests.integration.fortnox.conftest import TENANT, settings_for
from tests.integration.fortnox.wire import Wire

__all__ = ["clock", "database_url", "databases", "ledger", "postgresql_url", "sqlite_url"]


class OAuth:
    """A token server whose refresh tokens are good once: `refresh-0` is the first, and so on."""

    def __init__(self) -> None:
        self.newest = 0
        self.refused = 0
        self.renewed = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()
        self.silent = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        await asyncio.sleep(0)
        if form["refresh_token"] != f"refresh-{self.newest}":
            self.refused += 1
            return web.json_response(
                {"error": "invalid_grant", "error_description": "Invalid refresh token"}, status=400
            )
        self.newest += 1
        self.renewed.set()
        answer = {
            "access_token": f"access-{self.newest}",
            "refresh_token": f"refresh-{self.newest}",
            "expires_in": 3600,
            "scope": "invoice",
        }
        await self.hold.wait()
        if self.silent:
            assert request.transport is not None
            request.transport.close()
        return web.json_response(answer)


Process = Callable[[], Awaitable[Fortnox]]


@pytest.fixture
def oauth(wire: Wire) -> OAuth:
    wire.token_answer = server = OAuth()
    return server


@pytest.fixture
def settings(wire: Wire, tmp_path: Path) -> Settings:
    return settings_for(wire.url, data_dir=tmp_path)


@pytest.fixture
async def seals(ledger: Ledger, settings: Settings) -> Seals:
    keys = Seals.read(settings)
    await tenants.add(ledger, TENANT, "Åkes Bygg AB", "test")
    await consents.put(ledger, TENANT, "user", ["invoice"], keys.seal("refresh-0", purpose(TENANT)), "test")
    return keys


@pytest.fixture
async def process(settings: Settings, redis: Redis, ledger: Ledger, seals: Seals) -> AsyncIterator[Process]:
    """Opens clients as processes of their own would."""
    async with AsyncExitStack() as stack:

        async def opened() -> Fortnox:
            fortnox = await Fortnox.open(settings, redis, Consents(ledger, settings))
            stack.push_async_callback(fortnox.close)
            return fortnox

        yield opened


async def renew(fortnox: Fortnox, redis: Redis, token: Token | None = None) -> Token:
    """The token, after Redis has lost the one before."""
    if token is not None:
        await fortnox.tokens.invalidate(TENANT, token)
    return await fortnox.tokens.token(TENANT)


async def test_each_renewal_uses_the_token_that_the_one_before_gave(
    process: Process, redis: Redis, oauth: OAuth
) -> None:
    fortnox = await process()
    token = None
    for number in range(1, 4):
        token = await renew(fortnox, redis, token)
        assert token.value == f"access-{number}"
    assert oauth.refused == 0


async def test_the_new_refresh_token_is_committed_before_the_access_token_is_used(
    process: Process, ledger: Ledger, seals: Seals, oauth: OAuth
) -> None:
    await (await process()).tokens.token(TENANT)
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    assert consent.refresh_token is not None
    assert "refresh" not in consent.refresh_token
    assert seals.unseal(consent.refresh_token, purpose(TENANT)) == "refresh-1"


async def test_two_processes_that_renew_at_once_without_redis_lose_nothing(
    process: Process, redis: Redis, oauth: OAuth
) -> None:
    one, other = await process(), await process()
    for _ in range(20):
        # Neither the shared token nor the lock: only the ledger's lease is left.
        await redis.flushall()
        one.tokens._held.clear()
        other.tokens._held.clear()
        lost_lock = asyncio.create_task(_lose_the_lock(redis))
        first, second = await asyncio.gather(one.tokens.token(TENANT), other.tokens.token(TENANT))
        lost_lock.cancel()
        assert {first.value, second.value} <= {f"access-{number}" for number in range(1, oauth.newest + 1)}
    assert oauth.refused == 0


async def _lose_the_lock(redis: Redis) -> None:
    while True:
        await redis.delete(f"fortnox:{{client}}:{TENANT}:fetch")
        await asyncio.sleep(0)


async def test_who_is_cancelled_while_fortnox_answers_still_keeps_the_new_refresh_token(
    process: Process, ledger: Ledger, seals: Seals, wire: Wire, oauth: OAuth
) -> None:
    fortnox = await process()
    oauth.hold.clear()
    waiting = asyncio.create_task(fortnox.tokens.token(TENANT))
    await oauth.renewed.wait()
    waiting.cancel()
    closing = asyncio.create_task(fortnox.close())
    await asyncio.sleep(0)
    oauth.hold.set()
    await closing
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    assert consent.refresh_token is not None
    assert seals.unseal(consent.refresh_token, purpose(TENANT)) == "refresh-1"


async def test_an_answer_that_is_lost_ends_the_consent_at_the_next_renewal_and_says_why(
    process: Process, ledger: Ledger, oauth: OAuth
) -> None:
    fortnox = await process()
    oauth.silent = True
    with pytest.raises(TokenUnreachable):
        await fortnox.tokens.token(TENANT)
    oauth.silent = False
    with pytest.raises(TokenRefused, match="Invalid refresh token"):
        await fortnox.tokens.token(TENANT)
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    assert consent.ended_because is not None
    assert "when the answer to a renewal was lost" in consent.ended_because
    asked = oauth.refused
    with pytest.raises(TokenRefused, match="consent ended"):
        await fortnox.tokens.token(TENANT)
    assert oauth.refused == asked


async def test_a_refresh_token_that_its_finder_could_not_commit_is_found_by_the_next_renewal(
    process: Process, ledger: Ledger, seals: Seals, settings: Settings, redis: Redis, oauth: OAuth
) -> None:
    oauth.newest = 1
    await shared(redis, settings).leave_successor(TENANT, "refresh-0", seals.seal("refresh-1", purpose(TENANT)))
    assert (await (await process()).tokens.token(TENANT)).value == "access-2"
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    assert consent.renewals == 2
    assert oauth.refused == 0


@pytest.mark.parametrize(("secret", "used"), [("another", "refresh-0"), ("secret", "refresh-of-another-time")])
async def test_what_is_left_for_another_token_or_under_another_client_secret_is_not_taken(
    process: Process, seals: Seals, settings: Settings, redis: Redis, oauth: OAuth, secret: str, used: str
) -> None:
    others = settings.model_copy(update={"fortnox_client_secret": SecretStr(secret)})
    await shared(redis, others).leave_successor(TENANT, used, seals.seal("refresh-9", purpose(TENANT)))
    assert (await (await process()).tokens.token(TENANT)).value == "access-1"
    assert oauth.refused == 0


async def test_while_the_keys_are_away_no_refresh_token_is_used_up(
    process: Process, redis: Redis, settings: Settings, oauth: OAuth
) -> None:
    fortnox = await process()
    token = await renew(fortnox, redis)
    keys = settings.data_dir / FILE
    away = keys.rename(keys.with_name("away"))
    with pytest.raises(TokenRefused, match="refresh token not readable"):
        await renew(fortnox, redis, token)
    assert oauth.newest == 1
    away.rename(keys)
    assert (await renew(fortnox, redis)).value == "access-2"


def shared(redis: Redis, settings: Settings) -> SharedTokens:
    """What processes with those settings share."""
    secret = settings.fortnox_client_secret.get_secret_value()
    return SharedTokens(redis, settings.fortnox_client_id, secret, settings.clock)


async def test_a_refresh_token_that_no_key_opens_is_refused_in_words(
    process: Process, ledger: Ledger, oauth: OAuth
) -> None:
    await consents.put(ledger, TENANT, "user", ["invoice"], "no-such-key.AAAA", "test")
    with pytest.raises(TokenRefused, match="refresh token not readable"):
        await (await process()).tokens.token(TENANT)
