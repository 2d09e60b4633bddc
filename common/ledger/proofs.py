"""The proofs that are kept: per company and day what was proved, what was not, and what a person has looked at since.

A proof is what a reading of Fortnox showed at its time: it is never changed by anything but a later reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import ContractNumber, TenantId
from common.ledger import audit
from common.ledger.by_person import NotPossible
from common.ledger.columns import Instant, microseconds
from common.ledger.database import NOW, Ledger
from common.ledger.schema import acknowledgements, proofs
from common.rules.reconciliation import Line


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person has looked at a line, and it is all right."""

    by: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Open:
    """A line that is neither proved nor explained, as it was told on the day."""

    mark: str
    finding: str
    contract: ContractNumber | None
    period: str
    invoices: tuple[int, ...]
    why: str
    cure: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a company's day."""

    tenant: TenantId
    day: date
    tried_at: datetime
    made_at: datetime | None
    """`None`: there is no proof of the day."""
    counts: Mapping[str, int]
    lines: tuple[Open, ...]
    """Those that nobody has acknowledged."""
    error: str | None
    """Why the last try came to nothing; `None` if it did not."""


async def begin(ledger: Ledger, tenant: TenantId, day: date, *, again_after: timedelta) -> bool:
    """Whether the proof of the day is still to be made, and nobody has tried in that time. If so, this is a try."""
    facts = {"of_tenant": tenant, "of_day": day, "again_after": microseconds(again_after), **ledger.shift}
    return await ledger.transact(
        lambda connection: connection.execute(_BEGIN[ledger.is_sqlite], facts).one_or_none() is not None
    )


async def is_made(ledger: Ledger, tenant: TenantId, day: date) -> bool:
    """Whether there is a proof of the day."""
    found = await ledger.look_up(_MADE, {"of_tenant": tenant, "of_day": day})
    return bool(found)


async def keep(
    ledger: Ledger,
    tenant: TenantId,
    day: date,
    since: date,
    counts: Mapping[str, int],
    unsettled: Sequence[Line],
    by: str,
) -> None:
    """Keeps a proof in the place of an earlier one of the same day, which the audit still tells of."""

    def work(connection: Connection) -> None:
        facts = {
            "of_tenant": tenant,
            "of_day": day,
            "from_day": since,
            "counted": dict(counts),
            "told": {"lines": [_stored(line) for line in unsettled]},
        }
        connection.execute(_KEEP[ledger.is_sqlite], {**facts, **ledger.shift})
        found = {name: number for name, number in counts.items() if number}
        after = {"day": str(day), "from": str(since), **found, "lines": [line.mark for line in unsettled]}
        audit.record(connection, ledger, by, "reconciled", tenant=tenant, before={}, after=after)

    await ledger.transact(work)


async def fail(ledger: Ledger, tenant: TenantId, day: date, error: str) -> None:
    """There is no proof of the day yet, and why; one that was made stays."""
    facts = {"of_tenant": tenant, "of_day": day, "failed": error, **ledger.shift}
    await ledger.transact(lambda connection: connection.execute(_FAIL[ledger.is_sqlite], facts))


async def latest(ledger: Ledger) -> list[Kept]:
    """Of each company the newest proof; and the newest day's failure, where there is no proof of that day."""
    rows = await ledger.fetch(_LATEST)
    looked_at = {(row.tenant, row.mark) for row in await ledger.fetch(select(acknowledgements))}
    return [_kept_of(row, looked_at) for row in rows]


async def acknowledged(ledger: Ledger, tenant: TenantId) -> dict[str, Acknowledgement]:
    """What people have acknowledged of the company, by the marks of the lines."""
    rows = await ledger.fetch(select(acknowledgements).where(acknowledgements.c.tenant == tenant))
    return {row.mark: Acknowledgement(row.by, row.at, row.why) for row in rows}


async def acknowledge(ledger: Ledger, tenant: TenantId, mark: str, by: str, why: str) -> Open:
    """A person has looked at a line of the company's newest proof: it needs nobody any more, as long as it is the same.

    Raises:
      NotPossible: the newest proof has no such line, or it is acknowledged already.
    """

    def work(connection: Connection) -> Open:
        newest = connection.execute(_NEWEST, {"of_tenant": tenant}).one_or_none()
        lines = _lines_of(newest) if newest is not None else ()
        line = next((one for one in lines if one.mark == mark), None)
        if line is None:
            raise NotPossible(
                f"The last proof of company {tenant} has no line {mark}, so nothing was acknowledged. See its lines: "
                f"avtalsmotor reconcile --tenant {tenant}"
            )
        said = _ACKNOWLEDGE[ledger.is_sqlite]
        facts = {"of_tenant": tenant, "of_mark": mark, "who": by, "reason": why, **ledger.shift}
        if connection.execute(said, facts).one_or_none() is None:
            raise NotPossible(
                f"Line {mark} of company {tenant} is acknowledged already, so nothing has changed. See by whom: "
                f"avtalsmotor reconcile --tenant {tenant} --all"
            )
        before = {"mark": mark, "finding": line.finding, "period": line.period, "invoices": list(line.invoices)}
        after = {"acknowledged": True, "why": why}
        audit.record(
            connection, ledger, by, "acknowledged", tenant=tenant, contract=line.contract, before=before, after=after
        )
        return line

    return await ledger.transact(work)


def _stored(line: Line) -> dict[str, object]:
    return {
        "mark": line.mark,
        "finding": line.finding.value,
        "contract": line.contract,
        "period": str(line.period or ""),
        "invoices": list(line.invoices),
        "why": line.why,
        "cure": line.cure,
        "reason": line.reason.value if line.reason else None,
    }


def _lines_of(row: Row[Any]) -> tuple[Open, ...]:
    return tuple(Open(**{**one, "invoices": tuple(one["invoices"])}) for one in row.lines.get("lines", ()))


def _kept_of(row: Row[Any], looked_at: set[tuple[TenantId, str]]) -> Kept:
    return Kept(
        tenant=row.tenant,
        day=row.day,
        tried_at=row.tried_at,
        made_at=row.made_at,
        counts=row.counts,
        lines=tuple(one for one in _lines_of(row) if (row.tenant, one.mark) not in looked_at),
        error=row.error,
    )


def _of_day(kind: Any, **values: Any) -> Any:
    """The row of the day, if there is none yet."""
    first = {"tenant": bindparam("of_tenant"), "day": bindparam("of_day"), "tried_at": NOW, "counts": {}, "lines": {}}
    return kind(proofs).values({**first, **values})


def _begin(kind: Any) -> Any:
    return (
        _of_day(kind)
        .on_conflict_do_update(
            index_elements=["tenant", "day"],
            set_={"tried_at": NOW},
            where=and_(
                proofs.c.made_at.is_(None),
                proofs.c.tried_at < NOW - bindparam("again_after", type_=Instant.impl),
            ),
        )
        .returning(proofs.c.day)
    )


def _keep(kind: Any) -> Any:
    values = {
        "tried_at": NOW,
        "made_at": NOW,
        "since": bindparam("from_day"),
        "counts": bindparam("counted", type_=proofs.c.counts.type),
        "lines": bindparam("told", type_=proofs.c.lines.type),
        "error": None,
    }
    return _of_day(kind, **values).on_conflict_do_update(index_elements=["tenant", "day"], set_=values)


def _fail(kind: Any) -> Any:
    values = {"tried_at": NOW, "error": bindparam("failed")}
    return _of_day(kind, **values).on_conflict_do_update(
        index_elements=["tenant", "day"], set_=values, where=proofs.c.made_at.is_(None)
    )


def _acknowledge(kind: Any) -> Any:
    values = {
        "tenant": bindparam("of_tenant"),
        "mark": bindparam("of_mark"),
        "at": NOW,
        "by": bindparam("who"),
        "why": bindparam("reason"),
    }
    return kind(acknowledgements).values(values).on_conflict_do_nothing().returning(acknowledgements.c.mark)


_BEGIN = {True: _begin(sqlite.insert), False: _begin(postgresql.insert)}
_KEEP = {True: _keep(sqlite.insert), False: _keep(postgresql.insert)}
_FAIL = {True: _fail(sqlite.insert), False: _fail(postgresql.insert)}
_ACKNOWLEDGE = {True: _acknowledge(sqlite.insert), False: _acknowledge(postgresql.insert)}
_made = proofs.alias("made")
_tried = proofs.alias("tried")
_LATEST = (
    select(proofs)
    .where(
        or_(
            proofs.c.day
            == select(func.max(_made.c.day))
            .where(_made.c.tenant == proofs.c.tenant, _made.c.made_at.is_not(None))
            .scalar_subquery(),
            and_(
                proofs.c.error.is_not(None),
                proofs.c.day
                == select(func.max(_tried.c.day)).where(_tried.c.tenant == proofs.c.tenant).scalar_subquery(),
            ),
        )
    )
    .order_by(proofs.c.tenant, proofs.c.day)
)
_NEWEST = (
    select(proofs)
    .where(proofs.c.tenant == bindparam("of_tenant"), proofs.c.made_at.is_not(None))
    .order_by(proofs.c.day.desc())
    .limit(1)
)
_MADE = select(proofs.c.day).where(
    proofs.c.tenant == bindparam("of_tenant"), proofs.c.day == bindparam("of_day"), proofs.c.made_at.is_not(None)
)
