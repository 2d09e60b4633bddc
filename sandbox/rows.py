"""Rows of contracts and invoices: how they look, how they are read, and what becomes of their RowIds on an update.

The same rules serve both kinds of document (API notes 1.5, 2.4). A row keeps its own price for ever: nothing here may
look at a price list again once the row exists.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox import payload, refusals, totals
from sandbox.api import Call
from sandbox.books import Article, Company, Row
from sandbox.wire import number, round_cents, text_number

_FIELDS: payload.Fields = {
    "AccountNumber": ("account_number", payload.optional(payload.whole)),
    "ArticleNumber": ("article_number", payload.text(50)),
    "CostCenter": ("cost_center", payload.text()),
    "DeliveredQuantity": ("quantity", payload.money),
    "Description": ("description", payload.text(255)),
    "Discount": ("discount", payload.money),
    "DiscountType": ("discount_type", payload.one_of("PERCENT", "AMOUNT")),
    "HouseWork": ("housework", payload.yes_no),
    "HouseWorkHoursToReport": ("housework_hours", payload.optional(payload.whole)),
    "HouseWorkType": ("housework_type", payload.optional(payload.text())),
    "Price": ("price", payload.money),
    "Project": ("project", payload.text()),
    "RowId": ("row_id", payload.whole),
    "Unit": ("unit", payload.text()),
    "VAT": ("vat", payload.money),
}
_READ_ONLY = frozenset(
    {
        "ContributionPercent",
        "ContributionValue",
        "Cost",
        "PriceExcludingVAT",
        "StockPointCode",
        "Total",
        "TotalExcludingVAT",
        "VATCode",
    }
)


def contract_row(row: Row, *, vat_included: bool, newer: bool) -> dict[str, Any]:
    """A row of a contract; VATCode came with the newer edition."""
    shape = _shape(row, vat_included=vat_included)
    if newer:
        shape["VATCode"] = None
    return shape


def invoice_row(row: Row, *, vat_included: bool) -> dict[str, Any]:
    """A row of an invoice as recorded in December 2024 (API notes A.3)."""
    return {**_shape(row, vat_included=vat_included), "Cost": 0, "StockPointCode": None, "VATCode": None}


def _shape(row: Row, *, vat_included: bool) -> dict[str, Any]:
    amount = totals.row_total(row)
    return {
        "AccountNumber": row.account_number,
        "ArticleNumber": row.article_number,
        "ContributionPercent": "0",
        "ContributionValue": "0",
        "CostCenter": row.cost_center,
        "DeliveredQuantity": text_number(row.quantity),
        "Description": row.description,
        "Discount": number(row.discount),
        "DiscountType": row.discount_type,
        "HouseWork": row.housework,
        "HouseWorkHoursToReport": row.housework_hours,
        "HouseWorkType": row.housework_type,
        "Price": number(row.price),
        "PriceExcludingVAT": number(totals.without_vat(row.price, row.vat, included=vat_included)),
        "Project": row.project,
        "RowId": row.row_id,
        "Total": number(amount),
        "TotalExcludingVAT": number(totals.without_vat(amount, row.vat, included=vat_included)),
        "Unit": row.unit,
        "VAT": number(row.vat),
    }


def merged(kept: list[Row], given: Any, call: Call, price_list: str, *, vat_free: bool) -> list[Row]:
    """The rows after an update (or a creation, when none are kept).

    Without any RowId rows are matched by position; with at least one, a row that has a RowId changes that row, a row
    without is new, and rows not mentioned are removed (API notes 2.4). The result has not been numbered anew yet.
    Assumed: a RowId that the document does not have is refused, or by switch makes a new row.

    Raises:
      Refusal: 2001392 not a list of objects; 2000729 an unknown RowId; 2001302 an unknown article; wrong fields.
    """
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise refusals.bad_body()
    changes = [payload.fields(row, _FIELDS, _READ_ONLY) for row in given]
    by_id = {row.row_id: row for row in kept}
    by_position = not any("row_id" in change for change in changes)
    result: list[Row] = []
    for position, change in enumerate(changes):
        row: Row | None = None
        if by_position and position < len(kept):
            row = kept[position]
        elif "row_id" in change:
            row = by_id.get(change["row_id"])
            if row is None and call.world.behaviour.unknown_row == "refused":
                raise refusals.invalid(2000729, "A valid identifier was not provided.")
        result.append(_changed(row, change, call.company, price_list, vat_free=vat_free))
    return result


def _changed(row: Row | None, change: dict[str, Any], company: Company, price_list: str, *, vat_free: bool) -> Row:
    if row is None:
        row = _new(change.get("article_number", ""), company, price_list, vat_free=vat_free)
    elif "article_number" in change and change["article_number"] != row.article_number:
        _article(change["article_number"], company)
    row = replace(row, **change)
    row.price, row.quantity = round_cents(row.price), round_cents(row.quantity)
    return row


def _new(article_number: str, company: Company, price_list: str, *, vat_free: bool) -> Row:
    """A row with what its article says; the price is read from the list this once (API notes 4.3)."""
    article = _article(article_number, company) if article_number else None
    if article is None:
        return Row("", "", Decimal(0), Decimal(0), vat=Decimal(0) if vat_free else Decimal(25))
    price = company.prices.get((price_list, article.number, Decimal(0)))
    return Row(
        article.number,
        article.description,
        Decimal(0),
        price.price if price else Decimal(0),
        vat=Decimal(0) if vat_free else article.vat,
        account_number=article.sales_account,
        unit=article.unit,
        housework=article.housework,
    )


def _article(number: str, company: Company) -> Article:
    article = company.articles.get(number)
    if article is None:
        raise refusals.invalid(2001302, "Kunde inte hitta artikel.")
    return article
