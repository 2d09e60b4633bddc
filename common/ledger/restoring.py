"""What is done with a ledger that is an older copy of itself: everything unfinished in it is put in doubt at its step.

Calls may have been made in the time that it has lost, so nothing of it may be called before Fortnox has been looked at.
Nothing here may ever let a billing be called that had to wait for a person: what was never called stands again as it
stood (`stood_again`).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)

from common.ids import TenantId
from common.ledger import audit, leases
from common.ledger.billing_changes import state_of
from common.ledger.billing_rows import BY_THE_LOST, billing_of
from common.ledger.database import NOW, Ledger, instant_of
from common.ledger.outcomes import Doubt, Hold, Outcome, Park, sought_until
from common.ledger.records import Billing, Mark
from common.ledger.schema import IS_OPEN, attempts, billings, bureau, contracts, invoices, tenants
from common.ledger.transitions import Landing, land, waiting_again
from common.rules.reasons import REASONS, Reason, Scope
from common.rules.states import Status, Step

RESTORED = "ledger_restored"
"""The action, in the audit, of the bureau and of each company: when the history of the copy ended, and which invoice of
the company was the newest that it knew."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    doubted: Mapping[TenantId, int]
    """How many billings of each company are in doubt now because of it."""
    ended: Mark | None
    """The newest entry that the copy had of the history before."""


async def restore(ledger: Ledger, by: str, *, token_life: timedelta, settle: timedelta) -> Restored:
    """Puts in doubt, in one transaction, all that is not final, but for what Fortnox has already said yes to: that is
    looked for already, or waits for a person, and is not called again at that step whatever happens.

    What was read of Fortnox is not believed any more either, and is read anew. Done twice it does nothing more, but for
    waiting as long again.

    Parameters:
      token_life: how long an access token lives at the most; a lost call may have carried one that is as young as this.
      settle: how long Fortnox may take to show what it has begun.
    """
    return await ledger.transact(partial(_restore, ledger=ledger, by=by, token_life=token_life, settle=settle))


def stood_again(billing: Billing, stood: Mapping[str, Any], now: datetime, *, blocked: bool) -> Landing:
    """Where a billing goes whose lost call was never made: to where it stood in the older copy.

    Parameters:
      stood: what `restore` has remembered.
      blocked: whether its step is stopped for the whole company now. What was parked for such a stop goes on without
        it.
    """
    status, reason = Status(stood["status"]), None if stood["reason"] is None else Reason(stood["reason"])
    not_before = None if stood["not_before"] is None else datetime.fromisoformat(stood["not_before"])
    match status, reason:
        case Status.HELD, Reason():
            stays: Outcome = Hold(reason, stood["detail"])
        case Status.PARKED, Reason() if blocked or REASONS[reason].scope is Scope.BILLING:
            stays = Park(reason, stood["detail"])
        case _:
            return waiting_again(billing, not_before=not_before)
    return replace(land(billing, billing.policy, stays, now), not_before=not_before)


def _restore(connection: Connection, ledger: Ledger, by: str, token_life: timedelta, settle: timedelta) -> Restored:
    if not ledger.is_sqlite:
        connection.execute(_LOCK_POSTGRESQL)
    now = instant_of(connection.execute(select(NOW), ledger.shift).scalar_one())
    ended = audit.newest(connection)
    token_until = now + token_life
    doubted: dict[TenantId, int] = defaultdict(int)
    lost: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for row in connection.execute(_UNFINISHED):
        billing = billing_of(row)
        if row.last_verdict == "acted" and billing.status not in (Status.WAITING, Status.CLAIMED):
            continue
        if not row.is_called:
            lost.append(_lost_call(row, billing, now, token_until))
        landing = land(billing, billing.policy, _doubt(row, billing, token_until + settle), now)
        moved.append(
            {"moved": billing.id, "why": landing.reason, "facts": landing.detail, "changed": now},
        )
        entries.append(_audited(billing, landing))
        doubted[billing.tenant] += 1
    connection.execute(_DOUBT_LONGER, {"token_until": token_until, "before": _WAS_CALLED})
    if lost:
        connection.execute(_LOST_CALL, lost)
    if moved:
        connection.execute(_INTO_DOUBT, moved)
    leases.forget_all(connection)
    for statement in (_READ_CONTRACTS_ANEW, _READ_INVOICES_ANEW, _LIST_ANEW):
        connection.execute(statement)
    audit.record_all(connection, ledger, by, "put_in_doubt", entries)
    facts = {"ended_at": audit.text_of(ended.at) if ended else None, "in_doubt": sum(doubted.values())}
    said = audit.record(connection, ledger, by, RESTORED, before={}, after=facts)
    of_each = [
        audit.entry(
            row.id,
            None,
            None,
            {},
            {**facts, "in_doubt": doubted.get(row.id, 0), "newest_invoice": row.newest_invoice or 0},
        )
        for row in connection.execute(_NEWEST_INVOICES)
    ]
    audit.record_all(connection, ledger, by, RESTORED, of_each)
    connection.execute(_SAID, {"said_at": said.at})
    return Restored(dict(doubted), ended)


def _doubt(row: Row[Any], billing: Billing, until: datetime) -> Doubt:
    """The doubt, with what a person sees of it. What was in doubt before is so for its own reason, and for longer."""
    proven = billing.step is not Step.CREATE or row.creates_proven
    sought = {} if billing.step is Step.DELIVER else sought_until(until, proven=proven)
    if billing.status is Status.IN_DOUBT and billing.reason is not None:
        return Doubt(billing.reason, {**billing.detail, **sought})
    words = [billing.status.value, *([billing.reason.value] if billing.reason else [])]
    return Doubt(Reason.OLD_LEDGER, {"stood as": ", ".join(words).replace("_", " "), **sought})


def _audited(billing: Billing, landing: Landing) -> dict[str, Any]:
    after = replace(
        billing, status=landing.status, reason=landing.reason, detail=landing.detail, not_before=landing.not_before
    )
    return audit.entry(billing.tenant, billing.contract, billing.id, state_of(billing), state_of(after))


def _lost_call(row: Row[Any], billing: Billing, now: datetime, token_until: datetime) -> dict[str, Any]:
    """The call that may have been made in the time that was lost, for evidence to look for: at the latest now."""
    return {
        "of_billing": billing.id,
        "at_step": billing.step.value,
        "called": now,
        "expires": token_until,
        "newest": row.newest_invoice,
        "before": {
            "status": billing.status.value,
            "reason": billing.reason.value if billing.reason else None,
            "detail": dict(billing.detail),
            "not_before": audit.text_of(billing.not_before),
        },
    }


# All claims and changes take one of these first.
_LOCK_POSTGRESQL = text("SELECT id FROM tenants ORDER BY id FOR NO KEY UPDATE")
_of_step = and_(attempts.c.billing == billings.c.id, attempts.c.step == billings.c.step)
_UNFINISHED = (
    select(
        billings,
        tenants.c.newest_invoice,
        tenants.c.creates_proven,
        exists(select(attempts.c.id).where(_of_step, attempts.c.verdict.is_(None))).label("is_called"),
        select(attempts.c.verdict)
        .where(_of_step)
        .order_by(attempts.c.id.desc())
        .limit(1)
        .scalar_subquery()
        .label("last_verdict"),
    )
    .join(tenants, tenants.c.id == billings.c.tenant)
    .where(text(f"billings.{IS_OPEN}"))
    .order_by(billings.c.tenant, billings.c.id)
)
_LOST_CALL = insert(attempts).values(
    billing=bindparam("of_billing"),
    step=bindparam("at_step"),
    called_at=bindparam("called"),
    claimed_by=BY_THE_LOST,
    token_expires_at=bindparam("expires"),
    newest_invoice_before=bindparam("newest"),
    stood=bindparam("before"),
)
# A call that was in doubt may have been found in vain in the time that was lost, and made once more.
_WAS_CALLED: Mapping[str, object] = {"status": Status.IN_DOUBT.value, "reason": None, "detail": {}, "not_before": None}
_DOUBT_LONGER = (
    update(attempts)
    .where(attempts.c.verdict.is_(None))
    .values(
        token_expires_at=case(
            (attempts.c.token_expires_at < bindparam("token_until"), bindparam("token_until")),
            else_=attempts.c.token_expires_at,
        ),
        stood=func.coalesce(attempts.c.stood, bindparam("before", type_=attempts.c.stood.type)),
    )
)
_INTO_DOUBT = (
    update(billings)
    .where(billings.c.id == bindparam("moved"))
    .values(
        status=Status.IN_DOUBT.value,
        reason=bindparam("why"),
        detail=bindparam("facts"),
        token=None,
        lease_until=None,
        not_before=None,
        changed_at=bindparam("changed"),
    )
)
_LONG_AGO: ColumnElement[int] = literal_column("0")
"""In a column that tells when something was read: before all that can be read from now on."""
_READ_CONTRACTS_ANEW = update(contracts).values(read_at=_LONG_AGO)
_newest_invoice = select(tenants.c.newest_invoice).where(tenants.c.id == invoices.c.tenant).scalar_subquery()
_READ_INVOICES_ANEW = (
    update(invoices)
    .where(invoices.c.read_at.is_not(None))
    .values(
        # Those that a look will meet are read whole once more: what a list shows does not bring all of it up to date.
        read_at=case((invoices.c.number > func.coalesce(_newest_invoice, 0), None), else_=_LONG_AGO),
        listed_at=None,
    )
)
_NEWEST_INVOICES = select(tenants.c.id, tenants.c.newest_invoice).order_by(tenants.c.id)
_LIST_ANEW = update(tenants).values(listed_at=None, all_listed_at=None, facts_on=None, customers_at=None)
_SAID = update(bureau).values(restored_at=bindparam("said_at"))
