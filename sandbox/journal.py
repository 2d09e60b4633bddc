"""The log of requests: when each arrived, when the last byte of its answer left, and what became of it.

Cheap enough for a benchmark: a bounded queue of small records, nothing formatted until somebody asks. It must never
hold a token, a secret or a body.
"""

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.clock import Clock

KEPT = 200_000


@dataclass(slots=True)
class Entry:
    """One request. `arrived` and `answered` are real Unix seconds; `instant` is the virtual one of its arrival.

    With a latency, it arrived when it was through to the sandbox, and was answered when the caller could read it.
    """

    number: int
    arrived: float
    instant: datetime
    method: str
    path: str
    query: str
    tenant: int | None = None
    client: str | None = None
    grant: str | None = None
    """The grant type of a request for a token."""
    status: int | None = None
    """None: no answer was begun."""
    answered: float | None = None
    """None: the last byte has not left, and may never."""
    fault: str | None = None
    rule: int | None = None
    uid: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "arrived": self.arrived,
            "answered": self.answered,
            "instant": self.instant.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "tenant": self.tenant,
            "client": self.client,
            "grant": self.grant,
            "status": self.status,
            "fault": self.fault,
            "rule": self.rule,
            "uid": self.uid,
        }


class Journal:
    """The newest requests, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def open(self, method: str, path: str, query: str) -> Entry:
        entry = Entry(next(self._numbers), time.time(), self._clock.now(), method, path, query)
        self._entries.append(entry)
        return entry

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def clear(self) -> None:
        """Forget; numbers go on."""
        self._entries.clear()
