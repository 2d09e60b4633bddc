"""Sets going what stands still after its invoice was made, and need not any more, without a person's word.

Only where the cause has passed, or there is nothing left to be done: what a person must decide stays hers. Nothing here
may ever move a billing of which a call may have taken effect.
"""

from functools import partial

from sqlalchemy import Connection, and_, bindparam, select, text

from common.ids import BillingId, TenantId
from common.ledger import blocks, policies
from common.ledger.billing_changes import change, policy_in_force, read_locked
from common.ledger.billing_rows import billing_of
from common.ledger.database import Ledger, instant_of
from common.ledger.records import Billing
from common.ledger.schema import billings, contracts, word
from common.ledger.transitions import is_left_out, onward, waiting_again
from common.rules.policy import Policy
from common.rules.reasons import Reason
from common.rules.states import Status, Step


async def pass_over(ledger: Ledger, tenant: TenantId, by: str) -> int:
    """What is held or parked at a step that the policy now leaves out goes on past it (design, section 5, rule 8).

    Returns how many billings did.
    """
    book = await policies.load(ledger, tenant)
    passed = 0
    for row in await ledger.fetch(_STANDING_STILL, {"of_tenant": tenant}):
        billing = billing_of(row)
        now = book.policy_of(tenant, row.template, billing.contract)
        if _has_nothing_to_do(billing, policies.caution(billing.policy, now)):
            passed += await ledger.transact(partial(_pass_over, ledger=ledger, billing=billing.id, by=by))
    return passed


def _pass_over(connection: Connection, ledger: Ledger, billing: BillingId, by: str) -> bool:
    row = read_locked(connection, ledger, billing)
    if row is None or row.may_have_acted:
        return False
    current, policy, now = billing_of(row), policy_in_force(row, billing_of(row)), instant_of(row.now)
    if not _has_nothing_to_do(current, policy):
        return False
    change(connection, ledger, current, onward(current, policy, now), by, "policy_applied", now)
    if row.is_probe:
        blocks.release_probe(connection, billing)
    return True


def _has_nothing_to_do(billing: Billing, policy: Policy) -> bool:
    """Whether it stands still at a step that the policy leaves out. What was made too early is for a person to keep or
    to cancel, whatever is to be done with it after that."""
    stands_still = billing.status in (Status.HELD, Status.PARKED) and billing.reason is not Reason.EARLY
    return stands_still and is_left_out(billing.step, billing, policy, handmade=billing.handmade)


async def go_on(ledger: Ledger, billing: BillingId, reason: Reason, by: str) -> bool:
    """What the billing was parked for has passed: PARKED -> WAITING on the same step. `False`: it is not any more."""

    def work(connection: Connection) -> bool:
        row = read_locked(connection, ledger, billing)
        if row is None or row.may_have_acted:
            return False
        current = billing_of(row)
        if current.status is not Status.PARKED or current.reason is not reason:
            return False
        change(connection, ledger, current, waiting_again(current), by, "set_waiting", instant_of(row.now))
        return True

    return await ledger.transact(work)


_STANDING_STILL = (
    select(billings, contracts.c.template)
    .outerjoin(contracts, and_(contracts.c.tenant == billings.c.tenant, contracts.c.number == billings.c.contract))
    .where(
        text("billings.status IN ('held', 'parked')"),
        billings.c.tenant == bindparam("of_tenant"),
        billings.c.step != word(Step.CREATE.value),
    )
    .order_by(billings.c.id)
)
