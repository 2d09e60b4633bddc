"""A million mirrored contracts: what a day's planning costs, on SQLite and PostgreSQL.

Counted apart are the three parts of the daily pass over all companies (what may be due is read, the rules decide, the
billings are inserted), and the preview, which reads the whole mirror. Each runs in a fresh process, for its memory.
"""

import argparse
import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Date, case, insert, literal, select, text, true

from bench.figures import Figure, Figures
from bench.ledgers import DATABASES, postgresql
from common import logs
from common.clock import Clock
from common.ledger import planning, policies
from common.ledger.database import Ledger, open_ledger
from common.ledger.schema import billings, contracts, tenants
from common.rules.periods import add_months
from common.rules.plan import plan
from common.rules.policy import PolicyChoice
from common.settings import Settings
from producers.planner import insert_due

BY = "bench"
FIRST_TENANT = 100_000
ONE_DAY = timedelta(days=1)

Timed = Mapping[str, Figure]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contracts", type=int, default=1_000_000, help="in all (%(default)s)")
    parser.add_argument("--companies", type=int, default=2_000, help="(%(default)s)")
    parser.add_argument("--one-in", type=int, default=100, help="one contract in so many is due today (%(default)s)")
    parser.add_argument("--on", choices=DATABASES, help="one of the databases only")


async def run(options: argparse.Namespace) -> Figures:
    figures: dict[str, Figure | Mapping[str, Figure]] = {}
    for database in (options.on,) if options.on else DATABASES:
        async with AsyncExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avtalsmotor-bench-")))
            url = f"sqlite:///{home / 'ledger.sqlite3'}"
            if database == "postgresql":
                url = f"{(await postgresql(stack, '--on sqlite')).url}/postgres"
            began = time.perf_counter()
            await fill(url, options.companies, options.contracts // options.companies, options.one_in)
            figures[f"{database}_filled_in_seconds"] = round(time.perf_counter() - began, 1)
            for part in PARTS:
                figures[f"{database}_{part}"] = _in_a_process_of_its_own(part, url)
    return figures


async def fill(url: str, companies: int, each: int, one_in: int) -> None:
    """Monthly contracts that were invoiced for the period before, of which one in so many shows a period from today."""
    ledger = await open_ledger(url, Path(), Clock(), migrate=True)
    try:
        await policies.change(ledger, "bureau", PolicyChoice(mode="live", bookkeep=True), BY)
        await ledger.transact(partial(_insert_mirror, companies=companies, each=each, one_in=one_in))
        if not ledger.is_sqlite:
            # PostgreSQL does so by itself, but not at once; the product never asks SQLite to.
            await ledger.transact(lambda connection: connection.execute(text("ANALYZE")))
    finally:
        await ledger.close()


def _insert_mirror(connection: Connection, companies: int, each: int, one_in: int) -> None:
    """By the database itself, from nothing but numbers: a million rows through a driver would take minutes."""
    counted = select(literal(1).label("i")).cte("counted", recursive=True)
    counted = counted.union_all(select(counted.c.i + 1).where(counted.c.i < max(companies, each)))
    ids = select(counted.c.i + FIRST_TENANT, literal("Mätbolaget"), true()).where(counted.c.i <= companies)
    connection.execute(insert(tenants).from_select(["id", "name", "creates_proven"], ids))

    today = Clock().today()
    later = today + timedelta(days=8)

    def due_or_not(number: ColumnElement[int], due: date, otherwise: date) -> ColumnElement[date]:
        return case((number % one_in == 0, literal(due, Date)), else_=literal(otherwise, Date))

    shown = {
        "tenant": tenants.c.id,
        "number": counted.c.i,
        "customer_number": literal("1001"),
        "customer_name": literal("Gran & Tall AB"),
        "status": literal("ACTIVE"),
        "continuous": true(),
        "interval": literal(1),
        "period_start": due_or_not(counted.c.i, today, later),
        "period_end": due_or_not(counted.c.i, add_months(today, 1) - ONE_DAY, add_months(later, 1) - ONE_DAY),
        "total": literal(495_000_000),
        "currency": literal("SEK"),
        "read_at": literal(0),
    }
    mirrored = select(*shown.values()).select_from(tenants.join(counted, counted.c.i <= each))
    connection.execute(insert(contracts).from_select(list(shown), mirrored.order_by(tenants.c.id, counted.c.i)))

    began = due_or_not(contracts.c.number, add_months(today, -1), add_months(later, -1))
    billed = {
        "tenant": contracts.c.tenant,
        "contract": contracts.c.number,
        "period_start": began,
        "period_end": due_or_not(contracts.c.number, today - ONE_DAY, later - ONE_DAY),
        "generation": literal(1),
        "due_on": began,
        "invoice_date": began,
        "step": literal("deliver"),
        "status": literal("done"),
        "detail": literal("{}"),
        "policy": literal("{}"),
        "amount": contracts.c.total,
        "currency": contracts.c.currency,
        "customer_number": contracts.c.customer_number,
        "customer_name": contracts.c.customer_name,
        "invoice": contracts.c.number,
        "created_at": literal(0),
        "changed_at": literal(0),
    }
    connection.execute(insert(billings).from_select(list(billed), select(*billed.values())))


async def _preview(ledger: Ledger, today: date) -> Timed:
    """What `avtalsmotor plan` does: the whole mirror is read, and the rules say what becomes of each contract."""
    clock = Stopwatch()
    seen = await planning.views(ledger)
    clock.lap("read")
    decided = sum(1 for _ in plan(seen.contracts, seen.facts, today))
    clock.lap("decide")
    return {"contracts": decided, **clock.laps}


async def _daily_pass(ledger: Ledger, today: date) -> Timed:
    """What the producer does at the beginning of a day, all companies at once."""
    clock = Stopwatch()
    seen = await planning.views(ledger, due_by=today)
    clock.lap("read")
    verdicts = [one for one in plan(seen.contracts, seen.facts, today) if one.outcome != "none"]
    clock.lap("decide")
    inserted = await planning.insert(ledger, verdicts, BY)
    clock.lap("insert")
    return {"contracts": len(seen.contracts), "inserted": len(inserted), **clock.laps}


async def _pass_again(ledger: Ledger, today: date) -> Timed:
    """The same pass when everything is planned already, by the producer's own way."""
    clock = Stopwatch()
    inserted = await insert_due(ledger, None, today, BY)
    clock.lap("all")
    return {"inserted": len(inserted), **clock.laps}


PARTS: Mapping[str, Callable[[Ledger, date], Awaitable[Timed]]] = {
    "preview": _preview,
    "daily_pass": _daily_pass,
    "pass_again": _pass_again,
}


class Stopwatch:
    """Wall-clock and CPU seconds of one part after the other, of this process."""

    def __init__(self) -> None:
        self.laps: dict[str, Figure] = {}
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.laps |= {f"{name}_s": round(wall - self._wall, 3), f"{name}_cpu_s": round(cpu - self._cpu, 3)}
        self._wall, self._cpu = wall, cpu


def _in_a_process_of_its_own(part: str, url: str) -> Timed:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_measure, part, url).result()


def _measure(part: str, url: str) -> Timed:
    logs.configure(Settings(log_level="warning"), "bench")
    timed = asyncio.run(_opened(part, url))
    return {**timed, "peak_memory_mb": round(_peak() / 2**20)}


async def _opened(part: str, url: str) -> Timed:
    ledger = await open_ledger(url, Path(), Clock())
    try:
        return await PARTS[part](ledger, ledger.clock.today())
    finally:
        await ledger.close()


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
