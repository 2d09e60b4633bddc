"""The control API: clock, switches, log, companies by hand, and what a person does."""

import time
from typing import Any

import pytest

from tests.sandboxes import TENANT, Sandbox


async def status_of(sandbox: Sandbox, method: str, path: str, body: Any = None) -> int:
    async with sandbox.admin.request(method, f"/_sandbox/{path}", json=body) as response:
        return response.status


async def test_the_clock_follows_real_time_until_it_is_set_moved_or_frozen(sandbox: Sandbox) -> None:
    assert abs(sandbox.world.clock.now().timestamp() - time.time()) < 1
    clock = await sandbox.control("PUT", "clock", {"set": "2026-12-31T23:59:59", "frozen": True})
    assert (clock["now"], clock["today"]) == ("2026-12-31T23:59:59+01:00", "2026-12-31")
    assert (await sandbox.control("PUT", "clock", {"move": 1}))["today"] == "2027-01-01"
    await sandbox.control("PUT", "clock", {"frozen": False})
    before = sandbox.world.clock.now()
    assert sandbox.world.clock.now() >= before


async def test_a_day_of_summer_time_change_has_23_hours(sandbox: Sandbox) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-03-28T12:00:00", "frozen": True})
    assert (await sandbox.control("PUT", "clock", {"move": 86400}))["now"] == "2026-03-29T13:00:00+02:00"


async def test_the_log_says_when_a_request_arrived_and_when_its_last_byte_left(sandbox: Sandbox) -> None:
    await sandbox.company()
    began = time.time()
    await sandbox.get("contracts?filter=active")
    (entry,) = await sandbox.requests(f"since={began}&path=/3/contracts")
    assert began <= entry["arrived"] <= entry["answered"] <= time.time()
    assert (entry["method"], entry["query"], entry["status"]) == ("GET", "filter=active", 200)
    assert (entry["tenant"], entry["client"]) == (TENANT, "sandbox-client")


async def test_the_log_can_be_asked_for_what_came_after_a_number_and_forgotten(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.get("contracts")
    last = (await sandbox.requests())[-1]["number"]
    await sandbox.get("invoices")
    assert [entry["path"] for entry in await sandbox.requests(f"after={last}")] == ["/3/invoices"]
    assert len(await sandbox.requests("limit=1")) == 1
    await sandbox.control("DELETE", "requests")
    assert await sandbox.requests() == []


async def test_control_calls_are_neither_limited_nor_faulted_nor_logged(sandbox: Sandbox) -> None:
    sandbox.world.behaviour.limit = 1
    await sandbox.fault(kind="error")
    for _ in range(3):
        await sandbox.control("GET", "clock")
    assert await sandbox.requests() == []


async def test_switches_are_changed_together_or_not_at_all(sandbox: Sandbox) -> None:
    assert await status_of(sandbox, "PATCH", "behaviour", {"create_answer": "Invoice", "limit": 0}) == 400
    assert sandbox.world.behaviour.create_answer == "Contract"
    assert await status_of(sandbox, "PATCH", "behaviour", {"nonsense": 1}) == 400
    assert (await sandbox.control("PATCH", "behaviour", {"create_answer": "Invoice"}))["create_answer"] == "Invoice"


async def test_a_company_is_made_and_changed_by_hand(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control(
        "PATCH",
        f"companies/{TENANT}",
        {
            "locked_until": "2026-01-31",
            "licences": ["Kundfaktura"],
            "customers": [{"number": "1", "email": "ny@kund.example"}],
            "contracts": [{"number": 5, "period_start": "2026-01-01", "period_end": "2026-03-31", "interval": 3}],
        },
    )
    company = sandbox.world.companies[TENANT]
    assert company.licences == {"Kundfaktura"}
    assert company.customers["1"].name == "Åkes Bygg AB"
    assert company.customers["1"].email == "ny@kund.example"
    assert company.contracts[5].interval == 3
    assert str(company.locked_until) == "2026-01-31"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"tenant": TENANT}, 400),
        ({}, 400),
        ({"tenant": 8, "contracts": [{"customer_number": "nobody"}]}, 400),
        ({"tenant": 8, "locked_until": "yesterday"}, 400),
    ],
)
async def test_a_company_that_cannot_be_made_is_refused_with_the_reason(
    sandbox: Sandbox, body: dict[str, Any], status: int
) -> None:
    await sandbox.company()
    assert await status_of(sandbox, "POST", "companies", body) == status
    assert list(sandbox.world.companies) == [TENANT]


async def test_the_state_shows_everything_of_a_company(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.put("contracts/1/createinvoice")
    state = await sandbox.control("GET", f"state?tenant={TENANT}")
    assert state["invoices"]["1"]["created_by"] == "api"
    assert [deed["action"] for deed in state["contracts"]["1"]["deeds"]] == ["createinvoice"]
    assert set((await sandbox.control("GET", "state"))["companies"]) == {str(TENANT)}


async def test_a_persons_invoice_is_marked_as_a_persons(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    answered = await person(sandbox, action="create_invoice", contract=1, invoice_date="2026-01-03")
    assert answered["Invoice"]["InvoiceDate"] == "2026-01-03"
    assert company.invoices[1].created_by == "person"
    await person(sandbox, action="write_invoice", customer="1", rows=[{"article_number": "A1", "quantity": 2}])
    assert company.invoices[2].total == 250
    assert company.invoices[2].invoice_type == "INVOICE"
    for action in ("bookkeep", "email", "hand_over", "credit"):
        await person(sandbox, action=action, invoice=1)
    assert {deed.by for deed in company.invoices[1].deeds} == {"person"}
    assert company.invoices[3].credit
    await person(sandbox, action="cancel", invoice=2)
    assert company.invoices[2].cancelled


async def test_a_person_can_set_a_period_back_and_stop_a_contract(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    await sandbox.put("contracts/1/createinvoice")
    await person(sandbox, action="set_period", contract=1, period_start="2026-01-01", period_end="2026-01-31")
    assert str(company.contracts[1].period_start) == "2026-01-01"
    for action, status in (("deactivate", "INACTIVE"), ("activate", "ACTIVE"), ("finish", "FINISHED")):
        await person(sandbox, action=action, contract=1)
        assert company.contracts[1].status == status


async def test_what_fortnox_refuses_a_person_is_refused_here(sandbox: Sandbox) -> None:
    await sandbox.company()
    assert await status_of(sandbox, "POST", f"companies/{TENANT}/person", {"action": "cancel", "invoice": 9}) == 409
    assert await status_of(sandbox, "POST", f"companies/{TENANT}/person", {"action": "dance"}) == 400


async def test_seeding_answers_what_the_companies_wish_and_the_summary_judges_it(sandbox: Sandbox) -> None:
    seeded = await sandbox.control("POST", "seed", {"number": 1, "companies": 3, "scale": 0.2})
    assert len(seeded["companies"]) == len(sandbox.world.companies) == 3
    assert await sandbox.control("GET", "wishes") == seeded
    assert (await sandbox.control("GET", "summary"))["clean"] is False


async def test_a_summary_without_a_story_says_to_seed_first(sandbox: Sandbox) -> None:
    async with sandbox.admin.get("/_sandbox/summary") as response:
        assert response.status == 404
        assert "seed it first" in (await response.json())["error"]


async def person(sandbox: Sandbox, **deed: Any) -> Any:
    return await sandbox.control("POST", f"companies/{TENANT}/person", deed)
