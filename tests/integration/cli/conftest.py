"""The command line as a person uses it: typed arguments in, output and exit status out, against a real sandbox.

Most tests call the commands in this process, in a side thread, since the sandbox lives on the test's event loop.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from json import loads
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from avtalsmotor.cli.app import app
from common.clock import STOCKHOLM, Clock
from common.ids import TenantId
from common.ledger.database import Ledger, open_ledger
from common.ledger.records import Billing
from producers.planner import insert_due
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from tests.databases import databases, postgresql_url, sqlite_url
from tests.sandboxes import TENANT, Sandbox, sandbox
from tests.valkeys import redis_url, valkey_server

__all__ = ["databases", "postgresql_url", "redis_url", "sandbox", "sqlite_url", "valkey_server"]

NIGHT = datetime(2026, 12, 1, 6, 0, tzinfo=STOCKHOLM)


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return loads(self.out)


class Shell:
    """Types commands. The environment is the process' own; a test changes it with `monkeypatch`."""

    async def __call__(self, *words: str | int) -> Answer:
        return await asyncio.to_thread(self.type, *words)

    def type(self, *words: str | int) -> Answer:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, prog_name="avtalsmotor")
        return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_settings_but_the_test_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AVTALSMOTOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AVTALSMOTOR_DATA_DIR", str(tmp_path / "data"))
    # A `.env` of the developer's is not the test's.
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The ledger of the test; a module that runs on both databases has its own."""
    return sqlite_url


@pytest.fixture
def clock_shift() -> float:
    """Seconds by which the product's clock and the sandbox's are ahead: they show NIGHT."""
    return (NIGHT.astimezone(UTC) - datetime.now(UTC)).total_seconds()


@pytest.fixture
def shell(database_url: str, clock_shift: float, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with a ledger, and with no Fortnox and no Redis to talk to."""
    monkeypatch.setenv("AVTALSMOTOR_DATABASE_URL", database_url)
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift))
    return Shell()


@pytest.fixture
def bureau(shell: Shell, sandbox: Sandbox, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with a ledger, a Redis and a sandbox Fortnox, all on one clock."""
    sandbox.world.clock.set(NIGHT)
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", redis_url)
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_API_URL", sandbox.url)
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_AUTH_URL", f"{sandbox.url}/oauth-v1")
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_CLIENT_ID", DEFAULT_CLIENT_ID)
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_CLIENT_SECRET", DEFAULT_CLIENT_SECRET)
    # The sandbox has no rate limit here, and a new Redis would otherwise cost each test a whole window.
    monkeypatch.setenv("AVTALSMOTOR_RATE_WINDOW", "0.1")
    return shell


@pytest.fixture
async def ledger(shell: Shell, database_url: str, clock_shift: float, tmp_path: Path) -> AsyncIterator[Ledger]:
    """The ledger that the shell's commands use."""
    opened = await open_ledger(database_url, tmp_path, Clock(timedelta(seconds=clock_shift)))
    yield opened
    await opened.close()


@pytest.fixture
async def planned(bureau: Shell, sandbox: Sandbox, ledger: Ledger) -> list[Billing]:
    """Three billings of a live company: of contracts 1 and 2, which wait, and of contract 3 (zero), which is held."""
    await sandbox.company(name="Nordlunds IT-drift AB")
    for rows in ([{"article_number": "A1", "quantity": "3"}], [{"article_number": "A1", "quantity": "1"}], FREE):
        await sandbox.contract(period_start="2026-12-01", period_end="2026-12-31", rows=rows)
    assert (await bureau("tenants", "add", "--tenant-id", TENANT, "--live")).status == 0
    assert (await bureau("plan")).status == 0
    return list(await insert_due(ledger, TenantId(TENANT), ledger.clock.today(), "test"))


FREE = [{"article_number": "A1", "quantity": "1", "price": "0"}]
