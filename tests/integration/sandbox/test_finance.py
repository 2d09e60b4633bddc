"""/3/noxfinansinvoices: a hand-over that ripens, its preconditions, and what can be done afterwards."""

from typing import Any

import pytest

from tests.sandboxes import Reply, Sandbox

HAND_OVER = {"InvoiceNumber": "1", "SendMethod": "EMAIL", "Service": "LEDGERBASE"}


async def booked_invoice(sandbox: Sandbox, **fields: Any) -> None:
    body = {"CustomerNumber": "1", "InvoiceRows": [{"ArticleNumber": "A1", "DeliveredQuantity": "1"}], **fields}
    made = await sandbox.call("POST", "invoices", {"Invoice": body})
    assert made.status == 201, made
    await sandbox.put("invoices/1/bookkeep")


async def hand_over(sandbox: Sandbox, **fields: Any) -> Reply:
    return await sandbox.call("POST", "noxfinansinvoices", {"NoxFinansInvoice": {**HAND_OVER, **fields}})


async def test_a_hand_over_is_unknown_at_first_and_marks_the_invoice(sandbox: Sandbox) -> None:
    await sandbox.company()
    await booked_invoice(sandbox)
    reply = await hand_over(sandbox)
    assert reply.status == 201
    made = reply.document["NoxFinansInvoice"]
    assert (made["InvoiceNumber"], made["Status"], made["OCRNumber"]) == (1, "UNKNOWN", "")
    assert (made["Service"], made["ServiceName"]) == ("LEDGERBASE", "SERVICE_FULL")
    assert "InvoiceDocumentURL" not in made
    assert (await sandbox.get("invoices/1"))["Invoice"]["NoxFinans"] is True


async def test_it_ripens_to_open_with_a_new_ocr_after_a_virtual_delay(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PUT", "clock", {"set": "2026-05-01T10:00:00", "frozen": True})
    await booked_invoice(sandbox)
    await hand_over(sandbox)
    old = (await sandbox.get("invoices/1"))["Invoice"]["OCR"]
    await sandbox.control("PUT", "clock", {"move": 59})
    assert (await sandbox.get("noxfinansinvoices/1"))["NoxFinansInvoice"]["Status"] == "UNKNOWN"
    await sandbox.control("PUT", "clock", {"move": 1})
    ripe = (await sandbox.get("noxfinansinvoices/1"))["NoxFinansInvoice"]
    assert ripe["Status"] == "OPEN"
    assert ripe["OCRNumber"] not in {"", old}
    assert ripe["InvoiceDocumentURL"]
    assert (await sandbox.get("invoices/1"))["Invoice"]["OCR"] == ripe["OCRNumber"]


async def test_an_invoice_shows_its_new_ocr_though_nobody_asked_the_finance_service(sandbox: Sandbox) -> None:
    await sandbox.company()
    await booked_invoice(sandbox)
    await hand_over(sandbox)
    old = (await sandbox.get("invoices/1"))["Invoice"]["OCR"]
    await sandbox.control("PUT", "clock", {"move": 61})
    assert (await sandbox.get("invoices"))["Invoices"][0]["OCR"] != old


@pytest.mark.parametrize(
    ("company", "fields", "words"),
    [
        ({"finance_service": None}, {}, "aktiverad"),
        ({"customers": [{"number": "1", "name": "Kund", "address1": "G 1", "zip_code": "111 11"}]}, {}, "ort"),
        ({}, {"Currency": "EUR"}, "SEK"),
        ({}, {"InvoiceRows": []}, "saldo"),
        ({}, {"InvoiceType": "INTRESTINVOICE"}, "Räntefakturor"),
    ],
)
async def test_a_precondition_that_is_not_met_refuses_in_words(
    sandbox: Sandbox, company: dict[str, Any], fields: dict[str, Any], words: str
) -> None:
    books = await sandbox.company(**company)
    await booked_invoice(sandbox, **fields)
    refused = await hand_over(sandbox)
    assert (refused.status, refused.document["ErrorInformation"]["code"]) == (400, 9000040)
    assert words in refused.document["ErrorInformation"]["message"]
    assert books.invoices[1].nox_finans is False


async def test_whether_booking_comes_first_is_a_switch(sandbox: Sandbox) -> None:
    await sandbox.company()
    body = {"CustomerNumber": "1", "InvoiceRows": [{"ArticleNumber": "A1", "DeliveredQuantity": "1"}]}
    await sandbox.call("POST", "invoices", {"Invoice": body})
    assert "bokförd" in (await hand_over(sandbox)).document["ErrorInformation"]["message"]
    await sandbox.control("PATCH", "behaviour", {"finance_needs_booking": False})
    assert (await hand_over(sandbox)).status == 201


async def test_an_invoice_older_than_two_years_is_refused(sandbox: Sandbox) -> None:
    await sandbox.company()
    await booked_invoice(sandbox)
    await sandbox.control("PUT", "clock", {"frozen": True, "move": 86400 * 731})
    assert "äldre" in (await hand_over(sandbox)).document["ErrorInformation"]["message"]


async def test_a_second_hand_over_and_an_unknown_invoice_are_refused(sandbox: Sandbox) -> None:
    await sandbox.company()
    await booked_invoice(sandbox)
    await hand_over(sandbox)
    assert (await hand_over(sandbox)).status == 400
    missing = await hand_over(sandbox, InvoiceNumber="9")
    assert (missing.status, missing.document["ErrorInformation"]["Code"]) == (404, 2000434)


async def test_all_three_fields_are_required(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.call("POST", "noxfinansinvoices", {"NoxFinansInvoice": {"InvoiceNumber": "1"}})
    assert (reply.status, reply.document["ErrorInformation"]["code"]) == (400, 2001392)


async def test_an_open_one_can_be_paused_for_sixty_days_at_most_and_unpaused(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PUT", "clock", {"set": "2026-05-01T10:00:00", "frozen": True})
    await booked_invoice(sandbox)
    await hand_over(sandbox)
    await sandbox.control("PUT", "clock", {"move": 60})
    for until, status in (("2026-07-01", 400), ("2026-06-30", 200)):
        body = {"NoxFinansInvoice": {"PausedUntilDate": until}}
        assert (await sandbox.call("PUT", "noxfinansinvoices/1/pause", body)).status == status
    assert (await sandbox.put("noxfinansinvoices/1/unpause"))["NoxFinansInvoice"]["Status"] == "OPEN"


async def test_payments_lower_the_balance_and_stop_and_fees_answer_the_hand_over(sandbox: Sandbox) -> None:
    await sandbox.company()
    await booked_invoice(sandbox)
    await hand_over(sandbox)
    payment = {
        "PaymentAmount": 25,
        "PaymentMethodCode": "BG",
        "PaymentMethodAccount": 1920,
        "ClientTakesFees": False,
        "BookkeepPaymentInFortnox": True,
        "ReportToFinance": True,
    }
    paid = await sandbox.put("noxfinansinvoices/1/report-payment", {"NoxFinansInvoice": payment})
    assert paid["NoxFinansInvoice"]["CurrentCapitalBalance"] == 100
    assert (await sandbox.get("invoices/1"))["Invoice"]["Balance"] == 100
    assert (await sandbox.put("noxfinansinvoices/1/take-fees"))["NoxFinansInvoice"]["InvoiceNumber"] == 1
    assert (await sandbox.put("noxfinansinvoices/1/stop"))["NoxFinansInvoice"]["Status"] == "STOPPED"
