"""Judges a planned billing anew where the policy has become more cautious than it was at planning (design, rule 8).

The rules decide, not this file: it only puts before them what they judged at planning, with the policy of now.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from common.clock import STOCKHOLM
from common.ledger import contracts
from common.ledger.billing_rows import billing_of
from common.ledger.outcomes import Hold
from common.ledger.records import Billing
from common.ledger.schema import billings
from common.rules.plan import BilledView, plan
from common.rules.policy import Policy

HISTORY = 3
"""How many of a contract's billings the rules are shown, the newest first."""


def held_by_caution(connection: Connection, billing: Billing, policy: Policy, now: datetime) -> Hold | None:
    """The hold that the billing would have met, had it been planned under `policy`; `None` = it may go on."""
    found = contracts.read(connection, billing.tenant, billing.contract)
    if found is None:
        return None
    contract = replace(
        found.view, status="ACTIVE", invoices_remaining=None, period=billing.period, total=billing.amount, paused=False
    )
    earlier = connection.execute(
        _EARLIER, {"of_tenant": billing.tenant, "of_contract": billing.contract, "start": billing.period.start}
    )
    history = [billed_view(billing_of(row)) for row in earlier]
    today = now.astimezone(STOCKHOLM).date()
    verdict = next(iter(plan([(contract, policy, history)], {}, today)))
    if verdict.outcome != "hold" or verdict.reason in billing.approved:
        return None
    return Hold(verdict.reason, dict(verdict.detail))


def billed_view(billing: Billing) -> BilledView:
    """A billing as the rules see it."""
    return BilledView(
        period=billing.period,
        generation=billing.generation,
        step=billing.step,
        status=billing.status,
        amount=billing.amount,
        invoice_date=billing.invoice_date,
        created_on=billing.created_at.astimezone(STOCKHOLM).date(),
    )


_EARLIER = (
    select(billings)
    .where(
        billings.c.tenant == bindparam("of_tenant"),
        billings.c.contract == bindparam("of_contract"),
        billings.c.period_start < bindparam("start"),
        billings.c.status != "voided",
    )
    .order_by(billings.c.period_start.desc(), billings.c.generation.desc())
    .limit(HISTORY)
)
