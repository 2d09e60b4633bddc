"""One company, many due: the full pipeline against the fastest that its rate limit allows.

Every contract is invoiced, the invoice found, bookkept and e-mailed, over a network that varies. The floor is the time
that the requests needed would take at exactly 25 in any 5 seconds: four an invoice, and what serves many.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench import ledgers
from bench.figures import Figures, by_kind, floor, quantile, spans
from bench.product import FULL, NETWORK, running_product
from bench.requests import BOOKKEEP, CREATE, EMAIL, READ_INVOICE, TOKEN, Request

TENANT = 100_001
EACH = (CREATE, READ_INVOICE, BOOKKEEP, EMAIL)
"""What a fully automated invoice needs, once each (design, section 11); everything else serves many."""

NEEDED_EACH = len(EACH)


def add_options(parser: argparse.ArgumentParser) -> None:
    ledgers.add_option(parser)
    parser.add_argument("--due", type=int, default=100, help="contracts; the target is set for 500 (%(default)s)")
    parser.add_argument("--no-network", action="store_true", help="without a network's delay and jitter")
    parser.add_argument("--keep", type=Path, help="keep ledger and logs in this folder")


async def run(options: argparse.Namespace) -> Figures:
    behaviour = {} if options.no_network else NETWORK
    async with running_product(FULL, behaviour, keep=options.keep, database=options.ledger) as product:
        await product.sandbox.add_company(TENANT, due=options.due)
        await product.take_on(TENANT, first_listing_of_the_day=True)
        log = await product.until(
            lambda requests: sum(request.kind == EMAIL and request.went_well for request in requests) >= options.due,
            patience(options.due),
            waiting_for=f"{options.due} invoices sent",
            tenant=TENANT,
        )
    return figures_of([request for request in log if request.kind != TOKEN], options.due)


def patience(due: int) -> float:
    """Seconds after which something is wrong rather than slow."""
    return 60 + 2 * floor(NEEDED_EACH * due)


def figures_of(log: Sequence[Request], due: int) -> Figures:
    """What the log of one company says.

    Parameters:
      log: its API requests in the order of their arrival; those for a token are not limited and not here.
      due: how many invoices were made and sent.
    """
    answered = [request for request in log if not request.was_refused]
    last = max(request.arrived for request in answered if request.kind == EMAIL)
    shared = sum(request.kind not in EACH for request in answered)
    needed = NEEDED_EACH * due + shared
    seconds = last - log[0].arrived
    refused = sum(request.was_refused for request in log)
    return {
        "due": due,
        "seconds": round(seconds, 1),
        "floor_seconds": floor(needed),
        "time_to_floor": round(seconds / floor(needed), 3),
        "refused_429": refused,
        "refused_429_percent": round(100 * refused / len(log), 3),
        "requests": len(log),
        "requests_by_kind": by_kind(log),
        "requests_an_invoice": round((len(answered) - shared) / due, 3),
        "shared_requests": shared,
        "seconds_from_first_to_26th": {
            "least": round(min(spans(log)), 3),
            "p1": round(quantile(spans(log), 0.01), 3),
            "p50": round(quantile(spans(log), 0.5), 3),
        },
    }
