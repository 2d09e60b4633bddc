"""What the processes of one client id share of a tenant's access, through Redis: the token, who is fetching it, and the
next refresh token until the ledger has it.

A token lies there sealed under a key that only the client secret gives, never in clear. The ledger is the truth of
refresh tokens: losing Redis costs one fetch per tenant, and nothing else.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from datetime import datetime, timedelta

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from redis.asyncio import Redis

from common.clock import Clock
from common.fortnox.governor import redis_says
from common.fortnox.token import Token
from common.ids import TenantId

log = structlog.get_logger()

SUCCESSOR_KEPT = timedelta(days=1)
"""How long a refresh token lies here that its finder could not commit: a database that is away for a night."""

_NONCE = 12

# The keys of a tenant, in the governor's database, hash-tagged like the governor's:
#   fortnox:{<client id>}:<tenant>:token      string  "<fingerprint>.<sealed token>", expires with the token
#   fortnox:{<client id>}:<tenant>:fetch      string  the lock: who is fetching; expires after a while
#   fortnox:{<client id>}:<tenant>:successor  string  "<signature>.<refresh token, sealed as in the ledger>", for a day

_DROP = """
-- Deletes the shared token, but only while it is the one that is to go: a newer one stays.
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, string.len(ARGV[1])) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""

_UNLOCK = """
-- Gives the lock back, but only one's own: after its life it may be somebody else's.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


class SharedTokens:
    """The tokens of all tenants under one client id, as every process sees them.

    Every method raises `GovernorUnreachable` when Redis does not answer.

    Parameters:
      redis: the governor's database.
    """

    def __init__(self, redis: Redis, client_id: str, client_secret: str, clock: Clock) -> None:
        self._redis = redis
        self._client = client_id
        self._clock = clock
        self._seal = AESGCM(_derived(client_secret, b"seal"))
        self._fingerprint_key = _derived(client_secret, b"fingerprint")
        self._drop = redis.register_script(_DROP)
        self._unlock = redis.register_script(_UNLOCK)

    async def get(self, tenant: TenantId) -> Token | None:
        """The shared token; `None` also for one sealed under another secret, or for another tenant."""
        text = await self._read(tenant, "token")
        if text is None:
            return None
        try:
            sealed = base64.b64decode(text.partition(".")[2])
            content = self._seal.decrypt(sealed[:_NONCE], sealed[_NONCE:], str(tenant).encode())
            value, expires_at, life = json.loads(content)
            return Token(value, datetime.fromisoformat(expires_at), life)
        except (InvalidTag, binascii.Error, ValueError):
            log.warning("token_unsealable", tenant=tenant)
            return None

    async def put(self, tenant: TenantId, token: Token) -> None:
        """Shares it for as long as it lives."""
        life = round(token.left(self._clock.now()) * 1000)
        if life <= 0:
            return
        content = json.dumps([token.value, token.expires_at.isoformat(), token.life]).encode()
        nonce = os.urandom(_NONCE)
        sealed = base64.b64encode(nonce + self._seal.encrypt(nonce, content, str(tenant).encode())).decode()
        value = f"{self._fingerprint(token.value)}.{sealed}"
        await redis_says(self._redis.set(self._key(tenant, "token"), value, px=life))

    async def drop(self, tenant: TenantId, token: Token) -> bool:
        """Takes it back, if it is still the one that is shared; a newer one stays."""
        return bool(await redis_says(self._drop([self._key(tenant, "token")], [self._fingerprint(token.value)])))

    async def lock(self, tenant: TenantId, mine: str, life: float) -> bool:
        """Whether the caller is the one to fetch, for so many seconds."""
        key = self._key(tenant, "fetch")
        return bool(await redis_says(self._redis.set(key, mine, nx=True, px=round(life * 1000))))

    async def unlock(self, tenant: TenantId, mine: str) -> None:
        """The caller has done with fetching."""
        await redis_says(self._unlock([self._key(tenant, "fetch")], [mine]))

    async def leave_successor(self, tenant: TenantId, used: str, sealed: str) -> None:
        """Leaves what the refresh token `used` was traded for where others find it if the caller dies now.

        Parameters:
          sealed: as the ledger will have it.
        """
        value = f"{self._traded(tenant, used, sealed)}.{sealed}"
        await redis_says(self._redis.set(self._key(tenant, "successor"), value, ex=SUCCESSOR_KEPT))

    async def successor(self, tenant: TenantId, used: str) -> str | None:
        """What that very refresh token was traded for, sealed as the ledger is to have it; `None` if nobody has left
        it. It is signed: nobody without the client secret can put another in its place."""
        text = await self._read(tenant, "successor")
        if text is None:
            return None
        traded, _, sealed = text.partition(".")
        return sealed if hmac.compare_digest(traded.encode(), self._traded(tenant, used, sealed).encode()) else None

    async def _read(self, tenant: TenantId, what: str) -> str | None:
        stored = await redis_says(self._redis.get(self._key(tenant, what)))
        return stored.decode() if isinstance(stored, bytes) else stored

    def _traded(self, tenant: TenantId, used: str, sealed: str) -> str:
        return self._fingerprint(json.dumps(["traded", tenant, used, sealed]))

    def _fingerprint(self, value: str) -> str:
        return hmac.new(self._fingerprint_key, value.encode(), hashlib.sha256).hexdigest()

    def _key(self, tenant: TenantId, what: str) -> str:
        return f"fortnox:{{{self._client}}}:{tenant}:{what}"


def _derived(secret: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"avtalsmotor access token " + purpose).derive(
        secret.encode()
    )
