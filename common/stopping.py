"""How a role is told to stop: the first SIGTERM or SIGINT lets it finish what it has in hand, the second does not.

However it goes, the process ends: when it is told again, or when its time is up, it ends where it stands. That is as
safe as a kill, since the ledger has what was called and not answered, but others must then wait for a lease.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import structlog

_STOP = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger()


class StopSignals:
    """Hears SIGTERM and SIGINT for another thread than the main one. Make it, and close it, in the main thread.

    A Python handler runs when the main thread next wakes, and two signals in quick succession the kernel may give to
    another thread: a main thread that waits for something would sleep on. The C handler writes a byte at once.
    """

    def __init__(self) -> None:
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        self._before = {signum: signal.signal(signum, _pass) for signum in _STOP}
        self._wakeup_before = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the next signal. False: none came within that time, or they are not heard any longer."""
        self._ear.settimeout(seconds)
        try:
            while heard := self._ear.recv(1):
                if heard[0] in _STOP:
                    return True
        except TimeoutError:
            pass
        return False

    def close(self) -> None:
        """The signals do again what they did before; a `wait` ends."""
        signal.set_wakeup_fd(self._wakeup_before)
        for signum, before in self._before.items():
            signal.signal(signum, before)
        self._mouth.close()


class Stop:
    """What the two signals do to a role. Make it in the main thread; from then on the process hears them.

    Parameters:
      within: seconds from the first signal after which the process ends all the same.
      told: called once, in a thread of its own: it must only pass the word on.
    """

    def __init__(self, within: float, told: Callable[[], object]) -> None:
        self.leave: Callable[[], object] = lambda: None
        """What is still to be done before an early end, within a moment."""
        self._within = within
        self._told = told
        self._signals = StopSignals()
        threading.Thread(target=self._see_to_it, name="stopping", daemon=True).start()

    def _see_to_it(self) -> None:
        self._signals.wait()
        self._told()
        hurried = self._signals.wait(self._within)
        try:
            why = "told twice" if hurried else f"not done within {self._within:g} s"
            _log.warning("ended_with_work_in_hand", because=why)
            self.leave()
        finally:
            os._exit(0)


def _pass(signum: int, frame: FrameType | None) -> None:
    """Without a handler there is no byte either."""
