"""Access tokens: POST /oauth-v1/token with client credentials, and the check of a bearer token.

Tokens are JWTs, signed, and known only to the process that issued them. Their life runs by real time, and by the
virtual clock too while that is not frozen, so moving the clock an hour on ends them; `exp` is in real time, for clients
that look inside. The consent page, refresh tokens and revocation by the client are not here (API notes 7).
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from sandbox.books import World

TOKEN_PATH = "/oauth-v1/token"  # noqa: S105 - a path
_PRUNE_AT = 10_000


@dataclass(slots=True, frozen=True)
class Grant:
    """What a token opens: one company for one client."""

    client: str
    tenant: int
    scopes: frozenset[str]
    until: float
    """By time.monotonic()."""
    virtual_until: datetime


class OAuthError(Exception):
    """An OAuth refusal, with the content types really seen (API notes 5.1 nr 4)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description

    def response(self) -> web.Response:
        body = json.dumps({"error": self.error, "error_description": self.description})
        kind = "text/plain;charset=UTF-8" if self.status == 401 else "text/html; charset=UTF-8"
        return web.Response(status=self.status, body=body.encode(), headers={"Content-Type": kind, "Server": "Fortnox"})


class Tokens:
    """The tokens issued and still alive."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._key = secrets.token_bytes(32)
        self._grants: dict[str, Grant] = {}

    def issue(self, client: str, tenant: int, scopes: frozenset[str]) -> dict[str, object]:
        """A new token and the answer that carries it."""
        life = self._world.behaviour.token_life
        if len(self._grants) >= _PRUNE_AT:
            self._grants = {token: grant for token, grant in self._grants.items() if self._alive(grant)}
        now = int(time.time())
        token = self._sign(
            {
                "tenantId": tenant,
                "userId": 1,
                "scope": sorted(scopes),
                "iat": now,
                "exp": now + life,
                "jti": secrets.token_hex(8),
            }
        )
        self._grants[token] = Grant(
            client,
            tenant,
            scopes,
            time.monotonic() + life,
            self._world.clock.now() + timedelta(seconds=life),
        )
        return {
            "access_token": token,
            "scope": " ".join(sorted(scopes)),
            "expires_in": life,
            "token_type": "bearer",
        }

    def check(self, authorization: str | None) -> Grant | None:
        """The grant of `Bearer <token>`; None when the token is unknown, expired or revoked."""
        kind, _, token = (authorization or "").partition(" ")
        grant = self._grants.get(token.strip()) if kind.lower() == "bearer" else None
        return grant if grant is not None and self._alive(grant) else None

    def revoke(self, tenant: int) -> int:
        """End every token of a tenant at once; returns how many there were."""
        dead = [token for token, grant in self._grants.items() if grant.tenant == tenant]
        for token in dead:
            del self._grants[token]
        return len(dead)

    def _alive(self, grant: Grant) -> bool:
        clock = self._world.clock
        return time.monotonic() < grant.until and (clock.frozen or clock.now() < grant.virtual_until)

    def _sign(self, claims: dict[str, object]) -> str:
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signed = ".".join(parts)
        return f"{signed}.{_base64(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())}"


async def grant_token(request: web.Request, world: World, tokens: Tokens) -> web.Response:
    """POST /oauth-v1/token: Basic auth of the client, `grant_type=client_credentials`, and the header `TenantId`.

    What an unknown or unconsented tenant is answered with is not known; here it is `invalid_grant`.
    """
    try:
        client = _client(request, world)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            raise OAuthError(400, "unsupported_grant_type", "The grant type is unauthorized for this client_id")
        given = request.headers.get("TenantId", "")
        company = world.companies.get(int(given)) if given.isdigit() else None
        if company is None or not company.consented:
            raise OAuthError(400, "invalid_grant", "The tenant has not consented to this client")
        asked = frozenset(str(form.get("scope", "")).split())
        if not asked <= company.scopes:
            raise OAuthError(400, "invalid_scope", "An unsupported scope was requested")
    except OAuthError as error:
        return error.response()
    answer = tokens.issue(client, company.tenant, asked or frozenset(company.scopes))
    return web.json_response(answer, headers={"Server": "Fortnox", "Cache-Control": "no-store"})


def _client(request: web.Request, world: World) -> str:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        client = secret = ""
    known = world.clients.get(client)
    if kind.lower() != "basic" or known is None or not hmac.compare_digest(known, secret):
        raise OAuthError(401, "invalid_client", "The client credentials are invalid")
    return client


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
