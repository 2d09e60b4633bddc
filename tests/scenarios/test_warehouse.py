"""Warehouse invoices wait to be booked until somebody has marked them as ready, and go on by themselves then."""

from producers import warehouse
from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, CUSTOMER, february, monthly

FEBRUARY = "2026-02-01..2026-02-28"


async def of_a_warehouse(bureau: Bureau, contracts: int) -> None:
    """So many invoices that are not ready."""
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={"customers": [{**CUSTOMER, "number": "1"}], "warehouse": True})
    for _ in range(contracts):
        await february(bureau)
    await bureau.work()


async def test_an_invoice_that_is_marked_as_ready_is_booked_and_sent_without_anybodys_word(bureau: Bureau) -> None:
    await of_a_warehouse(bureau, 2)
    parked = [f"{number} {FEBRUARY} bookkeep parked not_warehouse_ready" for number in (1, 2)]
    assert await bureau.stands(BJORK) == parked
    bureau.at("2026-02-02 09:00")
    await bureau.work()
    assert await bureau.stands(BJORK) == parked
    assert await bureau.calls(BJORK, "/3/invoices/*/bookkeep") == 2

    (ready,) = [one.number for one in bureau.company(BJORK).invoices.values() if one.contract_reference == 2]
    bureau.in_fortnox(BJORK, "mark_ready", invoice=ready)
    bureau.at("2026-02-03 09:00")
    await bureau.work()
    assert await bureau.stands(BJORK) == [parked[0], f"2 {FEBRUARY} done"]
    assert bureau.books(BJORK, 2) == [f"2 {FEBRUARY} 2026-02-01 125 booked mailed"]


async def test_an_invoice_that_is_shown_as_ready_and_refused_each_time_is_left_to_a_person(bureau: Bureau) -> None:
    await of_a_warehouse(bureau, 1)
    said = {"status": 400, "code": 2003498, "message": "Faktura som bokförs måste vara klarmarkerad."}
    await bureau.sandbox.fault(kind="error", path="/3/invoices/*/bookkeep", **said)
    bureau.in_fortnox(BJORK, "mark_ready", invoice=1)
    for day in range(2, 8):
        bureau.at(f"2026-02-0{day} 09:00")
        await bureau.work()
    assert await bureau.stands(BJORK) == [f"1 {FEBRUARY} bookkeep parked not_warehouse_ready"]
    assert await bureau.calls(BJORK, "/3/invoices/*/bookkeep") == warehouse.TRIES


async def test_an_invoice_that_is_not_ready_need_not_be_once_nobody_wants_it_booked(bureau: Bureau) -> None:
    await of_a_warehouse(bureau, 1)
    await bureau.choose(BJORK, bookkeep=False)
    await bureau.work()
    assert bureau.books(BJORK) == [f"1 {FEBRUARY} 2026-02-01 125 mailed"]
    assert await bureau.stands(BJORK) == [f"1 {FEBRUARY} done"]
