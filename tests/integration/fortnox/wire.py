"""A server that answers exactly what a test tells it to, wrongly where that is the point, and counts what it got."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Wire:
    """Serves one API and its token endpoint on 127.0.0.1.

    Parameters:
      answers: by (method, path), what is answered; a list is used up one by one, its last element staying.
      requests: what reached the API, token requests aside.
    """

    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    requests: list[web.Request] = field(default_factory=list)
    token_requests: list[web.Request] = field(default_factory=list)
    token_answer: Answer | None = None
    token_life: float = 3600
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def got(self, method: str, path: str) -> int:
        return sum(1 for request in self.requests if (request.method, request.path) == (method, path))

    async def __aenter__(self) -> "Wire":
        app = web.Application()
        app.router.add_post("/oauth-v1/token", self._token)
        app.router.add_route("*", "/{path:.*}", self._api)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.token_requests.append(request)
        if self.token_answer is not None:
            return await self.token_answer(request)
        token = {"access_token": f"token-{len(self.token_requests)}", "expires_in": self.token_life}
        return web.json_response(token)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests.append(request)
        answers = self.answers.get((request.method, request.path))
        if not answers:
            return web.json_response(
                {"ErrorInformation": {"Error": 1, "Message": "not scripted", "Code": 1}}, status=404
            )
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)


def says(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A JSON body; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, status=status, headers=headers, content_type="application/json")

    return answer


def cuts(after: bytes = b"") -> Answer:
    """The request has arrived, and would have acted; then the connection is cut, after `after` of the answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        if after:
            assert isinstance(transport, asyncio.Transport)
            transport.write(after)
        transport.close()
        raise asyncio.CancelledError

    return answer


def hangs(released: asyncio.Event) -> Answer:
    """Does not answer until `released`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.json_response({})

    return answer


def refuses(code: int | str, message: str, status: int = 400) -> Answer:
    """Fortnox' error envelope in lower case, as with every recorded 400 (API notes 5.1)."""
    return says({"ErrorInformation": {"error": 1, "message": message, "code": code}}, status)


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
