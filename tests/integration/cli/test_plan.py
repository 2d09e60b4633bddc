"""`avtalsmotor plan`: what the producer would do, read from Fortnox first, with nothing done."""

from datetime import date
from typing import Any

import pytest

from avtalsmotor.cli.session import user
from common.ids import TenantId
from common.ledger import billings
from common.ledger.database import Ledger
from producers.planner import insert_due
from tests.integration.cli.conftest import FREE, Shell
from tests.sandboxes import TENANT, Sandbox

DECEMBER: dict[str, Any] = {"period_start": "2026-12-01", "period_end": "2026-12-31"}


async def take_on(bureau: Shell, sandbox: Sandbox, *said: str, tenant: int = TENANT, name: str = "Nordlund") -> None:
    await sandbox.company(tenant, name=name)
    assert (await bureau("tenants", "add", "--tenant-id", tenant, *said)).status == 0


async def items(shell: Shell, *words: str | int) -> list[dict[str, Any]]:
    answer = await shell("plan", *words, "--json")
    assert (answer.status, answer.err) == (0, "")
    found: list[dict[str, Any]] = answer.json
    return found


async def test_the_plan_is_what_the_producer_then_does(bureau: Shell, sandbox: Sandbox, ledger: Ledger) -> None:
    await take_on(bureau, sandbox, "--live", "--bookkeep")
    await sandbox.contract(**DECEMBER)
    await sandbox.contract(**DECEMBER, rows=FREE)
    await sandbox.contract(period_start="2027-01-01", period_end="2027-01-31")
    planned = await items(bureau)
    assert [item["outcome"] for item in planned] == ["bill", "hold", "none"]
    done = await insert_due(ledger, TenantId(TENANT), ledger.clock.today(), "test")
    assert [
        (item["contract"], item["period_start"], item["amount"], item["invoice_date"], item["bookkeep"])
        for item in planned
        if item["outcome"] != "none"
    ] == [
        (one.contract, str(one.period.start), f"{one.amount:.2f}", str(one.invoice_date), one.policy.bookkeep)
        for one in done
    ]


async def test_an_item_tells_everything_that_a_bureau_asks(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live", "--bookkeep", "--deliver", "email")
    await sandbox.contract(**DECEMBER, rows=[{"article_number": "A1", "quantity": "2"}])
    assert await items(bureau) == [
        {
            "tenant": TENANT,
            "tenant_name": "Nordlund",
            "contract": 1,
            "customer_number": "1",
            "customer": "Åkes Bygg AB",
            "period_start": "2026-12-01",
            "period_end": "2026-12-31",
            "due_on": "2026-12-01",
            "invoice_date": "2026-12-01",
            "amount": "250.00",
            "currency": "SEK",
            "bookkeep": True,
            "deliver": "email",
            "way": "email",
            "deliver_on": "any",
            "outcome": "bill",
            "reason": "due",
            "why": "The period is due.",
            "would": None,
            "would_reason": None,
            "paused_levels": [],
            "preview": False,
            "warnings": [],
        }
    ]


async def test_the_table_says_in_words_what_happens(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    await sandbox.contract(**DECEMBER, rows=FREE)
    await sandbox.contract(period_start="2027-01-01", period_end="2027-01-31")
    shown = await bureau("plan")
    assert shown.status == 0
    _, company, _, first, second, third, *_ = shown.out.splitlines()
    assert company == f"Nordlund ({TENANT})"
    assert first.endswith("125.00 SEK  is invoiced")
    assert "is held: the contract's total is zero" in second
    assert third.endswith("nothing: the period is not due yet.")
    assert "To invoice: 1 contract, 125.00 SEK\n" in shown.out
    assert "Held for a yes: 1 contract, 0.00 SEK\n" in shown.out


async def test_the_table_says_that_invoices_are_sent_on_banking_days(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live", "--bookkeep", "--deliver", "email", "--deliver-on", "banking_days")
    await sandbox.contract(**DECEMBER)
    assert "is invoiced, then: bookkeep, email on banking days\n" in (await bureau("plan")).out
    assert "bookkeep, email on banking days" in (await bureau("tenants", "list")).out


async def test_a_company_in_proposal_mode_is_shown_what_would_be(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox)
    await sandbox.contract(**DECEMBER, rows=FREE)
    await sandbox.contract(period_start="2027-01-01", period_end="2027-01-31")
    await sandbox.contract(**DECEMBER)
    planned = await items(bureau)
    assert [(item["outcome"], item["reason"]) for item in planned[:2]] == [("none", "proposal"), ("none", "not_yet")]
    assert [(item["would"], item["would_reason"]) for item in planned] == [
        ("hold", "amount_zero"),
        ("none", "not_yet"),
        ("bill", "due"),
    ]
    shown = (await bureau("plan")).out
    first, second, third = shown.splitlines()[3:6]
    assert first.endswith("would be invoiced")
    assert "would be held: the contract's total is zero" in second
    assert third.endswith("nothing: the period is not due yet.")
    assert "Would be invoiced, if live: 1 contract, 125.00 SEK" in shown
    assert "Would be held for a yes, if live: 1 contract, 0.00 SEK" in shown
    assert "Nothing now: 1 contract" in shown


async def test_an_interval_of_one_month_is_told_in_the_singular(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(period_start="2026-08-01", period_end="2026-08-31")
    shown = (await bureau("plan")).out + (await bureau("contracts", "show", TENANT, 1)).out
    assert "interval: 1 month)" in shown
    assert "1 months" not in shown


async def test_planning_calls_nothing_with_an_effect_and_inserts_nothing(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    await items(bureau)
    assert {request["method"] for request in await sandbox.requests() if request["path"].startswith("/3/")} == {"GET"}
    assert not [request for request in await sandbox.requests() if "email" in request["path"]]
    assert await billings.find(ledger) == []


async def test_a_date_plans_as_of_that_day(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(period_start="2027-01-01", period_end="2027-01-31")
    assert [item["outcome"] for item in await items(bureau, "--date", "2026-12-31")] == ["none"]
    assert [item["invoice_date"] for item in await items(bureau, "--date", "2027-01-01")] == ["2027-01-01"]


async def test_days_show_later_periods_as_a_preview(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    planned = await items(bureau, "--days", 62)
    assert [(item["period_start"], item["preview"], item["outcome"]) for item in planned] == [
        ("2026-12-01", False, "bill"),
        ("2027-01-01", True, "none"),
        ("2027-02-01", True, "none"),
    ]
    assert (await bureau("plan", "--days", 62)).out.count("will be invoiced") == 2


async def test_a_period_that_will_be_due_is_shown_once(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live", "--bookkeep")
    await sandbox.contract(period_start="2027-01-01", period_end="2027-01-31")
    shown = (await bureau("plan", "--days", 40)).out
    assert shown.count("2027-01-01..2027-01-31") == 1
    assert "will be invoiced, then: bookkeep" in shown
    assert "Later: 1 period, 125.00 SEK" in shown


async def test_one_company_can_be_planned_alone(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, tenant=1, name="Ett")
    await take_on(bureau, sandbox, tenant=2, name="Två")
    for tenant in (1, 2):
        await sandbox.contract(tenant, **DECEMBER)
    assert [item["tenant_name"] for item in await items(bureau)] == ["Ett", "Två"]
    assert [item["tenant_name"] for item in await items(bureau, "--tenant", 2)] == ["Två"]
    assert (await bureau("plan", "--tenant", 3)).status == 1


async def test_what_changed_in_fortnox_is_read_before_planning_unless_told_not_to(
    bureau: Shell, sandbox: Sandbox
) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    assert len(await items(bureau)) == 1
    await sandbox.contract(**DECEMBER)
    assert len(await items(bureau, "--no-read")) == 1
    assert len(await items(bureau)) == 2


async def test_a_company_that_cannot_be_read_is_planned_from_the_mirror_with_a_warning(
    bureau: Shell, sandbox: Sandbox
) -> None:
    await take_on(bureau, sandbox, "--live", tenant=1, name="Ett")
    await take_on(bureau, sandbox, "--live", tenant=2, name="Två")
    for tenant in (1, 2):
        await sandbox.contract(tenant, **DECEMBER)
    await bureau("plan")
    sandbox.world.companies[2].scopes.discard("invoice")
    await sandbox.contract(1, **DECEMBER)
    answer = await bureau("plan", "--json")
    assert answer.status == 0
    assert [item["tenant_name"] for item in answer.json] == ["Ett", "Ett", "Två"]
    assert answer.err.startswith(
        "Warning: Could not be read from Fortnox, so the plan is of what was read before: Två (2,"
    )
    assert "Ett" not in answer.err
    assert "behörighet" in answer.err


async def test_without_redis_the_plan_is_of_the_mirror_with_one_warning_for_all(
    bureau: Shell, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (1, 2):
        await take_on(bureau, sandbox, "--live", tenant=tenant, name=f"Bolag {tenant}")
        await sandbox.contract(tenant, **DECEMBER)
    await bureau("plan")
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", "redis://127.0.0.1:9/0")
    answer = await bureau("plan", "--json")
    assert answer.status == 0
    assert len(answer.json) == 2
    assert answer.err.count("Warning:") == 1
    assert "AVTALSMOTOR_REDIS_URL" in answer.err


async def test_without_credentials_the_plan_is_of_the_mirror_and_the_variables_are_named(
    bureau: Shell, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    await bureau("plan")
    monkeypatch.delenv("AVTALSMOTOR_FORTNOX_CLIENT_SECRET")
    answer = await bureau("plan", "--json")
    assert len(answer.json) == 1
    assert "AVTALSMOTOR_FORTNOX_CLIENT_SECRET not set" in answer.err


async def test_a_contract_is_shown_with_its_plan_its_billings_and_its_rules(
    bureau: Shell, sandbox: Sandbox, ledger: Ledger
) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    await bureau("plan")
    shown = (await bureau("contracts", "show", TENANT, 1, "--json")).json
    assert shown["plan"][0]["outcome"] == "bill"
    assert shown["billings"] == []
    assert shown["decided_by"]["mode"] == "tenant"
    await insert_due(ledger, TenantId(TENANT), date(2026, 12, 1), "test")
    shown = (await bureau("contracts", "show", TENANT, 1, "--json")).json
    assert shown["plan"][0]["reason"] == "already_billed"
    assert [(billing["step"], billing["status"]) for billing in shown["billings"]] == [("create", "waiting")]
    text = (await bureau("contracts", "show", TENANT, 1)).out
    for told in ("Åkes Bygg AB (1)", "2026-12-01..2026-12-31", "What happens now", "Billings", "Rules"):
        assert told in text


async def test_a_paused_contract_is_planned_as_paused_until_it_is_resumed(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    await bureau("plan")
    assert (await bureau("contracts", "pause", TENANT, 1, "--why", "dispute")).status == 0
    assert [(item["reason"], item["paused_levels"]) for item in await items(bureau)] == [("paused", ["contract"])]
    assert (await bureau("contracts", "list", "--json")).json[0]["paused"] is True
    assert (await bureau("contracts", "resume", TENANT, 1)).status == 0
    assert [item["reason"] for item in await items(bureau)] == ["due"]


async def test_a_paused_row_says_at_which_level_it_is_paused_by_whom_and_why(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    await sandbox.contract(**DECEMBER)
    await bureau("plan")
    await bureau("tenants", "pause", TENANT, "--why", "new owner")
    await bureau("pause")
    shown = (await bureau("plan")).out
    since = "since 2026-12-01 06:00"
    assert (
        f"nothing: the whole bureau is paused by {user()} {since}; the company is paused by {user()} {since}" in shown
    )
    assert f"{since}: new owner" in shown


async def test_the_end_of_a_contract_s_pause_says_what_stops_it_still(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox)
    await sandbox.contract(**DECEMBER)
    await bureau("plan")
    assert "Contract 1 of company 4711 was not paused" in (await bureau("contracts", "resume", TENANT, 1)).out
    await bureau("contracts", "pause", TENANT, 1)
    await bureau("tenants", "pause", TENANT)
    answer = await bureau("contracts", "resume", TENANT, 1)
    assert "is no longer paused." in answer.out
    assert f"nothing is called for it until avtalsmotor tenants policy {TENANT} --live" in answer.out
    assert f"is paused, so nothing happens until: avtalsmotor tenants resume {TENANT}" in answer.out


async def test_a_contract_is_shown_with_who_paused_it_when_and_why(bureau: Shell, sandbox: Sandbox) -> None:
    await take_on(bureau, sandbox, "--live")
    for _ in range(2):
        await sandbox.contract(**DECEMBER)
    await bureau("plan")
    await bureau("contracts", "pause", TENANT, 1, "--why", "an old dispute")
    await bureau("contracts", "resume", TENANT, 1)
    await bureau("contracts", "pause", TENANT, 1, "--why", "dispute")
    [pause] = (await bureau("contracts", "show", TENANT, 1, "--json")).json["pauses"]
    assert (pause["level"], pause["contract"], pause["by"], pause["why"]) == ("contract", 1, user(), "dispute")
    text = (await bureau("contracts", "show", TENANT, 1)).out
    assert f"Paused, the contract  by {user()} since 2026-12-01 06:00: dispute" in text
    assert (await bureau("contracts", "show", TENANT, 2, "--json")).json["pauses"] == []
