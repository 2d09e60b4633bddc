"""CPU milliseconds for each fully automated invoice, of all processes of the product, beside a bare loop of requests.

Whole processes, kernel time included: the producer, the worker of each pool, and Valkey. The bare loop makes the same
four requests to the same sandbox, with no queue and no ledger. Where the rest goes is told by a second, sampled run.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import ledgers, sampled
from bench.cpu_time import cpu_seconds
from bench.failure import BenchFailed
from bench.figures import Figure, Figures
from bench.one_tenant import patience
from bench.product import FULL, NETWORK, Product, running_product
from bench.requests import EMAIL, Request
from common.queue.connections import connect_async

FIRST_TENANT = 100_001
FIRST_BARE = 200_001
FIRST_WARMING = 300_001
WARMING_DUE = 5
"""Contracts of each of as many companies that go all the way before anything is counted: every thread then has its
connection, and every statement is compiled."""

AT_REST = 5.0
"""Seconds for which it is watched when everything is done."""

SHOWN = 14
"""Lines of a profile."""


def add_options(parser: argparse.ArgumentParser) -> None:
    ledgers.add_option(parser)
    parser.add_argument("--companies", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--due", type=int, default=25, help="contracts of each (%(default)s)")
    parser.add_argument("--no-profile", action="store_true", help="without the second run, which tells where it goes")
    parser.add_argument("--keep", type=Path, help="keep ledgers and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    invoices = options.companies * options.due
    async with running_product(
        FULL, NETWORK, keep=options.keep and options.keep / "measured", database=options.ledger
    ) as product:
        await _invoiced(product, FIRST_WARMING, options.companies, WARMING_DUE)
        commands = await _commands(product)
        by_process, sandbox = await _invoiced(product, FIRST_TENANT, options.companies, options.due)
        commands = await _commands(product) - commands
        rest, commands_at_rest = await _at_rest(product)
        await product.sandbox.control("PATCH", "behaviour", {"create_answer": "Invoice"})
        bare = await _bare(product, options.companies, options.due) / invoices
    total = sum(by_process.values()) / invoices
    figures: dict[str, Figure | Mapping[str, Figure]] = {
        "invoices": invoices,
        "cpu_ms_an_invoice": round(total * 1000, 2),
        "bare_loop_cpu_ms_an_invoice": round(bare * 1000, 2),
        "product_to_bare": round(total / bare, 2),
        "by_process_ms": {role: round(used / invoices * 1000, 2) for role, used in by_process.items()},
        "valkey_commands_an_invoice": round(commands / invoices, 1),
        "at_rest_cpu_ms_a_second": round(rest * 1000, 1),
        "at_rest_valkey_commands_a_second": round(commands_at_rest, 1),
        "sandbox_cpu_ms_an_invoice": round(sandbox / invoices * 1000, 2),
    }
    return figures if options.no_profile else {**figures, **await _profile(options, invoices)}


async def _profile(options: argparse.Namespace, invoices: int) -> dict[str, Mapping[str, Figure]]:
    """The same work with a sampler in each process of Python: where the milliseconds go."""
    keep = options.keep and options.keep / "sampled"
    async with running_product(
        FULL, NETWORK, keep=keep, program=(sys.executable, "-m", "bench.sampled"), database=options.ledger
    ) as product:
        await _invoiced(product, FIRST_WARMING, options.companies, WARMING_DUE)
        before = sampled.read(product.home)
        await _invoiced(product, FIRST_TENANT, options.companies, options.due)
        await asyncio.sleep(2 * sampled.WRITE_EVERY)
        after = sampled.read(product.home)
    return {f"sampled_ms_by_{name}": _shown(before[name], after[name], invoices) for name in after}


def _shown(before: Mapping[str, float], after: Mapping[str, float], invoices: int) -> dict[str, Figure]:
    """Milliseconds an invoice, the greatest first."""
    spent = {name: (seconds - before.get(name, 0.0)) / invoices * 1000 for name, seconds in after.items()}
    ordered = sorted(spent.items(), key=lambda one: -one[1])
    told: dict[str, Figure] = {name: round(milliseconds, 2) for name, milliseconds in ordered[:SHOWN]}
    return {**told, "the rest": round(sum(milliseconds for _, milliseconds in ordered[SHOWN:]), 2)}


async def _invoiced(product: Product, first: int, companies: int, due: int) -> tuple[dict[str, float], float]:
    """The CPU seconds of each process of the product, and of the sandbox, from taking on the companies to the end."""
    tenants = range(first, first + companies)
    for tenant in tenants:
        await product.sandbox.add_company(tenant, due=due)
    before, sandbox_before = product.cpu(), cpu_seconds(product.sandbox.pid)
    await product.take_on(*tenants, first_listing_of_the_day=True)

    def are_sent(requests: Sequence[Request]) -> bool:
        sent = sum(request.kind == EMAIL and request.went_well for request in requests if request.tenant in tenants)
        return sent >= companies * due

    await product.until(are_sent, patience(due) + companies * due / 5, waiting_for=f"{companies * due} invoices sent")
    after, sandbox_after = product.cpu(), cpu_seconds(product.sandbox.pid)
    return {role: after[role] - before[role] for role in after}, sandbox_after - sandbox_before


async def _commands(product: Product) -> int:
    """How many commands Valkey has carried out by now, those within scripts included."""
    assert product.settings.redis_url is not None
    async with connect_async(product.settings.redis_url.get_secret_value()) as client:
        return int((await client.info("stats"))["total_commands_processed"])


async def _at_rest(product: Product) -> tuple[float, float]:
    """CPU seconds, and commands to Valkey, a second when nothing is to be done."""
    before, commands = sum(product.cpu().values()), await _commands(product)
    await asyncio.sleep(AT_REST)
    used = sum(product.cpu().values()) - before
    return used / AT_REST, (await _commands(product) - commands) / AT_REST


async def _bare(product: Product, companies: int, due: int) -> float:
    for tenant in range(FIRST_BARE, FIRST_BARE + companies):
        await product.sandbox.add_company(tenant, due=due)
    asked = (product.sandbox.url, FIRST_BARE, companies, due)
    loop = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.bare", *map(str, asked), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await loop.communicate()
    if loop.returncode != 0:
        raise BenchFailed("The bare loop of requests ended with an error; its own words are above.")
    used: float = json.loads(told)
    return used
