"""Tomorrow's invoices are planned the evening before and leave as the day begins; until then a person decides."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from common.clock import STOCKHOLM, boottime
from common.ids import TenantId
from common.ledger import audit
from producers import midnight
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, february, monthly, proven

FEBRUARY = """
    1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
"""
CREATES = "/3/contracts/*/createinvoice"


async def evening(bureau: Bureau, contracts: int = 3, **choices: Any) -> None:
    """Half past eleven in the evening before February begins, of a company whose creates are proven by January."""
    await proven(bureau, contracts, **choices)
    bureau.at("2026-01-31 23:30")
    await bureau.work()


async def through_midnight(bureau: Bureau, when: str = "2026-02-01 00:00") -> list[datetime]:
    """Works from shortly before midnight to the end, and tells when the creates of the new day arrived.

    However slow the machine is, the company is listed for midnight before the last second of the day begins.
    """
    day = datetime.fromisoformat(when)
    eve = date.fromordinal(day.toordinal() - 1)
    midnight = day.replace(tzinfo=STOCKHOLM).astimezone(UTC)
    jumped = False
    bureau.at(f"{eve} 23:59:50")

    async def done() -> bool:
        nonlocal jumped
        if not jumped and await bureau.is_listed_for_midnight(BJORK):
            jumped = True
            bureau.at(f"{eve} 23:59:59")
        return bureau.settings.clock.now() > midnight and await bureau.at_rest()

    await bureau.work_on(done)
    return await instants(bureau, CREATES, since=midnight)


async def instants(bureau: Bureau, path: str, *, since: datetime) -> list[datetime]:
    found = await bureau.sandbox.requests(f"tenant={BJORK}&path={path}")
    arrived = [datetime.fromisoformat(one["instant"]).astimezone(UTC) for one in found]
    return sorted(one for one in arrived if one >= since)


async def actions(bureau: Bureau, contract: int) -> list[str]:
    entries = await audit.entries(bureau.ledger)
    return [entry.action for entry in entries if entry.contract == contract and entry.action != "creates_proven"]


async def february_stands(bureau: Bureau) -> list[str]:
    return [line for line in await bureau.stands(BJORK) if "2026-02-01" in line]


async def test_what_is_due_tomorrow_waits_for_midnight_and_leaves_then_without_a_read(bureau: Bureau) -> None:
    await evening(bureau)
    assert await february_stands(bureau) == lines(
        """
        1 2026-02-01..2026-02-28 create waiting
        2 2026-02-01..2026-02-28 create waiting
        3 2026-02-01..2026-02-28 create waiting
        """
    )
    assert len(bureau.books(BJORK)) == 3
    arrived = await through_midnight(bureau)
    assert [one for one in bureau.books(BJORK) if "2026-02-01.." in one] == lines(FEBRUARY)
    assert len(arrived) == 3
    reads = [
        one
        for path in ("/3/contracts", "/3/contracts/*", "/3/settings/*", "/3/financialyears")
        for one in await instants(bureau, path, since=datetime(2026, 1, 31, 23, tzinfo=UTC))
    ]
    # The day's own reads may follow; nothing is read between midnight and the last create.
    assert [one for one in reads if one <= arrived[-1]] == []


async def test_a_contract_that_is_ended_before_midnight_is_not_invoiced_and_needs_nobody(bureau: Bureau) -> None:
    await evening(bureau)
    bureau.in_fortnox(BJORK, "finish", contract=2)
    await through_midnight(bureau)
    made = [one for one in bureau.books(BJORK) if "2026-02-01.." in one]
    assert [one.split()[0] for one in made] == ["1", "3"]
    assert "2 2026-02-01..2026-02-28 create voided withdrawn" in await february_stands(bureau)
    assert (await actions(bureau, 2))[-2:] == ["planned", "withdrawn"]


@pytest.mark.parametrize("change", ["pause", "proposal", "due_later"])
async def test_a_persons_word_before_midnight_holds(bureau: Bureau, change: str) -> None:
    await evening(bureau)
    if change == "pause":
        await bureau.pause(BJORK)
    elif change == "proposal":
        await bureau.choose(BJORK, mode="proposal")
    else:
        await bureau.choose(BJORK, lead_days=-5)
    assert await through_midnight(bureau) == []
    assert len(bureau.books(BJORK)) == 3


async def test_a_due_day_that_is_moved_in_the_last_moment_is_kept_at_the_call(bureau: Bureau) -> None:
    await evening(bureau)
    async with bureau.without_workers():
        bureau.at("2026-02-01 00:00:01")

        async def sent() -> bool:
            return await bureau._on_the_queue("invoicing") == 3

        await bureau.work_on(sent)
    await bureau.choose(BJORK, lead_days=-5)
    await bureau.work()
    assert len(bureau.books(BJORK)) == 3
    assert all(line.endswith("voided withdrawn") for line in await february_stands(bureau))
    bureau.at("2026-02-06 08:00")
    await bureau.work()
    assert [one.split()[2] for one in bureau.books(BJORK) if "2026-02-01.." in one] == ["2026-02-06"] * 3


async def test_a_price_that_changes_before_midnight_is_judged_anew(bureau: Bureau) -> None:
    await evening(bureau)
    bureau.company(BJORK).contracts[1].rows[0].quantity = Decimal(2)
    await through_midnight(bureau)
    assert [one.split()[0] for one in bureau.books(BJORK) if "2026-02-01.." in one] == ["2", "3"]
    bureau.at("2026-02-01 08:00")
    await bureau.work()
    assert (await bureau.stands(BJORK, 1))[-1] == "1 2026-02-01..2026-02-28 create held amount_changed"


async def test_the_plan_shows_tomorrows_invoices_as_going_out_tomorrow(bureau: Bureau) -> None:
    await evening(bureau)
    items = json.loads(await bureau.type("plan", "--days", "1", "--json", "--no-read"))
    tomorrow = [(one["contract"], one["due_on"], one["reason"]) for one in items if one["preview"]]
    assert tomorrow == [(1, "2026-02-01", "due"), (2, "2026-02-01", "due"), (3, "2026-02-01", "due")]
    assert "not_yet" in {one["reason"] for one in items if not one["preview"]}


async def test_the_proof_of_the_evening_says_nothing_of_what_is_due_tomorrow(bureau: Bureau) -> None:
    await evening(bureau)
    report = json.loads(await bureau.type("reconcile", "--json"))
    assert "2026-02-01" not in json.dumps(report[0]["lines"])


async def test_an_invoice_made_at_midnight_is_the_one_of_that_day(bureau: Bureau) -> None:
    """A second period that falls due on the same day waits for the next one."""
    await evening(bureau, 1, invoice_date="period_start")
    await through_midnight(bureau)
    bureau.at("2026-02-01 09:00")
    await bureau.choose(BJORK, lead_days=28)
    await bureau.work()
    assert (await bureau.stands(BJORK))[-1] == "1 2026-03-01..2026-03-31 create held one_a_day"


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2027-01-01"])
async def test_nights_of_another_length_and_the_end_of_the_year_begin_at_midnight_too(bureau: Bureau, day: str) -> None:
    first = date.fromisoformat(day)
    eve = date.fromordinal(first.toordinal() - 1)
    years = [{"from_date": f"{year}-01-01", "to_date": f"{year}-12-31"} for year in (2026, 2027)]
    await monthly(
        bureau, 0, told={"customers": [{"number": "1", "name": "A", "email": "a@a.example"}], "financial_years": years}
    )
    last = date(first.year + first.month // 12, first.month % 12 + 1, first.day).toordinal() - 1
    await february(bureau, period_start=day, period_end=str(date.fromordinal(last)))
    bureau.at(f"{eve} 23:10")
    await bureau.work()
    assert len(await bureau.billings()) == 1
    arrived = await through_midnight(bureau, f"{day} 00:00")
    assert [one.astimezone(STOCKHOLM).date() for one in arrived] == [first]
    assert [line.split()[2] for line in bureau.books(BJORK)] == [day]


async def test_what_the_books_keep_from_being_planned_ahead_is_read_for_as_the_day_begins(bureau: Bureau) -> None:
    """At the end of a year the accounting method may change: whether an invoice is booked is known only then."""
    years = [
        {"from_date": "2026-01-01", "to_date": "2026-12-31"},
        {"from_date": "2027-01-01", "to_date": "2027-12-31", "accounting_method": "CASH"},
    ]
    await monthly(
        bureau, 0, told={"customers": [{"number": "1", "name": "A", "email": "a@a.example"}], "financial_years": years}
    )
    await february(bureau, period_start="2027-01-01", period_end="2027-01-31")
    bureau.at("2026-12-31 23:10")
    await bureau.work()
    assert await bureau.billings() == []
    bureau.at("2026-12-31 23:59:58")

    async def made() -> bool:
        return bool(bureau.books(BJORK)) and await bureau.at_rest()

    await bureau.work_on(made)
    assert [line.split()[2] for line in bureau.books(BJORK)] == ["2027-01-01"]
    assert "booked" not in bureau.books(BJORK)[0]


async def test_a_pass_that_goes_on_when_the_turns_for_midnight_are_told_costs_a_company_none(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    await evening(bureau)
    monkeypatch.setattr(midnight, "SPREAD_BEFORE", 120.0)
    bureau.at("2026-01-31 23:58:00")
    await bureau.work()
    assert bureau.producer._next_poll[TenantId(BJORK)] - boottime() < 120
