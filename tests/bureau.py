"""The whole product in one process against a sandbox, on one virtual clock: real HTTP, real queues, a real ledger.

A scenario sets the day, lets a person do something in Fortnox, and lets the bureau work until nothing is left that
goes on by itself. Nothing of the product is replaced: the producer and the worker pools are the ones that run in
production. Between two calls of `work` the producer stands still, so that nothing happens behind a scenario's back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from avtalsmotor.cli.app import app
from avtalsmotor.progress import UNDER_WAY
from common.clock import STOCKHOLM, boottime
from common.consents import Consents
from common.fortnox import requests
from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ids import ContractNumber, TenantId
from common.ledger import audit, billings, blocks, pauses, policies, price_claims, tenants
from common.ledger.database import Ledger, open_ledger
from common.ledger.records import Billing, Block
from common.queue import broker
from common.queue.connections import connect_async
from common.queue.depth import depths
from common.queue.messages import POOLS, CreateInvoice, SeekEvidence, SetPrices
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason, explain
from common.rules.states import Status, Step
from common.settings import Settings
from producers import feeder, price_events, prices, run
from producers.run import Producer
from sandbox import person
from sandbox.books import By, Company, Invoice
from tests.sandboxes import Sandbox
from workers.pools import start
from workers.runtime import Runtime

WINDOW = 0.1
"""Seconds in which the scaled-down sandbox takes 25 requests of a company: a year of scenarios must not take a year."""

WORKS_WITHIN = 240.0
"""Seconds of real time after which a scenario fails that has not come to rest, also on a machine with ten other things
to do."""

STOPS_WITHIN = 30.0

NO_MORNING = time(23, 59, 59)
"""The time of the proof and the pre-flight, out of the way of the scenarios that are not about them."""

SOON = timedelta(minutes=6)
"""What goes on by itself within so long is waited for: on the virtual clock, which is moved there."""

PASSES_BY_ITSELF = frozenset({Reason.THROTTLED, Reason.UNREACHABLE, Reason.NOT_SENT, Reason.UNAUTHORIZED})

_LOOK_EVERY = 0.03


@dataclass
class Bureau:
    """The product, and the sandbox that it works against."""

    settings: Settings
    sandbox: Sandbox
    ledger: Ledger
    redis: Redis
    fortnox: Fortnox
    consents: Consents
    high_water: HighWater
    producer: Producer
    _worker: dramatiq.Worker | None = None
    _companies: list[int] = field(default_factory=list)
    _audited: int = 0

    # The calendar ----------------------------------------------------------------------------------------------------

    def at(self, when: str) -> None:
        """Moves the sandbox's clock and the product's to an instant of Stockholm's wall clock: `2026-03-01 08:00`."""
        self._go_to(datetime.fromisoformat(when).replace(tzinfo=STOCKHOLM))

    def today(self) -> date:
        """The day in Sweden."""
        return self.settings.clock.today()

    def _go_to(self, instant: datetime) -> None:
        self.sandbox.world.clock.set(instant)
        self.settings.clock.shift = instant.astimezone(UTC) - datetime.now(UTC)
        # The pauses between two looks at what is unclear are real time, which has not passed.
        self.producer._feeder._looks.clear()

    # What the bureau's people do -------------------------------------------------------------------------------------

    async def take_on(self, tenant: int, **choices: Any) -> TenantId:
        """Adds a company of the sandbox with the policy that its user chooses; live unless `mode` says otherwise."""
        known = TenantId(tenant)
        self._companies.append(tenant)
        await tenants.add(self.ledger, known, self.company(tenant).name, "test")
        await self.choose(tenant, **{"mode": "live", "deliver_from": "any", **choices})
        return known

    async def choose(
        self, tenant: int, contract: int | None = None, *, template: str | None = None, **choices: Any
    ) -> None:
        """What the user chooses for a company, for its contracts of a template, or for one contract of it."""
        level: policies.Level = "template" if template else "tenant" if contract is None else "contract"
        await policies.change(
            self.ledger,
            level,
            PolicyChoice.model_validate(choices),
            "test",
            tenant=TenantId(tenant),
            template=template,
            contract=None if contract is None else ContractNumber(contract),
        )

    async def pause(self, tenant: int | None = None, contract: int | None = None) -> None:
        """Stops one contract, one company, or everything."""
        await pauses.pause(self.ledger, **_level(tenant, contract), by="test")

    async def resume(self, tenant: int | None = None, contract: int | None = None) -> None:
        """Ends that stop."""
        await pauses.resume(self.ledger, **_level(tenant, contract), by="test")

    async def approve(self, tenant: int, contract: int) -> None:
        """A person's yes to what the contract's newest billing waits for."""
        await billings.approve(self.ledger, (await self.billing(tenant, contract)).id, "test")

    async def retry(self, tenant: int, contract: int) -> None:
        """A person has mended what the contract's newest billing was parked for."""
        await billings.retry(self.ledger, (await self.billing(tenant, contract)).id, "test")

    async def skip(self, tenant: int, contract: int) -> None:
        """A person says that the contract's newest billing is not to be finished."""
        await billings.skip(self.ledger, (await self.billing(tenant, contract)).id, "test", "as the customer wishes")

    # What people do in Fortnox ---------------------------------------------------------------------------------------

    def company(self, tenant: int) -> Company:
        """The company as the sandbox has it: what is changed there is changed in Fortnox."""
        return self.sandbox.world.companies[tenant]

    def in_fortnox(self, tenant: int, action: str, **about: Any) -> None:
        """A click of a person in Fortnox' own pages (sandbox.person)."""
        deed = person.Deed.model_validate({"action": action, **about})
        person.do(self.sandbox.world, self.company(tenant), deed)

    # The work --------------------------------------------------------------------------------------------------------

    async def work(self, *, until: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Lists every company, and works until nothing is left that goes on without a person or a later day.

        Parameters:
          until: a scenario's own condition instead, `looked_for` or one in the middle of something.
        """
        self.producer.poll_now()
        await self.work_on(until or self.at_rest)

    async def work_on(self, reached: Callable[[], Awaitable[bool]]) -> None:
        """Works without listing anything anew."""
        working = asyncio.create_task(self.producer.run())
        try:
            async with asyncio.timeout(WORKS_WITHIN):
                while not await reached():
                    if working.done():
                        working.result()
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            raise AssertionError("\n".join(["not at rest:", *await self._unrest()])) from None
        finally:
            working.cancel()
            await _ended(working)

    async def looked_for(self) -> bool:
        """Whether everything has come to rest but what is in doubt, and that has been looked for."""
        return await self._is_at_rest(lambda one: one.status is Status.IN_DOUBT)

    async def at_rest(self) -> bool:
        """But for hand-overs to Fakturatjänster that have been looked at: they ripen on another day."""
        return await self._is_at_rest(lambda one: (one.step, one.status) == (Step.DELIVER, Status.SEEKING))

    async def _is_at_rest(self, may_stay: Callable[[Billing], bool]) -> bool:
        # First that a listing has been taken in, then that its pass has ended, then what came of it: in any other order
        # a pass that ends between two looks is seen by neither.
        if not await self._is_read() or self._is_polling():
            return False
        before = self._audited
        if before != await self._last_change():
            return False  # something has happened just now: ask again, before asking for more
        if await self.producer._hindrances.changed(self.producer._tenancy.held):
            return False
        if await billings.ready(self.ledger, per_tenant=1) or not await self._is_left_alone(may_stay):
            return False
        if before != await self._last_change():
            return False
        if await price_claims.ready(self.ledger, limit=1) or await price_claims.under_way(self.ledger):
            return False
        if await self._on_the_queue(SetPrices.queue):
            return False
        passing = await self._passing()
        if self._is_polling():
            return False
        if passing is not None:
            self._go_to(max(passing, self.settings.clock.now()))
        return passing is None

    async def _is_left_alone(self, may_stay: Callable[[Billing], bool]) -> bool:
        """Whether no call and no look is under way, and what is left has been looked at in vain."""
        under_way = await self.billings(status=UNDER_WAY)
        if not under_way:
            return True
        looked_at = all(may_stay(one) and self._has_been_looked_at(one) for one in under_way)
        return looked_at and not await self._on_the_queue(SeekEvidence.queue)

    async def _on_the_queue(self, queue: str) -> int:
        """How many messages are on the queue or in the hands of a worker."""
        return sum(depth.ready + depth.in_flight for depth in await depths(self.redis) if depth.queue == queue)

    async def _is_read(self) -> bool:
        """Whether every company has been listed, or is stopped by something."""
        blocked = {block.tenant for block in await self.blocks()}
        return all(one.listed_at is not None or one.id in blocked for one in await tenants.every(self.ledger))

    async def is_listed_for_midnight(self, tenant: int) -> bool:
        """Whether the company has been read for what leaves as the day begins, and planned by that."""
        turn = self.producer._midnight._listings.get(TenantId(tenant))
        known = await tenants.get(self.ledger, TenantId(tenant))
        listed = known is not None and known.listed_at is not None and turn is not None and known.listed_at >= turn
        return listed and TenantId(tenant) not in self.producer._polling

    def _has_been_looked_at(self, billing: Billing) -> bool:
        looked = self.producer._feeder._looks.get(billing.tenant)
        stood = (self.settings.clock.now() - billing.changed_at).total_seconds()
        return looked is not None and boottime() - looked < stood

    def _is_polling(self) -> bool:
        """Whether a company is being listed, or is about to be, or what came of that is still being planned."""
        producer, now = self.producer, boottime()
        return (
            producer._planned_on != self.settings.clock.today()
            or not producer._tenancy.held.issuperset(map(TenantId, self._companies))
            or bool(producer._polling)
            or any(producer._next_poll.get(TenantId(tenant), 0.0) <= now for tenant in self._companies)
        )

    async def _last_change(self) -> int:
        """Every change of state is audited: two readings are of one state when the last entry is the same."""
        new = await audit.entries(self.ledger, after=self._audited)
        self._audited = new[-1].id if new else self._audited
        return self._audited

    async def _passing(self) -> datetime | None:
        """When the first billing that waits for an instant to pass may go on, if that is soon."""
        horizon = self.settings.clock.now() + SOON
        waiting = await billings.find(self.ledger, status=Status.WAITING)
        soon = [
            one.not_before
            for one in waiting
            if one.not_before is not None and one.not_before <= horizon and one.reason in PASSES_BY_ITSELF
        ]
        return min(soon, default=None)

    async def _unrest(self) -> list[str]:
        said = [f"polling: {self._is_polling()}"]
        open_ones = await billings.find(self.ledger, status=set(Status) - {Status.DONE})
        return said + [f"{one.tenant} {_told(one)} not before {one.not_before}" for one in open_ones]

    @asynccontextmanager
    async def switched_off(self) -> AsyncIterator[None]:
        """The producer and the workers are stopped, as over a holiday; what they remembered is forgotten."""
        await self.stop()
        try:
            yield
        finally:
            self.start()

    @asynccontextmanager
    async def without_workers(self) -> AsyncIterator[None]:
        """Only the workers are stopped: what the producer plans and sends waits for them."""
        await self.stop()
        try:
            yield
        finally:
            self._start_workers()

    @asynccontextmanager
    async def without_ledger(self) -> AsyncIterator[None]:
        """Everything is stopped and nobody has the ledger open, so that it can be copied or replaced."""
        worked = self._worker is not None
        await self.stop()
        await self.ledger.close()
        try:
            yield
        finally:
            settings = self.settings
            self.ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock)
            self.consents._ledger = self.ledger
            self.high_water = HighWater(self.ledger, self.fortnox.governor._redis, settings.data_dir)
            self.producer = Producer(settings, self.ledger, self.redis, self.fortnox, self.high_water)
            self._audited = 0
            if worked:
                self._start_workers()

    def keep_books_in(self, database_url: str) -> None:
        """The ledger is that database from its next opening on."""
        self.settings = self.settings.model_copy(update={"database_url": SecretStr(database_url)})

    async def plan(self, *, billings: int) -> None:
        """Lists every company, and works until there are so many billings in all, each on its queue."""

        async def planned() -> bool:
            on_the_queue = await self._on_the_queue(CreateInvoice.queue)
            return not self._is_polling() and len(await self.billings()) == billings and on_the_queue > 0

        await self.work(until=planned)

    def start(self) -> None:
        """Starts the pools, and a producer that knows nothing but the ledger."""
        self.producer = Producer(self.settings, self.ledger, self.redis, self.fortnox, self.high_water)
        self._start_workers()

    async def another_worker(self) -> Runtime:
        """What a worker works with, for a scenario that plays one beside the others; it closes it."""
        return await Runtime.open(self.settings, self._redis_url())

    def _start_workers(self) -> None:
        self._worker = start(self.settings, self._redis_url(), tuple(POOLS), threads=16)

    def _redis_url(self) -> str:
        assert self.settings.redis_url is not None
        return self.settings.redis_url.get_secret_value()

    async def stop(self) -> None:
        """Stops them; what is in hand is finished."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await asyncio.to_thread(worker.stop, 10_000)
            await asyncio.to_thread(worker.broker.close)

    async def type(self, *words: str, fails: bool = False) -> str:
        """What a command of `avtalsmotor` prints, typed by somebody beside the running bureau.

        Parameters:
          fails: it says by its status that something is not as it should be.
        """
        typed = await self.typed(*words)
        assert typed.exit_code == int(fails), typed.output
        return typed.stdout

    async def typed(self, *words: str) -> Result:
        """The same with its exit status and what it prints to standard error."""
        environment = {
            f"AVTALSMOTOR_{name.upper()}": str(_plain_text(value))
            for name, value in self.settings
            if value is not None and name in self.settings.model_fields_set
        }
        environment["AVTALSMOTOR_CLOCK_SHIFT"] = repr(self.settings.clock.shift.total_seconds())
        logging_as_before = structlog.get_config()
        try:
            return await asyncio.to_thread(CliRunner().invoke, app, words, env=environment, catch_exceptions=False)
        finally:
            structlog.configure(**logging_as_before)

    # What has become of it -------------------------------------------------------------------------------------------

    async def billings(self, **criteria: Any) -> Sequence[Billing]:
        """The billings that meet the criteria, by due day."""
        return await billings.find(self.ledger, **criteria)

    async def billing(self, tenant: int, contract: int) -> Billing:
        """The contract's newest billing."""
        found = await billings.find(self.ledger, tenant=TenantId(tenant), contract=ContractNumber(contract))
        return max(found, key=lambda billing: billing.id)

    async def blocks(self, tenant: int | None = None) -> Sequence[Block]:
        """What stops a step, or everything, of a company."""
        return await blocks.every(self.ledger, None if tenant is None else TenantId(tenant))

    async def stands(self, tenant: int, contract: int | None = None) -> list[str]:
        """How the ledger's billings stand, the oldest first: `1 2026-01-01..2026-01-31 create held catch_up`."""
        number = None if contract is None else ContractNumber(contract)
        found = await billings.find(self.ledger, tenant=TenantId(tenant), contract=number)
        return [_told(one) for one in sorted(found, key=lambda one: (one.contract, one.id))]

    async def why(self, tenant: int, contract: int) -> str:
        """What the person is told of the contract's newest billing."""
        billing = await self.billing(tenant, contract)
        assert billing.reason is not None, _told(billing)
        return explain(billing.reason, **billing.detail)

    def books(self, tenant: int, contract: int | None = None) -> list[str]:
        """Every invoice of the company that was not there before the story began, by contract and age.

        `1 2026-01-01..2026-01-31 2026-01-01 1250 booked mailed`: the contract, its period, the invoice date and the
        total; then what became of it.
        """
        company = self.company(tenant)
        made = [one for one in company.invoices.values() if one.created_by is not By.SEED]
        wanted = [one for one in made if contract in (None, one.contract_reference)]
        return [_entry(company, one) for one in sorted(wanted, key=lambda one: (one.contract_reference, one.number))]

    async def calls(self, tenant: int, path: str) -> int:
        """How many requests of the company Fortnox has got for the path (a glob), whatever came of them."""
        return len(await self.sandbox.requests(f"tenant={tenant}&path={path}"))


def lines(written: str) -> list[str]:
    """A hand-written list as `books` and `stands` give theirs: one entry a line, blanks as wide as one likes."""
    return [" ".join(line.split()) for line in written.strip().splitlines() if line.strip()]


async def _ended(working: asyncio.Task[None]) -> None:
    """A producer that is told to stop, stops: one that does not would go on in production, too."""
    await asyncio.wait({working}, timeout=STOPS_WITHIN)
    if not working.done():
        others = asyncio.all_tasks() - {asyncio.current_task()}
        raise AssertionError("\n".join(["the producer does not stop:", *(repr(task.get_coro()) for task in others)]))


def _plain_text(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _level(tenant: int | None, contract: int | None) -> dict[str, Any]:
    if tenant is None:
        return {"level": "bureau"}
    if contract is None:
        return {"level": "tenant", "tenant": TenantId(tenant)}
    return {"level": "contract", "tenant": TenantId(tenant), "contract": ContractNumber(contract)}


def _told(billing: Billing) -> str:
    # One that is done has gone through all its steps.
    words = ["done"] if billing.status is Status.DONE else [billing.step.value, billing.status.value]
    reason = [billing.reason.value] if billing.reason else []
    return " ".join([str(billing.contract), str(billing.period), *words, *reason])


def _entry(company: Company, invoice: Invoice) -> str:
    mails = sum(sent.invoice == invoice.number and sent.kind == "email" for sent in company.outbox)
    others = [sent.kind for sent in company.outbox if sent.invoice == invoice.number and sent.kind != "email"]
    became = {
        "by-hand": invoice.created_by is By.PERSON,
        "credit": invoice.credit,
        "booked": invoice.booked,
        "mailed": mails == 1,
        f"mailed-{mails}-times": mails > 1,
        "handed-over": invoice.number in company.hand_overs,
        "credited": bool(invoice.credit_reference) and not invoice.credit,
        "cancelled": invoice.cancelled,
    }
    period = f"{invoice.period_start}..{invoice.period_end}"
    shown = [str(invoice.contract_reference), period, str(invoice.invoice_date), f"{_plain(invoice.total)}"]
    return " ".join([*shown, *(word for word, holds in became.items() if holds), *others])


def _plain(amount: Decimal) -> str:
    return f"{amount:.2f}".removesuffix(".00")


@contextmanager
def short_pauses() -> Iterator[None]:
    """Scales down the product's own pauses as the sandbox's window is scaled down; their order and use stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "FEED_AT_LEAST_EVERY", 0.1)
        patch.setattr(run, "RETRY_POLL_AFTER", 0.2)
        patch.setattr(run, "SWEEP_EVERY", 0.1)
        patch.setattr(run, "BEGINS_AFTER", 0.0)
        patch.setattr(run, "FOLLOW_PRICES_EVERY", 0.05)
        patch.setattr(run, "FEED_PRICES_EVERY", 0.05)
        patch.setattr(prices, "LOOKS_AGAIN", 0.02)
        patch.setattr(prices, "SOON", 0.05)
        patch.setattr(price_events, "ALIVE_EVERY", 0.3)
        patch.setattr(price_events, "LOOKS_EVERY", 2.0)
        patch.setattr(feeder, "FILLED_FOR", 0.05)
        patch.setattr(feeder, "LOOK_WAITS", 0.1)
        patch.setattr(feeder, "MESSAGE_LOST_AFTER", 0.5)
        patch.setattr(requests, "READ_PAUSES", (0.02, 0.06, 0.18))
        # How long an idle thread of the worker sleeps before it looks whether it is to stop.
        patch.setattr(broker, "Worker", partial(dramatiq.Worker, worker_timeout=50))
        patch.setattr(broker, "_LISTEN_FOR", 0.05)
        yield


@asynccontextmanager
async def bureau_for(
    sandbox: Sandbox, redis_url: str, database_url: str | None, data_dir: Path, **settings: Any
) -> AsyncIterator[Bureau]:
    """Starts the producer and all pools in this process, and stops them at the end."""
    sandbox.world.behaviour.limit = 25
    sandbox.world.behaviour.window = WINDOW
    configured = Settings(
        fortnox_client_id="sandbox-client",
        fortnox_client_secret=SecretStr("sandbox-secret"),
        fortnox_api_url=sandbox.url,
        fortnox_auth_url=f"{sandbox.url}/oauth-v1",
        fortnox_ws_url=f"{sandbox.url.replace('http', 'ws', 1)}/topics-v1",
        redis_url=SecretStr(redis_url),
        database_url=SecretStr(database_url) if database_url else None,
        data_dir=data_dir,
        rate_window=WINDOW * 1.2,
        **{"poll_interval": 3600.0, "reconcile_from": NO_MORNING, "preflight_from": NO_MORNING, **settings},
    )
    ledger = await open_ledger(database_url, data_dir, configured.clock, migrate=True)
    client, slots = connect_async(redis_url), governor_redis(redis_url)
    consents = Consents(ledger, configured)
    fortnox = await Fortnox.open(configured, slots, consents)
    high_water = HighWater(ledger, slots, data_dir)
    producer = Producer(configured, ledger, client, fortnox, high_water)
    bureau = Bureau(configured, sandbox, ledger, client, fortnox, consents, high_water, producer)
    with short_pauses():
        bureau.start()
        try:
            yield bureau
        finally:
            await bureau.stop()
            await fortnox.close()
            await slots.aclose()
            await client.aclose()
            await bureau.ledger.close()
