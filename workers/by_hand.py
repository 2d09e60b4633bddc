"""What a person says became of a call that is in doubt, held against what Fortnox shows at that moment.

A person may know more than Fortnox shows, and resolve a doubt sooner than looking would (design, section 6). Nothing
here may ever take a person's word against what Fortnox does show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.ids import BillingId, InvoiceNumber
from common.ledger import billings, invoices
from common.ledger.billings import NotPossible
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Booked, Delivered, Made, Outcome
from common.ledger.records import Attempt, AttemptVerdict, Billing, Contract, Invoice
from common.rules.reasons import Reason
from common.rules.states import UNRESOLVED, Delivery, Status, Step
from workers.absence import believable_from
from workers.freshness import read_contract, read_invoice
from workers.invoice_state import invoice_of
from workers.invoicing import EARLY
from workers.look import later_one, look, not_others
from workers.verification import is_live, is_unclear

DECIDABLE = frozenset({Reason.UNVERIFIED, Reason.FINANCE_NOT_OPEN, Reason.SURPRISE})
"""What may have parked a billing whose call is still to be decided about."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to decide by, as Fortnox shows it now."""

    billing: Billing
    attempts: Sequence[Attempt]
    """Of the step, the newest last."""
    contract: Contract
    candidates: Sequence[Invoice]
    """At create: invoices newer than the call, and nobody's, that are of the contract or do not say of which."""
    invoice: Invoice | None
    """At the later steps: the billing's own."""
    finance_status: str | None
    """What Fakturatjänster says of it, where it is to be handed over and is."""
    may_act_until: datetime
    """Until then Fortnox may still carry out the newest call."""


async def gather(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, settle: timedelta) -> Evidence:
    """Reads from Fortnox whatever speaks for or against the call of the billing.

    Parameters:
      settle: how long Fortnox may take to finish what it has begun.

    Raises:
      NotPossible: no call of it is to be decided about.
      FortnoxError, NotSent: Fortnox could not be asked.
    """
    billing, attempts = await _undecided(ledger, billing_id)
    contract = await read_contract(ledger, fortnox, billing.tenant, billing.contract)
    invoice, finance_status = None, None
    candidates: Sequence[Invoice] = ()
    if billing.step is Step.CREATE:
        candidates = await _candidates(ledger, fortnox, billing, attempts)
    else:
        invoice = await read_invoice(ledger, fortnox, billing.tenant, invoice_of(billing))
        if billing.step is Step.DELIVER and billing.policy.deliver is Delivery.FINANCE and invoice.nox_finans:
            answer = await fortnox.finance_invoice(billing.tenant, invoice.number)
            finance_status = answer.value.status
    newest = attempts[-1]
    until = believable_from(newest.called_at, newest.token_expires_at, settle)
    return Evidence(billing, attempts, contract, candidates, invoice, finance_status, until)


async def made(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, number: InvoiceNumber, by: str) -> Billing:
    """ "This is the invoice": the number that our call, or a person, has made for the period.

    Raises:
      NotPossible: the invoice says that it is another's, or does not stand; or the billing's create is not in doubt.
      FortnoxError, NotSent: Fortnox could not be asked.
    """
    billing, attempts = await _undecided(ledger, billing_id, Step.CREATE)
    try:
        invoice = await read_invoice(ledger, fortnox, billing.tenant, number)
    except errors.Missing:
        raise NotPossible(
            f"Invoice {number} cannot be that of billing {billing.id}: Fortnox has no such one."
        ) from None
    await _must_fit(ledger, billing, invoice)
    early = await _made_too_early(ledger, billing, attempts[-1])
    by_hand = early is not None or number <= (attempts[0].newest_invoice_before or 0)
    outcome = Made(invoice, handmade=by_hand, early=early, vouched=True)
    return await _say(ledger, billing, attempts, outcome, by, "acted", f"{by} says that invoice {number} is the one")


async def never_made(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, by: str) -> Billing:
    """ "It was never made": the invoice of the period is made by another call.

    Raises: as `made`; NotPossible also when Fortnox shows an invoice of the period, or the contract another period.
    """
    billing, attempts = await _undecided(ledger, billing_id, Step.CREATE)
    await _candidates(ledger, fortnox, billing, attempts)
    known = await invoices.of_contract(ledger, billing.tenant, billing.contract, billing.period)
    live = next((one for one in await not_others(ledger, billing, known) if is_live(one)), None)
    if live is not None:
        raise NotPossible(
            f"The invoice of billing {billing.id} was made: invoice {live.number} is of contract {billing.contract} "
            f"and {billing.period}. Take it in: avtalsmotor billings resolve {billing.id} --made {live.number}"
        )
    shown = (await read_contract(ledger, fortnox, billing.tenant, billing.contract)).view.period
    if shown != billing.period:
        raise NotPossible(
            f"The invoice of billing {billing.id} cannot be made: contract {billing.contract} shows "
            f"{shown or 'no period'}, not {billing.period}. Set its period in Fortnox if nothing was made, or say "
            f"which invoice it is: avtalsmotor billings resolve {billing.id} --made NUMBER"
        )
    return await _say(
        ledger, billing, attempts, Again(Reason.NOT_SENT), by, "absent", f"{by} says that it was never made"
    )


async def bookkept(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, by: str) -> Billing:
    """ "It is booked", which Fortnox must show. Raises as `made`."""
    billing, attempts = await _undecided(ledger, billing_id, Step.BOOKKEEP)
    invoice = await read_invoice(ledger, fortnox, billing.tenant, invoice_of(billing))
    if not invoice.booked:
        raise NotPossible(
            f"Invoice {invoice.number} is not booked: Fortnox says so. Book it there, or let it be booked from here: "
            f"avtalsmotor billings resolve {billing.id} --not-bookkept"
        )
    return await _say(ledger, billing, attempts, Booked(invoice), by, "acted", f"{by} says that it is booked")


async def not_bookkept(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, by: str) -> Billing:
    """ "It was never booked": it is booked by another call. Raises as `made`."""
    billing, attempts = await _undecided(ledger, billing_id, Step.BOOKKEEP)
    invoice = await read_invoice(ledger, fortnox, billing.tenant, invoice_of(billing))
    if invoice.booked:
        raise NotPossible(
            f"Invoice {invoice.number} is booked: Fortnox says so. Go on from there: avtalsmotor billings resolve "
            f"{billing.id} --bookkept"
        )
    return await _say(
        ledger, billing, attempts, Again(Reason.NOT_SENT), by, "absent", f"{by} says that it was not booked"
    )


async def delivered(ledger: Ledger, billing_id: BillingId, by: str) -> Billing:
    """ "The customer has it": a person's word is enough, for nothing is done upon it.

    Raises:
      NotPossible: its delivery is not in doubt.
    """
    billing, attempts = await _undecided(ledger, billing_id, Step.DELIVER)
    outcome = Delivered(f"{by} says that the customer has it")
    return await _say(ledger, billing, attempts, outcome, by, "acted", outcome.note)


async def not_delivered(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, by: str) -> Billing:
    """ "The customer has not got it": it is sent by another call, or held if Fortnox shows it as sent.

    Raises: as `made`; NotPossible also when Fakturatjänster has the invoice.
    """
    billing, attempts = await _undecided(ledger, billing_id, Step.DELIVER)
    invoice = await read_invoice(ledger, fortnox, billing.tenant, invoice_of(billing))
    if invoice.nox_finans:
        raise NotPossible(
            f"Invoice {invoice.number} is not sent again: Fakturatjänster has it. Look at it there in Fortnox; then "
            f"say that it is delivered: avtalsmotor billings resolve {billing.id} --delivered"
        )
    note = f"{by} says that the customer has not got it"
    return await _say(ledger, billing, attempts, Again(Reason.NOT_SENT), by, "absent", note)


async def _undecided(
    ledger: Ledger, billing_id: BillingId, step: Step | None = None
) -> tuple[Billing, Sequence[Attempt]]:
    """The billing with the calls of its step, one of which is to be decided about."""
    billing = await billings.known(ledger, billing_id)
    attempts = [one for one in await billings.attempts(ledger, billing.id) if one.step is billing.step]
    parked = billing.status is Status.PARKED and billing.reason in DECIDABLE
    if not attempts or not (billing.status in UNRESOLVED or parked):
        raise NotPossible(
            f"There is nothing to decide about billing {billing.id}: it is {billing.status.value.replace('_', ' ')}, "
            f"and no call of it is in doubt. See what it needs: avtalsmotor billings show {billing.id}"
        )
    if step is not None and billing.step is not step:
        raise NotPossible(
            f"That cannot be said of billing {billing.id}: what is in doubt is its step {billing.step.value}, not "
            f"{step.value}. See what can: avtalsmotor billings resolve {billing.id}"
        )
    return billing, attempts


async def _made_too_early(ledger: Ledger, billing: Billing, attempt: Attempt) -> Invoice | None:
    """What our call made instead of the invoice that a person names: it must not be forgotten over that one."""
    later = await later_one(ledger, billing, attempt)
    if later is None:
        return None
    named = billing.detail.get(EARLY, billing.detail.get("invoice")) == str(later.number)
    return later if named or billing.status is Status.IN_DOUBT else None


async def _candidates(
    ledger: Ledger, fortnox: Fortnox, billing: Billing, attempts: Sequence[Attempt]
) -> Sequence[Invoice]:
    mark = attempts[0].newest_invoice_before
    customers = frozenset({billing.customer_number})
    seen = await look(ledger, fortnox, billing.tenant, above=mark, customers=customers)
    if not seen.complete:
        raise NotPossible(
            f"Nothing can be said of billing {billing.id} just now: Fortnox' list of the company's invoices changed "
            "while it was read, or has one that cannot be read. Try again in a moment."
        )
    of_contract = [one for one in seen.invoices if one.contract == billing.contract or is_unclear(one, billing)]
    return await not_others(ledger, billing, of_contract)


async def _must_fit(ledger: Ledger, billing: Billing, invoice: Invoice) -> None:
    def refuse(what: str) -> NoReturn:
        raise NotPossible(
            f"Invoice {invoice.number} cannot be that of billing {billing.id}: {what}. Look at the contract's invoices "
            f"in Fortnox; what speaks for each is shown by: avtalsmotor billings resolve {billing.id}"
        )

    if invoice.contract not in (None, billing.contract):
        refuse(f"it is of contract {invoice.contract}, not {billing.contract}")
    if invoice.period not in (None, billing.period):
        refuse(f"it is of {invoice.period}, not {billing.period}")
    if invoice.customer_number != billing.customer_number:
        refuse(f"it is customer {invoice.customer_number}'s, not {billing.customer_number}'s")
    if not is_live(invoice):
        refuse("it is cancelled or credited")
    if invoice.contract is None or invoice.period is None:
        known = await invoices.of_contract(ledger, billing.tenant, billing.contract, billing.period)
        told = next((one for one in known if is_live(one) and one.number != invoice.number), None)
        if told is not None:
            refuse(f"it does not say so, and invoice {told.number} is of contract {billing.contract} and this period")
    owner = await billings.owner_of(ledger, billing.tenant, invoice.number)
    if owner is not None and owner != billing.id:
        refuse(f"it is that of billing {owner}")


async def _say(
    ledger: Ledger,
    billing: Billing,
    attempts: Sequence[Attempt],
    outcome: Outcome,
    by: str,
    verdict: AttemptVerdict,
    note: str,
) -> Billing:
    standing = UNRESOLVED | {Status.PARKED}
    moved = await billings.resolve(
        ledger,
        billing.id,
        billing.step,
        outcome,
        by=by,
        verdict=verdict,
        note=note,
        standing=standing,
        # What is known since he looked is stronger than his word.
        looked_for=attempts[-1].id,
        known=attempts[-1].verdict,
    )
    after = await billings.get(ledger, billing.id)
    if not moved or after is None:
        raise NotPossible(
            f"Billing {billing.id} has moved on meanwhile, so that nothing was decided. See where it is: avtalsmotor "
            f"billings show {billing.id}"
        )
    return after
