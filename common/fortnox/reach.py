"""Whether Fortnox answers at all, and what time it is there: one request, of no company and without a token."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp

from common.clock import Clock
from common.settings import Settings

WITHIN = 10.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Parameters:
    ahead: by how much Fortnox' clock is ahead of this machine's, to the second; `None`: it does not tell.
    """

    ahead: timedelta | None


async def reach(settings: Settings) -> Reached:
    """Any answer will do, and without a token it is a refusal. Raises OSError or TimeoutError when none comes."""
    # This machine's own time, also on a rehearsal's day: that is what a header tells.
    clock = Clock()
    asked = clock.now()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN)) as session,
            session.get(f"{settings.fortnox_api_url}/3/companyinformation", allow_redirects=False) as response,
        ):
            told = response.headers.get("Date", "")
    except aiohttp.ClientError as error:
        raise OSError(str(error) or type(error).__name__) from error
    half_way = asked + (clock.now() - asked) / 2
    there = _instant(told)
    return Reached(None if there is None else there - half_way)


def _instant(header: str) -> datetime | None:
    try:
        return parsedate_to_datetime(header)
    except ValueError:
        return None
