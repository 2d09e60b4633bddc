"""Access tokens: issuing them, the check of a bearer token, and their end.

Tokens are JWTs, signed, and known only to the process that issued them. Their life runs by real time, and by the
virtual clock too while that is not frozen, so moving the clock an hour on ends them; `exp` is in real time, for clients
that look inside. Who is given one is decided in sandbox.oauth.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.books import World

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


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
