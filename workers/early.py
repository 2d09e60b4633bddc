"""What a person may have done with an invoice that was made too early: kept for its due day, or cancelled.

It comes of a click in between (design, section 6). Each change of Fortnox is read again before the ledger believes it,
and each may be made twice without harm, so that what broke off in the middle is simply asked for again.
"""

from collections.abc import Awaitable
from datetime import date, timedelta

import structlog

from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.ids import BillingId, InvoiceNumber
from common.ledger import billings, pauses
from common.ledger.billings import NotPossible
from common.ledger.database import Ledger
from common.ledger.records import Billing, Invoice
from common.rules.periods import follows
from common.rules.states import Status
from workers.freshness import read_contract, read_invoice
from workers.verification import is_live

log = structlog.get_logger()


async def keep(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, by: str) -> Billing:
    """Gives the invoice its due day for its date, or today if that has passed, and lets the rest be done from then on.

    Raises:
      NotPossible: it is not an early one, or the invoice does not stand or can no longer be dated.
      FortnoxError, NotSent: Fortnox could not be asked, or refused.
    """
    billing = await billings.known(ledger, billing_id)
    number = billings.made_early(billing)
    invoice = await read_invoice(ledger, fortnox, billing.tenant, number)
    if not is_live(invoice):
        raise NotPossible(
            f"Invoice {number} cannot be kept: it is cancelled or credited in Fortnox. Cancel the billing too, which "
            f"sets the contract's period back: avtalsmotor billings cancel {billing.id}"
        )
    day = max(billing.due_on, ledger.clock.today())
    if invoice.invoice_date != day:
        if invoice.booked:
            raise NotPossible(
                f"Invoice {number} cannot be dated {day}: it is booked, dated {invoice.invoice_date}. Credit it in "
                f"Fortnox and set the contract's period back there; then skip the billing: avtalsmotor billings skip "
                f"{billing.id}"
            )
        permit = await fortnox.permit(billing.tenant)
        await _look_if_in_doubt(
            fortnox.set_invoice_dates(permit, number, invoice_date=day, due_date=_due_date(invoice, day))
        )
        invoice = await read_invoice(ledger, fortnox, billing.tenant, number)
        if invoice.invoice_date != day:
            raise NotPossible(
                f"Invoice {number} is still dated {invoice.invoice_date}, though Fortnox was asked to date it {day}. "
                f"Try again: avtalsmotor billings keep {billing.id}"
            )
    log.info("early_invoice_kept", tenant=billing.tenant, billing=billing.id, invoice=number, dated=str(day))
    return await billings.keep(ledger, billing.id, invoice, by)


async def cancel(ledger: Ledger, fortnox: Fortnox, billing_id: BillingId, by: str) -> Billing:
    """Cancels the invoice and sets the contract's period back, so that the period is invoiced when it is due.

    The contract is paused meanwhile: no invoice may be made of a period that is just being set.

    Raises: as `keep`; the contract stays paused then, since nobody knows how far it has come.
    """
    billing = await billings.known(ledger, billing_id)
    number = billings.made_early(billing)
    why = f"invoice {number}, made too early, is being cancelled"
    await pauses.pause(ledger, "contract", tenant=billing.tenant, contract=billing.contract, by=by, why=why)
    await _nothing_later(ledger, billing)
    await _cancel_invoice(ledger, fortnox, billing, number)
    await _set_back(ledger, fortnox, billing)
    voided = await billings.cancelled_early(ledger, billing.id, by)
    if any(
        one.contract == billing.contract and one.why == why for one in await pauses.standing(ledger, billing.tenant)
    ):
        # Unless a person had paused it before.
        await pauses.resume(ledger, "contract", tenant=billing.tenant, contract=billing.contract, by=by)
    log.info("early_invoice_cancelled", tenant=billing.tenant, billing=billing.id, invoice=number)
    return voided


def _due_date(invoice: Invoice, day: date) -> date | None:
    """The due date that leaves the customer as many days as before."""
    if invoice.due_date is None or invoice.invoice_date is None:
        return None
    return day + max(invoice.due_date - invoice.invoice_date, timedelta(0))


async def _nothing_later(ledger: Ledger, billing: Billing) -> None:
    """Setting the period back would have the later one invoiced twice."""
    of_contract = await billings.find(ledger, tenant=billing.tenant, contract=billing.contract)
    later = [
        one
        for one in of_contract
        if one.period.start > billing.period.start and one.status not in (Status.VOIDED, Status.SKIPPED)
    ]
    if later:
        raise NotPossible(
            f"Invoice {billing.invoice} cannot be cancelled from here: {later[0].period} of the contract, which comes "
            f"after it, has a billing already (number {later[0].id}). Keep the invoice instead: avtalsmotor billings "
            f"keep {billing.id}"
        )


async def _cancel_invoice(ledger: Ledger, fortnox: Fortnox, billing: Billing, number: InvoiceNumber) -> None:
    invoice = await read_invoice(ledger, fortnox, billing.tenant, number)
    if is_live(invoice):
        permit = await fortnox.permit(billing.tenant)
        await _look_if_in_doubt(fortnox.cancel(permit, number))
        invoice = await read_invoice(ledger, fortnox, billing.tenant, number)
    if is_live(invoice):
        raise NotPossible(
            f"Invoice {number} still stands, though Fortnox was asked to cancel it. Try again: avtalsmotor billings "
            f"cancel {billing.id}"
        )


async def _set_back(ledger: Ledger, fortnox: Fortnox, billing: Billing) -> None:
    contract = await read_contract(ledger, fortnox, billing.tenant, billing.contract)
    shown = contract.view.period
    if shown != billing.period and shown is not None and follows(billing.period, shown):
        permit = await fortnox.permit(billing.tenant)
        await _look_if_in_doubt(
            fortnox.set_period(
                permit, billing.contract, period_start=billing.period.start, period_end=billing.period.end
            )
        )
        contract = await read_contract(ledger, fortnox, billing.tenant, billing.contract)
        shown = contract.view.period
    if shown != billing.period:
        raise NotPossible(
            f"Invoice {billing.invoice} is cancelled, but contract {billing.contract} shows {shown or 'no period'}. "
            f"Set its period to {billing.period} in Fortnox, then try again: avtalsmotor billings cancel {billing.id}"
        )


async def _look_if_in_doubt(call: Awaitable[object]) -> None:
    """Waits for a call whose effect is read afterwards, whatever its answer was."""
    try:
        await call
    except errors.InDoubt as doubt:
        log.warning("answer_lost", error=str(doubt))
