"""Found due -> createinvoice arrives, on an idle system.

Companies with one due contract each are listed one at a time. The time runs from the last byte of the answer that lists
the contract to the arrival of `createinvoice`, both by the sandbox's clock, on the loopback without a network's delay.
"""

import argparse
import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from bench.failure import BenchFailed
from bench.figures import Figures, spread
from bench.product import CREATE_ONLY, NETWORK, running_product
from bench.requests import CREATE, LIST_CONTRACTS, Request

FIRST_TENANT = 100_001
BETWEEN = (0.8, 1.2)
"""Seconds from one company to the next: the one before has come to rest by then."""

LAST_WITHIN = 15.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--companies", type=int, default=100, help="how many; one a second (%(default)s)")
    parser.add_argument("--network", action="store_true", help="with a network's jitter, to see what it adds")
    parser.add_argument("--keep", type=Path, help="keep ledger and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    behaviour = NETWORK if options.network else {}
    tenants = range(FIRST_TENANT, FIRST_TENANT + options.companies)
    spacing = random.Random(1)
    async with running_product(CREATE_ONLY, behaviour, keep=options.keep) as product:
        for tenant in tenants:
            await product.sandbox.add_company(tenant, due=1)
        for tenant in tenants:
            await product.take_on(tenant, first_listing_of_the_day=False)
            await asyncio.sleep(spacing.uniform(*BETWEEN))
        log = await product.until(
            lambda requests: sum(request.kind == CREATE for request in requests) > len(tenants),
            LAST_WITHIN,
            waiting_for=f"{len(tenants)} calls of createinvoice",
        )
    own = [request for request in log if request.tenant in tenants]
    return {
        "found_due_to_createinvoice": spread([found_to_called(own, tenant) for tenant in tenants]),
        "requests_in_between": max(between(own, tenant) for tenant in tenants),
        "refused_429": sum(request.was_refused for request in own),
    }


def found_to_called(log: Sequence[Request], tenant: int) -> float:
    """Seconds from the answer that listed the tenant's contract to the call that invoiced it."""
    listed, called = _listed(log, tenant), _called(log, tenant)
    assert listed.answered is not None
    return called.arrived - listed.answered


def between(log: Sequence[Request], tenant: int) -> int:
    """How many other requests of the tenant came between the list and the call."""
    listed, called = _listed(log, tenant), _called(log, tenant)
    return sum(request.tenant == tenant and listed.arrived < request.arrived < called.arrived for request in log)


def _called(log: Sequence[Request], tenant: int) -> Request:
    called = next((request for request in log if request.kind == CREATE and request.tenant == tenant), None)
    if called is None:
        raise BenchFailed(f"The company {tenant} was never invoiced. Run it again with --keep DIR, and see DIR/logs.")
    return called


def _listed(log: Sequence[Request], tenant: int) -> Request:
    called = _called(log, tenant)
    return max(
        (
            request
            for request in log
            if request.tenant == tenant
            and request.kind == LIST_CONTRACTS
            and request.answered is not None
            and request.answered < called.arrived
        ),
        key=lambda request: request.arrived,
    )
