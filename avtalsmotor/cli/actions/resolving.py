"""`avtalsmotor billings resolve`: shows what speaks for and against a call in doubt, and takes a person's word for it.

What Fortnox shows is shown before anything is asked, and goes into the audit trail with who said what.
"""

import sys
from datetime import timedelta

import typer

from avtalsmotor.cli.actions.billings import call_in_words, why
from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.printing import Column, Row, heading, instant, money, print_table, say
from avtalsmotor.cli.session import open_fortnox, open_session, user
from common.fortnox.client import Fortnox
from common.ids import BillingId, InvoiceNumber
from common.ledger.database import Ledger
from common.ledger.records import Billing, Invoice
from common.rules.states import Step
from workers import by_hand
from workers.by_hand import Evidence

_CHOICES = {
    Step.CREATE: ("--made INVOICE", "--never-made"),
    Step.BOOKKEEP: ("--bookkept", "--not-bookkept"),
    Step.DELIVER: ("--delivered", "--not-delivered"),
}


async def show(number: int) -> None:
    async with open_session() as (settings, ledger), open_fortnox(settings, ledger) as fortnox:
        found = await by_hand.gather(ledger, fortnox, BillingId(number), timedelta(seconds=settings.settle))
    _print(found)
    say()
    say("If you know what became of the call, say it:")
    for choice in _CHOICES[found.billing.step]:
        say(f"  avtalsmotor billings resolve {number} {choice}")


async def decide(number: int, said: str, invoice: int | None, sure: bool) -> None:
    """Raises Failure when nobody is there to be asked, NotPossible when Fortnox shows otherwise."""
    async with open_session() as (settings, ledger), open_fortnox(settings, ledger) as fortnox:
        found = await by_hand.gather(ledger, fortnox, BillingId(number), timedelta(seconds=settings.settle))
        _print(found)
        if not sure:
            _ask(found, said, ledger.clock.now() < found.may_act_until)
        billing = await _carry_out(ledger, fortnox, BillingId(number), said, invoice)
    say()
    say(f"Billing {number} now stands at {billing.step.value}, {billing.status.value.replace('_', ' ')}.")


async def _carry_out(ledger: Ledger, fortnox: Fortnox, number: BillingId, said: str, invoice: int | None) -> Billing:
    match said:
        case "made" if invoice is not None:
            return await by_hand.made(ledger, fortnox, number, InvoiceNumber(invoice), user())
        case "never-made":
            return await by_hand.never_made(ledger, fortnox, number, user())
        case "bookkept":
            return await by_hand.bookkept(ledger, fortnox, number, user())
        case "not-bookkept":
            return await by_hand.not_bookkept(ledger, fortnox, number, user())
        case "delivered":
            return await by_hand.delivered(ledger, number, user())
        case "not-delivered":
            return await by_hand.not_delivered(ledger, fortnox, number, user())
    raise ValueError(f"{said} is nothing that can be said of a call")


def _ask(found: Evidence, said: str, still_may_act: bool) -> None:
    if not sys.stdin.isatty():
        raise Failure(
            f"Nothing was decided about billing {found.billing.id}: nobody is there to be asked whether it is so."
            " If it is, add --yes."
        )
    say()
    if said.startswith(("never", "not")) and still_may_act:
        say(f"Fortnox may still carry the call out until {instant(found.may_act_until)}; it would then be done twice.")
    typer.confirm(f"You say {said.replace('-', ' ')}, and are sure?", abort=True)


def _print(found: Evidence) -> None:
    billing = found.billing
    heading(f"Billing {billing.id}: contract {billing.contract} of {billing.customer_name}, {billing.period}")
    say(f"{billing.step.value}, {billing.status.value.replace('_', ' ')}. {why(billing)}")
    for call in found.attempts:
        say(f"Called {instant(call.called_at)}: {call_in_words(call)}")
    say(f"Fortnox may still carry the call out until {instant(found.may_act_until)}.")
    heading("What Fortnox shows now")
    say(f"Contract {billing.contract} shows {found.contract.view.period or 'no period'}.")
    if billing.step is Step.CREATE:
        _print_candidates(found)
    elif found.invoice is not None:
        say(f"Invoice {found.invoice.number}: {_state(found.invoice)}.")
        if found.finance_status is not None:
            say(f"Fakturatjänster says {found.finance_status}.")


def _print_candidates(found: Evidence) -> None:
    if not found.candidates:
        say("No invoice of this contract is newer than the call.")
        return
    columns = [
        Column("Invoice", number=True),
        Column("Contract", number=True),
        Column("Period", whole=True),
        Column("Date", whole=True),
        Column("Total", number=True),
        Column("It is"),
    ]
    print_table(columns, [_row(invoice) for invoice in found.candidates])


def _row(invoice: Invoice) -> Row:
    return Row(
        [
            str(invoice.number),
            str(invoice.contract or "not told"),
            str(invoice.period or "not told"),
            str(invoice.invoice_date),
            money(invoice.total, invoice.currency),
            _state(invoice),
        ]
    )


def _state(invoice: Invoice) -> str:
    words = {
        "cancelled": invoice.cancelled,
        "a credit invoice": invoice.credit,
        "credited": invoice.credited_by is not None,
        "booked": invoice.booked,
        "sent": invoice.sent,
        "at Fakturatjänster": invoice.nox_finans,
    }
    return ", ".join(word for word, holds in words.items() if holds) or "neither booked nor sent"
