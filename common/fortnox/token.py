"""What the token server gives: an access token, and the refresh token that comes with it where there is one."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime

from common.ids import TenantId


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of one tenant.

    Parameters:
      value: the bearer token; a secret, and left out of `repr`.
      expires_at: the latest instant at which Fortnox accepts it, by the product's clock.
      life: seconds it lived from its fetch on.
    """

    value: str = field(repr=False)
    expires_at: datetime
    life: float

    def left(self, now: datetime) -> float:
        """Seconds of life left."""
        return (self.expires_at - now).total_seconds()

    def fresh_for(self, now: datetime, call_timeout: float) -> float:
        """Seconds for which it need not be renewed yet; none left: 0 or less.

        It is renewed in its last tenth, or its last minute, or when it could run out during a call, whichever comes
        first; a token too short-lived for that, in its second half.
        """
        margin = max(self.life / 10, 60.0, call_timeout)
        return self.left(now) - min(margin, self.life / 2)


@dataclass(frozen=True, slots=True)
class Granted:
    """What the token server gives.

    Parameters:
      refresh_token: good for one renewal; a secret, and left out of `repr`. `None` with client credentials.
    """

    token: Token
    refresh_token: str | None = field(repr=False)
    scopes: frozenset[str]


def tenant_of(token: Token) -> TenantId | None:
    """The tenant that a token is for, as it says itself (API notes 7). Its signature cannot be checked: believe it only
    when the token has just come from Fortnox. `None`: it does not say."""
    try:
        payload = token.value.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return TenantId(int(claims["tenantId"]))
    except (IndexError, KeyError, TypeError, ValueError):
        return None
