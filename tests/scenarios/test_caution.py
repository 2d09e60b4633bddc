"""A person says stop, or less: that acts at once on everything that is not called yet; more automation, only later."""

from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, GRAN, monthly

MIDNIGHT, SEVEN, EIGHT = "2026-02-01 00:05", "2026-02-01 07:00", "2026-02-01 08:00"
BOOKED, BOTH = "1 2026-02-01..2026-02-28 2026-02-01 125 booked", "1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"


async def test_an_invoice_made_at_midnight_is_sent_at_eight(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 1, deliver_from="08:00")
    await bureau.work()
    bureau.at("2026-02-01 07:59:30")
    await bureau.work()
    assert bureau.books(BJORK) == [BOOKED]
    bureau.at("2026-02-01 08:00:10")
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH]


async def test_what_waits_to_be_sent_is_not_sent_once_the_user_wishes_that(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 1, deliver_from="08:00")
    await bureau.work()
    bureau.at(SEVEN)
    await bureau.choose(BJORK, deliver="none")
    bureau.at(EIGHT)
    await bureau.work()
    assert bureau.books(BJORK) == [BOOKED]
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 done"]


async def test_a_later_hour_of_sending_holds_back_what_waits_for_the_earlier_one(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 1, deliver_from="08:00")
    await bureau.work()
    bureau.at(SEVEN)
    await bureau.choose(BJORK, deliver_from="10:00")
    bureau.at(EIGHT)
    await bureau.work()
    assert bureau.books(BJORK) == [BOOKED]
    bureau.at("2026-02-01 10:00")
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH]


async def test_what_is_planned_is_not_booked_though_the_user_wishes_bookkeeping_from_now_on(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 1, bookkeep=False, deliver_from="08:00")
    await bureau.work()
    bureau.at(SEVEN)
    await bureau.choose(BJORK, bookkeep=True)
    for day in (EIGHT, "2026-03-01 09:00"):
        bureau.at(day)
        await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 mailed
        1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed
    """)


async def test_nothing_is_called_for_a_company_set_back_to_proposals_until_it_is_live_again(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 2)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        await bureau.choose(BJORK, mode="proposal")
    await bureau.work()
    assert bureau.books(BJORK) == []
    assert await bureau.calls(BJORK, "/3/contracts/*/createinvoice") == 0
    await bureau.choose(BJORK, mode="live")
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH, BOTH.replace("1", "2", 1)]


async def test_an_amount_that_was_allowed_when_planned_is_held_once_less_is_allowed(bureau: Bureau) -> None:
    bureau.at("2026-01-01 09:00")
    await bureau.sandbox.company(BJORK)
    await bureau.sandbox.contract(BJORK)
    await bureau.take_on(BJORK)
    await bureau.work()
    rows = [{"article_number": "A1", "quantity": "1.2"}]
    await bureau.sandbox.control("PATCH", f"companies/{BJORK}", {"contracts": [{"number": 1, "rows": rows}]})
    bureau.at("2026-02-01 09:00")
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        await bureau.choose(BJORK, amount_change_percent=10)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-01-01..2026-01-31 2026-01-01 125"]
    assert (await bureau.stands(BJORK))[1:] == ["1 2026-02-01..2026-02-28 create held amount_changed"]
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK)[1:] == ["1 2026-02-01..2026-02-28 2026-02-01 150"]


async def test_the_kill_switch_stops_everything_in_mid_run_and_everything_goes_on_from_there(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 2)
    await monthly(bureau, 1, GRAN)
    # Slow enough to be stopped in the middle: what is under way then comes to its end.
    await bureau.sandbox.fault(kind="delay", path="/3/contracts/*/createinvoice", seconds=0.3, tenant=BJORK, times=1)

    async def one_is_being_made() -> bool:
        return await bureau.calls(BJORK, "/3/contracts/*/createinvoice") == 1

    await bureau.work(until=one_is_being_made)
    await bureau.pause()
    await bureau.work()
    assert [line.removeprefix("1 ").removeprefix("2 ") for line in bureau.books(BJORK)] == [
        "2026-02-01..2026-02-28 2026-02-01 125"
    ]
    untouched = bureau.books(GRAN)
    bureau.at(SEVEN)
    await bureau.work()
    assert bureau.books(GRAN) == untouched

    await bureau.resume()
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH, BOTH.replace("1", "2", 1)]
    assert bureau.books(GRAN) == [BOTH]


async def test_a_company_that_is_paused_stops_alone(bureau: Bureau) -> None:
    bureau.at(MIDNIGHT)
    await monthly(bureau, 1)
    await monthly(bureau, 1, GRAN)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        await bureau.pause(BJORK)
    await bureau.work()
    assert bureau.books(BJORK) == []
    assert bureau.books(GRAN) == [BOTH]
    await bureau.resume(BJORK)
    await bureau.work()
    assert bureau.books(BJORK) == [BOTH]
