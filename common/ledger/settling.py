"""Carries out an outcome: of a call, of a look before it, of evidence afterwards, of a lease that ran out.

Where the outcome takes the billing, `transitions` decides. Nothing here may ever lose what came back from a call, or
let a late or missing answer make it callable again (design, section 5, rules 4, 7 and 9).
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row

from common.ids import AttemptId, BillingId
from common.ledger import audit, blocks, early, invoices, tenants
from common.ledger.billing_changes import change, policy_in_force, read_locked, state_of
from common.ledger.billing_rows import billing_of
from common.ledger.billing_statements import ANSWERED, NEWEST_ATTEMPT, VERDICT
from common.ledger.database import Ledger, instant_of
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
    Seek,
    Void,
)
from common.ledger.records import AttemptVerdict, Billing, Claim
from common.ledger.restoring import stood_again
from common.ledger.transitions import fits, land
from common.rules.reasons import REASONS, Reason, Scope
from common.rules.states import UNRESOLVED, Status, Step


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
    if not fits(step, to):
        raise ValueError(f"{type(to).__name__} is no outcome of the step {step}")
    if answer.verdict is None and not isinstance(to, Doubt):
        to = Doubt(Reason.NO_ANSWER, {"answer": answer.message} if answer.message else {})

    def work(connection: Connection) -> bool:
        row = read_locked(connection, ledger, claim.billing.id, to, claim.attempt)
        if row is None:
            return False
        note = to.note if isinstance(to, Delivered) else ""
        stored = (
            connection.execute(
                ANSWERED,
                {
                    "attempt": claim.attempt,
                    "of_billing": claim.billing.id,
                    "called": claim.billing.called_at,
                    "status_code": answer.http_status,
                    "fortnox_code": answer.code,
                    "said": answer.message,
                    "uid": answer.x_uid,
                    "new_verdict": answer.verdict,
                    "new_note": note,
                    **ledger.shift,
                },
            )
        ).one_or_none()
        current = billing_of(row)
        if stored is None:
            # The claim was lost with the newer part of a ledger that was restored: evidence looks for what it did.
            return False
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
        row = read_locked(connection, ledger, billing, to)
        if row is None:
            return False
        current = billing_of(row)
        if current.step is not step or current.status is not Status.WAITING:
            return False
        _apply(connection, ledger, row, current, to, by, proves=False)
        return True

    return await ledger.transact(work)


async def resolve(
    ledger: Ledger,
    billing: BillingId,
    step: Step,
    to: Outcome,
    by: str,
    *,
    verdict: AttemptVerdict | None,
    note: str,
    standing: Collection[Status] = UNRESOLVED,
    looked_for: AttemptId | None = None,
    known: AttemptVerdict | None = None,
) -> bool:
    """Moves a billing whose outcome was sought or in doubt, on evidence or on a person's word.

    Parameters:
      verdict: what is now known of the newest attempt of the step; `None` = nothing new.
      note: the evidence, in words.
      standing: where it may stand; a person may also decide about what is parked.
      looked_for: the attempt that the look was about. A look that was held up must say nothing of a call made since,
        nor that nothing was done where the answer has come meanwhile. `None`: the newest, whatever is known of it.
      known: the verdict of that attempt as it was then; a person may say that nothing was done in spite of a yes.

    Returns:
      `False`: it does not stand there at this step any more, or the look is overtaken, and nothing was changed.

    Raises:
      ValueError: an attempt would be left without a verdict by an outcome that needs one.
    """

    def work(connection: Connection) -> bool:
        row = read_locked(connection, ledger, billing, to)
        if row is None:
            return False
        current = billing_of(row)
        if current.step is not step or current.status not in standing:
            return False
        if looked_for is not None and _is_overtaken(connection, billing, step, looked_for, verdict, known):
            return False
        if verdict is not None:
            facts = {"of_billing": billing, "at_step": step.value, "new_verdict": verdict, "new_note": note}
            judged = connection.execute(VERDICT, facts).one_or_none()
            if judged is not None and judged.stood is not None and isinstance(to, Again):
                _stand_again(connection, ledger, row, current, judged.stood, by, note)
                return True
        elif row.open_attempt and not isinstance(to, Seek | Doubt | Void):
            raise ValueError(f"billing {billing} cannot leave doubt while nobody says what became of its call")
        _apply(connection, ledger, row, current, to, by, proves=verdict == "acted", note=note)
        return True

    return await ledger.transact(work)


def _is_overtaken(
    connection: Connection,
    billing: BillingId,
    step: Step,
    looked_for: AttemptId,
    verdict: AttemptVerdict | None,
    known: AttemptVerdict | None,
) -> bool:
    newest = connection.execute(NEWEST_ATTEMPT, {"of_billing": billing, "at_step": step.value}).one_or_none()
    if newest is None or newest.id != looked_for:
        return True
    return verdict == "absent" and newest.verdict == "acted" != known


async def take_over(ledger: Ledger, billing: BillingId, by: str = "sweeper") -> bool:
    """A claim past its lease: nobody knows whether the call was made, so the billing is in doubt (rule 4).

    Returns:
      `False`: it is not claimed any more, or its lease still runs.
    """

    def work(connection: Connection) -> bool:
        to = Doubt(Reason.NO_ANSWER)
        row = read_locked(connection, ledger, billing, to)
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
        # Not ours to take, so it is not the invoice that our call made: that one is still to be found. Without a call
        # there is nothing to find: a person must say why an invoice stands whose billing was voided.
        detail = {"invoice": str(to.invoice.number), "belongs to billing": str(row.owner)}
        to = Doubt(Reason.NUMBER_UNKNOWN, detail) if proves else Park(Reason.UNVERIFIED, detail)
    landing = land(billing, policy_in_force(row, billing), to, now)
    change(connection, ledger, billing, landing, by, _ACTIONS[type(to)], now, note=note)
    if seen is not None:
        invoices.take_in(connection, ledger, [seen])
    if isinstance(to, Made) and to.early is not None and landing.step is not Step.CREATE:
        early.take_in(connection, ledger, billing, to.early, by, now)
    if isinstance(to, Made) and proves and not to.handmade and landing.invoice and not row.creates_proven:
        tenants.prove_creates(connection, ledger, billing.tenant, by)
    if isinstance(to, Park) and REASONS[to.reason].scope is Scope.TENANT:
        stopped = blocks.step_stopped_by(billing.step, to.reason)
        blocks.put_in(connection, ledger, billing.tenant, stopped, to.reason, to.detail, by)
    if row.is_probe and proves and isinstance(to, Made | Booked | Delivered | Seek):
        blocks.clear_probed(connection, ledger, billing.id, by)
    elif row.is_probe and (landing.step, landing.status) not in _STILL_PROBING[billing.step]:
        blocks.release_probe(connection, billing.id)


def _stand_again(
    connection: Connection,
    ledger: Ledger,
    row: Row[Any],
    billing: Billing,
    stood: Mapping[str, Any],
    by: str,
    note: str,
) -> None:
    """The call that an old ledger may have lost was never made: the billing stands as it did there, and not freer."""
    now = instant_of(row.now)
    landing = stood_again(billing, stood, now, blocked=row.blocked)
    change(connection, ledger, billing, landing, by, "stood_again", now, note=note)
    if row.is_probe and landing.status is not Status.WAITING:
        blocks.release_probe(connection, billing.id)


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
        change(connection, ledger, billing, landing, by, "answered_late", now)
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
        before=state_of(billing),
        after={**state_of(billing), **known},
    )


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
