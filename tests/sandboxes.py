"""A running sandbox for tests: the fixture `sandbox`, real HTTP on a free port, in this process.

Import the fixture in a conftest: `from tests.sandboxes import sandbox`, and name it in `__all__`. The rate limit is off
unless a test sets `sandbox.world.behaviour.limit`, so that tests do not wait for it.
"""

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest

from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Company, World
from sandbox.server import Running, start

BACK = "http://127.0.0.1:9/callback"
"""Where the client of these tests has people sent back to; nobody listens there."""
NO_LIMIT = 1_000_000
TENANT = 4711


@dataclass(slots=True, frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    raw: bytes
    document: Any
    """The body as JSON; None where it is not."""


@dataclass(slots=True)
class Sandbox:
    """A sandbox that answers at `url`, its `world` in reach, and an aiohttp session `admin` on it."""

    url: str
    world: World
    running: Running
    admin: aiohttp.ClientSession
    _tokens: dict[int, str] = field(default_factory=dict)

    async def company(self, tenant: int = TENANT, **document: Any) -> Company:
        """A company with a customer "1", an article "A1" for 100 kronor, and what `document` says (sandbox.making)."""
        standing = {
            "customers": [
                {
                    "number": "1",
                    "name": "Åkes Bygg AB",
                    "email": "faktura@akesbygg.example",
                    "address1": "Storgatan 1",
                    "zip_code": "111 22",
                    "city": "Stockholm",
                }
            ],
            "articles": [{"number": "A1", "description": "Support", "price": "100"}],
        }
        await self.control("POST", "companies", {**standing, "tenant": tenant, **document})
        return self.world.companies[tenant]

    async def contract(self, tenant: int = TENANT, **document: Any) -> int:
        """One more contract: monthly, of January 2026, one row of article A1, unless `document` says otherwise."""
        number = self.world.companies[tenant].take_contract_number()
        standing = {
            "number": number,
            "period_start": "2026-01-01",
            "period_end": "2026-01-31",
            "rows": [{"article_number": "A1", "quantity": "1"}],
        }
        await self.control("PATCH", f"companies/{tenant}", {"contracts": [{**standing, **document}]})
        return int(document.get("number", number))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tenant: int = TENANT,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One API request as that tenant's client would send it, with a token of its own; `path` is below /3."""
        sent = {"Accept": "application/json", **(headers or {})}
        if "Authorization" not in sent:
            if tenant not in self._tokens:
                self._tokens[tenant] = await self.token(tenant)
            sent["Authorization"] = f"Bearer {self._tokens[tenant]}"
        async with self.admin.request(method, f"/3/{path}", json=body, headers=sent) as response:
            return await _read(response)

    async def get(self, path: str, *, tenant: int = TENANT) -> Any:
        """The document of a GET that must succeed."""
        reply = await self.call("GET", path, tenant=tenant)
        assert reply.status == 200, reply
        return reply.document

    async def put(self, path: str, body: Any = None, *, tenant: int = TENANT) -> Any:
        """The document of a PUT that must succeed."""
        reply = await self.call("PUT", path, body, tenant=tenant)
        assert reply.status == 200, reply
        return reply.document

    async def token(self, tenant: int = TENANT) -> str:
        """A new access token by client credentials."""
        reply = await self.ask_token(tenant)
        assert reply.status == 200, reply
        return str(reply.document["access_token"])

    async def ask_token(
        self,
        tenant: int | str = TENANT,
        client: str = DEFAULT_CLIENT_ID,
        secret: str = DEFAULT_CLIENT_SECRET,
        **form: str,
    ) -> Reply:
        sent = {"grant_type": "client_credentials", **form}
        return await self.post_oauth("token", sent, client, secret, {"TenantId": str(tenant)})

    async def post_oauth(
        self,
        path: str,
        form: Mapping[str, str],
        client: str = DEFAULT_CLIENT_ID,
        secret: str = DEFAULT_CLIENT_SECRET,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A form that the client sends with its credentials; `path` is below /oauth-v1."""
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        sent = {"Authorization": f"Basic {basic}", **(headers or {})}
        async with self.admin.post(f"/oauth-v1/{path}", data=form, headers=sent) as response:
            return await _read(response)

    def asking(self, **changes: Any) -> str:
        """The address on which a client asks for consent; a parameter that is None is left out."""
        parameters = {
            "client_id": DEFAULT_CLIENT_ID,
            "response_type": "code",
            "state": "state-1",
            "scope": "invoice customer",
            "redirect_uri": BACK,
            "access_type": "offline",
            "account_type": "service",
            **changes,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.url}/oauth-v1/auth?{urlencode(given)}"

    async def consented(self, tenant: int = TENANT, *, approve: bool = True, **changes: Any) -> dict[str, str]:
        """What a person's answer to `asking` gives the client: the parameters that come back to its address."""
        told = await self.control(
            "POST", f"companies/{tenant}/consent", {"url": self.asking(**changes), "approve": approve}
        )
        return dict(parse_qsl(urlsplit(told["redirect"]).query))

    async def connected(self, tenant: int = TENANT, **changes: Any) -> dict[str, Any]:
        """The tokens that a new consent gives, its code traded."""
        code = (await self.consented(tenant, **changes))["code"]
        reply = await self.trade(code, changes.get("redirect_uri", BACK))
        assert reply.status == 200, reply
        document: dict[str, Any] = reply.document
        return document

    async def trade(self, code: str, redirect_uri: str | None = BACK, **credentials: Any) -> Reply:
        """A code for tokens."""
        form = {"grant_type": "authorization_code", "code": code}
        if redirect_uri is not None:
            form["redirect_uri"] = redirect_uri
        return await self.post_oauth("token", form, **credentials)

    async def refresh(self, token: str, **credentials: Any) -> Reply:
        """A refresh token for a new pair."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.post_oauth("token", form, **credentials)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """A control call that must succeed; `path` is below /_sandbox."""
        async with self.admin.request(method, f"/_sandbox/{path}", json=body) as response:
            reply = await _read(response)
        assert reply.status < 400, reply
        return reply.document

    async def fault(self, **rule: Any) -> int:
        """Put a fault in force (sandbox.faults.Rule) and return its id."""
        return int((await self.control("POST", "faults", rule))["id"])

    async def requests(self, query: str = "") -> list[dict[str, Any]]:
        """The log, filtered by a query string."""
        found = await self.control("GET", f"requests?{query}")
        return list(found["requests"])


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """An empty sandbox, stopped afterwards."""
    world = World()
    world.behaviour.limit = NO_LIMIT
    running = await start(world)
    async with aiohttp.ClientSession(running.url) as admin:
        yield Sandbox(running.url, world, running, admin)
    await running.stop()


async def _read(response: aiohttp.ClientResponse) -> Reply:
    raw = await response.read()
    try:
        document = await response.json(content_type=None) if raw else None
    except ValueError:
        document = None
    return Reply(response.status, response.reason or "", response.headers, raw, document)
