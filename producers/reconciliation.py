"""Proves for a company that every period that was due has one live invoice in Fortnox, or a reason why not.

It only reads, and little: the contracts, one listing of the invoices, and each contract invoice that the mirror lacks.
What it finds changes no billing but those whose invoice was cancelled or credited: of the rest a person decides.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import structlog

from common import mirror
from common.clock import STOCKHOLM
from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, Missing, NotSent
from common.fortnox.listings import Listing
from common.fortnox.models import InvoiceItem
from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger import blocks, invoices, proofs, reconciliation
from common.ledger import unreadable as unreadable_contracts
from common.ledger.billing_rows import planned_for
from common.ledger.database import Ledger
from common.ledger.proofs import Acknowledgement
from common.ledger.records import Billing, Invoice, Tenant
from common.rules.reasons import Reason
from common.rules.reconciliation import (
    SETTLED,
    BillingSeen,
    Finding,
    InvoiceSeen,
    Line,
    Stop,
    unreadable,
    unreadable_contract,
)
from common.rules.reconciliation import reconcile as decide
from common.rules.states import FINAL, Step
from producers.contracts import poll
from producers.planner import verdicts

log = structlog.get_logger()

REACH = timedelta(days=100)
"""How far back the proof goes: a quarter and some days. What is not done is in it, however old it is.

All that is older was proved day by day when it was younger, and every listing would be longer for it.
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of a company's periods that were due from `since` to `day`."""

    tenant: Tenant
    since: date
    day: date
    lines: Sequence[Line]
    acknowledged: Mapping[str, Acknowledgement]
    """By the marks of lines: what a person has looked at before, and found to be all right."""

    @property
    def is_settled(self) -> bool:
        """Whether every line is proved, explained, or acknowledged by a person."""
        return not any(self.needs_a_person(line) for line in self.lines)

    def needs_a_person(self, line: Line) -> bool:
        """Whether nobody has looked yet at a line that somebody should look at."""
        return line.finding not in SETTLED and line.mark not in self.acknowledged

    @property
    def counts(self) -> dict[str, int]:
        """How many lines there are of each finding."""
        return {finding.value: sum(line.finding is finding for line in self.lines) for finding in Finding}


async def prove(ledger: Ledger, fortnox: Fortnox, tenant: Tenant, day: date, by: str) -> Proof:
    """`reconcile`, and keeps the proof in the ledger; or that there is none, and why. Raises as `reconcile`."""
    try:
        proof = await reconcile(ledger, fortnox, tenant, day)
    except (FortnoxError, NotSent) as error:
        await proofs.fail(ledger, tenant.id, day, str(error))
        raise
    unsettled = [line for line in proof.lines if line.finding not in SETTLED]
    await proofs.keep(ledger, tenant.id, day, proof.since, proof.counts, unsettled, by)
    return proof


async def reconcile(ledger: Ledger, fortnox: Fortnox, tenant: Tenant, day: date) -> Proof:
    """Reads the company, and proves what was due by `day`.

    Parameters:
      day: a Swedish day, today or before. Fortnox shows what is, not what was: invoices are as of now.

    Raises:
      FortnoxError, NotSent: what could not be read proves nothing.
    """
    since = day - REACH
    await poll(ledger, fortnox, tenant)
    # Older invoices are history, or are of billings that are final since before the proof begins.
    began = datetime.combine(since, time.min, STOCKHOLM).astimezone(UTC)
    mark = await reconciliation.newest_known_before(ledger, tenant.id, began)
    look = _Look(ledger, fortnox, tenant.id, mark, await fortnox.invoices(tenant.id, above=mark))
    await look.take_in()
    lines = await _compare(look, since, day)
    # That contract invoices are marked as such is presumed: nothing is called missing before all is looked at.
    if await look.read_of({line.customer_number for line in lines if line.finding is Finding.MISSING}):
        lines = await _compare(look, since, day)
    lines = [
        *(unreadable(row.number) for row in look.listing.unreadable),
        *(unreadable_contract(one.number, one.error) for one in await unreadable_contracts.of(ledger, tenant.id)),
        *lines,
    ]
    proof = Proof(tenant, since, day, lines, await proofs.acknowledged(ledger, tenant.id))
    (log.info if proof.is_settled else log.warning)(
        "reconciled", tenant=tenant.id, day=str(day), settled=proof.is_settled, **proof.counts
    )
    return proof


async def _compare(look: "_Look", since: date, day: date) -> list[Line]:
    # The billings are read after the list: an invoice of ours that the list shows has its billing, or one under way.
    ledger, tenant = look.ledger, look.tenant
    billings = await reconciliation.in_question(ledger, tenant, since=since, above=look.mark)
    owned = {one.invoice for one in billings}
    strangers = [one for one in look.shown.values() if one.number not in owned and _of_contract(one)]
    if of_contracts := frozenset(one.contract for one in strangers if one.contract is not None):
        billings = await reconciliation.in_question(
            ledger, tenant, since=since, above=look.mark, contracts_too=of_contracts
        )
        await look.read_older(strangers, of_contracts)
    told_of = [one for one in billings if one.due_on >= since or one.status not in FINAL]
    await look.read_owned(one.invoice for one in told_of if one.invoice is not None)
    done = await reconciliation.carried_out(ledger, tenant, since=since, above=look.mark)
    stops: dict[Step, Stop] = {}
    for block in await blocks.every(ledger, tenant):
        for step in (block.step,) if block.step else Step:
            stops.setdefault(step, Stop(block.reason, block.detail))
    now = ledger.clock.now()
    return decide(
        since,
        day,
        [_billing_seen(one, done, now) for one in billings],
        [_invoice_seen(one, look.credited) for one in look.shown.values() if _of_contract(one) or one.number in owned],
        await verdicts(ledger, tenant, day),
        stops,
        await reconciliation.covered_to(ledger, tenant),
        await reconciliation.lost(ledger, tenant),
    )


class _Look:
    """What Fortnox shows of a company's invoices: the list, and what was read of each now or before."""

    def __init__(
        self,
        ledger: Ledger,
        fortnox: Fortnox,
        tenant: TenantId,
        mark: InvoiceNumber,
        listing: Listing[InvoiceItem],
    ) -> None:
        self.ledger = ledger
        self.fortnox = fortnox
        self.tenant = tenant
        self.mark = mark
        self.listing = listing
        self.shown: dict[InvoiceNumber, Invoice] = {}
        """Each as a whole: read now, or before and brought up to date by the list."""
        self._unread: dict[InvoiceNumber, InvoiceItem] = {}

    @property
    def credited(self) -> frozenset[InvoiceNumber]:
        """The invoices that a credit invoice points at: a list does not tell it of the credited one."""
        return frozenset(one.credit_of for one in self.shown.values() if one.credit_of and not one.cancelled)

    async def take_in(self) -> None:
        """Brings what was read before up to date by the list, and reads the contract invoices never read."""
        known = {one.number: one for one in await invoices.above(self.ledger, self.tenant, self.mark)}
        newer: list[Invoice] = []
        for row in self.listing.rows:
            listed = mirror.listed_invoice(self.tenant, row, self.listing.started_at)
            before = known.get(listed.number)
            if before is None or before.read_at is None:
                self._unread[listed.number] = row.value
                continue
            self.shown[listed.number] = _brought_up_to_date(before, listed)
            if self.shown[listed.number] != before:
                newer.append(listed)
        # Only what has changed: a company's whole list is not written anew every day.
        await invoices.mirror(self.ledger, newer)
        wanted = [item.document_number for item in self._unread.values() if _may_be_of_contract(item)]
        for number in wanted:
            await self._read(number)

    async def read_of(self, customers: Collection[str]) -> bool:
        """Reads the rest of these customers' invoices. Returns whether there were any."""
        wanted = [number for number, item in self._unread.items() if item.customer_number in customers]
        for number in wanted:
            await self._read(number)
        return bool(wanted)

    async def read_older(self, strangers: Sequence[Invoice], of_contracts: Collection[ContractNumber]) -> None:
        """Reads again the invoices below the mark that share days with an invoice of nobody's."""
        for contract in of_contracts:
            periods = [one.period for one in strangers if one.contract == contract and one.period]
            for older in await invoices.of_contract(self.ledger, self.tenant, contract):
                shares = older.period is not None and any(
                    older.period.start <= one.end and one.start <= older.period.end for one in periods
                )
                if shares and older.number <= self.mark and older.number not in self.shown:
                    await self._read(older.number)

    async def read_owned(self, numbers: Iterable[InvoiceNumber]) -> None:
        """Finds the billings' invoices that the list does not show: too old for it, or younger than it."""
        for number in numbers:
            if number in self.shown:
                continue
            if number <= self.mark or number in self._unread:
                await self._read(number)
                continue
            mirrored = await invoices.get(self.ledger, self.tenant, number)
            if mirrored and mirrored.read_at and mirrored.read_at >= self.listing.started_at:
                self.shown[number] = mirrored
            elif not self.listing.complete:
                await self._read(number)

    async def _read(self, number: InvoiceNumber) -> None:
        try:
            read = await self.fortnox.invoice(self.tenant, number)
        except Missing:
            return
        found = mirror.invoice(self.tenant, read.value, read.read_at)
        await invoices.mirror(self.ledger, [found])
        self.shown[number] = found
        self._unread.pop(number, None)


def _brought_up_to_date(before: Invoice, listed: Invoice) -> Invoice:
    if before.read_at is not None and listed.listed_at is not None and before.read_at > listed.listed_at:
        return before
    return replace(
        before,
        invoice_date=listed.invoice_date,
        due_date=listed.due_date,
        total=listed.total,
        booked=listed.booked,
        sent=listed.sent,
        cancelled=listed.cancelled,
        nox_finans=listed.nox_finans,
    )


def _may_be_of_contract(item: InvoiceItem) -> bool:
    """A contract's invoice, or a credit of one, which may have another type."""
    return item.invoice_type in ("", mirror.CONTRACT_INVOICE) or (item.total is not None and item.total < 0)


def _of_contract(invoice: Invoice) -> bool:
    return invoice.contract is not None or invoice.invoice_type == mirror.CONTRACT_INVOICE


def _billing_seen(billing: Billing, done: Mapping[BillingId, frozenset[Step]], now: datetime) -> BillingSeen:
    return BillingSeen(
        id=billing.id,
        contract=billing.contract,
        customer_number=billing.customer_number,
        customer_name=billing.customer_name,
        period=billing.period,
        generation=billing.generation,
        due_on=billing.due_on,
        invoice_date=billing.invoice_date,
        step=billing.step,
        status=billing.status,
        reason=billing.reason,
        detail=billing.detail,
        invoice=billing.invoice,
        handmade=billing.handmade,
        amount=billing.amount,
        currency=billing.currency,
        made_total=billing.made_total,
        approved=billing.approved,
        planned_on=planned_for(billing.created_at, billing.due_on),
        is_later=billing.not_before is not None and billing.not_before > now,
        done_by_us=done.get(billing.id, frozenset()),
    )


def _invoice_seen(invoice: Invoice, credited: Collection[InvoiceNumber]) -> InvoiceSeen:
    ended = None
    if invoice.cancelled:
        ended = Reason.CANCELLED
    elif invoice.credit or invoice.credited_by is not None or invoice.number in credited:
        ended = Reason.CREDITED
    return InvoiceSeen(
        number=invoice.number,
        contract=invoice.contract,
        period=invoice.period,
        invoice_date=invoice.invoice_date,
        customer_number=invoice.customer_number,
        total=invoice.total,
        currency=invoice.currency,
        booked=invoice.booked,
        sent=invoice.sent or invoice.nox_finans,
        cash_method=invoice.accounting_method == "CASH",
        ended=ended,
    )
