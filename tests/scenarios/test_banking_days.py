"""Invoices that are sent on banking days only: made and booked on their day, and sent once the banks are open again."""

import pytest

from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, CUSTOMER, monthly

SATURDAY = -20
"""Days before the period's start: the contract for February falls due on Saturday the 21st."""

BOOKED = "1 2026-02-01..2026-02-28 2026-02-21 125 booked"
BOTH = f"{BOOKED} mailed"


async def test_what_falls_due_after_a_friday_evening_is_sent_on_monday_at_eight(bureau: Bureau) -> None:
    bureau.at("2026-02-20 23:30")
    await monthly(bureau, 1, lead_days=SATURDAY, deliver_from="08:00", deliver_on="banking_days")
    await bureau.work()
    for closed in ("2026-02-21 00:00:10", "2026-02-21 08:00:10", "2026-02-22 12:00", "2026-02-23 07:59:30"):
        bureau.at(closed)
        await bureau.work()
        assert bureau.books(BJORK) == [BOOKED]
    bureau.at("2026-02-23 08:00:10")
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH]


async def test_what_is_made_on_a_friday_evening_is_sent_that_evening(bureau: Bureau) -> None:
    bureau.at("2026-02-20 18:00")
    await monthly(bureau, 1, lead_days=-19, deliver_from="08:00", deliver_on="banking_days")
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH.replace("02-21", "02-20")]


@pytest.mark.parametrize(
    ("period", "closed", "opens"),
    [
        ("2026-04-03..2026-05-02", "2026-04-06 12:00", "2026-04-07 08:00:10"),
        ("2026-06-19..2026-07-18", "2026-06-21 12:00", "2026-06-22 08:00:10"),
    ],
    ids=["easter", "midsummer"],
)
async def test_what_falls_due_on_a_holiday_is_sent_when_it_is_over(
    bureau: Bureau, period: str, closed: str, opens: str
) -> None:
    start, end = period.split("..")
    bureau.at(f"{start} 00:05")
    told = {"customers": [{**CUSTOMER, "number": "1"}]}
    await monthly(bureau, 0, told=told, deliver_from="08:00", deliver_on="banking_days")
    await bureau.sandbox.contract(BJORK, period_start=start, period_end=end)
    for shut in (f"{start} 08:00:10", closed):
        bureau.at(shut)
        await bureau.work()
        assert bureau.books(BJORK) == [f"1 {period} {start} 125 booked"]
    bureau.at(opens)
    await bureau.work()
    assert bureau.books(BJORK) == [f"1 {period} {start} 125 booked mailed"]


async def test_banking_days_said_on_saturday_morning_hold_back_what_waits_for_eight(bureau: Bureau) -> None:
    bureau.at("2026-02-21 00:05")
    await monthly(bureau, 1, lead_days=SATURDAY, deliver_from="08:00")
    await bureau.work()
    assert "Björks Data AB (600001): 1 invoice, from 08:00 today." in await bureau.type("status")
    bureau.at("2026-02-21 07:00")
    await bureau.choose(BJORK, deliver_on="banking_days")
    bureau.at("2026-02-21 08:00:10")
    await bureau.work()
    assert bureau.books(BJORK) == [BOOKED]
    told = "Björks Data AB (600001): 1 invoice, from 2026-02-23 08:00 (the next banking day)."
    assert told in await bureau.type("status")
    bureau.at("2026-02-23 08:00:10")
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH]
