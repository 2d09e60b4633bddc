"""`avtalsmotor status`: figures, queues, and everything that needs a person, each thing once."""

from typing import Any

import pytest
import redis.asyncio

from common.ids import BillingId, TenantId
from common.ledger import billings, blocks
from common.ledger.billings import Park
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.queue import outbox
from common.queue.messages import CreateInvoice
from common.rules.reasons import Reason
from common.rules.states import Step
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT


async def status(shell: Shell) -> dict[str, Any]:
    answer = await shell("status", "--json")
    assert (answer.status, answer.err) == (0, "")
    found: dict[str, Any] = answer.json
    return found


async def test_the_figures_of_each_company_are_told(bureau: Shell, planned: list[Billing]) -> None:
    [company] = (await status(bureau))["companies"]
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
    assert set(queues) == {"invoicing", "evidence", "bookkeeping", "delivery"}
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
    assert (await bureau("status")).out.startswith("EVERYTHING IS PAUSED")
    assert (await status(bureau))["bureau_paused"] is True
    assert (await bureau("resume")).status == 0
    assert (await status(bureau))["bureau_paused"] is False
