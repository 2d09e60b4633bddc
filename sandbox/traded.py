"""What a client trades for access tokens: authorization codes and refresh tokens, each good for one time.

Both live by the virtual clock, also while it is frozen: who moves it on by 46 days has outlived a refresh token.
The spent ones are remembered for a while, to tell in the log whose they were; no value is ever written anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sandbox.clock import Clock

T = TypeVar("T")

_PRUNE_AT = 10_000


@dataclass(slots=True, frozen=True)
class Code:
    """What a person agreed to, until the client has traded the code for it."""

    client: str
    tenant: int
    scopes: frozenset[str]
    redirect_uri: str | None
    """As the client gave it when it asked; None: it left it out."""
    offline: bool
    """Whether a refresh token comes with the access token."""
    service: bool


@dataclass(slots=True, frozen=True)
class Refresh:
    """What a refresh token renews."""

    client: str
    tenant: int
    scopes: frozenset[str]
    family: str
    """Shared by all that came from one code."""


@dataclass(slots=True)
class _Kept(Generic[T]):
    content: T
    until: datetime
    spent: bool = False


class OneTime(Generic[T]):
    """Values that can be spent once, before they expire."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept[T]] = {}

    def keep(self, value: str, content: T, life: float) -> str:
        """Keep a new value for `life` virtual seconds; returns it."""
        if len(self._kept) >= _PRUNE_AT:
            self._kept = {value: kept for value, kept in self._kept.items() if self._good(kept)}
        self._kept[value] = _Kept(content, self._clock.now() + timedelta(seconds=life))
        return value

    def known(self, value: str) -> T | None:
        """What the value stands for or stood for, spent and expired ones included."""
        kept = self._kept.get(value)
        return None if kept is None else kept.content

    def good(self, value: str) -> T | None:
        """What the value stands for; None when it is unknown, spent or expired."""
        kept = self._kept.get(value)
        return kept.content if kept is not None and self._good(kept) else None

    def spend(self, value: str) -> None:
        self._kept[value].spent = True

    def spend_all(self, which: Callable[[T], bool]) -> int:
        """Spend every good one that `which` holds for; returns how many there were."""
        dead = [kept for kept in self._kept.values() if self._good(kept) and which(kept.content)]
        for kept in dead:
            kept.spent = True
        return len(dead)

    def _good(self, kept: _Kept[T]) -> bool:
        return not kept.spent and self._clock.now() < kept.until


Codes = OneTime[Code]
RefreshTokens = OneTime[Refresh]
