"""Feeds the plan and takes in its verdicts: the only place that inserts a billing (design, section 5, rule 1).

Inserts the period that the contract shows now and no other; what the ledger has of a period is never planned over.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, or_, select, text, true, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from common.clock import STOCKHOLM
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import audit, customers, policies, preflights
from common.ledger.billing_changes import change, read_locked
from common.ledger.billing_rows import BILLED, billed_of, billing_of, is_last_word, newest_of_each
from common.ledger.contracts import select_contracts, view_of
from common.ledger.database import NOW, Ledger, instant_of
from common.ledger.outcomes import Void
from common.ledger.records import Billing
from common.ledger.rejudging import HISTORY
from common.ledger.schema import IS_WAITING, billings, contracts, tenants, word
from common.ledger.tenants import tenant_of
from common.ledger.transitions import land, waiting_again
from common.rules.due import Reach
from common.rules.periods import Period
from common.rules.plan import BilledView, ContractView, TenantFacts, Verdict
from common.rules.policy import Policy
from common.rules.reasons import PASSING, Reason
from common.rules.states import Status, Step

_BATCH = 400
"""Verdicts per statement: well below the number of parameters that a statement may have."""

PeriodKey = tuple[TenantId, ContractNumber, date]


@dataclass(frozen=True, slots=True)
class Views:
    """What `rules.plan.plan` takes."""

    contracts: list[tuple[ContractView, Policy, list[BilledView]]]
    facts: dict[TenantId, TenantFacts]


async def views(ledger: Ledger, tenant: TenantId | None = None, due_by: date | None = None) -> Views:
    """The mirrored contracts of one company, or of all, each with its policy and its newest billings.

    A billing that the plan judges anew is left out where the contract still shows its period: one that was held for a
    reason that passes by itself, and one that was planned for a day that has not begun.

    Parameters:
      due_by: leaves out what cannot fall due by that day, of which the plan would say no more than that it is not due,
        or that it stands still. A daily pass reads a few of the contracts then, and not all.
    """
    return await ledger.read(partial(_read_views, ledger=ledger, tenant=tenant, due_by=due_by))


def _read_views(connection: Connection, ledger: Ledger, tenant: TenantId | None, due_by: date | None) -> Views:
    book = policies.read(connection, tenant)
    which = true() if tenant is None else contracts.c.tenant == tenant
    if due_by is not None:
        which = and_(which, _may_be_due(book.reach(due_by)))
    of_tenants = select(tenants) if tenant is None else select(tenants).where(tenants.c.id == tenant)
    history = _HISTORY[ledger.is_sqlite].where(which)
    recipients = customers.recipients(connection, tenant, None if due_by is None else which)
    hindered = preflights.hindered(connection, tenant)
    facts = {
        row.id: replace(tenant_of(row).facts, lacking=of.lacking, cards=of.cards, hindered=hindered.get(row.id, {}))
        for row in connection.execute(of_tenants)
        for of in (recipients.get(row.id, customers.Recipients()),)
    }
    seen = [view_of(row, row.read_at) for row in connection.execute(select_contracts(None).where(which))]
    billed: dict[tuple[TenantId, ContractNumber], list[BilledView]] = defaultdict(list)
    shown = {(one.tenant, one.number): one.period.start for one in seen if one.period is not None}
    today = ledger.clock.today()
    for row in connection.execute(history):
        is_shown = row.period_start == shown.get((row.tenant, row.contract))
        is_judged_anew = _is_held_in_passing(row.step, row.status, row.reason) or _is_ahead(row, today)
        if not (is_shown and is_judged_anew):
            billed[row.tenant, row.contract].append(billed_of(row))
    planned = [
        (one, book.policy_of(one.tenant, one.template, one.number), billed.get((one.tenant, one.number), []))
        for one in seen
    ]
    return Views(planned, facts)


def _may_be_due(reach: Reach) -> ColumnElement[bool]:
    """For a statement over `contracts`. What is not active is never due."""
    ends = ((contracts.c.period_start, reach.start), (contracts.c.period_end, reach.end))
    within = or_(*(column <= last for column, last in ends if last is not None))
    return and_(contracts.c.status == word("ACTIVE"), within)


async def insert(ledger: Ledger, verdicts: Sequence[Verdict], by: str) -> list[Billing]:
    """Takes in the verdicts: what falls due waits, what is held is held, previews and the rest are nothing.

    A period that the ledger has already stays as it is, but for one that was held for a reason that has passed, and one
    that was planned for a day that has not begun: those are planned anew. A period whose billing was voided gets the
    next generation; so does one that a person corrected after skipping it as it was.

    Returns:
      The billings that are new, or have changed.
    """
    wanted = {
        _key(verdict): verdict for verdict in verdicts if verdict.outcome != "none" and verdict.period is not None
    }
    ordered = [wanted[key] for key in sorted(wanted)]
    changed: list[Billing] = []
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        changed += await ledger.transact(partial(_take_in, ledger=ledger, verdicts=batch, by=by))
    return changed


async def withdraw(ledger: Ledger, tenant: TenantId, still_wanted: Sequence[Verdict], by: str) -> int:
    """Takes back what was planned for a day that has not begun, and is not to be invoiced on it any more.

    Parameters:
      still_wanted: the verdicts of what is to be invoiced on that day.

    Returns how many billings were withdrawn.
    """
    wanted = {_key(verdict) for verdict in still_wanted}
    withdrawn = 0
    for row in await ledger.fetch(_AHEAD, {"of_tenant": tenant, **ledger.shift}):
        if row.due_on > ledger.clock.today() and (row.tenant, row.contract, row.period_start) not in wanted:
            withdrawn += await ledger.transact(partial(_withdraw, ledger=ledger, billing=row.id, by=by))
    return withdrawn


def _withdraw(connection: Connection, ledger: Ledger, billing: BillingId, by: str) -> bool:
    row = read_locked(connection, ledger, billing)
    if row is None or not _is_ahead(row, instant_of(row.now).astimezone(STOCKHOLM).date()):
        return False
    current = billing_of(row)
    landing = land(current, current.policy, Void(Reason.WITHDRAWN), instant_of(row.now))
    change(connection, ledger, current, landing, by, "withdrawn", instant_of(row.now))
    return True


async def ahead(ledger: Ledger) -> Counter[TenantId]:
    """How many billings of each company wait for the beginning of a later day."""
    today = ledger.clock.today()
    rows = await ledger.fetch(_ALL_AHEAD, ledger.shift)
    return Counter({row.tenant: row.number for row in rows if row.due_on > today})


async def let_go(ledger: Ledger, tenant: TenantId | None, by: str) -> None:
    """Lets the billings wait for their calls that the plan held in passing, and will never judge anew: their contracts
    have gone on. What is looked at before a call finds the invoice that a person has made, or holds them for that."""
    for row in await ledger.fetch(_PASSED if tenant is None else _PASSED.where(billings.c.tenant == tenant)):
        await ledger.transact(partial(_let_go, ledger=ledger, billing=row.id, by=by))


def _let_go(connection: Connection, ledger: Ledger, billing: BillingId, by: str) -> None:
    row = read_locked(connection, ledger, billing)
    if row is None or not _is_held_in_passing(row.step, row.status, row.reason):
        return
    held = billing_of(row)
    landing = waiting_again(held, not_before=held.not_before)
    change(connection, ledger, held, landing, by, "let_go", instant_of(row.now))


def _take_in(connection: Connection, ledger: Ledger, verdicts: Sequence[Verdict], by: str) -> list[Billing]:
    now = instant_of(connection.execute(select(NOW), ledger.shift).scalar_one())
    present = _present(connection, verdicts)
    fresh: list[dict[str, Any]] = []
    changed: list[Billing] = []
    for verdict in verdicts:
        there = present.get(_key(verdict), [])
        live = next((billing for billing in there if billing.status is not Status.VOIDED), None)
        if live is not None and _is_corrected(live, verdict):
            _supersede(connection, ledger, live, by, now)
            live = None
        if live is None:
            generation = 1 + max((billing.generation for billing in there), default=0)
            fresh.append({**_values_of(verdict, now), **_FIRST, "generation": generation, "created_at": now})
        elif (
            _is_held_in_passing(live.step, live.status, live.reason)
            and (live.reason is not verdict.reason or live.detail != verdict.detail)
        ) or (_is_ahead(live, now.astimezone(STOCKHOLM).date()) and _differs(live, _values_of(verdict, now))):
            changed += _plan_anew(connection, ledger, live, verdict, by, now)
    if fresh:
        rows = connection.execute(_INSERT[ledger.is_sqlite], fresh)
        inserted = [billing_of(row) for row in rows]
        audit.record_all(connection, ledger, by, "planned", [_audited(one, {}) for one in inserted])
        changed += inserted
    return changed


def _plan_anew(
    connection: Connection, ledger: Ledger, held: Billing, verdict: Verdict, by: str, now: datetime
) -> list[Billing]:
    row = (
        connection.execute(
            update(billings)
            .where(
                billings.c.id == held.id,
                billings.c.step == word(Step.CREATE.value),
                billings.c.status == held.status.value,
                billings.c.reason.is_(None) if held.reason is None else billings.c.reason == held.reason,
            )
            .values(_values_of(verdict, now))
            .returning(billings)
        )
    ).one_or_none()
    if row is None:
        return []
    billing = billing_of(row)
    audit.record_all(connection, ledger, by, "planned_anew", [_audited(billing, _state_of(held))])
    return [billing]


def _is_corrected(billing: Billing, verdict: Verdict) -> bool:
    """Whether a person skipped a mistyped period, and the contract now shows another that begins on the same day."""
    was_skipped = billing.step is Step.CREATE and billing.status is Status.SKIPPED
    return was_skipped and billing.period != verdict.period


def _supersede(connection: Connection, ledger: Ledger, skipped: Billing, by: str, now: datetime) -> None:
    connection.execute(
        update(billings)
        .where(billings.c.id == skipped.id, billings.c.status == word(Status.SKIPPED.value))
        .values(status=Status.VOIDED.value, changed_at=now)
    )
    after = {**_state_of(skipped), "status": Status.VOIDED.value}
    entry = audit.entry(skipped.tenant, skipped.contract, skipped.id, _state_of(skipped), after)
    audit.record_all(connection, ledger, by, "superseded", [entry])


def _present(connection: Connection, verdicts: Sequence[Verdict]) -> Mapping[PeriodKey, list[Billing]]:
    """What the ledger has of the periods, voided ones included."""
    found: dict[PeriodKey, list[Billing]] = defaultdict(list)
    keys = [_key(verdict) for verdict in verdicts]
    for row in connection.execute(_PRESENT, {"periods": keys}):
        billing = billing_of(row)
        found[billing.tenant, billing.contract, billing.period.start].append(billing)
    return found


def _key(verdict: Verdict) -> PeriodKey:
    if verdict.period is None:
        raise ValueError("a verdict without a period plans nothing")
    return verdict.contract.tenant, verdict.contract.number, verdict.period.start


def _values_of(verdict: Verdict, now: datetime) -> dict[str, Any]:
    """The columns of a billing that the plan decides."""
    contract, period = verdict.contract, verdict.period
    if period is None or verdict.due_on is None or verdict.invoice_date is None:
        raise ValueError(f"the verdict on contract {contract.number} lacks its period, due day or invoice date")
    bills = verdict.outcome == "bill"
    midnight = datetime.combine(verdict.due_on, time.min, STOCKHOLM).astimezone(UTC)
    return {
        "tenant": contract.tenant,
        "contract": contract.number,
        "period_start": period.start,
        "period_end": period.end,
        "due_on": verdict.due_on,
        "invoice_date": verdict.invoice_date,
        "status": Status.WAITING.value if bills else Status.HELD.value,
        "reason": None if bills else verdict.reason.value,
        "detail": dict(verdict.detail),
        "policy": verdict.policy.model_dump_json(),
        "amount": verdict.amount,
        "currency": contract.currency,
        "customer_number": contract.customer_number,
        "customer_name": contract.customer_name,
        # Tomorrow's billings are planned the evening before (design, section 9).
        "not_before": midnight if midnight > now else None,
        "changed_at": now,
    }


def _is_held_in_passing(step: str, status: str, reason: str | None) -> bool:
    return step == Step.CREATE and status == Status.HELD and reason in PASSING


def _is_ahead(billing: Row[Any] | Billing, today: date) -> bool:
    """Whether it is planned for a day that has not begun: nothing of it is called before that."""
    return bool(billing.step == Step.CREATE and billing.status == Status.WAITING and billing.due_on > today)


def _differs(billing: Billing, planned: Mapping[str, Any]) -> bool:
    """Whether the plan says now something else of the billing than it did."""
    now = {**planned, "period": Period(planned["period_start"], planned["period_end"])}
    same = ("period", "due_on", "invoice_date", "amount", "currency", "customer_number", "customer_name", "status")
    return (
        any(now[name] != getattr(billing, name) for name in same) or now["policy"] != billing.policy.model_dump_json()
    )


def _audited(billing: Billing, before: Mapping[str, object]) -> dict[str, Any]:
    return audit.entry(billing.tenant, billing.contract, billing.id, before, _state_of(billing))


def _state_of(billing: Billing) -> dict[str, object]:
    return {
        "step": billing.step.value,
        "status": billing.status.value,
        "reason": billing.reason.value if billing.reason else None,
        "period": str(billing.period),
        "generation": billing.generation,
        "due_on": str(billing.due_on),
        "invoice_date": str(billing.invoice_date),
        "amount": None if billing.amount is None else str(billing.amount),
        "policy": billing.policy.model_dump(mode="json", exclude_defaults=True),
    }


_ALL_AHEAD = (
    select(billings.c.tenant, billings.c.due_on, func.count().label("number"))
    .where(text(f"billings.{IS_WAITING}"), billings.c.step == word(Step.CREATE.value), billings.c.not_before > NOW)
    .group_by(billings.c.tenant, billings.c.due_on)
)
_AHEAD = select(
    billings.c.id, billings.c.tenant, billings.c.contract, billings.c.period_start, billings.c.due_on
).where(
    text(f"billings.{IS_WAITING}"),
    billings.c.tenant == bindparam("of_tenant"),
    billings.c.step == word(Step.CREATE.value),
    billings.c.not_before > NOW,
)
_PASSED = (
    select(billings.c.id)
    .join(contracts, and_(contracts.c.tenant == billings.c.tenant, contracts.c.number == billings.c.contract))
    .where(
        text("billings.status IN ('held', 'parked')"),
        billings.c.status == word(Status.HELD.value),
        billings.c.step == word(Step.CREATE.value),
        billings.c.reason.in_(sorted(reason.value for reason in PASSING)),
        contracts.c.status == "ACTIVE",
        contracts.c.period_start != billings.c.period_start,
        contracts.c.read_at > billings.c.changed_at,
    )
    .order_by(billings.c.id)
)
# Another producer may have been quicker: its row stands.
_INSERT = {
    True: sqlite.insert(billings).on_conflict_do_nothing().returning(billings),
    False: postgresql.insert(billings).on_conflict_do_nothing().returning(billings),
}
_FIRST: Mapping[str, Any] = {"step": Step.CREATE.value, "handmade": False, "approved": "", "failures": 0}

_PRESENT = select(billings).where(
    tuple_(billings.c.tenant, billings.c.contract, billings.c.period_start).in_(bindparam("periods", expanding=True))
)


def _history(*, is_sqlite: bool) -> Any:
    newest = billings.alias("newest")
    ids = (
        select(newest.c.id)
        .where(
            newest.c.tenant == contracts.c.tenant,
            newest.c.contract == contracts.c.number,
            is_last_word(newest),
        )
        .order_by(newest.c.period_start.desc(), newest.c.generation.desc())
        .limit(HISTORY)
    )
    newest_first = (billings.c.period_start.desc(), billings.c.generation.desc())
    columns = (billings.c.tenant, billings.c.contract, *BILLED)
    history = newest_of_each(contracts, ids, billings, is_sqlite=is_sqlite).order_by(*newest_first)
    return history.with_only_columns(*columns, maintain_column_froms=True)


_HISTORY = {True: _history(is_sqlite=True), False: _history(is_sqlite=False)}
