"""The places in a worker at which it can be killed or frozen: laid around the real functions, which do all their work.

A process passes a point after the original function has returned. If the point is armed (a file of its name lies in the
arms' folder), exactly one process takes the arming, writes down where it stands, and ends or stops itself there.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError
from common.ledger import billings
from common.ledger.backends import SqliteBackend
from common.ledger.database import Ledger
from common.ledger.outcomes import Refused
from workers.bookkeeping import Bookkeeping
from workers.delivery import HandOver, Sending
from workers.invoicing import Create
from workers.runtime import Runtime

Action = Literal["kill", "freeze"]

AFTER_LOOK = "after_look"
"""What must be known before the call is known; no slot is taken yet. A person may click now."""
AFTER_SLOT = "after_slot"
AFTER_CALLED_AT = "after_called_at"
"""The claim is committed; the request has not been sent."""
AS_IT_LEAVES = "as_it_leaves"
"""The lease has been checked for the last time; the request has not been sent. The narrowest of the gaps."""
AFTER_ANSWER = "after_answer"
"""Fortnox has answered; the outcome is not committed."""
AFTER_COMMIT = "after_commit"
"""The outcome is committed; the message is not acknowledged."""

POINTS = (AFTER_SLOT, AFTER_CALLED_AT, AFTER_ANSWER, AFTER_COMMIT)
"""Those of the issue: each is struck by kills and by freezes."""

SIGNALS: Mapping[Action, signal.Signals] = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}

STRUCK = "struck.jsonl"

_about_to_call: ContextVar[bool] = ContextVar("about_to_call", default=False)
"""Whether what must be known before the call is known: reads before it take slots, too, and are no steps."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A process that took an arming: where it stood."""

    action: Action
    point: str
    step: str
    tenant: int
    billing: int
    contract: int
    pid: int
    at: float


class Arms:
    """The armings, and the log of those taken, as the controller and the workers share them.

    Parameters:
      folder: on one file system with itself, since an arming is taken by a rename.
    """

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._taken = folder / "taken"
        self._log = folder / STRUCK
        self._writer: Executor | None = None
        for made in (self._armed, self._taken):
            made.mkdir(parents=True, exist_ok=True)

    def arm(self, action: Action, point: str, step: str) -> None:
        """The next process that passes the point at that step is struck."""
        (self._armed / _name(action, point, step)).touch()

    def disarm(self, action: Action, point: str, step: str) -> bool:
        """Takes the arming back. `False`: a process has taken it."""
        try:
            (self._armed / _name(action, point, step)).unlink()
        except FileNotFoundError:
            return False
        return True

    def disarm_all(self) -> None:
        """Takes back whatever is armed."""
        for armed in self._armed.iterdir():
            armed.unlink(missing_ok=True)

    def struck(self, after: int) -> list[Struck]:
        """The log from the line after that number on."""
        if not self._log.exists():
            return []
        lines = self._log.read_text(encoding="utf-8").split("\n")[:-1]
        return [Struck(**json.loads(line)) for line in lines[after:]]

    def pass_by(self, point: str) -> None:
        """The calling process is at the point. Does not return if it was to be killed there."""
        facts = structlog.contextvars.get_contextvars()
        step = str(facts.get("step", ""))
        for action in SIGNALS:
            armed = self._armed / _name(action, point, step)
            with contextlib.suppress(FileNotFoundError):
                armed.rename(self._taken / f"{armed.name}.{os.getpid()}.{time.monotonic_ns()}")
                self._strike(action, point, step, facts)

    def ledger_is(self, ledger: Ledger) -> None:
        """The ledger that the calling process writes in."""
        backend = ledger._backend
        self._writer = backend._writer if isinstance(backend, SqliteBackend) else None

    def _let_the_ledger_go(self) -> None:
        """Lets what this process is just writing for other billings come to its commit.

        A process that is frozen in the middle of that keeps SQLite's one lock from everybody: that is a fault of its
        own (`database_locked`), and would hide the one that is meant.
        """
        if self._writer is not None:
            self._writer.submit(lambda: None).result()

    def _strike(self, action: Action, point: str, step: str, facts: Mapping[str, Any]) -> None:
        if action == "freeze":
            self._let_the_ledger_go()
        line = {
            "action": action,
            "point": point,
            "step": step,
            "tenant": facts["tenant"],
            "billing": facts["billing"],
            "contract": facts["contract"],
            "pid": os.getpid(),
            "at": time.time(),
        }
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, json.dumps(line).encode() + b"\n")
        os.fsync(log)
        os.close(log)
        os.kill(os.getpid(), SIGNALS[action])


def _name(action: Action, point: str, step: str) -> str:
    return f"{action}.{point}.{step}"


def lay(arms: Arms) -> None:
    """Lays the points around the functions of this process' product."""
    _around(Runtime, "open", lambda runtime: arms.ledger_is(runtime.ledger))
    for work in (Create, Bookkeeping, Sending, HandOver):
        _around(work, "prepare", lambda prepared: _prepared(arms, prepared))
    _around(Fortnox, "permit", lambda _: _permitted(arms))
    _around(billings, "claim", lambda claim: _claimed(arms, claim))
    for effect in ("create_invoice", "bookkeep", "email", "einvoice", "print_and_post", "hand_over"):
        _around_call(effect, arms)
    _around(billings, "settle", lambda _: arms.pass_by(AFTER_COMMIT))


def _prepared(arms: Arms, prepared: object) -> None:
    _about_to_call.set(prepared is None)
    if prepared is None:
        arms.pass_by(AFTER_LOOK)


def _permitted(arms: Arms) -> None:
    if _about_to_call.get():
        arms.pass_by(AFTER_SLOT)


def _claimed(arms: Arms, claim: object) -> None:
    if not isinstance(claim, Refused):
        arms.pass_by(AFTER_CALLED_AT)


def _around(owner: Any, name: str, returned: Callable[[Any], object]) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def passing(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        returned(result)
        return result

    setattr(owner, name, passing)


def _around_call(name: str, arms: Arms) -> None:
    original: Callable[..., Awaitable[Any]] = getattr(Fortnox, name)

    async def calling(*args: Any, **kwargs: Any) -> Any:
        _about_to_call.set(False)
        arms.pass_by(AS_IT_LEAVES)
        try:
            result = await original(*args, **kwargs)
        except FortnoxError:
            arms.pass_by(AFTER_ANSWER)
            raise
        arms.pass_by(AFTER_ANSWER)
        return result

    setattr(Fortnox, name, calling)
