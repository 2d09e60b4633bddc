"""The pool that sends invoices: by e-mail, as e-invoices, as letters, or by handing them over to Fakturatjänster.

Sending cannot be taken back. Every call here is made once; what is unclear is for a person (design, section 7), and the
sending calls are GETs that must never be repeated by any layer (API notes 2.5).
"""

from collections.abc import Mapping
from types import MappingProxyType

from common import mirror
from common.fortnox import errors, models
from common.fortnox.answers import Reply
from common.fortnox.requests import Permit
from common.ids import BillingId
from common.ledger import billings, preflights
from common.ledger.outcomes import Delivered, Hold, Outcome, Park, Seek
from common.ledger.records import Billing, Invoice
from common.rules.reasons import Reason, is_not_activated
from common.rules.states import Delivery, Step
from common.rules.ways import Way, asks_the_card, no_way, way_of
from workers.freshness import fresh_card, fresh_invoice, read_invoice
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
        await carry_out(runtime, Sending(), billing_id)


async def as_made(runtime: Runtime, billing: Billing) -> Invoice | Outcome:
    """The invoice, fresh and as it was made, or why nothing is to be done with it."""
    invoice = await fresh_invoice(runtime, billing.tenant, invoice_of(billing))
    return changed_or_gone(invoice, billing) or invoice


def sent_before(billing: Billing, invoice: Invoice) -> Hold | None:
    """Sent, and not by us: whether it reached the right person only a person can say."""
    if not has_left(invoice) or Reason.SENT_BEFORE in billing.approved:
        return None
    return Hold(Reason.SENT_BEFORE, {"invoice": str(invoice.number)})


def has_left(invoice: Invoice) -> bool:
    """Whether Fortnox shows the invoice as sent, or as handed over."""
    return invoice.sent or invoice.nox_finans


async def sent_after_all(runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
    """What a refusal to send means, once the invoice has been looked at again."""
    invoice = await read_after_refusal(runtime, billing, refusal)
    held = None if invoice is None else sent_before(billing, invoice)
    return held or judge_refusal(billing, refusal)


class Sending:
    """Delivery by e-mail, as an e-invoice, or as a letter by Fortnox' print service.

    One object makes one call at the most, by the way that `prepare` has found out: the policy's, or what the customer's
    card says at that time where the policy asks it.
    """

    step = Step.DELIVER

    def __init__(self) -> None:
        self._way = Way.UNKNOWN

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        invoice = await as_made(runtime, billing)
        if not isinstance(invoice, Invoice):
            return invoice
        card = await card_asked(runtime, billing, invoice)
        self._way = way_of(billing.policy, card)
        if self._way is Way.BY_HAND:
            return await left_to_a_person(runtime, billing)
        if held := sent_before(billing, invoice):
            return held
        if self._way is Way.EMAIL:
            return await without_address(runtime, billing, invoice)
        if self._way not in _IN_WORDS:
            return Park(Reason.RECIPIENT_MISSING, {**concerning(billing), "missing": no_way(card)})
        return None

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[models.Invoice]:
        number = invoice_of(billing)
        match self._way:
            case Way.EMAIL:
                return await runtime.fortnox.email(permit, number)
            case Way.EINVOICE:
                return await runtime.fortnox.einvoice(permit, number)
            case Way.PRINT:
                return await runtime.fortnox.print_and_post(permit, number)
        raise ValueError(f"invoice {number} cannot be sent by the way {self._way.value}")

    async def judge(self, runtime: Runtime, billing: Billing, reply: Reply[models.Invoice]) -> Outcome:
        return Delivered(_IN_WORDS[self._way], mirror.invoice(billing.tenant, reply.value, reply.read_at))

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        outcome = await sent_after_all(runtime, billing, refusal)
        if isinstance(outcome, Park) and asks_the_card(billing.policy):
            # By which way it was tried does not show in the policy.
            return Park(outcome.reason, {**outcome.detail, "deliver": self._way.value})
        return outcome


_IN_WORDS: Mapping[Way, str] = MappingProxyType(
    {Way.EMAIL: "e-mail", Way.EINVOICE: "e-invoice", Way.PRINT: "print service"}
)
"""The ways that a call of ours goes."""


async def card_asked(runtime: Runtime, billing: Billing, invoice: Invoice) -> str | None:
    """What the customer's card says now of the way; `None` where the policy does not ask it."""
    if not asks_the_card(billing.policy):
        return None
    return (await fresh_card(runtime, billing.tenant, invoice.customer_number or billing.customer_number)).delivery


async def left_to_a_person(runtime: Runtime, billing: Billing) -> Outcome:
    """The company prints the invoice itself, which marks it as sent: waited for, and then done."""
    # It may have been printed since it was read, and another try asked for at once.
    invoice = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, invoice_of(billing))
    calls = await billings.attempts(runtime.ledger, billing.id)
    # Marked after a call of ours, it says nothing of a print: that call may have marked it.
    if invoice.sent and not any(one.step is Step.DELIVER for one in calls):
        return Delivered("printed by hand", invoice)
    return sent_before(billing, invoice) or Park(Reason.PRINT_BY_HAND, concerning(billing))


async def without_address(runtime: Runtime, billing: Billing, invoice: Invoice) -> Outcome | None:
    """Parks an invoice that has no address to be e-mailed to."""
    if not invoice.email_to:
        # Somebody may have entered it since the invoice was read, and has asked for another try at once.
        invoice = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, invoice.number)
    return None if invoice.email_to else Park(Reason.RECIPIENT_MISSING, concerning(billing))


def concerning(billing: Billing) -> dict[str, str]:
    """The invoice and the customer, for a person to look them up."""
    return {"invoice": str(billing.invoice), "customer": billing.customer_name}


class HandOver:
    """Delivery by handing over to Fakturatjänster: done when that shows the invoice as open."""

    step = Step.DELIVER

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        found = await as_made(runtime, billing)
        return sent_before(billing, found) if isinstance(found, Invoice) else found

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[models.FinanceInvoice]:
        return await runtime.fortnox.hand_over(
            permit, invoice_of(billing), send_method=FINANCE_SENDS_BY, service=FINANCE_SERVICE
        )

    async def judge(self, runtime: Runtime, billing: Billing, reply: Reply[models.FinanceInvoice]) -> Outcome:
        if is_open(reply.value):
            return Delivered("Fakturatjänster")
        return Seek({"status": reply.value.status})

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        outcome = await sent_after_all(runtime, billing, refusal)
        if not (isinstance(outcome, Park) and outcome.reason is Reason.REFUSED and is_not_activated(refusal.message)):
            return outcome
        # A stop is of the whole step: what goes by other ways must not stand still for it.
        if (await preflights.wants(runtime.ledger, billing.tenant)).sends:
            return outcome
        return Park(Reason.FINANCE_INACTIVE, outcome.detail)


def is_open(handed_over: models.FinanceInvoice) -> bool:
    """Whether Fakturatjänster has taken the invoice: OPEN, after UNKNOWN or NOT_AUTHORIZED (API notes 3)."""
    return handed_over.status.upper() == "OPEN"
