"""Customers, articles, price lists, prices, and the company's own facts."""

from tests.sandboxes import TENANT, Sandbox


async def test_sales_price_is_a_string_in_the_list_a_number_in_the_article_and_null_without_a_price(
    sandbox: Sandbox,
) -> None:
    await sandbox.company(articles=[{"number": "1", "price": "99.50"}, {"number": "2"}])
    listed = (await sandbox.get("articles"))["Articles"]
    assert [item["SalesPrice"] for item in listed] == ["99.5", None]
    assert listed[0]["DisposableQuantity"] == "0"
    assert (await sandbox.get("articles/1"))["Article"]["SalesPrice"] == 99.5
    assert (await sandbox.get("articles/2"))["Article"]["SalesPrice"] is None


async def test_article_and_customer_filters_match_parts(sandbox: Sandbox) -> None:
    await sandbox.company(
        articles=[{"number": number} for number in ("A100", "A1001", "1A100", "B1")],
        customers=[{"number": "1", "name": "Anna"}, {"number": "10", "name": "Bo", "active": False}],
    )
    articles = (await sandbox.get("articles?articlenumber=a100"))["Articles"]
    assert {item["ArticleNumber"] for item in articles} == {"A100", "A1001", "1A100"}
    customers = (await sandbox.get("customers?customernumber=1"))["Customers"]
    assert [item["CustomerNumber"] for item in customers] == ["1", "10"]
    assert [c["Name"] for c in (await sandbox.get("customers?filter=inactive"))["Customers"]] == ["Bo"]
    assert (await sandbox.call("GET", "customers?filter=late")).document["ErrorInformation"]["code"] == 2000587


async def test_a_customer_card_says_how_it_wants_its_invoices(sandbox: Sandbox) -> None:
    await sandbox.company()
    card = (await sandbox.get("customers/1"))["Customer"]
    assert card["DefaultDeliveryTypes"]["Invoice"] == "EMAIL"
    assert (card["Name"], card["TermsOfPayment"], card["PriceList"]) == ("Åkes Bygg AB", "30", "A")


async def test_a_new_article_has_a_base_price_from_quantity_zero(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.call(
        "POST", "prices", {"Price": {"ArticleNumber": "A1", "PriceList": "A", "FromQuantity": 10, "Price": 90}}
    )
    steps = (await sandbox.get("prices/sublist/A/A1"))["Prices"]
    assert [(step["FromQuantity"], step["Price"]) for step in steps] == [(0, 100), (10, 90)]
    assert (await sandbox.get("prices/A/A1"))["Price"]["Price"] == 100
    assert (await sandbox.get("prices/A/A1/10"))["Price"]["Price"] == 90
    assert len((await sandbox.get("prices"))["Prices"]) == 2
    assert (await sandbox.call("DELETE", "prices/A/A1/10")).status == 204
    assert (await sandbox.call("GET", "prices/A/A1/10")).status == 404


async def test_price_changes_are_found_by_lastmodified_in_stockholm_time(sandbox: Sandbox) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-03-01T12:00:00", "frozen": True})
    await sandbox.company()
    await sandbox.control("PUT", "clock", {"move": 3600})
    assert (await sandbox.get("prices?lastmodified=2026-03-01 13:00:00"))["Prices"] == []
    await sandbox.put("prices/A/A1", {"Price": {"Price": 110}})
    (found,) = (await sandbox.get("prices?lastmodified=2026-03-01 13:00:00"))["Prices"]
    assert found["Price"] == 110
    assert (await sandbox.get("prices/A/A1/0"))["Price"]["Date"] == "2026-03-01"


async def test_a_price_change_leaves_contract_rows_as_they_are(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.put("prices/A/A1", {"Price": {"Price": 110}})
    assert (await sandbox.get("articles/A1"))["Article"]["SalesPrice"] == 110
    assert (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"][0]["Price"] == 100
    await sandbox.put("contracts/1", {"Contract": {"Comments": "x"}})
    assert (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"][0]["Price"] == 100


async def test_a_new_row_takes_its_price_from_the_contracts_own_price_list(sandbox: Sandbox) -> None:
    await sandbox.company(
        price_lists=[{"code": "B", "description": "Brons"}],
        prices=[{"price_list": "B", "article_number": "A1", "price": "80"}],
    )
    body = {
        "Contract": {
            "CustomerNumber": "1",
            "PriceList": "B",
            "PeriodEnd": "2026-01-31",
            "InvoiceRows": [{"ArticleNumber": "A1", "DeliveredQuantity": "1"}],
        }
    }
    assert (await sandbox.call("POST", "contracts", body)).document["Contract"]["InvoiceRows"][0]["Price"] == 80
    assert [item["Code"] for item in (await sandbox.get("pricelists"))["PriceLists"]] == ["A", "B"]
    assert (await sandbox.get("pricelists/A"))["PriceList"]["PreSelected"] is True


async def test_the_tenant_id_is_a_number_in_one_place_and_a_string_in_another(sandbox: Sandbox) -> None:
    await sandbox.company(name="Kalles Konsult AB")
    information = (await sandbox.get("companyinformation"))["CompanyInformation"]
    assert (information["DatabaseNumber"], information["CompanyName"]) == (TENANT, "Kalles Konsult AB")
    assert (await sandbox.get("settings/company"))["CompanySettings"]["DatabaseNumber"] == str(TENANT)


async def test_the_locked_period_has_a_date_or_none(sandbox: Sandbox) -> None:
    await sandbox.company()
    assert await sandbox.get("settings/lockedperiod") == {"LockedPeriod": {}}
    await sandbox.control("PATCH", "behaviour", {"unlocked": "null"})
    assert await sandbox.get("settings/lockedperiod") == {"LockedPeriod": {"EndDate": None}}
    await sandbox.control("PATCH", f"companies/{TENANT}", {"locked_until": "2024-09-30"})
    assert await sandbox.get("settings/lockedperiod") == {"LockedPeriod": {"EndDate": "2024-09-30"}}


async def test_financial_years_can_be_asked_for_by_date(sandbox: Sandbox) -> None:
    await sandbox.company(
        financial_years=[
            {"id": 1, "from_date": "2025-05-01", "to_date": "2026-04-30"},
            {"id": 2, "from_date": "2026-05-01", "to_date": "2027-04-30"},
        ]
    )
    assert [year["Id"] for year in (await sandbox.get("financialyears"))["FinancialYears"]] == [1, 2]
    (year,) = (await sandbox.get("financialyears?date=2026-05-01"))["FinancialYears"]
    assert (year["FromDate"], year["ToDate"]) == ("2026-05-01", "2027-04-30")
    assert (await sandbox.get("financialyears/1"))["FinancialYear"]["AccountingMethod"] == "ACCRUAL"
    assert (await sandbox.get("me"))["MeInformation"]["Locale"] == "sv_SE"
