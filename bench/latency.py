"""Found due -> createinvoice arrives: on an idle system, at midnight, and under the load of many companies.

By day, companies with one due contract each are listed one at a time, and the time runs from the last byte of the
answer that lists the contract to the arrival of `createinvoice`. At midnight it runs from 00:00:00 by the clock that
the sandbox and the product share. All by the sandbox's log, on the loopback without a network's delay.
"""

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from bench import ledgers
from bench.failure import BenchFailed
from bench.figures import Figure, Figures, spread
from bench.product import CREATE_ONLY, FULL, NETWORK, Product, running_product
from bench.requests import CREATE, EMAIL, LIST_CONTRACTS, TOKEN, Request
from common.clock import STOCKHOLM

FIRST_TENANT = 100_001
FIRST_LOADED = 200_001
BETWEEN = (0.8, 1.2)
"""Seconds from one company to the next: the one before has come to rest by then."""

LAST_WITHIN = 15.0
MIDNIGHT_WITHIN = 120.0
LOADED_WITHIN = 60.0
LONGEST_EVENING = 600
"""Seconds; an evening that turns out too short is begun again, twice as long."""


def add_options(parser: argparse.ArgumentParser) -> None:
    ledgers.add_option(parser)
    parser.add_argument("--mode", choices=MODES, help="one of them only")
    parser.add_argument("--companies", type=int, default=60, help="how many; one a second by day (%(default)s)")
    parser.add_argument("--before", type=int, default=75, help="seconds before midnight to start at (%(default)s)")
    parser.add_argument("--loaded", type=int, default=100, help="companies with work under way (%(default)s)")
    parser.add_argument("--loaded-due", type=int, default=60, help="contracts of each of them (%(default)s)")
    parser.add_argument("--network", action="store_true", help="with a network's jitter, to see what it adds")
    parser.add_argument("--keep", type=Path, help="keep ledgers and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    figures: dict[str, Figure | Mapping[str, Figure]] = {}
    for mode in (options.mode,) if options.mode else MODES:
        figures |= {f"{mode}_{name}": figure for name, figure in (await MODES[mode](options)).items()}
    return figures


async def idle(options: argparse.Namespace) -> Figures:
    """One company after the other, while nothing else is under way."""
    async with running_product(
        CREATE_ONLY, _behaviour(options), keep=_kept(options, "idle"), database=options.ledger
    ) as product:
        return _by_day(await _one_by_one(product, _tenants(options), alone=True), _tenants(options))


async def load(options: argparse.Namespace) -> Figures:
    """The same, while many companies' invoices go all the way."""
    loaded = range(FIRST_LOADED, FIRST_LOADED + options.loaded)
    async with running_product(
        CREATE_ONLY, _behaviour(options), keep=_kept(options, "load"), database=options.ledger
    ) as product:
        for tenant in loaded:
            await product.sandbox.add_company(tenant, due=options.loaded_due)
        await product.take_on(*loaded, first_listing_of_the_day=False, choice=FULL)
        await product.until(
            lambda requests: {request.tenant for request in requests if request.kind == CREATE} >= set(loaded),
            LOADED_WITHIN,
            waiting_for=f"a first createinvoice of each of {len(loaded)} companies",
        )
        log = await _one_by_one(product, _tenants(options), alone=False)
    first, last = _span(log, _tenants(options))
    of_load = [request for request in log if request.tenant in loaded and request.arrived <= last]
    beside = [request for request in of_load if request.arrived >= first]
    if sum(one.kind == EMAIL and one.went_well for one in of_load) >= options.loaded * options.loaded_due:
        raise BenchFailed("The load was over before the last company was invoiced. Give it more: --loaded-due.")
    return {
        **_by_day(log, _tenants(options)),
        "loaded_companies_requests_a_second": round(len(beside) / (last - first), 1),
        "loaded_companies_refused_429": sum(request.was_refused for request in beside),
    }


async def midnight(options: argparse.Namespace) -> Figures:
    """Contracts whose period begins with the new day, all at once, of companies that were listed the evening before."""
    before = options.before
    while True:
        try:
            return await _one_night(options, before)
        except _Overslept:
            before *= 2
            if before > LONGEST_EVENING:
                raise BenchFailed("Midnight always came before every company had been listed. Try fewer.") from None


class _Overslept(Exception):  # noqa: N818 - what happened
    """Midnight came before everything was ready for it."""


async def _one_night(options: argparse.Namespace, before: int) -> Figures:
    now = datetime.now(UTC)
    tomorrow = (now.astimezone(STOCKHOLM) + timedelta(days=1)).date()
    midnight = datetime.combine(tomorrow, time.min, STOCKHOLM).astimezone(UTC)
    ahead = round((midnight - now).total_seconds() - before, 3)
    strikes = midnight.timestamp() - ahead
    tenants = _tenants(options)
    behaviour, keep = _behaviour(options), _kept(options, "midnight")
    async with running_product(CREATE_ONLY, behaviour, ahead=ahead, keep=keep, database=options.ledger) as product:
        for tenant in tenants:
            await product.sandbox.add_company(tenant, due=1, start=tomorrow)
        await product.take_on(*tenants, first_listing_of_the_day=False)
        log = await product.until(
            lambda requests: {request.tenant for request in requests if request.kind == CREATE} >= set(tenants),
            before + MIDNIGHT_WITHIN,
            waiting_for=f"{len(tenants)} calls of createinvoice after midnight",
        )
    own = [request for request in log if request.tenant in tenants and request.kind != TOKEN]
    if _first_listed(own, tenants) > strikes:
        raise _Overslept
    called = [_called(own, tenant).arrived - strikes for tenant in tenants]
    until_midnight = [request.arrived - strikes for request in own if request.arrived < strikes]
    return {
        "found_due_to_createinvoice": spread(called),
        "before_midnight": sum(seconds < 0 for seconds in called),
        "first_and_last_company_ms": {"first": round(min(called) * 1000, 1), "last": round(max(called) * 1000, 1)},
        "requests_in_the_last_20_s_before": sum(seconds > -20 for seconds in until_midnight),
        "refused_429": sum(request.was_refused for request in own),
    }


MODES: Mapping[str, Callable[[argparse.Namespace], Awaitable[Figures]]] = {
    "idle": idle,
    "midnight": midnight,
    "load": load,
}


def _tenants(options: argparse.Namespace) -> range:
    return range(FIRST_TENANT, FIRST_TENANT + options.companies)


def _behaviour(options: argparse.Namespace) -> Mapping[str, object]:
    return NETWORK if options.network else {}


def _kept(options: argparse.Namespace, mode: str) -> Path | None:
    keep: Path | None = options.keep
    return None if keep is None else keep / mode


async def _one_by_one(product: Product, tenants: range, *, alone: bool) -> list[Request]:
    """The whole log, once each of the companies was taken on and invoiced.

    Parameters:
      alone: each is invoiced before the next is taken on; a producer takes up in one go what has come within 2 s.
    """
    spacing = random.Random(1)
    for tenant in tenants:
        await product.sandbox.add_company(tenant, due=1)
    for tenant in tenants:
        await product.take_on(tenant, first_listing_of_the_day=False)
        await asyncio.sleep(spacing.uniform(*BETWEEN))
        if alone:
            await _invoiced(product, range(tenant, tenant + 1))
    return await _invoiced(product, tenants)


async def _invoiced(product: Product, tenants: range) -> list[Request]:
    """The whole log, once each of the companies was invoiced."""
    return await product.until(
        lambda requests: {request.tenant for request in requests if request.kind == CREATE} >= set(tenants),
        LAST_WITHIN,
        waiting_for=f"{len(tenants)} calls of createinvoice",
    )


def _by_day(log: Sequence[Request], tenants: range) -> Figures:
    own = [request for request in log if request.tenant in tenants]
    return {
        "found_due_to_createinvoice": spread([found_to_called(own, tenant) for tenant in tenants]),
        "requests_in_between": max(between(own, tenant) for tenant in tenants),
        "refused_429": sum(request.was_refused for request in own),
    }


def _span(log: Sequence[Request], tenants: range) -> tuple[float, float]:
    """From the first list of one of the companies to the last createinvoice."""
    return min(_listed(log, tenant).arrived for tenant in tenants), max(
        _called(log, tenant).arrived for tenant in tenants
    )


def _first_listed(log: Sequence[Request], tenants: range) -> float:
    """When the last of the companies had been listed for the first time."""
    first: dict[int | None, float] = {}
    for request in log:
        if request.kind == LIST_CONTRACTS:
            first.setdefault(request.tenant, request.arrived)
    return max(first[tenant] for tenant in tenants)


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
