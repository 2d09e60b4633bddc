"""The whole product in one process against a sandbox, on one virtual clock: real HTTP, real queues, a real ledger.

A scenario sets the day, lets a person do something in Fortnox, and lets the bureau work until nothing is left that
goes on by itself. Nothing of the product is replaced: the producer and the worker pools are the ones that run in
production.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis.asyncio import Redis

from avtalsmotor.progress import Progress, read_progress
from common.clock import STOCKHOLM
from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.ids import ContractNumber, TenantId
from common.ledger import billings, pauses, policies, tenants
from common.ledger.database import Ledger, open_ledger
from common.ledger.records import Billing
from common.queue.connections import connect_async
from common.queue.messages import POOLS
from common.rules.policy import PolicyChoice
from common.settings import Settings
from producers.run import Producer
from sandbox.books import Invoice as SandboxInvoice
from tests.sandboxes import Sandbox
from workers.pools import start

WINDOW = 0.1
"""Seconds in which the scaled-down sandbox takes 25 requests of a company: a year of scenarios must not take a year."""

WORKS_WITHIN = 20.0


@dataclass
class Bureau:
    """The running product, and the sandbox that it works against."""

    settings: Settings
    sandbox: Sandbox
    ledger: Ledger
    redis: Redis
    fortnox: Fortnox
    producer: Producer

    def at(self, when: str) -> None:
        """Moves the sandbox's clock and the product's to an instant of Stockholm's wall clock: `2026-03-01 08:00`."""
        instant = datetime.fromisoformat(when).replace(tzinfo=STOCKHOLM)
        self.sandbox.world.clock.set(instant)
        self.settings.clock.shift = instant.astimezone(UTC) - datetime.now(UTC)

    async def take_on(self, tenant: int, **choices: Any) -> TenantId:
        """Adds a company of the sandbox with the policy that its user chooses; live unless `mode` says otherwise."""
        known = TenantId(tenant)
        await tenants.add(self.ledger, known, self.sandbox.world.companies[tenant].name, "test")
        choice = PolicyChoice.model_validate({"mode": "live", "deliver_from": "any", **choices})
        await policies.change(self.ledger, "tenant", choice, "test", tenant=known)
        return known

    async def choose(self, tenant: int, contract: int, **choices: Any) -> None:
        """What the user chooses for one contract."""
        await policies.change(
            self.ledger,
            "contract",
            PolicyChoice.model_validate(choices),
            "test",
            tenant=TenantId(tenant),
            contract=ContractNumber(contract),
        )

    async def pause(self, tenant: int, contract: int) -> None:
        await pauses.pause(
            self.ledger, "contract", tenant=TenantId(tenant), contract=ContractNumber(contract), by="test"
        )

    async def resume(self, tenant: int, contract: int) -> None:
        await pauses.resume(
            self.ledger, "contract", tenant=TenantId(tenant), contract=ContractNumber(contract), by="test"
        )

    async def work(self) -> Progress:
        """Lists every company, and works until nothing is left that goes on without a person or a later day."""
        began = self.settings.clock.now()
        self.producer.poll_now()
        quiet = 0
        async with asyncio.timeout(WORKS_WITHIN):
            while quiet < 2:
                progress = await read_progress(self.ledger, self.redis)
                listed = all(
                    bool(company.blocks) or (company.listed_at is not None and company.listed_at >= began)
                    for company in progress.companies
                )
                quiet = quiet + 1 if listed and progress.is_quiet else 0
                await asyncio.sleep(0.02)
        return progress

    async def billings(self, **criteria: Any) -> Sequence[Billing]:
        return await billings.find(self.ledger, **criteria)

    def invoices(self, tenant: int, contract: int | None = None) -> list[SandboxInvoice]:
        """The contract invoices that stand in the sandbox's books, oldest first."""
        return [
            invoice
            for _, invoice in sorted(self.sandbox.world.companies[tenant].invoices.items())
            if invoice.contract_reference and not invoice.cancelled and contract in (None, invoice.contract_reference)
        ]


@asynccontextmanager
async def bureau_for(
    sandbox: Sandbox, redis_url: str, database_url: str | None, data_dir: Path, **settings: Any
) -> AsyncIterator[Bureau]:
    """Starts the producer and all pools in this process, and stops them at the end."""
    sandbox.world.behaviour.limit = 25
    sandbox.world.behaviour.window = WINDOW
    configured = Settings(
        fortnox_client_id="sandbox-client",
        fortnox_client_secret=SecretStr("sandbox-secret"),
        fortnox_api_url=sandbox.url,
        fortnox_auth_url=f"{sandbox.url}/oauth-v1",
        redis_url=SecretStr(redis_url),
        database_url=SecretStr(database_url) if database_url else None,
        data_dir=data_dir,
        rate_window=WINDOW * 1.2,
        poll_interval=3600.0,
        **settings,
    )
    ledger = await open_ledger(database_url, data_dir, configured.clock, migrate=True)
    client, slots = connect_async(redis_url), governor_redis(redis_url)
    fortnox = await Fortnox.open(configured, slots)
    producer = Producer(configured, ledger, client, fortnox)
    worker = start(configured, redis_url, tuple(POOLS), threads=16)
    producing = asyncio.create_task(producer.run())
    try:
        yield Bureau(configured, sandbox, ledger, client, fortnox, producer)
    finally:
        producing.cancel()
        await asyncio.gather(producing, return_exceptions=True)
        await asyncio.to_thread(worker.stop, 10_000)
        await asyncio.to_thread(worker.broker.close)
        await fortnox.close()
        await slots.aclose()
        await client.aclose()
        await ledger.close()


def made(invoices: Sequence[SandboxInvoice]) -> list[tuple[int | None, date | None, date | None, date, Decimal]]:
    """What a scenario compares: contract, period, invoice date and total of each invoice."""
    return [(one.contract_reference, one.period_start, one.period_end, one.invoice_date, one.total) for one in invoices]
