"""Senses changed prices by polling, and fills the mirror of the contracts' rows: both only where the limit is idle.

It only reads, and never stands in the way of an invoice: a request leaves only while more than half of what Fortnox
takes of the company is free. However a price comes to be known, it ends in `price_changes.take_in`.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from common import mirror
from common.clock import boottime
from common.fortnox import errors
from common.fortnox.answers import Read
from common.fortnox.client import Fortnox
from common.fortnox.models import Price
from common.ids import ContractNumber, TenantId
from common.ledger import contract_rows, policies, price_changes, price_updates
from common.ledger.database import Ledger
from common.ledger.policies import PolicyBook
from common.ledger.price_changes import PriceChange, Reading, Watch
from common.ledger.records import Tenant
from common.rules.price_lists import ListPrice
from producers.pace import DAY, latest_turn

log = structlog.get_logger()

BY = "producer"

BEGINS_AFTER = 30.0
"""Seconds after its start in which a producer leaves prices alone: what is due goes first."""

AT_ONCE = 16
"""Companies whose prices are read at the same time."""

LEAVES_FREE = 13
"""Of the 25 requests that Fortnox takes of a company in five seconds, so many must be free for a reading to go on."""

LOOKS_AGAIN = 1.0
"""Seconds until it is asked again whether so many are ..."""

LOOKS = 20
"""... and how often, before the company's turn is over."""

ROWS_AT_ONCE = 12
"""Contracts whose rows are read at one turn of a company: what may leave at once."""

ROWS_REFRESHED = timedelta(days=7)
"""The age at which rows are read anew that no total has shown to have changed."""

TRY_AGAIN_AFTER = 3600.0
"""Seconds until a company is tried again whose prices cannot be read: for want of a scope, say."""

SOON = 2.0
"""Seconds until a company is polled of which something was announced: what else has changed comes together."""

OVERLAP = timedelta(minutes=2)
"""What changed so long before the last poll is read again: a change may be seen late, and two clocks differ (API notes
9.3). What is read twice is the same as the mirror, and nothing comes of it."""

READ_ONE_BY_ONE = 50
"""Articles at the most that are looked up by themselves at a poll: after that, all prices are read at once."""


class Prices:
    """Follows the prices of a producer's companies.

    Parameters:
      interval: seconds between two polls of a company.
      holds: whether the company is still the producer's.
    """

    def __init__(self, ledger: Ledger, fortnox: Fortnox, interval: float, holds: Callable[[TenantId], bool]) -> None:
        self._ledger = ledger
        self._fortnox = fortnox
        self._interval = interval
        self._holds = holds
        self._next_poll: dict[TenantId, float] = {}
        self._next_rows: dict[TenantId, float] = {}
        self._unreadable: dict[tuple[TenantId, ContractNumber], float] = {}
        self.turning: set[TenantId] = set()
        """The companies that are just being read."""

    def poll_now(self) -> None:
        """Every company's turn has come, whatever the interval."""
        self._next_poll.clear()
        self._next_rows.clear()

    def poll_soon(self, tenants: Iterable[TenantId]) -> None:
        """These companies are polled before their turn: something of them has changed, or was not told of."""
        soon = boottime() + SOON
        for tenant in tenants:
            self._next_poll[tenant] = min(self._next_poll.get(tenant, soon), soon)

    async def follow(self, everybody: Collection[Tenant]) -> None:
        """One turn of each company whose turn has come. Raises what says that the ledger is away."""
        now = boottime()
        wanted = [one.id for one in everybody if one.listed_at is not None and self._is_due(one.id, now)]
        if not wanted:
            return
        book = await policies.load(self._ledger)
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(tenant: TenantId) -> None:
            async with turns:
                if self._holds(tenant):
                    self.turning.add(tenant)
                    try:
                        await self._turn(tenant)
                    finally:
                        self.turning.discard(tenant)

        async with asyncio.TaskGroup() as following:
            for tenant in wanted:
                if is_followed(book, tenant):
                    following.create_task(in_turn(tenant))
                else:
                    self._next_poll[tenant] = self._next_rows[tenant] = now + self._interval

    def _is_due(self, tenant: TenantId, now: float) -> bool:
        return min(self._next_poll.get(tenant, 0.0), self._next_rows.get(tenant, 0.0)) <= now

    async def _turn(self, tenant: TenantId) -> None:
        """Polls, if it is time, and reads some rows. Whatever goes wrong stays with this company."""
        pause = self._interval
        try:
            if self._next_poll.get(tenant, 0.0) <= boottime():
                # Before the poll: what is announced meanwhile is polled for once more.
                self._next_poll[tenant] = boottime() + self._interval
                await self.poll(tenant)
            more = await self.read_rows(tenant)
            self._next_rows[tenant] = boottime() + (LOOKS_AGAIN if more else self._interval)
            return
        except errors.NoSlot:
            pass
        except (errors.FortnoxError, errors.NotSent, OSError, RedisError, DBAPIError) as error:
            log.info("prices_not_read", tenant=tenant, error=str(error))
            pause = TRY_AGAIN_AFTER
        except Exception:
            log.exception("prices_not_read", tenant=tenant)
            pause = TRY_AGAIN_AFTER
        self._next_poll[tenant] = self._next_rows[tenant] = boottime() + pause

    async def poll(self, tenant: TenantId) -> list[PriceChange]:
        """Reads what has changed since the last poll; all prices the first time and once a day, when those that were
        removed show, too. Raises FortnoxError or NotSent."""
        watch = await price_changes.watch(self._ledger, tenant)
        now = self._ledger.clock.now()
        if watch is None or watch.all_read_at < latest_turn(tenant, now, DAY):
            return await self._read_all(tenant, watch)
        since = watch.polled_at - OVERLAP
        await self._quiet(tenant)
        listing = await self._fortnox.prices(tenant, modified_since=since)
        reading = Reading(_seen(listing.rows), _nothing, listing.started_at, of_changed=listing.complete)
        changes = await self._take_in(tenant, reading)
        return changes + await self._look_up_articles(tenant, watch, since)

    async def read_rows(self, tenant: TenantId) -> bool:
        """Reads the rows of some contracts that the mirror lacks. Returns whether more are lacking."""
        numbers = await contract_rows.unread(self._ledger, tenant, ROWS_REFRESHED, ROWS_AT_ONCE)
        wanted = [one for one in numbers if self._unreadable.get((tenant, one), 0.0) <= boottime()]
        for number in wanted:
            if not self._holds(tenant):
                return False
            await self._quiet(tenant)
            try:
                read = await self._fortnox.contract(tenant, number)
            except (errors.Missing, errors.Unreadable) as error:
                self._unreadable[tenant, number] = boottime() + TRY_AGAIN_AFTER
                log.info("rows_not_read", tenant=tenant, contract=number, error=str(error))
                continue
            await price_updates.take_in_rows(self._ledger, mirror.rows_of(tenant, read), BY)
        return len(wanted) == ROWS_AT_ONCE

    async def _read_all(self, tenant: TenantId, watch: Watch | None) -> list[PriceChange]:
        await self._quiet(tenant)
        lists = await self._fortnox.price_lists(tenant)
        default = next((row.value.code for row in lists.rows if row.value.pre_selected), None)
        await self._quiet(tenant)
        listing = await self._fortnox.prices(tenant)
        if not listing.complete:
            log.warning("prices_incomplete", tenant=tenant, unreadable=len(listing.unreadable))
            return []
        reading = Reading(_seen(listing.rows), _everything, listing.started_at, of_all=True)
        log.info("prices_read", tenant=tenant, prices=len(reading.seen))
        if watch is None:
            await price_changes.begin(self._ledger, tenant, reading, default, BY)
            return []
        changes = await self._take_in(tenant, reading)
        await price_changes.note_price_list(self._ledger, tenant, default)
        return changes

    async def _look_up_articles(self, tenant: TenantId, watch: Watch, since: datetime) -> list[PriceChange]:
        """The articles that have changed, and show another price than the mirror: a price may change without either of
        the two showing it as changed (API notes 4.3)."""
        if watch.price_list is None:
            return []
        await self._quiet(tenant)
        changed = await self._fortnox.articles(tenant, modified_since=since)
        known = await price_changes.first_prices(self._ledger, tenant, watch.price_list)
        differing = [
            row.value.article_number
            for row in changed.rows
            if row.value.sales_price is not None and row.value.sales_price != known.get(row.value.article_number)
        ]
        if len(differing) > READ_ONE_BY_ONE:
            return await self._read_all(tenant, watch)
        found: list[PriceChange] = []
        for article in differing:
            await self._quiet(tenant)
            found += await self.look_up(tenant, watch.price_list, article)
        return found

    async def look_up(self, tenant: TenantId, price_list: str, article: str) -> list[PriceChange]:
        """This article's prices in this list may have changed: reads them, and compares. Raises FortnoxError or
        NotSent."""
        listing = await self._fortnox.sublist(tenant, price_list, article)

        def of_article(price: ListPrice) -> bool:
            return listing.complete and (price.price_list, price.article) == (price_list, article)

        return await self._take_in(tenant, Reading(_seen(listing.rows), of_article, listing.started_at))

    async def look_up_when_quiet(self, tenant: TenantId, price_list: str, article: str) -> list[PriceChange]:
        """`look_up`, as soon as most of what Fortnox takes of the company is free."""
        await self._quiet(tenant)
        return await self.look_up(tenant, price_list, article)

    async def _take_in(self, tenant: TenantId, reading: Reading) -> list[PriceChange]:
        changes = await price_changes.take_in(self._ledger, tenant, reading, price_updates.consider, BY)
        for change in changes:
            log.info("price_changed", tenant=tenant, article=change.article, change=change.id)
        return changes

    async def _quiet(self, tenant: TenantId) -> None:
        """Waits until most of what Fortnox takes of the company is free. Raises NoSlot where that is not to be."""
        for _ in range(LOOKS):
            if await self._fortnox.governor.room(tenant, 0.0) >= LEAVES_FREE:
                return
            await asyncio.sleep(LOOKS_AGAIN)
        raise errors.NoSlot(tenant, LOOKS_AGAIN)


def is_followed(book: PolicyBook, tenant: TenantId) -> bool:
    """Whether anything of the company is to follow prices."""
    below = book.below(tenant).values()
    return book.policy_of(tenant).prices != "off" or any(one.prices not in (None, "off") for one in below)


def _seen(rows: Collection[Read[Price]]) -> list[price_changes.SeenPrice]:
    return [seen for row in rows if (seen := mirror.price(row)) is not None]


def _everything(price: ListPrice) -> bool:
    return True


def _nothing(price: ListPrice) -> bool:
    return False
