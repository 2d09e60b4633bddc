"""The price updates: what a changed list price means for one contract, judged by the mirror.

    proposed    rows should follow, and a person is to say so
    approved    a person has said yes, or the policy: to be done before the contract's next invoice
    refused     Fortnox said no, or did something else: a person must mend it, or reject; the invoice waits for that
    left        no row follows; each tells why
    done        the rows have the new price: we have set it, or a person has in Fortnox
    undoing     a person wants the old price back, of what we have set
    undone      the old price is back
    rejected    a person says no; the contract keeps its prices, which count as negotiated from then on
    superseded  the article's price changed again before anything was done; the later change judges from the same origin

Judged when the change is noticed, and again whenever the contract's rows are read while it is open: what was approved
stays so only while it means the same. Nothing here calls Fortnox; `price_claims` permits the one call that there is.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, insert, select, text, update

from common.ids import ContractNumber, TenantId
from common.ledger import audit, contract_rows, policies
from common.ledger.contract_rows import Mirrored, ReadRows
from common.ledger.database import NOW, Ledger, instant_of
from common.ledger.policies import PolicyBook
from common.ledger.price_changes import PriceChange, change_of, lock
from common.ledger.schema import IS_OPEN_UPDATE, contracts, price_changes, price_updates, word
from common.rules.policy import Policy
from common.rules.prices import (
    Caution,
    ContractVerdict,
    PricedRow,
    RowVerdict,
    Terms,
    Why,
    judge,
    repriced,
    restored,
)


class UpdateStatus(StrEnum):
    """Where an update stands; see the head of the module."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"
    LEFT = "left"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class UpdateRow(NamedTuple):
    """A row of the article as it was judged: `price` becomes `new`, or stays where the two are the same."""

    quantity: Decimal
    price: Decimal
    new: Decimal
    why: Why


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """What a change means for one contract."""

    id: int
    tenant: TenantId
    contract: ContractNumber
    customer_name: str
    article: str
    change: int
    status: UpdateStatus
    detail: Mapping[str, str]
    """What Fortnox said, where it refused."""
    rows: tuple[UpdateRow, ...]
    cautions: tuple[Caution, ...]
    first_day: date | None
    """The first day of the first period with the new price."""
    a_month: Decimal | None
    currency: str
    changed_at: datetime


class Tally(NamedTuple):
    """How many contracts a change concerns, by status, and what those proposed come to in a month, by currency."""

    contracts: Mapping[UpdateStatus, int]
    a_month: Mapping[str, Decimal]


def consider(connection: Connection, ledger: Ledger, change: PriceChange, by: str) -> None:
    """Judges a change that was just noticed for every contract that uses the article, by the mirror.

    A contract that is just being given an earlier price is left for the reading that follows (`_catch_up`).
    """
    book = policies.read(connection, change.tenant)
    open_ones = _open(connection, change.tenant, price_updates.c.article == change.article)
    now = connection.execute(select(NOW), ledger.shift).scalar_one()
    claimed = {one.contract for one in open_ones if _is_claimed(one, instant_of(now))}
    earlier = {one.contract: one for one in open_ones}
    origins = _changes(connection, {one.origin for one in open_ones})
    judged = [
        _Judged(mirrored, change, _origin(earlier.get(mirrored.priced.number), origins, change))
        for mirrored in contract_rows.using(connection, change.tenant, change.article)
        if mirrored.priced.number not in claimed
    ]
    _supersede(connection, ledger, [one for one in open_ones if one.contract not in claimed], by)
    _put(connection, ledger, [one for one in judged if one.is_wanted(book)], book, by)


def _is_claimed(one: Row[Any], now: datetime) -> bool:
    return one.token is not None and one.lease_until > now


def _origin(earlier: Row[Any] | None, origins: Mapping[int, PriceChange], change: PriceChange) -> PriceChange:
    """The change before which the contract's rows still have the list's price. What is to be undone has the price of
    the list as it was until now."""
    if earlier is None or earlier.status == UpdateStatus.UNDOING:
        return change
    return origins[earlier.origin]


async def take_in_rows(ledger: Ledger, seen: ReadRows, by: str) -> None:
    """Takes in the rows of a contract, and judges anew what they decide: updates that are open, and changes that were
    noticed while the rows were not known."""
    await ledger.transact(lambda connection: take_in(connection, ledger, seen, by))


def take_in(connection: Connection, ledger: Ledger, seen: ReadRows, by: str) -> None:
    """`take_in_rows` within a transaction."""
    watch = lock(connection, seen.tenant)
    before = contract_rows.take_in(connection, seen)
    if watch is None:
        return
    rejudge(connection, ledger, seen.tenant, seen.contract, by)
    mirrored = contract_rows.of(connection, seen.tenant, seen.contract)
    if mirrored is not None:
        _catch_up(connection, ledger, mirrored, watch.since if before is None else before, by)


def refuse(connection: Connection, ledger: Ledger, one: Row[Any], said: Mapping[str, str], by: str) -> None:
    """What was to be done was not, and why; what was to be undone stays done."""
    to = UpdateStatus.DONE if one.status == UpdateStatus.UNDOING else UpdateStatus.REFUSED
    _move(connection, ledger, one, to, by, {"detail": dict(said)})


def rejudge(connection: Connection, ledger: Ledger, tenant: TenantId, contract: ContractNumber, by: str) -> None:
    """Judges the open updates of one contract by its rows and rules of now."""
    open_ones = _open(connection, tenant, price_updates.c.contract == contract)
    if not open_ones:
        return
    mirrored = contract_rows.of(connection, tenant, contract)
    book = policies.read(connection, tenant)
    known = _changes(connection, {number for one in open_ones for number in (one.change, one.origin)})
    for one in open_ones:
        if mirrored is None:
            _move(connection, ledger, one, UpdateStatus.LEFT, by, {})
        elif one.status == UpdateStatus.UNDOING:
            _rejudge_undoing(connection, ledger, one, mirrored, by)
        else:
            judged = _Judged(mirrored, known[one.change], known[one.origin])
            _rejudge(connection, ledger, one, judged, book, by)


def _rejudge(
    connection: Connection, ledger: Ledger, one: Row[Any], judged: "_Judged", book: PolicyBook, by: str
) -> None:
    verdict = judged.verdict(book)
    facts = _facts_of(verdict)
    if not verdict.follows:
        already = any(row.why is Why.ALREADY for row in verdict.rows)
        status = UpdateStatus.DONE if already else UpdateStatus.LEFT
        # What was approved keeps what was before it, for whoever wants it back.
        kept = already and one.status != UpdateStatus.PROPOSED
        _move(connection, ledger, one, status, by, facts if verdict.rows and not kept else {})
    elif one.status == UpdateStatus.PROPOSED or _following(facts) == _following({"rows": one.rows}):
        connection.execute(update(price_updates).where(price_updates.c.id == one.id).values(**facts))
    else:
        # A person has edited the contract since the yes, which was to something else.
        _move(connection, ledger, one, judged.begins(book), by, facts)


def _rejudge_undoing(connection: Connection, ledger: Ledger, one: Row[Any], mirrored: Mirrored, by: str) -> None:
    verdict = _verdict_of(one, mirrored)
    rows = mirrored.priced.rows
    if restored(rows, verdict) != rows:
        return
    # No row has the new price any more: the old one is back, or somebody has set a third.
    had = Counter((row.row.quantity, row.row.price) for row in verdict.rows)
    have = Counter((row.quantity, row.price) for row in rows if row.article == one.article)
    _move(connection, ledger, one, UpdateStatus.UNDONE if had <= have else UpdateStatus.DONE, by, {})


def new_prices(connection: Connection, one: Row[Any], mirrored: Mirrored) -> dict[int, Decimal]:
    """By row id, the prices that an approved update sets, or one that is to be undone puts back."""
    rows = mirrored.priced.rows
    if one.status == UpdateStatus.UNDOING:
        afterwards = restored(rows, _verdict_of(one, mirrored))
    else:
        known = _changes(connection, {one.change, one.origin})
        judged = _Judged(mirrored, known[one.change], known[one.origin])
        afterwards = repriced(rows, judged.verdict(policies.read(connection, one.tenant)))
    return {
        row.row_id: new.price
        for row, new in zip(rows, afterwards, strict=True)
        if row.row_id is not None and row.price != new.price
    }


def _verdict_of(one: Row[Any], mirrored: Mirrored) -> ContractVerdict:
    """The verdict as it was kept when it was done."""
    rows = tuple(
        RowVerdict(
            PricedRow(
                row_id=None,
                article=one.article,
                quantity=Decimal(row["quantity"]),
                price=Decimal(row["price"]),
                discount=Decimal(row["discount"]),
                is_percent=row["is_percent"],
                vat=None if row["vat"] is None else Decimal(row["vat"]),
            ),
            Why(row["why"]),
            Decimal(row["new"]),
        )
        for row in one.rows["rows"]
        if row["why"] == Why.FOLLOWS
    )
    return ContractVerdict(mirrored.priced, rows, one.first_day, ())


def _following(facts: Mapping[str, Any]) -> Counter[tuple[str, str, str]]:
    """What the rows that follow have, and get."""
    return Counter(
        (row["quantity"], row["price"], row["new"]) for row in facts["rows"]["rows"] if row["why"] == Why.FOLLOWS
    )


async def approve(
    ledger: Ledger, change: int, only: Collection[ContractNumber] | None, by: str
) -> list[ContractNumber]:
    """A person's yes to what is proposed, or another try of what was refused. Returns whose update that is."""
    asked = (UpdateStatus.PROPOSED, UpdateStatus.REFUSED)
    return await _say(ledger, change, only, asked, UpdateStatus.APPROVED, by)


async def undo(ledger: Ledger, change: int, only: Collection[ContractNumber] | None, by: str) -> list[ContractNumber]:
    """A person wants the old prices back, of what we have set. Returns whose update is undone by it.

    Not where a later change of the price has been judged since: that one compares with the price that now stands.
    """
    return await _say(ledger, change, only, (UpdateStatus.DONE,), UpdateStatus.UNDOING, by)


async def reject(ledger: Ledger, change: int, only: Collection[ContractNumber] | None, by: str) -> list[ContractNumber]:
    """A person's no to what is not done yet, for those contracts or for all. Returns whose update is rejected by it."""
    asked = (UpdateStatus.PROPOSED, UpdateStatus.APPROVED, UpdateStatus.REFUSED)
    return await _say(ledger, change, only, asked, UpdateStatus.REJECTED, by)


async def _say(
    ledger: Ledger,
    change: int,
    only: Collection[ContractNumber] | None,
    asked: Collection[UpdateStatus],
    answer: UpdateStatus,
    by: str,
) -> list[ContractNumber]:
    def work(connection: Connection) -> list[ContractNumber]:
        noticed = _changes(connection, {change}).get(change)
        if noticed is None:
            return []
        lock(connection, noticed.tenant)
        now = instant_of(connection.execute(select(NOW), ledger.shift).scalar_one())
        of_change = and_(price_updates.c.change == change, price_updates.c.status.in_([one.value for one in asked]))
        found = connection.execute(select(price_updates).where(of_change).order_by(price_updates.c.contract)).all()
        wanted = [
            one
            for one in found
            if (only is None or one.contract in only) and not _is_claimed(one, now) and _may_be(connection, one, answer)
        ]
        for one in wanted:
            _move(connection, ledger, one, answer, by, {"detail": {}})
        return [one.contract for one in wanted]

    return await ledger.transact(work)


def _may_be(connection: Connection, one: Row[Any], answer: UpdateStatus) -> bool:
    """Whether it was us who set the price, of what is to be undone, and nothing was judged by it since."""
    if answer is not UpdateStatus.UNDOING:
        return True
    later = exists().where(
        price_updates.c.tenant == one.tenant,
        price_updates.c.contract == one.contract,
        price_updates.c.article == one.article,
        price_updates.c.change > one.change,
    )
    return bool(_following({"rows": one.rows})) and not connection.execute(select(later)).scalar()


async def never_touch(ledger: Ledger, tenant: TenantId, contract: ContractNumber, article: str, by: str) -> bool:
    """Marks the contract's rows of the article; what is proposed for them is left. Returns whether that is new."""

    def work(connection: Connection) -> bool:
        lock(connection, tenant)
        is_new = contract_rows.mark(connection, ledger, tenant, contract, article, by)
        rejudge(connection, ledger, tenant, contract, by)
        return is_new

    return await ledger.transact(work)


async def may_touch(ledger: Ledger, tenant: TenantId, contract: ContractNumber, article: str, by: str) -> bool:
    """Takes the mark away, for changes to come. Returns whether there was one."""

    def work(connection: Connection) -> bool:
        lock(connection, tenant)
        return contract_rows.unmark(connection, ledger, tenant, contract, article, by)

    return await ledger.transact(work)


async def of_change(ledger: Ledger, change: int) -> list[PriceUpdate]:
    """What a change means, contract by contract."""
    return [_update_of(row) for row in await ledger.fetch(_OF_CHANGE, {"of_change": change})]


async def waiting_for_a_person(ledger: Ledger) -> list[PriceUpdate]:
    """What is proposed or was refused, by company, change and contract."""
    return [_update_of(row) for row in await ledger.fetch(_FOR_A_PERSON)]


async def tallies(ledger: Ledger, changes: Sequence[int]) -> dict[int, Tally]:
    """What each of the changes comes to."""
    rows = await ledger.fetch(_TALLIES.where(price_updates.c.change.in_(changes)))
    found: dict[int, tuple[dict[UpdateStatus, int], dict[str, Decimal]]] = {one: ({}, {}) for one in changes}
    for row in rows:
        counts, sums = found[row.change]
        status = UpdateStatus(row.status)
        counts[status] = counts.get(status, 0) + row.number
        if status is UpdateStatus.PROPOSED:
            sums[row.currency] = sums.get(row.currency, Decimal(0)) + (row.a_month or Decimal(0))
    return {change: Tally(*of) for change, of in found.items()}


@dataclass(frozen=True, slots=True)
class _Judged:
    """A contract, the change that it is to follow, and the one before which its rows still have the list's price."""

    mirrored: Mirrored
    change: PriceChange
    origin: PriceChange

    def verdict(self, book: PolicyBook) -> ContractVerdict:
        facts = replace(self.change.facts, before=self.origin.facts.before)
        return judge(self.mirrored.priced, facts, terms_of(self._policy(book)))

    def begins(self, book: PolicyBook) -> UpdateStatus:
        """Where it stands when it is judged for the first time: nothing is done by itself that asks for caution."""
        verdict = self.verdict(book)
        if not verdict.follows:
            return UpdateStatus.LEFT
        applied = self._policy(book).prices == "apply" and not verdict.cautions
        return UpdateStatus.APPROVED if applied else UpdateStatus.PROPOSED

    def is_wanted(self, book: PolicyBook) -> bool:
        return self._policy(book).prices != "off"

    def _policy(self, book: PolicyBook) -> Policy:
        priced = self.mirrored.priced
        return book.policy_of(priced.tenant, self.mirrored.template, priced.number)


def terms_of(policy: Policy) -> Terms:
    """What the policy says of prices."""
    bound = policy.price_rise_percent if policy.prices == "apply" else None
    return Terms(policy.price_rows, policy.price_from, bound)


def _catch_up(connection: Connection, ledger: Ledger, mirrored: Mirrored, since: datetime, by: str) -> None:
    """The changes that were noticed after the rows were read the last time, and were not judged for the contract."""
    priced = mirrored.priced
    articles = {row.article for row in priced.rows}
    judged_already = exists().where(
        price_updates.c.change == price_changes.c.id, price_updates.c.contract == priced.number
    )
    missed = [
        change_of(row)
        for row in connection.execute(
            select(price_changes)
            .where(
                price_changes.c.tenant == priced.tenant,
                price_changes.c.article.in_(sorted(articles)),
                price_changes.c.noticed_at > since,
                ~judged_already,
            )
            .order_by(price_changes.c.id)
        )
    ]
    book = policies.read(connection, priced.tenant)
    first = {one.facts.article: one for one in reversed(missed)}
    last = {one.facts.article: one for one in missed}
    of_these = and_(price_updates.c.contract == priced.number, price_updates.c.article.in_(sorted(last)))
    open_ones = _open(connection, priced.tenant, of_these)
    earlier = {one.article: one for one in open_ones}
    origins = _changes(connection, {one.origin for one in open_ones})
    judged = [
        _Judged(mirrored, last[article], _origin(earlier.get(article), origins, first[article]))
        for article in sorted(last)
    ]
    _supersede(connection, ledger, open_ones, by)
    _put(connection, ledger, [one for one in judged if one.is_wanted(book)], book, by)


def _put(connection: Connection, ledger: Ledger, judged: Iterable[_Judged], book: PolicyBook, by: str) -> None:
    values, entries = [], []
    for one in judged:
        priced, status = one.mirrored.priced, one.begins(book)
        facts = _facts_of(one.verdict(book))
        keys = {"change": one.change.id, "origin": one.origin.id, "article": one.change.facts.article}
        whose = {"tenant": priced.tenant, "contract": priced.number, "currency": priced.currency}
        values.append({**whose, **keys, "status": status.value, "detail": {}, **facts, **ledger.shift})
        told = {"change": one.change.id, "status": status.value, "rows": facts["rows"]["rows"]}
        entries.append(audit.entry(priced.tenant, priced.number, None, {}, told))
    if values:
        connection.execute(_INSERT, values)
    audit.record_all(connection, ledger, by, "price_update_judged", entries)


def _supersede(connection: Connection, ledger: Ledger, open_ones: Sequence[Row[Any]], by: str) -> None:
    for one in open_ones:
        _move(connection, ledger, one, UpdateStatus.SUPERSEDED, by, {})


def _move(
    connection: Connection, ledger: Ledger, one: Row[Any], to: UpdateStatus, by: str, facts: Mapping[str, Any]
) -> None:
    moved = {"status": to.value, "token": None, "lease_until": None, "changed_at": NOW, **facts}
    connection.execute(update(price_updates).where(price_updates.c.id == one.id).values(moved), ledger.shift)
    audit.record(
        connection,
        ledger,
        by,
        f"price_update_{to.value}",
        tenant=one.tenant,
        contract=one.contract,
        before={"change": one.change, "status": one.status},
        after={"change": one.change, "status": to.value},
    )


def _open(connection: Connection, tenant: TenantId, which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    is_open = and_(price_updates.c.tenant == tenant, text(f"price_updates.{IS_OPEN_UPDATE}"), which)
    return connection.execute(select(price_updates).where(is_open).order_by(price_updates.c.id)).all()


def _changes(connection: Connection, numbers: Collection[int]) -> dict[int, PriceChange]:
    rows = connection.execute(select(price_changes).where(price_changes.c.id.in_(sorted(numbers))))
    return {row.id: change_of(row) for row in rows}


def _facts_of(verdict: ContractVerdict) -> dict[str, Any]:
    rows = [
        {
            "quantity": str(one.row.quantity),
            "price": str(one.row.price),
            "discount": str(one.row.discount),
            "is_percent": one.row.is_percent,
            "vat": None if one.row.vat is None else str(one.row.vat),
            "new": str(one.price),
            "why": one.why.value,
        }
        for one in verdict.rows
    ]
    return {
        "rows": {"rows": rows},
        "cautions": {"cautions": [caution.value for caution in verdict.cautions] if verdict.follows else []},
        "first_day": verdict.first,
        "a_month": verdict.a_month,
    }


def _update_of(row: Row[Any]) -> PriceUpdate:
    return PriceUpdate(
        id=row.id,
        tenant=row.tenant,
        contract=row.contract,
        customer_name=row.customer_name or "",
        article=row.article,
        change=row.change,
        status=UpdateStatus(row.status),
        detail=row.detail,
        rows=tuple(
            UpdateRow(Decimal(one["quantity"]), Decimal(one["price"]), Decimal(one["new"]), Why(one["why"]))
            for one in row.rows["rows"]
        ),
        cautions=tuple(Caution(one) for one in row.cautions["cautions"]),
        first_day=row.first_day,
        a_month=row.a_month,
        currency=row.currency,
        changed_at=row.changed_at,
    )


_INSERT = insert(price_updates).values(
    {
        **{
            name: bindparam(name)
            for name in (
                "tenant",
                "contract",
                "article",
                "change",
                "origin",
                "status",
                "detail",
                "rows",
                "cautions",
                "first_day",
                "a_month",
                "currency",
            )
        },
        "created_at": NOW,
        "changed_at": NOW,
    }
)
_WITH_CUSTOMER = select(price_updates, contracts.c.customer_name).outerjoin(
    contracts, and_(contracts.c.tenant == price_updates.c.tenant, contracts.c.number == price_updates.c.contract)
)
_OF_CHANGE = _WITH_CUSTOMER.where(price_updates.c.change == bindparam("of_change")).order_by(price_updates.c.contract)
_FOR_A_PERSON = _WITH_CUSTOMER.where(
    text(f"price_updates.{IS_OPEN_UPDATE}"), price_updates.c.status.in_([word("proposed"), word("refused")])
).order_by(price_updates.c.tenant, price_updates.c.change, price_updates.c.contract)
_TALLIES = select(
    price_updates.c.change,
    price_updates.c.status,
    price_updates.c.currency,
    func.count().label("number"),
    func.sum(price_updates.c.a_month).label("a_month"),
).group_by(price_updates.c.change, price_updates.c.status, price_updates.c.currency)
