"""`avtalsmotor billings keep` and `cancel`: what becomes of an invoice that was made too early."""

from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.printing import say
from avtalsmotor.cli.session import open_fortnox, open_session, user
from common.fortnox.errors import FortnoxError, NotSent
from common.ids import BillingId
from workers import early


async def keep(number: int) -> None:
    async with open_session() as (settings, ledger), open_fortnox(settings, ledger) as fortnox:
        try:
            billing = await early.keep(ledger, fortnox, BillingId(number), user())
        except (FortnoxError, NotSent) as error:
            raise Failure(f"Billing {number} is as it was. {error}") from None
    say(f"Invoice {billing.invoice} is kept: what is left of it is done on {billing.due_on}.")


async def cancel(number: int) -> None:
    async with open_session() as (settings, ledger), open_fortnox(settings, ledger) as fortnox:
        try:
            billing = await early.cancel(ledger, fortnox, BillingId(number), user())
        except (FortnoxError, NotSent) as error:
            raise Failure(
                f"The invoice of billing {number} may or may not be cancelled, and its contract is paused meanwhile."
                f" {error} Then type again: avtalsmotor billings cancel {number}"
            ) from None
    say(
        f"Invoice {billing.invoice} is cancelled, and contract {billing.contract} shows {billing.period} again: it is"
        f" invoiced on {billing.due_on}."
    )
