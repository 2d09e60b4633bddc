"""An older copy of the ledger at the command line: nothing starts on it before a person has said that it is one."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from avtalsmotor.cli.app import app
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ledger import continuity
from common.ledger.database import Ledger
from common.ledger.records import Billing, Mark
from common.queue import layout
from common.rules.states import Status
from tests.integration.cli.conftest import Shell
from tests.integration.cli.test_processes import typed


@pytest.fixture
async def behind(bureau: Shell, planned: list[Billing], ledger: Ledger, redis_url: str, tmp_path: Path) -> Ledger:
    """The ledger that the shell's commands use, which lacks three entries that Redis knows of."""
    async with governor_redis(redis_url) as slots:
        await note_lost(ledger, slots, tmp_path)
    return ledger


async def note_lost(ledger: Ledger, slots: Redis, tmp_path: Path) -> None:
    high_water = HighWater(ledger, slots, tmp_path / "elsewhere")
    await high_water.check()
    newest = (await continuity.standing(ledger)).newest
    assert newest is not None
    async with high_water.noting(Mark(newest.id + 3, newest.at + timedelta(seconds=1))):
        pass


@pytest.mark.parametrize("role", [("produce",), ("work", "invoicing"), ("up",)])
async def test_no_role_starts_on_an_older_copy(bureau: Shell, behind: Ledger, role: tuple[str, ...]) -> None:
    # In a process of its own, for one that did start would run until it is stopped.
    answer = await asyncio.to_thread(typed, role, {})
    assert answer.returncode == 1
    assert "The ledger is an older copy of itself" in answer.stderr
    assert "run: avtalsmotor ledger restored" in answer.stderr


async def test_the_status_tells_of_it_and_goes_on(bureau: Shell, behind: Ledger) -> None:
    shown = await bureau("status")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith("NOTHING IS DONE WITH THIS LEDGER. The ledger is an older copy of itself")
    assert "needs a person" in shown.out
    assert "ends 3 entries before" in (await bureau("status", "--json")).json["ledger_unusable"]


async def test_a_person_who_says_so_puts_what_is_unfinished_in_doubt(bureau: Shell, behind: Ledger) -> None:
    done = await bureau("ledger", "restored", "--yes")
    assert (done.status, done.err) == (0, "")
    assert "3 billings of 1 company are in doubt" in done.out
    assert "What people decided after 2026-12-01 06:00 is not in this ledger" in done.out
    counts = {item["status"] for item in (await bureau("billings", "list", "--json")).json}
    assert counts == {Status.IN_DOUBT.value}
    assert (await bureau("status", "--json")).json["ledger_unusable"] is None


async def test_it_asks_first_and_does_nothing_on_a_no(bureau: Shell, behind: Ledger) -> None:
    answer = await said("n\n")
    assert answer.exit_code == 1
    assert "ends 3 entries before" in answer.stdout
    assert "3 unfinished billings would be in doubt" in answer.stdout
    assert (await bureau("status", "--json")).json["ledger_unusable"] is not None
    assert (await said("y\n")).exit_code == 0


async def said(typed: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["ledger", "restored"], input=typed)


async def test_it_is_refused_while_a_worker_is_at_work(bureau: Shell, behind: Ledger, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.zadd(layout.heartbeats(), {"worker": time.time() * 1000})
    refused = await bureau("ledger", "restored", "--yes")
    assert refused.status == 1
    assert "The ledger is in use: 0 producers and 1 worker gave a sign of life" in refused.err
    assert (await bureau("status", "--json")).json["ledger_unusable"] is not None
