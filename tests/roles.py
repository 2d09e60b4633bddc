"""The product's roles as processes of their own, for tests that kill, freeze, stop or stall them.

Import the fixture `environment` in a conftest or a test module, and name it in `__all__`.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.ids import TenantId
from common.ledger import policies, tenants
from common.ledger.database import Ledger
from common.rules.policy import PolicyChoice
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, By
from tests.sandboxes import Sandbox

WITHIN = 60.0
"""What a killed worker had in hand goes on within so many seconds."""

PROGRAM = (sys.executable, "-m", "avtalsmotor")


@pytest.fixture
def environment(sandbox: Sandbox, database_url: str, redis_url: str, tmp_path: Path) -> Mapping[str, str]:
    """What a role must be told to work against the sandbox."""
    return environment_for(
        FORTNOX_API_URL=sandbox.url,
        FORTNOX_AUTH_URL=f"{sandbox.url}/oauth-v1",
        FORTNOX_CLIENT_ID=DEFAULT_CLIENT_ID,
        FORTNOX_CLIENT_SECRET=DEFAULT_CLIENT_SECRET,
        REDIS_URL=redis_url,
        DATABASE_URL=database_url,
        DATA_DIR=str(tmp_path / "data"),
        RATE_WINDOW="0.1",
        # The morning's proof lists the contracts, too.
        RECONCILE_FROM="23:59:59",
        PREFLIGHT_FROM="23:59:59",
    )


def environment_for(base: Mapping[str, str] = os.environ, **settings: str) -> Mapping[str, str]:
    """An environment with settings of the product added."""
    return {**base, **{f"AVTALSMOTOR_{name}": value for name, value in settings.items()}}


@dataclass
class Role:
    """One process, and its log."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def says(self, words: str) -> bool:
        """Whether its log has the words."""
        return words in self.log.read_text(encoding="utf-8", errors="replace")

    async def is_up(self, words: str = "_started") -> None:
        """Waits until it works."""
        await until(lambda: _true(self.says(words)))

    async def ended(self) -> float:
        """Waits for its end; the seconds that took."""
        began = time.monotonic()
        await asyncio.wait_for(self.process.wait(), WITHIN)
        return time.monotonic() - began


@asynccontextmanager
async def roles(
    environment: Mapping[str, str], *commands: Sequence[str], program: Sequence[str] = PROGRAM
) -> AsyncIterator[list[Role]]:
    """Each command as a process, ended afterwards whatever it does."""
    started: list[Role] = []
    home = _made(Path(environment["AVTALSMOTOR_DATA_DIR"]))
    try:
        for words in commands:
            log = home / f"{'-'.join(words)}-{time.monotonic_ns()}.log"
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *program, *words, env=environment, cwd=Path(__file__).parents[1], stderr=output
                )
            started.append(Role(process, log))
        yield started
    finally:
        for role in started:
            if role.process.returncode is None:
                role.process.kill()
            await role.process.wait()


async def until(reached: Callable[[], Awaitable[bool]], within: float = WITHIN) -> None:
    """Waits for what other processes do."""
    async with asyncio.timeout(within):
        while not await reached():  # noqa: ASYNC110 - it is reached in other processes
            await asyncio.sleep(0.02)


async def company(ledger: Ledger, sandbox: Sandbox, tenant: int, contracts: int = 1, **choices: object) -> TenantId:
    """A live company of the sandbox with so many contracts, each due with one invoice."""
    await sandbox.company(tenant)
    for _ in range(contracts):
        await sandbox.contract(tenant)
    known = TenantId(tenant)
    await tenants.add(ledger, known, "Björks Data AB", "test")
    chosen = PolicyChoice.model_validate({"mode": "live", "catch_up": "invoice", **choices})
    await policies.change(ledger, "tenant", chosen, "test", tenant=known)
    return known


def made(sandbox: Sandbox, tenant: int) -> list[tuple[int | None, str]]:
    """The invoices of the company that somebody has made: contract and first day."""
    found = [one for one in sandbox.world.companies[tenant].invoices.values() if one.created_by is not By.SEED]
    return sorted((one.contract_reference, str(one.period_start)) for one in found)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _true(value: bool) -> bool:
    return value
