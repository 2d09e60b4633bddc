"""The companies' consents to this integration: by which way a company's access tokens are had, and its refresh token.

A refresh token is good for one renewal, and each renewal gives the next one. So renewals take turns under a lease, and
what a renewal gave is committed before it is used. The token is sealed before it comes here; nothing of it, sealed or
not, is in the audit. A late renewal is kept whenever the one that it used up is still the newest (`renewals`).
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import BigInteger, Connection, Row, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import TenantId
from common.ledger import audit
from common.ledger.columns import database_now, microseconds
from common.ledger.database import NOW, Ledger
from common.ledger.schema import consents

Kind = Literal["service", "user"]
"""By client credentials (a service account), or by a refresh token."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A company's consent.

    Parameters:
      refresh_token: sealed; `None` with a service account.
      renewed_at: when the consent was given, or the refresh token last renewed: its life counts from there.
      unanswered_at: when a renewal was last begun of which no answer came; `None` once one has come.
      ended_because: what Fortnox said when it took the refresh token no longer; `None` while it is good.
    """

    tenant: TenantId
    kind: Kind
    scopes: frozenset[str]
    refresh_token: str | None
    renewals: int
    renewed_at: datetime
    unanswered_at: datetime | None
    ended_at: datetime | None
    ended_because: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to renew a company's refresh token once, until a lease runs out.

    Parameters:
      refresh_token: sealed.
      unanswered_at: when the same token was used before, and no answer came: Fortnox may have used it up then.
    """

    tenant: TenantId
    name: str
    renewals: int
    refresh_token: str
    unanswered_at: datetime | None


async def get(ledger: Ledger, tenant: TenantId) -> Consent | None:
    """The company's consent; `None` if it was never connected here, but only added."""
    found = await ledger.look_up(_ONE, {"of_tenant": tenant})
    return _consent_of(found[0]) if found else None


async def unused_since(ledger: Ledger, instant: datetime) -> list[Consent]:
    """The consents with a refresh token that was last renewed before the instant and has not been refused."""
    old = (consents.c.refresh_token.is_not(None), consents.c.ended_at.is_(None), consents.c.renewed_at < instant)
    return [_consent_of(row) for row in await ledger.fetch(select(consents).where(*old).order_by(consents.c.tenant))]


async def put(
    ledger: Ledger, tenant: TenantId, kind: Kind, scopes: Collection[str], refresh_token: str | None, by: str
) -> None:
    """A person has consented, for the first time or anew; a renewal that is under way meanwhile changes nothing.

    Parameters:
      refresh_token: sealed; only with `user`.
    """

    def work(connection: Connection) -> None:
        before = connection.execute(_LOCKED, {"of_tenant": tenant}).one_or_none()
        facts = {"tenant": tenant, "kind": kind, "scopes": " ".join(sorted(scopes)), "refresh_token": refresh_token}
        connection.execute(_PUT[ledger.is_sqlite], {**facts, **ledger.shift})
        audit.record(
            connection,
            ledger,
            by,
            "connected" if before is None else "reconnected",
            tenant=tenant,
            before={} if before is None else {"way": before.kind, "scopes": before.scopes},
            after={"way": kind, "scopes": facts["scopes"]},
        )

    await ledger.transact(work)


async def take_turn(ledger: Ledger, tenant: TenantId, lease: timedelta) -> Turn | None:
    """The right to renew, until the lease runs out. `None`: somebody else has it, or there is nothing to renew."""
    name = secrets.token_hex(8)

    def work(connection: Connection) -> Turn | None:
        found = connection.execute(_LOCKED, {"of_tenant": tenant}).one_or_none()
        if found is None or found.refresh_token is None or found.ended_at is not None:
            return None
        taken = {"of_tenant": tenant, "mine": name, "lease": microseconds(lease), **ledger.shift}
        if not connection.execute(_TAKE_TURN, taken).rowcount:
            return None
        return Turn(tenant, name, found.renewals, found.refresh_token, found.unanswered_at)

    return await ledger.transact(work)


async def renewed(ledger: Ledger, turn: Turn, refresh_token: str) -> bool:
    """Keeps what the renewal gave. Also when its lease has run out meanwhile, and somebody has been refused since: it
    is the newest there is. `False`: it is not, since the company was connected anew."""

    def work(connection: Connection) -> bool:
        facts = {"of_tenant": turn.tenant, "used": turn.renewals, "new_token": refresh_token, **ledger.shift}
        return bool(connection.execute(_RENEWED, facts).rowcount)

    return await ledger.transact(work)


async def give_up(ledger: Ledger, turn: Turn, *, unanswered: bool) -> None:
    """The turn is anybody's.

    Parameters:
      unanswered: the renewal may have used the token up; the next one will show. `False`: it certainly has not.
    """

    def work(connection: Connection) -> None:
        since = None if not unanswered and turn.unanswered_at is None else consents.c.unanswered_at
        facts = {"of_tenant": turn.tenant, "used": turn.renewals, "mine": turn.name}
        connection.execute(_GIVE_UP.values(unanswered_at=since), facts)

    await ledger.transact(work)


async def refused(ledger: Ledger, turn: Turn, because: str, by: str) -> bool:
    """Fortnox did not take the refresh token, so the consent has ended. `False`: there is a newer one; use that."""

    def work(connection: Connection) -> bool:
        facts = {"of_tenant": turn.tenant, "used": turn.renewals, "said": because, **ledger.shift}
        ended = connection.execute(_REFUSED, facts).rowcount
        if ended:
            audit.record(
                connection, ledger, by, "consent_ended", tenant=turn.tenant, before={}, after={"because": because}
            )
        return bool(ended)

    return await ledger.transact(work)


def _consent_of(row: Row[Any]) -> Consent:
    return Consent(
        tenant=row.tenant,
        kind=row.kind,
        scopes=frozenset(row.scopes.split()),
        refresh_token=row.refresh_token,
        renewals=row.renewals,
        renewed_at=row.renewed_at,
        unanswered_at=row.unanswered_at,
        ended_at=row.ended_at,
        ended_because=row.ended_because,
    )


def _put(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    put = insert.values(
        tenant=bindparam("tenant"),
        kind=bindparam("kind"),
        scopes=bindparam("scopes"),
        refresh_token=bindparam("refresh_token"),
        renewed_at=NOW,
    )
    anew = {name: put.excluded[name] for name in ("kind", "scopes", "refresh_token", "renewed_at")}
    free = dict.fromkeys(("renewing", "renewing_until", "unanswered_at", "ended_at", "ended_because"))
    return put.on_conflict_do_update(
        index_elements=["tenant"], set_={**anew, **free, "renewals": consents.c.renewals + 1}
    )


_OF_IT = consents.c.tenant == bindparam("of_tenant")
_NEWEST = consents.c.renewals == bindparam("used")
_ONE = select(consents).where(_OF_IT)
_LOCKED = _ONE.with_for_update()
_PUT = {True: _put(sqlite.insert(consents)), False: _put(postgresql.insert(consents))}
_TAKE_TURN = (
    update(consents)
    .where(_OF_IT, or_(consents.c.renewing.is_(None), consents.c.renewing_until < database_now()))
    .values(
        renewing=bindparam("mine"),
        renewing_until=database_now() + bindparam("lease", type_=BigInteger()),
        # A process that dies in its turn leaves the same behind as one that got no answer.
        unanswered_at=NOW,
    )
)
_RENEWED = (
    update(consents)
    .where(_OF_IT, _NEWEST)
    .values(
        refresh_token=bindparam("new_token"),
        renewals=consents.c.renewals + 1,
        renewed_at=NOW,
        renewing=None,
        renewing_until=None,
        unanswered_at=None,
        ended_at=None,
        ended_because=None,
    )
)
_GIVE_UP = (
    update(consents)
    .where(_OF_IT, _NEWEST, consents.c.renewing == bindparam("mine"))
    .values(renewing=None, renewing_until=None)
)
_REFUSED = (
    update(consents)
    .where(_OF_IT, _NEWEST, consents.c.ended_at.is_(None))
    .values(ended_at=NOW, ended_because=bindparam("said"), renewing=None, renewing_until=None)
)
