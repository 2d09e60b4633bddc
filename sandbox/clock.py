"""The sandbox's own time, in Europe/Stockholm: every date and instant that it gives or compares comes from here.

It follows real time with an offset, can be set, moved and frozen. It must never be used for the rate limit, which runs
by real monotonic time whatever the story's date is.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")


class Clock:
    """Virtual time: real time plus an offset, or one instant while frozen."""

    def __init__(self, start: datetime | None = None, *, frozen: bool = False) -> None:
        self._offset = timedelta()
        self._frozen_at: datetime | None = None
        if start is not None:
            self.set(start)
        if frozen:
            self.freeze()

    @property
    def frozen(self) -> bool:
        return self._frozen_at is not None

    def now(self) -> datetime:
        """The instant, aware, in Stockholm's zone."""
        if self._frozen_at is not None:
            return self._frozen_at
        return (real_now() + self._offset).astimezone(STOCKHOLM)

    def today(self) -> date:
        return self.now().date()

    def ahead(self) -> float:
        """Seconds by which it is ahead of real time (behind: negative), for a client that is to keep step with it."""
        return (self.now() - real_now()).total_seconds()

    def set(self, instant: datetime) -> None:
        """Go to an instant; one without a zone is read as Stockholm's wall clock."""
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=STOCKHOLM)
        if self._frozen_at is not None:
            self._frozen_at = instant.astimezone(STOCKHOLM)
        else:
            # Through UTC: a difference within one zone would ignore the changes to and from summer time.
            self._offset = instant.astimezone(ZoneInfo("UTC")) - real_now()

    def move(self, duration: timedelta) -> None:
        """Move on (or back) by real seconds, not by wall-clock hours: the switch to summer time shortens a day."""
        self.set(self.now().astimezone(ZoneInfo("UTC")) + duration)

    def freeze(self) -> None:
        self._frozen_at = self.now()

    def run(self) -> None:
        """Let a frozen clock go on from where it stands."""
        instant = self.now()
        self._frozen_at = None
        self.set(instant)


def real_now() -> datetime:
    return datetime.now(ZoneInfo("UTC"))
