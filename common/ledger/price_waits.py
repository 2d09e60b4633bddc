"""Whether the next invoice of a contract waits for a new price: where invoicing and prices meet.

A create is not claimed while a price that holds for its period is to be set in the contract, and a price is not set
while a create of the contract is under way; both are asked under the company's lock.
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, exists, or_, select, text

from common.ledger.schema import IS_AWAITED, IS_UNDER_WAY, billings, price_updates, word


def is_awaited(billing: FromClause) -> ColumnElement[bool]:
    """For a statement over billings under any name: a price update is to be done before its invoice is made."""
    return exists(
        select(price_updates.c.id)
        .where(
            price_updates.c.tenant == billing.c.tenant,
            price_updates.c.contract == billing.c.contract,
            text(IS_AWAITED.replace("status", "price_updates.status")),
            or_(price_updates.c.first_day.is_(None), price_updates.c.first_day <= billing.c.period_start),
        )
        .correlate(billing)
    )


def is_being_invoiced(tenant: ColumnElement[Any], contract: ColumnElement[Any]) -> ColumnElement[bool]:
    """For a statement over contracts: a create of the contract is under way, whose rows must stand still."""
    making = billings.alias("making")
    return exists(
        select(making.c.id).where(
            making.c.tenant == tenant,
            making.c.contract == contract,
            making.c.step == word("create"),
            text(IS_UNDER_WAY.replace("status", "making.status")),
        )
    )
