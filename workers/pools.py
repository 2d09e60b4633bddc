"""The pools by name, and the process that works them: Dramatiq's worker on the queues that it is told.

An actor only reads its message and hands over to the module of its pool; what goes wrong there unforeseen is logged and
dropped, since the ledger remembers what is not done and the producer feeds it again.
"""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeVar, cast

import dramatiq
import structlog
from dramatiq.asyncio import get_event_loop_thread

from common.ledger.database import LedgerError
from common.queue.broker import DoorbellBroker, GivenBack, make_broker, start_worker
from common.queue.messages import Bookkeep, CreateInvoice, Deliver, Message, SeekEvidence, SetPrices
from common.settings import Settings
from common.stopping import Stop
from common.watchdog import Watchdog
from workers.bookkeeping import bookkeep
from workers.delivery import deliver
from workers.evidence import seek_evidence
from workers.in_hand import LetGo
from workers.invoicing import create_invoice
from workers.pricing import set_prices
from workers.runtime import Runtime, RuntimeOnce

log = structlog.get_logger()

M = TypeVar("M", bound=Message)

STOP_MARGIN = 5.0
"""Seconds beyond the longest call in which a worker that is told to stop has stopped."""

THREADS: Mapping[str, int] = {"invoicing": 32, "bookkeeping": 32, "delivery": 32, "evidence": 16, "pricing": 8}
"""How many messages a process of the pool works at a time; a thread only waits for the event loop (engine notes
1.3)."""


async def _create_invoice(runtime: Runtime, message: CreateInvoice) -> None:
    await create_invoice(runtime, message.billing)


async def _bookkeep(runtime: Runtime, message: Bookkeep) -> None:
    await bookkeep(runtime, message.billing)


async def _deliver(runtime: Runtime, message: Deliver) -> None:
    await deliver(runtime, message.billing)


async def _seek_evidence(runtime: Runtime, message: SeekEvidence) -> None:
    await seek_evidence(runtime, message.tenant)


async def _set_prices(runtime: Runtime, message: SetPrices) -> None:
    await set_prices(runtime, message.tenant, message.contract)


GiveUp = Callable[[LedgerError], None]
"""What is done when the ledger turns out to be one that must not be worked with."""


def declare(broker: DoorbellBroker, runtime: RuntimeOnce, give_up: GiveUp) -> None:
    """Declares the actors of all pools on the broker."""
    _declare(broker, runtime, give_up, CreateInvoice, _create_invoice)
    _declare(broker, runtime, give_up, Bookkeep, _bookkeep)
    _declare(broker, runtime, give_up, Deliver, _deliver)
    _declare(broker, runtime, give_up, SeekEvidence, _seek_evidence)
    _declare(broker, runtime, give_up, SetPrices, _set_prices)


def _declare(
    broker: DoorbellBroker,
    runtime: RuntimeOnce,
    give_up: GiveUp,
    kind: type[M],
    work: Callable[[Runtime, M], Awaitable[None]],
) -> None:
    async def act(payload: dict[str, object]) -> None:
        try:
            await work(await runtime(), kind.read(payload))
        except LetGo:
            raise GivenBack from None
        except LedgerError as error:
            give_up(error)

    dramatiq.actor(actor_name=kind.actor, queue_name=kind.queue, broker=broker, throws=GivenBack)(act)


class EndRuntime(dramatiq.Middleware):
    """Lets go of what is not claimed when the worker is told to stop, and closes the runtime on its own event loop when
    the last message is done and before the loop ends."""

    def __init__(self, runtime: RuntimeOnce) -> None:
        self._runtime = runtime

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        loop = get_event_loop_thread()
        if loop is not None:
            loop.loop.call_soon_threadsafe(self._runtime.in_hand.let_go)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        loop = get_event_loop_thread()
        if loop is not None:
            loop.run_coroutine(self._runtime.close())


class WatchLoop(dramatiq.Middleware):
    """Has a watchdog over the event loop for as long as the worker works and closes."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._watching = contextlib.ExitStack()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        loop = get_event_loop_thread()
        if loop is not None:
            self._watching.enter_context(Watchdog(loop.loop, self._patience))

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._watching.close()


def _log_unusable(error: LedgerError) -> None:
    log.error("ledger_unusable", error=str(error))


def start(
    settings: Settings,
    redis_url: str,
    pools: Collection[str],
    threads: int | None = None,
    give_up: GiveUp = _log_unusable,
    *,
    middleware: Iterable[dramatiq.Middleware] = (),
) -> dramatiq.Worker:
    """Starts working the pools in threads of this process, and returns at once.

    Parameters:
      threads: messages at a time, all pools together; `None` for the pools' own numbers.
      middleware: what else is to know of the worker's beginning and end.
    """
    broker = make_broker(redis_url)
    runtime = RuntimeOnce(settings, redis_url)
    # Dramatiq ends them in the opposite order.
    for one in (*middleware, EndRuntime(runtime)):
        broker.add_middleware(one)
    declare(broker, runtime, give_up)
    return start_worker(broker, queues=pools, threads=threads or sum(THREADS[pool] for pool in pools))


def work(settings: Settings, redis_url: str, pools: Collection[str]) -> None:
    """Works the pools until SIGTERM or SIGINT; then finishes the calls in hand and gives everything else back.

    That takes a second or two, and as long as the slowest call that has been made (`call_timeout`) where that hangs.
    Told a second time it ends at once: what was called and not answered then stays claimed until its lease runs out,
    and is in doubt.

    Raises LedgerError or QueueUnreachable before the first message when the ledger or Redis cannot be used. A ledger
    that turns out later to be an older copy ends the process with exit status 1.
    """
    asyncio.run(_try(settings, redis_url))
    stop = threading.Event()
    unusable: list[LedgerError] = []

    def _give_up(error: LedgerError) -> None:
        _log_unusable(error)
        unusable.append(error)
        stop.set()

    within = settings.call_timeout + STOP_MARGIN
    stopping = Stop(within, told=stop.set)
    worker = start(settings, redis_url, pools, give_up=_give_up, middleware=[WatchLoop(settings.loop_patience)])
    broker = cast(DoorbellBroker, worker.broker)
    stopping.leave = broker.leave
    log.info("worker_started", pools=sorted(pools))
    stop.wait()
    worker.stop(timeout=int(within * 1000))
    broker.close()
    log.info("worker_stopped", pools=sorted(pools))
    # A thread that still tries to tell a Redis which is gone must not keep the process: the ledger has what it did.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if unusable else 0)


async def _try(settings: Settings, redis_url: str) -> None:
    runtime = await Runtime.open(settings, redis_url)
    try:
        await runtime.redis.ping()
    finally:
        await runtime.close()
