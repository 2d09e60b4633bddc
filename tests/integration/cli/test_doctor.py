"""`avtalsmotor doctor`: what would fail is told before it does, in two languages, and by the exit status."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.ids import TenantId
from common.ledger import preflights
from common.ledger.database import Ledger
from sandbox.books import ALL_SCOPES
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT, Sandbox


@pytest.fixture(autouse=True)
async def _company(bureau: Shell, sandbox: Sandbox) -> None:
    await sandbox.company(name="Nordlunds IT-drift AB")
    assert (await bureau("tenants", "add", "--tenant-id", TENANT, "--bookkeep", "--deliver", "finance")).status == 0


async def test_where_nothing_hinders_it_says_so_and_ends_well(bureau: Shell) -> None:
    answer = await bureau("doctor")
    assert answer.status == 0, answer
    assert "Installation\nAll in order." in answer.out
    assert f"Nordlunds IT-drift AB ({TENANT})" in answer.out
    assert "To know: Not to be known beforehand: whether Fakturatjänster is activated." in answer.out


async def test_what_hinders_a_company_is_told_with_its_cure_and_ends_with_one(bureau: Shell, sandbox: Sandbox) -> None:
    sandbox.world.companies[TENANT].scopes = set(ALL_SCOPES - {"noxfinansinvoice"})
    answer = await bureau("doctor", "--tenant", TENANT)
    assert answer.status == 1
    assert "Hinders: Our access to the company does not include" in answer.out
    assert "noxfinansinvoice" in answer.out
    assert "avtalsmotor tenants connect" in answer.out
    sandbox.world.companies[TENANT].scopes = set(ALL_SCOPES)
    assert (await bureau("doctor")).status == 0


async def test_it_speaks_swedish(bureau: Shell, sandbox: Sandbox) -> None:
    sandbox.world.companies[TENANT].financial_years = []
    answer = await bureau("doctor", "--swedish")
    assert answer.status == 1
    assert "Allt i sin ordning." in answer.out
    assert "Hindrar: Det finns inget räkenskapsår för dagens datum" in answer.out
    assert "Lägg upp räkenskapsåret i Fortnox." in answer.out


async def test_what_is_to_know_of_many_companies_is_told_once(bureau: Shell, sandbox: Sandbox) -> None:
    for number in (5000, 5001):
        await sandbox.company(number, name=f"Bolaget {number}")
        await bureau("tenants", "add", "--tenant-id", number, "--bookkeep", "--deliver", "finance")
    sandbox.world.companies[5001].financial_years = []
    answer = await bureau("doctor")
    assert answer.out.count("whether Fakturatjänster is activated") == 1
    assert "Of 3 companies\nTo know: Not to be known beforehand" in answer.out
    assert "Bolaget 5001 (5001)\nHinders:" in answer.out
    assert "Companies with nothing else: 2." in answer.out


async def test_a_cure_names_the_company(bureau: Shell, sandbox: Sandbox) -> None:
    company = sandbox.world.companies[TENANT]
    company.financial_years = [replace(year, accounting_method="CASH") for year in company.financial_years]
    assert f"`avtalsmotor tenants policy {TENANT} --deliver email`" in (await bureau("doctor")).out


async def test_it_speaks_json(bureau: Shell, sandbox: Sandbox) -> None:
    sandbox.world.companies[TENANT].scopes = set(ALL_SCOPES - {"noxfinansinvoice"})
    found = (await bureau("doctor", "--json")).json
    assert found["installation"] == []
    (company,) = found["companies"]
    assert company["tenant"] == TENANT
    assert company["error"] is None
    assert [(one["kind"], one["severity"]) for one in company["findings"]] == [("scope_missing", "hinders")]


async def test_what_it_reads_is_kept(bureau: Shell, ledger: Ledger) -> None:
    before = (await preflights.judged(ledger, [TenantId(TENANT)]))[TenantId(TENANT)].made_at
    assert before is not None  # made when the company was added
    await bureau("doctor")
    after = (await preflights.judged(ledger, [TenantId(TENANT)]))[TenantId(TENANT)].made_at
    assert after is not None
    assert after > before


async def test_what_hinders_is_told_when_the_company_is_added(bureau: Shell, sandbox: Sandbox) -> None:
    await sandbox.company(5000, name="Grans Måleri AB", bankgiro=None)
    answer = await bureau("tenants", "add", "--tenant-id", 5000, "--deliver", "email")
    assert answer.status == 0
    assert "Hinders: Fortnox shows no bank details" in answer.out
    assert "Enter bankgiro, plusgiro or IBAN" in answer.out


async def test_a_clock_that_differs_from_fortnox_hinders(bureau: Shell, sandbox: Sandbox) -> None:
    sandbox.world.behaviour.date_ahead = 90
    answer = await bureau("doctor")
    assert answer.status == 1
    assert "This machine's clock and that of Fortnox differ by" in answer.out


async def test_a_fortnox_out_of_reach_hinders_and_what_was_read_before_is_told(
    bureau: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_AUTH_URL", "http://127.0.0.1:9")
    answer = await bureau("doctor")
    assert answer.status == 1
    assert "Fortnox cannot be reached at http://127.0.0.1:9" in answer.out
    assert "It could not be read now; this is as of 2026-12-01" in answer.out


async def test_credentials_that_are_not_set_hinder(bureau: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVTALSMOTOR_FORTNOX_CLIENT_SECRET")
    answer = await bureau("doctor")
    assert answer.status == 1
    assert "Not set: AVTALSMOTOR_FORTNOX_CLIENT_SECRET." in answer.out


async def test_a_redis_that_does_not_answer_hinders(bureau: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", "redis://127.0.0.1:9/0")
    answer = await bureau("doctor")
    assert answer.status == 1
    assert "Redis did not answer" in answer.out


async def test_a_key_file_that_others_may_read_hinders(
    bureau: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("")
    keys.chmod(0o644)
    monkeypatch.setenv("AVTALSMOTOR_SECRET_KEY_FILE", str(keys))
    answer = await bureau("doctor")
    assert answer.status == 1
    assert "The keys of the secrets cannot be used." in answer.out


async def test_a_ledger_that_cannot_be_opened_is_told_as_all_else_is(
    bureau: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "damaged").write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    monkeypatch.setenv("AVTALSMOTOR_DATABASE_URL", f"sqlite:///{tmp_path / 'damaged'}")
    answer = await bureau("doctor", "--json")
    assert answer.status == 1
    assert [one["kind"] for one in answer.json["installation"]] == ["ledger"]
