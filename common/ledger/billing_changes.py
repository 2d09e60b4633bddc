"""One change of one billing, as every part of the protocol makes it: lock and read, then compare-and-set and audit.

What it changes to is decided elsewhere (`claims`, `settling`, `by_person`). Nothing here may ever move a billing from
another state than the one that was read, or leave a move without its audit.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from common.ids import AttemptId, BillingId
from common.ledger import audit, policies
from common.ledger.billing_statements import LOCK_POSTGRESQL, MOVE, STANDING
from common.ledger.database import Ledger
from common.ledger.outcomes import Made, Outcome
from common.ledger.records import Billing
from common.ledger.transitions import Landing
from common.rules.policy import Policy
from common.rules.reasons import Reason


def read_locked(
    connection: Connection,
    ledger: Ledger,
    billing: BillingId,
    to: Outcome | None = None,
    attempt: AttemptId | None = None,
) -> Row[Any] | None:
    """The billing with what a change of it depends on, locked until the transaction ends; `None` if there is none.

    Parameters:
      to: what it is to become; of the invoice that it would be given, the row says which other billing owns it.
      attempt: of that one, the row says when its answer came.
    """
    if not ledger.is_sqlite:
        connection.execute(LOCK_POSTGRESQL, {"billing": billing})
    number = to.invoice.number if isinstance(to, Made) else None
    facts = {"billing": billing, "claims_invoice": number, "of_attempt": attempt, **ledger.shift}
    return connection.execute(STANDING, facts).one_or_none()


def policy_in_force(row: Row[Any], billing: Billing) -> Policy:
    """What its next call must follow: the stricter of what it was planned under and of what holds now (rule 8)."""
    now = policies.effective(row.bureau_choice, row.tenant_choice, row.template_choice, row.contract_choice)
    return policies.caution(billing.policy, now)


def change(
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
    """The compare-and-set from the state that was read, and its audit.

    Parameters:
      action: the audit's word for it.
      note: what the audit tells besides, in words.
      approved: the reasons that a person has said yes to; `None` leaves them as they are.

    Raises:
      RuntimeError: the billing is in another state than `billing` says, which the lock forbids.
    """
    approved = billing.approved if approved is None else frozenset(approved)
    moved = connection.execute(
        MOVE,
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
            "new_invoice_date": landing.invoice_date,
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
        invoice_date=landing.invoice_date,
        approved=frozenset(approved),
        not_before=landing.not_before,
        failures=landing.failures,
        lease_until=None,
        changed_at=now,
    )
    told = {"note": note} if note else {}
    if after.invoice_date != billing.invoice_date:
        told["invoice_date"] = str(after.invoice_date)
    audit.record(
        connection,
        ledger,
        by,
        action,
        tenant=billing.tenant,
        contract=billing.contract,
        billing=billing.id,
        before=state_of(billing),
        after={**state_of(after), **told},
    )
    return after


def state_of(billing: Billing) -> dict[str, object]:
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
