"""How a role is told to stop: the first SIGTERM or SIGINT lets it finish what it has in hand, the second does not.

However it goes, the process ends: when it is told again, or when its time is up, it ends where it stands. That is as
safe as a kill, since the ledger has what was called and not answered, but others must then wait for a lease.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog

_log = structlog.get_logger()


class Stop:
    """The two signals of one process. Make it in the main thread; from then on it hears them.

    Parameters:
      within: seconds from the first signal after which the process ends all the same.
      told: called once, in a thread of its own: it must only pass the word on.
    """

    def __init__(self, within: float, told: Callable[[], object]) -> None:
        self.leave: Callable[[], object] = lambda: None
        """What is still to be done before an early end, within a moment."""
        self._within = within
        self._told = told
        # Of all that tells another thread something, this alone may be used in a handler, which may interrupt itself.
        self._heard: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=self._see_to_it, name="stopping", daemon=True).start()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._hear)

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        self._heard.put(signum)

    def _see_to_it(self) -> None:
        self._heard.get()
        self._told()
        try:
            self._heard.get(timeout=self._within)
            why = "told twice"
        except queue.Empty:
            why = f"not done within {self._within:g} s"
        try:
            _log.warning("ended_with_work_in_hand", because=why)
            self.leave()
        finally:
            os._exit(0)
