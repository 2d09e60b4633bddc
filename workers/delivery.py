"""The pool that sends invoices: by e-mail, or by handing them over to Fakturatjänster.

Sending cannot be taken back. Every call here is made once; what is unclear is for a person (design, section 7), and the
sending calls are GETs that must never be repeated by any layer (API notes 2.5).
"""

from common import mirror
from common.fortnox import errors, models
from common.fortnox.answers import Reply
from common.fortnox.requests import Permit
from common.ids import BillingId
from common.ledger import billings
from common.ledger.outcomes import Delivered, Hold, Outcome, Park, Seek
from common.ledger.records import Billing, Invoice
from common.rules.reasons import Reason
from common.rules.states import Delivery, Step
from workers.freshness import fresh_invoice, read_invoice
from workers.invoice_state import changed_or_gone, invoice_of, read_after_refusal
from workers.runtime import Runtime
from workers.steps import carry_out, judge_refusal

FINANCE_SERVICE = "LEDGERBASE"
"""Fakturaservice (API notes 1.10); whether it is the full or the light one is the company's own setting."""

FINANCE_SENDS_BY = "EMAIL"


async def deliver(runtime: Runtime, billing_id: BillingId) -> None:
    """Delivers the invoice of one billing the way that its policy said when it was planned."""
    billing = await billings.get(runtime.ledger, billing_id)
    if billing is None:
        return
    if billing.policy.deliver is Delivery.FINANCE:
        await carry_out(runtime, HandOver(), billing_id)
    else:
        await carry_out(runtime, Email(), billing_id)


async def ready_to_send(runtime: Runtime, billing: Billing) -> Invoice | Outcome:
    """The invoice, fresh and as it was made, or why it is not to be sent now."""
    invoice = await fresh_invoice(runtime, billing.tenant, invoice_of(billing))
    objection = changed_or_gone(invoice, billing)
    if objection is not None:
        return objection
    if (invoice.sent or invoice.nox_finans) and Reason.SENT_BEFORE not in billing.approved:
        # Sent, and not by us: whether it reached the right person only a person can say.
        return Hold(Reason.SENT_BEFORE, {"invoice": str(invoice.number)})
    return invoice


async def sent_after_all(runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
    """What a refusal to send means, once the invoice has been looked at again."""
    invoice = await read_after_refusal(runtime, billing, refusal)
    if invoice is not None and (invoice.sent or invoice.nox_finans) and Reason.SENT_BEFORE not in billing.approved:
        return Hold(Reason.SENT_BEFORE, {"invoice": str(invoice.number)})
    return judge_refusal(billing, refusal)


class Email:
    """Delivery by Fortnox' own e-mail."""

    step = Step.DELIVER

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        found = await ready_to_send(runtime, billing)
        if not isinstance(found, Invoice):
            return found
        if not found.email_to:
            # Somebody may have entered it since the invoice was read, and has asked for another try at once.
            found = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, found.number)
        if not found.email_to:
            return Park(Reason.RECIPIENT_MISSING, {"invoice": str(found.number), "customer": billing.customer_name})
        return None

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[models.Invoice]:
        return await runtime.fortnox.email(permit, invoice_of(billing))

    async def judge(self, runtime: Runtime, billing: Billing, reply: Reply[models.Invoice]) -> Outcome:
        return Delivered("e-mail", mirror.invoice(billing.tenant, reply.value, reply.read_at))

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        return await sent_after_all(runtime, billing, refusal)


class HandOver:
    """Delivery by handing over to Fakturatjänster: done when that shows the invoice as open."""

    step = Step.DELIVER

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        found = await ready_to_send(runtime, billing)
        return None if isinstance(found, Invoice) else found

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[models.FinanceInvoice]:
        return await runtime.fortnox.hand_over(
            permit, invoice_of(billing), send_method=FINANCE_SENDS_BY, service=FINANCE_SERVICE
        )

    async def judge(self, runtime: Runtime, billing: Billing, reply: Reply[models.FinanceInvoice]) -> Outcome:
        if is_open(reply.value):
            return Delivered("Fakturatjänster")
        return Seek({"status": reply.value.status})

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        return await sent_after_all(runtime, billing, refusal)


def is_open(handed_over: models.FinanceInvoice) -> bool:
    """Whether Fakturatjänster has taken the invoice: OPEN, after UNKNOWN or NOT_AUTHORIZED (API notes 3)."""
    return handed_over.status.upper() == "OPEN"
