"""The watchdog over real processes: a loop that stands still ends its process, and nothing else does."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from avtalsmotor.processes import Processes
from common.ledger import billings
from common.ledger.database import Ledger
from common.rules.states import Status
from common.watchdog import LOOP_STOPPED
from tests.integration.roles.stalling import POINTS
from tests.roles import PROGRAM, company, environment_for, made, roles, until
from tests.sandboxes import Sandbox

BJORK = 600_001
CREATE = "/3/contracts/*/createinvoice"
PATIENCE = 2.0

LOOP = """
import asyncio, sys, time
from common import logs
from common.settings import Settings
from common.watchdog import Watchdog
logs.configure(Settings(log_format="json"), "test")

def busy(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass

async def main():
    with Watchdog(asyncio.get_running_loop(), float(sys.argv[1])):
        await asyncio.sleep(0.05)
        print("watched", flush=True)
"""

BUSY = "        while True:\n            busy(0.1)\n            await asyncio.sleep(0)\n"
STOPPED = "        time.sleep(3600)\n"
MUTE = "        while True:\n            logs.logging.warning('x' * 5000)\n"
ENDS = "        pass\n    await asyncio.sleep(float(sys.argv[1]) * 2)\n"


@contextmanager
def loop_that(does: str) -> "Iterator[subprocess.Popen[str]]":
    script = f"{LOOP}{does}\nasyncio.run(main())\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script, repr(PATIENCE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "watched\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_loop_that_stands_still_ends_its_process_with_one_line_that_tells_where() -> None:
    with loop_that(STOPPED) as process:
        began = time.monotonic()
        assert process.wait(timeout=60) == LOOP_STOPPED
        assert time.monotonic() - began >= PATIENCE * 0.9
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
    told = json.loads(line)
    assert told["event"] == "event_loop_stopped"
    assert told["silent_seconds"] >= PATIENCE * 0.9
    assert told["loop"].endswith("main")


def test_a_loop_that_stands_still_at_a_log_that_nobody_reads_ends_its_process_too() -> None:
    with loop_that(MUTE) as process:
        assert process.wait(timeout=60) == LOOP_STOPPED


def test_a_loop_that_is_busy_in_pieces_is_not_ended_however_long_it_goes_on() -> None:
    with loop_that(BUSY) as process, pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=PATIENCE * 3)


def test_a_process_that_was_frozen_is_not_ended_for_the_time_it_did_not_run() -> None:
    with loop_that(BUSY) as process:
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE * 1.5)
            process.send_signal(signal.SIGCONT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE / 2)


def test_a_loop_that_has_ended_is_not_watched_any_longer() -> None:
    with loop_that(ENDS) as process:
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("point", POINTS)
async def test_a_role_that_stands_still_is_ended_and_started_again_and_its_work_is_done_once(
    point: str, ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    await company(ledger, sandbox, BJORK, contracts=2)
    stalling = environment_for(
        environment,
        STALL=f"{point}@{tmp_path / 'stood-still'}",
        LOOP_PATIENCE=repr(PATIENCE),
        CALL_TIMEOUT="3",
        LEASE_MARGIN="1",
        SETTLE="2",
        LOG_FORMAT="json",
    )
    supervisor = Processes(stalling, tmp_path, (sys.executable, "-m", "tests.integration.roles.stalling"))
    try:
        supervisor.start("producer", ("produce",))
        supervisor.start("worker", ("work", "all"))

        async def done() -> bool:
            supervisor.tend()
            return len(await billings.find(ledger, status=Status.DONE)) == 2

        await until(done, within=100.0)
    finally:
        supervisor.stop()
    assert made(sandbox, BJORK) == [(1, "2026-01-01"), (2, "2026-01-01")]
    assert len(await sandbox.requests(f"path={CREATE}")) == 2
    logs = [line for log in ("producer.log", "worker.log") for line in (tmp_path / log).read_text().splitlines()]
    (told,) = [json.loads(line) for line in logs if "event_loop_stopped" in line]
    assert told["loop"].endswith("standing")


async def test_a_worker_that_was_frozen_works_on_when_it_is_thawed(
    ledger: Ledger, environment: Mapping[str, str], sandbox: Sandbox
) -> None:
    impatient = environment_for(environment, LOOP_PATIENCE=repr(PATIENCE), POLL_INTERVAL="1")
    async with roles(impatient, ("work", "all"), ("produce",), program=PROGRAM) as started:
        for role in started:
            await role.is_up()
        for role in started:
            role.process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(psutil.wait_procs, [psutil.Process(role.pid) for role in started], PATIENCE * 2)
        for role in started:
            role.process.send_signal(signal.SIGCONT)
        await company(ledger, sandbox, BJORK)

        async def done() -> bool:
            return bool(made(sandbox, BJORK))

        await until(done)
        assert [role.process.returncode for role in started] == [None, None]
