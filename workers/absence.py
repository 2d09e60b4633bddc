"""Decides when "Fortnox does not show it" may be believed. Pure, and the most cautious decision of the product.

Fortnox may finish a call after we have given it up. That a call had no effect is believed only when it can no longer
have one: its access token has expired, and since then a settling time (`Settings.settle`) has passed (design, section
6). For deliveries it is never believed.
"""

from datetime import datetime, timedelta

from common.clock import STOCKHOLM
from common.ledger.records import Attempt


def believable_from(called_at: datetime, token_expires_at: datetime, settle: timedelta) -> datetime:
    """From when on the absence of an effect may be believed.

    The settling time counts from the token's end: a process may be frozen between its last look at the lease and the
    request, and send it with a token that is still good, however late.
    """
    return max(token_expires_at, called_at) + settle


def is_believable(attempt: Attempt, now: datetime, settle: timedelta) -> bool:
    """Whether a look that begins now may take what it does not find for not made. Never once Fortnox has said yes."""
    return attempt.verdict is None and now > believable_from(attempt.called_at, attempt.token_expires_at, settle)


def in_words(instant: datetime) -> str:
    """An instant for a person in Sweden."""
    return f"{instant.astimezone(STOCKHOLM):%Y-%m-%d %H:%M}"
