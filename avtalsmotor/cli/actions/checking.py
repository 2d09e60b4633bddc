"""What a run's invoices are in Fortnox: as last read, or read now. It changes nothing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from avtalsmotor.cli.failure import Failure, tell_wait
from avtalsmotor.cli.session import missing_credentials, open_fortnox
from common import mirror
from common.fortnox.errors import FortnoxError, NotSent
from common.ids import InvoiceNumber
from common.ledger import invoices, runs
from common.ledger.database import Ledger
from common.ledger.records import Invoice
from common.ledger.runs import InRun, Run
from common.rules.runs import Comparison, OursMade, Shown, compare
from common.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """A run beside Fortnox."""

    comparison: Comparison
    is_now: bool
    """Whether Fortnox was read for it; otherwise it is as last read."""


async def as_last_read(ledger: Ledger, run: Run, billings: Sequence[InRun]) -> Checked:
    """By the mirror alone, which each morning's proof brings up to date."""
    if run.older_than is None:
        return _NOTHING
    known = {one.number: one for one in await invoices.above(ledger, run.tenant, run.older_than)}
    return Checked(await _compared(ledger, run, billings, known.values(), known), is_now=False)


async def in_fortnox(settings: Settings, ledger: Ledger, run: Run, billings: Sequence[InRun]) -> Checked:
    """By a listing made now. Raises Failure when Fortnox cannot be asked."""
    if absent := missing_credentials(settings):
        raise Failure(
            f"The run was not compared, because Fortnox cannot be asked: {' and '.join(absent)} not set."
            " Set them to what Fortnox' developer portal shows for your integration."
        )
    if run.older_than is None:
        return _NOTHING
    tell_wait(f"Reading the invoices of company {run.tenant} from Fortnox ...")
    try:
        async with open_fortnox(settings, ledger) as fortnox:
            listing = await fortnox.invoices(run.tenant, above=run.older_than)
    except (FortnoxError, NotSent) as error:
        raise Failure(f"The run was not compared, because company {run.tenant} could not be read. {error}") from None
    if listing.unreadable or not listing.complete:
        raise Failure(
            f"The run was not compared: Fortnox lists invoices of company {run.tenant} in a way that cannot be"
            f" understood, or not all. See which with `avtalsmotor reconcile --tenant {run.tenant}`, and try again."
        )
    known = {one.number: one for one in await invoices.above(ledger, run.tenant, run.older_than)}
    listed = [mirror.listed_invoice(run.tenant, row, listing.started_at) for row in listing.rows]
    return Checked(await _compared(ledger, run, billings, listed, known), is_now=True)


_NOTHING = Checked(Comparison({}, {}, ()), is_now=False)
"""Of a run that has made no invoice."""


async def _compared(
    ledger: Ledger,
    run: Run,
    billings: Sequence[InRun],
    newest: Iterable[Invoice],
    known: Mapping[InvoiceNumber, Invoice],
) -> Comparison:
    ours = [
        OursMade(billing.invoice, billing.contract, billing.customer_name, billing.made_total, billing.currency)
        for billing in (one.billing for one in billings if one.is_made)
        if billing.invoice is not None and billing.made_total is not None
    ]
    credited = {one.credit_of for one in known.values() if one.credit and not one.cancelled}
    shown = [_shown(one, known.get(one.number), credited) for one in newest]
    accounted = await runs.owned(ledger, run.tenant, run.older_than or InvoiceNumber(0))
    return compare(run.day, ours, shown, accounted)


def _shown(newest: Invoice, known: Invoice | None, credited: Collection[InvoiceNumber | None]) -> Shown:
    """What a list shows of an invoice, and what only the invoice itself has told before."""
    of_contract = newest.invoice_type == mirror.CONTRACT_INVOICE or (known is not None and known.contract is not None)
    is_credit = newest.total < 0 or (known is not None and known.credit)
    return Shown(
        number=newest.number,
        total=newest.total,
        currency=newest.currency,
        invoice_date=newest.invoice_date,
        customer_number=newest.customer_number,
        cancelled=newest.cancelled,
        credited=newest.number in credited or (known is not None and known.credited_by is not None),
        of_contract=of_contract and not is_credit,
    )
