"""How far the ledger has come, and whether it still has what it once had: an older copy of it must not be worked with.

It only reads. What is known outside the ledger, and where, is in `common/high_water.py`; what is done about an older
copy is in `restoring`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, exists, func, literal_column, or_, select, text

from common.ledger.database import Ledger, LedgerError
from common.ledger.records import Mark
from common.ledger.schema import IS_UNDER_WAY, IS_WAITING, audit, billings, bureau


class LedgerBehind(LedgerError):  # noqa: N818 - what is wrong with it
    """The ledger is an older copy: it lacks what is known to have been written in it."""


class LedgerReplaced(LedgerError):  # noqa: N818 - what is wrong with it
    """This installation has worked with another ledger, which had unfinished work."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a ledger has come."""

    identity: str
    """Given to it when it was made; a copy has the same."""
    restored_at: datetime | None
    """When a person last said that it is an older copy: what was written elsewhere before that is written off."""
    newest: Mark | None
    """The newest entry of its audit trail; `None` for an empty one."""
    has_unfinished: bool
    """Whether a billing of it is not final."""


async def standing(ledger: Ledger) -> Standing:
    """How far the ledger has come, now."""
    (row,) = await ledger.look_up(_STANDING, {})
    newest = None if row.newest_id is None else Mark(row.newest_id, row.newest_at)
    return Standing(row.identity, row.restored_at, newest, bool(row.has_unfinished))


async def lacking(ledger: Ledger, marks: Collection[Mark]) -> list[Mark]:
    """Those of the marks that the ledger does not have, oldest first."""
    if not marks:
        return []
    there = {Mark(row.id, row.at) for row in await ledger.look_up(_THERE, {"ids": [mark.id for mark in marks]})}
    return sorted(set(marks) - there, key=lambda mark: mark.id)


_newest = select(func.max(audit.c.id)).scalar_subquery()
_STANDING = select(
    bureau.c.identity,
    bureau.c.restored_at,
    audit.c.id.label("newest_id"),
    audit.c.at.label("newest_at"),
    or_(
        # One for each of the partial indexes.
        *(
            exists(select(literal_column("1")).select_from(billings).where(text(f"billings.{condition}")))
            for condition in (IS_WAITING, IS_UNDER_WAY, "status IN ('held', 'parked')")
        )
    ).label("has_unfinished"),
).select_from(bureau.outerjoin(audit, audit.c.id == _newest))
_THERE = select(audit.c.id, audit.c.at).where(audit.c.id.in_(bindparam("ids", expanding=True)))
