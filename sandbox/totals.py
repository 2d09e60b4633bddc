"""Money: what rows amount to, VAT, rounding to whole kronor, and the OCR number.

Pure arithmetic on Decimals; the sandbox's own reading of an invoice, shared with nobody, so that a client's sums are
checked against another hand's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from sandbox.books import Company, Contract, Invoice, Row
from sandbox.wire import round_cents

FEE_VAT = Decimal(25)
"""VAT of freight and administration fee, per cent."""


@dataclass(slots=True, frozen=True)
class Totals:
    gross: Decimal
    """Rows without VAT, before the document's discount and fees."""
    net: Decimal
    vat: Decimal
    round_off: Decimal
    total: Decimal
    """With VAT, rounded."""


def row_total(row: Row) -> Decimal:
    """Quantity times price less the row's discount, in the price's own terms (with or without VAT)."""
    amount = row.quantity * row.price
    if row.discount_type == "PERCENT":
        amount -= amount * row.discount / 100
    else:
        amount -= row.discount
    return round_cents(amount)


def without_vat(amount: Decimal, vat: Decimal, *, included: bool) -> Decimal:
    return round_cents(amount * 100 / (100 + vat)) if included else amount


def fee_vat(fee: Decimal) -> Decimal:
    return round_cents(fee * FEE_VAT / 100)


def of(document: Contract | Invoice, company: Company) -> Totals:
    """The sums of a contract or an invoice, VAT rounded once for each rate."""
    by_rate: dict[Decimal, Decimal] = {}
    for row in document.rows:
        by_rate[row.vat] = by_rate.get(row.vat, Decimal(0)) + row_total(row)
    included = document.vat_included
    gross = sum((without_vat(amount, rate, included=included) for rate, amount in by_rate.items()), Decimal(0))
    for rate in by_rate:
        by_rate[rate] = round_cents(by_rate[rate] * (100 - document.invoice_discount) / 100)
    fees = document.administration_fee + document.freight
    if fees:
        by_rate[FEE_VAT] = by_rate.get(FEE_VAT, Decimal(0)) + fees
    net = sum((without_vat(amount, rate, included=included) for rate, amount in by_rate.items()), Decimal(0))
    vat = sum((_vat(amount, rate, included=included) for rate, amount in by_rate.items()), Decimal(0))
    exact = net + vat
    total = _whole_kronor(exact) if company.rounding and document.currency == "SEK" else exact
    return Totals(gross, net, vat, total - exact, total)


def settle(invoice: Invoice, company: Company) -> None:
    """Write the sums on an invoice; the whole of it is then owed."""
    sums = of(invoice, company)
    invoice.net, invoice.total_vat, invoice.round_off, invoice.total = sums.net, sums.vat, sums.round_off, sums.total
    invoice.balance = sums.total


def negated(rows: Iterable[Row]) -> list[Row]:
    """The rows of a credit invoice."""
    return [
        Row(
            row.article_number,
            row.description,
            -row.quantity,
            row.price,
            row.vat,
            row.account_number,
            row.unit,
            row.discount if row.discount_type == "PERCENT" else -row.discount,
            row.discount_type,
            row.cost_center,
            row.project,
        )
        for row in rows
    ]


def ocr(stem: int) -> str:
    """Stem, a digit for the whole length, and a check digit by Luhn: 18 becomes "1842" (API notes 2.1)."""
    digits = f"{stem}{(len(str(stem)) + 2) % 10}"
    weighed = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        weighed += value - 9 if value > 9 else value
    return f"{digits}{-weighed % 10}"


def _vat(amount: Decimal, rate: Decimal, *, included: bool) -> Decimal:
    if included:
        return amount - without_vat(amount, rate, included=True)
    return round_cents(amount * rate / 100)


def _whole_kronor(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1), rounding=ROUND_HALF_UP)
