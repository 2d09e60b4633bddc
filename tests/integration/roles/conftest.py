"""One ledger on SQLite, a sandbox and a Valkey for the roles of a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.clock import Clock
from common.ledger.database import Ledger, open_ledger
from tests.roles import environment
from tests.sandboxes import sandbox
from tests.valkeys import queues, redis_url, valkey_server

__all__ = ["environment", "queues", "redis_url", "sandbox", "valkey_server"]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await open_ledger(database_url, tmp_path, Clock(), migrate=True)
    yield opened
    await opened.close()
