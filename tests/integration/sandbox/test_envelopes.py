"""How errors and answers are wrapped: cases, codes, headers, bodies that cannot be read."""

from typing import Any

import pytest

from tests.sandboxes import TENANT, Sandbox

ROW = {"ArticleNumber": "A1", "DeliveredQuantity": "1"}


async def test_404_is_in_upper_case_and_400_in_lower(sandbox: Sandbox) -> None:
    await sandbox.company()
    missing = await sandbox.call("GET", "invoices/9")
    assert missing.status == 404
    assert missing.document == {
        "ErrorInformation": {"Error": 1, "Message": "Kan inte hitta fakturan.", "Code": 2000434}
    }
    invalid = await sandbox.call("GET", "invoices?filter=nonsense")
    assert invalid.status == 400
    assert invalid.document == {
        "ErrorInformation": {"error": 1, "message": "Ett ogiltigt filter har använts.", "code": 2000587}
    }


async def test_the_cases_can_be_flipped(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"flip_envelopes": True})
    assert "code" in (await sandbox.call("GET", "invoices/9")).document["ErrorInformation"]
    assert "Code" in (await sandbox.call("GET", "invoices?filter=nonsense")).document["ErrorInformation"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("customers/9", 2000433), ("articles/nope", 2000428), ("pricelists/Z", 2000431), ("prices/A/nope", 2000430)],
)
async def test_what_is_missing_has_its_recorded_code(sandbox: Sandbox, path: str, code: int) -> None:
    await sandbox.company()
    reply = await sandbox.call("GET", path)
    assert (reply.status, reply.document["ErrorInformation"]["Code"]) == (404, code)


async def test_an_unknown_contract_has_a_clearly_fake_code_that_can_be_changed(sandbox: Sandbox) -> None:
    await sandbox.company()
    assert (await sandbox.call("GET", "contracts/9")).document["ErrorInformation"]["Code"] == 9000404
    await sandbox.control("PATCH", "behaviour", {"placeholder_codes": {"contract_missing": 2000999}})
    assert (await sandbox.call("GET", "contracts/9")).document["ErrorInformation"]["Code"] == 2000999
    assert sandbox.world.behaviour.code("already_booked") == 9000010


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"Contract": {"Nonsense": 1}}, 2001399),
        ({"Contract": {"InvoiceInterval": "often"}}, 2000108),
        ({"Contract": {"Active": "perhaps"}}, 2000134),
        ({"Contract": {"Comments": ["a"]}}, 2000106),
        ({"Contract": {"Comments": "bell\a"}}, 2000359),
        ({"Invoice": {}}, 2001392),
        ({"Contract": {"InvoiceRows": [{"RowId": 999}]}}, 2000729),
        ({"Contract": {"InvoiceRows": [{**ROW, "ArticleNumber": "nope"}]}}, 2001302),
    ],
)
async def test_a_body_that_cannot_be_taken_has_the_official_code_and_changes_nothing(
    sandbox: Sandbox, body: Any, code: int
) -> None:
    await sandbox.company()
    await sandbox.contract()
    before = await sandbox.get("contracts/1")
    reply = await sandbox.call("PUT", "contracts/1", body)
    assert (reply.status, reply.document["ErrorInformation"]["code"]) == (400, code)
    assert await sandbox.get("contracts/1") == before


async def test_broken_json_is_2002115_and_another_content_type_1000031(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    headers = {"Authorization": f"Bearer {await sandbox.token()}"}
    for kind, code in (("application/json", 2002115), ("application/xml", 1000031)):
        sent = {**headers, "Content-Type": kind}
        async with sandbox.admin.put("/3/contracts/1", data=b'{"Contract": ', headers=sent) as response:
            assert (response.status, (await response.json())["ErrorInformation"]["code"]) == (400, code)


async def test_an_accept_that_cannot_be_met_is_1000030(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.call("GET", "contracts", headers={"Accept": "text/csv"})
    assert (reply.status, reply.document["ErrorInformation"]["code"]) == (400, 1000030)


async def test_a_wrong_verb_on_an_invoice_is_a_wrong_action(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.call("PUT", "invoices/1/email")
    assert reply.status == 400
    assert reply.document["ErrorInformation"]["message"] == "Felaktig action på faktura (PUT)."


async def test_contracts_cannot_be_deleted(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    assert (await sandbox.call("DELETE", "contracts/1")).status == 400
    assert 1 in company.contracts


async def test_parameter_names_are_lower_case_only(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    for path in ("contracts?Filter=active", "invoices?customerNumber=1"):
        reply = await sandbox.call("GET", path)
        assert (reply.status, reply.document["ErrorInformation"]["code"]) == (400, 2000588)
    reply = await sandbox.call("PUT", "contracts/1/createinvoice?invoiceDate=2026-01-01")
    assert reply.document["ErrorInformation"]["code"] == 2000588


async def test_answers_carry_the_headers_that_were_recorded(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.call("GET", "contracts")
    assert reply.headers["Server"] == "Fortnox"
    assert reply.headers["Content-Type"] == "application/json"
    assert {"X-Uid", "X-Build", "X-Rack-Responsetime", "Strict-Transport-Security"} <= set(reply.headers)
    assert (await sandbox.requests())[-1]["uid"] == reply.headers["X-Uid"]


async def test_slashes_in_urls_are_escaped(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    assert rb'"https:\/\/api.fortnox.se\/3\/contracts\/1"' in (await sandbox.call("GET", "contracts/1")).raw


async def test_a_trailing_slash_is_accepted_and_an_encoded_slash_belongs_to_the_number(sandbox: Sandbox) -> None:
    await sandbox.company(articles=[{"number": "A/1", "description": "Snedstreck", "price": "5"}])
    assert (await sandbox.get("invoices/?filter=unbooked"))["Invoices"] == []
    assert (await sandbox.get("articles/A%2F1"))["Article"]["ArticleNumber"] == "A/1"


async def test_an_unknown_company_in_the_control_api_is_told_so(sandbox: Sandbox) -> None:
    async with sandbox.admin.patch("/_sandbox/companies/5", json={"name": "X"}) as response:
        assert response.status == 404
        assert "no company 5" in (await response.json())["error"]
    await sandbox.company()
    async with sandbox.admin.patch(f"/_sandbox/companies/{TENANT}", json={"nmae": "X"}) as response:
        assert response.status == 400
        assert "has no `nmae`" in (await response.json())["error"]
