"""Authorization codes, refresh tokens and service accounts, as a client meets them at the token endpoint."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.sandboxes import TENANT, Reply, Sandbox

DAY = 86_400
DEAD = {"error": "invalid_grant", "error_description": "Invalid refresh token"}
BAD_CODE = {"error": "invalid_grant", "error_description": "Auth code or ClientID supplied is invalid"}


@pytest.fixture
async def fresh(sandbox: Sandbox) -> Sandbox:
    """A company that has not consented to anything."""
    await sandbox.company(consented=False)
    return sandbox


async def status(sandbox: Sandbox, token: str, path: str) -> int:
    return (await sandbox.call("GET", path, headers={"Authorization": f"Bearer {token}"})).status


def refused(reply: Reply, document: dict[str, str]) -> bool:
    return (reply.status, reply.headers["Content-Type"], reply.document) == (400, "text/html; charset=UTF-8", document)


async def test_a_code_is_traded_for_an_access_token_and_a_refresh_token_for_the_scopes_asked_for(
    fresh: Sandbox,
) -> None:
    tokens = await fresh.connected()
    assert list(tokens) == ["access_token", "refresh_token", "scope", "expires_in", "token_type"]
    assert (tokens["scope"], tokens["expires_in"], tokens["token_type"]) == ("customer invoice", 3600, "bearer")
    assert len(tokens["refresh_token"]) == 40
    assert await status(fresh, tokens["access_token"], "customers") == 200
    assert await status(fresh, tokens["access_token"], "articles") == 403
    assert fresh.world.companies[TENANT].scopes == {"invoice", "customer"}


async def test_a_code_is_good_for_one_time(fresh: Sandbox) -> None:
    code = (await fresh.consented())["code"]
    assert (await fresh.trade(code)).status == 200
    assert refused(await fresh.trade(code), BAD_CODE)


async def test_a_code_dies_after_ten_minutes_also_while_the_clock_is_frozen(fresh: Sandbox) -> None:
    await fresh.control("PUT", "clock", {"frozen": True})
    codes = [(await fresh.consented())["code"] for _ in range(2)]
    await fresh.control("PUT", "clock", {"move": 599})
    assert (await fresh.trade(codes[0])).status == 200
    await fresh.control("PUT", "clock", {"move": 1})
    assert refused(await fresh.trade(codes[1]), BAD_CODE)


async def test_a_code_is_of_no_use_to_another_client_and_stays_good_for_its_own(fresh: Sandbox) -> None:
    await fresh.control("PUT", "clients/other", {"secret": "hush"})
    await fresh.consented(client_id="other")
    code = (await fresh.consented())["code"]
    assert refused(await fresh.trade(code, client="other", secret="hush"), BAD_CODE)
    assert (await fresh.trade(code)).status == 200


@pytest.mark.parametrize("given", [None, "http://127.0.0.1:9/elsewhere"])
async def test_the_redirect_address_has_to_be_that_of_the_question(fresh: Sandbox, given: str | None) -> None:
    code = (await fresh.consented())["code"]
    assert (await fresh.trade(code, given)).document["error"] == "invalid_grant"
    assert (await fresh.trade(code)).status == 200


async def test_without_offline_access_there_is_no_refresh_token(fresh: Sandbox) -> None:
    assert "refresh_token" not in await fresh.connected(access_type=None)


async def test_a_refresh_gives_a_new_pair_and_kills_the_old_refresh_token_at_once(fresh: Sandbox) -> None:
    first = await fresh.connected()
    second = (await fresh.refresh(first["refresh_token"])).document
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    assert await status(fresh, second["access_token"], "invoices") == 200
    assert await status(fresh, first["access_token"], "invoices") == 200
    assert refused(await fresh.refresh(first["refresh_token"]), DEAD)
    assert (await fresh.refresh(second["refresh_token"])).status == 200


async def test_of_two_refreshes_at_a_time_one_wins(fresh: Sandbox) -> None:
    token = (await fresh.connected())["refresh_token"]
    replies = await asyncio.gather(*(fresh.refresh(token) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [400] * 7


async def test_a_refresh_token_dies_after_45_days_and_using_the_api_does_not_extend_it(fresh: Sandbox) -> None:
    await fresh.control("PUT", "clock", {"frozen": True})
    tokens = [await fresh.connected() for _ in range(2)]
    await fresh.control("PUT", "clock", {"move": 45 * DAY - 1})
    assert await status(fresh, tokens[1]["access_token"], "invoices") == 200
    successor = (await fresh.refresh(tokens[0]["refresh_token"])).document["refresh_token"]
    await fresh.control("PUT", "clock", {"move": 1})
    assert refused(await fresh.refresh(tokens[1]["refresh_token"]), DEAD)
    await fresh.control("PUT", "clock", {"move": 45 * DAY - 2})
    assert (await fresh.refresh(successor)).status == 200


async def test_the_lives_are_switches(fresh: Sandbox) -> None:
    await fresh.control("PATCH", "behaviour", {"code_life": 5, "refresh_life": 10})
    await fresh.control("PUT", "clock", {"frozen": True})
    code = (await fresh.consented())["code"]
    token = (await fresh.connected())["refresh_token"]
    await fresh.control("PUT", "clock", {"move": 5})
    assert refused(await fresh.trade(code), BAD_CODE)
    await fresh.control("PUT", "clock", {"move": 5})
    assert refused(await fresh.refresh(token), DEAD)


async def test_a_refresh_token_is_of_no_use_to_another_client(fresh: Sandbox) -> None:
    await fresh.control("PUT", "clients/other", {"secret": "hush"})
    await fresh.consented(client_id="other")
    token = (await fresh.connected())["refresh_token"]
    assert refused(await fresh.refresh(token, client="other", secret="hush"), DEAD)
    assert (await fresh.refresh(token)).status == 200


@pytest.mark.parametrize("ends", [False, True])
async def test_whether_a_reused_refresh_token_ends_its_successor_is_a_switch(fresh: Sandbox, ends: bool) -> None:
    await fresh.control("PATCH", "behaviour", {"reused_refresh_ends": ends})
    first = await fresh.connected()
    second = (await fresh.refresh(first["refresh_token"])).document
    assert refused(await fresh.refresh(first["refresh_token"]), DEAD)
    assert (await fresh.refresh(second["refresh_token"])).status == (400 if ends else 200)


async def test_a_refresh_with_a_wrong_secret_is_refused_and_uses_nothing_up(fresh: Sandbox) -> None:
    token = (await fresh.connected())["refresh_token"]
    reply = await fresh.refresh(token, secret="wrong")
    assert (reply.status, reply.document["error"]) == (401, "invalid_client")
    assert reply.headers["Content-Type"] == "text/plain;charset=UTF-8"
    assert (await fresh.refresh(token)).status == 200


async def test_client_credentials_need_a_consent_to_a_service_account(fresh: Sandbox) -> None:
    assert (await fresh.ask_token()).document["error"] == "invalid_grant"
    await fresh.connected(account_type=None)
    assert (await fresh.ask_token()).document["error"] == "invalid_grant"
    await fresh.connected(scope="invoice price")
    reply = await fresh.ask_token()
    assert reply.document["scope"] == "invoice price"
    assert "refresh_token" not in reply.document


async def test_a_company_may_forbid_the_service_account_also_after_consenting(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", f"companies/{TENANT}", {"service_account_allowed": False})
    reply = await sandbox.ask_token()
    assert reply.status == 400
    assert reply.document["error_description"] == "Client does not allow service account"


async def test_a_consent_to_one_client_is_none_to_another(fresh: Sandbox) -> None:
    await fresh.control("PUT", "clients/other", {"secret": "hush"})
    await fresh.connected()
    assert (await fresh.ask_token()).status == 200
    assert (await fresh.ask_token(client="other", secret="hush")).status == 400


async def test_a_company_that_had_consented_to_every_client_keeps_that_for_the_others(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PUT", "clients/other", {"secret": "hush"})
    await sandbox.connected(scope="invoice")
    assert (await sandbox.ask_token()).document["scope"] == "invoice"
    assert "article" in (await sandbox.ask_token(client="other", secret="hush")).document["scope"].split()


async def test_a_new_consent_replaces_the_scopes_and_the_old_refresh_token_follows(fresh: Sandbox) -> None:
    old = await fresh.connected(scope="invoice customer")
    new = await fresh.connected(scope="invoice article")
    assert (await fresh.refresh(old["refresh_token"])).document["scope"] == "invoice"
    assert (await fresh.refresh(new["refresh_token"])).document["scope"] == "article invoice"


@pytest.mark.parametrize("since", ["approval", "code"])
async def test_from_when_a_consent_counts_is_a_switch(fresh: Sandbox, since: str) -> None:
    await fresh.control("PATCH", "behaviour", {"consent_from": since})
    code = (await fresh.consented())["code"]
    assert (await fresh.ask_token()).status == (200 if since == "approval" else 400)
    assert (await fresh.trade(code)).status == 200
    assert (await fresh.ask_token()).status == 200


@pytest.mark.parametrize("kind", ["cut_after", "error_after", "cut", "error"])
async def test_a_refresh_may_have_acted_though_its_answer_is_lost(fresh: Sandbox, kind: str) -> None:
    token = (await fresh.connected())["refresh_token"]
    await fresh.fault(kind=kind, path="/oauth-v1/token", tenant=TENANT, times=1)
    if kind.startswith("cut"):
        with pytest.raises(aiohttp.ClientConnectionError):
            await _once(fresh, token)
    else:
        assert (await fresh.refresh(token)).status == 500
    assert (await fresh.refresh(token)).status == (400 if kind.endswith("_after") else 200)


async def test_a_refresh_whose_caller_has_given_up_acts_late(fresh: Sandbox) -> None:
    token = (await fresh.connected())["refresh_token"]
    await fresh.fault(kind="act_late", path="/oauth-v1/token", times=1)
    with pytest.raises(TimeoutError):
        await _once(fresh, token, patience=0.2)
    async with asyncio.timeout(5):
        while fresh.running.gateway.oauth.refresh_tokens.good(token):  # noqa: ASYNC110 - the sandbox has no event for it
            await asyncio.sleep(0.005)
    assert refused(await fresh.refresh(token), DEAD)


async def test_the_log_tells_grants_clients_and_tenants_but_nothing_secret(fresh: Sandbox) -> None:
    consented = await fresh.consented()
    tokens = (await fresh.trade(consented["code"])).document
    renewed = (await fresh.refresh(tokens["refresh_token"])).document
    await fresh.refresh(tokens["refresh_token"])
    await fresh.ask_token()
    await fresh.ask_token(grant_type="password", password="hunter2")
    await fresh.post_oauth(f"token?refresh_token={renewed['refresh_token']}", {"grant_type": "refresh_token"})
    async with fresh.admin.get(fresh.asking(state="state-77")) as response:
        assert response.status == 200
    entries = await fresh.requests("path=/oauth-v1/**")
    assert [(entry["grant"], entry["tenant"], entry["status"]) for entry in entries] == [
        ("authorization_code", TENANT, 200),
        ("refresh_token", TENANT, 200),
        ("refresh_token", TENANT, 400),
        ("client_credentials", TENANT, 200),
        ("other", None, 400),
        ("refresh_token", None, 400),
        (None, None, 200),
    ]
    assert {entry["client"] for entry in entries} == {"sandbox-client"}
    assert len(await fresh.requests("grant=refresh_token")) == 3
    log = json.dumps(entries)
    secret = [consented["code"], "sandbox-secret", "hunter2", "state-77", *_secrets(tokens), *_secrets(renewed)]
    assert not [value for value in secret if value in log]


async def test_what_is_not_there_is_404_and_a_wrong_verb_405(sandbox: Sandbox) -> None:
    for method, path, expected in (
        ("GET", "token", 405),
        ("PUT", "auth", 405),
        ("GET", "revoke", 405),
        ("GET", "nothing", 404),
    ):
        async with sandbox.admin.request(method, f"/oauth-v1/{path}") as response:
            assert response.status == expected


async def _once(sandbox: Sandbox, token: str, patience: float = 30.0) -> None:
    """One refresh on a connection of its own, which no layer repeats."""
    async with aiohttp.ClientSession(sandbox.url, timeout=aiohttp.ClientTimeout(total=patience)) as session:
        session._retry_connection = False
        form = {"grant_type": "refresh_token", "refresh_token": token}
        headers = {"Authorization": aiohttp.encode_basic_auth("sandbox-client", "sandbox-secret")}
        async with session.post("/oauth-v1/token", data=form, headers=headers) as response:
            await response.read()


def _secrets(tokens: dict[str, Any]) -> list[str]:
    return [tokens["access_token"], tokens["refresh_token"]]
