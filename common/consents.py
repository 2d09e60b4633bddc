"""How a company's access tokens are had, as its consent says, and the renewal of its refresh token (API notes 7).

A refresh token is good once. What can still be lost: Fortnox has renewed it, and the answer is lost, or this process
dies with it in hand. The next renewal is refused then, the consent has ended, and a person connects the company again;
with a service account there is nothing to lose. docs/decisions/0015 tells all of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

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
"""Seconds for which a database, or a key file, that is away is waited for with a new refresh token in hand."""
BY = "tokens"

Done = TypeVar("Done")


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

        Raises: `TokenRefused` when the token cannot be unsealed, or the next one could not be sealed.
        """
        held_until = boottime() + LEASE.total_seconds()
        turn = await consents.take_turn(self._ledger, tenant, LEASE)
        if turn is None:
            return None
        try:
            refresh_token = self._seals.unseal(turn.refresh_token, purpose(tenant))
            # What could not be sealed could not be kept, and the one that it is had for would be used up.
            self._seals.seal(refresh_token, purpose(tenant))
            return Renewal(turn, refresh_token, held_until)
        except SealsError as error:
            await consents.give_up(self._ledger, turn, unanswered=False)
            raise TokenRefused(tenant, "refresh token not readable", str(error)) from error

    async def seal(self, renewal: Renewal, refresh_token: str) -> str:
        """What the renewal gave, as it may be stored; tried again for long, since the token that it used up is gone."""

        async def sealed() -> str:
            return self._seals.seal(refresh_token, purpose(renewal.turn.tenant))

        return await _at_last(sealed, renewal.turn.tenant)

    async def keep(self, renewal: Renewal, sealed: str) -> None:
        """Commits what the renewal gave, sealed; tried again for long, like `seal`."""
        kept = await _at_last(lambda: consents.renewed(self._ledger, renewal.turn, sealed), renewal.turn.tenant)
        log.info("refresh_token_renewed", tenant=renewal.turn.tenant, kept=kept)

    async def give_up(self, renewal: Renewal, *, unanswered: bool) -> None:
        """The turn ends without a new token."""
        await consents.give_up(self._ledger, renewal.turn, unanswered=unanswered)

    async def refused(self, renewal: Renewal, refusal: TokenRefused) -> bool:
        """Fortnox takes the refresh token no longer: the consent has ended. `False`: there is a newer token."""
        return await consents.refused(self._ledger, renewal.turn, _because(refusal, renewal.turn.unanswered_at), BY)


async def _at_last(work: Callable[[], Awaitable[Done]], tenant: TenantId) -> Done:
    give_up, pause = boottime() + COMMITTED_WITHIN, 0.1
    while True:
        try:
            return await work()
        except (OSError, DBAPIError, SealsError) as error:
            if boottime() > give_up:
                raise
            log.error("refresh_token_not_kept_yet", tenant=tenant, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


def _because(refusal: TokenRefused, unanswered_at: datetime | None) -> str:
    said = refusal.description or refusal.error
    if unanswered_at is None:
        return said
    return (
        f"{said}; it may have been used up at {unanswered_at:%Y-%m-%d %H:%M} UTC, when the answer to a renewal was lost"
    )
