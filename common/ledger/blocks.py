"""Tenant-wide reasons that stop a step of a company: shown as one item, and tried with one billing before the rest go.

A block says nothing of a single billing; those that ran into it are parked for the same reason, and wait again once it
is cleared (design, section 5, rule 7).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import BillingId, TenantId
from common.ledger import audit
from common.ledger.billing_rows import may_have_acted
from common.ledger.database import NOW, Ledger
from common.ledger.records import Block
from common.ledger.schema import EVERY_STEP, billings, blocks, tenants, word
from common.rules.reasons import Reason
from common.rules.states import Step

_STOPS_ALL = frozenset({Reason.TOKEN_DEAD})
"""The reasons for which no call of the company can succeed."""


async def every(ledger: Ledger, tenant: TenantId | None = None) -> list[Block]:
    """The blocks of one company, or of all, the oldest first."""
    statement = select(blocks).order_by(blocks.c.since, blocks.c.tenant, blocks.c.step)
    if tenant is not None:
        statement = statement.where(blocks.c.tenant == tenant)
    return [block_of(row) for row in await ledger.fetch(statement)]


async def put(
    ledger: Ledger, tenant: TenantId, step: Step | None, reason: Reason, detail: Mapping[str, str], by: str
) -> None:
    """Blocks without a billing that parks, as when a listing finds that the access is dead.

    Parameters:
      step: `None` for all steps.
    """

    def work(connection: Connection) -> None:
        lock(connection, tenant)
        put_in(connection, ledger, tenant, step, reason, detail, by)

    await ledger.transact(work)


async def clear(ledger: Ledger, tenant: TenantId, step: Step | None, reason: Reason, by: str) -> bool:
    """Ends a block that is known to have passed; what is parked for it waits again. `False`: there was none."""

    def work(connection: Connection) -> bool:
        lock(connection, tenant)
        where = and_(blocks.c.tenant == tenant, blocks.c.step == _stored(step), blocks.c.reason == reason.value)
        return _clear_where(connection, ledger, where, by)

    return await ledger.transact(work)


def lock(connection: Connection, tenant: TenantId) -> None:
    """Takes the lock under which the company's blocks change."""
    connection.execute(_LOCK_TENANT, {"tenant_id": tenant})


def step_stopped_by(step: Step, reason: Reason) -> Step | None:
    """Which step a reason met at `step` stops; `None` is all of them."""
    return None if reason in _STOPS_ALL else step


def put_in(
    connection: Connection,
    ledger: Ledger,
    tenant: TenantId,
    step: Step | None,
    reason: Reason,
    detail: Mapping[str, str],
    by: str,
) -> None:
    """`put` within a transaction that holds the lock. A block that is there is renewed, and has no probe any more; of
    one that stays as it is, as with each poll of a company whose access is dead, nothing is written."""
    facts = {"tenant": tenant, "step": _stored(step), "reason": reason.value, "detail": dict(detail)}
    there = connection.execute(_THERE, facts).one_or_none()
    if there is not None and there.detail == facts["detail"] and there.probe is None:
        return
    connection.execute(_PUT[ledger.is_sqlite], {**facts, **ledger.shift})
    told = {name: facts[name] for name in ("step", "reason", "detail")}
    before = {} if there is None else {**told, "detail": dict(there.detail)}
    audit.record(connection, ledger, by, "blocked", tenant=tenant, before=before, after=told)


def clear_probed(connection: Connection, ledger: Ledger, probe: BillingId, by: str) -> None:
    """The probe went well: its blocks end, and what is parked for them waits again."""
    _clear_where(connection, ledger, blocks.c.probe == probe, by)


def release_probe(connection: Connection, probe: BillingId) -> None:
    """The probe has proved nothing and goes no further: another billing may become it."""
    connection.execute(_RELEASE, {"probed_by": probe})


def choose_probe(connection: Connection, tenant: TenantId, step: Step, billing: BillingId) -> bool:
    """Makes the billing the one that is tried, of every block of its step that has none, or has one of which it is in
    doubt what it did: that may take days to be known. `False`: there is no such block."""
    chosen = connection.execute(_CHOOSE, {"owner": tenant, "at_step": step.value, "chosen": billing})
    return bool(chosen.rowcount)


def blocked(tenant: ColumnElement[Any], step: ColumnElement[Any], billing: ColumnElement[Any]) -> ColumnElement[bool]:
    """For a statement over billings: whether a block stops that billing at that step."""
    return exists(
        select(blocks.c.tenant).where(
            blocks.c.tenant == tenant,
            or_(blocks.c.step == word(EVERY_STEP), blocks.c.step == step),
            or_(blocks.c.probe.is_(None), blocks.c.probe != billing),
        )
    )


def probes(billing: ColumnElement[Any]) -> ColumnElement[bool]:
    """For a statement over billings: whether that billing is the probe of a block."""
    return exists(select(blocks.c.tenant).where(blocks.c.probe == billing))


def block_of(row: Row[Any]) -> Block:
    """A row of `blocks` as a record."""
    return Block(
        tenant=row.tenant,
        step=None if row.step == EVERY_STEP else Step(row.step),
        reason=Reason(row.reason),
        since=row.since,
        detail=row.detail,
        probe=row.probe,
    )


def _clear_where(connection: Connection, ledger: Ledger, where: ColumnElement[bool], by: str) -> bool:
    cleared = connection.execute(delete(blocks).where(where).returning(blocks)).all()
    for block in cleared:
        before = {"step": block.step, "reason": block.reason, "detail": dict(block.detail)}
        audit.record(connection, ledger, by, "unblocked", tenant=block.tenant, before=before, after={})
        freed = update(billings).where(
            billings.c.tenant == block.tenant,
            billings.c.status == word("parked"),
            billings.c.reason == block.reason,
            ~may_have_acted(),
        )
        if block.step != EVERY_STEP:
            freed = freed.where(billings.c.step == block.step)
        rows = connection.execute(
            freed.values(
                status="waiting", reason=None, detail={}, not_before=None, failures=0, changed_at=NOW
            ).returning(billings.c.id, billings.c.contract, billings.c.step),
            ledger.shift,
        )
        was = {"status": "parked", "reason": block.reason}
        entries = [
            audit.entry(block.tenant, row.contract, row.id, {"step": row.step, **was}, {"status": "waiting"})
            for row in rows
        ]
        audit.record_all(connection, ledger, by, "freed", entries)
    return bool(cleared)


def _stored(step: Step | None) -> str:
    return EVERY_STEP if step is None else step.value


def _put(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    given = {name: bindparam(name, type_=blocks.c[name].type) for name in ("tenant", "step", "reason", "detail")}
    put = insert.values(**given, since=NOW, probe=None)
    return put.on_conflict_do_update(
        index_elements=["tenant", "step", "reason"], set_={"detail": put.excluded.detail, "probe": None}
    )


_THERE = select(blocks.c.detail, blocks.c.probe).where(
    blocks.c.tenant == bindparam("tenant"), blocks.c.step == bindparam("step"), blocks.c.reason == bindparam("reason")
)
_PUT = {True: _put(sqlite.insert(blocks)), False: _put(postgresql.insert(blocks))}
_LOCK_TENANT = select(tenants.c.id).where(tenants.c.id == bindparam("tenant_id")).with_for_update(key_share=True)
_RELEASE = update(blocks).where(blocks.c.probe == bindparam("probed_by")).values(probe=None)
_CHOOSE = (
    update(blocks)
    .where(
        blocks.c.tenant == bindparam("owner"),
        blocks.c.step.in_((EVERY_STEP, bindparam("at_step"))),
        or_(
            blocks.c.probe.is_(None),
            exists(select(billings.c.id).where(billings.c.id == blocks.c.probe, billings.c.status == word("in_doubt"))),
        ),
    )
    .values(probe=bindparam("chosen"))
)
