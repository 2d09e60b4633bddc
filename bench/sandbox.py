"""A sandbox Fortnox in a process of its own, filled and asked through its control API.

The benches' only source of figures: what it writes down of a request nobody on the measured side can embellish.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from avtalsmotor.embedded import free_port
from avtalsmotor.processes import Processes
from bench.failure import BenchFailed
from bench.requests import Request, read
from common.rules.periods import add_months

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's public one

EVERYTHING_WITHIN = aiohttp.ClientTimeout(total=60)
STARTS_WITHIN = 30.0


class Sandbox:
    """A running sandbox.

    Parameters:
      pid: its process.
      admin: a session on its address.
    """

    def __init__(self, url: str, pid: int, admin: aiohttp.ClientSession) -> None:
        self.url = url
        self.pid = pid
        self._admin = admin

    async def control(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """A control call that must succeed; `path` is below /_sandbox/."""
        async with self._admin.request(method, f"/_sandbox/{path}", json=body) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"The sandbox refused {method} {path}: {await answer.text()}")
            return await answer.json() if answer.status != 204 else None

    async def add_company(self, tenant: int, *, due: int, start: date | None = None) -> None:
        """A company with so many monthly contracts, each with a customer of its own.

        Parameters:
          start: of the period that they show; `None` for the first of this month, so that all are due.
        """
        start = start or date.today().replace(day=1)  # noqa: DTZ011 - a month's first day, which both clocks agree on
        end = add_months(start, 1) - timedelta(days=1)
        document = {
            "tenant": tenant,
            "name": f"Mätbolaget {tenant}",
            "articles": [{"number": "A1", "description": "Serviceavtal", "price": "495"}],
            "customers": [
                {
                    "number": str(number),
                    "name": f"Kund {number} AB",
                    "email": f"faktura@kund{number}.example",
                    "address1": "Storgatan 1",
                    "zip_code": "111 22",
                    "city": "Stockholm",
                }
                for number in range(1, due + 1)
            ],
            "contracts": [
                {
                    "number": number,
                    "customer_number": str(number),
                    "period_start": start.isoformat(),
                    "period_end": end.isoformat(),
                    "rows": [{"article_number": "A1", "quantity": "1"}],
                }
                for number in range(1, due + 1)
            ],
        }
        await self.control("POST", "companies", document)

    async def requests(self, after: int = 0, **filters: object) -> list[Request]:
        """The log from the request after that number on, filtered as /_sandbox/requests is."""
        query = "&".join(f"{key}={value}" for key, value in {"after": after, **filters}.items())
        return read((await self.control("GET", f"requests?{query}"))["requests"])


@asynccontextmanager
async def sandbox_process(behaviour: Mapping[str, object], logs: Path) -> AsyncIterator[Sandbox]:
    """Starts an empty sandbox with these switches, and ends it after the block."""
    process, port = Processes({}, logs), free_port()
    process.start("sandbox", ("sandbox", "--port", str(port)))
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=EVERYTHING_WITHIN) as admin:
            sandbox = Sandbox(f"http://127.0.0.1:{port}", process.pids["sandbox"], admin)
            await _answers(sandbox, process, logs)
            if behaviour:
                await sandbox.control("PATCH", "behaviour", behaviour)
            yield sandbox
    finally:
        process.stop(within=10.0)


async def _answers(sandbox: Sandbox, process: Processes, logs: Path) -> None:
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    await sandbox.control("GET", "clock")
                    return
                process.tend()
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise BenchFailed(
            f"The sandbox did not start within {STARTS_WITHIN:.0f} s. Run it again with --keep DIR, and see what"
            f" DIR/{logs.name}/sandbox.log says."
        ) from None
