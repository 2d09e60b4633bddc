"""Fortnox' documents are read in every shape that its specs and its recorded traffic show."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from common.fortnox.answers import read_json
from common.fortnox.models import (
    Article,
    Company,
    CompanySettings,
    Contract,
    ContractItem,
    FinancialYear,
    Invoice,
    InvoiceItem,
    Price,
)

OLD_ITEM = {
    "@url": "https://api.fortnox.se/3/contracts/12",
    "Continuous": True,
    "ContractLength": 12,
    "CustomerNumber": "100",
    "DocumentNumber": "12",
    "Invoiceinterval": 1,
    "InvoicesRemaining": 0,
    "LastInvoiceDate": "2026-03-01",
    "PeriodStart": "2026-04-01",
    "PeriodEnd": "2026-04-30",
    "Status": "ACTIVE",
    "TemplateNumber": None,
    "Total": 1250,
}
NEW_ITEM = OLD_ITEM | {"DocumentNumber": 12, "InvoiceInterval": 1, "Invoiceinterval": None, "InvoicesRemaining": ""}


@pytest.mark.parametrize("body", [OLD_ITEM, NEW_ITEM, OLD_ITEM | {"InvoiceInterval": None}])
def test_a_contract_in_a_list_reads_the_same_in_both_editions(body: dict[str, Any]) -> None:
    item = ContractItem.model_validate(body)

    assert item.document_number == 12
    assert item.invoice_interval == 1
    assert (item.period_start, item.period_end) == (date(2026, 4, 1), date(2026, 4, 30))
    assert item.total == Decimal(1250)
    assert item.template_number is None


@pytest.mark.parametrize("key", ["Invoiceinterval", "InvoiceInterval", "Interval"])
def test_the_interval_is_read_in_all_three_spellings(key: str) -> None:
    assert ContractItem.model_validate({"DocumentNumber": 1, key: "3"}).invoice_interval == 3


@pytest.mark.parametrize(("sent", "read"), [("11", 11), (11, 11), ("", None), (None, None), ("0", 0), (0, 0)])
def test_invoices_remaining_is_read_as_number_or_text(sent: object, read: int | None) -> None:
    assert Contract.model_validate({"DocumentNumber": 1, "InvoicesRemaining": sent}).invoices_remaining == read


@pytest.mark.parametrize("key", ["VatIncluded", "VATIncluded"])
def test_the_vat_flag_is_read_in_both_spellings(key: str) -> None:
    assert Contract.model_validate({"DocumentNumber": 1, key: True}).vat_included is True


@pytest.mark.parametrize("rows", [None, []])
def test_a_contract_may_have_no_rows(rows: object) -> None:
    assert Contract.model_validate({"DocumentNumber": 1, "InvoiceRows": rows}).invoice_rows == ()


def test_a_contract_may_have_next_to_nothing() -> None:
    contract = Contract.model_validate({"DocumentNumber": 1, "EmailInformation": None})

    assert contract.period_start is None
    assert contract.email_information.email_address_to == ""


@pytest.mark.parametrize("sent", [0, "0", "", None])
def test_a_reference_of_zero_is_no_reference(sent: object) -> None:
    body = {"DocumentNumber": "1", "ContractReference": sent, "CreditInvoiceReference": sent}
    invoice = Invoice.model_validate(body)

    assert (invoice.contract_reference, invoice.credit_invoice_reference) == (None, None)


@pytest.mark.parametrize("sent", [12, "12", 12.0])
def test_a_reference_is_read_as_number_or_text(sent: object) -> None:
    assert Invoice.model_validate({"DocumentNumber": "1", "ContractReference": sent}).contract_reference == 12


@pytest.mark.parametrize("sent", ["twelve", 12.5, True, "12a"])
def test_a_reference_that_cannot_be_understood_is_never_taken_for_none(sent: object) -> None:
    with pytest.raises(ValidationError):
        Invoice.model_validate({"DocumentNumber": "1", "ContractReference": sent})


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-04-01", date(2026, 4, 1)),
        ("2026-04-01T00:00:00", date(2026, 4, 1)),
        ("2026-04-01 00:00:00", date(2026, 4, 1)),
        ("2026-04-01T00:00:00+02:00", date(2026, 4, 1)),
        ("", None),
        (None, None),
    ],
)
def test_a_day_may_carry_a_time_or_be_blank(sent: object, read: date | None) -> None:
    assert Invoice.model_validate({"DocumentNumber": "1", "InvoicePeriodStart": sent}).invoice_period_start == read


@pytest.mark.parametrize("sent", ["2026-13-01", "01/04/2026", "2026-04-01 or so", "2026", 20260401, 86400])
def test_a_day_that_is_none_is_never_guessed(sent: object) -> None:
    with pytest.raises(ValidationError):
        Invoice.model_validate({"DocumentNumber": "1", "InvoicePeriodStart": sent})


@pytest.mark.parametrize(("sent", "read"), [("false", False), ("true", True), (False, False), ("", None), (None, None)])
def test_a_flag_may_be_a_text(sent: object, read: bool | None) -> None:
    assert Invoice.model_validate({"DocumentNumber": "1", "Credit": sent}).credit is read


def test_a_flag_that_cannot_be_understood_is_never_guessed() -> None:
    with pytest.raises(ValidationError):
        InvoiceItem.model_validate({"DocumentNumber": "1", "Sent": "perhaps"})


def test_money_is_exactly_what_was_sent() -> None:
    body = read_json(b'{"DocumentNumber": "1", "Total": 1249.10, "Balance": "0.07"}')
    item = InvoiceItem.model_validate(body)

    assert (str(item.total), str(item.balance)) == ("1249.10", "0.07")
    assert InvoiceItem.model_validate({"DocumentNumber": "1", "Total": 0.1}).total == Decimal("0.1")


@pytest.mark.parametrize("sent", ["NaN", "Infinity", "much", True, {}])
def test_an_amount_that_is_none_is_never_guessed(sent: object) -> None:
    with pytest.raises(ValidationError):
        InvoiceItem.model_validate({"DocumentNumber": "1", "Total": sent})


@pytest.mark.parametrize("sent", [None, "", "seven", 7.5])
def test_a_document_without_a_number_is_no_document(sent: object) -> None:
    with pytest.raises(ValidationError):
        InvoiceItem.model_validate({"DocumentNumber": sent})


def test_what_is_unknown_is_passed_over() -> None:
    assert InvoiceItem.model_validate({"DocumentNumber": "1", "Newfangled": {"a": 1}}).document_number == 1


def row(**changes: object) -> dict[str, object]:
    usual = {"ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 100, "Discount": 0, "VAT": 25, "RowId": 7}
    return usual | changes


def digest(*rows: dict[str, object]) -> str | None:
    return Invoice.model_validate({"DocumentNumber": "1", "InvoiceRows": list(rows)}).rows_digest


@pytest.mark.parametrize(
    "change",
    [
        {"ArticleNumber": "A2"},
        {"DeliveredQuantity": "2"},
        {"Price": 100.01},
        {"Discount": 10},
        {"VAT": 12},
    ],
)
def test_the_digest_of_the_rows_tells_a_change_of_what_is_charged(change: dict[str, object]) -> None:
    assert digest(row(**change)) != digest(row())


def test_the_digest_of_the_rows_tells_percent_from_amount() -> None:
    assert digest(row(Discount=10, DiscountType="PERCENT")) != digest(row(Discount=10, DiscountType="AMOUNT"))


@pytest.mark.parametrize(
    "change", [{"RowId": 8}, {"Price": "100.00"}, {"DeliveredQuantity": "1.00"}, {"DiscountType": "PERCENT"}]
)
def test_the_digest_of_the_rows_is_the_same_for_the_same_charge(change: dict[str, object]) -> None:
    assert digest(row(**change)) == digest(row())


def test_the_digest_tells_one_row_from_two_and_no_rows_from_unknown_ones() -> None:
    assert digest(row(), row()) != digest(row())
    assert digest() is not None
    assert Invoice.model_validate({"DocumentNumber": "1"}).rows_digest is None


def test_an_article_has_its_price_as_text_in_lists_and_as_number_by_itself() -> None:
    listed = Article.model_validate({"ArticleNumber": "1", "SalesPrice": "99.50", "VAT": None})
    single = Article.model_validate({"ArticleNumber": "1", "SalesPrice": 99.5, "VAT": 0})

    assert listed.sales_price == single.sales_price == Decimal("99.5")
    assert Article.model_validate({"ArticleNumber": "1", "SalesPrice": None}).sales_price is None


def test_a_company_number_is_a_number_here_and_a_text_there() -> None:
    assert Company.model_validate({"DatabaseNumber": 1001}).database_number == 1001
    assert CompanySettings.model_validate({"DatabaseNumber": "1001", "BG": "123-4567"}).database_number == 1001


def test_a_financial_year_has_both_its_days() -> None:
    year = FinancialYear.model_validate({"Id": 1, "FromDate": "2026-01-01", "ToDate": "2026-12-31"})

    assert (year.from_date, year.to_date, year.accounting_method) == (date(2026, 1, 1), date(2026, 12, 31), "")
    with pytest.raises(ValidationError):
        FinancialYear.model_validate({"Id": 1, "FromDate": "2026-01-01", "ToDate": ""})


def test_a_price_keeps_its_stamp_as_sent() -> None:
    body = {"ArticleNumber": "A", "PriceList": "A", "FromQuantity": 0, "Price": 1000, "Date": "2026-03-02"}

    assert Price.model_validate(body).date == "2026-03-02"
