"""A feeder with a ledger on SQLite, a real Valkey, and a governor that has nothing to remember."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from common.clock import Clock
from common.fortnox.governor import Governor, governor_redis
from common.ledger.database import Ledger, open_ledger
from producers.feeder import Feeder
from producers.tenancy import Tenancy
from tests.databases import clock, databases, sqlite_url
from tests.valkeys import queues, redis_url, valkey_server

__all__ = ["clock", "databases", "queues", "redis_url", "sqlite_url", "valkey_server"]


@pytest.fixture
async def ledger(sqlite_url: str, clock: Clock, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await open_ledger(sqlite_url, tmp_path, clock)
    yield opened
    await opened.close()


@pytest.fixture
async def governor(redis_url: str) -> AsyncIterator[Governor]:
    async with governor_redis(redis_url) as slots:
        governor = Governor(slots, "client")
        await governor.vouch()
        yield governor


@pytest.fixture
def feeder(ledger: Ledger, queues: Redis, governor: Governor) -> Feeder:
    return Feeder(ledger, queues, governor, Tenancy(ledger, lease=10.0), fresh_seconds=30.0)
