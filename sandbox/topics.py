"""What the websocket announces: for each topic a log of events in order, every one with an offset (API notes 8).

Fortnox keeps two weeks of them. What is older by the sandbox' clock is forgotten, and so is what is beyond `MOST`, so
that a long run does not fill the memory. Plain state: who is connected, and what is told to whom, is in sandbox.stream.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.clock import Clock

TOPICS = frozenset(
    {
        "articles",
        "bureau-activities",
        "bureau-assignments",
        "cost-centers",
        "currencies",
        "customers",
        "financial-years",
        "invoices",
        "messages",
        "offers",
        "orders",
        "projects",
        "suppliers",
        "supplier-invoices",
        "termsofdeliveries",
        "termsofpayments",
        "vouchers",
        "warehouse-stockbalances",
        "waysofdeliveries",
    }
)
"""All there are: none of contracts, and none of prices or price lists."""

KEPT = timedelta(days=14)
MOST = 50_000
"""Events kept of one topic."""

_INVOICE_EVENTS: Mapping[str, str] = {
    "create": "invoice-created-v1",
    "bookkeep": "invoice-bookkeep-v1",
    "cancel": "invoice-cancelled-v1",
    "printreminder": "reminder-sent-v1",
}

_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 7
_RANGE = 1 << 40
_STRIDE = 740_273_846_521
"""Odd, so that each number of the range has an offset of its own, and one that tells nothing of its neighbours."""


@dataclass(slots=True, frozen=True)
class Event:
    """Something that was announced. `number` is its place in its topic, from 1 on; `at` is the sandbox' own instant."""

    number: int
    topic: str
    type: str
    tenant: int
    entity: str
    at: datetime
    published: float
    """By time.monotonic()."""

    def as_json(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "offset": offset_of(self.number),
            "type": self.type,
            "tenantId": self.tenant,
            "entityId": self.entity,
            "timestamp": self.at.isoformat(timespec="milliseconds"),
        }


@dataclass(slots=True)
class _Log:
    events: list[Event] = field(default_factory=list)
    next: int = 1

    @property
    def first(self) -> int:
        return self.next - len(self.events)

    def forget(self, now: datetime) -> None:
        if len(self.events) > MOST:
            # A tenth at a time: taking one from the front of a list moves all others.
            del self.events[: len(self.events) - MOST + MOST // 10]
        old = 0
        while old < len(self.events) and self.events[old].at < now - KEPT:
            old += 1
        del self.events[:old]


class Topics:
    """The logs of all topics, and who is to be woken by a new event."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logs = {topic: _Log() for topic in sorted(TOPICS)}
        self.listening: set[asyncio.Event] = set()

    def announce(self, topic: str, type_: str, tenant: int, entity: str) -> None:
        """One more event of the topic; of no other kind than Fortnox has (API notes 8)."""
        log = self._logs[topic]
        now = self._clock.now()
        log.forget(now)
        log.events.append(Event(log.next, topic, type_, tenant, entity, now, time.monotonic()))
        log.next += 1
        for woken in self.listening:
            woken.set()

    def next_number(self, topic: str) -> int:
        """The number of the event that comes next."""
        return self._logs[topic].next

    def find(self, topic: str, offset: str) -> int:
        """The number of the event with this offset, or of the earliest that is kept where that is not kept."""
        log = self._logs[topic]
        log.forget(self._clock.now())
        number = _number_of(offset)
        return number if log.first <= number < log.next else log.first

    def at(self, topic: str, number: int) -> Event | None:
        """The event with this number, or the earliest kept after it; None where there is none yet."""
        log = self._logs[topic]
        place = max(number - log.first, 0)
        return log.events[place] if place < len(log.events) else None

    def sizes(self) -> dict[str, int]:
        """How many events are kept, of the topics that have any."""
        return {topic: len(log.events) for topic, log in self._logs.items() if log.events}


def invoice_event(action: str) -> str:
    """What is announced of something done to an invoice; that it was sent is an update (API notes 8)."""
    return _INVOICE_EVENTS.get(action, "invoice-updated-v1")


def offset_of(number: int) -> str:
    scattered = number * _STRIDE % _RANGE
    signs = []
    for _ in range(_LENGTH):
        scattered, place = divmod(scattered, len(_SIGNS))
        signs.append(_SIGNS[place])
    return "".join(signs)


def _number_of(offset: str) -> int:
    """The number behind an offset; 0, which no event has, where it cannot be one."""
    if len(offset) != _LENGTH or not set(offset) <= set(_SIGNS):
        return 0
    scattered = 0
    for sign in reversed(offset):
        scattered = scattered * len(_SIGNS) + _SIGNS.index(sign)
    return scattered * pow(_STRIDE, -1, _RANGE) % _RANGE
