"""The claim to set new prices in a contract: the only permission for that call, and what is written of it.

Setting a price twice does the same as once, so that a call without an answer is made good by reading; but only one
worker at a time may send a contract's rows, since those of a second would carry row ids that the first has renewed.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    text,
    true,
    update,
)

from common.clock import boottime
from common.ids import ContractNumber, TenantId
from common.ledger import audit, blocks, contract_rows, policies, price_changes, price_updates, price_waits
from common.ledger import contracts as contract_mirror
from common.ledger.columns import Instant, microseconds
from common.ledger.contract_rows import ReadRows
from common.ledger.database import NOW, Ledger
from common.ledger.records import Contract
from common.ledger.schema import bureau, contracts, tenants, word
from common.ledger.schema import price_updates as updates

_TO_BE_DONE = "price_updates.status IN ('approved', 'undoing')"


@dataclass(frozen=True, slots=True)
class PriceClaim:
    """The right to set the prices of one contract once. `held_until` is by `boottime()`."""

    tenant: TenantId
    contract: ContractNumber
    token: str
    held_until: float


@dataclass(frozen=True, slots=True)
class SeenContract:
    """A contract as one answer showed it: what its listing shows, too, and its rows."""

    contract: Contract
    rows: ReadRows


async def ready(ledger: Ledger, *, limit: int) -> dict[TenantId, list[ContractNumber]]:
    """The contracts whose prices could be set now, by company, those approved first first."""
    found: dict[TenantId, list[ContractNumber]] = {}
    for row in await ledger.fetch(_READY.limit(limit), ledger.shift):
        numbers = found.setdefault(row.tenant, [])
        if row.contract not in numbers:
            numbers.append(row.contract)
    return found


async def under_way(ledger: Ledger) -> int:
    """How many price updates are claimed now, or pause before they are tried again."""
    counted = select(func.count()).where(updates.c.lease_until > NOW, text(_TO_BE_DONE))
    return int((await ledger.fetch(counted, ledger.shift))[0][0])


async def claim(
    ledger: Ledger, tenant: TenantId, contract: ContractNumber, *, by: str, lease: timedelta
) -> PriceClaim | None:
    """Takes the right for everything that is to be done in the contract; `None`: nothing is, or not now.

    Parameters:
      lease: how long the call may take at the longest, with what is read before it.
    """
    held_until = boottime() + lease.total_seconds()
    token = secrets.token_urlsafe(16)

    def work(connection: Connection) -> bool:
        price_changes.lock(connection, tenant)
        # The lock of every claim of a create (`claims.claim`): the two never pass each other unseen.
        blocks.lock(connection, tenant)
        this = and_(updates.c.tenant == tenant, updates.c.contract == contract)
        found = connection.execute(_READY.where(this), ledger.shift).all()
        book = policies.read(connection, tenant)
        if not found or book.policy_of(tenant, found[0].template, contract).mode != "live":
            return False
        taken = (
            update(updates)
            .where(updates.c.id.in_([row.id for row in found]))
            .values(token=token, lease_until=NOW + bindparam("lease", type_=Instant.impl))
        )
        connection.execute(taken, {"lease": microseconds(lease), **ledger.shift})
        return True

    return PriceClaim(tenant, contract, token, held_until) if await ledger.transact(work) else None


async def prepare(ledger: Ledger, claim: PriceClaim, seen: SeenContract, by: str) -> Mapping[int, Decimal]:
    """Judges what was claimed by the rows as they were just read, and writes down the call that follows.

    Returns by row id the price that each row is to get. Empty: nothing is to be called, and the claim is over.
    """

    def work(connection: Connection) -> dict[int, Decimal]:
        _take_in(connection, ledger, seen, by)
        prices: dict[int, Decimal] = {}
        for one in _claimed(connection, claim):
            mirrored = contract_rows.of(connection, claim.tenant, claim.contract)
            shown = None if mirrored is None else mirrored.priced.period
            if mirrored is None or shown is None or (one.first_day is not None and shown.start < one.first_day):
                continue
            prices |= price_updates.new_prices(connection, one, mirrored)
        if prices:
            told = {str(row): str(price) for row, price in sorted(prices.items())}
            _audit(connection, ledger, claim, by, "contract_prices_sent", told)
        else:
            _let_go(connection, ledger, claim, timedelta(0))
        return prices

    return await ledger.transact(work)


async def settle(
    ledger: Ledger,
    claim: PriceClaim,
    seen: SeenContract,
    before: Decimal | None,
    fault: Mapping[str, str] | None,
    by: str,
) -> None:
    """Takes in the contract as it is after the call: what has its new price is done.

    Parameters:
      before: its total as it was read before the call.
      fault: what else is different in it than was sent; what is not done by it then waits for a person.
    """

    def work(connection: Connection) -> None:
        _take_in(connection, ledger, seen, by)
        if before is not None and not fault:
            contract_mirror.reprice(connection, claim.tenant, claim.contract, before)
        said = fault or {"message": "Fortnox said yes, but the rows do not have the price."}
        for one in _claimed(connection, claim):
            price_updates.refuse(connection, ledger, one, said, by)
        if fault:
            _audit(connection, ledger, claim, by, "contract_changed_otherwise", fault)

    await ledger.transact(work)


async def refused(
    ledger: Ledger, claim: PriceClaim, said: Mapping[str, str], by: str, *, seen: SeenContract | None = None
) -> None:
    """Fortnox said no: a person must mend something.

    Parameters:
      seen: the contract as it was read after that. What it shows to have its new price is done for all that was said.
    """

    def work(connection: Connection) -> None:
        if seen is not None:
            _take_in(connection, ledger, seen, by)
        for one in _claimed(connection, claim):
            price_updates.refuse(connection, ledger, one, said, by)

    await ledger.transact(work)


async def let_go(ledger: Ledger, claim: PriceClaim, pause: timedelta) -> None:
    """Nothing was called: again after so long."""
    await ledger.transact(lambda connection: _let_go(connection, ledger, claim, pause))


def _take_in(connection: Connection, ledger: Ledger, seen: SeenContract, by: str) -> None:
    price_changes.lock(connection, seen.rows.tenant)
    # In one transaction: a total without its rows would have them read once more.
    contract_mirror.take_in(connection, ledger, seen.rows.tenant, [seen.contract])
    price_updates.take_in(connection, ledger, seen.rows, by)


def _let_go(connection: Connection, ledger: Ledger, claim: PriceClaim, pause: timedelta) -> None:
    released = (
        update(updates).where(_is(claim)).values(token=None, lease_until=NOW + bindparam("pause", type_=Instant.impl))
    )
    connection.execute(released, {"pause": microseconds(pause), **ledger.shift})


def _claimed(connection: Connection, claim: PriceClaim) -> Sequence[Row[Any]]:
    """What of the claim is still to be done."""
    return connection.execute(select(updates).where(_is(claim), text(_TO_BE_DONE)).order_by(updates.c.id)).all()


def _is(claim: PriceClaim) -> ColumnElement[bool]:
    return and_(updates.c.tenant == claim.tenant, updates.c.contract == claim.contract, updates.c.token == claim.token)


def _audit(
    connection: Connection, ledger: Ledger, claim: PriceClaim, by: str, action: str, told: Mapping[str, str]
) -> None:
    audit.record(
        connection, ledger, by, action, tenant=claim.tenant, contract=claim.contract, before={}, after=dict(told)
    )


_READY = (
    select(updates.c.id, updates.c.tenant, updates.c.contract, contracts.c.template)
    .join(contracts, and_(contracts.c.tenant == updates.c.tenant, contracts.c.number == updates.c.contract))
    .join(tenants, tenants.c.id == updates.c.tenant)
    .join(bureau, bureau.c.id == 1)
    .where(
        text(_TO_BE_DONE),
        or_(updates.c.lease_until.is_(None), updates.c.lease_until <= NOW),
        or_(updates.c.first_day.is_(None), updates.c.first_day <= contracts.c.period_start),
        contracts.c.status == word("ACTIVE"),
        ~bureau.c.paused,
        ~tenants.c.paused,
        ~contracts.c.paused,
        # Behind a CASE, so that it is asked of the few and not of all.
        case((~price_waits.is_being_invoiced(updates.c.tenant, updates.c.contract), true()), else_=false()),
    )
    .order_by(updates.c.id)
)
