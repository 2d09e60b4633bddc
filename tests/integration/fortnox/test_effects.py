"""A call with an effect leaves once, whatever happens to its answer, and says whether Fortnox may have acted."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from common.fortnox import errors
from common.fortnox.answers import Reply
from common.fortnox.client import Fortnox
from common.fortnox.models import Contract, Invoice, Row
from common.fortnox.requests import Permit
from common.ids import ContractNumber, InvoiceNumber
from tests.integration.fortnox.conftest import TENANT, Opener
from tests.integration.fortnox.wire import Wire, closed_port, cuts, hangs, refuses, says

INVOICE = {"Invoice": {"DocumentNumber": "7", "Booked": True, "Sent": True}}
FINANCE = {"NoxFinansInvoice": {"InvoiceNumber": 7, "Status": "UNKNOWN"}}

Effect = Callable[[Fortnox, Permit], Awaitable[Reply[Any]]]

EFFECTS: dict[str, tuple[str, str, Effect]] = {
    "createinvoice": (
        "PUT",
        "/3/contracts/12/createinvoice",
        lambda fortnox, permit: fortnox.create_invoice(permit, ContractNumber(12), invoice_date=date(2026, 4, 1)),
    ),
    "bookkeep": ("PUT", "/3/invoices/7/bookkeep", lambda fortnox, permit: fortnox.bookkeep(permit, InvoiceNumber(7))),
    "email": ("GET", "/3/invoices/7/email", lambda fortnox, permit: fortnox.email(permit, InvoiceNumber(7))),
    "einvoice": ("GET", "/3/invoices/7/einvoice", lambda fortnox, permit: fortnox.einvoice(permit, InvoiceNumber(7))),
    "eprint": ("GET", "/3/invoices/7/eprint", lambda fortnox, permit: fortnox.print_and_post(permit, InvoiceNumber(7))),
    "noxfinans": (
        "POST",
        "/3/noxfinansinvoices",
        lambda fortnox, permit: fortnox.hand_over(permit, InvoiceNumber(7), send_method="EMAIL"),
    ),
}
ROW = Row.model_validate({"RowId": 5, "ArticleNumber": "A1", "DeliveredQuantity": "2", "Price": "99.50"})
EFFECTS |= {
    "contract_rows": (
        "PUT",
        "/3/contracts/12",
        lambda fortnox, permit: fortnox.put_contract_rows(permit, ContractNumber(12), [ROW]),
    ),
    "invoice_rows": (
        "PUT",
        "/3/invoices/7",
        lambda fortnox, permit: fortnox.put_invoice_rows(permit, InvoiceNumber(7), [ROW]),
    ),
}
every_effect = pytest.mark.parametrize(("method", "path", "effect"), EFFECTS.values(), ids=EFFECTS.keys())


async def call(fortnox: Fortnox, effect: Effect) -> Reply[Any]:
    return await effect(fortnox, await fortnox.permit(TENANT))


async def warm_up(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", "/3/invoices/1", says({"Invoice": {"DocumentNumber": "1"}}))
    await fortnox.invoice(TENANT, InvoiceNumber(1))


@every_effect
@pytest.mark.parametrize("connection", ["fresh", "warm"])
async def test_an_effect_whose_answer_is_cut_off_is_sent_once(
    fortnox: Fortnox, wire: Wire, method: str, path: str, effect: Effect, connection: str
) -> None:
    if connection == "warm":
        await warm_up(fortnox, wire)
    wire.on(method, path, cuts())

    with pytest.raises(errors.Broken):
        await call(fortnox, effect)

    assert wire.got(method, path) == 1


@every_effect
@pytest.mark.parametrize("fault", [500, 502, 503, 429, 401, 307, 308])
async def test_an_effect_that_is_answered_with_a_fault_is_sent_once(
    fortnox: Fortnox, wire: Wire, method: str, path: str, effect: Effect, fault: int
) -> None:
    wire.on(method, path, says({}, fault, {"Location": "/elsewhere", "Retry-After": "1"}))

    with pytest.raises(errors.FortnoxError):
        await call(fortnox, effect)

    assert len(wire.requests) == 1


@every_effect
async def test_an_effect_that_is_not_answered_in_time_is_in_doubt_and_sent_once(
    opened: Opener, wire: Wire, method: str, path: str, effect: Effect
) -> None:
    released = asyncio.Event()
    wire.on(method, path, hangs(released))
    fortnox = await opened(call_timeout=0.3)

    with pytest.raises(errors.TimedOut):
        await call(fortnox, effect)

    released.set()
    assert wire.got(method, path) == 1


@every_effect
async def test_an_effect_answered_yes_with_garbage_is_in_doubt(
    fortnox: Fortnox, wire: Wire, method: str, path: str, effect: Effect
) -> None:
    wire.on(method, path, says(b"<html>ok</html>", headers={"X-Uid": "abc"}))

    with pytest.raises(errors.Unreadable) as unreadable:
        await call(fortnox, effect)

    assert (unreadable.value.http_status, unreadable.value.x_uid) == (200, "abc")


@pytest.mark.parametrize("body", [{}, [], {"Contract": {}}, {"Contract": {"DocumentNumber": "x"}}, {"Contract": None}])
async def test_a_created_invoice_whose_answer_lacks_the_document_is_in_doubt(
    fortnox: Fortnox, wire: Wire, body: object
) -> None:
    wire.on("PUT", "/3/contracts/12/createinvoice", says(body))

    with pytest.raises(errors.Unreadable):
        await call(fortnox, EFFECTS["createinvoice"][2])


async def test_a_name_that_does_not_exist_is_surely_not_sent(opened: Opener, wire: Wire) -> None:
    fortnox = await opened(fortnox_api_url="http://fortnox.invalid", fortnox_auth_url=f"{wire.url}/oauth-v1")

    with pytest.raises(errors.Unreachable):
        await call(fortnox, EFFECTS["email"][2])


async def test_a_refused_connection_is_surely_not_sent(opened: Opener, wire: Wire) -> None:
    fortnox = await opened(fortnox_api_url=f"http://127.0.0.1:{closed_port()}", fortnox_auth_url=f"{wire.url}/oauth-v1")

    with pytest.raises(errors.Unreachable):
        await call(fortnox, EFFECTS["createinvoice"][2])


async def test_a_failed_tls_handshake_is_surely_not_sent(opened: Opener, wire: Wire) -> None:
    fortnox = await opened(fortnox_api_url=wire.url.replace("http:", "https:"), fortnox_auth_url=f"{wire.url}/oauth-v1")

    with pytest.raises(errors.Unreachable):
        await call(fortnox, EFFECTS["createinvoice"][2])


async def test_a_connection_that_is_not_made_in_time_is_surely_not_sent(opened: Opener, wire: Wire) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        fortnox = await opened(
            fortnox_api_url=f"https://127.0.0.1:{silent.getsockname()[1]}",
            fortnox_auth_url=f"{wire.url}/oauth-v1",
            call_timeout=0.3,
        )

        with pytest.raises(errors.Unreachable):
            await call(fortnox, EFFECTS["createinvoice"][2])


async def test_a_cut_in_the_middle_of_a_yes_is_in_doubt(fortnox: Fortnox, wire: Wire) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\nX-Uid: u1\r\n\r\n{"
    wire.on("PUT", "/3/invoices/7/bookkeep", cuts(after=head))

    with pytest.raises(errors.Broken) as broken:
        await call(fortnox, EFFECTS["bookkeep"][2])

    assert (broken.value.http_status, broken.value.x_uid) == (200, "u1")


async def test_a_cut_in_the_middle_of_a_400_is_in_doubt(fortnox: Fortnox, wire: Wire) -> None:
    head = b'HTTP/1.1 400 Bad\r\nContent-Length: 500\r\n\r\n{"ErrorInformation":{"code":2000401}'
    wire.on("PUT", "/3/invoices/7/bookkeep", cuts(after=head))

    with pytest.raises(errors.Broken):
        await call(fortnox, EFFECTS["bookkeep"][2])


async def test_a_403_stands_even_when_its_body_is_cut_off(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("PUT", "/3/invoices/7/bookkeep", cuts(after=b"HTTP/1.1 403 No\r\nContent-Length: 500\r\n\r\n{"))

    with pytest.raises(errors.Forbidden):
        await call(fortnox, EFFECTS["bookkeep"][2])


async def test_a_refusal_carries_fortnox_code_words_and_x_uid(fortnox: Fortnox, wire: Wire) -> None:
    body = {"ErrorInformation": {"error": 1, "message": "har låst perioden", "code": "2000401"}}
    wire.on("PUT", "/3/invoices/7/bookkeep", says(body, 400, {"X-Uid": "42-a"}))

    with pytest.raises(errors.Invalid) as invalid:
        await call(fortnox, EFFECTS["bookkeep"][2])

    refused = invalid.value
    assert (refused.http_status, refused.code, refused.message, refused.x_uid) == (
        400,
        2000401,
        "har låst perioden",
        "42-a",
    )
    assert "PUT /3/invoices/7/bookkeep of tenant 1001 was refused" in str(refused)


async def test_fortnox_system_exception_is_in_doubt_although_it_is_a_400(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("PUT", "/3/invoices/7/bookkeep", refuses(1000003, "System exception"))

    with pytest.raises(errors.Faulty):
        await call(fortnox, EFFECTS["bookkeep"][2])


async def test_createinvoice_asks_for_the_invoice_date_and_sends_no_body(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("PUT", "/3/contracts/12/createinvoice", says({"Contract": {"DocumentNumber": 12}}))

    await call(fortnox, EFFECTS["createinvoice"][2])

    (request,) = wire.requests
    assert request.query_string == "invoicedate=2026-04-01"
    assert await request.read() == b""
    assert "Content-Type" not in request.headers
    assert request.headers["Authorization"] == "Bearer token-1"


async def test_createinvoice_may_answer_with_the_contract(fortnox: Fortnox, wire: Wire) -> None:
    contract = {"DocumentNumber": 12, "PeriodStart": "2026-05-01", "PeriodEnd": "2026-05-31"}
    wire.on("PUT", "/3/contracts/12/createinvoice", says({"Contract": contract}, headers={"X-Uid": "u"}))

    reply = await call(fortnox, EFFECTS["createinvoice"][2])

    assert isinstance(reply.value, Contract)
    assert (reply.value.document_number, reply.value.period_start, reply.x_uid) == (12, date(2026, 5, 1), "u")


async def test_createinvoice_may_answer_with_the_invoice(fortnox: Fortnox, wire: Wire) -> None:
    wire.on(
        "PUT", "/3/contracts/12/createinvoice", says({"Invoice": {"DocumentNumber": "7", "ContractReference": "12"}})
    )

    reply = await call(fortnox, EFFECTS["createinvoice"][2])

    assert isinstance(reply.value, Invoice)
    assert (reply.value.document_number, reply.value.contract_reference) == (7, 12)


async def test_a_hand_over_names_the_invoice_as_text_the_service_and_the_way(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("POST", "/3/noxfinansinvoices", says(FINANCE, 201))

    reply = await call(fortnox, EFFECTS["noxfinans"][2])

    assert await wire.requests[0].json() == {
        "NoxFinansInvoice": {"InvoiceNumber": "7", "SendMethod": "EMAIL", "Service": "LEDGERBASE"}
    }
    assert wire.requests[0].headers["Content-Type"] == "application/json"
    assert (reply.http_status, reply.value.status) == (201, "UNKNOWN")


@pytest.mark.parametrize(
    ("effect", "envelope", "answer"),
    [
        ("contract_rows", "Contract", {"Contract": {"DocumentNumber": 12, "InvoiceRows": [{"RowId": 9}]}}),
        ("invoice_rows", "Invoice", {"Invoice": {"DocumentNumber": "7", "InvoiceRows": [{"RowId": 9}]}}),
    ],
)
async def test_an_update_of_rows_sends_the_rows_alone_and_answers_with_their_new_ids(
    fortnox: Fortnox, wire: Wire, effect: str, envelope: str, answer: dict[str, Any]
) -> None:
    method, path, put = EFFECTS[effect]
    wire.on(method, path, says(answer))

    reply = await call(fortnox, put)

    sent = await wire.requests[0].json()
    rows = [{"RowId": 5, "ArticleNumber": "A1", "DeliveredQuantity": "2", "Price": 99.5}]
    assert sent == {envelope: {"InvoiceRows": rows}}
    assert [row.row_id for row in reply.value.invoice_rows] == [9]


async def test_rows_that_would_add_or_remove_some_spend_no_request(fortnox: Fortnox, wire: Wire) -> None:
    permit = await fortnox.permit(TENANT)

    with pytest.raises(ValueError, match="remove all rows"):
        await fortnox.put_contract_rows(permit, ContractNumber(12), [])

    assert (wire.requests, permit.spent) == ([], False)


async def test_bookkeep_and_email_answer_with_the_invoice(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("PUT", "/3/invoices/7/bookkeep", says(INVOICE))
    wire.on("GET", "/3/invoices/7/email", says(INVOICE))

    assert (await call(fortnox, EFFECTS["bookkeep"][2])).value.booked is True
    assert (await call(fortnox, EFFECTS["email"][2])).value.sent is True


async def test_a_permit_is_good_for_one_request(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("PUT", "/3/invoices/7/bookkeep", says(INVOICE))
    permit = await fortnox.permit(TENANT)
    await fortnox.bookkeep(permit, InvoiceNumber(7))

    with pytest.raises(RuntimeError, match="one request"):
        await fortnox.bookkeep(permit, InvoiceNumber(7))

    assert len(wire.requests) == 1


async def test_no_cookie_travels_from_one_answer_to_the_next_request(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("PUT", "/3/invoices/7/bookkeep", says(INVOICE, headers={"Set-Cookie": "node=a"}))

    await call(fortnox, EFFECTS["bookkeep"][2])
    await call(fortnox, EFFECTS["bookkeep"][2])

    assert "Cookie" not in wire.requests[1].headers
