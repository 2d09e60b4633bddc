"""The last pre-flight of each company: what was read of it, and what that means for what its policies choose now.

Kept is what was read, never the judgment: a changed policy, a new day or a refusal is judged by the same reading.
Nothing here calls Fortnox.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import ContractNumber, TenantId
from common.ledger import audit, policies
from common.ledger.columns import Instant, microseconds
from common.ledger.database import NOW, Ledger
from common.ledger.policies import PolicyBook
from common.ledger.schema import attempts, billings, blocks, invoices, preflights, word
from common.rules.policy import Policy
from common.rules.preflight import (
    Experience,
    Finding,
    Need,
    Observed,
    Severity,
    Stopped,
    Wants,
    certain,
    judge,
    wants_of,
)
from common.rules.reasons import Reason
from common.rules.states import OPEN, Status, Step


@dataclass(frozen=True, slots=True)
class Judged:
    """A company's last pre-flight, judged as of now.

    Parameters:
      made_at: when it was last read; `None`: never. Then only what has been refused is known.
      error: why the last try to read it came to nothing; `None` if it did not.
    """

    tenant: TenantId
    tried_at: datetime | None
    made_at: datetime | None
    error: str | None
    findings: Sequence[Finding]

    @property
    def hinders(self) -> bool:
        """Whether anything hinders it already."""
        return any(one.severity is Severity.HINDERS for one in self.findings)


@dataclass(frozen=True, slots=True)
class Holding:
    """What hinders a company of which something is held for that (`Reason.COMPANY_HINDERED`).

    Parameters:
      needs: what would certainly be refused now, and why; empty where all that has passed.
      newest: when the last of its billings was held so.
    """

    needs: Mapping[Need, Reason]
    newest: datetime


async def begin(ledger: Ledger, tenant: TenantId, *, again_after: timedelta) -> bool:
    """Whether nobody has tried within that time; if so, this is a try."""
    facts = {"of_tenant": tenant, "again_after": microseconds(again_after), **ledger.shift}
    return await ledger.transact(
        lambda connection: connection.execute(_BEGIN[ledger.is_sqlite], facts).one_or_none() is not None
    )


async def keep(ledger: Ledger, tenant: TenantId, observed: Observed, by: str) -> None:
    """Keeps what was read in the place of what was read before; what has changed since is audited."""

    def work(connection: Connection) -> None:
        before = _observed_of(connection.execute(_ONE, {"of_tenant": tenant}).one_or_none())
        facts = {"of_tenant": tenant, "read": observed.model_dump_json(exclude_defaults=True), **ledger.shift}
        connection.execute(_KEEP[ledger.is_sqlite], facts)
        if observed != before:
            audit.record(
                connection,
                ledger,
                by,
                "preflight_made",
                tenant=tenant,
                before={} if before is None else before.model_dump(mode="json", exclude_defaults=True),
                after=observed.model_dump(mode="json", exclude_defaults=True),
            )

    await ledger.transact(work)


async def fail(ledger: Ledger, tenant: TenantId, error: str) -> None:
    """The company could not be read, and why; what was read before stays."""
    facts = {"of_tenant": tenant, "failed": error, **ledger.shift}
    await ledger.transact(lambda connection: connection.execute(_FAIL[ledger.is_sqlite], facts))


async def judged(ledger: Ledger, tenants: Sequence[TenantId]) -> dict[TenantId, Judged]:
    """What holds of each of the companies now, by its last pre-flight and by what has been refused."""
    today = ledger.clock.today()

    def work(connection: Connection) -> dict[TenantId, Judged]:
        only = tenants[0] if len(tenants) == 1 else None
        rows = {row.tenant: row for row in connection.execute(_all(only))}
        stops = _stops(connection, only)
        book = policies.read(connection, only)
        return {
            one: _judged(one, rows.get(one), wants_of(_policies(book, one)), _known(connection, one, stops), today)
            for one in tenants
        }

    return await ledger.read(work)


def _judged(tenant: TenantId, row: Row[Any] | None, wants: Wants, known: Experience, today: date) -> Judged:
    observed = _observed_of(row)
    if row is None or observed is None:
        # Of what was never read nothing is said, save what has been refused.
        findings = judge(Observed(), Wants(), known, today)
        return Judged(tenant, row and row.tried_at, None, row and row.error, findings)
    return Judged(tenant, row.tried_at, row.made_at, row.error, judge(observed, wants, known, today))


def _policies(book: PolicyBook, tenant: TenantId) -> Iterator[Policy]:
    """Of the company, and of each level below it that says something."""
    yield book.policy_of(tenant)
    for level, key in book.below(tenant):
        if level == "template":
            yield book.policy_of(tenant, key)
        else:
            yield book.policy_of(tenant, None, ContractNumber(int(key)))


def _known(connection: Connection, tenant: TenantId, stops: Mapping[TenantId, Sequence[Stopped]]) -> Experience:
    delivered = {row.nox_finans for row in connection.execute(_DELIVERED, {"of_tenant": tenant})}
    return Experience(stops.get(tenant, ()), has_sent=False in delivered, has_handed_over=True in delivered)


async def wants(ledger: Ledger, tenant: TenantId) -> Wants:
    """What the company's policies choose now, all together."""
    return wants_of(_policies(await policies.load(ledger, tenant), tenant))


def hindered(connection: Connection, tenant: TenantId | None) -> dict[TenantId, Mapping[Need, Reason]]:
    """For the plan: what of each company's needs would certainly be refused; who has none of that is left out."""
    observed = {row.tenant: _observed_of(row) for row in connection.execute(_all(tenant))}
    stops = _stops(connection, tenant, proven=True)
    found = {one: certain(observed.get(one), stops.get(one, ())) for one in observed.keys() | stops.keys()}
    return {one: needs for one, needs in found.items() if needs}


async def holding(ledger: Ledger) -> dict[TenantId, Holding]:
    """The companies of which the plan held something for a hindrance, and what hinders each of them now."""

    def work(connection: Connection) -> dict[TenantId, Holding]:
        return {
            row.tenant: Holding(hindered(connection, row.tenant).get(row.tenant, {}), row.newest)
            for row in connection.execute(_HOLDING).all()
        }

    return await ledger.read(work)


def _stops(connection: Connection, tenant: TenantId | None, *, proven: bool = False) -> dict[TenantId, list[Stopped]]:
    """What the companies' steps are stopped for.

    Parameters:
      proven: only where an invoice waits at the step, whose retry would end the stop. Were new ones held back where
        none does, nothing would ever end it.
    """
    statement = select(blocks.c.tenant, blocks.c.step, blocks.c.reason, blocks.c.detail).order_by(blocks.c.since)
    if tenant is not None:
        statement = statement.where(blocks.c.tenant == tenant)
    if proven:
        statement = statement.where(_SOMETHING_WAITS)
    stops: dict[TenantId, list[Stopped]] = defaultdict(list)
    for row in connection.execute(statement):
        step = Step(row.step) if row.step else None
        said = row.detail.get("message") or row.detail.get("answer") or ""
        stops[row.tenant].append(Stopped(step, Reason(row.reason), said, row.detail.get("code") or ""))
    return stops


def _observed_of(row: Row[Any] | None) -> Observed | None:
    return None if row is None or row.observed is None else Observed.model_validate_json(row.observed)


def _all(tenant: TenantId | None) -> Any:
    return select(preflights) if tenant is None else select(preflights).where(preflights.c.tenant == tenant)


def _of_tenant(kind: Any, **values: Any) -> Any:
    return kind(preflights).values({"tenant": bindparam("of_tenant"), "tried_at": NOW, **values})


def _begin(kind: Any) -> Any:
    passed = NOW - bindparam("again_after", type_=Instant.impl)
    return (
        _of_tenant(kind)
        .on_conflict_do_update(index_elements=["tenant"], set_={"tried_at": NOW}, where=preflights.c.tried_at < passed)
        .returning(preflights.c.tenant)
    )


def _keep(kind: Any) -> Any:
    values = {"tried_at": NOW, "made_at": NOW, "observed": bindparam("read"), "error": None}
    return _of_tenant(kind, **values).on_conflict_do_update(index_elements=["tenant"], set_=values)


def _fail(kind: Any) -> Any:
    values = {"tried_at": NOW, "error": bindparam("failed")}
    return _of_tenant(kind, **values).on_conflict_do_update(index_elements=["tenant"], set_=values)


_BEGIN = {True: _begin(sqlite.insert), False: _begin(postgresql.insert)}
_KEEP = {True: _keep(sqlite.insert), False: _keep(postgresql.insert)}
_FAIL = {True: _fail(sqlite.insert), False: _fail(postgresql.insert)}
_ONE = select(preflights).where(preflights.c.tenant == bindparam("of_tenant"))
_SOMETHING_WAITS = and_(
    blocks.c.step.in_((Step.BOOKKEEP.value, Step.DELIVER.value)),
    exists(
        select(billings.c.id).where(
            billings.c.tenant == blocks.c.tenant,
            billings.c.step == blocks.c.step,
            billings.c.status.in_([word(status.value) for status in sorted(OPEN)]),
        )
    ),
)
_HOLDING = (
    select(billings.c.tenant, func.max(billings.c.changed_at).label("newest"))
    .where(
        text("billings.status IN ('held', 'parked')"),
        billings.c.status == word(Status.HELD.value),
        billings.c.reason == word(Reason.COMPANY_HINDERED.value),
    )
    .group_by(billings.c.tenant)
)
_DELIVERED = (
    select(invoices.c.nox_finans)
    .distinct()
    .select_from(billings)
    .join(
        attempts,
        and_(
            attempts.c.billing == billings.c.id,
            attempts.c.step == word(Step.DELIVER.value),
            attempts.c.verdict == word("acted"),
        ),
    )
    .join(invoices, and_(invoices.c.tenant == billings.c.tenant, invoices.c.number == billings.c.invoice))
    .where(billings.c.tenant == bindparam("of_tenant"))
)
