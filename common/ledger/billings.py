"""The protocol of a billing: claim, call, settle; and what a person may do (design, section 5, rules 2 to 4, 7 to 9).

Every change is a compare-and-set in one transaction together with its audit. Nothing here may ever make a create
callable that may have taken effect: not for a retry, not for a late answer, not for a person in a hurry.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, exists, func, insert, or_, select, text, update

from common.clock import STOCKHOLM, boottime
from common.ids import AttemptId, BillingId, InvoiceNumber
from common.ledger import audit, blocks, invoices, policies, tenants, transitions
from common.ledger.billing_rows import attempts_of as attempts
from common.ledger.billing_rows import (
    billing_of,
    carried_out,
    counts,
    expired,
    find,
    get,
    may_have_acted,
    ready,
    seekers,
)
from common.ledger.columns import Instant, microseconds
from common.ledger.database import NOW, Ledger, instant_of
from common.ledger.outcomes import (
    Again,
    Answer,
    Booked,
    Delivered,
    Doubt,
    Hold,
    Made,
    Outcome,
    Park,
    Refusal,
    Refused,
    Seek,
    Void,
)
from common.ledger.records import AttemptVerdict, Billing, Claim
from common.ledger.rejudging import held_by_caution
from common.ledger.schema import IS_UNDER_WAY, bureau, contracts, unindexed, word
from common.ledger.schema import attempts as attempts_table
from common.ledger.schema import billings as billings_table
from common.ledger.schema import invoices as invoices_table
from common.ledger.schema import tenants as tenants_table
from common.ledger.transitions import Landing, is_held_for_tax, is_left_out, land, onward
from common.rules import due
from common.rules.policy import Policy
from common.rules.reasons import REASONS, Reason, Scope
from common.rules.states import FINAL, Status, Step

__all__ = [
    "Again",
    "Answer",
    "Booked",
    "Delivered",
    "Doubt",
    "Hold",
    "Made",
    "NotPossible",
    "Outcome",
    "Park",
    "Refusal",
    "Refused",
    "Seek",
    "Void",
    "approve",
    "attempts",
    "carried_out",
    "claim",
    "counts",
    "expired",
    "find",
    "get",
    "give_back",
    "move",
    "ready",
    "resolve",
    "retry",
    "seekers",
    "settle",
    "skip",
    "take_over",
]

_UNRESOLVED = frozenset({Status.SEEKING, Status.IN_DOUBT})


class NotPossible(Exception):  # noqa: N818 - what a person is told, not a fault
    """A person asked for what the billing's state does not allow. The message says why, and what to do."""


async def claim(
    ledger: Ledger,
    billing: BillingId,
    step: Step,
    *,
    by: str,
    lease: timedelta,
    token_expires_at: datetime,
    newest_invoice: InvoiceNumber | None,
) -> Claim | Refused:
    """Takes the right to make one call, and writes that it is made (rule 2). Ask for it when all else is at hand.

    When this returns a `Claim`, its commit is confirmed: the request may leave at once, and only until `held_until`. If
    it raises, nothing may be called; had the commit got through after all, the lease runs out into doubt.

    Parameters:
      by: the worker.
      lease: how long the call may take at the longest, with what follows it.
      token_expires_at: of the access token that the call will carry: evidence waits for that (design, section 6).
      newest_invoice: the highest invoice number of the company seen before the call.
    """
    held_until = boottime() + lease.total_seconds()
    token = secrets.token_urlsafe(16)

    def work(connection: Connection) -> Claim | Refused:
        if not ledger.is_sqlite:
            connection.execute(_LOCK_POSTGRESQL, {"billing": billing})
        row = connection.execute(_STANDING, {"billing": billing, **ledger.shift}).one_or_none()
        if row is None:
            return Refused(Refusal.GONE)
        current = billing_of(row)
        policy = _policy_in_force(row, current)
        now = instant_of(row.now)
        if refusal := _refusal(row, current, step, policy, now):
            return Refused(refusal)
        if landing := _passed_or_held(connection, row, current, policy, now):
            _move(connection, ledger, current, landing, by, "policy_applied", now)
            return Refused(_why(step, landing))
        dated = _date_at_call(current, now)
        facts = {
            "billing": billing,
            "at_step": step.value,
            "new_token": token,
            "lease": microseconds(lease),
            "dated": dated,
        }
        taken = connection.execute(_TAKE, {**facts, **ledger.shift}).one_or_none()
        if taken is None:
            return Refused(Refusal.TAKEN)
        attempt = AttemptId(
            (
                connection.execute(
                    _ATTEMPT,
                    {
                        "of_billing": billing,
                        "of_step": step.value,
                        "called": taken.called_at,
                        "worker": by,
                        "expires": token_expires_at,
                        "newest": newest_invoice,
                    },
                )
            ).scalar_one()
        )
        audit.record(
            connection,
            ledger,
            by,
            "claimed",
            tenant=current.tenant,
            contract=current.contract,
            billing=billing,
            before={"step": step.value, "status": Status.WAITING.value},
            after={
                "step": step.value,
                "status": Status.CLAIMED.value,
                "attempt": attempt,
                "lease_until": audit.text_of(taken.lease_until),
                **({"invoice_date": str(dated)} if dated != current.invoice_date else {}),
            },
        )
        claimed = replace(
            current,
            status=Status.CLAIMED,
            invoice_date=dated,
            reason=None,
            detail={},
            not_before=None,
            called_at=taken.called_at,
            lease_until=taken.lease_until,
            changed_at=taken.called_at,
        )
        return Claim(claimed, policy, attempt, token, held_until)

    return await ledger.transact(work)


async def settle(ledger: Ledger, claim: Claim, answer: Answer, to: Outcome) -> bool:
    """Writes what came back from the call, always (rule 4), and moves the billing if the claim still holds it.

    An answer without a verdict leaves the billing in doubt, whatever `to` says. A late "acted" on a billing that was
    set waiting again meanwhile puts it back in doubt: its call must not be repeated.

    Returns:
      Whether the billing moved.

    Raises:
      ValueError: `to` is no outcome of the step.
    """
    step = claim.billing.step
    if not transitions.fits(step, to):
        raise ValueError(f"{type(to).__name__} is no outcome of the step {step}")
    if answer.verdict is None and not isinstance(to, Doubt):
        to = Doubt(Reason.NO_ANSWER, {"answer": answer.message} if answer.message else {})

    def work(connection: Connection) -> bool:
        row = _standing(connection, ledger, claim.billing.id, to, claim.attempt)
        if row is None:
            return False
        note = to.note if isinstance(to, Delivered) else ""
        stored = (
            connection.execute(
                _ANSWERED,
                {
                    "attempt": claim.attempt,
                    "status_code": answer.http_status,
                    "fortnox_code": answer.code,
                    "said": answer.message,
                    "uid": answer.x_uid,
                    "new_verdict": answer.verdict,
                    "new_note": note,
                    **ledger.shift,
                },
            )
        ).one()
        current = billing_of(row)
        if row.token == claim.token and current.status is Status.CLAIMED and current.step is step:
            _apply(connection, ledger, row, current, to, stored.claimed_by, proves=answer.verdict == "acted")
            return True
        _store_late(connection, ledger, row, current, claim, answer, to, stored.claimed_by)
        return False

    return await ledger.transact(work)


async def move(ledger: Ledger, billing: BillingId, step: Step, to: Outcome, by: str) -> bool:
    """Changes a waiting billing without a call, as when freshness finds it moved or its invoice made by hand.

    Returns:
      `False`: it does not wait at this step any more, and nothing was changed.
    """

    def work(connection: Connection) -> bool:
        row = _standing(connection, ledger, billing, to)
        if row is None:
            return False
        current = billing_of(row)
        if current.step is not step or current.status is not Status.WAITING:
            return False
        _apply(connection, ledger, row, current, to, by, proves=False)
        return True

    return await ledger.transact(work)


async def give_back(
    ledger: Ledger, billing: BillingId, step: Step, *, delay: timedelta, reason: Reason, by: str = "worker"
) -> bool:
    """A waiting billing waits on, at least `delay` from now. Returns as `move`."""
    return await move(ledger, billing, step, Again(reason, delay, failed=False), by)


async def resolve(
    ledger: Ledger,
    billing: BillingId,
    step: Step,
    to: Outcome,
    by: str,
    *,
    verdict: AttemptVerdict | None,
    note: str,
) -> bool:
    """Moves a billing whose outcome was sought or in doubt, on evidence or on a person's word.

    Parameters:
      verdict: what is now known of the newest attempt of the step; `None` = nothing new.
      note: the evidence, in words.

    Returns:
      `False`: it is not sought or in doubt at this step any more, and nothing was changed.

    Raises:
      ValueError: an attempt would be left without a verdict by an outcome that needs one.
    """

    def work(connection: Connection) -> bool:
        row = _standing(connection, ledger, billing, to)
        if row is None:
            return False
        current = billing_of(row)
        if current.step is not step or current.status not in _UNRESOLVED:
            return False
        if verdict is not None:
            facts = {"of_billing": billing, "at_step": step.value, "new_verdict": verdict, "new_note": note}
            connection.execute(_VERDICT, facts)
        elif row.open_attempt and not isinstance(to, Seek | Doubt):
            raise ValueError(f"billing {billing} cannot leave doubt while nobody says what became of its call")
        _apply(connection, ledger, row, current, to, by, proves=verdict == "acted", note=note)
        return True

    return await ledger.transact(work)


async def take_over(ledger: Ledger, billing: BillingId, by: str = "sweeper") -> bool:
    """A claim past its lease: nobody knows whether the call was made, so the billing is in doubt (rule 4).

    Returns:
      `False`: it is not claimed any more, or its lease still runs.
    """

    def work(connection: Connection) -> bool:
        to = Doubt(Reason.NO_ANSWER)
        row = _standing(connection, ledger, billing, to)
        if row is None:
            return False
        current = billing_of(row)
        if current.status is not Status.CLAIMED or current.lease_until is None:
            return False
        if current.lease_until >= instant_of(row.now):
            return False
        _apply(connection, ledger, row, current, to, by, proves=False)
        return True

    return await ledger.transact(work)


async def approve(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """A person's yes: HELD -> WAITING on the same step, and never held for that reason again.

    Raises:
      NotPossible: it is not held.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        if current.status is not Status.HELD:
            raise NotPossible(
                f"Billing {billing} cannot be approved: it is {current.status.value}, and only a held one waits for "
                "a yes. See what it needs: avtalsmotor billings show"
            )
        yes = current.approved | {current.reason} if current.reason else current.approved
        landing = _waiting_again(current, not_before=current.not_before)
        return _move(connection, ledger, current, landing, by, "approved", instant_of(row.now), approved=yes)

    return await ledger.transact(work)


async def retry(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """A person has mended it: PARKED -> WAITING on the same step; a blocked company's first is the probe (rule 7).

    Also a waiting one that a block stops, which then becomes the probe; and one in doubt all of whose calls are known
    to have done nothing.

    Raises:
      NotPossible: a call of it may have taken effect, or it is not stopped by anything that a retry could pass.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        if row.may_have_acted:
            raise NotPossible(
                f"Billing {billing} cannot be retried: a call of its step {current.step.value} may have taken effect, "
                "and would be made twice. Look for the effect in Fortnox; what is found there decides it."
            )
        if current.status not in (Status.PARKED, Status.IN_DOUBT, Status.WAITING):
            raise NotPossible(
                f"Billing {billing} cannot be retried: it is {current.status.value}, not parked. "
                "See what it needs: avtalsmotor billings show"
            )
        if current.status is Status.WAITING and not row.blocked:
            raise NotPossible(
                f"Billing {billing} cannot be retried: it is waiting already, and nothing stops it. It goes by itself."
            )
        probing = blocks.choose_probe(connection, current.tenant, current.step, billing)
        action = "retried_as_probe" if probing else "retried"
        return _move(connection, ledger, current, _waiting_again(current), by, action, instant_of(row.now))

    return await ledger.transact(work)


async def skip(ledger: Ledger, billing: BillingId, by: str, why: str) -> Billing:
    """A person says that it is not to be finished -> SKIPPED; its period is not planned again.

    Raises:
      NotPossible: it is final already, or a call of it is under way or in doubt.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        if current.status in FINAL or current.status is Status.CLAIMED or current.status in _UNRESOLVED:
            raise NotPossible(
                f"Billing {billing} cannot be skipped: it is {current.status.value}. "
                "What is under way or in doubt must come to an end first; what is final stays."
            )
        landing = replace(_waiting_again(current), status=Status.SKIPPED, detail={"why": why} if why else {})
        if row.is_probe:
            blocks.release_probe(connection, billing)
        return _move(connection, ledger, current, landing, by, "skipped", instant_of(row.now))

    return await ledger.transact(work)


# What a claim decides ------------------------------------------------------------------------------------------------


def _why(step: Step, landing: Landing) -> Refusal:
    if landing.step is step and landing.status is Status.HELD:
        return Refusal.HELD
    if landing.step is step and landing.status is Status.WAITING:
        return Refusal.NOT_YET
    return Refusal.PASSED_OVER


def _refusal(row: Row[Any], billing: Billing, step: Step, policy: Policy, now: datetime) -> Refusal | None:
    if billing.step is not step or billing.status in FINAL:
        return Refusal.GONE
    if billing.status is not Status.WAITING:
        return Refusal.TAKEN
    checks = (
        (Refusal.NOT_YET, billing.not_before is not None and billing.not_before > now),
        (Refusal.PAUSED, row.bureau_paused or row.tenant_paused or row.contract_paused),
        (Refusal.PROPOSAL, policy.mode != "live"),
        (Refusal.HAS_INVOICE, step is Step.CREATE and billing.invoice is not None),
        (Refusal.NO_VERDICT, row.may_have_acted),
        (Refusal.BLOCKED, row.blocked),
        (Refusal.ALONE, step is Step.CREATE and not row.creates_proven and row.create_under_way),
    )
    return next((refusal for refusal, applies in checks if applies), None)


def _passed_or_held(
    connection: Connection, row: Row[Any], billing: Billing, policy: Policy, now: datetime
) -> Landing | None:
    """Where a change of policy towards caution takes the billing instead of to its call (rule 8), if it does."""
    if is_left_out(billing.step, billing, policy, handmade=billing.handmade):
        return onward(billing, policy, now)
    if billing.step is Step.CREATE:
        held = None if policy == billing.policy else held_by_caution(connection, billing, policy, now)
        return None if held is None else land(billing, policy, held, now)
    if is_held_for_tax(billing, policy, row.tax_reduction):
        return land(billing, policy, Hold(Reason.TAX_REDUCTION, {"tax_reduction": row.tax_reduction}), now)
    opens = due.deliver_not_before(policy, now) if billing.step is Step.DELIVER else None
    return None if opens is None else _waiting_again(billing, not_before=opens)


def _date_at_call(billing: Billing, now: datetime) -> date:
    """The date that the invoice gets: the planned one, or today if that has passed meanwhile (design, section 8)."""
    if billing.step is not Step.CREATE:
        return billing.invoice_date
    return max(billing.invoice_date, now.astimezone(STOCKHOLM).date())


# What a change writes ------------------------------------------------------------------------------------------------


def _apply(
    connection: Connection,
    ledger: Ledger,
    row: Row[Any],
    billing: Billing,
    to: Outcome,
    by: str,
    *,
    proves: bool,
    note: str = "",
) -> None:
    """Carries out an outcome on a billing that the caller has found in the state that it may be moved from."""
    now = instant_of(row.now)
    seen = to.invoice if isinstance(to, Made | Booked | Delivered) else None
    if isinstance(to, Made) and row.owner is not None:
        # Not ours to take, so it is not the invoice that our call made: that one is still to be found.
        detail = {"invoice": str(to.invoice.number), "belongs to billing": str(row.owner)}
        to = Doubt(Reason.NUMBER_UNKNOWN, detail)
    landing = land(billing, _policy_in_force(row, billing), to, now)
    _move(connection, ledger, billing, landing, by, _ACTIONS[type(to)], now, note=note)
    if seen is not None:
        invoices.take_in(connection, ledger, [seen])
    if isinstance(to, Made) and proves and landing.invoice is not None and not row.creates_proven:
        tenants.prove_creates(connection, ledger, billing.tenant, by)
    if isinstance(to, Park) and REASONS[to.reason].scope is Scope.TENANT:
        stopped = blocks.step_stopped_by(billing.step, to.reason)
        blocks.put_in(connection, ledger, billing.tenant, stopped, to.reason, to.detail, by)
    if row.is_probe and proves and isinstance(to, Made | Booked | Delivered | Seek):
        blocks.clear_probed(connection, ledger, billing.id, by)
    elif row.is_probe and (landing.step, landing.status) not in _STILL_PROBING[billing.step]:
        blocks.release_probe(connection, billing.id)


def _move(
    connection: Connection,
    ledger: Ledger,
    billing: Billing,
    landing: Landing,
    by: str,
    action: str,
    now: datetime,
    *,
    note: str = "",
    approved: Collection[Reason] | None = None,
) -> Billing:
    """The compare-and-set from the state that was read, and its audit."""
    approved = billing.approved if approved is None else frozenset(approved)
    moved = connection.execute(
        _MOVE,
        {
            "billing": billing.id,
            "old_step": billing.step.value,
            "old_status": billing.status.value,
            "new_step": landing.step.value,
            "new_status": landing.status.value,
            "new_reason": landing.reason.value if landing.reason else None,
            "new_detail": landing.detail,
            "new_invoice": landing.invoice,
            "new_handmade": landing.handmade,
            "new_made_total": landing.made_total,
            "new_made_rows": landing.made_rows,
            "new_approved": " ".join(sorted(reason.value for reason in approved)),
            "new_not_before": landing.not_before,
            "new_failures": landing.failures,
            "changed": now,
        },
    )
    if moved.rowcount != 1:
        raise RuntimeError(f"billing {billing.id} changed while it was locked")
    after = replace(
        billing,
        step=landing.step,
        status=landing.status,
        reason=landing.reason,
        detail=landing.detail,
        invoice=landing.invoice,
        handmade=landing.handmade,
        made_total=landing.made_total,
        made_rows=landing.made_rows,
        approved=frozenset(approved),
        not_before=landing.not_before,
        failures=landing.failures,
        lease_until=None,
        changed_at=now,
    )
    told = {"note": note} if note else {}
    audit.record(
        connection,
        ledger,
        by,
        action,
        tenant=billing.tenant,
        contract=billing.contract,
        billing=billing.id,
        before=_state_of(billing),
        after={**_state_of(after), **told},
    )
    return after


def _store_late(
    connection: Connection,
    ledger: Ledger,
    row: Row[Any],
    billing: Billing,
    claim: Claim,
    answer: Answer,
    to: Outcome,
    by: str,
) -> None:
    """What a worker that has lost its claim still knows: its answer is on the attempt; what it saw is in the mirror."""
    if isinstance(to, Made | Booked | Delivered) and to.invoice is not None:
        invoices.take_in(connection, ledger, [to.invoice])
    if row.answered_at is not None:
        return
    acted_after_all = answer.verdict == "acted" and billing.step is claim.billing.step
    if acted_after_all and billing.status is Status.WAITING:
        now = instant_of(row.now)
        landing = land(billing, billing.policy, Doubt(Reason.NO_ANSWER, {"answer": "came late"}), now)
        _move(connection, ledger, billing, landing, by, "answered_late", now)
        return
    known = {"attempt": claim.attempt, "verdict": answer.verdict, "http_status": answer.http_status}
    audit.record(
        connection,
        ledger,
        by,
        "answered_late",
        tenant=billing.tenant,
        contract=billing.contract,
        billing=billing.id,
        before=_state_of(billing),
        after={**_state_of(billing), **known},
    )


def _waiting_again(billing: Billing, *, not_before: datetime | None = None) -> Landing:
    """The same step once more, with nothing held against it."""
    return Landing(
        step=billing.step,
        status=Status.WAITING,
        invoice=billing.invoice,
        handmade=billing.handmade,
        made_total=billing.made_total,
        made_rows=billing.made_rows,
        not_before=not_before,
    )


def _policy_in_force(row: Row[Any], billing: Billing) -> Policy:
    now = policies.effective(row.bureau_choice, row.tenant_choice, row.template_choice, row.contract_choice)
    return policies.caution(billing.policy, now)


def _state_of(billing: Billing) -> dict[str, object]:
    """What the audit says of a billing before and after."""
    state: dict[str, object] = {"step": billing.step.value, "status": billing.status.value}
    optional = {
        "reason": billing.reason.value if billing.reason else None,
        "detail": dict(billing.detail),
        "invoice": billing.invoice,
        "not_before": audit.text_of(billing.not_before),
        "failures": billing.failures,
        "approved": sorted(reason.value for reason in billing.approved),
    }
    return state | {name: value for name, value in optional.items() if value}


def _standing(
    connection: Connection,
    ledger: Ledger,
    billing: BillingId,
    to: Outcome | None,
    attempt: AttemptId | None = None,
) -> Row[Any] | None:
    """The billing with what a change of it depends on, locked."""
    if not ledger.is_sqlite:
        connection.execute(_LOCK_POSTGRESQL, {"billing": billing})
    number = to.invoice.number if isinstance(to, Made) else None
    facts = {"billing": billing, "claims_invoice": number, "of_attempt": attempt, **ledger.shift}
    return connection.execute(_STANDING, facts).one_or_none()


def _for_person(connection: Connection, ledger: Ledger, billing: BillingId) -> tuple[Row[Any], Billing]:
    row = _standing(connection, ledger, billing, None)
    if row is None:
        raise NotPossible(f"Billing {billing} does not exist. List them: avtalsmotor billings list")
    return row, billing_of(row)


_ACTIONS: Mapping[type, str] = {
    Seek: "sought",
    Made: "made",
    Booked: "bookkept",
    Delivered: "delivered",
    Doubt: "put_in_doubt",
    Park: "parked",
    Hold: "held",
    Again: "set_waiting",
    Void: "voided",
}

_STILL_PROBING = {
    step: frozenset((step, status) for status in (Status.WAITING, Status.CLAIMED, Status.SEEKING, Status.IN_DOUBT))
    for step in Step
}

# The statements ------------------------------------------------------------------------------------------------------

# Every claim and change of a company's billings takes this lock first, pauses and policies take it too: so what is read
# after it is what holds at the commit. In two statements, since what one statement reads is as of before it waited.
_LOCK_POSTGRESQL = text(
    """
    SELECT tenants.id FROM billings
    JOIN tenants ON tenants.id = billings.tenant
    JOIN bureau ON bureau.id = 1
    WHERE billings.id = :billing
    FOR NO KEY UPDATE OF tenants
    FOR SHARE OF bureau
    """
)

_other = billings_table.alias("other")
_STANDING = (
    select(
        billings_table,
        NOW.label("now"),
        bureau.c.paused.label("bureau_paused"),
        tenants_table.c.paused.label("tenant_paused"),
        tenants_table.c.creates_proven,
        func.coalesce(contracts.c.paused, False).label("contract_paused"),
        invoices_table.c.tax_reduction,
        may_have_acted().label("may_have_acted"),
        exists(
            select(attempts_table.c.id).where(
                attempts_table.c.billing == billings_table.c.id, attempts_table.c.verdict.is_(None)
            )
        ).label("open_attempt"),
        blocks.blocked(billings_table.c.tenant, billings_table.c.step, billings_table.c.id).label("blocked"),
        blocks.probes(billings_table.c.id).label("is_probe"),
        exists(
            select(_other.c.id).where(
                _other.c.tenant == billings_table.c.tenant,
                _other.c.step == word("create"),
                text(IS_UNDER_WAY.replace("status", "other.status")),
            )
        ).label("create_under_way"),
        select(_other.c.id)
        .where(
            _other.c.tenant == billings_table.c.tenant,
            _other.c.invoice == bindparam("claims_invoice", None),
            _other.c.id != billings_table.c.id,
        )
        .scalar_subquery()
        .label("owner"),
        select(attempts_table.c.answered_at)
        .where(attempts_table.c.id == bindparam("of_attempt", None))
        .scalar_subquery()
        .label("answered_at"),
        *policies.levels_in_force(billings_table.c.tenant, billings_table.c.contract),
    )
    .join(tenants_table, tenants_table.c.id == billings_table.c.tenant)
    .join(bureau, bureau.c.id == 1)
    .outerjoin(
        contracts,
        and_(contracts.c.tenant == billings_table.c.tenant, contracts.c.number == billings_table.c.contract),
    )
    .outerjoin(
        invoices_table,
        and_(invoices_table.c.tenant == billings_table.c.tenant, invoices_table.c.number == billings_table.c.invoice),
    )
    .where(billings_table.c.id == bindparam("billing"))
    .with_for_update(of=billings_table)
)

# The conditions that rules 2 and 3 are about stand here once more: no bug above may get past them.
_TAKE = (
    update(billings_table)
    .where(
        billings_table.c.id == bindparam("billing"),
        unindexed(billings_table.c.step) == bindparam("at_step"),
        billings_table.c.status == word("waiting"),
        or_(billings_table.c.not_before.is_(None), billings_table.c.not_before <= NOW),
        or_(billings_table.c.step != word("create"), billings_table.c.invoice.is_(None)),
        ~may_have_acted(),
    )
    .values(
        status="claimed",
        invoice_date=bindparam("dated"),
        token=bindparam("new_token"),
        called_at=NOW,
        lease_until=NOW + bindparam("lease", type_=Instant.impl),
        not_before=None,
        reason=None,
        detail={},
        changed_at=NOW,
    )
    .returning(billings_table.c.called_at, billings_table.c.lease_until)
)

_ATTEMPT = (
    insert(attempts_table)
    .values(
        billing=bindparam("of_billing"),
        step=bindparam("of_step"),
        called_at=bindparam("called"),
        claimed_by=bindparam("worker"),
        token_expires_at=bindparam("expires"),
        newest_invoice_before=bindparam("newest"),
    )
    .returning(attempts_table.c.id)
)

# What evidence has seen stands: a late answer may make a verdict surer, never take "acted" back.
_ANSWERED = (
    update(attempts_table)
    .where(attempts_table.c.id == bindparam("attempt"))
    .values(
        answered_at=NOW,
        http_status=bindparam("status_code"),
        code=bindparam("fortnox_code"),
        message=bindparam("said"),
        x_uid=bindparam("uid"),
        verdict=case(
            (attempts_table.c.verdict == word("acted"), attempts_table.c.verdict),
            else_=func.coalesce(
                bindparam("new_verdict", type_=attempts_table.c.verdict.type), attempts_table.c.verdict
            ),
        ),
        note=case((bindparam("new_note") == "", attempts_table.c.note), else_=bindparam("new_note")),
    )
    .returning(attempts_table.c.claimed_by)
)

_newer = attempts_table.alias("newer")
_VERDICT = (
    update(attempts_table)
    .where(
        attempts_table.c.id
        == select(func.max(_newer.c.id))
        .where(_newer.c.billing == bindparam("of_billing"), unindexed(_newer.c.step) == bindparam("at_step"))
        .scalar_subquery()
    )
    .values(verdict=bindparam("new_verdict"), note=bindparam("new_note"))
)

_MOVE = (
    update(billings_table)
    .where(
        billings_table.c.id == bindparam("billing"),
        unindexed(billings_table.c.step) == bindparam("old_step"),
        unindexed(billings_table.c.status) == bindparam("old_status"),
    )
    .values(
        step=bindparam("new_step"),
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        detail=bindparam("new_detail"),
        invoice=bindparam("new_invoice"),
        handmade=bindparam("new_handmade"),
        made_total=bindparam("new_made_total"),
        made_rows=bindparam("new_made_rows"),
        approved=bindparam("new_approved"),
        not_before=bindparam("new_not_before"),
        failures=bindparam("new_failures"),
        token=None,
        lease_until=None,
        changed_at=bindparam("changed"),
    )
)
