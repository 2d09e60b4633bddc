"""A client of the sandbox' websocket, as bare as can be: what a command is answered, and which events come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from sandbox.books import DEFAULT_CLIENT_SECRET
from tests.sandboxes import TENANT, Sandbox

PATIENCE = 20.0


@dataclass
class Line:
    """One connection."""

    socket: aiohttp.ClientWebSocketResponse
    events: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, command: str, **given: Any) -> dict[str, Any]:
        await self.socket.send_json({"command": command, **given})
        while True:
            frame = await self._frame()
            if "topic" not in frame:
                return frame
            self.events.append(frame)

    async def add(self, *tokens: str, secret: str = DEFAULT_CLIENT_SECRET) -> dict[str, Any]:
        return await self.ask(
            "add-tenants-v1",
            includeChildTenants=False,
            clientSecret=secret,
            accessTokens=[f"Bearer {token}" for token in tokens],
        )

    async def next(self) -> dict[str, Any]:
        while not self.events:
            self.events.append(await self._frame())
        return self.events.pop(0)

    async def some(self, number: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(number)]

    async def _frame(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            frame: dict[str, Any] = json.loads(await self.socket.receive_str())
        return frame


@asynccontextmanager
async def connected(sandbox: Sandbox) -> AsyncIterator[Line]:
    async with sandbox.admin.ws_connect("/topics-v1") as socket:
        yield Line(socket)


@asynccontextmanager
async def listening(sandbox: Sandbox, *topics: str | tuple[str, str], tenant: int = TENANT) -> AsyncIterator[Line]:
    """Subscribed for one tenant; a topic with its offset, where it is to begin there."""
    async with connected(sandbox) as line:
        assert (await line.add(await sandbox.token(tenant)))["result"] == "ok"
        wanted = [{"topic": t} if isinstance(t, str) else {"topic": t[0], "offset": t[1]} for t in topics]
        assert (await line.ask("add-topics-v1", topics=wanted))["result"] == "ok"
        assert (await line.ask("subscribe-v1"))["result"] == "ok"
        yield line
