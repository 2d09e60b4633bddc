"""An invoice is never dated in the past: what had to wait gets the date of the day on which it is made."""

from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, monthly, proven


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
