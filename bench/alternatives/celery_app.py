"""The same steps as Celery tasks, as its manual would have them: rate limits, automatic retries, a chain an invoice.

Celery's `rate_limit` holds for one task type in one worker process and knows of no companies. So the sum of all
companies' allowances is shared out over task types and processes, and the contracts are sent round-robin, so that each
company gets its own allowance on average. What comes too often all the same is answered 429 and retried.
"""

import http.client
import os
from functools import cache
from typing import Any

from celery import Celery, chain

from bench.alternatives.fortnox import Fortnox, Throttled

TASK_TYPES = 4

app = Celery("invoicing", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_ignore_result=True,
    # What waits for its rate limit counts against what a worker may fetch: with a bound, all behind it stands still.
    worker_prefetch_multiplier=0,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
OPTIONS: dict[str, Any] = {
    "rate_limit": os.environ["BENCH_RATE_LIMIT"],
    "autoretry_for": (Throttled, OSError, http.client.HTTPException),
    "retry_backoff": 5,
    "retry_backoff_max": 30,
    "max_retries": 20,
}


@cache
def fortnox(tenant: int) -> Fortnox:
    """The company's access, shared by the threads of the process."""
    return Fortnox(os.environ["BENCH_FORTNOX"], tenant)


@app.task(**OPTIONS)  # type: ignore[untyped-decorator]
def create(tenant: int, contract: int) -> int:
    return fortnox(tenant).create_invoice(contract)


@app.task(**OPTIONS)  # type: ignore[untyped-decorator]
def read(number: int, tenant: int) -> int:
    fortnox(tenant).call("GET", f"invoices/{number}")
    return number


@app.task(**OPTIONS)  # type: ignore[untyped-decorator]
def bookkeep(number: int, tenant: int) -> int:
    fortnox(tenant).call("PUT", f"invoices/{number}/bookkeep")
    return number


@app.task(**OPTIONS)  # type: ignore[untyped-decorator]
def email(number: int, tenant: int) -> None:
    fortnox(tenant).call("GET", f"invoices/{number}/email")


def send_everything(tenants: list[int]) -> None:
    """Sends a chain for every contract of every company, round-robin over the companies."""
    contracts = {tenant: fortnox(tenant).active_contracts() for tenant in tenants}
    for rank in range(max(map(len, contracts.values()))):
        for tenant, numbers in contracts.items():
            if rank < len(numbers):
                chain(create.s(tenant, numbers[rank]), read.s(tenant), bookkeep.s(tenant), email.s(tenant)).delay()


if __name__ == "__main__":
    import sys

    from bench.alternatives import celery_app  # under its own name, as the workers know the tasks

    celery_app.send_everything([int(tenant) for tenant in sys.argv[1:]])
