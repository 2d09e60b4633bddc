"""The client against a scripted server and a real Valkey."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.ids import TenantId
from common.settings import Settings
from tests.integration.fortnox.wire import Wire
from tests.valkeys import redis_url, valkey_server

__all__ = ["redis_url", "valkey_server"]

TENANT = TenantId(1001)

Opener = Callable[..., Awaitable[Fortnox]]


def settings_for(api_url: str, **changes: object) -> Settings:
    values: dict[str, object] = {
        "fortnox_client_id": "client",
        "fortnox_client_secret": SecretStr("secret"),
        "fortnox_api_url": api_url,
        "fortnox_auth_url": f"{api_url}/oauth-v1",
        "call_timeout": 20.0,
        "_env_file": None,
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with Wire() as server:
        yield server


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = governor_redis(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def opened(wire: Wire, redis: Redis) -> AsyncIterator[Opener]:
    """Opens clients on the scripted server, as many as a test wants, with the settings it wants."""
    async with AsyncExitStack() as stack:

        async def opener(**changes: object) -> Fortnox:
            fortnox = await Fortnox.open(settings_for(wire.url, **changes), redis)
            stack.push_async_callback(fortnox.close)
            await fortnox.governor.vouch()
            return fortnox

        yield opener


@pytest.fixture
async def fortnox(opened: Opener) -> Fortnox:
    return await opened()
