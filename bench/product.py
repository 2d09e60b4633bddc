"""The product as a user runs it, for a bench: the roles as processes of their own, an embedded Valkey that writes every
change to disk, a ledger on SQLite or on a PostgreSQL of its own, and a sandbox in yet another process.

It only composes what `avtalsmotor up` composes. What a bench measures must not be made easier here.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, insert

from avtalsmotor.embedded import EmbeddedServer
from avtalsmotor.processes import PROGRAM, ROLES, Processes
from avtalsmotor.up import prepare_ledger
from bench.cpu_time import cpu_seconds
from bench.failure import BenchFailed
from bench.ledgers import cpu_of, postgresql
from bench.requests import EMAIL, Request
from bench.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox, sandbox_process
from common.fortnox.governor import WINDOW, Governor, governor_redis
from common.ids import TenantId
from common.ledger import policies, tenants
from common.ledger.database import Ledger, open_ledger
from common.ledger.schema import policies as policies_table
from common.ledger.schema import tenants as tenants_table
from common.rules.policy import PolicyChoice
from common.rules.states import Delivery
from common.settings import Settings
from tests.postgresql import Cluster

BY = "bench"
NETWORK: Mapping[str, object] = {"latency": 0.06, "latency_sigma": 0.5}
"""A network's jitter as the rate limit was studied with: median 60 ms one way, 99 of 100 within 190 ms."""

WARMING_TENANT = TenantId(900_000)
WARM_WITHIN = 60.0
LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Product:
    """The running product and the sandbox that it works against."""

    settings: Settings
    sandbox: Sandbox
    ledger: Ledger
    home: Path
    roles: Processes
    valkey: int
    """The process of the embedded server."""

    cluster: Cluster | None
    """The PostgreSQL of the ledger, if it lies on one."""

    async def take_on(
        self, *companies: int, first_listing_of_the_day: bool, choice: PolicyChoice | None = None
    ) -> None:
        """Adds companies; the producer lists them within half a second, or one after the other.

        Parameters:
          first_listing_of_the_day: whether what is read once a day is still to be read; else it is known.
          choice: their own; `None` for the bureau's policy.
        """
        known = {} if first_listing_of_the_day else {"facts_on": self.settings.clock.today(), "newest_invoice": 0}

        # In one transaction, for the producer may see a company as soon as it is there.
        def work(connection: Connection) -> None:
            for tenant in companies:
                connection.execute(insert(tenants_table).values(id=tenant, name=f"Mätbolaget {tenant}", **known))
                if choice is not None:
                    said = {"choice": choice.model_dump_json(exclude_none=True), "mode": choice.mode}
                    connection.execute(insert(policies_table).values(level="tenant", tenant=tenant, key="", **said))

        await self.ledger.transact(work)

    def cpu(self) -> dict[str, float]:
        """The CPU seconds that each process has used by now, the sandbox's aside."""
        used = {role: cpu_seconds(pid) for role, pid in {**self.roles.pids, "valkey": self.valkey}.items()}
        return used if self.cluster is None else {**used, "postgresql": cpu_of(self.cluster)}

    async def until(
        self, done: Callable[[Sequence[Request]], bool], within: float, *, waiting_for: str, **filters: object
    ) -> list[Request]:
        """Waits for what the sandbox's log will show, and returns that log.

        Raises:
          BenchFailed: it did not show it within so many seconds.
        """
        requests: list[Request] = []
        try:
            async with asyncio.timeout(within):
                while True:
                    last = max((request.number for request in requests), default=0)
                    requests += await self.sandbox.requests(last, **filters)
                    if done(requests):
                        return requests
                    self.roles.tend()
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise BenchFailed(
                f"Within {within:.0f} s the sandbox did not see {waiting_for} ({len(requests)} requests by then). "
                "Run it again with --keep DIR, and see DIR/logs."
            ) from None

    async def warm_up(self) -> None:
        """Waits until one contract has gone all the way: every pool has then opened its ledger and its connections."""
        await self.until(
            lambda requests: any(request.kind == EMAIL and request.went_well for request in requests),
            WARM_WITHIN,
            waiting_for="the warming company's invoice sent",
            tenant=WARMING_TENANT,
        )


FULL = PolicyChoice(mode="live", bookkeep=True, deliver=Delivery.EMAIL, deliver_from="any")
"""Create, bookkeep, and e-mail, at any hour."""

CREATE_ONLY = PolicyChoice(mode="live")


@asynccontextmanager
async def running_product(
    policy: PolicyChoice,
    behaviour: Mapping[str, object],
    *,
    keep: Path | None = None,
    database: str = "sqlite",
    poll_interval: float = 3600.0,
    rate_window: float = WINDOW,
    ahead: float = 0.0,
    workers: int = 1,
    program: Sequence[str] = PROGRAM,
) -> AsyncIterator[Product]:
    """Starts everything, waits until every pool has done a step, and stops everything after the block.

    Parameters:
      policy: the bureau's, for all companies.
      behaviour: switches of the sandbox.
      keep: where ledger, logs and the sandbox's log of requests are kept; `None`: in a folder that is removed.
      database: what the ledger lies on, one of `bench.ledgers.DATABASES`.
      poll_interval: seconds between two listings of a company of which nothing is under way.
      rate_window: the product's; smaller where the sandbox's own is scaled down.
      ahead: seconds by which both clocks, the product's and the sandbox's, are ahead of the machine's.
      workers: processes of each pool.
      program: what understands the roles' commands.
    """
    async with AsyncExitStack() as stack:
        home = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avtalsmotor-bench-")))
        logs = home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        sandbox = await stack.enter_async_context(sandbox_process(behaviour, logs))
        await sandbox.control("PUT", "clock", {"move": ahead})
        redis_url = stack.enter_context(EmbeddedServer(home)).url
        cluster = await postgresql(stack, "--ledger sqlite") if database == "postgresql" else None
        settings = Settings(
            fortnox_client_id=CLIENT_ID,
            fortnox_client_secret=SecretStr(CLIENT_SECRET),
            fortnox_api_url=sandbox.url,
            fortnox_auth_url=f"{sandbox.url}/oauth-v1",
            redis_url=SecretStr(redis_url),
            database_url=SecretStr(f"{cluster.url}/postgres") if cluster else None,
            data_dir=home.absolute(),
            poll_interval=poll_interval,
            rate_window=rate_window,
            clock_shift=ahead,
        )
        await prepare_ledger(settings, redis_url)
        async with governor_redis(redis_url) as slots:
            valkey = int((await slots.info("server"))["process_id"])
            # The sandbox is as new as the Valkey: no request of an earlier life can be in its window.
            await Governor(slots, settings.fortnox_client_id).vouch()
        ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock)
        stack.push_async_callback(ledger.close)
        await policies.change(ledger, "bureau", policy, BY)
        await sandbox.add_company(WARMING_TENANT, due=1, start=settings.clock.today().replace(day=1))
        await tenants.add(ledger, WARMING_TENANT, "Uppvärmningen", BY)
        await policies.change(ledger, "tenant", FULL, BY, tenant=WARMING_TENANT)
        environment = _environment(settings, redis_url)
        roles = stack.enter_context(_roles(Processes(environment, logs, program), workers))
        product = Product(settings, sandbox, ledger, home, roles, valkey, cluster)
        await product.warm_up()
        try:
            yield product
        finally:
            if keep is not None:
                log = await sandbox.control("GET", "requests")
                (keep / "requests.json").write_text(json.dumps(log["requests"], indent=1), encoding="utf-8")


@contextmanager
def _roles(roles: Processes, workers: int) -> Iterator[Processes]:
    try:
        for role, command in ROLES.items():
            for number in range(workers if role.startswith("worker-") else 1):
                roles.start(role if number == 0 else f"{role}-{number + 1}", command)
        yield roles
    finally:
        roles.stop(within=30.0)


def _environment(settings: Settings, redis_url: str) -> Mapping[str, str]:
    return {
        "AVTALSMOTOR_FORTNOX_CLIENT_ID": settings.fortnox_client_id,
        "AVTALSMOTOR_FORTNOX_CLIENT_SECRET": settings.fortnox_client_secret.get_secret_value(),
        "AVTALSMOTOR_FORTNOX_API_URL": settings.fortnox_api_url,
        "AVTALSMOTOR_FORTNOX_AUTH_URL": settings.fortnox_auth_url,
        "AVTALSMOTOR_REDIS_URL": redis_url,
        "AVTALSMOTOR_DATABASE_URL": settings.ledger_url or "",
        "AVTALSMOTOR_DATA_DIR": str(settings.data_dir),
        "AVTALSMOTOR_POLL_INTERVAL": repr(settings.poll_interval),
        "AVTALSMOTOR_RATE_WINDOW": repr(settings.rate_window),
        "AVTALSMOTOR_CLOCK_SHIFT": repr(settings.clock_shift),
        # A proof would read, for nobody, what is just being made and measured.
        "AVTALSMOTOR_RECONCILE_FROM": "23:59:59.999999",
        "AVTALSMOTOR_PREFLIGHT_FROM": "23:59:59.999999",
    }
