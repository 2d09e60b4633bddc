"""What a person may do with a billing that stands still: approve it, retry it, skip it, say what became of its call,
keep or cancel one that was made too early (design, sections 5 and 6).

Nothing here may ever repeat a call that may have taken effect, however great the person's hurry; what is not possible
is refused in words that say what to do.
"""

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import Connection, Row

from common.clock import STOCKHOLM
from common.ids import BillingId, InvoiceNumber
from common.ledger import blocks, invoices
from common.ledger.billing_changes import change, policy_in_force, read_locked
from common.ledger.billing_rows import billing_of, get
from common.ledger.database import Ledger, instant_of
from common.ledger.records import Billing, Invoice
from common.ledger.transitions import approved, onward, waiting_again
from common.rules.reasons import Reason
from common.rules.states import FINAL, UNRESOLVED, Status, Step


class NotPossible(Exception):  # noqa: N818 - what a person is told, not a fault
    """A person asked for what the billing's state does not allow. The message says why, and what to do."""


async def approve(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """A person's yes: HELD -> WAITING on the same step, and never held for that reason again, unless it was a change of
    the invoice, and it is changed once more.

    Raises:
      NotPossible: it is not held.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        if current.status is not Status.HELD:
            raise NotPossible(
                f"Billing {billing} cannot be approved: it is {current.status.value}, and only a held one waits for "
                f"a yes. See what it needs: avtalsmotor billings show {billing}"
            )
        landing, yes = approved(current)
        return change(connection, ledger, current, landing, by, "approved", instant_of(row.now), approved=yes)

    return await ledger.transact(work)


async def retry(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """A person has mended it: PARKED -> WAITING on the same step; a blocked company's first is the probe (rule 7).

    Also a waiting one that a block stops, which then becomes the probe; and one in doubt all of whose calls are known
    to have done nothing.

    Raises:
      NotPossible: a call of it may have taken effect, or it is not stopped by anything that a retry could pass.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        if row.may_have_acted:
            raise NotPossible(
                f"Billing {billing} cannot be retried: a call of its step {current.step.value} may have taken effect, "
                "and would be made twice. See what Fortnox shows, and say what became of it: avtalsmotor billings "
                f"resolve {billing}"
            )
        if current.reason is Reason.EARLY:
            raise NotPossible(_early(billing, "retried"))
        if current.status not in (Status.PARKED, Status.IN_DOUBT, Status.WAITING):
            raise NotPossible(
                f"Billing {billing} cannot be retried: it is {current.status.value}, not parked. "
                f"See what it needs: avtalsmotor billings show {billing}"
            )
        if current.status is Status.WAITING and not row.blocked:
            raise NotPossible(
                f"Billing {billing} cannot be retried: it is waiting already, and nothing stops it. It goes by itself."
            )
        if current.status is Status.WAITING and _due(current) > instant_of(row.now):
            raise NotPossible(
                f"Billing {billing} cannot be retried yet: it is due on {current.due_on}, and goes no sooner. Retry "
                "another one of the company, so that this one can go then."
            )
        probing = blocks.choose_probe(connection, current.tenant, current.step, billing)
        action = "retried_as_probe" if probing else "retried"
        return change(connection, ledger, current, waiting_again(current), by, action, instant_of(row.now))

    return await ledger.transact(work)


async def skip(ledger: Ledger, billing: BillingId, by: str, why: str) -> Billing:
    """A person says that it is not to be finished -> SKIPPED; its period is not planned again.

    Raises:
      NotPossible: it is final already, or a call of it is under way or in doubt.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        if current.status in FINAL or current.status is Status.CLAIMED or current.status in UNRESOLVED:
            raise NotPossible(
                f"Billing {billing} cannot be skipped: it is {current.status.value}. "
                "What is under way or in doubt must come to an end first; what is final stays."
            )
        landing = replace(waiting_again(current), status=Status.SKIPPED, detail={"why": why} if why else {})
        if row.is_probe:
            blocks.release_probe(connection, billing)
        return change(connection, ledger, current, landing, by, "skipped", instant_of(row.now))

    return await ledger.transact(work)


async def known(ledger: Ledger, billing: BillingId) -> Billing:
    """The billing that a person speaks of.

    Raises:
      NotPossible: there is none.
    """
    found = await get(ledger, billing)
    if found is None:
        raise _unknown(billing)
    return found


def made_early(billing: Billing) -> InvoiceNumber:
    """The invoice that was made too early, to be kept or cancelled.

    Raises:
      NotPossible: the billing is not parked for having one.
    """
    if billing.status is not Status.PARKED or billing.reason is not Reason.EARLY or billing.invoice is None:
        raise NotPossible(
            f"Billing {billing.id} has no invoice that was made too early, so there is none to keep or cancel. "
            f"See what it needs: avtalsmotor billings show {billing.id}"
        )
    return billing.invoice


async def keep(ledger: Ledger, billing: BillingId, invoice: Invoice, by: str) -> Billing:
    """A person keeps an invoice that was made too early: PARKED -> the steps that are left, from its due day on.

    Parameters:
      invoice: as it was just read, with the due day for its date.

    Raises:
      NotPossible: it is not parked for having been made too early.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        made_early(current)
        now = instant_of(row.now)
        made = replace(current, step=Step.CREATE, made_total=invoice.total, made_rows=invoice.rows_digest)
        landing = onward(made, policy_in_force(row, current), now, invoice=invoice)
        landing = replace(landing, invoice_date=invoice.invoice_date or current.invoice_date)
        opens = _due(current)
        if landing.status is not Status.DONE and opens > now:
            # Held, too: a yes to a tax reduction is none to an invoice before its time.
            landing = replace(landing, not_before=max(opens, landing.not_before or opens))
        invoices.take_in(connection, ledger, [invoice])
        note = f"kept, dated {invoice.invoice_date}"
        return change(connection, ledger, current, landing, by, "kept", now, note=note)

    return await ledger.transact(work)


async def cancelled_early(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """An invoice that was made too early is cancelled, and its contract shows the period again: PARKED -> VOIDED.

    Raises:
      NotPossible: it is not parked for having been made too early.
    """

    def work(connection: Connection) -> Billing:
        row, current = _for_person(connection, ledger, billing)
        made_early(current)
        landing = replace(
            waiting_again(current),
            status=Status.VOIDED,
            reason=Reason.CANCELLED,
            detail={"invoice": str(current.invoice)},
        )
        note = "cancelled, and the contract's period set back"
        return change(connection, ledger, current, landing, by, "cancelled", instant_of(row.now), note=note)

    return await ledger.transact(work)


def _due(billing: Billing) -> datetime:
    """When its due day begins in Sweden."""
    return datetime.combine(billing.due_on, time.min, STOCKHOLM).astimezone(UTC)


def _early(billing: BillingId, what: str) -> str:
    return (
        f"Billing {billing} cannot be {what}: its invoice was made too early. Keep it for its due day: avtalsmotor "
        f"billings keep {billing}. Or cancel it: avtalsmotor billings cancel {billing}"
    )


def _for_person(connection: Connection, ledger: Ledger, billing: BillingId) -> tuple[Row[Any], Billing]:
    row = read_locked(connection, ledger, billing)
    if row is None:
        raise _unknown(billing)
    return row, billing_of(row)


def _unknown(billing: BillingId) -> NotPossible:
    return NotPossible(f"Billing {billing} does not exist. List them: avtalsmotor billings list")
