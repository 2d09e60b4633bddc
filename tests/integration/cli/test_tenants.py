"""Companies on the command line: added after asking Fortnox, shown, paused, set going."""

import pytest

from avtalsmotor.cli.session import user
from common.ids import TenantId
from common.ledger import audit, billings, blocks, consents, tenants
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.rules.reasons import Reason
from common.rules.states import Step
from sandbox.books import CONTRACT_LICENCE
from tests.integration.cli.conftest import Shell
from tests.integration.ledger.story import SILENCE, settled
from tests.sandboxes import TENANT, Sandbox
from tests.valkeys import valkey

NOWHERE = "127.0.0.1:9"
"""An address where nothing listens."""

ALL_SCOPES = {"invoice", "article", "price", "customer", "settings", "companyinformation", "bookkeeping"}


async def added(ledger: Ledger) -> list[str]:
    return [tenant.name for tenant in await tenants.every(ledger)]


async def test_a_company_is_added_under_its_name_in_fortnox(bureau: Shell, sandbox: Sandbox, ledger: Ledger) -> None:
    await sandbox.company(name="Nordlunds IT-drift AB")
    await sandbox.contract()
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith(f"Added Nordlunds IT-drift AB ({TENANT}), with 1 active contract.\n")
    assert f"avtalsmotor tenants policy {TENANT} --live" in answer.out
    assert await added(ledger) == ["Nordlunds IT-drift AB"]


async def test_a_name_given_goes_before_the_one_in_fortnox(bureau: Shell, sandbox: Sandbox, ledger: Ledger) -> None:
    await sandbox.company(name="Nordlunds IT-drift AB")
    assert (await bureau("tenants", "add", "--tenant-id", TENANT, "--name", "Nordlund")).status == 0
    assert await added(ledger) == ["Nordlund"]


async def test_what_is_said_while_adding_is_the_company_s_policy(bureau: Shell, sandbox: Sandbox) -> None:
    await sandbox.company()
    said = ("--live", "--bookkeep", "--deliver", "email", "--deliver-from", "any", "--lead-days", "-5")
    assert (await bureau("tenants", "add", "--tenant-id", TENANT, *said)).status == 0
    shown = (await bureau("tenants", "policy", TENANT, "--json")).json
    assert {field for field, level in shown["decided_by"].items() if level == "tenant"} == {
        "mode",
        "bookkeep",
        "deliver",
        "deliver_from",
        "lead_days",
    }
    assert shown["policy"]["mode"] == "live"
    assert shown["policy"]["lead_days"] == -5
    assert shown["policy"]["deliver_from"] == "any"


async def test_a_company_is_not_added_twice(bureau: Shell, sandbox: Sandbox, ledger: Ledger) -> None:
    await sandbox.company(name="Nordlunds IT-drift AB")
    assert (await bureau("tenants", "add", "--tenant-id", TENANT)).status == 0
    again = await bureau("tenants", "add", "--tenant-id", TENANT, "--name", "Another", "--live")
    assert again.status == 1
    assert f"Nordlunds IT-drift AB ({TENANT}) is in the ledger already" in again.err
    assert (await bureau("tenants", "list", "--json")).json[0]["mode"] == "proposal"
    assert await added(ledger) == ["Nordlunds IT-drift AB"]


async def test_wrong_credentials_add_nothing(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandbox.company()
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_CLIENT_SECRET", "a-wrong-secret")
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 1
    assert f"Company {TENANT} was not added." in answer.err
    assert "invalid_client" in answer.err
    assert "Check the client id, the client secret" in answer.err
    assert "a-wrong-secret" not in answer.err
    assert await added(ledger) == []


async def test_a_company_that_fortnox_does_not_know_is_not_added(bureau: Shell, ledger: Ledger) -> None:
    answer = await bureau("tenants", "add", "--tenant-id", 999)
    assert answer.status == 1
    assert "Company 999 was not added." in answer.err
    assert await added(ledger) == []


async def test_without_credentials_nothing_is_added_and_the_variables_are_named(
    bureau: Shell, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AVTALSMOTOR_FORTNOX_CLIENT_ID")
    monkeypatch.delenv("AVTALSMOTOR_FORTNOX_CLIENT_SECRET")
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 1
    assert "AVTALSMOTOR_FORTNOX_CLIENT_ID and AVTALSMOTOR_FORTNOX_CLIENT_SECRET not set" in answer.err
    assert "--no-check" in answer.err
    assert await added(ledger) == []


async def test_a_company_can_be_added_without_asking_anybody(shell: Shell, ledger: Ledger) -> None:
    answer = await shell("tenants", "add", "--tenant-id", TENANT, "--name", "Nordlund", "--no-check")
    assert (answer.status, answer.err) == (0, "")
    assert await added(ledger) == ["Nordlund"]


async def test_a_company_whose_name_may_not_be_read_is_added_with_a_warning(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    await sandbox.company(scopes=sorted(ALL_SCOPES - {"companyinformation"}))
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 0
    assert answer.err.startswith(f"Warning: Company {TENANT} ({TENANT}) is added, but its name cannot be read.")
    assert "behörighet saknas" in answer.err
    assert await added(ledger) == [f"Company {TENANT}"]


async def test_a_company_whose_contracts_may_not_be_read_is_added_with_a_warning(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    await sandbox.company(name="Nordlund", scopes=sorted(ALL_SCOPES - {"invoice"}))
    answer = await bureau("tenants", "add", "--tenant-id", TENANT, "--live")
    assert answer.status == 0
    assert "its contracts cannot be read, so nothing can be invoiced for it." in answer.err
    assert "Connect the company to Avtalsmotor again with all rights" in answer.err
    assert await added(ledger) == ["Nordlund"]


async def test_a_company_without_the_licence_is_added_with_a_warning(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    company = await sandbox.company(name="Nordlund")
    company.licences = set()
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 0
    assert "its contracts cannot be read" in answer.err
    assert "lacks a licence" in answer.err
    assert "Order the licence in Fortnox" in answer.err
    assert await added(ledger) == ["Nordlund"]


async def test_a_company_without_the_module_is_added_with_a_warning(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    company = await sandbox.company(name="Nordlund")
    company.licences.discard(CONTRACT_LICENCE)
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 0
    assert "Feature inte tillgänglig" in answer.err
    assert "Switch on Avtalsfakturering in Fortnox' settings; no need to add the company again." in answer.err
    assert await added(ledger) == ["Nordlund"]


async def test_with_fortnox_out_of_reach_a_company_is_added_with_a_warning(
    bureau: Shell, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVTALSMOTOR_FORTNOX_AUTH_URL", f"http://{NOWHERE}/oauth-v1")
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 0
    assert "is added, but Fortnox could not be asked for it." in answer.err
    assert "AVTALSMOTOR_FORTNOX_AUTH_URL" in answer.err
    assert await added(ledger) == [f"Company {TENANT}"]


async def test_with_redis_out_of_reach_a_company_is_added_with_a_warning(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandbox.company()
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", f"redis://{NOWHERE}/0")
    answer = await bureau("tenants", "add", "--tenant-id", TENANT)
    assert answer.status == 0
    assert "is added, but Fortnox could not be asked for it. Redis did not answer" in answer.err
    assert "AVTALSMOTOR_REDIS_URL" in answer.err
    assert await added(ledger) == [f"Company {TENANT}"]


async def test_resume_sets_a_company_live_that_is_a_proposal_and_not_paused(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    await sandbox.company()
    await bureau("tenants", "add", "--tenant-id", TENANT)
    answer = await bureau("tenants", "resume", TENANT)
    assert answer.status == 0
    assert "is live: its due contracts are invoiced" in answer.out
    assert (await bureau("tenants", "list", "--json")).json[0]["mode"] == "live"
    again = await bureau("tenants", "resume", TENANT, "--why", "to be sure")
    assert "is live and was not paused, so nothing has changed." in again.out
    assert "The reason is not kept" in again.err
    trail = await audit.entries(ledger, tenant=TenantId(TENANT))
    assert [entry.action for entry in trail] == ["tenant_added", "preflight_made", "policy_changed"]


@pytest.mark.parametrize(("said", "mode"), [((), "proposal"), (("--live",), "live")])
async def test_resume_of_a_paused_company_keeps_its_mode_and_says_so_in_the_audit_trail(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger, said: tuple[str, ...], mode: str
) -> None:
    await sandbox.company()
    await bureau("tenants", "add", "--tenant-id", TENANT, *said)
    await bureau("tenants", "pause", TENANT, "--why", "holiday")
    assert (await bureau("tenants", "list", "--json")).json[0]["paused"] is True
    answer = await bureau("tenants", "resume", TENANT, "--why", "back")
    assert (answer.status, answer.err) == (0, "")
    assert "is no longer paused. It is " + ("live" if said else "a proposal as before") in answer.out
    assert (f"avtalsmotor tenants policy {TENANT} --live" in answer.out) is not bool(said)
    listed = (await bureau("tenants", "list", "--json")).json[0]
    assert (listed["paused"], listed["mode"]) == (False, mode)
    trail = await audit.entries(ledger, tenant=TenantId(TENANT))
    assert [entry.action for entry in trail][-2:] == ["paused", "resumed"]
    assert trail[-1].after["why"] == "back"
    assert len({entry.by for entry in trail}) == 1


async def test_resume_tells_when_the_whole_bureau_is_paused_all_the_same(bureau: Shell, sandbox: Sandbox) -> None:
    await sandbox.company()
    await bureau("tenants", "add", "--tenant-id", TENANT)
    await bureau("pause")
    assert "The whole bureau is paused" in (await bureau("tenants", "resume", TENANT)).out


async def test_a_company_is_shown_with_what_is_known_of_it(bureau: Shell, sandbox: Sandbox) -> None:
    await sandbox.company(name="Nordlund")
    await bureau("tenants", "add", "--tenant-id", TENANT, "--bookkeep")
    await bureau("plan")
    shown = await bureau("tenants", "show", TENANT)
    assert shown.status == 0
    for told in ("Nordlund", "proposal", "Contracts last read", "2026-01-01..2026-12-31", "bookkeep"):
        assert told in shown.out
    as_json = (await bureau("tenants", "show", TENANT, "--json")).json
    assert as_json["decided_by"]["bookkeep"] == "tenant"
    assert as_json["blocks"] == []
    assert {"from": "2026-01-01", "to": "2026-12-31"} in as_json["financial_years"]


@pytest.mark.parametrize("words", [("show", 1), ("policy", 1), ("pause", 1), ("resume", 1)])
async def test_an_unknown_company_is_an_error_that_says_how_to_find_it(shell: Shell, words: tuple[str, int]) -> None:
    answer = await shell("tenants", *words)
    assert answer.status == 1
    assert "There is no company 1 in the ledger." in answer.err
    assert "avtalsmotor tenants list" in answer.err


async def test_an_empty_bureau_says_how_to_add_the_first_company(shell: Shell) -> None:
    for words in (("tenants", "list"), ("status",), ("plan",)):
        answer = await shell(*words)
        assert answer.status == 0
        assert "avtalsmotor tenants add --tenant-id N" in answer.out


async def test_a_redis_that_dies_is_no_reason_to_add_nothing(
    bureau: Shell, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sandbox.company()
    with valkey() as url:
        monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", url)
    assert (await bureau("tenants", "add", "--tenant-id", TENANT)).status == 0


async def test_a_company_is_shown_with_who_paused_it_when_and_why(bureau: Shell, planned: list[Billing]) -> None:
    await bureau("pause", "--why", "wrong price list")
    await bureau("tenants", "pause", TENANT, "--why", "new owner")
    await bureau("contracts", "pause", TENANT, 3)
    told = (await bureau("tenants", "show", TENANT, "--json")).json["pauses"]
    assert [(one["level"], one["contract"], one["by"], one["why"]) for one in told] == [
        ("bureau", None, user(), "wrong price list"),
        ("tenant", None, user(), "new owner"),
        ("contract", 3, user(), ""),
    ]
    shown = (await bureau("tenants", "show", TENANT)).out
    assert "paused, otherwise live" in shown
    for line in ("wrong price list", "new owner"):
        assert f"by {user()} since 2026-12-01 06:00: {line}" in shown
    assert "Paused, contract 3" in shown


async def test_a_second_pause_says_that_the_first_one_stands(bureau: Shell, planned: list[Billing]) -> None:
    for words in (("pause",), ("tenants", "pause", TENANT), ("contracts", "pause", TENANT, 1)):
        await bureau(*words, "--why", "the first reason")
        again = await bureau(*words, "--why", "another")
        assert again.status == 0
        assert f"was paused already, by {user()} since 2026-12-01 06:00: the first reason." in again.out


async def test_the_end_of_the_bureau_s_pause_reminds_of_what_stays_paused(
    bureau: Shell, planned: list[Billing]
) -> None:
    assert "was not paused" in (await bureau("resume")).out
    await bureau("pause")
    await bureau("tenants", "pause", TENANT)
    answer = await bureau("resume")
    assert "The bureau is no longer paused." in answer.out
    assert "paused by themselves stay so" in answer.out


async def test_what_stops_a_company_is_shown_with_the_command_that_tries_it_again(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await blocks.put(ledger, TenantId(TENANT), Step.CREATE, Reason.LICENCE_MISSING, {}, "test")
    [stop] = (await bureau("tenants", "show", TENANT, "--json")).json["blocks"]
    assert (stop["reason"], stop["retry"]) == ("licence_missing", planned[0].id)
    command = f"Then type: avtalsmotor billings retry {planned[0].id}\n"
    for words in (("tenants", "show", TENANT), ("contracts", "show", TENANT, 2), ("billings", "show", planned[1].id)):
        shown = (await bureau(*words)).out
        assert "create stopped since 2026-12-01 06:00: The company lacks a licence" in shown
        assert command in shown
    assert (await bureau("billings", "retry", planned[0].id)).status == 0
    assert f"Billing {planned[0].id} is being tried now" in (await bureau("tenants", "show", TENANT)).out


async def test_a_stop_whose_first_tried_billing_is_in_doubt_names_another_to_try(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await blocks.put(ledger, TenantId(TENANT), Step.CREATE, Reason.LICENCE_MISSING, {}, "test")
    await bureau("billings", "retry", planned[0].id)
    await settled(ledger, planned[0], SILENCE, billings.Doubt())
    [stop] = (await bureau("tenants", "show", TENANT, "--json")).json["blocks"]
    assert (stop["tried_first"], stop["retry"]) == (planned[0].id, planned[1].id)
    shown = (await bureau("tenants", "show", TENANT)).out
    assert f"Billing {planned[0].id} was tried first, and what that has done is not known yet." in shown
    assert f"To try another: avtalsmotor billings retry {planned[1].id}\n" in shown
    answer = (await bureau("billings", "retry", planned[1].id)).out
    assert f"Billing {planned[1].id} is tried first" in answer


async def test_a_billing_parked_for_the_reason_is_the_one_to_retry(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await billings.move(ledger, planned[1].id, Step.CREATE, billings.Park(Reason.LICENCE_MISSING), "test")
    [stop] = (await bureau("contracts", "show", TENANT, 1, "--json")).json["blocks"]
    assert stop["retry"] == planned[1].id
    assert (await bureau("billings", "retry", stop["retry"])).status == 0


async def test_a_stop_of_another_step_is_not_told_of_a_billing(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await blocks.put(ledger, TenantId(TENANT), Step.DELIVER, Reason.BANK_DETAILS_MISSING, {}, "test")
    assert (await bureau("billings", "show", planned[0].id, "--json")).json["blocks"] == []
    assert len((await bureau("tenants", "show", TENANT, "--json")).json["blocks"]) == 1


@pytest.mark.parametrize(
    ("unused_days", "days_left", "why", "cure"),
    [
        (30, 14, None, None),
        (32, 12, "and dies 20", "renew it now: avtalsmotor plan --tenant"),
        (46, 0, "has died after 45 days", "avtalsmotor tenants connect --tenant-id"),
    ],
)
async def test_a_company_whose_refresh_token_is_about_to_die_is_shown_with_what_to_do(
    shell: Shell,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    clock_shift: float,
    unused_days: int,
    days_left: int,
    why: str | None,
    cure: str | None,
) -> None:
    await tenants.add(ledger, TenantId(TENANT), "Nordlund", "test")
    await consents.put(ledger, TenantId(TENANT), "user", ["invoice"], "sealed", "test")
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift + unused_days * 86_400))
    access = (await shell("tenants", "show", TENANT, "--json")).json["access"]
    shown = (await shell("tenants", "show", TENANT)).out
    assert access["days_left"] == days_left
    assert f"{days_left} days left" in shown
    if why is None or cure is None:
        assert access["warning"] is None
        assert "needs a person" not in shown
        return
    assert why in access["warning"]["why"]
    assert cure in access["warning"]["cure"]
    assert f"{access['warning']['why']}\n  {access['warning']['cure']}" in shown
