"""A script as many have written it: company by company, contract by contract, again when something went wrong.

`python -m bench.alternatives.plain_script URL TENANT...`. It waits out the window on a 429, and repeats a call that
broke, as one must who wants every invoice made; it cannot know whether the call that broke had been carried out.
"""

import http.client
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from bench.alternatives.fortnox import Fortnox, Throttled

T = TypeVar("T")

TRIES = 5


def again(call: Callable[[], T]) -> T:
    """The answer of the call, made again after a 429 or a broken connection."""
    for attempt in range(TRIES):
        try:
            return call()
        except Throttled:
            time.sleep(5)
        except (OSError, http.client.HTTPException):
            time.sleep(2**attempt)
    return call()


def invoice_everything(url: str, tenant: int) -> None:
    """Creates, bookkeeps and e-mails an invoice of every contract of the company."""
    fortnox = Fortnox(url, tenant)
    for contract in again(fortnox.active_contracts):
        number = again(lambda contract=contract: fortnox.create_invoice(contract))  # type: ignore[misc]
        again(lambda number=number: fortnox.call("GET", f"invoices/{number}"))  # type: ignore[misc]
        again(lambda number=number: fortnox.call("PUT", f"invoices/{number}/bookkeep"))  # type: ignore[misc]
        again(lambda number=number: fortnox.call("GET", f"invoices/{number}/email"))  # type: ignore[misc]


if __name__ == "__main__":
    for one in sys.argv[2:]:
        invoice_everything(sys.argv[1], int(one))
