"""Which day a period falls due, which date its invoice gets, and from when it may be sent.

Days are Swedish days. Nothing here knows what time it is: the caller says.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.rules.banking_days import banking_day_from
from common.rules.periods import Period, add_months
from common.rules.policy import Policy, PolicyChoice, earliest

STOCKHOLM = ZoneInfo("Europe/Stockholm")
_MONTHS_AWAY = {"before": -1, "same": 0, "after": 1}


def anchor_of(period: Period, policy: Policy) -> date:
    """The day that the due day is reckoned from: the period's start (förskott) or its end (efterskott)."""
    return period.start if policy.invoice_on == "period_start" else period.end


def due_on(period: Period, policy: Policy) -> date:
    """The day on which the period falls due.

    With `invoice_day`: that day, or the last, of the month before, of, or after the anchor's month, clamped to the
    month's length. Else `lead_days` before the anchor. Beyond the calendar, the calendar's first or last day.
    """
    anchor = anchor_of(period, policy)
    if policy.invoice_day is not None:
        day = 31 if policy.invoice_day == "last" else policy.invoice_day
        return add_months(anchor, _MONTHS_AWAY[policy.invoice_month], day)
    if policy.lead_days == 0:
        return anchor
    try:
        return date.fromordinal(anchor.toordinal() - policy.lead_days)
    except ValueError:
        return date.min if policy.lead_days > 0 else date.max


class Reach(NamedTuple):
    """The last days on which a period may start, or end, for its invoice to fall due by a certain day.

    A period that starts after `start` and ends after `end` is not due by then; `None` where nobody reckons by that end
    of the period. The rest may be due: the rules say which.
    """

    start: date | None
    end: date | None


def reach(bureau: Policy, choices: Iterable[PolicyChoice], day: date) -> Reach:
    """What may fall due by `day` under the bureau's policy and any mix of what the levels below it say.

    It lets a database leave out what cannot be due, so it must never be too short; it may be too long, since the levels
    are not told apart.
    """
    anchors, leads, months = {bureau.invoice_on}, [bureau.lead_days], [bureau.invoice_month]
    names_a_day = bureau.invoice_day is not None
    for choice in choices:
        anchors |= {choice.invoice_on} if choice.invoice_on is not None else set()
        leads += [choice.lead_days] if choice.lead_days is not None else []
        months += [choice.invoice_month] if choice.invoice_month is not None else []
        names_a_day |= choice.invoice_day is not None
    last = _days_after(day, max(leads))
    if names_a_day:
        last = max(last, *(add_months(day, -_MONTHS_AWAY[month], anchor=31) for month in months))
    return Reach(last if "period_start" in anchors else None, last if "period_end" in anchors else None)


def _days_after(day: date, days: int) -> date:
    try:
        return date.fromordinal(day.toordinal() + days)
    except ValueError:
        return date.max if days > 0 else date.min


def invoice_date(period: Period, policy: Policy, today: date) -> date:
    """The later of the due day and `today`; with `invoice_date="period_start"` the period's start if that is later
    still.

    Never in the past.
    """
    day = max(due_on(period, policy), today)
    return max(day, period.start) if policy.invoice_date == "period_start" else day


def deliver_not_before(policy: Policy, now: datetime) -> datetime | None:
    """The instant (UTC) before which an invoice may not be sent, or `None` if it may be sent at `now` (aware).

    The first one, from `now` on, that is in Stockholm on a day of `deliver_on` and not before `deliver_from`. A time
    that the clock skips in spring is reckoned by the offset before the change (02:30 is then 03:30), one that it shows
    twice in autumn is the first of the two (RFC 5545, 3.3.5).

    Raises:
      ValueError: `now` is not aware.
    """
    if now.tzinfo is None:
        raise ValueError("now must be an aware datetime")
    today = now.astimezone(STOCKHOLM).date()
    day = banking_day_from(today) if policy.deliver_on == "banking_days" else today
    if policy.deliver_from == "any" and day == today:
        return None
    opens = datetime.combine(day, earliest(policy.deliver_from), tzinfo=STOCKHOLM).astimezone(UTC)
    return opens if now < opens else None
