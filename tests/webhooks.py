"""A webhook's receiver for tests, on 127.0.0.1: keeps what it is sent, and answers what it is told to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from json import loads
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return loads(self.body)


@dataclass
class Receiver:
    """What it answers, and what it was sent."""

    url: str = ""
    status: int = 204
    leads_to: str = ""
    """Where its answer says that one should go instead."""
    received: list[Received] = field(default_factory=list)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver at a free port."""
    running = Receiver()

    async def take(request: web.Request) -> web.Response:
        running.received.append(Received(dict(request.headers), await request.read()))
        headers = {"Location": running.leads_to} if running.leads_to else {}
        return web.Response(status=running.status, headers=headers)

    application = web.Application()
    application.router.add_route("*", "/{anything:.*}", take)
    server = TestServer(application, host="127.0.0.1")
    await server.start_server()
    running.url = str(server.make_url("/hooks/a-secret-path"))
    try:
        yield running
    finally:
        await server.close()
