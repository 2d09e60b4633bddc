"""Tokens, scopes and licences: who gets in, and how the others are told."""

import base64
import hmac
import json
import time
from typing import Any

import pytest

from tests.sandboxes import TENANT, Sandbox


async def test_client_credentials_with_a_tenant_id_give_a_token_that_opens_the_company(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.ask_token()
    assert reply.status == 200
    assert reply.document["token_type"] == "bearer"
    assert reply.document["expires_in"] == 3600
    assert "refresh_token" not in reply.document
    assert (await sandbox.get("companyinformation"))["CompanyInformation"]["DatabaseNumber"] == TENANT


async def test_the_token_is_a_signed_jwt_with_the_tenant_and_the_user_in_it(sandbox: Sandbox) -> None:
    await sandbox.company()
    header, claims, signature = (await sandbox.token()).split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert read["tenantId"] == TENANT
    assert {"userId", "exp", "scope"} <= set(read)
    assert abs(read["exp"] - time.time() - 3600) < 60
    key = sandbox.running.gateway.tokens._key
    expected = base64.urlsafe_b64encode(hmac.digest(key, f"{header}.{claims}".encode(), "sha256")).rstrip(b"=").decode()
    assert signature == expected


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc"])
async def test_a_bad_bearer_token_is_answered_by_the_gateway_without_an_envelope(
    sandbox: Sandbox, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    async with sandbox.admin.get("/3/invoices", headers=headers) as response:
        assert response.status == 401
        assert await response.read() == b'{"message":"unauthorized"}'
        assert "X-Uid" not in response.headers
        assert "X-Build" not in response.headers


async def test_a_wrong_secret_is_401_invalid_client_in_plain_text(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.ask_token(secret="wrong")
    assert reply.status == 401
    assert reply.headers["Content-Type"] == "text/plain;charset=UTF-8"
    assert reply.document == {"error": "invalid_client", "error_description": "The client credentials are invalid"}


async def test_an_unknown_tenant_is_400_invalid_grant_as_html(sandbox: Sandbox) -> None:
    reply = await sandbox.ask_token(tenant="999")
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert reply.document["error"] == "invalid_grant"


async def test_other_grants_are_not_supported(sandbox: Sandbox) -> None:
    await sandbox.company()
    reply = await sandbox.ask_token(grant_type="password")
    assert (reply.status, reply.document["error"]) == (400, "unsupported_grant_type")


async def test_a_scope_that_was_not_consented_to_is_not_given(sandbox: Sandbox) -> None:
    await sandbox.company(scopes=["invoice"])
    assert (await sandbox.ask_token(scope="invoice")).document["scope"] == "invoice"
    assert (await sandbox.ask_token(scope="invoice salary")).document["error"] == "invalid_scope"


async def test_a_token_opens_only_the_scopes_it_was_asked_for_and_that_are_still_granted(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    token = (await sandbox.ask_token(scope="invoice customer")).document["access_token"]

    async def status(path: str) -> int:
        return (await sandbox.call("GET", path, headers={"Authorization": f"Bearer {token}"})).status

    assert [await status(path) for path in ("invoices", "customers", "articles")] == [200, 200, 403]
    company.scopes.discard("customer")
    assert await status("customers") == 403


async def test_a_short_token_dies_by_real_time_though_the_clock_is_frozen(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"token_life": 1})
    await sandbox.control("PUT", "clock", {"frozen": True})
    began = time.monotonic()
    await sandbox.get("contracts")
    while (await sandbox.call("GET", "contracts")).status == 200:
        assert time.monotonic() - began < 5
    assert time.monotonic() - began >= 1


async def test_a_token_dies_at_the_end_of_its_virtual_life(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.get("contracts")
    await sandbox.control("PUT", "clock", {"move": 3599})
    await sandbox.get("contracts")
    await sandbox.control("PUT", "clock", {"move": 2})
    assert (await sandbox.call("GET", "contracts")).status == 401


async def test_a_frozen_clock_does_not_end_a_token_when_it_is_moved(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PUT", "clock", {"frozen": True})
    await sandbox.get("contracts")
    await sandbox.control("PUT", "clock", {"move": 86400 * 40})
    await sandbox.get("contracts")


async def test_token_life_is_a_switch(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"token_life": 3})
    assert (await sandbox.ask_token()).document["expires_in"] == 3


async def test_a_revoked_token_is_dead_at_once_and_a_new_one_lives(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.get("contracts")
    assert (await sandbox.control("POST", f"companies/{TENANT}/revoke"))["revoked"] == 1
    assert (await sandbox.call("GET", "contracts")).status == 401
    assert (await sandbox.ask_token()).status == 200


async def test_withdrawn_consent_gives_no_new_token(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("POST", f"companies/{TENANT}/revoke", {"consent": False})
    assert (await sandbox.ask_token()).status == 400


async def test_a_missing_scope_is_403_with_2000663(sandbox: Sandbox) -> None:
    await sandbox.company(scopes=["customer"])
    reply = await sandbox.call("GET", "invoices")
    assert (reply.status, _information(reply.document)["code"]) == (403, 2000663)


async def test_a_missing_licence_is_403_with_2001101(sandbox: Sandbox) -> None:
    await sandbox.company(licences=["Bokföring"])
    reply = await sandbox.call("GET", "invoices")
    assert (reply.status, _information(reply.document)["code"]) == (403, 2001101)


async def test_contracts_without_their_module_are_a_feature_that_is_not_available(sandbox: Sandbox) -> None:
    await sandbox.company(licences=["Kundfaktura"])
    reply = await sandbox.call("GET", "contracts")
    assert _information(reply.document)["message"] == "Feature inte tillgänglig"
    assert (await sandbox.call("GET", "invoices")).status == 200


def _information(document: Any) -> dict[str, Any]:
    found: dict[str, Any] = document["ErrorInformation"]
    return found


async def test_the_clock_tells_by_how_much_it_is_ahead_so_that_a_client_can_keep_step(sandbox: Sandbox) -> None:
    told = await sandbox.control("GET", "clock")
    moved = await sandbox.control("PUT", "clock", {"move": 86_400})
    assert abs(told["ahead"]) < 60
    assert 86_340 < moved["ahead"] < 86_460
