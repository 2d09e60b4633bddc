"""An invoice of a later period than the one that was asked for becomes a billing of its own, parked.

It comes about when a person makes the invoice by hand between our look and our call (design, section 6: the click in
between). It is never booked or sent before a person has said keep or cancel (`by_person`).
"""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from common.ids import BillingId
from common.ledger import audit
from common.ledger.billing_changes import read_locked, state_of
from common.ledger.billing_rows import billing_of
from common.ledger.database import Ledger, instant_of
from common.ledger.outcomes import Made
from common.ledger.records import Billing, Invoice
from common.ledger.schema import billings
from common.rules import due
from common.rules.periods import Period
from common.rules.reasons import Reason
from common.rules.states import Status, Step


async def take_in_late(ledger: Ledger, asked: BillingId, invoice: Invoice, by: str) -> Billing | None:
    """`take_in` for a billing that has its own invoice already: the call that was in doubt has acted after all.

    Returns:
      `None`: the invoice is another billing's by now, or the ledger has one of its period.
    """

    def work(connection: Connection) -> Billing | None:
        row = read_locked(connection, ledger, asked, Made(invoice))
        if row is None or row.owner is not None or row.invoice in (None, invoice.number):
            return None
        return take_in(connection, ledger, billing_of(row), invoice, by, instant_of(row.now))

    return await ledger.transact(work)


def take_in(
    connection: Connection, ledger: Ledger, asked: Billing, invoice: Invoice, by: str, now: datetime
) -> Billing | None:
    """Inserts the billing of the invoice that was made too early.

    Parameters:
      asked: the billing whose call made it; its row must be locked, and its own create settled.
      invoice: live, of the same contract, of a later period, and no other billing's.

    Returns:
      `None`: the ledger has a billing of that period already, so that the invoice is left to a person.

    Raises:
      ValueError: the invoice tells no period.
    """
    if invoice.period is None:
        raise ValueError(f"invoice {invoice.number} tells no period, so it is the invoice of none")
    there = _of_period(connection, asked, invoice.period)
    if any(one.status is not Status.VOIDED for one in there):
        return None
    row = connection.execute(
        insert(billings)
        .values(
            **_values_of(asked, invoice, invoice.period),
            generation=1 + max((one.generation for one in there), default=0),
            created_at=now,
            changed_at=now,
        )
        .returning(billings)
    ).one()
    billing = billing_of(row)
    audit.record(
        connection,
        ledger,
        by,
        "taken_in_early",
        tenant=billing.tenant,
        contract=billing.contract,
        billing=billing.id,
        before={},
        after={**state_of(billing), "period": str(billing.period), "asked_by_billing": asked.id},
    )
    return billing


def _values_of(asked: Billing, invoice: Invoice, period: Period) -> dict[str, object]:
    due_on = due.due_on(period, asked.policy)
    return {
        "tenant": asked.tenant,
        "contract": asked.contract,
        "period_start": period.start,
        "period_end": period.end,
        "due_on": due_on,
        "invoice_date": invoice.invoice_date or due_on,
        # Its create has been done; which of the later steps is left is decided when a person keeps it.
        "step": Step.BOOKKEEP.value,
        "status": Status.PARKED.value,
        "reason": Reason.EARLY.value,
        "detail": {"invoice": str(invoice.number), "asked for": str(asked.period), "due": str(due_on)},
        "policy": asked.policy.model_dump_json(),
        "amount": asked.amount,
        "currency": asked.currency,
        "customer_number": asked.customer_number,
        "customer_name": asked.customer_name,
        "invoice": invoice.number,
        "handmade": False,
        "made_total": invoice.total,
        "made_rows": invoice.rows_digest,
        "approved": "",
        "failures": 0,
    }


def _of_period(connection: Connection, asked: Billing, period: Period) -> list[Billing]:
    """What the ledger has of the period, voided ones included."""
    statement = select(billings).where(
        billings.c.tenant == asked.tenant,
        billings.c.contract == asked.contract,
        billings.c.period_start == period.start,
    )
    return [billing_of(row) for row in connection.execute(statement)]
