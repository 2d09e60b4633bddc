"""Many companies at once, with one, two and four worker processes a pool, beside what a user would write instead.

Beside the product, against a sandbox of the same behaviour, run a sequential script and the same steps on Celery
(`bench/alternatives`). Each also gets one company whose first invoice is made but not answered: what becomes of it is
counted in the sandbox's books.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from avtalsmotor.children import bound_to_parent
from avtalsmotor.embedded import EmbeddedServer
from bench import ledgers
from bench.failure import BenchFailed
from bench.figures import LIMIT, WINDOW, Figure, Figures, floor
from bench.one_tenant import EACH, NEEDED_EACH, patience
from bench.product import FULL, NETWORK, Product, running_product
from bench.requests import EMAIL, TOKEN, Request
from bench.sandbox import Sandbox, sandbox_process

FIRST_TENANT = 100_001
CUT = 300_001
CUT_DUE = 3

BEHAVIOUR = {**NETWORK, "create_answer": "Invoice"}
"""That answer tells the invoice's number, which the alternatives would otherwise have to look for."""

TASK_TYPES = 4
THREADS = 32
STARTS_WITHIN = 60.0
LOOK_EVERY = 0.5
ROOT = Path(__file__).parents[1]


def add_options(parser: argparse.ArgumentParser) -> None:
    ledgers.add_option(parser)
    parser.add_argument("--companies", type=int, default=50, help="(%(default)s)")
    parser.add_argument("--due", type=int, default=20, help="contracts of each; the target is set for 40 (%(default)s)")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4], help="processes a pool (1 2 4)")
    parser.add_argument("--script-companies", type=int, default=2, help="what the script is timed on (%(default)s)")
    parser.add_argument("--celery", default=sys.executable, help="a Python that has Celery and redis-py (this one)")
    parser.add_argument("--keep", type=Path, help="keep ledgers and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    figures: dict[str, Figure | Mapping[str, Figure]] = {"companies": options.companies, "due_each": options.due}
    for workers in options.workers:
        figures[f"product_{workers}_workers"] = await _product(options, workers)
    if options.script_companies:
        figures["plain_script"] = await _script(options)
    figures["celery"] = await _celery(options)
    return figures


async def _product(options: argparse.Namespace, workers: int) -> Mapping[str, Figure]:
    tenants = range(FIRST_TENANT, FIRST_TENANT + options.companies)
    keep = options.keep and options.keep / f"product-{workers}"
    async with running_product(FULL, BEHAVIOUR, keep=keep, workers=workers, database=options.ledger) as product:
        await _add_companies(product.sandbox, tenants, options.due)
        before = sum(product.cpu().values())
        await product.take_on(*tenants, first_listing_of_the_day=True)
        await _until_sent(product, tenants, options.due)
        used = sum(product.cpu().values()) - before
        await product.take_on(CUT, first_listing_of_the_day=True)
        await _until_sent(product, [CUT], CUT_DUE)
        return {
            **await _figures(product.sandbox, tenants, options.due),
            "cpu_ms_an_invoice": round(1000 * used / (options.companies * options.due), 2),
        }


async def _until_sent(product: Product, tenants: Sequence[int], due: int) -> None:
    await product.until(
        lambda requests: _sent(requests, tenants) >= len(tenants) * due,
        patience(due) + len(tenants) * due / 5,
        waiting_for=f"{len(tenants) * due} invoices sent",
    )


async def _script(options: argparse.Namespace) -> Mapping[str, Figure]:
    """Timed on a few companies: it takes the others one after the other, each as long as these."""
    tenants = range(FIRST_TENANT, FIRST_TENANT + options.script_companies)
    async with _sandbox_alone(options, "script") as (sandbox, _):
        await _add_companies(sandbox, tenants, options.due)
        for group in (tenants, [CUT]):
            await _run_to_its_end(
                sys.executable, "-m", "bench.alternatives.plain_script", sandbox.url, *map(str, group)
            )
        rest = options.companies / options.script_companies
        figures = await _figures(sandbox, tenants, options.due, times=rest)
    return {**figures, "timed_on_companies": options.script_companies}


async def _celery(options: argparse.Namespace) -> Mapping[str, Figure]:
    probe = await asyncio.create_subprocess_exec(
        options.celery, "-c", "import celery, redis", stderr=asyncio.subprocess.DEVNULL
    )
    if await probe.wait() != 0:
        return {"skipped": "Celery is not installed: deploy/install bench, or name a Python that has it by --celery"}
    tenants = range(FIRST_TENANT, FIRST_TENANT + options.companies)
    processes = max(options.workers, default=1)
    allowed = LIMIT / WINDOW * options.companies / TASK_TYPES / processes
    unsent: dict[str, int] = {}
    async with _sandbox_alone(options, "celery") as (sandbox, home), AsyncExitStack() as stack:
        broker = stack.enter_context(EmbeddedServer(home)).url
        told = {"BENCH_BROKER": broker, "BENCH_FORTNOX": sandbox.url, "BENCH_RATE_LIMIT": f"{allowed:.3f}/s"}
        environment = {**os.environ, **told}
        await _add_companies(sandbox, tenants, options.due)
        for number in range(processes):
            await stack.enter_async_context(_celery_worker(options.celery, number, environment, home / "logs"))
        for group, due in ((tenants, options.due), ([CUT], CUT_DUE)):
            sender = (options.celery, "-m", "bench.alternatives.celery_app", *map(str, group))
            await _run_to_its_end(*sender, environment=environment)
            unsent[str(len(group) * due)] = await _unsent(sandbox, group, due)
        figures = await _figures(sandbox, tenants, options.due)
    never = {f"unsent_of_{number}_when_given_up": missing for number, missing in unsent.items() if missing}
    return {**figures, **never, "processes": processes, "threads_each": THREADS}


@asynccontextmanager
async def _celery_worker(
    python: str, number: int, environment: Mapping[str, str], logs: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    path = logs / f"celery-{number}.log"
    command = [python, "-m", "celery", "-A", "bench.alternatives.celery_app", "worker", "--pool", "threads"]
    command += ["--concurrency", str(THREADS), "--hostname", f"worker{number}@%h", "--loglevel", "info"]
    with path.open("wb") as output:
        worker = await asyncio.create_subprocess_exec(
            *bound_to_parent(command), env=environment, cwd=ROOT, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while " ready." not in path.read_text(encoding="utf-8", errors="replace"):
            if worker.returncode is not None or time.monotonic() > deadline:
                raise BenchFailed(f"A Celery worker did not start. Run it again with --keep DIR, and see {path.name}.")
            await asyncio.sleep(0.1)
        yield worker
    finally:
        if worker.returncode is None:
            worker.terminate()
        try:
            await asyncio.wait_for(worker.wait(), 20)
        except TimeoutError:
            worker.kill()
            await worker.wait()


@asynccontextmanager
async def _sandbox_alone(options: argparse.Namespace, name: str) -> AsyncIterator[tuple[Sandbox, Path]]:
    async with AsyncExitStack() as stack:
        home = options.keep and options.keep / name
        home = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avtalsmotor-bench-")))
        yield await stack.enter_async_context(sandbox_process(BEHAVIOUR, home / "logs")), home


async def _add_companies(sandbox: Sandbox, tenants: Sequence[int], due: int) -> None:
    for tenant in tenants:
        await sandbox.add_company(tenant, due=due)
    await sandbox.add_company(CUT, due=CUT_DUE)
    cut = {"kind": "cut_after", "method": "PUT", "path": "/3/contracts/*/createinvoice", "tenant": CUT, "times": 1}
    await sandbox.control("POST", "faults", cut)


async def _run_to_its_end(*command: str, environment: Mapping[str, str] | None = None) -> None:
    process = await asyncio.create_subprocess_exec(*bound_to_parent(command), env=environment, cwd=ROOT)
    if await process.wait() != 0:
        raise BenchFailed(f"{command[2]} ended with an error; its own words are above.")


async def _unsent(sandbox: Sandbox, tenants: Sequence[int], due: int) -> int:
    """How many invoices have not been sent after three times as long as the product is given: what is not sent by then
    has been given up by whoever should, and is a figure, too."""
    requests: list[Request] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience(due) * 3 + len(tenants) * due / 5):
            while _sent(requests, tenants) < len(tenants) * due:
                requests += await sandbox.requests(max((request.number for request in requests), default=0))
                await asyncio.sleep(LOOK_EVERY)
    return len(tenants) * due - _sent(requests, tenants)


def _sent(requests: Sequence[Request], tenants: Sequence[int]) -> int:
    return sum(one.kind == EMAIL and one.went_well and one.tenant in tenants for one in requests)


async def _figures(sandbox: Sandbox, tenants: Sequence[int], due: int, times: float = 1.0) -> dict[str, Figure]:
    """What the log says of the companies, and the books of the one whose answer was cut off.

    Parameters:
      times: how many times as many companies there are, each of which has to wait for those before it.
    """
    log = [request for request in await sandbox.requests() if request.kind != TOKEN]
    cut = await books_of(sandbox, CUT)
    return {**figures_of([request for request in log if request.tenant in tenants], due, times), **cut}


def figures_of(log: Sequence[Request], due: int, times: float = 1.0) -> dict[str, Figure]:
    """What the log of some companies says, each with so many due.

    The floor is that of the company which needed the most: all of them go at once, each at its own limit.
    """
    answered = [request for request in log if not request.was_refused]
    shared = Counter(request.tenant for request in answered if request.kind not in EACH)
    seconds = times * (max(request.arrived for request in answered if request.kind == EMAIL) - log[0].arrived)
    fastest = floor(NEEDED_EACH * due + max(shared.values()))
    refused = len(log) - len(answered)
    return {
        "seconds": round(seconds, 1),
        "floor_seconds": fastest,
        "time_to_floor": round(seconds / fastest, 2) if fastest else None,
        "requests": len(log),
        "refused_429": refused,
        "refused_429_percent": round(100 * refused / len(log), 2),
    }


async def books_of(sandbox: Sandbox, tenant: int) -> dict[str, Figure]:
    """How many invoices too many and too few its contracts have, each having had one due."""
    company = await sandbox.control("GET", f"state?tenant={tenant}")
    made = Counter(str(invoice["contract_reference"]) for invoice in company["invoices"].values())
    of_each = [made[str(number)] for number in company["contracts"]]
    return {
        "doubled_after_a_cut": sum(max(number - 1, 0) for number in of_each),
        "missing_after_a_cut": sum(number == 0 for number in of_each),
    }
