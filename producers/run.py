"""The producer's process: polls tenants, plans, feeds the queues and sweeps, each in a task of its own.

Several producers may run: each works for the companies that it has on lease (`tenancy`), and for no other.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

import redis.asyncio
import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from common.clock import boottime
from common.consents import Consents
from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ids import TenantId
from common.ledger import billings, blocks, mended, tenants
from common.ledger.database import Ledger, LedgerError, open_ledger
from common.ledger.records import Contract, Tenant
from common.queue import outbox
from common.queue.connections import connect_async
from common.queue.doorbell import READY, Doorbell
from common.queue.messages import SeekEvidence
from common.queue.outbox import QueueUnreachable
from common.rules.plan import Verdict
from common.rules.reasons import REASONS, Reason, Scope, of_refusal
from common.rules.states import Step
from common.settings import Settings
from common.stopping import Stop
from common.watchdog import Watchdog
from producers import recipients
from producers.contracts import poll
from producers.corrections import see as see_corrections
from producers.feeder import Feeder
from producers.hindrances import Hindrances
from producers.midnight import Midnight
from producers.mornings import Mornings
from producers.notices import Notices
from producers.pace import Turnstile, next_turn
from producers.planner import insert_due
from producers.preflights import Preflights
from producers.price_events import PriceEvents
from producers.price_feeder import PriceFeeder
from producers.prices import BEGINS_AFTER, Prices
from producers.recipients import Learned
from producers.surprises import explain, unexplained
from producers.tenancy import Tenancy
from producers.warehouse import see_ready

log = structlog.get_logger()

BY = "producer"

POLLS_AT_ONCE = 16
POLLS_AT_ONCE_FOR_MIDNIGHT = 64
"""More in the last seconds of a day, in which nothing waits for the producer but these."""

AT_ONCE = 0.0
"""When a tenant is listed that creates wait for: before all that are merely due."""

FEED_AT_LEAST_EVERY = 0.5
"""Seconds; the doorbell and the poller wake the feeder sooner."""

RINGS_TOGETHER = 0.1
"""Seconds between two rounds of the feeder for what workers have done; what the producer finds due waits for none."""

ROUND_SHARE = 4
"""With many companies, so many times as long as a round takes: it may not use the whole processor."""

EXPLAIN_WITHIN = 5.0
"""Seconds after which a tenant is listed again that was stopped by a surprise, which a listing may explain; if it did
not, after twice as long."""

SWEEP_EVERY = 1.0
PROVE_EVERY = 10.0
"""Seconds between two looks whether a company's proof of the day, or its pre-flight, is to be made."""

FEED_PRICES_EVERY = 0.5
"""Seconds between two rounds of what is to be set in contracts."""

FOLLOW_PRICES_EVERY = 1.0
"""Seconds between two looks whether a company's prices are to be read."""

TELL_EVERY = 5.0
"""Seconds between two looks whether a notice is to be made or sent."""

LEAVES_WITHIN = 5.0
"""Seconds that a producer which is told to stop has for giving its companies back."""

STOPS_WITHIN = 10.0
"""Seconds after which it has ended, whatever it still waits for: it makes no calls with an effect."""

RETRY_POLL_AFTER = 10.0
"""Seconds after a tenant's first failed poll; doubled with each further one, up to the poll interval."""

AWAY = (OSError, RedisError, DBAPIError, QueueUnreachable, errors.GovernorUnreachable)
"""What it looks like when Redis or the database is away for a while: wait, and go on where the ledger says."""


class Producer:
    """One producer over its share of the ledger's tenants."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        client: redis.asyncio.Redis,
        fortnox: Fortnox,
        high_water: HighWater,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._redis = client
        self._fortnox = fortnox
        self._mornings = Mornings(ledger, fortnox, settings.reconcile_from)
        self._preflights = Preflights(ledger, fortnox, settings.preflight_from)
        self._hindrances = Hindrances(ledger)
        self._notices = Notices(ledger, settings)
        self._high_water = high_water
        self._tenancy = Tenancy(ledger, settings.producer_lease)
        self._prices = Prices(ledger, fortnox, settings.poll_interval, self._tenancy.holds)
        self._price_feeder = PriceFeeder(ledger, client, fortnox.governor, self._tenancy)
        self._price_noticed = asyncio.Event()
        self._price_events = PriceEvents(
            settings, ledger, fortnox, self._prices, self._tenancy.name, self._price_noticed.set
        )
        self._feeder = Feeder(ledger, client, fortnox.governor, self._tenancy, settings.fresh_seconds)
        self._next_poll: dict[TenantId, float] = {}
        self._list_all = False
        self._failures: dict[TenantId, int] = {}
        self._listed_at: dict[TenantId, float] = {}
        self._polling: set[TenantId] = set()
        self._being_listed: set[TenantId] = set()
        self._polls = asyncio.Semaphore(POLLS_AT_ONCE)
        self._polls_for_midnight = asyncio.Semaphore(POLLS_AT_ONCE_FOR_MIDNIGHT)
        self._midnight = Midnight(ledger, settings.fresh_seconds, settings.rate_window)
        self._turnstile = Turnstile()
        self._planned_on: date | None = None
        self._wake = asyncio.Event()
        self._taken = asyncio.Event()
        self._round_took = 0.0
        self._stopping = False

    async def run(self) -> None:
        """Works until it is cancelled.

        Raises LedgerError, in a group, when the ledger turns out to be an older copy, as after a failover.
        """
        log.info("producer_started", producer=self._tenancy.name)
        self._stopping = False
        # A pass that was cancelled before its first step has taken nothing back.
        self._polling.clear()
        try:
            await self._work()
        finally:
            await self._leave()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew())
            tasks.create_task(self._poll_tenants(tasks))
            tasks.create_task(self._listen())
            tasks.create_task(self._feed())
            tasks.create_task(self._sweep())
            tasks.create_task(self._prove_mornings())
            tasks.create_task(self._make_preflights())
            tasks.create_task(self._follow_prices())
            if self._notices.are_wanted:
                tasks.create_task(self._tell())
            tasks.create_task(self._feed_prices())
            tasks.create_task(self._price_events.listen())
            try:
                await asyncio.Event().wait()
            finally:
                # The group cancels each task once, and Redis' client loses that if it comes as a send ends (it waits by
                # `wait_for`, see `_rest`): the task then goes on to the end of its round.
                self._stopping = True

    def poll_now(self) -> None:
        """Lists every tenant's contracts, and reads its prices, as soon as may be, whatever the interval."""
        self._next_poll.clear()
        self._prices.poll_now()
        self._list_all = True

    async def _renew(self) -> None:
        """Shows that this producer lives, and takes on the companies that become its own."""
        while not self._stopping:
            try:
                taken = await self._tenancy.renew(keep=self._polling)
                if taken:
                    await self._take_on(taken)
                for tenant in self._next_poll.keys() - self._tenancy.held:
                    # Whoever has it now lists it; if it comes back, the ledger tells when that was.
                    del self._next_poll[tenant]
            except AWAY as error:
                log.warning("leases_wait", error=str(error))
            await asyncio.sleep(self._tenancy.pause)

    async def _take_on(self, taken: Collection[TenantId]) -> None:
        """What another producer has done for these companies is not done again before it is due."""
        interval = timedelta(seconds=self._settings.poll_interval)
        now = self._ledger.clock.now()
        for tenant in await tenants.every(self._ledger):
            if tenant.id not in taken or tenant.id in self._next_poll:
                continue
            self._next_poll[tenant.id] = boottime()
            if tenant.listed_at is not None and now - tenant.listed_at < interval and not self._list_all:
                self._list_in_turn(tenant.id, after=tenant.listed_at)
                # Whoever listed it may have been killed before it could plan.
                await self._insert_due(tenant.id)
        self._list_all = False
        self._feeder.take_on(taken)
        self._tenancy.begin(taken)
        self._taken.set()
        self._wake.set()

    async def _leave(self) -> None:
        """Gives all companies back at once; where that cannot be said, the lease runs out."""
        try:
            async with asyncio.timeout(LEAVES_WITHIN):
                await self._tenancy.give_back()
        except (*AWAY, TimeoutError) as error:
            log.warning("leases_not_given_back", error=str(error))

    async def _ours(self) -> list[Tenant]:
        held = self._tenancy.held
        return [tenant for tenant in await tenants.every(self._ledger) if tenant.id in held]

    async def _poll_tenants(self, tasks: asyncio.TaskGroup) -> None:
        while not self._stopping:
            try:
                ours = await self._ours()
                await self._plan_new_day(ours)
                now = boottime()
                for tenant_id, seconds in (await self._midnight.turns(ours)).items():
                    self._list_again(tenant_id, now + seconds)
                for surprised, seconds in (await unexplained(self._ledger)).items():
                    if self._tenancy.holds(surprised):
                        self._list_again(surprised, now + max(EXPLAIN_WITHIN, seconds))
                for tenant in self._whose_turn_it_is(ours, now):
                    self._polling.add(tenant.id)
                    tasks.create_task(self._poll(tenant))
            except AWAY as error:
                log.warning("polling_waits", error=str(error))
            await self._rest(self._taken, FEED_AT_LEAST_EVERY)

    def _whose_turn_it_is(self, ours: Collection[Tenant], now: float) -> list[Tenant]:
        """Those to be listed now: at once what creates wait for, and what is listed for midnight; the rest spread."""
        if self._midnight.is_quiet:
            self._feeder.no_listing_comes(
                one.id for one in ours if self._next_poll.get(one.id, math.inf) <= now or one.id in self._polling
            )
            return []
        # Its lease may have run out meanwhile, and with it what was planned.
        due = {one.id: one for one in ours if self._next_poll.get(one.id, math.inf) <= now}
        waiting = sorted(due.keys() - self._polling, key=lambda one: self._next_poll[one])
        if self._midnight.is_near:
            return [due[one] for one in waiting]
        urgent = [one for one in waiting if self._next_poll[one] == AT_ONCE]
        return [due[one] for one in (*urgent, *self._turnstile.let_in(waiting[len(urgent) :], now))]

    async def _plan_new_day(self, ours: Collection[Tenant]) -> None:
        """At midnight what the mirror shows is planned at once where it was not the evening before; freshness sees to
        it that it is listed before it is acted on. What was left out then is read for at once; the others' passes come
        each in its turn."""
        today = self._ledger.clock.today()
        if self._planned_on is not None and today > self._planned_on:
            for tenant in ours:
                was_planned = self._midnight.was_planned(tenant.id, today)
                if not was_planned:
                    await self._insert_due(tenant.id)
                if not was_planned or self._midnight.has_left_out(tenant.id, today):
                    self._list_again(tenant.id, boottime())
            self._wake.set()
        self._planned_on = today

    async def _poll(self, tenant: Tenant) -> None:
        """One pass over one tenant. Whatever goes wrong stays with this tenant."""
        try:
            async with self._polls_for_midnight if self._midnight.is_near else self._polls:
                # A producer that was frozen goes on here for what another has listed and planned since.
                if not self._tenancy.holds(tenant.id):
                    return
                rows = await self._list(tenant)
                if not self._tenancy.holds(tenant.id):
                    return
                goes_on_at_once = await self._follow_up(tenant, rows)
            self._failures.pop(tenant.id, None)
            self._list_in_turn(tenant.id, after=self._ledger.clock.now())
            listing = self._midnight.until_listing(tenant.id)
            if listing is not None:
                # The turn for midnight was told while this pass went on, or was about to: it still comes.
                self._list_again(tenant.id, boottime() + listing)
            if goes_on_at_once:
                self._list_again(tenant.id, boottime())
            self._wake.set()
        except (errors.FortnoxError, errors.NotSent, *AWAY) as error:
            log.warning("poll_failed", tenant=tenant.id, error=str(error))
            self._poll_again_later(tenant.id)
            await self._block(tenant.id, error)
        except Exception:
            # A fault of ours on the way of one company must not stop the others.
            log.exception("poll_failed", tenant=tenant.id)
            self._poll_again_later(tenant.id)
        finally:
            self._polling.discard(tenant.id)

    async def pass_over(self, tenant: Tenant) -> None:
        """Lists the tenant's contracts and inserts what is due. Raises FortnoxError or TokenError."""
        await self._follow_up(tenant, await self._list(tenant))

    async def _list(self, tenant: Tenant) -> Sequence[Contract]:
        started = boottime()
        self._being_listed.add(tenant.id)
        try:
            rows = await poll(self._ledger, self._fortnox, tenant)
        finally:
            self._being_listed.discard(tenant.id)
        self._listed_at[tenant.id] = started
        return rows

    async def _follow_up(self, tenant: Tenant, rows: Sequence[Contract]) -> bool:
        """What comes of a listing. Returns whether the next is to follow at once, for what was too much for one."""
        await self._clear_read_blocks(tenant.id)
        await explain(self._ledger, tenant.id, rows)
        if await billings.outrun(self._ledger, tenant.id):
            await outbox.enqueue(self._redis, [SeekEvidence(tenant=tenant.id)])
        await mended.pass_over(self._ledger, tenant.id, BY)
        await see_ready(self._ledger, self._fortnox, tenant.id, BY)
        # One after the other: a customer without an address is asked about at every pass, as long as he has none.
        learned = await self._plan(tenant.id)
        if await see_corrections(self._ledger, self._fortnox, tenant.id) or learned.anything:
            await insert_due(self._ledger, tenant.id, self._ledger.clock.today(), BY, but_for=learned.unread)
        await self._midnight.plan(self._fortnox, tenant.id)
        return bool(learned.unread)

    async def _insert_due(self, tenant: TenantId) -> Sequence[Verdict]:
        """Inserts what is due by the mirror, but for what is still to be read: returns what that is about."""
        about = await recipients.concerned(self._ledger, tenant)
        today = self._ledger.clock.today()
        left_out = await recipients.unsure(self._ledger, tenant, about, due_by=today)
        await insert_due(self._ledger, tenant, today, BY, but_for=left_out)
        self._wake.set()
        return about

    async def _plan(self, tenant: TenantId) -> Learned:
        """Inserts what is due, but for what is still to be read; and reads that."""
        about = await self._insert_due(tenant)
        try:
            return await recipients.learn(self._ledger, self._fortnox, tenant, about)
        except (errors.FortnoxError, errors.NotSent) as error:
            # What is not known is not held against a contract.
            log.warning("recipients_not_read", tenant=tenant, error=str(error))
            return Learned(anything=True)

    def _list_again(self, tenant: TenantId, at: float) -> None:
        """Lists the tenant's contracts then, or before if that is planned."""
        self._next_poll[tenant] = min(self._next_poll.get(tenant, at), at)

    def _list_in_turn(self, tenant: TenantId, after: datetime) -> None:
        """Lists the tenant's contracts when its turn comes, after a pass at that instant."""
        turn = next_turn(tenant, after, timedelta(seconds=self._settings.poll_interval))
        self._next_poll[tenant] = boottime() + max((turn - self._ledger.clock.now()).total_seconds(), 0.0)

    def _poll_again_later(self, tenant: TenantId) -> None:
        failures = self._failures[tenant] = self._failures.get(tenant, 0) + 1
        pause = min(RETRY_POLL_AFTER * 2 ** (failures - 1), self._settings.poll_interval)
        # All failed together when Fortnox was away, and are not to come back together.
        self._next_poll[tenant] = boottime() + pause * random.uniform(0.5, 1.0)

    async def _block(self, tenant: TenantId, error: Exception) -> None:
        """What keeps a company from being read at all is one item, and stops all its steps until a poll succeeds."""
        reason = company_wide(error)
        if reason is not None:
            await blocks.put(self._ledger, tenant, None, reason, words_of(error), by=BY)
            log.error("tenant_blocked", tenant=tenant, reason=reason.value)

    async def _clear_read_blocks(self, tenant: TenantId) -> None:
        for block in await blocks.every(self._ledger, tenant):
            if block.step is None:
                await blocks.clear(self._ledger, tenant, None, block.reason, by=BY)

    async def _listen(self) -> None:
        async with Doorbell(self._redis, READY) as bell:
            while not self._stopping:
                await bell.wait(FEED_AT_LEAST_EVERY)
                self._wake.set()
                await asyncio.sleep(max(RINGS_TOGETHER, ROUND_SHARE * self._round_took))

    async def _feed(self) -> None:
        while not self._stopping:
            began = boottime()
            try:
                stale = await self._feeder.admit(self._listed_at, self._being_listed)
                for tenant in stale:
                    self._next_poll[tenant] = AT_ONCE
                await self._feeder.ask_for_evidence()
                self._round_took = boottime() - began
                # Not by the tick: what waits for midnight leaves at midnight.
                pause = 0.0 if self._wake.is_set() else await self._feeder.until_next()
            except AWAY as error:
                log.warning("feeding_waits", error=str(error))
                pause = FEED_AT_LEAST_EVERY
            await self._rest(self._wake, min(pause, FEED_AT_LEAST_EVERY))

    async def _rest(self, until: asyncio.Event, at_most: float) -> None:
        """Until something became ready, or so many seconds."""
        # Not `wait_for`: in Python 3.11 that loses a cancellation which comes together with what it waits for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await until.wait()
        until.clear()

    async def _sweep(self) -> None:
        """A claim past its lease is in doubt: whoever held it may or may not have made the call."""
        while not self._stopping:
            try:
                await self._high_water.follow()
                for billing in await billings.expired(self._ledger):
                    if self._tenancy.holds(billing.tenant) and await billings.take_over(self._ledger, billing.id):
                        log.warning("lease_expired", tenant=billing.tenant, billing=billing.id, step=billing.step.value)
                for tenant, holding in (await self._hindrances.changed(self._tenancy.held)).items():
                    await self._insert_due(tenant)
                    self._hindrances.planned(tenant, holding)
            except AWAY as error:
                log.warning("sweeping_waits", error=str(error))
            await asyncio.sleep(SWEEP_EVERY)

    async def _prove_mornings(self) -> None:
        """Once a day every company's proof, from a time of the morning on."""
        while not self._stopping:
            try:
                await self._mornings.prove(await self._ours(), self._polling)
            except* AWAY as group:
                log.warning("proving_waits", error=str(group.exceptions[0]))
            await asyncio.sleep(PROVE_EVERY)

    async def _make_preflights(self) -> None:
        """Once a day every company's pre-flight, and what it lets go is planned at once."""
        while not self._stopping:
            try:
                if not self._midnight.is_near:
                    for tenant in await self._preflights.make(await self._ours(), self._polling):
                        await self._insert_due(tenant)
            except* AWAY as group:
                log.warning("preflights_wait", error=str(group.exceptions[0]))
            await asyncio.sleep(PROVE_EVERY)

    async def _follow_prices(self) -> None:
        """Learns of changed prices, where nothing else is to be done."""
        await asyncio.sleep(BEGINS_AFTER)
        while not self._stopping:
            try:
                if not self._midnight.is_near:
                    await self._prices.follow(await self._ours())
            except* AWAY as group:
                log.warning("prices_wait", error=str(group.exceptions[0]))
            await asyncio.sleep(FOLLOW_PRICES_EVERY)

    async def _tell(self) -> None:
        """Tells people of what needs them. Whatever goes wrong with that hinders nothing else."""
        while not self._stopping:
            try:
                if not self._midnight.is_near:
                    await self._notices.pass_over()
            except AWAY as error:
                log.warning("notices_wait", error=str(error))
            except Exception:
                log.exception("notices_wait")
            await asyncio.sleep(TELL_EVERY)

    async def _feed_prices(self) -> None:
        """What is to be set in contracts, but for the seconds around midnight."""
        while not self._stopping:
            try:
                if not self._midnight.is_near:
                    await self._price_feeder.admit()
            except AWAY as error:
                log.warning("price_feeding_waits", error=str(error))
            await self._rest(self._price_noticed, FEED_PRICES_EVERY)


def _first(group: ExceptionGroup[LedgerError]) -> LedgerError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def company_wide(error: Exception) -> Reason | None:
    """The reason that concerns the whole company, if a failed listing of its contracts has one; else it may pass."""
    match error:
        case errors.TokenRefused():
            return Reason.TOKEN_DEAD
        case errors.Forbidden() | errors.Invalid():
            reason = of_refusal(Step.CREATE, error.http_status or 0, error.code, error.message)
            return reason if REASONS[reason].scope is Scope.TENANT else None
    return None


def words_of(error: Exception) -> dict[str, str]:
    """What Fortnox said, for the person who mends it."""
    if isinstance(error, errors.FortnoxError):
        return {"message": error.message, "code": str(error.code or ""), "x_uid": error.x_uid or ""}
    return {"answer": str(error)}


def produce(settings: Settings, redis_url: str) -> None:
    """Runs one producer until SIGTERM or SIGINT; told a second time it ends without giving its companies back.

    Raises LedgerError, or GovernorUnreachable, before it starts when the ledger or Redis cannot be used; LedgerError
    later, too, when the ledger turns out to be an older copy.
    """
    asyncio.run(_produce(settings, redis_url))


async def _produce(settings: Settings, redis_url: str) -> None:
    with Watchdog(asyncio.get_running_loop(), settings.loop_patience):
        ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock)
        client = connect_async(redis_url)
        slots = governor_redis(redis_url)
        fortnox = await Fortnox.open(settings, slots, Consents(ledger, settings))
        high_water = HighWater(ledger, slots, settings.data_dir)
        try:
            await client.ping()
            await high_water.check()
            await _until_told(Producer(settings, ledger, client, fortnox, high_water))
        finally:
            await fortnox.close()
            await slots.aclose()
            await client.aclose()
            await ledger.close()


async def _until_told(producer: Producer) -> None:
    loop = asyncio.get_running_loop()
    producing = asyncio.create_task(producer.run())
    Stop(STOPS_WITHIN, told=lambda: loop.call_soon_threadsafe(producing.cancel))
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await producing
    except ExceptionGroup as failed:
        unusable = failed.subgroup(LedgerError)
        if unusable is None:
            raise
        raise _first(unusable) from None
    log.info("producer_stopped")
