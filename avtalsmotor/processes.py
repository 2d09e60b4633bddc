"""Runs the roles of the product as child processes, and keeps them running until it is told to stop.

Every role is the same program with another command, as it is in containers. A role that dies is started again; the
ledger knows what it had in hand.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import structlog

from avtalsmotor.children import bound_to_parent

log = structlog.get_logger()

ROLES: Mapping[str, Sequence[str]] = {
    "producer": ("produce",),
    "worker-invoicing": ("work", "invoicing"),
    "worker-evidence": ("work", "evidence"),
    "worker-bookkeeping": ("work", "bookkeeping"),
    "worker-delivery": ("work", "delivery"),
    "worker-pricing": ("work", "pricing"),
}
"""Each role and the command that runs it; the services of docker-compose.yml have the same names."""

PROGRAM = (sys.executable, "-m", "avtalsmotor")

LONGEST_RESTART_PAUSE = 30.0
STEADY_AFTER = 60.0
"""Seconds after which a role that was started again counts as steady."""

HURRIED_WITHIN = 3.0
"""Seconds that the roles have when they are told to stop a second time."""

_LOOK_EVERY = 0.05


class StartFailed(Exception):  # noqa: N818 - what happened
    """What everything else needs is not there or did not start. The message says what to do."""


@dataclass
class _Child:
    role: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes]"
    started: float
    failures: int = 0
    start_again_at: float | None = None


@dataclass
class Processes:
    """Child processes that die with this one.

    Parameters:
      environment: what is added to this process' own environment.
      logs: a folder for one log file a role; `None`: they write to this process' stderr.
      program: what understands the roles' commands.
    """

    environment: Mapping[str, str]
    logs: Path | None = None
    program: Sequence[str] = PROGRAM
    _children: list[_Child] = field(default_factory=list)

    def start(self, role: str, command: Sequence[str]) -> None:
        """Starts one role: a command of the command line, without the program's name."""
        self._children.append(_Child(role, command, self._spawn(role, command), time.monotonic()))

    def _spawn(self, role: str, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        output = self._output(role)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program with our own arguments
                bound_to_parent([*self.program, *command]),
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            if output is not None:
                output.close()
        log.debug("role_started", role=role, pid=process.pid)
        return process

    def _output(self, role: str) -> IO[bytes] | None:
        if self.logs is None:
            return None
        self.logs.mkdir(parents=True, exist_ok=True)
        return (self.logs / f"{role}.log").open("ab")

    def tend(self) -> None:
        """Starts again what has died: at once, then after a pause that grows. Call it now and then."""
        for child in self._children:
            status = child.process.poll()
            if status is None:
                if time.monotonic() - child.started > STEADY_AFTER:
                    child.failures = 0
                continue
            if child.start_again_at is None:
                pause = min(2.0**child.failures - 1, LONGEST_RESTART_PAUSE)
                log.error("role_died", role=child.role, exit_status=status, restart_in=pause)
                child.failures += 1
                child.start_again_at = time.monotonic() + pause
            if time.monotonic() >= child.start_again_at:
                child.process = self._spawn(child.role, child.command)
                child.started, child.start_again_at = time.monotonic(), None

    @property
    def pids(self) -> Mapping[str, int]:
        """The process of each role."""
        return {child.role: child.process.pid for child in self._children}

    def died_at_start(self) -> Sequence[str]:
        """The roles that have died more than once: something keeps them from starting."""
        return [child.role for child in self._children if child.failures > 1]

    def stop(self, within: float = 45.0, hurried: threading.Event | None = None) -> None:
        """SIGTERM to all, then waits; whoever has not stopped in time is killed.

        Parameters:
          hurried: once it is set, all are told again, and have `HURRIED_WITHIN`.
        """
        self._tell()
        deadline = time.monotonic() + within
        told_again = False
        while any(child.process.poll() is None for child in self._children) and time.monotonic() < deadline:
            if hurried is not None and hurried.is_set() and not told_again:
                self._tell()
                told_again = True
                deadline = min(deadline, time.monotonic() + HURRIED_WITHIN)
            time.sleep(_LOOK_EVERY)
        for child in self._children:
            if child.process.poll() is None:
                log.info("role_killed", role=child.role, pid=child.process.pid)
                child.process.kill()
                child.process.wait()
        self._children.clear()

    def _tell(self) -> None:
        for child in self._children:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
