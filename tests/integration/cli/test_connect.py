"""A company is connected as a new user would: the command in a terminal, the consent in a browser, and back."""

from pathlib import Path

import pytest

from avtalsmotor.embedded import free_port
from common.consents import purpose
from common.ids import TenantId
from common.ledger import blocks, consents, tenants
from common.ledger.database import Ledger
from common.rules.reasons import Reason
from common.seals import Seals
from common.settings import Settings
from sandbox.books import DEFAULT_CLIENT_SECRET
from tests.consenting import browsed, connecting, consented
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT, Sandbox

HERE = TenantId(TENANT)


@pytest.fixture(autouse=True)
async def _company(bureau: Shell, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_REDIRECT_URI", f"http://localhost:{free_port()}/fortnox")
    await sandbox.company(name="Nordlunds IT-drift AB", consented=False)
    await sandbox.contract()


async def test_a_company_is_connected_by_the_browser_with_a_service_account(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    async with connecting() as terminal:
        status, page = await browsed(await consented(sandbox, terminal.address))
        assert (status, "Klart" in page) == (200, True)
        ended, out, err = await terminal.typed()
    assert (ended, err) == (0, "")
    assert "Connected Nordlunds IT-drift AB (4711), by a service account." in out
    consent = await consents.get(ledger, HERE)
    assert consent is not None
    assert (consent.kind, consent.refresh_token) == ("service", None)
    assert (await bureau("plan", "--tenant", TENANT)).status == 0


async def test_without_a_service_account_the_refresh_token_is_kept_sealed_and_used(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    async with connecting("--no-service-account") as terminal:
        await browsed(await consented(sandbox, terminal.address))
        ended, out, _ = await terminal.typed()
    assert ended == 0
    assert "by a refresh token" in out
    first = await consents.get(ledger, HERE)
    assert first is not None
    assert first.refresh_token is not None
    token = Seals.read(Settings()).unseal(first.refresh_token, purpose(HERE))
    assert token not in out
    # The token that came with the consent is gone, so reading the contracts takes a renewal.
    async with sandbox.admin.post(f"/_sandbox/companies/{TENANT}/revoke", json={}) as answer:
        assert answer.status == 200
    assert (await bureau("plan", "--tenant", TENANT)).status == 0
    second = await consents.get(ledger, HERE)
    assert second is not None
    assert second.renewals == 1
    assert second.refresh_token != first.refresh_token


async def test_what_was_stopped_by_a_dead_access_goes_on_when_the_company_is_connected_again(
    sandbox: Sandbox, ledger: Ledger
) -> None:
    await tenants.add(ledger, HERE, "Nordlunds", "test")
    await blocks.put(ledger, HERE, None, Reason.TOKEN_DEAD, {"answer": "invalid_grant"}, "test")
    async with connecting("--tenant-id", str(TENANT)) as terminal:
        await browsed(await consented(sandbox, terminal.address))
        ended, out, _ = await terminal.typed()
    assert ended == 0
    assert "What was stopped because the access was dead goes on." in out
    assert await blocks.every(ledger, HERE) == []


async def test_the_address_can_be_pasted_from_another_machine(sandbox: Sandbox) -> None:
    async with connecting("--paste") as terminal:
        ended, out, err = await terminal.typed(await consented(sandbox, terminal.address))
    assert (ended, err) == (0, "")
    assert "Connected Nordlunds IT-drift AB" in out


async def test_a_no_in_the_browser_ends_the_command_and_changes_nothing(sandbox: Sandbox, ledger: Ledger) -> None:
    async with connecting() as terminal:
        status, _ = await browsed(await consented(sandbox, terminal.address, approve=False))
        ended, _, err = await terminal.typed()
    assert (status, ended) == (400, 1)
    assert "Fortnox gave no consent (access_denied" in err
    assert await tenants.every(ledger) == []


async def test_an_answer_to_another_consent_is_not_taken(sandbox: Sandbox, ledger: Ledger) -> None:
    async with connecting() as terminal:
        redirect = await consented(sandbox, terminal.address)
        status, _ = await browsed(redirect.partition("&state=")[0] + "&state=somebody-elses")
        assert status == 400
        assert terminal.process.returncode is None
        await browsed(redirect)
        ended, _, _ = await terminal.typed()
    assert ended == 0


async def test_the_consent_of_another_company_than_the_one_meant_is_not_kept(sandbox: Sandbox, ledger: Ledger) -> None:
    await sandbox.company(5000, name="Fel Bolag AB", consented=False)
    async with connecting("--tenant-id", str(TENANT)) as terminal:
        await browsed(await consented(sandbox, terminal.address, 5000))
        ended, _, err = await terminal.typed()
    assert ended == 1
    assert "The consent was given for company 5000, not for 4711. Nothing was changed." in err
    assert await tenants.every(ledger) == []


async def test_a_scope_that_is_left_out_is_not_asked_for(sandbox: Sandbox, ledger: Ledger) -> None:
    async with connecting("--without", "noxfinansinvoice") as terminal:
        assert "noxfinansinvoice" not in terminal.address
        await browsed(await consented(sandbox, terminal.address))
        ended, _, _ = await terminal.typed()
    assert ended == 0
    consent = await consents.get(ledger, HERE)
    assert consent is not None
    assert "noxfinansinvoice" not in consent.scopes


async def test_no_secret_is_shown_or_kept_in_clear(sandbox: Sandbox, database_url: str, ledger: Ledger) -> None:
    async with connecting("--no-service-account") as terminal:
        redirect = await consented(sandbox, terminal.address)
        await browsed(redirect)
        _, out, err = await terminal.typed()
    code = redirect.partition("code=")[2].partition("&")[0]
    consent = await consents.get(ledger, HERE)
    assert consent is not None
    assert consent.refresh_token is not None
    secrets = [code, DEFAULT_CLIENT_SECRET, Seals.read(Settings()).unseal(consent.refresh_token, purpose(HERE))]
    await ledger.close()
    stored = b"".join(path.read_bytes() for path in _files_of(database_url))
    for secret in secrets:
        assert secret not in out + err
        assert secret.encode() not in stored


def _files_of(database_url: str) -> list[Path]:
    main = Path(database_url.removeprefix("sqlite:///"))
    return sorted(main.parent.glob(f"{main.name}*"))
