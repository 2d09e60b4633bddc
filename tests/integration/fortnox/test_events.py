"""The client of the websocket against the sandbox: nothing is missed, and tenants and their tokens come and go."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from common.fortnox.client import Fortnox
from common.fortnox.events import Event, Events, Joined, Patience, Refused, Told
from common.ids import TenantId
from sandbox import making, server
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, World
from sandbox.stream import Drop
from tests.integration.fortnox.conftest import TENANT, settings_for

OTHER = TenantId(TENANT + 1)
LONG = 30.0


@pytest.fixture
async def sandbox() -> AsyncIterator[server.Running]:
    running = await server.start(World())
    for tenant in (TENANT, OTHER):
        making.make_company(running.world, {"tenant": tenant})
    yield running
    await running.stop()


class Ear:
    """Listens, and keeps the offset of what it has done with."""

    def __init__(self, sandbox: server.Running, fortnox: Fortnox, **changes: object) -> None:
        self.kept: dict[str, str] = {}
        settings = settings_for(
            sandbox.url,
            fortnox_client_id=DEFAULT_CLIENT_ID,
            fortnox_client_secret=SecretStr(DEFAULT_CLIENT_SECRET),
            fortnox_ws_url=sandbox.url.replace("http", "ws") + "/topics-v1",
            **changes,
        )
        patience = Patience(ping=0.3, pong=0.3, answer=1.0)
        self.events = Events(settings, fortnox.tokens, ["articles"], self._ask, patience=patience, first_pause=0.01)
        self._told: AsyncGenerator[Told] = self.events.told()

    async def next(self) -> Told:
        async with asyncio.timeout(LONG):
            told = await anext(self._told)
        if isinstance(told, Event):
            self.kept[told.topic] = told.offset
        return told

    async def event(self) -> Event:
        while not isinstance(told := await self.next(), Event):
            continue
        return told

    async def close(self) -> None:
        await self._told.aclose()

    async def _ask(self) -> dict[str, str]:
        return dict(self.kept)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def fortnox(sandbox: server.Running, redis: Redis, stack: AsyncExitStack) -> Fortnox:
    settings = settings_for(
        sandbox.url,
        fortnox_client_id=DEFAULT_CLIENT_ID,
        fortnox_client_secret=SecretStr(DEFAULT_CLIENT_SECRET),
        call_timeout=1.0,
    )
    fortnox = await Fortnox.open(settings, redis)
    stack.push_async_callback(fortnox.close)
    return fortnox


@asynccontextmanager
async def listening(sandbox: server.Running, fortnox: Fortnox, *tenants: TenantId) -> AsyncIterator[Ear]:
    ear = Ear(sandbox, fortnox, call_timeout=1.0)
    ear.events.add(tenants)
    try:
        yield ear
    finally:
        await ear.close()


def change(sandbox: server.Running, entity: object, tenant: TenantId = TENANT) -> None:
    sandbox.world.topics.announce("articles", "article-updated-v1", tenant, str(entity))


async def test_events_are_told_from_when_their_tenants_have_joined(sandbox: server.Running, fortnox: Fortnox) -> None:
    async with listening(sandbox, fortnox, TENANT) as ear:
        assert await ear.next() == Joined(frozenset({TENANT}), frozenset({"articles"}))
        change(sandbox, "A1")
        told = await ear.event()
        assert (told.topic, told.type, told.tenant, told.entity) == ("articles", "article-updated-v1", TENANT, "A1")
        assert told.timestamp is not None

        ear.events.add([OTHER])
        assert await ear.next() == Joined(frozenset({OTHER}), frozenset({"articles"}))
        ear.events.remove([TENANT])
        change(sandbox, "B1", OTHER)
        assert (await ear.event()).tenant == OTHER


@pytest.mark.parametrize("resume", ["at", "after"])
@pytest.mark.parametrize("close_frame", [True, False])
async def test_a_hundred_lost_connections_lose_no_event_and_keep_their_order(
    sandbox: server.Running, fortnox: Fortnox, resume: str, close_frame: bool
) -> None:
    behaviour = sandbox.world.behaviour
    behaviour.event_duplicates, behaviour.resume = 0.2, "at" if resume == "at" else "after"
    async with listening(sandbox, fortnox, TENANT) as ear:
        await ear.next()
        for _ in range(25):
            for after in (1, 2, 3, 5):
                await sandbox.stream.drop(Drop(after=after, close_frame=close_frame))
        told: dict[str, str] = {}
        number = 0
        while sandbox.stream.as_json()["drops"] or len(told) < number:
            if sandbox.stream.as_json()["drops"]:
                number += 1
                change(sandbox, number)
            event = await ear.event()
            told.setdefault(event.offset, event.entity)
        assert list(told.values()) == [str(each + 1) for each in range(number)]
        # The last connection's end is the hundredth.
        assert sandbox.stream.as_json()["made"] in (100, 101)


async def test_an_unanswered_ping_is_a_lost_connection(sandbox: server.Running, fortnox: Fortnox) -> None:
    async with listening(sandbox, fortnox, TENANT) as ear:
        await ear.next()
        change(sandbox, 1)
        await ear.event()
        sandbox.world.behaviour.answers_pings = False
        assert await ear.next() == Joined(frozenset({TENANT}), frozenset())
        assert sandbox.stream.as_json()["made"] == 2


async def test_a_token_is_renewed_before_it_runs_out(sandbox: server.Running, fortnox: Fortnox) -> None:
    sandbox.world.behaviour.token_life = 2
    async with listening(sandbox, fortnox, TENANT) as ear:
        await ear.next()

        async def changes() -> None:
            for number in range(25):
                change(sandbox, number)
                await asyncio.sleep(0.2)

        changing = asyncio.create_task(changes())
        assert [(await ear.event()).entity for _ in range(25)] == [str(number) for number in range(25)]
        await changing
    assert sandbox.stream.as_json()["made"] == 1


async def test_a_tenant_without_a_token_is_told_and_the_others_go_on(sandbox: server.Running, fortnox: Fortnox) -> None:
    sandbox.world.companies[OTHER].consented = False
    async with listening(sandbox, fortnox, TENANT, OTHER) as ear:
        refused = await ear.next()
        assert isinstance(refused, Refused)
        assert refused.tenant == OTHER
        assert await ear.next() == Joined(frozenset({TENANT}), frozenset({"articles"}))

        sandbox.world.companies[OTHER].consented = True
        ear.events.add([OTHER])
        assert await ear.next() == Joined(frozenset({OTHER}), frozenset({"articles"}))


@pytest.mark.parametrize("switch", ["none_added", "others_added"])
async def test_a_token_that_was_ended_is_replaced(sandbox: server.Running, fortnox: Fortnox, switch: str) -> None:
    sandbox.world.behaviour.one_invalid_token = "none_added" if switch == "none_added" else "others_added"
    for tenant in (TENANT, OTHER):
        await fortnox.tokens.token(tenant)
    sandbox.gateway.tokens.revoke(OTHER)
    async with listening(sandbox, fortnox, TENANT, OTHER) as ear:
        assert await ear.next() == Joined(frozenset({TENANT}), frozenset({"articles"}))
        assert await ear.next() == Joined(frozenset({OTHER}), frozenset({"articles"}))


async def test_no_frame_stops_the_listening_and_no_token_is_logged(sandbox: server.Running, fortnox: Fortnox) -> None:
    with structlog.testing.capture_logs() as logs:
        async with listening(sandbox, fortnox, TENANT) as ear:
            await ear.next()
            sandbox.world.topics.announce("articles", "article-from-the-future-v9", TENANT, "A1")
            assert (await ear.event()).type == "article-from-the-future-v9"
            await sandbox.stream.drop(Drop())
            assert isinstance(await ear.next(), Joined)
    written = repr(logs)
    assert "events_lost" in written
    assert DEFAULT_CLIENT_SECRET not in written
    assert (await fortnox.tokens.token(TENANT)).value not in written


async def test_a_topic_that_fortnox_does_not_have_is_an_error(sandbox: server.Running, fortnox: Fortnox) -> None:
    async with listening(sandbox, fortnox, TENANT) as ear:
        ear.events._topics = frozenset({"contracts"})
        with pytest.raises(ValueError, match="contracts"):
            await ear.next()
