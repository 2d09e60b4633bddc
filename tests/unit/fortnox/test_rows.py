"""Rows are sent back whole and exactly, so that an update changes the price and nothing else."""

from decimal import Decimal
from typing import Any

import pytest

from common.fortnox.answers import read_json
from common.fortnox.models import Row
from common.fortnox.rows import sent_back

RECORDED = (
    b'{"AccountNumber":3001,"ArticleNumber":"101","ContributionPercent":"0","ContributionValue":"0","Cost":0,'
    b'"CostCenter":"","DeliveredQuantity":"1.13","Description":"Test","Discount":7.5,"DiscountType":"PERCENT",'
    b'"HouseWork":false,"HouseWorkHoursToReport":null,"HouseWorkType":null,"Price":1000.50,"PriceExcludingVAT":1000.50,'
    b'"Project":"","RowId":26,"StockPointCode":null,"Total":0,"TotalExcludingVAT":0,"Unit":"st","VAT":25,"VATCode":null}'
)


def row(**changes: Any) -> Row:
    return Row.model_validate({"RowId": 1, "ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 100, **changes})


def test_a_row_goes_back_as_it_was_recorded_without_what_is_unset_or_fortnox_own() -> None:
    (sent,) = sent_back([Row.model_validate(read_json(RECORDED))])

    assert sent == {
        "RowId": 26,
        "AccountNumber": 3001,
        "ArticleNumber": "101",
        "DeliveredQuantity": "1.13",
        "Description": "Test",
        "Discount": 7.5,
        "DiscountType": "PERCENT",
        "HouseWork": False,
        "Price": 1000.5,
        "Unit": "st",
        "VAT": 25,
    }


def test_what_is_set_on_housework_places_and_cost_bearers_goes_back() -> None:
    body = {
        "HouseWork": True,
        "HouseWorkHoursToReport": 3,
        "HouseWorkType": "CLEANING",
        "CostCenter": "SYD",
        "Project": "7",
        "StockPointCode": "LAGER",
        "VATCode": "MP1",
    }

    (sent,) = sent_back([row(**body)])

    assert body.items() <= sent.items()


@pytest.mark.parametrize(
    ("price", "sent"), [("1200", 1200), ("1200.00", 1200), ("0.1", 0.1), ("99999999.99", 99999999.99), ("0", 0)]
)
def test_a_price_is_sent_with_its_own_digits(price: str, sent: float) -> None:
    changed = row().model_copy(update={"price": Decimal(price)})

    assert sent_back([changed])[0]["Price"] == sent


def test_a_price_that_a_json_number_cannot_carry_is_not_sent() -> None:
    with pytest.raises(ValueError, match="more digits"):
        sent_back([row().model_copy(update={"price": Decimal("12345678901234567.89")})])


def test_an_update_that_would_remove_or_add_rows_is_not_sent() -> None:
    with pytest.raises(ValueError, match="remove all"):
        sent_back([])
    with pytest.raises(ValueError, match="RowId"):
        sent_back([row(), row(RowId=None)])
