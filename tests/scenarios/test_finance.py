"""Hand-over to Fakturatjänster: handed over is not delivered; that it is when the service says that it is open."""

from datetime import timedelta

from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, monthly

HANDED_OVER = "1 2026-02-01..2026-02-28 2026-02-01 125 booked handed-over"


async def handed_over(bureau: Bureau, *, open_after: timedelta) -> None:
    """An invoice made, booked and handed over at nine on the first of February."""
    bureau.sandbox.world.behaviour.finance_delay = open_after.total_seconds()
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, deliver="finance")
    await bureau.work()
    assert bureau.books(BJORK) == [HANDED_OVER]


async def test_a_hand_over_is_delivered_when_fakturatjanster_has_opened_it(bureau: Bureau) -> None:
    await handed_over(bureau, open_after=timedelta(hours=3))
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver seeking"]
    bureau.at("2026-02-01 11:00")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver seeking"]
    bureau.at("2026-02-01 12:30")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 done"]
    assert bureau.books(BJORK) == [HANDED_OVER]


async def test_a_hand_over_that_is_not_open_within_a_day_is_parked_and_never_sent_another_way(bureau: Bureau) -> None:
    bureau.sandbox.world.behaviour.finance_first_status = "NOT_AUTHORIZED"
    await handed_over(bureau, open_after=timedelta(days=9))
    bureau.at("2026-02-02 08:30")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver seeking"]
    bureau.at("2026-02-02 09:30")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver parked finance_not_open"]
    assert "NOT_AUTHORIZED" in await bureau.why(BJORK, 1)
    bureau.at("2026-02-04 09:00")
    await bureau.work()
    assert bureau.books(BJORK) == [HANDED_OVER]
    assert await bureau.calls(BJORK, "/3/noxfinansinvoices") == 1


async def test_a_hand_over_whose_answer_is_lost_is_found_and_followed_until_it_is_open(bureau: Bureau) -> None:
    await bureau.sandbox.fault(kind="cut_after", method="POST", path="/3/noxfinansinvoices")
    await handed_over(bureau, open_after=timedelta(hours=3))
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver seeking"]
    bureau.at("2026-02-01 12:30")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 done"]
    assert await bureau.calls(BJORK, "/3/noxfinansinvoices") == 1


async def test_an_invoice_that_fakturatjanster_refuses_is_parked_alone(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2, deliver="finance", deliver_from="10:00")
    await bureau.work()
    next(one for one in bureau.company(BJORK).invoices.values() if one.contract_reference == 2).city = ""
    bureau.at("2026-02-01 10:00")
    await bureau.work()
    assert bureau.books(BJORK) == [HANDED_OVER, "2 2026-02-01..2026-02-28 2026-02-01 125 booked"]
    assert await bureau.stands(BJORK, 2) == ["2 2026-02-01..2026-02-28 deliver parked refused"]
    assert "ort" in await bureau.why(BJORK, 2)


async def test_the_proof_says_of_a_hand_over_what_it_waits_for(bureau: Bureau) -> None:
    await handed_over(bureau, open_after=timedelta(hours=3))
    told = await bureau.type("reconcile", "--all")
    assert "It is handed over to Fakturatjänster, which has not opened it yet (UNKNOWN)." in told


async def test_a_hand_over_that_fakturatjanster_does_not_know_is_parked_after_a_day(bureau: Bureau) -> None:
    await handed_over(bureau, open_after=timedelta(days=9))
    await bureau.sandbox.fault(kind="error", method="GET", path="/3/noxfinansinvoices/1", status=404, tenant=BJORK)
    bureau.at("2026-02-02 09:30")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver parked finance_not_open"]
