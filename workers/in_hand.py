"""What a worker that is told to stop lets go of: all that it has in hand, but for a step that is claimed.

What is let go is begun anew by another worker at once. A claimed step must never be: between its call and its outcome
nothing but the answer, or the doubt, may end it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast


class LetGo(Exception):  # noqa: N818 - what happened
    """The process is told to stop, and this was not begun, or can be begun anew elsewhere."""


class InHand:
    """The tasks of one process that may be let go. All of it belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._stopping = False
        self._free: set[asyncio.Task[Any]] = set()

    def let_go(self) -> None:
        """Interrupts what may be interrupted; nothing that comes after this is begun."""
        self._stopping = True
        for task in self._free:
            task.cancel()

    @asynccontextmanager
    async def free(self) -> AsyncIterator[None]:
        """What is done in this block may be interrupted, and begun anew by anybody. Raises LetGo."""
        self._check()
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._free.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._stopping:
                task.uncancel()
            self._check()
            raise
        finally:
            self._free.discard(task)
        # Redis' client loses a cancellation that comes as a send ends: the block then went on to its end.
        self._check()

    def _check(self) -> None:
        if self._stopping:
            raise LetGo
