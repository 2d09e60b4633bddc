"""What would fail for all invoices of a company is known before the first, and holds what would lie there half done."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from common.ids import TenantId
from common.ledger import audit, preflights, tenants
from common.ledger.preflights import Judged
from common.rules.preflight import Kind
from producers import run
from producers.preflights import Preflights, make
from sandbox.books import ALL_LICENCES, ALL_SCOPES, CONTRACT_LICENCE
from tests.bureau import Bureau, bureau_for
from tests.sandboxes import Sandbox
from tests.scenarios.companies import BJORK, CUSTOMER, GRAN, february, monthly

BOOKKEPT = "2026-02-01..2026-02-28 2026-02-01 125 booked"


@pytest.fixture
async def early(
    sandbox: Sandbox, wrapper: str, database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bureau]:
    """A bureau whose pre-flights are made from five in the morning on."""
    monkeypatch.setattr(run, "PROVE_EVERY", 0.05)
    async with bureau_for(sandbox, redis_url, database_url, tmp_path, preflight_from=time(5, 0)) as running:
        yield running


async def judged(bureau: Bureau, tenant: int = BJORK) -> Judged:
    return (await preflights.judged(bureau.ledger, [TenantId(tenant)]))[TenantId(tenant)]


async def flown(bureau: Bureau, tenant: int = BJORK) -> list[Kind]:
    """What a pre-flight of now finds, made by hand."""
    found = await make(bureau.ledger, bureau.fortnox, TenantId(tenant), "test")
    return [one.kind for one in found.findings]


@pytest.mark.parametrize(
    ("told", "choices", "found"),
    [
        ({}, {}, Kind.LEARNED_LATER),
        ({"consented": False}, {}, Kind.ACCESS_DEAD),
        ({"scopes": sorted(ALL_SCOPES - {"invoice"})}, {}, Kind.SCOPE_MISSING),
        ({"scopes": sorted(ALL_SCOPES - {"noxfinansinvoice"})}, {"deliver": "finance"}, Kind.SCOPE_MISSING),
        ({"scopes": sorted(ALL_SCOPES - {"noxfinansinvoice"})}, {}, Kind.SCOPE_OPTIONAL),
        ({"licences": ["Bokföring"]}, {}, Kind.LICENCE_MISSING),
        ({"integration_licence": False}, {}, Kind.LICENCE_MISSING),
        ({"licences": sorted(ALL_LICENCES - {CONTRACT_LICENCE})}, {}, Kind.FEATURE_MISSING),
        ({"bankgiro": None}, {}, Kind.BANK_DETAILS_MISSING),
        (
            {
                "accounting_method": "CASH",
                "financial_years": [
                    {"id": 1, "from_date": "2026-01-01", "to_date": "2026-12-31", "accounting_method": "CASH"}
                ],
            },
            {},
            Kind.CASH_METHOD,
        ),
        ({"locked_until": "2026-02-28"}, {}, Kind.PERIOD_LOCKED),
        ({"financial_years": []}, {}, Kind.YEAR_MISSING),
        ({"financial_years": [{"id": 1, "from_date": "2025-03-01", "to_date": "2026-02-28"}]}, {}, Kind.YEAR_ENDS),
        ({}, {"deliver": "finance"}, Kind.LEARNED_LATER),
    ],
)
async def test_each_difference_of_a_company_is_found(
    bureau: Bureau, told: Mapping[str, Any], choices: Mapping[str, Any], found: Kind
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, told={**told, "customers": [{**CUSTOMER, "number": "1"}]}, **choices)
    kinds = await flown(bureau)
    assert kinds[0] is found
    assert set(kinds) <= {found, Kind.LICENCE_OPTIONAL, Kind.LEARNED_LATER}


async def test_a_pre_flight_takes_six_requests_and_fewer_where_a_right_is_missing(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={})
    await flown(bureau)
    assert await bureau.calls(BJORK, "/3/**") == 6
    bureau.company(BJORK).scopes -= {"settings", "noxfinansinvoice"}
    await flown(bureau)
    assert await bureau.calls(BJORK, "/3/**") == 6 + 3


async def test_one_read_that_fails_leaves_the_others(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={"bankgiro": None})
    await bureau.sandbox.fault(kind="error", method="GET", path="/3/financialyears", status=500, tenant=BJORK)
    assert await flown(bureau) == [Kind.BANK_DETAILS_MISSING, Kind.NOT_READ, Kind.LEARNED_LATER]


async def test_a_finance_service_that_is_not_activated_stops_the_company_once_and_holds_what_is_due_after_it(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 3, told={"finance_service": None}, deliver="finance")
    await bureau.work()
    assert bureau.books(BJORK) == [f"{number} {BOOKKEPT}" for number in (1, 2, 3)]
    (block,) = await bureau.blocks(BJORK)
    assert (block.step, block.reason) == ("deliver", "finance_inactive")
    asked = await bureau.calls(BJORK, "/3/noxfinansinvoices")
    assert 1 <= asked <= 3  # those that had left before the first was refused

    await february(bureau)
    await bureau.work()
    assert await bureau.stands(BJORK, 4) == ["4 2026-02-01..2026-02-28 create held company_hindered"]
    assert "Fakturatjänster is not activated" in await bureau.why(BJORK, 4)
    assert await bureau.calls(BJORK, "/3/noxfinansinvoices") == asked

    bureau.company(BJORK).finance_service = "SERVICE_FULL"
    parked = next(line for line in await bureau.stands(BJORK) if " parked " in line)
    await bureau.retry(BJORK, int(parked.split()[0]))
    listed = await bureau.calls(BJORK, "/3/contracts")
    await bureau.work_on(bureau.at_rest)
    assert await bureau.calls(BJORK, "/3/contracts") == listed
    assert await bureau.blocks(BJORK) == []
    assert bureau.books(BJORK) == [f"{number} {BOOKKEPT} handed-over" for number in (1, 2, 3, 4)]


async def test_a_finance_service_that_is_not_activated_stops_nothing_that_is_sent_by_other_ways(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2, told={"finance_service": None})
    await bureau.choose(BJORK, contract=1, deliver="finance")
    await bureau.work()
    assert await bureau.stands(BJORK, 1) == ["1 2026-02-01..2026-02-28 deliver parked refused"]
    assert bureau.books(BJORK, 2) == [f"2 {BOOKKEPT} mailed"]
    assert await bureau.blocks(BJORK) == []


async def test_a_scope_that_is_missing_holds_what_needs_it_before_its_invoice_and_lets_go_when_it_is_granted(
    early: Bureau,
) -> None:
    early.at("2026-01-31 12:00")
    scopes = sorted(ALL_SCOPES - {"noxfinansinvoice"})
    await monthly(early, 1, told={"scopes": scopes}, deliver="finance")
    await february(early)
    await early.choose(BJORK, contract=2, deliver="none")
    await early.work(until=has_flown(early))
    early.at("2026-02-01 09:00")
    await early.work()
    assert early.books(BJORK) == [f"2 {BOOKKEPT}"]
    assert await early.stands(BJORK, 1) == ["1 2026-02-01..2026-02-28 create held company_hindered"]
    assert "scope_missing" in {one["status"] for one in await needing_a_person(early)}

    early.company(BJORK).scopes |= {"noxfinansinvoice"}
    early.at("2026-02-01 11:00")
    await early.work_on(lets_go(early))
    await early.work()
    assert early.books(BJORK) == [f"1 {BOOKKEPT} handed-over", f"2 {BOOKKEPT}"]
    assert await needing_a_person(early) == []


async def test_where_no_invoice_waits_to_be_tried_nothing_is_held_behind_a_stop(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, told={"finance_service": None}, deliver="finance")
    await bureau.work()
    await bureau.skip(BJORK, 1)
    await february(bureau)
    await bureau.work()
    assert await bureau.stands(BJORK, 2) == ["2 2026-02-01..2026-02-28 deliver waiting"]


async def test_every_company_is_read_once_a_day_and_again_within_the_hour_where_something_hinders(
    early: Bureau,
) -> None:
    early.at("2026-01-20 04:00")
    await monthly(early, 0, told={})
    await monthly(early, 0, GRAN, told={"locked_until": "2026-12-31"})
    await early.work()
    assert (await judged(early)).made_at is None

    early.at("2026-01-20 06:01")
    await early.work_on(has_flown(early, BJORK, GRAN))
    first = {tenant: (await judged(early, tenant)).made_at for tenant in (BJORK, GRAN)}
    early.at("2026-01-20 07:30")
    await early.work_on(has_flown(early, GRAN, since=first))
    assert (await judged(early)).made_at == first[BJORK]
    early.at("2026-01-21 06:01")
    await early.work_on(has_flown(early, BJORK, since=first))


async def test_a_company_that_cannot_be_read_is_tried_again(early: Bureau) -> None:
    early.at("2026-01-20 06:01")
    await early.sandbox.fault(kind="error", method="GET", path="/3/**", status=500, tenant=BJORK)
    await monthly(early, 0, told={})

    async def failed() -> bool:
        return (await judged(early)).error is not None

    await early.work_on(failed)
    await early.sandbox.control("DELETE", "faults")
    early.at("2026-01-20 06:20")
    await early.work_on(has_flown(early))
    assert (await judged(early)).error is None


async def test_two_producers_make_one_pre_flight(early: Bureau) -> None:
    early.at("2026-01-20 12:00")
    await monthly(early, 0, told={})
    everybody = await tenants.every(early.ledger)
    for one in [Preflights(early.ledger, early.fortnox, time(5, 0)) for _ in range(2)]:
        await one.make(everybody, ())
    assert [one.action for one in await audit.entries(early.ledger)].count("preflight_made") == 1
    assert await early.calls(BJORK, "/3/**") == 6


async def test_what_status_tells_of_a_company_goes_when_a_later_pre_flight_does_not_find_it(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={"bankgiro": None})
    await flown(bureau)
    (item,) = [one for one in await needing_a_person(bureau) if one["status"] != "unread"]
    assert (item["status"], item["tenant"]) == ("bank_details_missing", BJORK)
    bureau.company(BJORK).bankgiro = "5050-1055"
    await flown(bureau)
    assert [one for one in await needing_a_person(bureau) if one["status"] != "unread"] == []


async def needing_a_person(bureau: Bureau) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await bureau.type("status", "--json"))["needs_person"]
    return found


def has_flown(bureau: Bureau, *companies: int, since: Mapping[int, Any] | None = None) -> Any:
    """Whether the companies' pre-flights have been made, since what is said."""

    async def made() -> bool:
        found = [(one, (await judged(bureau, one)).made_at) for one in companies or (BJORK,)]
        return all(at is not None and (since is None or at > since[one]) for one, at in found)

    return made


def lets_go(bureau: Bureau) -> Any:
    """Whether nothing of the company is held any more."""

    async def gone() -> bool:
        return not any(" held " in line for line in await bureau.stands(BJORK))

    return gone
