"""The least that the four requests of an invoice cost: an aiohttp loop without a queue, a ledger, or any care.

Run as a process of its own against a sandbox that answers createinvoice with the invoice:
`python -m bench.bare URL FIRST_TENANT COMPANIES DUE`. It prints its own CPU seconds as JSON.
"""

import asyncio
import json
import resource
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiohttp

from bench.figures import LIMIT, WINDOW
from bench.sandbox import CLIENT_ID, CLIENT_SECRET


class Bare:
    """One company's requests, one after the other, as fast as its window allows."""

    def __init__(self, session: aiohttp.ClientSession, token: str) -> None:
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        self._answered: deque[float] = deque(maxlen=LIMIT)

    async def call(self, method: str, path: str) -> Any:
        if len(self._answered) == LIMIT:
            # From its answer on, which came later than the request had arrived: a 429 is not part of the comparison.
            await asyncio.sleep(self._answered[0] + WINDOW - time.monotonic())
        async with self._session.request(method, f"/3/{path}", headers=self._headers) as answer:
            answer.raise_for_status()
            document = await answer.json()
        self._answered.append(time.monotonic())
        return document

    async def invoice(self, contract: int) -> None:
        made = await self.call("PUT", f"contracts/{contract}/createinvoice")
        number = made["Invoice"]["DocumentNumber"]
        await self.call("GET", f"invoices/{number}")
        await self.call("PUT", f"invoices/{number}/bookkeep")
        await self.call("GET", f"invoices/{number}/email")


async def company(session: aiohttp.ClientSession, tenant: int, due: int) -> None:
    """A token, and the invoices of one company one after the other."""
    async with session.post(
        "/oauth-v1/token",
        data={"grant_type": "client_credentials"},
        headers={"TenantId": str(tenant), "Authorization": aiohttp.encode_basic_auth(CLIENT_ID, CLIENT_SECRET)},
    ) as answer:
        answer.raise_for_status()
        token = (await answer.json())["access_token"]
    bare = Bare(session, token)
    for contract in range(1, due + 1):
        await bare.invoice(contract)


async def everything(url: str, tenants: Sequence[int], due: int) -> float:
    """Returns the CPU seconds that it took, this process' start left out."""
    async with aiohttp.ClientSession(url) as session:
        before = _used()
        await asyncio.gather(*(company(session, tenant, due) for tenant in tenants))
        return _used() - before


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    address, first, companies, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    print(json.dumps(asyncio.run(everything(address, range(first, first + companies), each))))
