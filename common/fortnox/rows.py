"""How the rows of a contract or an invoice are sent back, so that an update changes only what is meant (API notes 2.4).

Every row goes with its RowId, since one that is left out is removed, and it goes whole, as it was read: nobody has
published whether a contract's row that comes with its RowId alone is kept as it is, nor what becomes of a row whose
RowId somebody else's change has renewed meanwhile. Pure.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from common.fortnox.models import Row


def sent_back(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as the body of an update has them.

    What Fortnox keeps unset (null, "") is left out: sent, it might be refused as empty, and left out it stays unset
    whether an update of a row is partial or whole.

    Raises: `ValueError` for no rows at all, which would remove all of them, for a row without a RowId, which would be
      added as a new one, and for a number that JSON cannot carry exactly.
    """
    if not rows:
        raise ValueError("An update without rows would remove all rows of the document.")
    if any(row.row_id is None for row in rows):
        raise ValueError("A row without its RowId would be added as a new one; read the document again.")
    return [_sent_back(row) for row in rows]


def _sent_back(row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "RowId": row.row_id,
        "AccountNumber": row.account_number,
        "ArticleNumber": row.article_number,
        "CostCenter": row.cost_center,
        "DeliveredQuantity": None if row.delivered_quantity is None else f"{row.delivered_quantity:f}",
        "Description": row.description,
        "Discount": _number(row.discount),
        "DiscountType": row.discount_type,
        "HouseWork": row.house_work,
        "HouseWorkHoursToReport": row.house_work_hours_to_report,
        "HouseWorkType": row.house_work_type,
        "Price": _number(row.price),
        "Project": row.project,
        "StockPointCode": row.stock_point_code,
        "Unit": row.unit,
        "VAT": _number(row.vat),
        "VATCode": row.vat_code,
    }
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _number(amount: Decimal | None) -> int | float | None:
    """A JSON number with the very digits of the amount."""
    if amount is None:
        return None
    if amount == amount.to_integral_value():
        return int(amount)
    nearest = float(amount)
    if Decimal(repr(nearest)) != amount:
        raise ValueError(f"{amount} has more digits than a JSON number carries exactly.")
    return nearest
