"""The claim: the only permission to make a call, and what refuses it (design, section 5, rules 2, 3, 7 and 8).

Nothing here may ever make a create callable that may have taken effect, or answer with a claim before its commit is
confirmed.
"""

import secrets
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from common.clock import STOCKHOLM, boottime
from common.ids import AttemptId, BillingId, InvoiceNumber
from common.ledger import audit, blocks, policies, tenants
from common.ledger.billing_changes import change, policy_in_force, read_locked
from common.ledger.billing_rows import billing_of
from common.ledger.billing_statements import ATTEMPT, TAKE
from common.ledger.columns import microseconds
from common.ledger.database import Ledger, instant_of
from common.ledger.outcomes import Hold, Refusal, Refused, Void
from common.ledger.records import Billing, Claim
from common.ledger.rejudging import held_by_caution
from common.ledger.transitions import Landing, is_held_for_tax, is_left_out, land, onward, waiting_again
from common.rules import due
from common.rules.plan import closed
from common.rules.policy import Policy
from common.rules.reasons import Reason
from common.rules.states import FINAL, Status, Step


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
        row = read_locked(connection, ledger, billing)
        if row is None:
            return Refused(Refusal.GONE)
        current = billing_of(row)
        policy = policy_in_force(row, current)
        now = instant_of(row.now)
        if refusal := _refusal(row, current, step, policy, now):
            return Refused(refusal)
        if landing := _withdrawn(row, current, now) or _passed_or_held(connection, row, current, policy, now):
            change(connection, ledger, current, landing, by, "policy_applied", now)
            if row.is_probe and (landing.step, landing.status) != (step, Status.WAITING):
                blocks.release_probe(connection, billing)
            return Refused(_why(step, landing))
        dated = _date_at_call(current, now)
        facts = {
            "billing": billing,
            "at_step": step.value,
            "new_token": token,
            "lease": microseconds(lease),
            "dated": dated,
        }
        taken = connection.execute(TAKE, {**facts, **ledger.shift}).one_or_none()
        if taken is None:
            return Refused(Refusal.TAKEN)
        attempt = AttemptId(
            (
                connection.execute(
                    ATTEMPT,
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
        mark = audit.record(
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
        return Claim(claimed, policy, attempt, token, held_until, mark, row.creates_proven)

    return await ledger.transact(work)


def _refusal(row: Row[Any], billing: Billing, step: Step, policy: Policy, now: datetime) -> Refusal | None:
    if billing.step is not step or billing.status in FINAL:
        return Refusal.GONE
    if billing.status is not Status.WAITING:
        return Refusal.TAKEN
    checks = (
        (Refusal.NOT_YET, billing.not_before is not None and billing.not_before > now),
        (Refusal.PAUSED, row.bureau_paused or row.tenant_paused or row.contract_paused),
        (Refusal.PRICE, step is Step.CREATE and row.price_awaited),
        (Refusal.PROPOSAL, policy.mode != "live"),
        (Refusal.HAS_INVOICE, step is Step.CREATE and billing.invoice is not None),
        (Refusal.NO_VERDICT, row.may_have_acted),
        (Refusal.BLOCKED, row.blocked),
        (Refusal.ALONE, step is Step.CREATE and not row.creates_proven and row.create_under_way),
    )
    return next((refusal for refusal, applies in checks if applies), None)


def _withdrawn(row: Row[Any], billing: Billing, now: datetime) -> Landing | None:
    """The end of a billing that was planned the evening before, if the due day has been moved on since by a policy."""
    created_on = billing.created_at.astimezone(STOCKHOLM).date()
    if billing.step is not Step.CREATE or created_on >= billing.due_on:
        return None
    chosen = policies.effective(row.bureau_choice, row.tenant_choice, row.template_choice, row.contract_choice)
    if due.due_on(billing.period, chosen) <= now.astimezone(STOCKHOLM).date():
        return None
    return land(billing, billing.policy, Void(Reason.WITHDRAWN), now)


def _passed_or_held(
    connection: Connection, row: Row[Any], billing: Billing, policy: Policy, now: datetime
) -> Landing | None:
    """Where a change of policy towards caution (rule 8), or of the books, takes the billing instead of to its call."""
    if is_left_out(billing.step, billing, policy, handmade=billing.handmade):
        return onward(billing, policy, now)
    if billing.step is Step.CREATE:
        caution = None if policy == billing.policy else held_by_caution(connection, billing, policy, now)
        held = caution or _held_by_books(row, billing, now)
        return None if held is None else land(billing, policy, held, now)
    if is_held_for_tax(billing, policy, row.tax_reduction):
        return land(billing, policy, Hold(Reason.TAX_REDUCTION, {"tax_reduction": row.tax_reduction}), now)
    opens = due.deliver_not_before(policy, now) if billing.step is Step.DELIVER else None
    return None if opens is None else waiting_again(billing, not_before=opens)


def _held_by_books(row: Row[Any], billing: Billing, now: datetime) -> Hold | None:
    """The books may have been closed since the planning, and one that waited gets another date than it had then."""
    found = closed(tenants.books_of(row), _date_at_call(billing, now))
    return None if found is None or found[0] in billing.approved else Hold(*found)


def _why(step: Step, landing: Landing) -> Refusal:
    if landing.step is step and landing.status is Status.HELD:
        return Refusal.HELD
    if landing.step is step and landing.status is Status.WAITING:
        return Refusal.NOT_YET
    return Refusal.PASSED_OVER


def _date_at_call(billing: Billing, now: datetime) -> date:
    """The date that the invoice gets: the planned one, or today if that has passed meanwhile (design, section 8)."""
    if billing.step is not Step.CREATE:
        return billing.invoice_date
    return max(billing.invoice_date, now.astimezone(STOCKHOLM).date())
