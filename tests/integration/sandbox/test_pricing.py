"""Articles, price lists and prices are written, by the API and by a person; rows of documents never follow."""

from typing import Any

import pytest

from tests.sandboxes import TENANT, Sandbox


async def person(sandbox: Sandbox, **deed: Any) -> Any:
    return await sandbox.control("POST", f"companies/{TENANT}/person", deed)


async def test_a_price_list_is_made_and_changed(sandbox: Sandbox) -> None:
    await sandbox.company()
    made = await sandbox.call("POST", "pricelists", {"PriceList": {"Code": "B", "Description": "Brons"}})
    assert (made.status, made.document["PriceList"]["PreSelected"]) == (201, False)
    changed = await sandbox.put("pricelists/B", {"PriceList": {"Description": "Silver", "PreSelected": True}})
    assert (changed["PriceList"]["Description"], changed["PriceList"]["PreSelected"]) == ("Silver", True)
    lists = (await sandbox.get("pricelists"))["PriceLists"]
    assert [(item["Code"], item["PreSelected"]) for item in lists] == [("A", False), ("B", True)]


@pytest.mark.parametrize(
    ("body", "code"), [({"Code": "B"}, 2001392), ({"Code": "A", "Description": "Dubbel"}, 9000050)]
)
async def test_a_price_list_needs_a_description_and_a_code_of_its_own(
    sandbox: Sandbox, body: dict[str, str], code: int
) -> None:
    await sandbox.company()
    refused = await sandbox.call("POST", "pricelists", {"PriceList": body})
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PUT", "pricelists/X", {"PriceList": {"Description": "x"}}, 2000431),
        ("GET", "pricelists/X", None, 2000431),
        ("POST", "prices", {"Price": {"ArticleNumber": "A1", "PriceList": "X", "Price": 1}}, 2000431),
        ("POST", "prices", {"Price": {"ArticleNumber": "X", "PriceList": "A", "Price": 1}}, 2000428),
        ("PUT", "prices/A/A1/7", {"Price": {"Price": 1}}, 2000430),
        ("GET", "prices/B/A1", None, 2000430),
        ("PUT", "articles/X", {"Article": {"Description": "x"}}, 2000428),
        ("DELETE", "articles/X", None, 2000428),
    ],
)
async def test_what_is_not_there_is_refused_with_its_code(
    sandbox: Sandbox, method: str, path: str, body: Any, code: int
) -> None:
    await sandbox.company()
    refused = await sandbox.call(method, path, body)
    assert (refused.status, refused.document["ErrorInformation"]["Code"]) == (404, code)


async def test_a_new_article_has_a_base_price_in_the_default_list(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.call("POST", "pricelists", {"PriceList": {"Code": "B", "Description": "Ny", "PreSelected": True}})
    made = await sandbox.call("POST", "articles", {"Article": {"Description": "Ny", "VAT": 12, "SalesPrice": 7}})
    number = made.document["Article"]["ArticleNumber"]
    assert (made.status, number, made.document["Article"]["VAT"]) == (201, "1", 12)
    (base,) = (await sandbox.get(f"prices/sublist/B/{number}"))["Prices"]
    assert (base["FromQuantity"], base["Price"]) == (0, 0)
    await sandbox.put(f"prices/B/{number}", {"Price": {"Price": 55.5}})
    assert (await sandbox.get(f"articles/{number}"))["Article"]["SalesPrice"] == 55.5


async def test_an_article_is_changed_but_for_its_number_and_price(sandbox: Sandbox) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-03-01T12:00:00", "frozen": True})
    await sandbox.company()
    await sandbox.control("PUT", "clock", {"move": 60})
    assert (await sandbox.get("articles?lastmodified=2026-03-01 12:01"))["Articles"] == []
    whole = (await sandbox.get("articles/A1"))["Article"]
    changed = await sandbox.put("articles/A1", {"Article": {**whole, "Description": "Bättre", "SalesPrice": 1}})
    assert changed["Article"] == {**whole, "Description": "Bättre"}
    (found,) = (await sandbox.get("articles?lastmodified=2026-03-01 12:01"))["Articles"]
    assert found["ArticleNumber"] == "A1"


async def test_an_article_goes_with_its_prices_and_the_rows_that_have_it_stay(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    assert (await sandbox.call("DELETE", "articles/A1")).status == 204
    assert (await sandbox.get("prices"))["Prices"] == []
    assert (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"][0]["Price"] == 100


async def test_a_person_changes_a_price_and_makes_a_new_one(sandbox: Sandbox) -> None:
    await sandbox.company()
    await person(sandbox, action="set_price", article="A1", price="110.50")
    await person(sandbox, action="set_price", article="A1", from_quantity="10", price="90")
    steps = (await sandbox.get("prices/sublist/A/A1"))["Prices"]
    assert [(step["FromQuantity"], step["Price"]) for step in steps] == [(0, 110.5), (10, 90)]


async def test_a_person_edits_a_contract_and_its_row_ids_are_new(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    (row,) = (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"]
    rows = [{"RowId": row["RowId"], "Price": 95}, {"ArticleNumber": "A1", "DeliveredQuantity": "2"}]
    edited = await person(
        sandbox, action="edit_contract", contract=1, fields={"InvoiceRows": rows, "Comments": "rabatt"}
    )
    assert [(row["Price"], row["DeliveredQuantity"]) for row in edited["Contract"]["InvoiceRows"]] == [
        (95, "1"),
        (100, "2"),
    ]
    assert edited["Contract"]["InvoiceRows"][0]["RowId"] != row["RowId"]
    assert [(deed.action, deed.by) for deed in company.contracts[1].deeds] == [("update", "person")]


@pytest.mark.parametrize("document", ["contracts", "invoices"])
async def test_rows_that_are_not_mentioned_are_removed_and_a_row_id_alone_keeps_one(
    sandbox: Sandbox, document: str
) -> None:
    await sandbox.company()
    await sandbox.contract(
        vat_included=True, rows=[{"article_number": "A1", "quantity": quantity} for quantity in ("1", "2", "3")]
    )
    await sandbox.put("contracts/1/createinvoice")
    wrapper = document.removesuffix("s").capitalize()
    rows = (await sandbox.get(f"{document}/1"))[wrapper]["InvoiceRows"]
    sent = [{"RowId": rows[1]["RowId"]}, {"RowId": rows[2]["RowId"], "Price": 50}]
    changed = (await sandbox.put(f"{document}/1", {wrapper: {"InvoiceRows": sent}}))[wrapper]
    seen = [(row["DeliveredQuantity"], row["Price"], row["PriceExcludingVAT"]) for row in changed["InvoiceRows"]]
    assert seen == [("2", 100, 80), ("3", 50, 40)]
    assert (changed["Total"], changed["TotalVAT"], changed["Net"]) == (350, 70, 280)
    assert {row["RowId"] for row in rows}.isdisjoint(row["RowId"] for row in changed["InvoiceRows"])


@pytest.mark.parametrize(("switch", "rows"), [("refused", [100]), ("new", [70])])
async def test_a_row_id_of_before_is_refused_or_makes_a_new_row_by_switch(
    sandbox: Sandbox, switch: str, rows: list[int]
) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.control("PATCH", "behaviour", {"unknown_row": switch})
    (row,) = (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"]
    await person(sandbox, action="edit_contract", contract=1, fields={"Comments": "x"})
    sent = [{"RowId": row["RowId"], "ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 70}]
    reply = await sandbox.call("PUT", "contracts/1", {"Contract": {"InvoiceRows": sent}})
    if switch == "refused":
        assert (reply.status, reply.document["ErrorInformation"]["code"]) == (400, 2000729)
    assert [row["Price"] for row in (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"]] == rows
