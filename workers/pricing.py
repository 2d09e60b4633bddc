"""The pool that sets new prices in contracts: read, send back every row with only its price changed, read the answer.

Two requests a contract, since the answer to the second is the contract as it is then. A third only where there was no
answer, when the contract is read again once its claim is over; or a no, which may be to rows that are no more. What a
person has edited meanwhile is judged anew before anything is sent: nothing here may ever send a price that was not
judged by the rows as they were just read.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from common import mirror
from common.clock import boottime
from common.fortnox import errors, models
from common.fortnox.answers import Read
from common.fortnox.models import Row
from common.fortnox.requests import Permit
from common.ids import ContractNumber, TenantId
from common.ledger import price_claims
from common.ledger.price_claims import PriceClaim, SeenContract
from workers.runtime import Runtime
from workers.steps import AWAY, facts_of

log = structlog.get_logger()

TRY_AGAIN_AFTER = timedelta(seconds=5)
"""When Fortnox could not be asked: throttled, unreachable, or without a slot."""

NO_ACCESS_AGAIN_AFTER = timedelta(minutes=10)
"""When there is no token: what that needs is told of elsewhere."""


async def set_prices(runtime: Runtime, tenant: TenantId, contract: ContractNumber) -> None:
    """Sets the new prices that are to be set in one contract, if they still are."""
    lease = runtime.lease + timedelta(seconds=runtime.settings.call_timeout + runtime.longest_wait)
    claim = await price_claims.claim(runtime.ledger, tenant, contract, by=runtime.name, lease=lease)
    if claim is None:
        return
    with structlog.contextvars.bound_contextvars(tenant=tenant, contract=contract):
        try:
            await _set_prices(runtime, claim)
        except AWAY as error:
            # The claim ends with its lease; then the contract is read before anything is sent.
            log.warning("prices_wait", error=str(error))
        await runtime.ring()


async def _set_prices(runtime: Runtime, claim: PriceClaim) -> None:
    try:
        read = await runtime.fortnox.contract(claim.tenant, claim.contract)
        prices = await _prepare(runtime, claim, read.value, read.read_at)
        if not prices:
            return
        permit = await runtime.fortnox.permit(claim.tenant, max_wait=runtime.longest_wait)
    except errors.TokenRefused as error:
        await _again(runtime, claim, error, NO_ACCESS_AGAIN_AFTER)
        return
    except (errors.Throttled, errors.Unreachable, errors.Unauthorized, errors.InDoubt, errors.NotSent) as error:
        await _again(runtime, claim, error, TRY_AGAIN_AFTER)
        return
    except errors.Rejected as refusal:
        await _refused(runtime, claim, refusal)
        return
    if boottime() + runtime.settings.call_timeout > claim.held_until:
        # The process stood still: another may think by now that nothing is under way.
        return
    await _call(runtime, claim, permit, read.value, prices)


async def _prepare(
    runtime: Runtime, claim: PriceClaim, read: models.Contract, read_at: datetime
) -> Mapping[int, Decimal]:
    return await price_claims.prepare(runtime.ledger, claim, _seen(claim, read, read_at), runtime.name)


async def _call(
    runtime: Runtime, claim: PriceClaim, permit: Permit, read: models.Contract, prices: Mapping[int, Decimal]
) -> None:
    rows = [
        row.model_copy(update={"price": prices[row.row_id]}) if row.row_id is not None and row.row_id in prices else row
        for row in read.invoice_rows
    ]
    try:
        reply = await runtime.fortnox.put_contract_rows(permit, claim.contract, rows)
    except (errors.Throttled, errors.Unreachable, errors.Unauthorized) as error:
        await _again(runtime, claim, error, TRY_AGAIN_AFTER)
    except errors.Rejected as refusal:
        await _refused(runtime, claim, refusal, rows)
    except errors.InDoubt as doubt:
        # It may still take effect: nobody may send these rows before it no longer can. Then reading tells.
        log.warning("prices_in_doubt", error=str(doubt))
    else:
        fault = _otherwise(rows, reply.value.invoice_rows)
        # The answer shows the rows as they are after the call: a reading that began before it arrived is older.
        seen = _seen(claim, reply.value, runtime.settings.clock.now())
        before = mirror.single_contract(claim.tenant, read, seen.rows.read_at).view.total
        await price_claims.settle(runtime.ledger, claim, seen, before, fault, runtime.name)
        log.info("prices_set", rows=len(prices), x_uid=reply.x_uid, otherwise=fault is not None)


def _seen(claim: PriceClaim, read: models.Contract, read_at: datetime) -> SeenContract:
    return SeenContract(
        mirror.single_contract(claim.tenant, read, read_at), mirror.rows_of(claim.tenant, Read(read, read_at))
    )


def _otherwise(sent: Sequence[Row], answered: Sequence[Row]) -> Mapping[str, str] | None:
    """What else is different in the contract than what was sent, row by row; `None`: nothing."""
    if len(sent) != len(answered):
        return {"message": f"{len(sent)} rows were sent, and the contract has {len(answered)} now."}
    for place, (one, other) in enumerate(zip(sent, answered, strict=True), start=1):
        differing = [name for name in _OURS if getattr(one, name) != getattr(other, name)]
        if differing:
            return {"message": f"Row {place} has another {', '.join(differing)} now than was sent."}
    return None


async def _again(
    runtime: Runtime, claim: PriceClaim, error: errors.FortnoxError | errors.NotSent, pause: timedelta
) -> None:
    log.info("prices_not_set", error=str(error))
    await price_claims.let_go(runtime.ledger, claim, pause)


async def _refused(
    runtime: Runtime, claim: PriceClaim, refusal: errors.Rejected, sent: Sequence[Row] | None = None
) -> None:
    """Fortnox said no: to the reading, or to the rows that were sent, when the contract tells whether that stands."""
    log.warning("prices_refused", http_status=refusal.http_status, code=refusal.code, x_uid=refusal.x_uid)
    seen = None
    if sent is not None:
        try:
            read = await runtime.fortnox.contract(claim.tenant, claim.contract)
        except (errors.FortnoxError, errors.NotSent) as error:
            await _again(runtime, claim, error, TRY_AGAIN_AFTER)
            return
        if [row.row_id for row in read.value.invoice_rows] != [row.row_id for row in sent]:
            # Somebody else has sent its rows meanwhile, or a call without an answer took effect only now: what was
            # refused is no more, and whether anything is still to be done is judged from the beginning.
            await _again(runtime, claim, refusal, timedelta(0))
            return
        seen = _seen(claim, read.value, read.read_at)
    await price_claims.refused(runtime.ledger, claim, facts_of(refusal), runtime.name, seen=seen)


_OURS = ("article_number", "description", "delivered_quantity", "price", "discount", "vat", "account_number", "unit")
"""The fields of a row that an update must leave as they were sent; of the others some are Fortnox' own."""
