"""/3/invoices: recorded wire types, filters that are kinder to nobody, updates, and every action."""

from typing import Any

import pytest

from tests.sandboxes import TENANT, Sandbox

TWO_CUSTOMERS = [
    {"number": "1", "name": "Åkes Bygg AB", "email": "a@akes.example"},
    {"number": "11", "name": "Berits Bageri", "email": "b@berits.example"},
]


async def invoice(sandbox: Sandbox, **fields: Any) -> dict[str, Any]:
    """One made through the API."""
    body = {"CustomerNumber": "1", "InvoiceRows": [{"ArticleNumber": "A1", "DeliveredQuantity": "1"}], **fields}
    reply = await sandbox.call("POST", "invoices", {"Invoice": body})
    assert reply.status == 201, reply
    made: dict[str, Any] = reply.document["Invoice"]
    return made


async def test_the_single_invoice_has_the_recorded_types(sandbox: Sandbox) -> None:
    await sandbox.company()
    made = await invoice(sandbox)
    for name in (
        "DocumentNumber",
        "TermsOfPayment",
        "Credit",
        "CreditInvoiceReference",
        "OfferReference",
        "OrderReference",
    ):
        assert isinstance(made[name], str), name
    assert (made["Credit"], made["CreditInvoiceReference"], made["InvoiceReference"]) == ("false", "0", "0")
    for name in (
        "Total",
        "TotalToPay",
        "TotalVAT",
        "Net",
        "Gross",
        "Balance",
        "RoundOff",
        "Freight",
        "CurrencyRate",
        "Reminders",
    ):
        assert type(made[name]) in (int, float), name
    for name in (
        "Booked",
        "Cancelled",
        "Sent",
        "NoxFinans",
        "NotCompleted",
        "HouseWork",
        "VATIncluded",
        "WarehouseReady",
    ):
        assert isinstance(made[name], bool), name
    for name in ("VoucherNumber", "VoucherSeries", "VoucherYear", "FinalPayDate", "LastRemindDate", "DeliveryDate"):
        assert made[name] is None, name
    assert (made["InvoicePeriodStart"], made["InvoicePeriodEnd"], made["PaymentWay"]) == ("", "", "")
    assert "InvoicePeriodReference" not in made
    assert made["EmailInformation"]["EmailAddressFrom"] is None
    assert made["EmailInformation"]["EmailSubject"] == "Faktura {no} bifogas"
    assert made["Labels"] == []
    row = made["InvoiceRows"][0]
    assert (row["DeliveredQuantity"], row["ContributionPercent"], row["VATCode"]) == ("1", "0", None)
    assert (row["Price"], row["VAT"], row["StockPointCode"], row["HouseWorkType"]) == (100, 25, None, None)


async def test_the_list_item_is_short_and_its_currency_rate_is_a_string(sandbox: Sandbox) -> None:
    await sandbox.company()
    await invoice(sandbox)
    (item,) = (await sandbox.get("invoices"))["Invoices"]
    assert set(item) == {
        "@url",
        "Balance",
        "Booked",
        "Cancelled",
        "CostCenter",
        "Currency",
        "CurrencyRate",
        "CurrencyUnit",
        "CustomerName",
        "CustomerNumber",
        "DocumentNumber",
        "DueDate",
        "ExternalInvoiceReference1",
        "ExternalInvoiceReference2",
        "InvoiceDate",
        "InvoiceType",
        "NoxFinans",
        "OCR",
        "VoucherNumber",
        "VoucherSeries",
        "VoucherYear",
        "WayOfDelivery",
        "TermsOfPayment",
        "Project",
        "Sent",
        "Total",
        "FinalPayDate",
    }
    assert item["CurrencyRate"] == "1"


async def test_the_contract_reference_is_a_number_or_a_string_by_switch(sandbox: Sandbox) -> None:
    await sandbox.company()
    assert (await invoice(sandbox))["ContractReference"] == 0
    await sandbox.control("PATCH", "behaviour", {"contract_reference": "string"})
    assert (await sandbox.get("invoices/1"))["Invoice"]["ContractReference"] == "0"


async def test_the_ocr_number_has_a_length_and_a_check_digit(sandbox: Sandbox) -> None:
    await sandbox.company(next_invoice=18)
    assert (await invoice(sandbox))["OCR"] == "1842"


async def test_prices_and_quantities_are_rounded_half_up_to_two_decimals(sandbox: Sandbox) -> None:
    await sandbox.company()
    rows = [{"ArticleNumber": "A1", "DeliveredQuantity": "1.125", "Price": 1.123}]
    row = (await invoice(sandbox, InvoiceRows=rows))["InvoiceRows"][0]
    assert (row["DeliveredQuantity"], row["Price"]) == ("1.13", 1.12)


async def test_totals_are_rounded_to_whole_kronor_where_the_company_says_so(sandbox: Sandbox) -> None:
    await sandbox.company()
    rows = [{"ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 99.5}]
    rounded = await invoice(sandbox, InvoiceRows=rows)
    assert (rounded["Net"], rounded["TotalVAT"], rounded["RoundOff"], rounded["Total"]) == (99.5, 24.88, -0.38, 124)
    half = [{"ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 99.6}]
    assert (await invoice(sandbox, InvoiceRows=half))["Total"] == 125
    await sandbox.control("PATCH", f"companies/{TENANT}", {"rounding": False})
    exact = await invoice(sandbox, InvoiceRows=rows)
    assert (exact["RoundOff"], exact["Total"]) == (0, 124.38)


async def test_vat_is_counted_for_each_rate_and_taken_out_where_prices_include_it(sandbox: Sandbox) -> None:
    await sandbox.company()
    rows = [
        {"ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 125, "VAT": 25},
        {"ArticleNumber": "A1", "DeliveredQuantity": "1", "Price": 112, "VAT": 12},
    ]
    made = await invoice(sandbox, InvoiceRows=rows, VATIncluded=True)
    assert (made["Net"], made["TotalVAT"], made["Total"]) == (200, 37, 237)
    assert made["InvoiceRows"][1]["PriceExcludingVAT"] == 100


async def test_a_discount_is_in_per_cent_or_in_kronor(sandbox: Sandbox) -> None:
    await sandbox.company()
    rows = [
        {"ArticleNumber": "A1", "DeliveredQuantity": "2", "Discount": 10, "DiscountType": "PERCENT"},
        {"ArticleNumber": "A1", "DeliveredQuantity": "2", "Discount": 10, "DiscountType": "AMOUNT"},
    ]
    assert [row["Total"] for row in (await invoice(sandbox, InvoiceRows=rows))["InvoiceRows"]] == [180, 190]


async def test_reverse_charge_customers_pay_no_vat(sandbox: Sandbox) -> None:
    await sandbox.company(customers=[{"number": "1", "name": "Bygg", "vat_type": "SEREVERSEDVAT"}])
    made = await invoice(sandbox)
    assert (made["TotalVAT"], made["Total"]) == (0, 100)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("customernumber=1", [1, 2, 3]),
        ("customernumber=11", [3]),
        ("customername=BYGG", [1, 2]),
        ("documentnumber=3", [3]),
        ("fromdate=2026-02-01", [2, 3]),
        ("todate=2026-02-01", [1, 2]),
        ("fromdate=2026-02-01&todate=2026-02-01", [2]),
        ("sent=true", [2]),
        ("sent=false", [1, 3]),
        ("filter=unbooked", [1, 3]),
        ("filter=unpaid", [2]),
        ("filter=unpaidoverdue", [2]),
        ("filter=fullypaid", []),
        ("filter=cancelled", []),
        ("invoicetype=INVOICE", [1, 2, 3]),
        ("invoicetype=AGREEMENTINVOICE", []),
        ("yourreference=ann", [3]),
        ("ocr=13", [1]),
        ("articlenumber=a1", [1, 2, 3]),
        ("articledescription=nope", []),
        ("accountnumberfrom=3001&accountnumberto=3001", [1, 2, 3]),
        ("accountnumberfrom=4000", []),
        ("credit=true", []),
        ("notcompleted=false", [1, 2, 3]),
        ("financialyeardate=2025-05-05", []),
        ("sortby=customername&sortorder=descending", [1, 2, 3]),
        ("sortby=invoicedate&sortorder=descending&limit=1", [3]),
        ("limit=1&page=3", [3]),
    ],
)
async def test_lists_filter_sort_and_page(sandbox: Sandbox, query: str, numbers: list[int]) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-06-01T09:00:00", "frozen": True})
    await sandbox.company(customers=TWO_CUSTOMERS)
    await invoice(sandbox, InvoiceDate="2026-01-01")
    await invoice(sandbox, InvoiceDate="2026-02-01")
    await invoice(sandbox, InvoiceDate="2026-03-01", CustomerNumber="11", YourReference="Anna")
    await sandbox.put("invoices/2/bookkeep")
    await sandbox.put("invoices/2/externalprint")
    found = await sandbox.get(f"invoices?{query}")
    listed = [int(item["DocumentNumber"]) for item in found["Invoices"]]
    assert listed == numbers if "sortby" in query else sorted(listed) == numbers


async def test_no_hits_are_zero_pages_and_beyond_the_last_page_is_an_error(sandbox: Sandbox) -> None:
    await sandbox.company()
    empty = await sandbox.get("invoices")
    assert empty["MetaInformation"] == {"@TotalResources": 0, "@TotalPages": 0, "@CurrentPage": 1}
    assert (await sandbox.call("GET", "invoices?page=2")).status == 400


async def test_an_update_is_partial_regenerates_row_ids_and_moves_the_due_date(sandbox: Sandbox) -> None:
    await sandbox.company()
    made = await invoice(sandbox, InvoiceDate="2026-01-01")
    changed = (await sandbox.put("invoices/1", {"Invoice": {"InvoiceDate": "2026-01-15"}}))["Invoice"]
    assert changed["DueDate"] == "2026-02-14"
    assert changed["InvoiceRows"][0]["RowId"] != made["InvoiceRows"][0]["RowId"]
    assert changed["Total"] == 125


async def test_rows_of_an_invoice_follow_the_row_id_rules(sandbox: Sandbox) -> None:
    await sandbox.company()
    two = [{"ArticleNumber": "A1", "DeliveredQuantity": quantity} for quantity in ("1", "2")]
    made = await invoice(sandbox, InvoiceRows=two)
    kept = [{"RowId": made["InvoiceRows"][1]["RowId"], "Price": 10}]
    changed = (await sandbox.put("invoices/1", {"Invoice": {"InvoiceRows": kept}}))["Invoice"]
    assert [(row["DeliveredQuantity"], row["Price"]) for row in changed["InvoiceRows"]] == [("2", 10)]
    assert changed["Total"] == 25


async def test_a_booked_invoice_cannot_be_changed(sandbox: Sandbox) -> None:
    await sandbox.company()
    await invoice(sandbox)
    await sandbox.put("invoices/1/bookkeep")
    refused = await sandbox.call("PUT", "invoices/1", {"Invoice": {"Comments": "x"}})
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, 9000011)


async def test_bookkeep_makes_a_voucher_once(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    made = await invoice(sandbox)
    booked = (await sandbox.put("invoices/1/bookkeep"))["Invoice"]
    assert (booked["Booked"], booked["VoucherSeries"], booked["VoucherNumber"]) == (True, "B", 1)
    assert company.year_of(company.invoices[1].invoice_date) is not None
    assert booked["VoucherYear"] == 2
    refused = await sandbox.call("PUT", "invoices/1/bookkeep")
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, 9000010)
    assert [voucher.amount for voucher in company.vouchers] == [made["Total"]]


async def test_a_locked_period_refuses_booking_with_its_date_in_the_message(sandbox: Sandbox) -> None:
    await sandbox.company(locked_until="2026-01-31")
    await invoice(sandbox, InvoiceDate="2026-01-31")
    await invoice(sandbox, InvoiceDate="2026-02-01")
    refused = await sandbox.call("PUT", "invoices/1/bookkeep")
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, 2000401)
    assert "har låst perioden t.o.m. 2026-01-31. Lås upp perioden" in refused.document["ErrorInformation"]["message"]
    await sandbox.put("invoices/2/bookkeep")


async def test_a_warehouse_invoice_must_be_marked_ready_before_booking(sandbox: Sandbox) -> None:
    await sandbox.company(warehouse=True)
    assert (await invoice(sandbox))["WarehouseReady"] is False
    refused = await sandbox.call("PUT", "invoices/1/bookkeep")
    assert refused.document["ErrorInformation"] == {
        "error": 1,
        "message": "Kunde inte bokföra fakturanummer 1. Faktura som bokförs måste var klarmarkerad.",
        "code": 2003498,
    }
    assert (await sandbox.put("invoices/1/warehouseready"))["Invoice"]["WarehouseReady"] is True
    await sandbox.put("invoices/1/bookkeep")


@pytest.mark.parametrize(
    ("company", "code"), [({"financial_years": []}, 9000012), ({"accounting_method": "CASH"}, 9000013)]
)
async def test_booking_is_refused_without_a_year_and_by_the_cash_method(
    sandbox: Sandbox, company: dict[str, Any], code: int
) -> None:
    await sandbox.company(**company)
    await invoice(sandbox)
    refused = await sandbox.call("PUT", "invoices/1/bookkeep")
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, code)


async def test_email_is_a_get_that_sends_each_time_it_is_called(sandbox: Sandbox) -> None:
    await sandbox.company()
    await invoice(sandbox)
    assert (await sandbox.get("invoices/1/email"))["Invoice"]["Sent"] is True
    await sandbox.get("invoices/1/email")
    outbox = (await sandbox.control("GET", f"outbox?tenant={TENANT}"))["outbox"]
    assert [(sent["kind"], sent["to"], sent["subject"], sent["by"]) for sent in outbox] == [
        ("email", "faktura@akesbygg.example", "Faktura 1 bifogas", "api")
    ] * 2


@pytest.mark.parametrize("action", ["email", "einvoice", "eprint"])
async def test_nothing_is_sent_without_bank_details(sandbox: Sandbox, action: str) -> None:
    company = await sandbox.company(bankgiro=None)
    await invoice(sandbox)
    refused = await sandbox.call("GET", f"invoices/1/{action}")
    assert (refused.status, refused.document["ErrorInformation"]["message"]) == (400, "Bankuppgifter saknas")
    assert not company.outbox
    assert company.invoices[1].sent is False


async def test_email_needs_a_recipient_einvoice_a_gln_and_eprint_an_address(sandbox: Sandbox) -> None:
    company = await sandbox.company(customers=[{"number": "1", "name": "Utan adress"}])
    await invoice(sandbox)
    for action, code in (("email", 9000020), ("einvoice", 9000022), ("eprint", 9000023)):
        refused = await sandbox.call("GET", f"invoices/1/{action}")
        assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, code)
    company.customers["1"].gln = "7300000000001"
    assert (await sandbox.get("invoices/1/einvoice"))["Invoice"]["Sent"] is True


@pytest.mark.parametrize(("action", "sent"), [("preview", False), ("print", True), ("printreminder", True)])
async def test_a_pdf_is_a_pdf_and_preview_does_not_mark_as_sent(sandbox: Sandbox, action: str, sent: bool) -> None:
    company = await sandbox.company()
    await invoice(sandbox)
    reply = await sandbox.call("GET", f"invoices/1/{action}", headers={"Accept": "application/pdf"})
    assert reply.headers["Content-Type"] == "application/pdf"
    assert reply.raw.startswith(b"%PDF-1.")
    assert reply.raw.rstrip().endswith(b"%%EOF")
    table = int(reply.raw.split(b"startxref\n")[1].split(b"\n")[0])
    assert reply.raw[table:].startswith(b"xref")
    assert company.invoices[1].sent is sent


async def test_externalprint_only_sets_sent(sandbox: Sandbox) -> None:
    await sandbox.company(bankgiro=None)
    made = await invoice(sandbox)
    printed = (await sandbox.put("invoices/1/externalprint"))["Invoice"]
    assert {name for name in made if made[name] != printed[name]} == {"Sent"}


async def test_cancel_leaves_nothing_owed_and_nothing_to_book(sandbox: Sandbox) -> None:
    await sandbox.company()
    await invoice(sandbox)
    cancelled = (await sandbox.put("invoices/1/cancel"))["Invoice"]
    assert (cancelled["Cancelled"], cancelled["Balance"]) == (True, 0)
    assert (await sandbox.call("PUT", "invoices/1/bookkeep")).document["ErrorInformation"]["code"] == 9000014


async def test_credit_answers_the_original_and_both_invoices_point_at_each_other(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.put("contracts/1/createinvoice")
    original = (await sandbox.put("invoices/1/credit"))["Invoice"]
    assert (original["DocumentNumber"], original["CreditInvoiceReference"], original["Credit"]) == ("1", "2", "false")
    made = (await sandbox.get("invoices/2"))["Invoice"]
    assert (made["CreditInvoiceReference"], made["Credit"], made["Total"]) == ("1", "true", -125)
    assert made["ContractReference"] == 1
    assert [item["DocumentNumber"] for item in (await sandbox.get("invoices?credit=true"))["Invoices"]] == ["2"]
    assert (await sandbox.call("PUT", "invoices/1/credit")).status == 400


async def test_a_booked_credit_invoice_settles_the_original(sandbox: Sandbox) -> None:
    await sandbox.company()
    await invoice(sandbox)
    await sandbox.put("invoices/1/bookkeep")
    await sandbox.put("invoices/1/credit")
    assert (await sandbox.get("invoices/1"))["Invoice"]["Balance"] == 125
    await sandbox.put("invoices/2/bookkeep")
    assert (await sandbox.get("invoices/1"))["Invoice"]["Balance"] == 0
