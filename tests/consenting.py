"""A company's consent as a new user gives it: the command in a terminal of its own, the answer in a browser."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from avtalsmotor.children import bound_to_parent
from tests.sandboxes import TENANT, Sandbox

ANSWERS_WITHIN = 60.0


@dataclass
class Terminal:
    """`avtalsmotor tenants connect` in a process of its own, waiting for the consent that `address` asks for."""

    process: asyncio.subprocess.Process
    address: str

    async def typed(self, line: str = "") -> tuple[int, str, str]:
        """Types a line, if there is one, and waits for the end: exit status, output and errors."""
        async with asyncio.timeout(ANSWERS_WITHIN):
            out, err = await self.process.communicate(f"{line}\n".encode() if line else None)
        return self.process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def connecting(*words: str, environment: Mapping[str, str] = os.environ) -> AsyncIterator[Terminal]:
    """Types the command, and waits until it waits for the person in the browser."""
    command = bound_to_parent([sys.executable, "-m", "avtalsmotor", "tenants", "connect", *words])
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            while not (line := (await process.stdout.readline()).decode()).startswith("http"):
                assert line, "it ended without an address"
            # It listens, or reads, once it has said what it waits for.
            await process.stdout.readline()
        yield Terminal(process, line.strip())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def consented(sandbox: Sandbox, address: str, tenant: int = TENANT, *, approve: bool = True) -> str:
    """A person answers on the consent page; where the browser is sent to."""
    body = {"url": address, "approve": approve}
    async with sandbox.admin.post(f"/_sandbox/companies/{tenant}/consent", json=body) as answer:
        return str((await answer.json())["redirect"])


async def browsed(address: str) -> tuple[int, str]:
    """What the browser shows there: status and page."""
    async with aiohttp.ClientSession() as browser, browser.get(address) as page:
        return page.status, await page.text()
