"""/3/contracts: wire types, lists, updates, and what createinvoice does and does not."""

from datetime import date
from typing import Any

import pytest

from sandbox.periods import next_period
from tests.sandboxes import Sandbox


async def test_a_list_item_has_the_spelling_and_types_of_the_list(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(continuous=False, length=12, interval=3)
    (item,) = (await sandbox.get("contracts"))["Contracts"]
    assert item["Invoiceinterval"] == 3
    assert "InvoiceInterval" not in item
    assert item["DocumentNumber"] == "1"
    assert item["InvoicesRemaining"] == 4
    assert item["Status"] == "ACTIVE"
    assert item["Total"] == 125
    assert "InvoiceRows" not in item


async def test_the_single_contract_follows_the_edition(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    older = (await sandbox.get("contracts/1"))["Contract"]
    await sandbox.control("PATCH", "behaviour", {"edition": "newer"})
    newer = (await sandbox.get("contracts/1"))["Contract"]
    assert older["DocumentNumber"] == "1"
    assert newer["DocumentNumber"] == 1
    assert "VatIncluded" in older
    assert "VATIncluded" not in older
    assert "VATIncluded" in newer
    assert "VatIncluded" not in newer
    assert older["InvoicesRemaining"] == newer["InvoicesRemaining"] == "0"
    assert {"InvoiceInterval", "Invoiceinterval"} <= set((await sandbox.get("contracts"))["Contracts"][0])
    assert "Status" not in older


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("filter=active", [1, 10, 11]),
        ("filter=inactive", [2]),
        ("filter=finished", [3]),
        ("documentnumber=1", [1, 10, 11]),
        ("customernumber=1", [1, 2, 3, 10, 11]),
        ("customernumber=21", [10]),
        ("templatenumber=7", [11]),
        ("invoicesremaining=5", [11]),
        ("periodstart=2026-02-01", [10]),
        ("periodend=2026-01-31", [1, 2, 3, 11]),
        ("sortby=documentnumber&sortorder=descending&limit=2", [11, 10]),
        ("sortby=total&sortorder=descending&limit=1", [10]),
        ("limit=2&page=2", [3, 10]),
        ("limit=2&offset=3", [10, 11]),
    ],
)
async def test_lists_filter_sort_and_page(sandbox: Sandbox, query: str, numbers: list[int]) -> None:
    await sandbox.company(customers=[{"number": "1"}, {"number": "121"}])
    await sandbox.contract(number=1)
    await sandbox.contract(number=2, active=False)
    await sandbox.contract(number=3, finished=True)
    await sandbox.contract(
        number=10,
        customer_number="121",
        period_start="2026-02-01",
        period_end="2026-02-28",
        rows=[{"article_number": "A1", "quantity": 3}],
    )
    await sandbox.contract(number=11, template_number=7, continuous=False, invoices_remaining=5)
    found = await sandbox.get(f"contracts?{query}")
    assert [int(item["DocumentNumber"]) for item in found["Contracts"]] == numbers


async def test_no_hits_are_zero_pages_and_a_page_beyond_the_last_is_an_error(sandbox: Sandbox) -> None:
    await sandbox.company()
    empty = await sandbox.get("contracts?filter=finished")
    assert empty == {
        "MetaInformation": {"@TotalResources": 0, "@TotalPages": 0, "@CurrentPage": 1},
        "Contracts": [],
    }
    beyond = await sandbox.call("GET", "contracts?page=2")
    assert beyond.status == 400
    assert beyond.document["ErrorInformation"]["message"] == "Angiven sida hittades ej (24)."


async def test_a_page_holds_100_by_default_and_never_more_than_500(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    (contract,) = company.contracts.values()
    company.contracts = dict.fromkeys(range(1, 602), contract)
    assert len((await sandbox.get("contracts"))["Contracts"]) == 100
    most = await sandbox.get("contracts?limit=1000")
    assert len(most["Contracts"]) == 500
    assert most["MetaInformation"] == {"@TotalResources": 601, "@TotalPages": 2, "@CurrentPage": 1}


async def test_lastmodified_is_stockholm_time_and_createinvoice_counts_as_a_change(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PUT", "clock", {"set": "2026-07-01T12:00:00", "frozen": True})
    await sandbox.contract()
    assert len((await sandbox.get("contracts?lastmodified=2026-07-01 12:00:00"))["Contracts"]) == 1
    assert len((await sandbox.get("contracts?lastmodified=2026-07-01 12:01"))["Contracts"]) == 0
    await sandbox.control("PUT", "clock", {"move": 60})
    await sandbox.put("contracts/1/createinvoice")
    assert len((await sandbox.get("contracts?lastmodified=2026-07-01 12:01"))["Contracts"]) == 1


async def test_createinvoice_answers_the_contract_moved_on_by_one_period(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract(continuous=False, length=12)
    moved = (await sandbox.put("contracts/1/createinvoice?invoicedate=2026-01-05"))["Contract"]
    assert (moved["PeriodStart"], moved["PeriodEnd"]) == ("2026-02-01", "2026-02-28")
    assert moved["LastInvoiceDate"] == "2026-01-05"
    assert moved["InvoicesRemaining"] == "11"
    assert company.invoices[1].created_by == "api"


async def test_createinvoice_can_answer_the_invoice_instead(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.control("PATCH", "behaviour", {"create_answer": "Invoice"})
    answered = await sandbox.put("contracts/1/createinvoice")
    assert answered == await sandbox.get("invoices/1")


async def test_the_invoice_of_a_contract_has_its_old_period_rows_and_references(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(
        your_reference="Anna",
        our_reference="Bo",
        remarks="Tack",
        external_reference1="X1",
        email={"to": "ap@kund.example"},
    )
    await sandbox.put("contracts/1/createinvoice?invoicedate=2026-01-10")
    invoice = (await sandbox.get("invoices/1"))["Invoice"]
    assert invoice["InvoiceType"] == "AGREEMENTINVOICE"
    assert invoice["ContractReference"] == 1
    assert (invoice["InvoicePeriodStart"], invoice["InvoicePeriodEnd"]) == ("2026-01-01", "2026-01-31")
    assert (invoice["InvoiceDate"], invoice["DueDate"]) == ("2026-01-10", "2026-02-09")
    assert (invoice["Booked"], invoice["Sent"], invoice["Cancelled"], invoice["NoxFinans"]) == (False,) * 4
    assert (invoice["YourReference"], invoice["OurReference"], invoice["Remarks"]) == ("Anna", "Bo", "Tack")
    assert invoice["ExternalInvoiceReference1"] == "X1"
    assert invoice["EmailInformation"]["EmailAddressTo"] == "ap@kund.example"
    assert [(row["ArticleNumber"], row["Price"], row["DeliveredQuantity"]) for row in invoice["InvoiceRows"]] == [
        ("A1", 100, "1")
    ]
    assert (invoice["Net"], invoice["TotalVAT"], invoice["Total"], invoice["Balance"]) == (100, 25, 125, 125)
    assert invoice["OutboundDate"] == "2026-01-10"


async def test_an_invoice_keeps_its_rows_when_its_contract_is_changed(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.put("contracts/1/createinvoice")
    before = (await sandbox.get("invoices/1"))["Invoice"]
    (row,) = (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"]
    assert row["RowId"] != before["InvoiceRows"][0]["RowId"]
    await sandbox.put("contracts/1", {"Contract": {"Comments": "x"}})
    await sandbox.put("contracts/1", {"Contract": {"InvoiceRows": [{"Price": 200}]}})
    assert (await sandbox.get("invoices/1"))["Invoice"] == before


async def test_without_invoicedate_the_invoice_is_dated_today_in_stockholm(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.control("PUT", "clock", {"set": "2026-07-31T22:30:00+00:00", "frozen": True})
    await sandbox.put("contracts/1/createinvoice")
    assert (await sandbox.get("invoices/1"))["Invoice"]["InvoiceDate"] == "2026-08-01"


async def test_asked_twice_it_makes_two_invoices(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    await sandbox.put("contracts/1/createinvoice")
    await sandbox.put("contracts/1/createinvoice")
    assert [invoice.period_start for invoice in company.invoices.values()] == [date(2026, 1, 1), date(2026, 2, 1)]


async def test_a_period_that_does_not_move_gives_the_same_period_twice(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    await sandbox.control("PATCH", "behaviour", {"period_moves": False})
    await sandbox.put("contracts/1/createinvoice")
    await sandbox.put("contracts/1/createinvoice")
    assert [invoice.period_start for invoice in company.invoices.values()] == [date(2026, 1, 1)] * 2


async def test_the_last_invoice_of_a_fixed_length_finishes_the_contract(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(continuous=False, invoices_remaining=1)
    await sandbox.put("contracts/1/createinvoice")
    (item,) = (await sandbox.get("contracts"))["Contracts"]
    assert (item["Status"], item["InvoicesRemaining"]) == ("FINISHED", 0)
    refused = await sandbox.call("PUT", "contracts/1/createinvoice")
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, 9000001)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"active": False}, 9000002),
        ({"rows": []}, 9000003),
        ({"period_end": None}, 9000003),
    ],
)
async def test_createinvoice_refuses_inactive_and_incomplete_contracts(
    sandbox: Sandbox, document: dict[str, Any], code: int
) -> None:
    company = await sandbox.company()
    await sandbox.contract(**document)
    refused = await sandbox.call("PUT", "contracts/1/createinvoice")
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, code)
    assert not company.invoices


async def test_a_contract_without_rows_or_period_is_listed_all_the_same(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(rows=[], period_start=None, period_end=None)
    (item,) = (await sandbox.get("contracts"))["Contracts"]
    assert (item["PeriodStart"], item["PeriodEnd"], item["Total"]) == ("", "", 0)


def test_a_month_end_stays_a_month_end() -> None:
    period = (date(2026, 1, 1), date(2026, 1, 31))
    ends = []
    for _ in range(4):
        period = next_period(*period, 1, drift=False)
        ends.append(period[1])
        assert period[0].day == 1
    assert ends == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]


def test_naive_month_arithmetic_drifts_where_that_is_switched_on() -> None:
    period = (date(2026, 1, 1), date(2026, 1, 31))
    for _ in range(2):
        period = next_period(*period, 1, drift=True)
    assert period[1] == date(2026, 3, 28)


@pytest.mark.parametrize(
    ("start", "end", "months", "later"),
    [
        (date(2026, 1, 15), date(2026, 2, 14), 1, (date(2026, 2, 15), date(2026, 3, 14))),
        (date(2025, 12, 1), date(2026, 2, 28), 3, (date(2026, 3, 1), date(2026, 5, 31))),
        (date(2027, 3, 1), date(2028, 2, 29), 12, (date(2028, 3, 1), date(2029, 2, 28))),
        (date(2026, 1, 1), date(2026, 1, 31), 3, (date(2026, 4, 1), date(2026, 4, 30))),
    ],
)
def test_both_ends_of_a_period_move_by_the_interval(
    start: date, end: date, months: int, later: tuple[date, date]
) -> None:
    assert next_period(start, end, months, drift=False) == later


async def test_increaseinvoicecount_skips_a_period_or_adds_an_invoice(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract(continuous=False, invoices_remaining=2)
    skipped = (await sandbox.put("contracts/1/increaseinvoicecount"))["Contract"]
    assert (skipped["InvoicesRemaining"], skipped["PeriodStart"]) == ("1", "2026-02-01")
    await sandbox.control("PATCH", "behaviour", {"increase_count": "b"})
    added = (await sandbox.put("contracts/1/increaseinvoicecount"))["Contract"]
    assert (added["InvoicesRemaining"], added["PeriodStart"]) == ("2", "2026-02-01")
    assert not company.invoices


async def test_finish_makes_the_contract_finished(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    assert (await sandbox.put("contracts/1/finish"))["Contract"]["Active"] is False
    assert (await sandbox.get("contracts?filter=finished"))["Contracts"][0]["Status"] == "FINISHED"


async def test_what_a_continuous_contract_has_remaining_is_a_switch(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    for switch, shown in (("zero", "0"), ("empty", ""), ("null", None)):
        await sandbox.control("PATCH", "behaviour", {"continuous_remaining": switch})
        assert (await sandbox.get("contracts/1"))["Contract"]["InvoicesRemaining"] == shown


async def test_a_contract_is_created_from_customer_rows_and_period(sandbox: Sandbox) -> None:
    await sandbox.company()
    body = {
        "Contract": {
            "CustomerNumber": "1",
            "PeriodStart": "2026-03-01",
            "PeriodEnd": "2026-03-31",
            "InvoiceRows": [{"ArticleNumber": "A1", "DeliveredQuantity": "2"}],
        }
    }
    reply = await sandbox.call("POST", "contracts", body)
    assert reply.status == 201
    contract = reply.document["Contract"]
    assert contract["DocumentNumber"] == "1"
    assert (contract["InvoiceRows"][0]["Price"], contract["Total"]) == (100, 250)
    assert contract["EmailInformation"]["EmailAddressTo"] == "faktura@akesbygg.example"
    del body["Contract"]["PeriodEnd"]
    assert (await sandbox.call("POST", "contracts", body)).document["ErrorInformation"]["code"] == 2001392


async def test_a_partial_update_leaves_the_rows_but_gives_them_new_ids(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    before = (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"]
    after = (await sandbox.put("contracts/1", {"Contract": {"Comments": "hej"}}))["Contract"]
    assert after["Comments"] == "hej"
    assert _without_ids(after["InvoiceRows"]) == _without_ids(before)
    assert {row["RowId"] for row in after["InvoiceRows"]}.isdisjoint(row["RowId"] for row in before)


async def test_rows_not_mentioned_by_id_are_removed_and_rows_without_id_are_new(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(rows=[{"article_number": "A1", "quantity": quantity} for quantity in (1, 2, 3)])
    first, second, _ = (await sandbox.get("contracts/1"))["Contract"]["InvoiceRows"]
    rows = [
        {"RowId": first["RowId"]},
        {"RowId": second["RowId"], "Price": 150.125},
        {"ArticleNumber": "A1", "DeliveredQuantity": "9"},
    ]
    after = (await sandbox.put("contracts/1", {"Contract": {"InvoiceRows": rows}}))["Contract"]["InvoiceRows"]
    assert [(row["DeliveredQuantity"], row["Price"]) for row in after] == [("1", 100), ("2", 150.13), ("9", 100)]


async def test_without_any_row_id_rows_are_matched_by_position(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(rows=[{"article_number": "A1", "quantity": 1, "description": "Ett"}, {"quantity": 2}])
    after = (await sandbox.put("contracts/1", {"Contract": {"InvoiceRows": [{"Price": 7}]}}))["Contract"]
    assert [(row["Description"], row["Price"]) for row in after["InvoiceRows"]] == [("Ett", 7)]


async def test_what_was_read_can_be_sent_back_whole(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    for edition in ("older", "newer"):
        await sandbox.control("PATCH", "behaviour", {"edition": edition})
        before = await sandbox.get("contracts/1")
        after = await sandbox.put("contracts/1", before)
        before["Contract"]["InvoiceRows"] = _without_ids(before["Contract"]["InvoiceRows"])
        after["Contract"]["InvoiceRows"] = _without_ids(after["Contract"]["InvoiceRows"])
        assert after == before


async def test_api_blank_clears_a_field(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract(remarks="Tack")
    assert (await sandbox.put("contracts/1", {"Contract": {"Remarks": "API_BLANK"}}))["Contract"]["Remarks"] == ""


async def test_templates_and_accruals_can_be_read(sandbox: Sandbox) -> None:
    await sandbox.company(
        templates=[{"number": 3, "name": "Service", "rows": [{"article_number": "A1", "quantity": 1}]}]
    )
    await sandbox.contract(accrual=True, interval=3)
    await sandbox.contract()
    (template,) = (await sandbox.get("contracttemplates"))["ContractTemplates"]
    assert (template["ContractTemplate"], template["ContractTemplateName"]) == (3, "Service")
    assert (await sandbox.get("contracttemplates/3"))["ContractTemplate"]["InvoiceRows"][0]["ArticleNumber"] == "A1"
    assert [item["DocumentNumber"] for item in (await sandbox.get("contractaccruals"))["ContractAccruals"]] == [1]
    assert (await sandbox.get("contractaccruals/1"))["ContractAccrual"]["Times"] == 3
    assert (await sandbox.call("GET", "contractaccruals/2")).status == 404


def _without_ids(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "RowId"} for row in rows]
