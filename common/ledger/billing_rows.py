"""Reads billings and their attempts, for whoever shows, feeds or seeks. Changes nothing: `billing_changes` does."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    distinct,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
)

from common.clock import STOCKHOLM
from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger import price_waits
from common.ledger.columns import Instant, database_now, microseconds
from common.ledger.database import NOW, Ledger
from common.ledger.policies import policy_of
from common.ledger.records import Attempt, Billing, Count
from common.ledger.schema import (
    EVERY_STEP,
    IS_NEVER_ANSWERED,
    IS_UNDER_WAY,
    IS_WAITING,
    NO_TENANT,
    attempts,
    billings,
    blocks,
    bureau,
    contracts,
    policies,
    producers,
    tenants,
    word,
)
from common.rules.periods import Period, follows
from common.rules.plan import BilledView
from common.rules.reasons import Reason
from common.rules.states import Status, Step

BY_THE_LOST = "an older ledger"
"""Who claimed a call that may have been made in the time that a restored ledger has lost."""

WATCHED_FOR = timedelta(hours=24)
"""After the end of its token: what a call that was never answered did must have shown by then."""


async def get(ledger: Ledger, billing: BillingId) -> Billing | None:
    """One billing; `None` if there is none of that id."""
    found = await ledger.look_up(_ONE, {"billing": billing})
    return billing_of(found[0]) if found else None


async def find(
    ledger: Ledger,
    *,
    tenant: TenantId | None = None,
    status: Status | Collection[Status] | None = None,
    step: Step | None = None,
    contract: ContractNumber | None = None,
    limit: int | None = None,
) -> list[Billing]:
    """The billings that meet all that is said, by due day and id."""
    statement = select(billings).order_by(billings.c.due_on, billings.c.id).limit(limit)
    for column, value in ((billings.c.tenant, tenant), (billings.c.step, step), (billings.c.contract, contract)):
        if value is not None:
            statement = statement.where(column == value)
    if status is not None:
        wanted = {status} if isinstance(status, Status) else set(status)
        # Written out, so that the database sees which of the partial indexes serves.
        listed = ", ".join(sorted(f"'{one.value}'" for one in wanted))
        statement = statement.where(text(f"billings.status IN ({listed})" if wanted else "1 = 0"))
    return [billing_of(row) for row in await ledger.fetch(statement)]


async def attempts_of(ledger: Ledger, billing: BillingId) -> list[Attempt]:
    """The calls of a billing and what came back, oldest first."""
    return [attempt_of(row) for row in await ledger.look_up(_ATTEMPTS, {"billing": billing})]


class Ready(NamedTuple):
    """A billing that could be claimed now, in the few columns that whoever feeds the queues must know."""

    id: BillingId
    tenant: TenantId
    step: Step
    due_on: date
    changed_at: datetime


async def ready(
    ledger: Ledger, *, per_tenant: int, producer: str | None = None, of: Collection[TenantId] | None = None
) -> list[Ready]:
    """What could be claimed now, the oldest due day first and at most `per_tenant` of a company.

    Of a company whose creates are not proven, one create at most, and none while one is under way. The claim decides.

    Parameters:
      producer: only of the companies that it has on lease, and of none once its lease is over.
      of: only of these companies.
    """
    facts = {"per_tenant": per_tenant, "producer": producer, **ledger.shift, **({} if of is None else {"of": list(of)})}

    def both(connection: Connection) -> list[Row[Any]]:
        statements = _READY[ledger.is_sqlite, of is not None]
        return [row for statement in statements for row in connection.execute(statement, facts)]

    first_create: set[TenantId] = set()
    offered: Counter[TenantId] = Counter()
    found: list[Ready] = []
    # By id once more: between the two statements a billing may have begun to wait for nothing any more.
    unique = {row.id: row for row in await ledger.read(both)}
    for row in sorted(unique.values(), key=lambda row: (row.due_on, row.id)):
        if row.step == Step.CREATE and not row.creates_proven:
            if row.tenant in first_create:
                continue
            first_create.add(row.tenant)
        offered[row.tenant] += 1
        if offered[row.tenant] <= per_tenant:
            found.append(Ready(row.id, row.tenant, Step(row.step), row.due_on, row.changed_at))
    return found


async def next_ready(ledger: Ledger, producer: str) -> timedelta | None:
    """How long it is, by the database's clock, until the first billing of the producer's companies need not wait any
    longer for an instant; `None` if none waits for one."""
    found = await ledger.fetch(_NEXT_READY, {"producer": producer, **ledger.shift})
    first = found[0].first
    return None if first is None else timedelta(microseconds=first - found[0].now)


async def owner_of(ledger: Ledger, tenant: TenantId, invoice: InvoiceNumber) -> BillingId | None:
    """The billing whose invoice it is; `None` if it is nobody's."""
    found = await ledger.look_up(_OWNER, {"of_tenant": tenant, "of_invoice": invoice})
    return BillingId(found[0].id) if found else None


async def seekers(ledger: Ledger, tenant: TenantId | None = None) -> list[tuple[Billing, Attempt]]:
    """What must be looked for (SEEKING and IN_DOUBT), with the newest attempt of the step; oldest first.

    Those that are not to be looked at yet (`Seek.delay`) are left out.
    """
    statement = _SEEKERS if tenant is None else _SEEKERS.where(billings.c.tenant == tenant)
    rows = await ledger.fetch(statement, ledger.shift)
    return [(billing_of(row), attempt_of(row, "attempt_")) for row in rows]


async def sought_since(ledger: Ledger, producer: str) -> Mapping[TenantId, Sequence[datetime]]:
    """Since when each of the producer's companies has billings that must be looked for, the oldest first; those that
    `seekers` tells of."""
    since: dict[TenantId, list[datetime]] = defaultdict(list)
    for row in await ledger.fetch(_SOUGHT_SINCE, {"producer": producer, **ledger.shift}):
        since[row.tenant].append(row.changed_at)
    return since


async def outrun(ledger: Ledger, tenant: TenantId) -> list[tuple[Billing, Attempt]]:
    """The newest billings of contracts that have gone further than one period on, though a call which Fortnox never
    answered made the billing's invoice, or was believed to have made none; with that attempt.

    Such a call may have acted late, on the period after (design, section 6: the click in between).
    """
    rows = await ledger.fetch(_OUTRUN, {"of_tenant": tenant, "within": microseconds(WATCHED_FOR), **ledger.shift})
    found = [(billing_of(row), attempt_of(row, "attempt_"), Period(row.shown_start, row.shown_end)) for row in rows]
    return [(billing, attempt) for billing, attempt, shown in found if not follows(billing.period, shown)]


async def expired(ledger: Ledger) -> list[Billing]:
    """Claimed, and past their lease, the longest ago first."""
    return [billing_of(row) for row in await ledger.fetch(_EXPIRED, ledger.shift)]


async def counts(ledger: Ledger) -> list[Count]:
    """How many billings stand where, by company, step, status and currency."""
    return [
        Count(row.tenant, Step(row.step), Status(row.status), row.currency, row.number, row.amount)
        for row in await ledger.fetch(_COUNTS)
    ]


class Postponed(NamedTuple):
    """Invoices of one company that wait for the hour, or the day, from which they may be sent."""

    tenant: TenantId
    opens: datetime
    number: int


async def postponed(ledger: Ledger) -> list[Postponed]:
    """All of them, by company and instant."""
    return [Postponed(row.tenant, row.not_before, row.number) for row in await ledger.fetch(_POSTPONED, ledger.shift)]


async def carried_out(ledger: Ledger) -> Mapping[tuple[TenantId, Step], int]:
    """How many billings of each company had a step done by a call of ours."""
    return {(row.tenant, Step(row.step)): row.number for row in await ledger.fetch(_CARRIED_OUT)}


def billing_of(row: Row[Any]) -> Billing:
    """A row with the columns of `billings` as a record."""
    return Billing(
        id=row.id,
        tenant=row.tenant,
        contract=row.contract,
        period=Period(row.period_start, row.period_end),
        generation=row.generation,
        due_on=row.due_on,
        invoice_date=row.invoice_date,
        step=Step(row.step),
        status=Status(row.status),
        reason=None if row.reason is None else Reason(row.reason),
        detail=row.detail,
        policy=policy_of(row.policy),
        amount=row.amount,
        currency=row.currency,
        customer_number=row.customer_number,
        customer_name=row.customer_name,
        invoice=row.invoice,
        handmade=row.handmade,
        made_total=row.made_total,
        made_rows=row.made_rows,
        approved=frozenset(map(Reason, row.approved.split())),
        not_before=row.not_before,
        called_at=row.called_at,
        lease_until=row.lease_until,
        created_at=row.created_at,
        changed_at=row.changed_at,
        failures=row.failures,
    )


def billed_of(row: Row[Any]) -> BilledView:
    """A row with the columns `BILLED`, as the rules see a billing."""
    return BilledView(
        period=Period(row.period_start, row.period_end),
        generation=row.generation,
        step=Step(row.step),
        status=Status(row.status),
        amount=row.amount,
        invoice_date=row.invoice_date,
        created_on=planned_for(row.created_at, row.due_on),
        invoice=row.invoice,
        reason=None if row.reason is None else Reason(row.reason),
        changed_at=row.changed_at,
    )


def planned_for(created_at: datetime, due_on: date) -> date:
    """The Swedish day that a billing was planned for: the next one's are planned the evening before."""
    created_on = created_at.astimezone(STOCKHOLM).date()
    return due_on if due_on == created_on + timedelta(days=1) else created_on


def attempt_of(row: Row[Any], prefix: str = "") -> Attempt:
    """A row with the columns of `attempts`, named with the prefix, as a record."""
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for the row by column
    fields = {name: values[prefix + name] for name in attempts.c.keys()}  # noqa: SIM118 - columns, not a dict
    return replace(Attempt(**fields), step=Step(fields["step"]))


def may_have_acted() -> ColumnElement[bool]:
    """For a statement over billings: rule 3. A call of this step may have taken effect; or one has, of a create, or of
    a billing that is in doubt since its worker came late with the answer."""
    return exists(
        select(attempts.c.id).where(
            attempts.c.billing == billings.c.id,
            attempts.c.step == billings.c.step,
            or_(
                attempts.c.verdict.is_(None),
                and_(
                    or_(attempts.c.step == word("create"), billings.c.status == word("in_doubt")),
                    attempts.c.verdict == word("acted"),
                ),
            ),
        )
    )


def is_last_word(table: FromClause) -> ColumnElement[bool]:
    """For a statement over billings under any name: it stands, or was voided and its period not planned again.

    One that was withdrawn before its day is as if it had never been planned.
    """
    again = billings.alias("again")
    return or_(
        table.c.status != word("voided"),
        and_(
            ~was_withdrawn(table),
            ~exists(
                select(again.c.id)
                .where(
                    again.c.tenant == table.c.tenant,
                    again.c.contract == table.c.contract,
                    again.c.period_start == table.c.period_start,
                    again.c.generation > table.c.generation,
                    ~was_withdrawn(again),
                )
                .correlate(table)
            ),
        ),
    )


def was_withdrawn(table: FromClause) -> ColumnElement[bool]:
    """For a statement over billings under any name: it was taken back before its day, as if it had never been
    planned."""
    return and_(table.c.status == word("voided"), table.c.reason.is_not_distinct_from(word(Reason.WITHDRAWN.value)))


def newest_of_each(outer: FromClause, inner: Select[Any], table: FromClause, *, is_sqlite: bool) -> Select[Any]:
    """For each row of `outer` the rows of `table` whose ids the correlated and limited `inner` selects.

    PostgreSQL does this by LATERAL, which SQLite lacks; SQLite by looking the ids up, which PostgreSQL does badly.
    """
    if is_sqlite:
        return select(table).select_from(outer.join(table, table.c.id.in_(inner.correlate(outer))))
    ids = inner.correlate(outer).lateral("ids")
    return select(table).select_from(outer.join(ids, true()).join(table, table.c.id == ids.c.id))


def _ready(*, is_sqlite: bool, of_some: bool, since: bool) -> Select[Any]:
    """The billings that may go now: those that wait for no instant, or those whose instant has come (`since`).

    In two statements, since one would read all that waits for a later hour or for tomorrow, to skip it.
    """
    waiting = billings.alias("waiting")
    said = policies.alias("said")

    def mode(level: str, key: ColumnElement[Any], *, of_tenant: bool = True) -> ColumnElement[Any]:
        owner = waiting.c.tenant if of_tenant else literal_column(str(NO_TENANT))
        return (
            select(said.c.mode)
            .where(said.c.level == level, said.c.tenant == owner, said.c.key == key)
            .scalar_subquery()
        )

    contract = and_(contracts.c.tenant == waiting.c.tenant, contracts.c.number == waiting.c.contract)
    template = select(contracts.c.template).where(contract).correlate(waiting).scalar_subquery()
    in_force = func.coalesce(
        mode("contract", cast(waiting.c.contract, Text)),
        mode("template", template),
        mode("tenant", word("")),
        mode("bureau", word(""), of_tenant=False),
    )
    under_way = billings.alias("under_way")
    one_is_under_way = exists(
        select(under_way.c.id)
        .where(
            under_way.c.tenant == tenants.c.id,
            under_way.c.step == word("create"),
            text(IS_UNDER_WAY.replace("status", "under_way.status")),
        )
        .correlate(tenants)
    )
    stopped = exists(
        select(blocks.c.tenant).where(
            blocks.c.tenant == waiting.c.tenant,
            or_(blocks.c.step == word(EVERY_STEP), blocks.c.step == waiting.c.step),
            or_(blocks.c.probe.is_(None), blocks.c.probe != waiting.c.id),
        )
    )
    may_go = and_(
        or_(tenants.c.creates_proven, waiting.c.step != word("create"), ~one_is_under_way),
        ~stopped,
        or_(waiting.c.step != word("create"), ~price_waits.is_awaited(waiting)),
        ~exists(select(contracts.c.number).where(contract, contracts.c.paused)),
        in_force == word("live"),
    )
    columns = ("id", "tenant", "step", "due_on", "changed_at")
    inner = (
        select(*(waiting.c[name] for name in columns))
        .where(
            waiting.c.tenant == tenants.c.id,
            text(IS_WAITING.replace("status", "waiting.status")),
            waiting.c.not_before <= NOW if since else waiting.c.not_before.is_(None),
            # Behind a CASE, of which PostgreSQL believes that it lets many through: else it expects so few rows that it
            # reads and sorts a company's whole backlog instead of following the index.
            case((may_go, true()), else_=false()),
        )
        # The index in its order, also where `not_before` is the same of all: else PostgreSQL reads and sorts them all.
        .order_by(waiting.c.not_before, waiting.c.due_on, waiting.c.id)
        .limit(bindparam("per_tenant"))
    )
    asks = bindparam("producer", type_=Text)
    is_alive = exists(
        select(producers.c.name).where(producers.c.name == asks, producers.c.alive_until >= database_now())
    )
    # As `newest_of_each`; but PostgreSQL need not look up once more what it has just read.
    if is_sqlite:
        offered: FromClause = billings
        each = tenants.join(billings, billings.c.id.in_(inner.with_only_columns(waiting.c.id).correlate(tenants)))
    else:
        offered = inner.correlate(tenants).lateral("offered")
        each = tenants.join(offered, true())
    statement = (
        select(*(offered.c[name] for name in columns), tenants.c.creates_proven)
        .select_from(each)
        .where(~tenants.c.paused, ~select(bureau.c.paused).scalar_subquery())
        .where(or_(asks.is_(None), and_(tenants.c.leased_by == asks, is_alive)))
        .order_by(offered.c.due_on, offered.c.id)
    )
    return statement.where(tenants.c.id.in_(bindparam("of", expanding=True))) if of_some else statement


BILLED: tuple[ColumnElement[Any], ...] = (
    billings.c.period_start,
    billings.c.period_end,
    billings.c.generation,
    billings.c.step,
    billings.c.status,
    billings.c.amount,
    billings.c.invoice_date,
    billings.c.due_on,
    billings.c.created_at,
    billings.c.invoice,
    billings.c.reason,
    billings.c.changed_at,
)
_OWNER = select(billings.c.id).where(
    billings.c.tenant == bindparam("of_tenant"), billings.c.invoice == bindparam("of_invoice")
)
_ONE = select(billings).where(billings.c.id == bindparam("billing"))
_READY = {
    (is_sqlite, of_some): [_ready(is_sqlite=is_sqlite, of_some=of_some, since=since) for since in (False, True)]
    for is_sqlite in (True, False)
    for of_some in (True, False)
}
_next = billings.alias("next")
_NEXT_READY = select(
    NOW.label("now"),
    func.min(
        select(cast(_next.c.not_before, BigInteger))
        .where(
            _next.c.tenant == tenants.c.id, text(IS_WAITING.replace("status", "next.status")), _next.c.not_before > NOW
        )
        .order_by(_next.c.not_before)
        .limit(1)
        .scalar_subquery()
    ).label("first"),
).where(tenants.c.leased_by == bindparam("producer"))
_ATTEMPTS = select(attempts).where(attempts.c.billing == bindparam("billing")).order_by(attempts.c.id)
_is_sought = and_(
    text(f"billings.{IS_UNDER_WAY}"),
    billings.c.status != word(Status.CLAIMED.value),
    or_(billings.c.not_before.is_(None), billings.c.not_before <= NOW),
)
_newer = attempts.alias("newer")
_SEEKERS = (
    select(billings, *(column.label(f"attempt_{column.name}") for column in attempts.c))
    .join(attempts, and_(attempts.c.billing == billings.c.id, attempts.c.step == billings.c.step))
    .where(
        # By company, as the index of what is under way is: else SQLite begins with every attempt there ever was.
        billings.c.tenant.in_(select(tenants.c.id)),
        _is_sought,
        ~exists(
            select(_newer.c.id).where(
                _newer.c.billing == attempts.c.billing, _newer.c.step == attempts.c.step, _newer.c.id > attempts.c.id
            )
        ),
    )
    .order_by(billings.c.changed_at, billings.c.id)
)
_SOUGHT_SINCE = (
    select(billings.c.tenant, billings.c.changed_at)
    .where(billings.c.tenant.in_(select(tenants.c.id).where(tenants.c.leased_by == bindparam("producer"))), _is_sought)
    .order_by(billings.c.changed_at)
)
_later = billings.alias("later")
_OUTRUN = (
    select(
        billings,
        *(column.label(f"attempt_{column.name}") for column in attempts.c),
        contracts.c.period_start.label("shown_start"),
        contracts.c.period_end.label("shown_end"),
    )
    .join(attempts, attempts.c.billing == billings.c.id)
    .join(contracts, and_(contracts.c.tenant == billings.c.tenant, contracts.c.number == billings.c.contract))
    .where(
        text(IS_NEVER_ANSWERED.replace("step", "attempts.step")),
        attempts.c.token_expires_at > NOW - bindparam("within", type_=Instant.impl),
        attempts.c.claimed_by != word(BY_THE_LOST),
        billings.c.tenant == bindparam("of_tenant"),
        billings.c.invoice.is_not(None),
        billings.c.status != word(Status.VOIDED.value),
        contracts.c.status == "ACTIVE",
        contracts.c.period_start > billings.c.period_end,
        ~exists(
            select(_later.c.id).where(
                _later.c.tenant == billings.c.tenant,
                _later.c.contract == billings.c.contract,
                _later.c.period_start > billings.c.period_start,
                _later.c.status != word(Status.VOIDED.value),
            )
        ),
    )
    .order_by(billings.c.id, attempts.c.id)
)
_EXPIRED = (
    select(billings)
    .where(text(IS_UNDER_WAY), billings.c.status == word(Status.CLAIMED.value), billings.c.lease_until < NOW)
    # By the lease, as nothing else does: in the order of the ids SQLite would read the whole table.
    .order_by(billings.c.lease_until)
)
_COUNTS = (
    select(
        billings.c.tenant,
        billings.c.step,
        billings.c.status,
        billings.c.currency,
        func.count().label("number"),
        func.coalesce(func.sum(billings.c.amount), 0, type_=billings.c.amount.type).label("amount"),
    )
    .group_by(billings.c.tenant, billings.c.step, billings.c.status, billings.c.currency)
    .order_by(billings.c.tenant)
)
_POSTPONED = (
    select(billings.c.tenant, billings.c.not_before, func.count().label("number"))
    .where(
        text(f"billings.{IS_WAITING}"),
        billings.c.step == word(Step.DELIVER.value),
        # What is put off for a fault has its reason.
        billings.c.reason.is_(None),
        billings.c.not_before > NOW,
    )
    .group_by(billings.c.tenant, billings.c.not_before)
    .order_by(billings.c.tenant, billings.c.not_before)
)
_CARRIED_OUT = (
    select(billings.c.tenant, attempts.c.step, func.count(distinct(attempts.c.billing)).label("number"))
    .join(billings, billings.c.id == attempts.c.billing)
    .where(attempts.c.verdict == word("acted"))
    .group_by(billings.c.tenant, attempts.c.step)
)
