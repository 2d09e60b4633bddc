"""The places in the renewal of a refresh token at which a process can be killed: laid around the real functions."""

from collections.abc import Mapping
from typing import Any

from structlog.contextvars import bound_contextvars

from common.consents import Consents, Renewal
from common.fortnox.auth import Tokens
from common.ids import TenantId
from tests.chaos.points import Arms

STEP = "renew"
"""In place of a billing's step."""

AFTER_TURN = "after_turn"
"""The turn is taken and committed; nothing has been asked."""
AFTER_TOKEN = "after_token"
"""Fortnox has answered, so the old token is used up; the new one is in this process alone."""
AFTER_LEFT = "after_left"
"""The new token is left in Redis; it is not committed."""
AFTER_KEPT = "after_kept"
"""The new token is committed; nobody has used what came with it."""

POINTS = (AFTER_TURN, AFTER_TOKEN, AFTER_LEFT, AFTER_KEPT)


def lay(arms: Arms) -> None:
    """Lays the points around the functions of this process' product."""
    ask, keep = Tokens._ask, Consents.keep

    def pass_by(point: str, tenant: TenantId) -> None:
        with bound_contextvars(step=STEP, tenant=tenant, billing=0, contract=0):
            arms.pass_by(point)

    async def asking(tokens: Tokens, tenant: TenantId, form: Mapping[str, str], *rest: Any) -> Any:
        if form["grant_type"] != "refresh_token":
            return await ask(tokens, tenant, form, *rest)
        pass_by(AFTER_TURN, tenant)
        granted = await ask(tokens, tenant, form, *rest)
        pass_by(AFTER_TOKEN, tenant)
        return granted

    async def keeping(consents: Consents, renewal: Renewal, sealed: str) -> None:
        pass_by(AFTER_LEFT, renewal.turn.tenant)
        await keep(consents, renewal, sealed)
        pass_by(AFTER_KEPT, renewal.turn.tenant)

    for owner, name, passing in ((Tokens, "_ask", asking), (Consents, "keep", keeping)):
        setattr(owner, name, passing)
