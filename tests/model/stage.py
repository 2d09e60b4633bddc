"""The product's own workers on a stage: each stops at gates, and goes on when the story says so.

Nothing of the product is replaced. The gates are at its edges: before and after each transaction of the protocol,
where a request leaves, and in the sandbox, which keeps a call with an effect until it is told whether, when and how to
act and to answer. Time is the story's: the product's clock, the clock of leases, and the sandbox's move together.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import event

from common import clock as clocks
from common.clock import STOCKHOLM
from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ids import BillingId, TenantId
from common.ledger import billings, claims
from common.ledger.backends import SqliteBackend
from common.ledger.billings import Ready
from common.ledger.database import Ledger, open_ledger
from common.ledger.records import Billing, Claim
from common.queue.connections import connect_async
from common.rules.states import Step
from common.settings import Settings
from sandbox.books import World
from sandbox.gateway import Act
from sandbox.journal import Entry
from sandbox.refusals import Refusal
from sandbox.server import start
from tests.sandboxes import NO_LIMIT, Sandbox
from workers import steps
from workers.bookkeeping import bookkeep
from workers.delivery import deliver
from workers.evidence import seek_evidence
from workers.invoicing import create_invoice
from workers.runtime import Runtime

MORNING = datetime(2026, 2, 1, 9, tzinfo=STOCKHOLM)

STOPS_WITHIN = 30.0
"""Seconds of real time in which whoever goes on has come to its next gate."""

TRANSACTIONS = ("claim", "settle", "move", "resolve")
"""The doors of the ledger through which workers change a billing: they stop before and after each."""

EFFECT = re.compile(r"PUT /3/contracts/\d+/createinvoice|PUT /3/invoices/\d+/bookkeep|GET /3/invoices/\d+/email")

WORK = {Step.CREATE: create_invoice, Step.BOOKKEEP: bookkeep, Step.DELIVER: deliver}


@dataclass(eq=False)
class Actor:
    """A worker with one message in hand, or one look."""

    name: str
    work: str
    billing: BillingId | None
    at: str = ""
    """The gate where it stands; empty while it goes on, or has ended."""
    call: "Call | None" = None
    """What it has sent to Fortnox and waits for."""
    held_until: float = math.inf
    """By the clock of leases: until when its claim, if it has one, surely holds."""
    frozen: bool = False
    ended: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None
    opened: "asyncio.Future[None] | None" = None

    async def gate(self, where: str) -> None:
        """Stands here until it is let go on."""
        self.at, self.opened = where, asyncio.get_running_loop().create_future()
        self.stopped.set()
        await self.opened
        self.at = ""


@dataclass(eq=False)
class Call:
    """A call with an effect, in Fortnox' hands."""

    request: str
    by: Actor
    act: Act
    arrived: datetime
    answer: "asyncio.Future[web.Response | None]"
    """`None`: the line is cut."""
    response: web.Response | None = None
    given_up: bool = False
    """Nobody waits for it any more. If Fortnox has not acted, it may do so late."""
    over: bool = False
    """Fortnox will do no more about it."""

    @property
    def acted(self) -> bool:
        return self.response is not None

    @property
    def took_effect(self) -> bool:
        return self.response is not None and self.response.status < 300

    @property
    def may_still_act(self) -> bool:
        return not self.acted and not self.over


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


@dataclass(eq=False)
class Stage:
    """The sandbox, the ledger, and the workers that are on the stage now."""

    runtime: Runtime
    sandbox: Sandbox
    actors: list[Actor] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    on_call: Callable[[Call], None] = lambda call: None
    """Sees each call with an effect as it comes to Fortnox."""
    overdue: list[str] = field(default_factory=list)
    """Requests that were to leave though the lease had run out by then."""
    _graves: list[Actor] = field(default_factory=list)
    _names: int = 0
    _moving: Actor | None = None

    # Time -------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The instant, for everybody."""
        return self.runtime.settings.clock.now()

    def go_to(self, instant: datetime) -> None:
        """Moves every clock there. What Fortnox has had in hand for longer than it may take is over."""
        self.runtime.settings.clock.shift = instant.astimezone(UTC) - datetime.now(UTC)
        self.sandbox.world.clock.set(instant)
        for call in self.calls:
            if not call.acted and instant - call.arrived > self.runtime.settle:
                call.over = True

    def boottime(self) -> float:
        """The clock of leases, which runs on while a process is frozen."""
        return clocks.boottime() + self.runtime.settings.clock.shift.total_seconds()

    # Workers ----------------------------------------------------------------------------------------------------------

    async def deliver(self, billing: Billing | Ready) -> Actor:
        """A worker takes a message for the billing's step."""
        return await self._enter(
            billing.step.value, billing.id, lambda runtime: WORK[billing.step](runtime, billing.id)
        )

    async def look(self, tenant: TenantId) -> Actor:
        """A worker takes a message to look. Redis, which keeps two from looking at once, may just have been wiped."""
        await self.runtime.slots.delete(f"avtalsmotor:looking:{tenant}")
        return await self._enter("look", None, lambda runtime: seek_evidence(runtime, tenant))

    async def _enter(self, work: str, billing: BillingId | None, act: Callable[[Runtime], Awaitable[None]]) -> Actor:
        self._names += 1
        actor = Actor(f"worker-{self._names}", work, billing)
        runtime = replace(self.runtime, name=actor.name)

        async def live() -> None:
            _actor.set(actor)
            await actor.gate("message")
            try:
                await act(runtime)
            finally:
                actor.ended = True
                actor.stopped.set()

        actor.task = asyncio.create_task(live(), name=actor.name)
        self.actors.append(actor)
        await self._until_stopped(actor)
        return actor

    async def go_on(self, actor: Actor) -> None:
        """Lets it go on to its next gate, or until it waits for Fortnox, or to its end."""
        assert actor.opened is not None
        if not actor.opened.done():
            actor.stopped.clear()
            actor.opened.set_result(None)
        await self._until_stopped(actor)

    async def _until_stopped(self, actor: Actor) -> None:
        self._moving = actor
        async with asyncio.timeout(STOPS_WITHIN):
            await actor.stopped.wait()
        if actor.ended:
            self.actors.remove(actor)
            assert actor.task is not None
            await actor.task

    def kill(self, actor: Actor) -> None:
        """It never goes on. What it has sent is in Fortnox' hands all the same."""
        self.actors.remove(actor)
        self._graves.append(actor)

    # Fortnox ----------------------------------------------------------------------------------------------------------

    async def act(self, call: Call) -> None:
        """Fortnox does what the call asks, whether or not anybody still waits for the answer."""
        call.response = await call.act()

    async def answer(self, call: Call, response: web.Response | None) -> None:
        """The answer comes, or the line is cut; whoever waited goes on to its next gate."""
        call.given_up, call.by.call = True, None
        call.by.stopped.clear()
        call.answer.set_result(response)
        await self._until_stopped(call.by)

    def refusal(self, refusal: Refusal) -> web.Response:
        """What Fortnox answers instead of yes."""
        return self.sandbox.running.gateway._refused(refusal, 0.0)

    # The edges --------------------------------------------------------------------------------------------------------

    def _gated(self, patch: pytest.MonkeyPatch) -> None:
        for name in TRANSACTIONS:
            patch.setattr(billings, name, _between_gates(name, getattr(billings, name)))
        patch.setattr(steps, "boottime", self.boottime)
        patch.setattr(claims, "boottime", self.boottime)
        requests = self.runtime.fortnox._requests
        patch.setattr(requests, "send", self._leaving(requests.send))
        gateway = self.sandbox.running.gateway
        patch.setattr(gateway, "_act_or_fail", self._in_hand(gateway._act_or_fail))

    def _leaving(self, request: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def leave(permit: Any, method: str, path: str, **rest: Any) -> Any:
            actor = _actor.get()
            if actor is not None and EFFECT.fullmatch(f"{method} {path}"):
                if self.boottime() > actor.held_until:
                    self.overdue.append(f"{method} {path} by {actor.name}")
                await actor.gate("request")
            return await request(permit, method, path, **rest)

        return leave

    def _in_hand(
        self, act_or_fail: Callable[[web.Request, Entry, Act, float], Awaitable[web.Response | None]]
    ) -> Callable[[web.Request, Entry, Act, float], Awaitable[web.Response | None]]:
        async def keep(request: web.Request, entry: Entry, act: Act, began: float) -> web.Response | None:
            actor = self._moving
            if actor is None or not EFFECT.fullmatch(f"{entry.method} {entry.path}"):
                return await act_or_fail(request, entry, act, began)
            answer: asyncio.Future[web.Response | None] = asyncio.get_running_loop().create_future()
            call = actor.call = Call(f"{entry.method} {entry.path}", actor, act, self.now(), answer)
            self.on_call(call)
            self.calls.append(call)
            actor.stopped.set()
            return await answer

        return keep

    async def clear(self) -> None:
        """Everybody leaves; what nobody has answered is cut."""
        everybody = [*self.actors, *self._graves]
        for actor in everybody:
            if actor.task is not None:
                actor.task.cancel()
        for call in self.calls:
            if not call.answer.done():
                call.answer.set_result(None)
        await asyncio.gather(*(actor.task for actor in everybody if actor.task), return_exceptions=True)
        self.actors, self._graves, self.calls, self.overdue = [], [], [], []
        self._moving = None


def _between_gates(name: str, transaction: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def gated(*arguments: Any, **named: Any) -> Any:
        actor = _actor.get()
        if actor is None:
            return await transaction(*arguments, **named)
        await actor.gate(f"before {name}")
        outcome = await transaction(*arguments, **named)
        if isinstance(outcome, Claim):
            actor.held_until = outcome.held_until
        await actor.gate(f"after {name}")
        return outcome

    return gated


@contextlib.asynccontextmanager
async def open_stage(database_url: str, redis_url: str, data_dir: Path) -> AsyncIterator[Stage]:
    """An empty stage on a Sunday morning, with a sandbox of its own."""
    world = World()
    world.behaviour.limit = NO_LIMIT
    running = await start(world)
    settings = Settings(
        fortnox_client_id="sandbox-client",
        fortnox_client_secret=SecretStr("sandbox-secret"),
        fortnox_api_url=running.url,
        fortnox_auth_url=f"{running.url}/oauth-v1",
        redis_url=SecretStr(redis_url),
        database_url=SecretStr(database_url),
        data_dir=data_dir,
        rate_window=0.01,
        _env_file=None,
    )
    ledger = await open_ledger(database_url, data_dir, settings.clock)
    do_not_wait_for_the_disk(ledger)
    client, slots = connect_async(redis_url), governor_redis(redis_url)
    fortnox = await Fortnox.open(settings, slots)
    high_water = HighWater(ledger, slots, data_dir)
    runtime = Runtime(settings, ledger, client, slots, fortnox, high_water, "worker")
    async with aiohttp.ClientSession(running.url) as admin:
        stage = Stage(runtime, Sandbox(running.url, world, running, admin))
        with _patched(stage):
            try:
                yield stage
            finally:
                await stage.clear()
                await fortnox.close()
                await slots.aclose()
                await client.aclose()
                await ledger.close()
    await running.stop()


def do_not_wait_for_the_disk(ledger: Ledger) -> None:
    """Nobody pulls the plug here, and half of a night would be waiting for it."""
    if isinstance(ledger._backend, SqliteBackend):
        engine = ledger._backend._engine
        event.listen(engine, "checkout", lambda connection, *_: connection.execute("PRAGMA synchronous = OFF").close())


@contextlib.contextmanager
def _patched(stage: Stage) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        stage._gated(patch)
        yield
