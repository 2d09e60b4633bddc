"""How a company's access tokens are had, as its consent says, and the renewal of its refresh token (API notes 7).

A refresh token is good once. What can still be lost: Fortnox has renewed it, and this process dies, or the answer does,
before the new one is committed. The next renewal is refused then, the consent has ended, and a person connects the
company again; with a service account there is nothing to lose.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import structlog
from sqlalchemy.exc import DBAPIError

from common.clock import boottime
from common.fortnox.errors import TokenRefused
from common.ids import TenantId
from common.ledger import consents
from common.ledger.consents import Turn
from common.ledger.database import Ledger
from common.seals import Seals, SealsError
from common.settings import Settings

log = structlog.get_logger()

LEASE = timedelta(seconds=30)
"""A renewal's turn: longer than its request may take, and the commit of what it gave."""
LIFE = timedelta(days=45)
"""How long a refresh token lives that is not used (API notes 7)."""
COMMITTED_WITHIN = 600.0
"""Seconds for which a database that is away is waited for with a new refresh token in hand: it is nowhere else."""
BY = "tokens"


@dataclass(frozen=True, slots=True)
class Renewal:
    """A turn to renew, with the refresh token in clear; a secret, and left out of `repr`.

    Parameters:
      held_until: by `boottime`: after that somebody else may have the turn.
    """

    turn: Turn
    refresh_token: str = field(repr=False)
    held_until: float


def purpose(tenant: TenantId) -> str:
    """What a company's refresh token is sealed for."""
    return f"refresh token of tenant {tenant}"


class Consents:
    """The consents in the ledger, as `common.fortnox.auth.Tokens` asks for them.

    Every method raises what the database raises when it is away.

    Parameters:
      settings: name the keys of the seals; they are not asked for before there is a refresh token.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    @cached_property
    def _seals(self) -> Seals:
        return Seals.read(self._settings)

    async def is_refreshed(self, tenant: TenantId) -> bool:
        """Whether its tokens come by a refresh token; else by client credentials, as for a company only added.

        Raises: `TokenRefused` when the consent has ended.
        """
        consent = await consents.get(self._ledger, tenant)
        if consent is None or consent.kind == "service":
            return False
        if consent.ended_at is not None:
            raise TokenRefused(tenant, "consent ended", consent.ended_because or "")
        return True

    async def take_turn(self, tenant: TenantId) -> Renewal | None:
        """The right to renew the company's refresh token; `None` while somebody else has it.

        Raises: `TokenRefused` when the token cannot be unsealed.
        """
        held_until = boottime() + LEASE.total_seconds()
        turn = await consents.take_turn(self._ledger, tenant, LEASE)
        if turn is None:
            return None
        try:
            return Renewal(turn, self._seals.unseal(turn.refresh_token, purpose(tenant)), held_until)
        except SealsError as error:
            await consents.give_up(self._ledger, turn, unanswered=False)
            raise TokenRefused(tenant, "refresh token not readable", str(error)) from error

    async def keep(self, renewal: Renewal, refresh_token: str) -> None:
        """Commits what the renewal gave; tried again for long, since the token that it used up is gone."""
        turn = renewal.turn
        sealed = self._seals.seal(refresh_token, purpose(turn.tenant))
        give_up, pause = boottime() + COMMITTED_WITHIN, 0.1
        while True:
            try:
                kept = await consents.renewed(self._ledger, turn, sealed)
            except (OSError, DBAPIError) as error:
                if boottime() > give_up:
                    raise
                log.error("refresh_token_not_kept_yet", tenant=turn.tenant, error=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                log.info("refresh_token_renewed", tenant=turn.tenant, kept=kept)
                return

    async def give_up(self, renewal: Renewal, *, unanswered: bool) -> None:
        """The turn ends without a new token."""
        await consents.give_up(self._ledger, renewal.turn, unanswered=unanswered)

    async def refused(self, renewal: Renewal, refusal: TokenRefused) -> bool:
        """Fortnox takes the refresh token no longer: the consent has ended. `False`: there is a newer token."""
        return await consents.refused(self._ledger, renewal.turn, _because(refusal, renewal.turn.unanswered_at), BY)


def _because(refusal: TokenRefused, unanswered_at: datetime | None) -> str:
    said = refusal.description or refusal.error
    if unanswered_at is None:
        return said
    return (
        f"{said}; it may have been used up at {unanswered_at:%Y-%m-%d %H:%M} UTC, when the answer to a renewal was lost"
    )
