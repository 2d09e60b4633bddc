"""What a look says of creates: which invoice a call has made, whose another one is, and when there is none.

An invoice is adopted when it carries the contract and the period and everything newer is accounted for; that it is
absent moves nothing until the call can no longer have an effect (design, section 6).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from common.clock import STOCKHOLM
from common.ids import InvoiceNumber, TenantId
from common.ledger import billings, invoices, tenants
from common.ledger.early import take_in_late
from common.ledger.outcomes import Again, Doubt, Made, Outcome, Park
from common.ledger.records import Attempt, Billing, Invoice
from common.rules.reasons import Reason
from common.rules.states import Status
from workers.absence import in_words, is_believable
from workers.conclusion import conclude
from workers.freshness import read_contract
from workers.invoicing import EARLY, surprise
from workers.look import Look, later_one, look, not_others
from workers.runtime import Runtime
from workers.verification import is_live, is_unclear, objections

log = structlog.get_logger()


async def seek_invoices(runtime: Runtime, tenant: TenantId, creates: Sequence[tuple[Billing, Attempt]]) -> None:
    """Looks once for the invoices of all the creates, and takes in, parks or leaves each by what it sees.

    Raises FortnoxError or NotSent as soon as Fortnox cannot be asked; what was found until then is kept.
    """
    seen = await _look_for(runtime, tenant, creates)
    for billing, attempt in creates:
        live = await _live_invoices(runtime, billing)
        if live:
            await _adopt(runtime, billing, attempt, live, seen)
        else:
            await _not_found(runtime, billing, attempt, seen)


async def seek_late_effects(runtime: Runtime, tenant: TenantId, outrun: Sequence[tuple[Billing, Attempt]]) -> None:
    """A call that was never answered may act when its billing has long gone on with an invoice that somebody made by
    hand: then it has made the next period's."""
    await _look_for(runtime, tenant, outrun)
    for billing, attempt in outrun:
        early = await later_one(runtime.ledger, billing, attempt)
        if early is None:
            continue
        taken_in = await take_in_late(runtime.ledger, billing.id, early, runtime.name)
        if taken_in is not None:
            log.warning("call_acted_late", billing=billing.id, invoice=early.number, taken_in_as=taken_in.id)
            await surprise(runtime, billing, {"invoice": str(early.number), "its period": str(early.period)})


async def _look_for(runtime: Runtime, tenant: TenantId, creates: Sequence[tuple[Billing, Attempt]]) -> Look:
    return await look(
        runtime.ledger,
        runtime.fortnox,
        tenant,
        above=min((attempt.newest_invoice_before or InvoiceNumber(0) for _, attempt in creates)),
        customers=frozenset(billing.customer_number for billing, _ in creates),
    )


async def _live_invoices(runtime: Runtime, billing: Billing) -> Sequence[Invoice]:
    """The mirrored invoices of the billing's contract and period that stand, oldest first, but for that of an earlier
    billing of the period, which was voided: it is none that this one's call has made, even if it should stand again."""
    found = await invoices.of_contract(runtime.ledger, billing.tenant, billing.contract, billing.period)
    live = sorted((invoice for invoice in found if is_live(invoice)), key=lambda invoice: invoice.number)
    if billing.generation == 1:
        return live
    return await not_others(runtime.ledger, billing, live)


async def _not_found(runtime: Runtime, billing: Billing, attempt: Attempt, seen: Look) -> None:
    """Absence moves nothing, but for `_believe_absence`; an invoice that does not say what it is of contradicts it."""
    unclear = next((invoice for invoice in seen.invoices if is_unclear(invoice, billing)), None)
    astray = await _made_astray(runtime, billing, attempt, seen)
    waited = runtime.settings.clock.now() - billing.changed_at
    if unclear is not None:
        facts = {"invoice": str(unclear.number), "contract": str(unclear.contract or "not told"), "period": "not told"}
        await conclude(
            runtime, billing, attempt, Park(Reason.UNVERIFIED, facts), f"invoice {unclear.number} is unclear"
        )
    elif astray is not None:
        # Somebody changed the contract's period between our look and our call; or made this one by hand just now.
        facts = {"invoice": str(astray.number), "period": f"{astray.period}, not {billing.period}"}
        note = f"invoice {astray.number} of {astray.period} is newer than the call, and nobody's"
        await conclude(runtime, billing, attempt, Park(Reason.UNVERIFIED, facts), note)
    elif billing.status is Status.SEEKING and waited > runtime.settle:
        note = f"Fortnox said yes, and shows no invoice after {runtime.settle}"
        await conclude(runtime, billing, attempt, Doubt(Reason.NUMBER_UNKNOWN), note)
    elif seen.complete and is_believable(attempt, runtime.settings.clock.now(), runtime.settle):
        await _believe_absence(runtime, billing, attempt)
    else:
        log.info("evidence_not_found", billing=billing.id, status=billing.status.value)


async def _made_astray(runtime: Runtime, billing: Billing, attempt: Attempt, seen: Look) -> Invoice | None:
    """A new invoice of the contract, of another period than the one asked for, that no billing has."""
    mark = attempt.newest_invoice_before or InvoiceNumber(0)
    for invoice in seen.invoices:
        if not is_live(invoice) or invoice.contract != billing.contract or invoice.number <= mark:
            continue
        if invoice.period != billing.period:
            owner = await billings.owner_of(runtime.ledger, billing.tenant, invoice.number)
            if owner is None:
                return invoice
    return None


async def _believe_absence(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """Makes the invoice after all, once nothing can still come of the call that was in doubt (design, section 6).

    A second complete look, begun now, must not find it either; looking must have found an invoice of this company
    before, so that it is known to work here; and the contract must still show the period.
    """
    tenant = await tenants.get(runtime.ledger, billing.tenant)
    if tenant is None or not tenant.creates_proven:
        log.info("absence_not_believed", billing=billing.id, why="no invoice of the company was ever found by looking")
        return
    shown = (await read_contract(runtime.ledger, runtime.fortnox, billing.tenant, billing.contract)).view
    again = await _look_for(runtime, billing.tenant, [(billing, attempt)])
    live = await _live_invoices(runtime, billing)
    if live:
        await _adopt(runtime, billing, attempt, live, again)
    elif not again.complete or any(is_unclear(invoice, billing) for invoice in again.invoices):
        log.info("absence_not_believed", billing=billing.id, why="the second look was not complete or not clear")
    elif shown.period != billing.period:
        log.info("absence_not_believed", billing=billing.id, why="the contract shows another period")
    else:
        outcome = Again(Reason.NOT_SENT, timedelta(0))
        note = f"no invoice after the token of the call had expired at {in_words(attempt.token_expires_at)}"
        await conclude(runtime, billing, attempt, outcome, note, verdict="absent")


async def _adopt(runtime: Runtime, billing: Billing, attempt: Attempt, live: Sequence[Invoice], seen: Look) -> None:
    """Takes the invoice that was found; says so loudly where there are two, for that must never be."""
    first, others = live[0], live[1:]
    note = f"invoice {first.number} carries this contract and this period"
    early = await _made_too_early(runtime, billing, attempt)
    if early is not None:
        await _take_in_both(runtime, billing, attempt, first, early)
        return
    astray = await _made_astray(runtime, billing, attempt, seen) if _is_uncertain(billing) else None
    if astray is not None:
        await _leave_to_a_person(runtime, billing, attempt, first, astray)
        return
    if EARLY in billing.detail and runtime.settings.clock.now() - billing.changed_at <= runtime.settle:
        log.info("early_invoice_not_found", billing=billing.id)
        return
    found = objections(first, _as_called(billing, attempt, first))
    outcome: Outcome = Park(Reason.UNVERIFIED, {"invoice": str(first.number), **found}) if found else Made(first)
    if others:
        await surprise(runtime, billing, {"invoices": ", ".join(str(one.number) for one in live)})
    await conclude(runtime, billing, attempt, outcome, note)


def _is_uncertain(billing: Billing) -> bool:
    """Whether the invoice of the period may be a person's, and another one ours."""
    return billing.status is Status.IN_DOUBT or EARLY in billing.detail


async def _leave_to_a_person(
    runtime: Runtime, billing: Billing, attempt: Attempt, of_period: Invoice, astray: Invoice
) -> None:
    """Somebody made the invoice by hand and changed the contract's period, all between our look and our call."""
    facts = {
        "invoice": str(astray.number),
        "period": f"{astray.period}, not {billing.period}",
        "invoice of the period": str(of_period.number),
    }
    if EARLY not in billing.detail:
        await surprise(runtime, billing, facts)
    note = f"invoice {of_period.number} is of the period; {astray.number} is newer than the call, and nobody's"
    await conclude(runtime, billing, attempt, Park(Reason.UNVERIFIED, facts), note)


def _as_called(billing: Billing, attempt: Attempt, invoice: Invoice) -> Billing:
    """The billing with the date that was asked for. In the time that an old ledger has lost that may have been any day
    from the planned one on (`claims` never dates an invoice back)."""
    dated, last = invoice.invoice_date, attempt.called_at.astimezone(STOCKHOLM).date()
    if attempt.stood is None or dated is None or not billing.invoice_date <= dated <= last:
        return billing
    return replace(billing, invoice_date=dated)


async def _made_too_early(runtime: Runtime, billing: Billing, attempt: Attempt) -> Invoice | None:
    """The invoice of a later period that our call has made, because a person had just made that of the period asked
    for (design, section 6: the click in between).

    Where Fortnox has said yes to the period asked for there is none: a later one is then a person's own affair.
    """
    if not _is_uncertain(billing):
        return None
    return await later_one(runtime.ledger, billing, attempt, told=billing.detail.get(EARLY))


async def _take_in_both(runtime: Runtime, billing: Billing, attempt: Attempt, by_hand: Invoice, early: Invoice) -> None:
    """The invoice of the period is a person's, and is taken in as that; ours is parked before its time."""
    if EARLY not in billing.detail:
        await surprise(runtime, billing, {"invoice": str(early.number), "its period": str(early.period)})
    note = f"invoice {by_hand.number} was made by hand, and invoice {early.number} of {early.period} by our call"
    await conclude(runtime, billing, attempt, Made(by_hand, handmade=True, early=early), note)
