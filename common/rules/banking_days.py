"""The days on which Swedish banks are open (bankdagar), reckoned from the law, so that no table of dates runs out.

A bank is closed on Saturdays, on Sundays and other public holidays (lag 1989:253 om allmänna helgdagar), and on
midsommarafton, julafton and nyårsafton, which are put on a level with them (lag 1930:173 om beräkning av lagstadgad
tid, 2 §). Days on which banks close early, such as skärtorsdagen, are banking days. So it is since 2005, when the
National Day took the place of Whit Monday; earlier years are not told apart. Nothing here knows what day it is.
"""

from datetime import date, timedelta
from functools import lru_cache

_ONE_DAY = timedelta(days=1)
_SATURDAY, _FRIDAY = 5, 4

_EVERY_YEAR = frozenset(
    {
        (1, 1),  # nyårsdagen
        (1, 6),  # trettondedag jul
        (5, 1),  # första maj
        (6, 6),  # nationaldagen
        (12, 24),  # julafton
        (12, 25),  # juldagen
        (12, 26),  # annandag jul
        (12, 31),  # nyårsafton
    }
)
"""Month and day of the holidays that may fall on any day of the week."""

_FROM_EASTER = (
    -2,  # långfredagen
    +1,  # annandag påsk
    +39,  # Kristi himmelsfärdsdag
)
"""Days from Easter Sunday. Påskdagen and pingstdagen are Sundays."""


def is_banking_day(day: date) -> bool:
    """Whether Swedish banks are open, be it for half the day."""
    if day.weekday() >= _SATURDAY or (day.month, day.day) in _EVERY_YEAR:
        return False
    return not _is_midsommarafton(day) and day not in _moving(day.year)


def banking_day_from(day: date) -> date:
    """That day if it is a banking day, else the next one after it: five days later at the most."""
    while not is_banking_day(day):
        day += _ONE_DAY
    return day


def _is_midsommarafton(day: date) -> bool:
    # The day before midsommardagen, the Saturday of 20 to 26 June. Alla helgons dag is a Saturday, too.
    return day.month == 6 and 19 <= day.day <= 25 and day.weekday() == _FRIDAY


@lru_cache(maxsize=64)
def _moving(year: int) -> frozenset[date]:
    return frozenset(easter_sunday(year) + timedelta(days=days) for days in _FROM_EASTER)


def easter_sunday(year: int) -> date:
    """Påskdagen by the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8; by Butcher, 1876)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    leap_centuries, century_rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon_shift + 15) % 30
    leaps, year_rest = divmod(of_century, 4)
    to_sunday = (32 + 2 * century_rest + 2 * leaps - epact - year_rest) % 7
    late_moon = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late_moon + 114, 31)
    return date(year, month, day + 1)
