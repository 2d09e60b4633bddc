"""The pool that makes invoices: one PUT createinvoice for one period of one contract, and never a second.

It must never call on a view that is not fresh, and never do anything with an invoice that is not verified.
"""

import structlog

from common import mirror
from common.fortnox import errors, models
from common.fortnox.answers import Reply
from common.fortnox.requests import Permit
from common.ids import BillingId
from common.ledger import invoices, surprises, tenants
from common.ledger.outcomes import Hold, Made, Outcome, Park, Seek
from common.ledger.records import Billing, Contract, Invoice
from common.rules.periods import Period, follows
from common.rules.reasons import Reason
from common.rules.states import Step
from workers.freshness import fresh_contract, fresh_invoice
from workers.look import ENDS_BEFORE, look
from workers.runtime import Runtime
from workers.steps import carry_out, judge_refusal
from workers.verification import is_early, is_live, objections

log = structlog.get_logger()


async def create_invoice(runtime: Runtime, billing: BillingId) -> None:
    """Makes the invoice of one billing."""
    await carry_out(runtime, Create(), billing)


class Create:
    """What the step *create* adds to the common way (design, section 6)."""

    step = Step.CREATE

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        contract = await fresh_contract(runtime, billing.tenant, billing.contract)
        known = await self._invoice_of(runtime, billing)
        if known is not None:
            return taken_in(billing, known)
        if contract.view.status == "ACTIVE" and contract.view.period == billing.period:
            return None
        if contract.view.period is not None and follows(billing.period, contract.view.period):
            # The contract has moved on: somebody made the invoice by hand, or it is about to be seen.
            tenant = await tenants.get(runtime.ledger, billing.tenant)
            newest = tenant.newest_invoice if tenant else None
            customers = frozenset({billing.customer_number})
            await look(runtime.ledger, runtime.fortnox, billing.tenant, above=newest, customers=customers)
            known = await self._invoice_of(runtime, billing)
            if known is not None:
                return taken_in(billing, known)
        return Hold(STOPPED.get(contract.view.status, Reason.PERIOD_MOVED), moved(billing, contract))

    async def _invoice_of(self, runtime: Runtime, billing: Billing) -> Invoice | None:
        """The invoice of the period that stands now: what the mirror shows may have been cancelled since."""
        for known in await invoices.of_contract(runtime.ledger, billing.tenant, billing.contract, billing.period):
            if is_live(known):
                invoice = await fresh_invoice(runtime, billing.tenant, known.number)
                if is_live(invoice):
                    return invoice
        return None

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[models.Contract | models.Invoice]:
        return await runtime.fortnox.create_invoice(permit, billing.contract, invoice_date=billing.invoice_date)

    async def judge(
        self, runtime: Runtime, billing: Billing, reply: Reply[models.Contract | models.Invoice]
    ) -> Outcome:
        if isinstance(reply.value, models.Contract):
            return await self._judge_contract(runtime, billing, reply.value, reply)
        invoice = mirror.invoice(billing.tenant, reply.value, reply.read_at)
        found = objections(invoice, billing)
        if not found:
            return Made(invoice)
        await invoices.mirror(runtime.ledger, [invoice])
        await surprise(runtime, billing, found)
        if is_early(invoice, billing):
            return Seek({EARLY: str(invoice.number)})
        return Park(Reason.UNVERIFIED, {"invoice": str(invoice.number), **found})

    async def _judge_contract(
        self,
        runtime: Runtime,
        billing: Billing,
        answered: models.Contract,
        reply: Reply[models.Contract | models.Invoice],
    ) -> Outcome:
        """The newer edition answers with the contract (API notes 1.6): its period tells whether the right one was
        made."""
        row = mirror.single_contract(billing.tenant, answered, reply.read_at)
        if moved_one_period(billing.period, row) or moved_from_approved(billing, row):
            return Seek()
        await surprise(runtime, billing, moved(billing, row))
        # Further on than our call has moved it: the invoice of the period is somebody else's, and ours a later one's.
        shown = row.view.period
        if shown is None or not went_past(billing.period, row):
            return Seek()
        return Seek({EARLY: f"{ENDS_BEFORE}{shown.start}"})

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        return judge_refusal(billing, refusal)


EARLY = "made too early"
"""What a billing that is sought tells where our call has made a later period's invoice: its number, or before which
day it ends (`look.ENDS_BEFORE`)."""

STOPPED = {"INACTIVE": Reason.INACTIVE, "GONE": Reason.INACTIVE, "FINISHED": Reason.FINISHED}
"""Why a contract that is no longer active is not invoiced."""


def moved_one_period(billed: Period, contract: Contract) -> bool:
    """Whether the contract stands exactly one period after the billed one, or has ended with it.

    That Fortnox moves the period at all is assumed (API notes 1.6), which is why the first create of a tenant runs
    alone.
    """
    if contract.view.period is None or contract.view.status == "FINISHED":
        return True
    return follows(billed, contract.view.period)


def moved_from_approved(billing: Billing, contract: Contract) -> bool:
    """Whether a period that is not as long as the interval was approved as it is, and the contract has gone on from it.

    Fortnox moves by the interval, so the next period need not begin the day after such a one.
    """
    shown = contract.view.period
    return Reason.PERIOD_LENGTH in billing.approved and shown is not None and shown.start > billing.period.end


def went_past(billed: Period, contract: Contract) -> bool:
    """Whether the contract shows a period later than the one after the billed one."""
    shown = contract.view.period
    return shown is not None and shown.start > billed.end and not follows(billed, shown)


def taken_in(billing: Billing, invoice: Invoice) -> Outcome:
    """An invoice of the period stands already, and not by us: it is taken in as what it is, and nothing is made."""
    found = {key: what for key, what in objections(invoice, billing).items() if key != "invoice date"}
    if found:
        return Park(Reason.UNVERIFIED, {"invoice": str(invoice.number), **found})
    return Made(invoice, handmade=True)


def moved(billing: Billing, contract: Contract) -> dict[str, str]:
    """Both periods, for the person who decides."""
    return {
        "billed": str(billing.period),
        "shown": str(contract.view.period or "no period"),
        "contract status": contract.view.status,
    }


async def surprise(runtime: Runtime, billing: Billing, facts: dict[str, str]) -> None:
    """Fortnox did something that was not asked for: no invoice of this tenant is made until that is explained."""
    paused = await surprises.note(
        runtime.ledger, billing.tenant, {"contract": str(billing.contract), **facts}, by=runtime.name
    )
    log.error("surprise", tenant_paused=paused, **facts)
