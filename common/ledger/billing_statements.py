"""The SQL of the protocol: how a billing is locked, read to decide, claimed, answered and moved, on both databases.

Nothing here runs anything, or may ever tell the time by another clock than the database's (`NOW`).
"""

from sqlalchemy import and_, bindparam, case, exists, func, insert, or_, select, text, update

from common.ledger import blocks, policies, price_waits
from common.ledger.billing_rows import may_have_acted
from common.ledger.columns import Instant
from common.ledger.database import NOW
from common.ledger.schema import (
    IS_UNDER_WAY,
    attempts,
    billings,
    bureau,
    contracts,
    invoices,
    tenants,
    unindexed,
    word,
)

# Every claim and change of a company's billings takes this lock first, pauses and policies take it too: so what is read
# after it is what holds at the commit. In two statements, since what one statement reads is as of before it waited.
LOCK_POSTGRESQL = text(
    """
    SELECT tenants.id FROM billings
    JOIN tenants ON tenants.id = billings.tenant
    JOIN bureau ON bureau.id = 1
    WHERE billings.id = :billing
    FOR NO KEY UPDATE OF tenants
    FOR SHARE OF bureau
    """
)

# All that a claim or a change depends on, in one read: the billing, what was called for it, what pauses or blocks it,
# and what each level of policy says; also whether a create of its company is under way (rule 7), and which other
# billing owns the invoice that this one is about to be given.
_other = billings.alias("other")
STANDING = (
    select(
        billings,
        NOW.label("now"),
        bureau.c.paused.label("bureau_paused"),
        tenants.c.paused.label("tenant_paused"),
        tenants.c.creates_proven,
        tenants.c.locked_until,
        tenants.c.years,
        func.coalesce(contracts.c.paused, False).label("contract_paused"),
        invoices.c.tax_reduction,
        may_have_acted().label("may_have_acted"),
        exists(select(attempts.c.id).where(attempts.c.billing == billings.c.id, attempts.c.verdict.is_(None))).label(
            "open_attempt"
        ),
        blocks.blocked(billings.c.tenant, billings.c.step, billings.c.id).label("blocked"),
        price_waits.is_awaited(billings).label("price_awaited"),
        blocks.probes(billings.c.id).label("is_probe"),
        exists(
            select(_other.c.id).where(
                _other.c.tenant == billings.c.tenant,
                _other.c.step == word("create"),
                text(IS_UNDER_WAY.replace("status", "other.status")),
            )
        ).label("create_under_way"),
        select(_other.c.id)
        .where(
            _other.c.tenant == billings.c.tenant,
            _other.c.invoice == bindparam("claims_invoice", None),
            _other.c.id != billings.c.id,
        )
        .scalar_subquery()
        .label("owner"),
        select(attempts.c.answered_at)
        .where(attempts.c.id == bindparam("of_attempt", None))
        .scalar_subquery()
        .label("answered_at"),
        *policies.levels_in_force(billings.c.tenant, billings.c.contract),
    )
    .join(tenants, tenants.c.id == billings.c.tenant)
    .join(bureau, bureau.c.id == 1)
    .outerjoin(
        contracts,
        and_(contracts.c.tenant == billings.c.tenant, contracts.c.number == billings.c.contract),
    )
    .outerjoin(
        invoices,
        and_(invoices.c.tenant == billings.c.tenant, invoices.c.number == billings.c.invoice),
    )
    .where(billings.c.id == bindparam("billing"))
    .with_for_update(of=billings)
)

# WAITING -> CLAIMED. The conditions that rules 2 and 3 are about stand here once more: no bug in `claims` may get past
# them.
TAKE = (
    update(billings)
    .where(
        billings.c.id == bindparam("billing"),
        unindexed(billings.c.step) == bindparam("at_step"),
        billings.c.status == word("waiting"),
        or_(billings.c.not_before.is_(None), billings.c.not_before <= NOW),
        or_(billings.c.step != word("create"), billings.c.invoice.is_(None)),
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
    .returning(billings.c.called_at, billings.c.lease_until)
)

# The call that a claim permits, written down before it is made; no verdict yet.
ATTEMPT = (
    insert(attempts)
    .values(
        billing=bindparam("of_billing"),
        step=bindparam("of_step"),
        called_at=bindparam("called"),
        claimed_by=bindparam("worker"),
        token_expires_at=bindparam("expires"),
        newest_invoice_before=bindparam("newest"),
    )
    .returning(attempts.c.id)
)

# What came back from a call. What evidence has seen stands: a late answer may make a verdict surer, never take "acted"
# back. The number alone does not tell which call it is: a restored ledger gives out anew the numbers that it has lost.
ANSWERED = (
    update(attempts)
    .where(
        attempts.c.id == bindparam("attempt"),
        attempts.c.billing == bindparam("of_billing"),
        attempts.c.called_at == bindparam("called"),
    )
    .values(
        answered_at=NOW,
        http_status=bindparam("status_code"),
        code=bindparam("fortnox_code"),
        message=bindparam("said"),
        x_uid=bindparam("uid"),
        verdict=case(
            (attempts.c.verdict == word("acted"), attempts.c.verdict),
            else_=func.coalesce(bindparam("new_verdict", type_=attempts.c.verdict.type), attempts.c.verdict),
        ),
        note=case((bindparam("new_note") == "", attempts.c.note), else_=bindparam("new_note")),
    )
    .returning(attempts.c.claimed_by)
)

# The newest call of a step.
NEWEST_ATTEMPT = (
    select(attempts.c.id, attempts.c.verdict)
    .where(attempts.c.billing == bindparam("of_billing"), unindexed(attempts.c.step) == bindparam("at_step"))
    .order_by(attempts.c.id.desc())
    .limit(1)
)

# What evidence, or a person, says of it.
_newer = attempts.alias("newer")
VERDICT = (
    update(attempts)
    .where(
        attempts.c.id
        == select(func.max(_newer.c.id))
        .where(_newer.c.billing == bindparam("of_billing"), unindexed(_newer.c.step) == bindparam("at_step"))
        .scalar_subquery()
    )
    .values(verdict=bindparam("new_verdict"), note=bindparam("new_note"))
    .returning(attempts.c.stood)
)

# From the state that was read to another; a claim ends with it. No row changed: it was not in that state any more.
MOVE = (
    update(billings)
    .where(
        billings.c.id == bindparam("billing"),
        unindexed(billings.c.step) == bindparam("old_step"),
        unindexed(billings.c.status) == bindparam("old_status"),
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
        invoice_date=bindparam("new_invoice_date"),
        approved=bindparam("new_approved"),
        not_before=bindparam("new_not_before"),
        failures=bindparam("new_failures"),
        token=None,
        lease_until=None,
        changed_at=bindparam("changed"),
    )
)
