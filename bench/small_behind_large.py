"""A small company behind a large one: how much longer its invoices take than when it is alone.

Small companies are taken on one after the other, each measured from its first request to its last e-mail: first while
nothing else is under way, then while a company with thousands of due contracts works at the pace that its rate limit
allows. The large one is not waited for.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figures, floor, spread
from bench.one_tenant import NEEDED_EACH
from bench.product import FULL, NETWORK, Product, running_product
from bench.requests import CREATE, EMAIL, TOKEN, Request

FIRST_ALONE = 100_001
FIRST_BEHIND = 200_001
LARGE = 300_001
ONE_WITHIN = 60.0
BACKLOG = 50
"""Invoices that the large company has had made before the first small one comes: it is at its limit by then."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--large-due", type=int, default=5000, help="contracts of the large company (%(default)s)")
    parser.add_argument("--small-due", type=int, default=5, help="contracts of each small one (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=10, help="small companies alone, and as many behind (%(default)s)"
    )
    parser.add_argument("--keep", type=Path, help="keep ledger and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    alone = range(FIRST_ALONE, FIRST_ALONE + options.rounds)
    behind = range(FIRST_BEHIND, FIRST_BEHIND + options.rounds)
    async with running_product(FULL, NETWORK, keep=options.keep) as product:
        for tenant in (*alone, *behind):
            await product.sandbox.add_company(tenant, due=options.small_due)
        await product.sandbox.add_company(LARGE, due=options.large_due)
        times_alone = [await _seconds(product, tenant, options.small_due) for tenant in alone]
        await product.take_on(LARGE, first_listing_of_the_day=True)
        await product.until(
            lambda requests: (
                sum(request.kind == CREATE for request in requests) >= min(BACKLOG, options.large_due // 2)
            ),
            floor(BACKLOG * NEEDED_EACH) + ONE_WITHIN,
            waiting_for="the large company's first invoices",
            tenant=LARGE,
        )
        times_behind = [await _seconds(product, tenant, options.small_due) for tenant in behind]
        large = [request for request in await product.sandbox.requests(tenant=LARGE) if request.kind != TOKEN]
    return {
        "behind_to_alone": round(statistics.median(times_behind) / statistics.median(times_alone), 3),
        "alone": spread(times_alone),
        "behind": spread(times_behind),
        "large_requests_a_second": round(len(large) / (large[-1].arrived - large[0].arrived), 2),
        "large_invoices_left": options.large_due - sum(r.kind == EMAIL and r.went_well for r in large),
        "refused_429": sum(request.was_refused for request in large),
    }


async def _seconds(product: Product, tenant: int, due: int) -> float:
    """From the company's first request to its last e-mail."""

    def is_sent(requests: Sequence[Request]) -> bool:
        return sum(request.kind == EMAIL and request.went_well for request in requests) >= due

    await product.take_on(tenant, first_listing_of_the_day=True)
    log = await product.until(is_sent, ONE_WITHIN, waiting_for=f"{due} invoices sent", tenant=tenant)
    own = [request for request in log if request.kind != TOKEN]
    return max(request.arrived for request in own if request.kind == EMAIL) - own[0].arrived
