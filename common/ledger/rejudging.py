"""Judges a planned billing anew where the policy has become more cautious than it was at planning (design, rule 8).

The rules decide, not this file: it only puts before them what they judged at planning, with the policy of now.
"""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, select

from common.clock import STOCKHOLM
from common.ledger import contracts
from common.ledger.billing_rows import BILLED, billed_of, is_last_word
from common.ledger.outcomes import Hold
from common.ledger.records import Billing
from common.ledger.schema import billings
from common.rules.plan import plan
from common.rules.policy import Policy
from common.rules.reasons import Reason

HISTORY = 3
"""How many of a contract's billings the rules are shown, the newest first."""


def held_by_caution(connection: Connection, billing: Billing, policy: Policy, now: datetime) -> Hold | None:
    """The hold that the billing meets under `policy` and not under its snapshot; `None` = it may go on.

    What both hold it for is not the change's doing: a person has said yes to it.
    """
    found = contracts.read(connection, billing.tenant, billing.contract)
    if found is None:
        return None
    contract = replace(
        found.view, status="ACTIVE", invoices_remaining=None, period=billing.period, total=billing.amount, paused=False
    )
    earlier = connection.execute(
        _EARLIER, {"of_tenant": billing.tenant, "of_contract": billing.contract, "start": billing.period.start}
    )
    # What only the passing of time can have changed since the planning is left out: it would hide the policy's doing,
    # since the rules name one reason, the first.
    history = [replace(billed_of(row), created_on=date.min, invoice_date=None) for row in earlier]
    policies = [billing.policy, policy]
    if billing.policy.catch_up == "hold" or Reason.CATCH_UP in billing.approved:
        policies = [one.model_copy(update={"catch_up": "invoice"}) for one in policies]
    today = now.astimezone(STOCKHOLM).date()
    before, verdict = plan([(contract, one, history) for one in policies], {}, today)
    if verdict.outcome != "hold" or verdict.reason in (before.reason, *billing.approved):
        return None
    return Hold(verdict.reason, dict(verdict.detail))


_EARLIER = (
    select(*BILLED)
    .where(
        billings.c.tenant == bindparam("of_tenant"),
        billings.c.contract == bindparam("of_contract"),
        billings.c.period_start < bindparam("start"),
        is_last_word(billings),
    )
    .order_by(billings.c.period_start.desc(), billings.c.generation.desc())
    .limit(HISTORY)
)
