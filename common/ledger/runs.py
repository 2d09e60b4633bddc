"""The runs, as the ledger tells them: what was due and done of each company on a Swedish day. It only reads.

Nothing is stored of a run: a billing says which day it was planned for, an attempt when it was called and what came of
it, and both are found by the day. So a run of last week shows what has become of it since.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    union,
)

from common.clock import STOCKHOLM
from common.ids import InvoiceNumber, TenantId
from common.ledger.billing_rows import billing_of, was_withdrawn
from common.ledger.columns import Instant
from common.ledger.database import Ledger
from common.ledger.invoices import invoice_of
from common.ledger.records import Billing, Invoice
from common.ledger.schema import attempts, billings, invoices, proofs, tenants, word
from common.rules.runs import Figures, Net, Part, Sum
from common.rules.states import Status, Step

PROVED_WITHIN = timedelta(days=7)
"""A proof of so many days later still tells whether a run adds up."""


@dataclass(slots=True)
class Run:
    """The run of one company on one day."""

    tenant: TenantId
    day: date
    figures: Figures = field(default_factory=Figures)
    began_at: datetime | None = None
    """The first call; `None`: nothing was called."""
    ended_at: datetime | None = None
    """The answer of the last call, or the call itself if there was none."""
    made_until: datetime | None = None
    """The same of the last invoice made."""
    older_than: InvoiceNumber | None = None
    """The newest invoice that there was before the first one made; 0: none. `None`: no invoice was made."""
    differing: int = 0
    """Invoices made that the mirror shows as cancelled, credited, or with another total."""
    proved_at: datetime | None = None
    """The last proof of the company since, in which all its invoices were listed."""

    @property
    def is_proved(self) -> bool:
        """Whether Fortnox was looked at since the last invoice was made."""
        return self.made_until is None or (self.proved_at is not None and self.proved_at > self.made_until)


@dataclass(frozen=True, slots=True)
class InRun:
    """A billing of a run, with what our calls of the day did, and its invoice as last read."""

    billing: Billing
    is_due: bool
    """It was planned for the day; otherwise it is of an earlier one, and was gone on with."""
    done: frozenset[Step]
    invoice: Invoice | None

    @property
    def is_made(self) -> bool:
        """Whether its invoice is one that we made on the day."""
        return Step.CREATE in self.done and self.billing.invoice is not None and not self.billing.handmade


async def of_day(ledger: Ledger, day: date, tenant: TenantId | None = None) -> list[Run]:
    """The runs of the day, by company; of the one company, or of all."""
    facts = {**_day(day), "of_tenant": tenant}
    runs: dict[TenantId, Run] = {}
    for row in await ledger.fetch(_DUE[tenant is not None], facts):
        _count_due(runs.setdefault(row.tenant, Run(row.tenant, day)), row)
    for row in await ledger.fetch(_CALLED[tenant is not None], facts):
        _count_called(runs.setdefault(row.tenant, Run(row.tenant, day)), row)
    for row in await ledger.fetch(_PROVED[tenant is not None], facts):
        if row.id in runs:
            runs[row.id].proved_at = row.proved_at
    return [runs[one] for one in sorted(runs)]


async def last_before(ledger: Ledger, day: date, tenant: TenantId | None = None) -> date | None:
    """The newest day before that on which something was called, for the company or for any; `None`: none."""
    facts = {**_day(day), "of_tenant": tenant}
    called = (await ledger.fetch(_LAST_CALL[tenant is not None], facts))[0].called_at
    return None if called is None else called.astimezone(STOCKHOLM).date()


async def billings_of(ledger: Ledger, tenant: TenantId, day: date) -> list[InRun]:
    """The billings of a company's run, by contract."""
    facts = {**_day(day), "of_tenant": tenant}
    due = {row.id for row in await ledger.fetch(_DUE_IDS, facts)}
    done: dict[int, set[Step]] = defaultdict(set)
    for row in await ledger.fetch(_ACTED, facts):
        done[row.billing].add(Step(row.step))
    newest = {row.number: invoice_of(row) for row in await ledger.fetch(_INVOICES, facts)}
    return [
        InRun(one, one.id in due, frozenset(done[one.id]), newest.get(one.invoice) if one.invoice else None)
        for one in map(billing_of, await ledger.fetch(_BILLINGS, facts))
    ]


async def owned(ledger: Ledger, tenant: TenantId, above: InvoiceNumber) -> frozenset[InvoiceNumber]:
    """The invoices with a higher number that belong to a billing, whoever made them."""
    found = await ledger.fetch(_OWNED, {"of_tenant": tenant, "above": above})
    return frozenset(row.invoice for row in found)


_STANDS_AS = {
    Status.WAITING: Part.WAITING,
    Status.CLAIMED: Part.WAITING,
    Status.SEEKING: Part.WAITING,
    Status.HELD: Part.HELD,
    Status.PARKED: Part.PARKED,
    Status.IN_DOUBT: Part.IN_DOUBT,
}
_DONE_AS = {Step.CREATE: Part.MADE, Step.BOOKKEEP: Part.BOOKED, Step.DELIVER: Part.DELIVERED}


def _count_due(run: Run, row: Row[Any]) -> None:
    some = Sum(row.number, row.amount)
    run.figures.add(Part.DUE, row.currency, Sum(row.number, row.planned))
    if row.handmade:
        run.figures.add(Part.BY_HAND, row.currency, some)
    stands = _STANDS_AS.get(Status(row.status))
    if stands is not None:
        run.figures.add(stands, row.currency, some)


def _count_called(run: Run, row: Row[Any]) -> None:
    run.began_at = min(filter(None, (run.began_at, row.began_at)))
    run.ended_at = max(filter(None, (run.ended_at, row.ended_at)))
    if not row.counts:
        return
    step = Step(row.step)
    run.figures.add(_DONE_AS[step], row.currency, Sum(row.number, row.amount))
    if step is Step.CREATE:
        run.figures.add_net(row.currency, Net(row.net, row.number - row.net_known))
        run.differing += row.differing
        run.made_until = max(filter(None, (run.made_until, row.ended_at)))
        before = InvoiceNumber(row.older_than or 0)
        run.older_than = before if run.older_than is None else min(run.older_than, before)


def _day(day: date) -> dict[str, object]:
    before, start, end = (
        datetime.combine(day + timedelta(days=days), time.min, STOCKHOLM).astimezone(UTC) for days in (-1, 0, 1)
    )
    until = datetime.combine(day + PROVED_WITHIN, time.min, STOCKHOLM).astimezone(UTC)
    return {"on": day, "day_before": before, "day_start": start, "day_end": end, "proved_until": until}


def _instant(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=Instant)


_planned_for_the_day = and_(
    # `billing_rows.planned_for`, the other way round: found by when it was planned.
    billings.c.created_at >= _instant("day_before"),
    billings.c.created_at < _instant("day_end"),
    or_(
        and_(billings.c.created_at >= _instant("day_start"), billings.c.due_on <= bindparam("on", type_=Date)),
        billings.c.due_on == bindparam("on", type_=Date),
    ),
    ~was_withdrawn(billings),
)

_called_on_the_day = and_(attempts.c.called_at >= _instant("day_start"), attempts.c.called_at < _instant("day_end"))
_of_the_tenant = billings.c.tenant == bindparam("of_tenant", type_=BigInteger)
_acted = attempts.c.verdict.is_not_distinct_from(word("acted"))
_comes_to = func.coalesce(billings.c.made_total, billings.c.amount, 0)
_money = billings.c.amount.type


def _due() -> Select[Any]:
    return (
        select(
            billings.c.tenant,
            billings.c.currency,
            billings.c.status,
            billings.c.handmade,
            func.count().label("number"),
            func.sum(func.coalesce(billings.c.amount, billings.c.made_total, 0), type_=_money).label("planned"),
            func.sum(_comes_to, type_=_money).label("amount"),
        )
        .where(_planned_for_the_day)
        .group_by(billings.c.tenant, billings.c.currency, billings.c.status, billings.c.handmade)
    )


def _called(*, of_one: bool) -> Select[Any]:
    # By billing and step first: a call may have been made more than once, and what it did counts once.
    called = (
        select(
            attempts.c.billing,
            attempts.c.step,
            func.min(attempts.c.called_at, type_=Instant).label("began_at"),
            func.max(func.coalesce(attempts.c.answered_at, attempts.c.called_at), type_=Instant).label("ended_at"),
            func.max(case((_acted, 1), else_=0)).label("acted"),
            func.min(attempts.c.newest_invoice_before).label("older_than"),
        )
        .where(_called_on_the_day)
        .group_by(attempts.c.billing, attempts.c.step)
    )
    if of_one:
        called = called.join(billings, billings.c.id == attempts.c.billing).where(_of_the_tenant)
    each = called.subquery("called")
    is_create = each.c.step == word(Step.CREATE.value)
    counts = and_(
        each.c.acted == 1, or_(~is_create, and_(billings.c.invoice.is_not(None), billings.c.handmade.is_(False)))
    )
    # The invoices are only asked for where one was made: of the other steps there is nothing to compare.
    made = and_(is_create, invoices.c.tenant == billings.c.tenant, invoices.c.number == billings.c.invoice)
    same_total = invoices.c.total == billings.c.made_total
    is_known = and_(same_total, invoices.c.vat.is_not(None))
    differs = or_(invoices.c.cancelled, invoices.c.credited_by.is_not(None), ~same_total)
    return (
        select(
            billings.c.tenant,
            billings.c.currency,
            each.c.step,
            case((counts, 1), else_=0).label("counts"),
            func.count().label("number"),
            func.sum(_comes_to, type_=_money).label("amount"),
            func.sum(case((is_known, invoices.c.total - invoices.c.vat), else_=0), type_=_money).label("net"),
            func.sum(case((is_known, 1), else_=0)).label("net_known"),
            func.sum(case((differs, 1), else_=0)).label("differing"),
            func.min(each.c.began_at, type_=Instant).label("began_at"),
            func.max(each.c.ended_at, type_=Instant).label("ended_at"),
            func.min(each.c.older_than).label("older_than"),
        )
        .select_from(each.join(billings, billings.c.id == each.c.billing).outerjoin(invoices, made))
        .group_by(billings.c.tenant, billings.c.currency, each.c.step, literal_column("counts"))
    )


_DUE = {True: _due().where(_of_the_tenant), False: _due()}
_CALLED = {of_one: _called(of_one=of_one) for of_one in (True, False)}
_proved = (
    select(func.max(proofs.c.made_at, type_=Instant))
    .where(
        proofs.c.tenant == tenants.c.id,
        proofs.c.day >= bindparam("on", type_=Date),
        proofs.c.made_at < _instant("proved_until"),
    )
    .correlate(tenants)
    .scalar_subquery()
)
_PROVED = {
    True: select(tenants.c.id, _proved.label("proved_at")).where(tenants.c.id == bindparam("of_tenant")),
    False: select(tenants.c.id, _proved.label("proved_at")),
}
_last_call = select(func.max(attempts.c.called_at, type_=Instant).label("called_at")).where(
    attempts.c.called_at < _instant("day_start")
)
_LAST_CALL = {
    True: _last_call.join(billings, billings.c.id == attempts.c.billing).where(_of_the_tenant),
    False: _last_call,
}
_DUE_IDS = select(billings.c.id).where(_planned_for_the_day, _of_the_tenant)
_of_the_day_and_tenant = (
    select(attempts.c.billing, attempts.c.step)
    .join(billings, billings.c.id == attempts.c.billing)
    .where(_called_on_the_day, _of_the_tenant)
)
_ACTED = _of_the_day_and_tenant.where(_acted).distinct()
_in_run = union(_DUE_IDS, _of_the_day_and_tenant.with_only_columns(attempts.c.billing)).subquery("in_run")
_BILLINGS = (
    select(billings)
    .join(_in_run, _in_run.c.id == billings.c.id)
    .order_by(billings.c.contract, billings.c.period_start, billings.c.id)
)
_INVOICES = (
    select(invoices)
    .join(billings, and_(billings.c.tenant == invoices.c.tenant, billings.c.invoice == invoices.c.number))
    .join(_in_run, _in_run.c.id == billings.c.id)
)
_OWNED = select(billings.c.invoice).where(
    billings.c.tenant == bindparam("of_tenant"), billings.c.invoice > bindparam("above")
)
