"""When somebody is told of what needs a person: one digest of all that is new, and one in the morning of what is left.

Pure: what is open, what was told and what time it is are given. Nothing is told as new twice, and nothing is told where
nothing is open (docs/decisions/0022-notices.md).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from common.ids import TenantId
from common.rules.banking_days import is_banking_day
from common.rules.due import STOCKHOLM

Mark = tuple[TenantId, str]
"""By this a thing that needs a person is known from one look to the next: its company, and a mark within that."""


class Kind(StrEnum):
    NEW = "new"
    """Something needs a person that nobody has been told of."""
    REMINDER = "reminder"
    """What is still open, in the morning."""
    TEST = "test"
    """Somebody tries whether it arrives."""


@dataclass(frozen=True, slots=True)
class Open:
    """Something that needs a person."""

    seen_at: datetime
    """When it was first seen."""
    told_at: datetime | None
    """When a digest was made that tells of it; `None`: none was."""


@dataclass(frozen=True, slots=True)
class Past:
    """What has been told, or claimed for it."""

    last: datetime | None = None
    """When the last digest was made, of whatever kind."""
    last_reminder: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often somebody is to be told.

    Parameters:
      gather: how long after the first new thing a digest waits for others.
      spacing: the time between two digests of new things.
      reminder_from: the time of a banking day in Sweden from which on a reminder is due.
    """

    gather: timedelta
    spacing: timedelta
    reminder_from: time


def due(seen: Collection[Open], past: Past, rhythm: Rhythm, now: datetime) -> Kind | None:
    """Which digest is to be made now, if any."""
    if _reminder_is_due(seen, past, rhythm, now):
        return Kind.REMINDER
    if has_gathered(seen, rhythm, now) and (past.last is None or past.last + rhythm.spacing <= now):
        return Kind.NEW
    return None


def has_gathered(seen: Iterable[Open], rhythm: Rhythm, now: datetime) -> bool:
    """Whether something new has been open for so long that it is told, with all else that is new by then."""
    return any(one.told_at is None and one.seen_at + rhythm.gather <= now for one in seen)


def _reminder_is_due(seen: Iterable[Open], past: Past, rhythm: Rhythm, now: datetime) -> bool:
    today = now.astimezone(STOCKHOLM).date()
    opens = datetime.combine(today, rhythm.reminder_from, STOCKHOLM)
    if now < opens or not is_banking_day(today) or (past.last_reminder is not None and past.last_reminder >= opens):
        return False
    # What was told in the night of that very day lies unread in the mailbox: it alone is no reason to write again.
    midnight = datetime.combine(today, time.min, STOCKHOLM)
    return any(one.told_at is not None and one.told_at < midnight for one in seen)
