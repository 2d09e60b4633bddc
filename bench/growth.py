"""How the cost grows with the number of companies: CPU an invoice and at rest, a round of the feeder, the polling.

The same number of invoices is spread over 10, 100 and 1,000 companies, against a sandbox whose window is scaled down
to a fifth, so that one machine and not each company's limit is what is measured. The feeder's round is timed in this
process, over a ledger of as many companies with work waiting.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from avtalsmotor.embedded import EmbeddedServer
from bench.figures import WINDOW, Figure, Figures
from bench.planning import FIRST_TENANT, fill
from bench.product import FULL, NETWORK, Product, running_product
from bench.requests import EMAIL, LIST_CONTRACTS, Request
from common.clock import Clock, boottime
from common.fortnox.governor import WINDOW as OUR_WINDOW
from common.fortnox.governor import Governor, governor_redis
from common.ledger.database import open_ledger
from common.queue.connections import connect_async
from producers.feeder import Feeder
from producers.planner import insert_due
from producers.tenancy import Tenancy

SCALE = 5
SCALED_DOWN = {**NETWORK, "window": WINDOW / SCALE}
POLL_INTERVAL = 60.0
ROUNDS = 5
EACH = 20
WAITING_ONE_IN = 4
"""Of each company's contracts in the feeder's ledger, one in so many waits to be invoiced."""

FRESH_SECONDS = 30.0
LEASE = 600.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--companies", type=int, nargs="*", default=[10, 100, 1000], help="the sizes (10 100 1000)")
    parser.add_argument("--invoices", type=int, default=1000, help="in all, or one a company (%(default)s)")
    parser.add_argument(
        "--rest", type=float, default=20.0, help="seconds for which it is watched at rest (%(default)s)"
    )
    parser.add_argument("--keep", type=Path, help="keep ledgers and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    figures: dict[str, Figure | Mapping[str, Figure]] = {}
    for companies in options.companies:
        figures[f"{companies}_companies"] = await _measured(options, companies)
        figures[f"{companies}_companies_feeder"] = await feeder_rounds(companies)
    return figures


async def _measured(options: argparse.Namespace, companies: int) -> Mapping[str, Figure]:
    tenants = range(FIRST_TENANT, FIRST_TENANT + companies)
    due = max(options.invoices // companies, 1)
    keep = options.keep and options.keep / str(companies)
    async with running_product(
        FULL, SCALED_DOWN, keep=keep, rate_window=OUR_WINDOW / SCALE, poll_interval=POLL_INTERVAL
    ) as product:
        for tenant in tenants:
            await product.sandbox.add_company(tenant, due=due)
        before = sum(product.cpu().values())
        await product.take_on(*tenants, first_listing_of_the_day=True)
        log = await _until_sent(product, tenants, due)
        used = sum(product.cpu().values()) - before
        at_rest, polls = await _at_rest(product, options.rest)
    own = [request for request in log if request.tenant in tenants]
    return {
        "invoices": companies * due,
        "seconds": round(max(one.arrived for one in own if one.kind == EMAIL) - own[0].arrived, 1),
        "cpu_ms_an_invoice": round(1000 * used / (companies * due), 2),
        "refused_429": sum(request.was_refused for request in own),
        "at_rest_cpu_ms_a_second": round(1000 * at_rest / options.rest, 1),
        **polling(polls, options.rest),
    }


async def _until_sent(product: Product, tenants: Sequence[int], due: int) -> list[Request]:
    def are_sent(requests: Sequence[Request]) -> bool:
        sent = sum(one.kind == EMAIL and one.went_well and one.tenant in tenants for one in requests)
        return sent >= len(tenants) * due

    within = 120 + len(tenants) * due / 5
    return await product.until(are_sent, within, waiting_for=f"{len(tenants) * due} invoices sent")


async def _at_rest(product: Product, seconds: float) -> tuple[float, list[Request]]:
    """CPU seconds while nothing is to be done but to poll, and the lists of contracts that were asked for."""
    last = max(request.number for request in await product.sandbox.requests())
    before = sum(product.cpu().values())
    await asyncio.sleep(seconds)
    used = sum(product.cpu().values()) - before
    return used, [one for one in await product.sandbox.requests(last) if one.kind == LIST_CONTRACTS]


def polling(lists: Sequence[Request], seconds: float) -> dict[str, Figure]:
    """How evenly the companies are polled."""
    a_second = Counter(int(request.arrived) for request in lists)
    return {
        "polls_a_second_mean": round(len(lists) / seconds, 2),
        "polls_a_second_most": max(a_second.values(), default=0),
    }


async def feeder_rounds(companies: int) -> Mapping[str, Figure]:
    """The first round of a feeder, which fills every company's slots, and the median of those after it."""
    with tempfile.TemporaryDirectory(prefix="avtalsmotor-bench-") as home, EmbeddedServer(Path(home)) as server:
        url = f"sqlite:///{home}/ledger.sqlite3"
        await fill(url, companies, EACH, WAITING_ONE_IN)
        ledger = await open_ledger(url, Path(home), Clock())
        try:
            async with connect_async(server.url) as queues, governor_redis(server.url) as slots:
                inserted = await insert_due(ledger, None, ledger.clock.today(), "bench")
                governor = Governor(slots, "bench")
                await governor.vouch()
                tenancy = Tenancy(ledger, LEASE)
                tenancy.begin(await tenancy.renew(keep=()))
                feeder = Feeder(ledger, queues, governor, tenancy, FRESH_SECONDS)
                times = [await _round(feeder, tenancy) for _ in range(1 + ROUNDS)]
        finally:
            await ledger.close()
    return {
        "waiting": len(inserted),
        "first_round_ms": round(times[0] * 1000, 1),
        "later_round_ms": round(statistics.median(times[1:]) * 1000, 1),
    }


async def _round(feeder: Feeder, tenancy: Tenancy) -> float:
    listed_at = dict.fromkeys(tenancy.held, boottime())
    began = time.perf_counter()
    await feeder.admit(listed_at)
    await feeder.ask_for_evidence()
    return time.perf_counter() - began
