"""What people were told of what needs them, and what is still to be sent: so that nothing is told as new twice.

A digest is made in the transaction that marks what it tells as told, and is sent afterwards. Who sends it takes it for
a while first, and who is killed then leaves it to the next: one whose answer was lost may arrive twice, and none gets
lost. No address, password or secret is kept here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import TenantId
from common.ledger.columns import Instant, microseconds
from common.ledger.database import NOW, Ledger, instant_of
from common.ledger.schema import notice_looks, notice_sendings, notices, open_matters
from common.rules.notices import Kind, Mark, Open, Past


@dataclass(frozen=True, slots=True)
class Made:
    """A digest that is to be sent.

    Parameters:
      digest: what it says, as the sender understands it.
      tells: the marks that are told from now on.
    """

    id: str
    kind: Kind
    digest: str
    tells: Collection[Mark]


Decide = Callable[[Mapping[Mark, Open], Past, datetime], Made | None]
"""Says, of what is open, what has been told and what time it is, which digest is to be made."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A digest that is to go, went, or did not, by one channel."""

    notice: str
    channel: str
    kind: Kind
    digest: str
    made_at: datetime
    tries: int
    tried_at: datetime | None
    """When the last try began."""
    not_before: datetime
    ended_at: datetime | None
    """When it arrived or was given up; `None`: it is still to go."""
    is_sent: bool
    problem: str | None
    """What the last try came to, if not all was well."""


async def begin_look(ledger: Ledger, every: timedelta) -> datetime | None:
    """The right to say what is open as of now; `None`: somebody has looked within that time."""
    facts = {"every": microseconds(every), **ledger.shift}

    def work(connection: Connection) -> datetime | None:
        row = connection.execute(_BEGIN_LOOK[ledger.is_sqlite], facts).one_or_none()
        return None if row is None else row.began_at

    return await ledger.transact(work)


async def look(
    ledger: Ledger, began: datetime, marks: Collection[Mark], decide: Decide, channels: Collection[str]
) -> Made | None:
    """Takes in what is open, and makes the digest that is due by that, if one is.

    Parameters:
      began: what `begin_look` gave. Where another look has begun since, this one says nothing.
      marks: everything that needs a person; what is missing here and was there is settled, and is new if it comes back.
      channels: by which a digest is to go.
    """

    def work(connection: Connection) -> Made | None:
        # A row is changed, so that looks take turns on PostgreSQL, too.
        if not connection.execute(_OF_LOOK, {"begun": began}).rowcount:
            return None
        now = instant_of(connection.execute(_SELECT_NOW, ledger.shift).scalar_one())
        seen = _take_in(connection, set(marks), now)
        past = connection.execute(_PAST).one()
        made = decide(seen, Past(past.last, past.last_reminder), now)
        if made is not None:
            _make(connection, made, channels, now)
        return made

    return await ledger.transact(work)


def _take_in(connection: Connection, marks: set[Mark], now: datetime) -> Mapping[Mark, Open]:
    known = {(TenantId(row.tenant), row.mark): Open(row.seen_at, row.told_at) for row in connection.execute(_OPEN)}
    gone, new = known.keys() - marks, marks - known.keys()
    if gone:
        connection.execute(_SETTLED, [{"of_tenant": tenant, "of_mark": mark} for tenant, mark in sorted(gone)])
    if new:
        rows = [{"tenant": tenant, "mark": mark, "seen_at": now} for tenant, mark in sorted(new)]
        connection.execute(insert(open_matters), rows)
    return {mark: known.get(mark, Open(now, None)) for mark in marks}


def _make(connection: Connection, made: Made, channels: Collection[str], now: datetime) -> None:
    facts = {"id": made.id, "kind": made.kind.value, "made_at": now, "digest": made.digest}
    connection.execute(insert(notices), facts)
    rows = [{"notice": made.id, "channel": channel, "not_before": now} for channel in channels]
    connection.execute(insert(notice_sendings), rows)
    if made.tells:
        told = [{"of_tenant": tenant, "of_mark": mark, "by": made.id} for tenant, mark in sorted(made.tells)]
        connection.execute(_TOLD, told)


async def take(ledger: Ledger, channels: Collection[str], lease: timedelta) -> Sending | None:
    """The oldest digest that is to go by one of the channels: the caller's to send until the lease runs out."""
    facts = {"channels": sorted(channels), "lease": microseconds(lease), **ledger.shift}

    def work(connection: Connection) -> Sending | None:
        taken = connection.execute(_TAKE, facts).one_or_none()
        if taken is None:
            return None
        key = {"of_notice": taken.notice, "of_channel": taken.channel}
        return _sending(connection.execute(_ONE, key).one())

    return await ledger.transact(work)


async def arrived(ledger: Ledger, sending: Sending, problem: str | None) -> None:
    """It was taken by the other side.

    Parameters:
      problem: what is not well all the same.
    """
    await _end(ledger, sending, problem, is_sent=True)


async def give_up(ledger: Ledger, sending: Sending, problem: str) -> None:
    """It is not tried again."""
    await _end(ledger, sending, problem, is_sent=False)


async def fail(ledger: Ledger, sending: Sending, problem: str, again_after: timedelta) -> None:
    """It did not arrive, and is tried again after that time."""
    facts = {"again_after": microseconds(again_after), "what": problem, **_turn(sending), **ledger.shift}
    await ledger.transact(lambda connection: connection.execute(_FAIL, facts))


async def _end(ledger: Ledger, sending: Sending, problem: str | None, *, is_sent: bool) -> None:
    facts = {"sent": is_sent, "what": problem, **_turn(sending), **ledger.shift}
    await ledger.transact(lambda connection: connection.execute(_END, facts))


def _turn(sending: Sending) -> dict[str, Any]:
    """Only whoever tried last says what came of it."""
    return {"of_notice": sending.notice, "of_channel": sending.channel, "of_try": sending.tries}


async def sendings(ledger: Ledger, at_most: int) -> list[Sending]:
    """Those of the last digests, the newest first."""
    return [_sending(row) for row in await ledger.fetch(_SENDINGS, {"at_most": at_most})]


async def failing(ledger: Ledger, channels: Collection[str]) -> list[Sending]:
    """Of each of the channels the last sending that was tried, where that did not go well."""
    rows = await ledger.fetch(_LAST_TRIED, {"channels": sorted(channels)})
    return [_sending(row) for row in rows if row.problem is not None]


def _sending(row: Row[Any]) -> Sending:
    return Sending(
        row.notice,
        row.channel,
        Kind(row.kind),
        row.digest,
        row.made_at,
        row.tries,
        row.tried_at,
        row.not_before,
        row.ended_at,
        row.is_sent,
        row.problem,
    )


def _begin_look(kind: Any) -> Any:
    passed = NOW - bindparam("every", type_=Instant.impl)
    # A rehearsal may have set the clock back.
    due = or_(notice_looks.c.began_at <= passed, notice_looks.c.began_at > NOW)
    begun = kind(notice_looks).values(id=1, began_at=NOW)
    return begun.on_conflict_do_update(index_elements=["id"], set_={"began_at": NOW}, where=due).returning(
        notice_looks.c.began_at
    )


_BEGIN_LOOK = {True: _begin_look(sqlite.insert), False: _begin_look(postgresql.insert)}
_OF_LOOK = (
    update(notice_looks)
    .values(began_at=notice_looks.c.began_at)
    .where(notice_looks.c.began_at == bindparam("begun", type_=Instant()))
)
_SELECT_NOW = select(NOW)
_OPEN = select(
    open_matters.c.tenant, open_matters.c.mark, open_matters.c.seen_at, notices.c.made_at.label("told_at")
).select_from(open_matters.outerjoin(notices, notices.c.id == open_matters.c.notice))
_PAST = select(
    func.max(notices.c.made_at, type_=Instant()).label("last"),
    func.max(notices.c.made_at, type_=Instant()).filter(notices.c.kind == Kind.REMINDER.value).label("last_reminder"),
)
_THIS = and_(open_matters.c.tenant == bindparam("of_tenant"), open_matters.c.mark == bindparam("of_mark"))
_SETTLED = delete(open_matters).where(_THIS)
_TOLD = update(open_matters).where(_THIS, open_matters.c.notice.is_(None)).values(notice=bindparam("by"))

_IS_OF = and_(notice_sendings.c.notice == bindparam("of_notice"), notice_sendings.c.channel == bindparam("of_channel"))
_WAITS = and_(
    notice_sendings.c.ended_at.is_(None),
    notice_sendings.c.not_before <= NOW,
    notice_sendings.c.channel.in_(bindparam("channels", expanding=True)),
)
_ALL = select(notice_sendings, notices.c.kind, notices.c.digest, notices.c.made_at).join(
    notices, notices.c.id == notice_sendings.c.notice
)
_ONE = _ALL.where(_IS_OF)
_NEXT = (
    select(notice_sendings.c.notice, notice_sendings.c.channel)
    .join(notices, notices.c.id == notice_sendings.c.notice)
    .where(_WAITS)
    .order_by(notices.c.made_at, notice_sendings.c.channel)
    .limit(1)
    .subquery()
)
_TAKE = (
    update(notice_sendings)
    .where(notice_sendings.c.notice == _NEXT.c.notice, notice_sendings.c.channel == _NEXT.c.channel, _WAITS)
    .values(tries=notice_sendings.c.tries + 1, tried_at=NOW, not_before=NOW + bindparam("lease", type_=Instant.impl))
    .returning(notice_sendings.c.notice, notice_sendings.c.channel)
)
_MY_TURN = and_(_IS_OF, notice_sendings.c.tries == bindparam("of_try"), notice_sendings.c.ended_at.is_(None))
_FAIL = (
    update(notice_sendings)
    .where(_MY_TURN)
    .values(not_before=NOW + bindparam("again_after", type_=Instant.impl), problem=bindparam("what"))
)
_END = (
    update(notice_sendings).where(_MY_TURN).values(ended_at=NOW, is_sent=bindparam("sent"), problem=bindparam("what"))
)
_RECENT = select(notices.c.id).order_by(notices.c.made_at.desc(), notices.c.id).limit(bindparam("at_most"))
_SENDINGS = _ALL.where(notice_sendings.c.notice.in_(_RECENT)).order_by(
    notices.c.made_at.desc(), notice_sendings.c.notice, notice_sendings.c.channel
)
_NEWEST_TRY = (
    select(notice_sendings.c.channel, func.max(notice_sendings.c.tried_at).label("tried_at"))
    .group_by(notice_sendings.c.channel)
    .subquery()
)
_LAST_TRIED = (
    _ALL.join(
        _NEWEST_TRY,
        and_(_NEWEST_TRY.c.channel == notice_sendings.c.channel, _NEWEST_TRY.c.tried_at == notice_sendings.c.tried_at),
    )
    .where(notice_sendings.c.channel.in_(bindparam("channels", expanding=True)))
    .order_by(notice_sendings.c.channel)
)
