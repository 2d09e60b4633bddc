"""The beginning of a day: what is due on it is planned the evening before, and its contracts are read just before it.

Plans and reads only; at midnight the feeder lets go by itself what waits for that instant. Nothing here may ever plan
for today what is due tomorrow: what is inserted ahead waits for 00:00 in Sweden.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta

import structlog

from common.clock import STOCKHOLM
from common.fortnox.client import Fortnox
from common.ids import TenantId
from common.ledger import planning, tenants
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.rules.plan import Verdict
from common.rules.reasons import Reason
from producers import recipients
from producers.contracts import read_books
from producers.feeder import STALE_LISTING
from producers.pace import share
from producers.planner import verdicts_on_due

log = structlog.get_logger()

BY = "producer"

EVENING = timedelta(hours=1)
"""So long before midnight each pass begins to plan the next day, too."""

EVENING_PASSES = timedelta(minutes=40)
"""Within so long after that each company has one pass, whatever its turn."""

SPREAD_BEFORE = 5.0
"""Seconds before the first listing for midnight at which their turns are given."""

QUIET = 0.5
"""Seconds before midnight in which nothing more is begun, so that what leaves at midnight waits for nobody."""

SLOTS_BACK = 1.0
"""Seconds, besides the rate limit's window, after which the listing no longer takes a slot from what leaves at
midnight."""


class Midnight:
    """What the producer does about the next day, for the companies that it has.

    Parameters:
      fresh_seconds: how old what was read of a contract may be when it is acted upon.
      rate_window: seconds for which a request takes one of a company's slots.
    """

    def __init__(self, ledger: Ledger, fresh_seconds: float, rate_window: float) -> None:
        self._ledger = ledger
        self._opens = max(fresh_seconds * STALE_LISTING - 1.0, QUIET)
        self._closes = min(rate_window + SLOTS_BACK, self._opens)
        self._evening: dict[TenantId, date] = {}
        self._told_for: dict[TenantId, date] = {}
        self._planned: dict[TenantId, date] = {}
        self._incomplete: dict[TenantId, bool] = {}
        self._listings: dict[TenantId, datetime] = {}

    def to_come(self) -> date | None:
        """The day that is planned ahead now; `None` before the evening."""
        now = self._ledger.clock.now()
        return tomorrow(now) if midnight_after(now) - now <= EVENING else None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing should be begun before midnight any more."""
        return self._seconds_left() <= QUIET

    @property
    def is_near(self) -> bool:
        """Whether the companies are being read for midnight."""
        return self._seconds_left() <= self._opens

    def was_planned(self, tenant: TenantId, day: date) -> bool:
        """Whether the day was planned ahead for the company."""
        return self._planned.get(tenant) == day

    def has_left_out(self, tenant: TenantId, day: date) -> bool:
        """Whether something must still be read before all that is to leave on the day can be planned."""
        return self.was_planned(tenant, day) and self._incomplete[tenant]

    def until_listing(self, tenant: TenantId) -> float | None:
        """Seconds until the company is to be listed for midnight; `None` where it is not, or has been."""
        turn = self._listings.get(tenant)
        seconds = 0.0 if turn is None else (turn - self._ledger.clock.now()).total_seconds()
        return seconds if seconds > 0 else None

    async def turns(self, ours: Collection[Tenant]) -> Mapping[TenantId, float]:
        """In how many seconds companies are to have a pass for the next day's sake; each turn is told once.

        One pass in the evening; and those with something planned ahead are listed just before midnight, the largest
        first, so that their view is still fresh then and the slots that it took are free again.
        """
        day = self.to_come()
        if day is None:
            return {}
        left = self._seconds_left()
        seconds = EVENING.total_seconds(), EVENING_PASSES.total_seconds()
        turns = {
            one.id: max(left - seconds[0] + share(one.id) * seconds[1], 0.0)
            for one in ours
            if self._evening.get(one.id) != day
        }
        self._evening.update(dict.fromkeys(turns, day))
        # Some may have been taken over from another producer a moment ago.
        untold = {one.id for one in ours if self._told_for.get(one.id) != day}
        if untold and left <= self._opens + SPREAD_BEFORE:
            listings = self._spread(await planning.ahead(self._ledger), untold, left)
            now = self._ledger.clock.now()
            self._listings |= {one: now + timedelta(seconds=wait) for one, wait in listings.items()}
            turns |= listings
            self._told_for.update(dict.fromkeys(untold, day))
        return turns

    def _spread(self, ahead: Mapping[TenantId, int], ours: Collection[TenantId], left: float) -> dict[TenantId, float]:
        largest_first = sorted((one for one in ahead if one in ours), key=lambda one: (-ahead[one], share(one)))
        width = (self._opens - self._closes) / max(len(largest_first), 1)
        return {one: max(left - self._opens + rank * width, 0.0) for rank, one in enumerate(largest_first)}

    async def plan(self, fortnox: Fortnox, tenant: TenantId) -> None:
        """Plans the next day for the company that was just listed, and takes back what is not due on it any more.

        Reads before what the first pass of that day would have to read. Raises FortnoxError or NotSent.
        """
        day = self.to_come()
        if day is None:
            return
        known = await tenants.get(self._ledger, tenant)
        if known is None:
            return
        decided = await self._verdicts_on(tenant, day)
        is_known = True
        if decided and (known.facts_on is None or known.facts_on < day):
            is_known = await self._learn_books(fortnox, tenant, day)
            if is_known:
                decided = await self._verdicts_on(tenant, day)
        due = [one for one in decided if one.reason is Reason.DUE]
        wanted = due if is_known else []
        await planning.withdraw(self._ledger, tenant, wanted, BY)
        unsure = await recipients.unsure(
            self._ledger, tenant, await recipients.concerned(self._ledger, tenant), due_by=day
        )
        sure = [one for one in wanted if one.contract.number not in unsure]
        inserted = await planning.insert(self._ledger, sure, BY)
        self._planned[tenant] = day
        self._incomplete[tenant] = len(sure) < len(due)
        if inserted:
            log.info("planned_ahead", tenant=tenant, day=str(day), billings=len(inserted))

    async def _verdicts_on(self, tenant: TenantId, day: date) -> list[Verdict]:
        """What the rules say now of that which falls due on the day."""
        return [one for one in await verdicts_on_due(self._ledger, tenant, day) if one.due_on == day]

    async def _learn_books(self, fortnox: Fortnox, tenant: TenantId, day: date) -> bool:
        """Reads the locked period and the financial years for the next day. Returns whether they are known for it.

        Where the accounting method changes with the day, as at the end of a year, today's is still needed: then the day
        is planned when it has begun.
        """
        books = await read_books(fortnox, tenant)
        today = self._ledger.clock.today()
        if books is None or books.on(today).cash != books.on(day).cash:
            return False
        await tenants.note_facts(self._ledger, tenant, books.on(day), day)
        return True

    def _seconds_left(self) -> float:
        now = self._ledger.clock.now()
        return (midnight_after(now) - now).total_seconds()


def midnight_after(now: datetime) -> datetime:
    """The instant (UTC) at which the next day begins in Sweden; a day may have 23 or 25 hours."""
    return datetime.combine(tomorrow(now), time.min, STOCKHOLM).astimezone(UTC)


def tomorrow(now: datetime) -> date:
    """The Swedish day after that of `now`."""
    return now.astimezone(STOCKHOLM).date() + timedelta(days=1)
