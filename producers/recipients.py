"""Learns, before invoices are made, whether they can reach their customers: the cards, and the contracts' own address.

It only reads, and only for contracts whose invoices are to be sent. What cannot be read is not held against a contract:
then Fortnox has the last word when the invoice is to be sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from common import mirror
from common.clock import STOCKHOLM
from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.ids import ContractNumber, TenantId
from common.ledger import contracts, customers
from common.ledger.customers import Customer
from common.ledger.database import Ledger
from common.rules.plan import Verdict
from common.rules.reasons import Reason
from common.rules.states import Delivery
from common.rules.ways import Way, way_of
from producers.planner import verdicts_on_due

log = structlog.get_logger()

AHEAD = 3
"""Days: what is due within them is looked at already, so that nothing is in the way on the day itself."""

READ_AT_ONCE = 100
"""Cards and contracts read one by one at a pass, for the soonest due; the next pass reads more of them, and follows at
once while something that is due today waits for that."""

ASK_AGAIN_AFTER = timedelta(hours=1)
"""When the contract of a held billing is read again: nothing else tells that somebody entered an address there."""

OVERLAP = timedelta(minutes=61)
"""Fortnox reads `lastmodified` by Sweden's wall clock, of which an hour comes twice in autumn (API notes 9.3)."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a pass has read.

    Parameters:
      anything: whether anything was read, so that what is due is to be planned anew.
      unread: the contracts due today whose turn to be read has not come: nothing of them is made before that.
    """

    anything: bool
    unread: frozenset[ContractNumber] = frozenset()


async def concerned(ledger: Ledger, tenant: TenantId) -> Sequence[Verdict]:
    """What is to be sent of what falls due within `AHEAD`, one of a contract, the soonest first."""
    found = [
        one
        for one in await verdicts_on_due(ledger, tenant, ledger.clock.today(), AHEAD)
        if one.policy.deliver is not Delivery.NONE and one.invoice_date is not None
    ]
    first = {one.contract.number: one for one in reversed(found) if one.reason not in _HAS_INVOICE}
    return sorted(first.values(), key=lambda one: one.due_on or date.max)


_HAS_INVOICE = frozenset({Reason.ALREADY_BILLED, Reason.SET_BACK})


async def unsure(
    ledger: Ledger, tenant: TenantId, about: Sequence[Verdict], *, due_by: date
) -> frozenset[ContractNumber]:
    """The contracts due by that day of which is still to be read whether their invoice can reach anybody."""
    return frozenset(
        one.contract.number
        for one in await _to_ask(ledger, tenant, about)
        if one.due_on is not None and one.due_on <= due_by
    )


async def learn(ledger: Ledger, fortnox: Fortnox, tenant: TenantId, about: Sequence[Verdict]) -> Learned:
    """Lists the customers once a day, and those changed while a billing is held; reads what only single documents tell.

    Raises FortnoxError or NotSent where the list cannot be read now.
    """
    if not about:
        return Learned(anything=False)
    listed_at, _ = await customers.listed(ledger, tenant)
    is_first_today = listed_at is None or listed_at.astimezone(STOCKHOLM).date() != ledger.clock.today()
    lists = is_first_today or any(_is_held(one) for one in about)
    if lists:
        await _list(ledger, fortnox, tenant, listed_at)
    to_ask = await _to_ask(ledger, tenant, about)
    answered = [await _ask(ledger, fortnox, verdict) for verdict in to_ask[:READ_AT_ONCE]]
    # Where none could be read, the rest will not be either, and what is not known is not held against a contract.
    waiting = to_ask[READ_AT_ONCE:] if any(answered) else ()
    today = ledger.clock.today()
    unread = frozenset(one.contract.number for one in waiting if one.due_on is not None and one.due_on <= today)
    return Learned(lists or bool(answered), unread)


async def _to_ask(ledger: Ledger, tenant: TenantId, about: Sequence[Verdict]) -> Sequence[Verdict]:
    """Those of which a card or the contract itself must be read."""
    listed_at, are_known = await customers.listed(ledger, tenant)
    if not about or (listed_at is not None and not are_known):
        return []
    known = await customers.of_numbers(ledger, tenant, {one.contract.customer_number for one in about})
    asked = await contracts.own_addresses_read_at(ledger, tenant)
    now = ledger.clock.now()
    return [one for one in about if _is_unsure(one, known.get(one.contract.customer_number), asked, now)]


def _is_unsure(
    verdict: Verdict, customer: Customer | None, asked: Mapping[ContractNumber, datetime], now: datetime
) -> bool:
    if customer is None:
        return True
    way = way_of(verdict.policy, customer.delivery)
    if way is Way.UNKNOWN:
        return customer.delivery is None
    if way is Way.EINVOICE:
        return customer.gln is None
    if way is not Way.EMAIL or customer.has_email:
        return False
    before = asked.get(verdict.contract.number)
    return customer.is_unsure_of_email or before is None or (_is_held(verdict) and now - before > ASK_AGAIN_AFTER)


def _is_held(verdict: Verdict) -> bool:
    return verdict.reason is Reason.RECIPIENT_MISSING


async def _list(ledger: Ledger, fortnox: Fortnox, tenant: TenantId, since: datetime | None) -> None:
    """The customers' cards that were changed since the last listing, or all."""
    began = ledger.clock.now()
    try:
        listing = await fortnox.customers(tenant, modified_since=since - OVERLAP if since is not None else None)
    except errors.Rejected as refusal:
        log.info("customers_unknown", tenant=tenant, answer=str(refusal))
        await customers.note_listing(ledger, tenant, began, known=False)
        return
    await customers.mirror(ledger, [mirror.listed_customer(tenant, read) for read in listing.rows])
    await customers.note_listing(ledger, tenant, listing.started_at, known=True)
    log.info("customers_listed", tenant=tenant, customers=len(listing.rows), all=since is None)


async def _ask(ledger: Ledger, fortnox: Fortnox, verdict: Verdict) -> bool:
    """Reads the customer's card, and where that has no address, the contract's own. `False`: they cannot be read."""
    contract = verdict.contract
    try:
        card = await fortnox.customer(contract.tenant, contract.customer_number)
        customer = mirror.single_customer(contract.tenant, card.value, card.read_at)
        await customers.mirror(ledger, [customer])
        if way_of(verdict.policy, customer.delivery) is Way.EMAIL and not customer.has_email:
            read = await fortnox.contract(contract.tenant, contract.number)
            row = mirror.single_contract(contract.tenant, read.value, read.read_at)
            await contracts.mirror(ledger, contract.tenant, [row], complete=False)
    except errors.FortnoxError as error:
        log.info("recipient_unknown", tenant=contract.tenant, contract=contract.number, answer=str(error))
        return False
    return True
