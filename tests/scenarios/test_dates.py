"""An invoice is never dated in the past: what had to wait gets the date of the day on which it is made.

Nor is it dated in closed books, or in a year that they do not have, whatever it was planned for.
"""

from datetime import date

from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, CUSTOMER, monthly, proven


async def test_an_invoice_that_waited_for_a_yes_is_dated_the_day_it_is_made(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    rows = [{"article_number": "A1", "quantity": "0"}]
    await bureau.sandbox.control("PATCH", f"companies/{BJORK}", {"contracts": [{"number": 1, "rows": rows}]})
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 create held amount_zero"]
    bureau.at("2026-02-12 09:00")
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-12 0 booked mailed"]


async def test_an_invoice_stopped_by_the_kill_switch_is_dated_the_day_it_goes_on(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        await bureau.pause()
    bureau.at("2026-02-05 09:00")
    await bureau.resume()
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-05 125 booked mailed"]


async def test_an_invoice_whose_answer_is_lost_at_midnight_is_found_by_the_date_that_was_asked_for(
    bureau: Bureau,
) -> None:
    await proven(bureau, 1)
    bureau.at("2026-02-01 23:59:30")
    await bureau.sandbox.fault(kind="cut_after", path="/3/contracts/*/createinvoice", times=1)

    async def asked_for() -> bool:
        return await bureau.calls(BJORK, "/3/contracts/*/createinvoice") == 2

    await bureau.work(until=asked_for)
    bureau.at("2026-02-02 00:00:30")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)


async def test_an_invoice_that_waited_into_a_year_that_the_books_do_not_have_waits_for_the_year(
    bureau: Bureau,
) -> None:
    bureau.at("2026-12-30 09:00")
    await monthly(bureau, 0, told={"customers": [{**CUSTOMER, "number": "1"}], "financial_years": [YEAR_2026]})
    await bureau.sandbox.contract(BJORK, period_start="2026-12-30", period_end="2027-01-29")
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        await bureau.pause()
    bureau.at("2027-01-02 09:00")
    await bureau.resume()
    await bureau.work()
    assert bureau.books(BJORK) == []
    assert await bureau.stands(BJORK) == ["1 2026-12-30..2027-01-29 create held year_missing"]
    assert "invoice date: 2027-01-02" in await bureau.why(BJORK, 1)

    bureau.at("2027-01-04 09:00")
    year = {"from_date": "2027-01-01", "to_date": "2027-12-31"}
    await bureau.sandbox.control("PATCH", f"companies/{BJORK}", {"financial_years": [year]})
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-12-30..2027-01-29 2027-01-04 125 booked mailed"]


async def test_an_invoice_whose_books_are_closed_while_it_waits_is_not_made_before_they_are_opened(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, bookkeep=False, deliver="none")
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        await bureau.pause()
    bureau.company(BJORK).locked_until = date(2026, 2, 28)
    bureau.at("2026-02-05 09:00")
    await bureau.work()
    await bureau.resume()
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 create held period_locked"]

    bureau.company(BJORK).locked_until = date(2026, 1, 31)
    bureau.at("2026-02-05 11:00")
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-05 125"]


YEAR_2026 = {"from_date": "2026-01-01", "to_date": "2026-12-31"}
