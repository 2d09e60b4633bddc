"""The roles as child processes: started again when they die, stopped together, and never left over."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from avtalsmotor.processes import Processes

PATIENCE = 60.0
IDLE = ("sandbox", "--port", "0")
"""A role that needs nothing else to run."""

OWNER = """
import sys
from pathlib import Path
from avtalsmotor.processes import Processes
roles = Processes({}, Path(sys.argv[1]))
roles.start("sandbox", ("sandbox", "--port", "0"))
sys.stdin.read()
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def children_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]


def is_up(log: Path) -> bool:
    return log.exists() and "sandbox ready" in log.read_text()


def test_a_role_that_is_killed_is_started_again_and_all_are_stopped_together(tmp_path: Path) -> None:
    roles = Processes({}, tmp_path)
    before = {child.pid for child in children_of(psutil.Process().pid)}

    def started() -> list[psutil.Process]:
        return [child for child in children_of(psutil.Process().pid) if child.pid not in before]

    try:
        roles.start("sandbox", IDLE)
        wait_for(lambda: is_up(tmp_path / "sandbox.log"))
        (first,) = started()
        first.kill()
        first.wait(PATIENCE)
        (tmp_path / "sandbox.log").write_text("")

        def restarted() -> bool:
            roles.tend()
            return is_up(tmp_path / "sandbox.log")

        wait_for(restarted)
        (second,) = started()
        assert second.pid != first.pid
    finally:
        roles.stop()
    assert started() == []


def test_a_role_that_cannot_start_is_told_of(tmp_path: Path) -> None:
    roles = Processes({}, tmp_path)
    try:
        roles.start("nonsense", ("no-such-command",))

        def failed_twice() -> bool:
            roles.tend()
            return bool(roles.died_at_start())

        wait_for(failed_twice)
        assert roles.died_at_start() == ["nonsense"]
    finally:
        roles.stop()


def test_the_roles_die_with_the_process_that_started_them_however_it_dies(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: is_up(tmp_path / "sandbox.log"))
        (role,) = children_of(owner.pid)
        owner.kill()
        wait_for(lambda: not role.is_running() or role.status() == psutil.STATUS_ZOMBIE)
    finally:
        owner.kill()
        owner.communicate()
