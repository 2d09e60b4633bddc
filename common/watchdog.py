"""Ends a process whose event loop has stopped answering, so that whoever keeps it running starts it anew.

It never tries to mend the loop: a process that stands still with a call in hand is, for the others, one that has died,
and what it leaves is found as after a death (docs/queue.md). It must never end a process that was itself kept from
running, nor wait for anything that the stopped loop may hold.
"""

import asyncio
import math
import os
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

import structlog

from common.clock import boottime

LOOP_STOPPED = 70
"""The exit status of a process that its watchdog has ended."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at the loop; a tenth of the patience where that is less."""

_LAST_WORDS_WITHIN = 2.0
"""Seconds for the log line: the loop may have stopped at a log that nobody reads."""

_log = structlog.get_logger()


class Watchdog:
    """Asks the loop to answer, again and again, from a thread of its own; watches for the length of its `with` block.

    What counts is how often it looked in vain, not what a clock says: while the whole process stands still (stopped, or
    on a laptop that sleeps) the watchdog does not look either, and a machine that is too busy makes it look less often.
    A loop that is merely busy answers between two callbacks. A C function that keeps the interpreter's lock stops the
    watchdog, too, and is not found out.

    Parameters:
      loop: runs, or is about to, in another thread than the watchdog's.
      patience: seconds without an answer after which the process is ended, at the earliest, with the status
        `LOOP_STOPPED`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._loop = loop
        self._patience = patience
        self._answered = threading.Event()
        self._dismissed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._loop_thread: int | None = None

    def __enter__(self) -> Self:
        self._ask()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._dismissed.set()
        self._thread.join()

    def _watch(self) -> None:
        look_every = min(_LOOK_EVERY, self._patience / 10)
        looks = math.ceil(self._patience / look_every)
        in_vain = 0
        answered_at = boottime()
        while not self._dismissed.wait(look_every):
            if self._answered.is_set():
                in_vain, answered_at = 0, boottime()
                if not self._ask():
                    return
            else:
                in_vain += 1
                if in_vain >= looks:
                    self._end(boottime() - answered_at)

    def _ask(self) -> bool:
        """False: the loop is closed, and there is nothing left to watch."""
        self._answered.clear()
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            return False
        return True

    def _answer(self) -> None:
        self._loop_thread = threading.get_ident()
        self._answered.set()

    def _end(self, silent: float) -> None:
        frames = sys._current_frames()  # noqa: SLF001 - the one way to all stacks; `faulthandler` writes many lines
        last_words = threading.Thread(target=_tell, args=(silent, frames, self._loop_thread), daemon=True)
        last_words.start()
        last_words.join(_LAST_WORDS_WITHIN)
        os._exit(LOOP_STOPPED)


def _tell(silent: float, frames: dict[int, FrameType], loop_thread: int | None) -> None:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    alike: dict[str, list[str]] = defaultdict(list)
    for ident, frame in frames.items():
        if ident not in (loop_thread, threading.get_ident()):
            alike[_stack(frame)].append(names.get(ident, str(ident)))
    loop_frame = frames.get(loop_thread) if loop_thread is not None else None
    _log.critical(
        "event_loop_stopped",
        silent_seconds=round(silent, 1),
        loop="" if loop_frame is None else _stack(loop_frame),
        others=_grouped(alike),
    )


def _stack(frame: FrameType) -> str:
    """The calls from the outermost to the innermost, on one line and without any value."""
    return " > ".join(f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_stack(frame))


def _grouped(alike: dict[str, list[str]]) -> Sequence[str]:
    """Each stack once: most of a worker's threads wait at the same place."""
    return [f"{', '.join(sorted(threads))}: {stack}" for stack, threads in alike.items()]
