"""What time it is: the instant in UTC, the day in Sweden, and the machine's own clock for leases.

Due-ness is a date in Europe/Stockholm. A shift moves the product's clock for a rehearsal against a sandbox whose clock
is moved by as much; in production it is zero. Nothing else in the product may ask the system for the time of day.
"""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

STOCKHOLM = ZoneInfo("Europe/Stockholm")


class Clock:
    """The wall clock, moved by `shift`.

    Parameters:
      shift: what is added to the system's clock; zero in production.
    """

    def __init__(self, shift: timedelta = timedelta(0)) -> None:
        self.shift = shift

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC) + self.shift

    def today(self) -> date:
        """The present day in Stockholm."""
        return self.now().astimezone(STOCKHOLM).date()


def boottime() -> float:
    """Seconds since the machine started, running on while it sleeps: a lease must not outlive a suspended laptop."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
