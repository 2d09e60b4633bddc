"""Consent: the page, what a request for it must look like, a person's answer, and its end."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.sandboxes import BACK, TENANT, Reply, Sandbox


@pytest.fixture
async def fresh(sandbox: Sandbox) -> Sandbox:
    """Two companies that have not consented to anything."""
    await sandbox.company(consented=False, name="Norrsken & Söner AB")
    await sandbox.company(tenant=7, consented=False, name="Annat AB")
    return sandbox


async def shown(sandbox: Sandbox, method: str = "GET", form: Any = None, **changes: Any) -> Reply:
    """What a person's browser gets, redirects not followed."""
    url = sandbox.asking(**changes)
    async with sandbox.admin.request(method, url, data=form, allow_redirects=False) as response:
        return Reply(response.status, response.reason or "", response.headers, await response.read(), None)


def sent_back(reply: Reply) -> dict[str, str]:
    assert reply.status == 302, reply
    address, _, query = reply.headers["Location"].partition("?")
    assert address == BACK
    return dict(parse_qsl(query))


async def test_the_page_names_the_client_the_scopes_and_the_companies(fresh: Sandbox) -> None:
    reply = await shown(fresh, scope="invoice noxfinansinvoice")
    page = reply.raw.decode()
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    for said in ("sandbox-client", "Fakturor och avtal", "Fakturatjänster", "servicekonto", "Godkänn", "Avbryt"):
        assert said in page
    assert '<option value="7">Annat AB (556000-0000)</option>' in page
    assert "Norrsken &amp; Söner AB" in page
    assert "<script" not in page


async def test_a_person_who_agrees_is_sent_back_with_a_code_and_the_state(fresh: Sandbox) -> None:
    back = sent_back(await shown(fresh, "POST", {"tenant": "7", "answer": "approve"}, state="å b&c"))
    assert set(back) == {"code", "state"}
    assert back["state"] == "å b&c"
    assert (await fresh.trade(back["code"])).status == 200
    assert (await fresh.ask_token(7)).status == 200
    assert (await fresh.ask_token(TENANT)).status == 400


async def test_a_person_who_does_not_agree_is_sent_back_with_an_error_and_nothing_has_changed(fresh: Sandbox) -> None:
    back = sent_back(await shown(fresh, "POST", {"tenant": "7", "answer": "deny"}))
    assert (back["error"], back["state"]) == ("access_denied", "state-1")
    assert back["error_description"]
    assert not fresh.world.companies[7].consented


@pytest.mark.parametrize("form", [{}, {"answer": "approve"}, {"answer": "approve", "tenant": "99"}, {"tenant": "7"}])
async def test_an_answer_that_cannot_be_understood_is_asked_for_again(fresh: Sandbox, form: dict[str, str]) -> None:
    reply = await shown(fresh, "POST", form)
    assert reply.status == 400
    assert b"Annat AB" in reply.raw


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "<b>nobody"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://localhost:80@evil.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://[::1"},
    ],
)
async def test_without_an_address_to_trust_the_person_is_told_and_sent_nowhere(
    fresh: Sandbox, changes: dict[str, Any]
) -> None:
    for method in ("GET", "POST"):
        reply = await shown(fresh, method, **changes)
        assert (reply.status, reply.headers.get("Location")) == (400, None)
        assert b"<b>nobody" not in reply.raw
    body = {"url": fresh.asking(**changes)}
    async with fresh.admin.post(f"/_sandbox/companies/{TENANT}/consent", json=body) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "Invoice"}, "invalid_scope"),
        ({"scope": "invoice,customer"}, "invalid_scope"),
        ({"access_type": "online"}, "invalid_request"),
        ({"account_type": "robot"}, "invalid_request"),
    ],
)
async def test_a_request_that_is_not_in_order_is_sent_back_with_an_error(
    fresh: Sandbox, changes: dict[str, Any], error: str
) -> None:
    back = sent_back(await shown(fresh, **changes))
    assert back["error"] == error
    assert back.get("state") == ("state-1" if "state" not in changes else None)
    assert await fresh.consented(**changes) == back


@pytest.mark.parametrize("address", ["http://localhost:1234/cb", "http://127.0.0.1/cb", "http://localhost:80"])
async def test_any_address_of_this_machine_will_do_for_a_client_without_a_registered_one(
    fresh: Sandbox, address: str
) -> None:
    assert (await shown(fresh, redirect_uri=address)).status == 200


async def test_a_registered_address_is_the_only_one_and_may_be_left_out(fresh: Sandbox) -> None:
    registered = "https://faktura.example/fortnox?from=sandbox"
    await fresh.control("PUT", "clients/sandbox-client", {"redirect_uri": registered})
    assert (await shown(fresh)).status == 400
    reply = await shown(fresh, "POST", {"tenant": "7", "answer": "approve"}, redirect_uri=None)
    assert reply.headers["Location"].startswith(f"{registered}&code=")
    code = dict(parse_qsl(urlsplit(reply.headers["Location"]).query))["code"]
    assert (await fresh.trade(code, None)).status == 200
    await fresh.control("PUT", "clients/sandbox-client", {"redirect_uri": None})
    assert (await shown(fresh)).status == 200


async def test_a_client_that_nobody_knows_needs_a_secret_to_be_added(fresh: Sandbox) -> None:
    async with fresh.admin.put("/_sandbox/clients/other", json={"redirect_uri": BACK}) as response:
        assert response.status == 404


async def test_a_company_without_a_licence_for_a_scope_cannot_consent_to_it(fresh: Sandbox) -> None:
    await fresh.control("PATCH", f"companies/{TENANT}", {"licences": ["Bokföring"]})
    assert (await fresh.consented())["error"] == "error_missing_license"
    assert "code" in await fresh.consented(scope="bookkeeping settings")


async def test_a_company_that_forbids_the_service_account_can_consent_without_one(fresh: Sandbox) -> None:
    await fresh.control("PATCH", f"companies/{TENANT}", {"service_account_allowed": False})
    refused = await fresh.consented()
    assert refused["error_description"] == "Client does not allow service account"
    assert "code" in await fresh.consented(account_type=None)


async def test_a_test_can_answer_in_a_persons_place(fresh: Sandbox) -> None:
    assert set(await fresh.consented()) == {"code", "state"}
    assert (await fresh.consented(approve=False))["error"] == "access_denied"
    state = await fresh.control("GET", f"state?tenant={TENANT}")
    assert state["consents"]["sandbox-client"]["service"] is True
    assert set(state["consents"]["sandbox-client"]["scopes"]) == {"invoice", "customer"}


async def test_a_consent_withdrawn_ends_access_tokens_refresh_tokens_and_codes(fresh: Sandbox) -> None:
    tokens, code = await fresh.connected(), (await fresh.consented())["code"]
    told = await fresh.control("POST", f"companies/{TENANT}/revoke", {"consent": False})
    assert told == {"revoked": 1, "refresh_tokens": 1, "consent": False}
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await fresh.call("GET", "invoices", headers=headers)).status == 401
    assert (await fresh.refresh(tokens["refresh_token"])).document["error_description"] == "Invalid refresh token"
    assert (await fresh.trade(code)).status == 400
    assert (await fresh.ask_token()).status == 400
    again = await fresh.connected()
    assert (await fresh.refresh(again["refresh_token"])).status == 200
    assert (await fresh.refresh(tokens["refresh_token"])).status == 400


async def test_a_plain_revocation_leaves_the_refresh_tokens_unless_told_so(fresh: Sandbox) -> None:
    tokens = await fresh.connected()
    assert (await fresh.control("POST", f"companies/{TENANT}/revoke"))["refresh_tokens"] == 0
    renewed = (await fresh.refresh(tokens["refresh_token"])).document
    told = await fresh.control("POST", f"companies/{TENANT}/revoke", {"refresh": True})
    assert told == {"revoked": 1, "refresh_tokens": 1, "consent": True}
    assert (await fresh.refresh(renewed["refresh_token"])).status == 400


async def test_a_client_ends_its_refresh_token_and_no_access_token_by_it(fresh: Sandbox) -> None:
    tokens = await fresh.connected()
    form = {"token_type_hint": "refresh_token", "token": tokens["refresh_token"]}
    for _ in range(2):
        reply = await fresh.post_oauth("revoke", form)
        assert (reply.status, reply.document) == (200, {"revoked": True})
    assert (await fresh.refresh(tokens["refresh_token"])).status == 400
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await fresh.call("GET", "invoices", headers=headers)).status == 200
    assert [entry["tenant"] for entry in await fresh.requests("path=/oauth-v1/revoke")] == [TENANT, TENANT]


async def test_only_the_client_itself_ends_its_refresh_token(fresh: Sandbox) -> None:
    await fresh.control("PUT", "clients/other", {"secret": "hush"})
    token = (await fresh.connected())["refresh_token"]
    form = {"token_type_hint": "refresh_token", "token": token}
    assert (await fresh.post_oauth("revoke", form, "other", "hush")).status == 200
    assert (await fresh.post_oauth("revoke", form, secret="wrong")).status == 401
    assert (await fresh.refresh(token)).status == 200


async def test_access_tokens_cannot_be_revoked(fresh: Sandbox) -> None:
    token = (await fresh.connected())["access_token"]
    reply = await fresh.post_oauth("revoke", {"token_type_hint": "access_token", "token": token})
    assert (reply.status, reply.document["error"]) == (400, "unsupported_token_type")
