"""The pool that bookkeeps invoices: a booked invoice can no longer be edited, so only where the policy says so."""

from common import mirror
from common.fortnox import errors, models
from common.fortnox.answers import Reply
from common.fortnox.requests import Permit
from common.ids import BillingId
from common.ledger.outcomes import Booked, Doubt, Outcome
from common.ledger.records import Billing
from common.rules.reasons import Reason
from common.rules.states import Step
from workers.freshness import fresh_invoice
from workers.invoice_state import changed_or_gone, invoice_of, read_after_refusal
from workers.runtime import Runtime
from workers.steps import carry_out, judge_refusal


async def bookkeep(runtime: Runtime, billing: BillingId) -> None:
    """Bookkeeps the invoice of one billing."""
    await carry_out(runtime, Bookkeeping(), billing)


class Bookkeeping:
    """What the step *bookkeep* adds to the common way (design, section 7)."""

    step = Step.BOOKKEEP

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        invoice = await fresh_invoice(runtime, billing.tenant, invoice_of(billing))
        objection = changed_or_gone(invoice, billing)
        if objection is not None:
            return objection
        return Booked(invoice) if invoice.booked else None

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[models.Invoice]:
        return await runtime.fortnox.bookkeep(permit, invoice_of(billing))

    async def judge(self, runtime: Runtime, billing: Billing, reply: Reply[models.Invoice]) -> Outcome:
        invoice = mirror.invoice(billing.tenant, reply.value, reply.read_at)
        if not invoice.booked:
            return Doubt(Reason.NO_ANSWER, {"answer": f"yes, but invoice {invoice.number} is not booked"})
        return Booked(invoice)

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        """A refusal is followed by one read: "already booked" is success (design, section 5 rule 5)."""
        invoice = await read_after_refusal(runtime, billing, refusal)
        if invoice is not None and invoice.booked:
            return Booked(invoice)
        return judge_refusal(billing, refusal)
