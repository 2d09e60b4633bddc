"""`avtalsmotor status`: figures, queues, and everything that needs a person, each thing once."""

from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio

from avtalsmotor.cli.session import user
from common.ids import BillingId, TenantId
from common.ledger import billings, blocks, consents, tenants
from common.ledger.billings import Park
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.queue import outbox
from common.queue.messages import CreateInvoice
from common.rules.reasons import Reason
from common.rules.states import Step
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT, Sandbox


async def status(shell: Shell) -> dict[str, Any]:
    answer = await shell("status", "--json")
    assert (answer.status, answer.err) == (0, "")
    found: dict[str, Any] = answer.json
    return found


async def test_the_figures_of_each_company_are_told(bureau: Shell, planned: list[Billing]) -> None:
    [company] = (await status(bureau))["companies"]
    assert company.pop("listed_at").startswith("2026-12-01T05:00")
    assert 0 <= company.pop("listed_age") < 60
    assert company == {
        "tenant": TENANT,
        "name": "Nordlunds IT-drift AB",
        "mode": "live",
        "waiting": 2,
        "created": 0,
        "bookkept": 0,
        "delivered": 0,
        "held": 1,
        "parked": 0,
        "in_doubt": 0,
        "done": 0,
    }


async def test_what_is_held_is_told_with_its_reason_and_its_cure(bureau: Shell, planned: list[Billing]) -> None:
    [item] = (await status(bureau))["needs_person"]
    assert (item["status"], item["reason"], item["billings"]) == ("held", "amount_zero", [planned[2].id])
    shown = (await bureau("status")).out
    assert f"Nordlunds IT-drift AB ({TENANT}), held at create: The contract's total is zero" in shown
    assert f"1 billing: {planned[2].id} (contract 3). Check the rows of the contract in Fortnox" in shown


async def test_a_stop_of_a_company_is_one_item_with_all_that_it_stops(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    for billing in planned[:2]:
        await billings.move(ledger, billing.id, Step.CREATE, Park(Reason.LICENCE_MISSING), "test")
    items = (await status(bureau))["needs_person"]
    assert [(item["status"], item["reason"], item["billings"]) for item in items] == [
        ("blocked", "licence_missing", [planned[0].id, planned[1].id]),
        ("held", "amount_zero", [planned[2].id]),
    ]
    assert items[0]["cure"].startswith("Order the licence in Fortnox")
    assert items[0]["cure"].endswith(f"Then type: avtalsmotor billings retry {planned[0].id}")
    shown = (await bureau("status")).out
    assert shown.count("lacks a licence") == 1
    assert "create stopped since 2026-12-01 06:00" in shown


async def test_a_stop_of_everything_in_a_company_is_shown_without_billings_too(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await blocks.put(ledger, TenantId(TENANT), None, Reason.TOKEN_DEAD, {}, "test")
    first = (await status(bureau))["needs_person"][0]
    assert (first["status"], first["step"], first["billings"]) == ("blocked", None, [])
    assert "everything stopped since" in (await bureau("status")).out


async def test_several_that_stand_still_for_one_reason_are_one_item(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    for billing in planned[:2]:
        await billings.move(ledger, billing.id, Step.CREATE, Park(Reason.RECIPIENT_MISSING), "test")
    parked = (await status(bureau))["needs_person"][0]
    assert (parked["reason"], parked["contracts"]) == ("recipient_missing", [1, 2])
    assert f"2 billings: {planned[0].id}, {planned[1].id}. " in (await bureau("status")).out


async def test_the_depth_of_each_queue_is_told(bureau: Shell, planned: list[Billing], redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await outbox.enqueue(client, [CreateInvoice(tenant=TenantId(TENANT), billing=BillingId(1))])
    queues = {queue["queue"]: queue for queue in (await status(bureau))["queues"]}
    assert set(queues) == {"invoicing", "evidence", "bookkeeping", "delivery", "pricing"}
    assert queues["invoicing"]["ready"] == 1
    assert queues["invoicing"]["oldest_age"] >= 0


async def test_with_redis_out_of_reach_the_rest_is_told_all_the_same(
    bureau: Shell, planned: list[Billing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", "redis://127.0.0.1:9/0")
    told = await status(bureau)
    assert told["queues"] is None
    assert "Redis did not answer" in told["queues_unknown"]
    assert len(told["needs_person"]) == 1
    assert "AVTALSMOTOR_REDIS_URL" in (await bureau("status")).out


async def test_without_a_queue_server_it_says_how_to_start_one(shell: Shell) -> None:
    assert "Start one with all roles: avtalsmotor up" in (await shell("status")).out


async def test_the_kill_switch_is_told_before_all_else(bureau: Shell, planned: list[Billing]) -> None:
    assert (await bureau("pause", "--why", "wrong price list")).status == 0
    shown = (await bureau("status")).out
    assert shown.startswith(f"EVERYTHING IS PAUSED by {user()} since 2026-12-01 06:00: wrong price list\n")
    told = await status(bureau)
    assert told["bureau_paused"] is True
    assert [(one["level"], one["why"]) for one in told["pauses"]] == [("bureau", "wrong price list")]
    assert (await bureau("resume")).status == 0
    assert (await status(bureau))["bureau_paused"] is False


async def test_pauses_are_told_with_who_when_and_why(bureau: Shell, planned: list[Billing]) -> None:
    await bureau("tenants", "pause", TENANT, "--why", "new owner")
    await bureau("contracts", "pause", TENANT, 2)
    told = (await status(bureau))["pauses"]
    assert [(one["level"], one["tenant"], one["contract"], one["why"]) for one in told] == [
        ("tenant", TENANT, None, "new owner"),
        ("contract", TENANT, 2, ""),
    ]
    shown = (await bureau("status")).out
    by = f"by {user()} since 2026-12-01 06:00"
    assert f"Nordlunds IT-drift AB ({TENANT}), {by}: new owner\n" in shown
    assert f"Contract 2 of Nordlunds IT-drift AB ({TENANT}), {by}\n" in shown
    assert f"avtalsmotor contracts resume {TENANT} 2" in shown
    await bureau("contracts", "resume", TENANT, 2)
    assert [one["level"] for one in (await status(bureau))["pauses"]] == ["tenant"]


async def test_a_company_never_read_needs_a_person(bureau: Shell, sandbox: Sandbox) -> None:
    await sandbox.company(name="Nordlund")
    await bureau("tenants", "add", "--tenant-id", TENANT)
    [item] = (await status(bureau))["needs_person"]
    assert (item["status"], item["tenant"], item["since"]) == ("unread", TENANT, None)
    shown = (await bureau("status")).out
    assert f"Nordlund ({TENANT}): Its contracts have never been read" in shown
    assert f"that Fortnox is reachable: avtalsmotor plan --tenant {TENANT}" in shown
    await bureau("plan")
    assert (await status(bureau))["needs_person"] == []


@pytest.mark.parametrize(("interval", "missed"), [("400", False), ("300", True)])
async def test_a_company_not_read_for_three_poll_intervals_needs_a_person(
    shell: Shell, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, interval: str, missed: bool
) -> None:
    await tenants.add(ledger, TenantId(TENANT), "Nordlund", "test")
    await tenants.note_listing(ledger, TenantId(TENANT), await ledger.now() - timedelta(seconds=1000))
    monkeypatch.setenv("AVTALSMOTOR_POLL_INTERVAL", interval)
    told = await status(shell)
    assert [item["status"] for item in told["needs_person"]] == ["unread"] * missed
    assert told["companies"][0]["listed_age"] == pytest.approx(1000, abs=60)
    shown = (await shell("status")).out
    assert ("Its contracts were last read 2026-12-01 05:43" in shown) is missed
    assert "16 min" in shown


async def test_a_company_that_is_stopped_altogether_is_not_told_again_as_unread(shell: Shell, ledger: Ledger) -> None:
    await tenants.add(ledger, TenantId(TENANT), "Nordlund", "test")
    await blocks.put(ledger, TenantId(TENANT), None, Reason.TOKEN_DEAD, {}, "test")
    assert [item["status"] for item in (await status(shell))["needs_person"]] == ["blocked"]


@pytest.mark.parametrize(
    ("days", "told"), [(30, None), (32, "if it is not used"), (46, "has died after 45 days. Connect the company again")]
)
async def test_a_refresh_token_that_is_not_used_needs_a_person_a_fortnight_before_it_dies(
    shell: Shell, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clock_shift: float, days: int, told: str | None
) -> None:
    await tenants.add(ledger, TenantId(TENANT), "Nordlund", "test")
    await consents.put(ledger, TenantId(TENANT), "user", ["invoice"], "sealed", "test")
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift + days * 86_400))
    items = [one for one in (await status(shell))["needs_person"] if one["status"] == "access_ageing"]
    assert [told in f"{one['why']} {one['cure']}" for one in items if told] == [True] * bool(told)
    assert len(items) == bool(told)


async def test_many_companies_that_are_not_read_are_one_item_on_the_screen(shell: Shell, ledger: Ledger) -> None:
    for number in range(1, 13):
        await tenants.add(ledger, TenantId(number), f"Bolag {number:02}", "test")
    assert len((await status(shell))["needs_person"]) == 12
    shown = (await shell("status")).out
    assert shown.count("that Fortnox is reachable") == 1
    assert "12 companies' contracts have not been read for long" in shown
    assert "Bolag 01 (1, never), " in shown
    assert " and 4 more. See that" in shown
