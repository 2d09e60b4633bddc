"""Nobody answers, and Fortnox may have acted: what it did is looked for, and nothing is ever done twice."""

import re

import pytest

from common.ids import TenantId
from common.ledger.billings import NotPossible
from common.rules.states import Status
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, GRAN, monthly, proven, unanswered
from workers import evidence

ALL_WENT_WELL = """
    1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    2 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
"""
EFFECTS = ("contracts/*/createinvoice", "invoices/*/bookkeep", "invoices/*/email")


@pytest.mark.parametrize("kind", ["cut_after", "error_after"])
async def test_whatever_fortnox_did_before_the_answer_was_lost_is_found_and_not_done_again(
    bureau: Bureau, kind: str
) -> None:
    await proven(bureau, 2)
    before = [await bureau.calls(BJORK, f"/3/{path}") for path in EFFECTS]
    for path in EFFECTS:
        await bureau.sandbox.fault(kind=kind, path=f"/3/{path}")
    await bureau.work()
    assert bureau.books(BJORK) == lines(ALL_WENT_WELL)
    # One request for each of the two invoices and each step: nothing was repeated, by any layer.
    assert [await bureau.calls(BJORK, f"/3/{path}") for path in EFFECTS] == [number + 2 for number in before]
    assert {billing.status for billing in await bureau.billings()} == {Status.DONE}


async def test_the_first_invoice_of_a_company_whose_answer_is_lost_is_found_before_the_second_is_made(
    bureau: Bureau,
) -> None:
    await bureau.sandbox.fault(kind="cut_after", path="/3/contracts/*/createinvoice", times=1)
    await proven(bureau, 2)
    assert bureau.books(BJORK) == lines("""
        1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
        2 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    """)
    assert await bureau.calls(BJORK, "/3/contracts/*/createinvoice") == 2


async def test_a_doubt_says_until_when_it_is_sought_and_in_a_company_without_a_proven_invoice_what_it_waits_for(
    bureau: Bureau,
) -> None:
    await monthly(bureau, 1)
    await proven(bureau, 1, GRAN)
    await bureau.sandbox.fault(kind="cut", path="/3/contracts/1/createinvoice")
    await bureau.work(until=bureau.looked_for)
    first, later = await bureau.why(BJORK, 1), await bureau.why(GRAN, 1)
    assert re.search(r"sought until: 2026-02-01 1\d:\d\d\)", later)
    waits_for = r", and on until an invoice of the company is found for the first time, or a person says"
    assert re.search(rf"sought until: 2026-02-01 1\d:\d\d{waits_for}", first)


async def test_a_call_of_which_no_trace_is_found_stays_in_doubt_in_plain_sight_and_stops_no_other_contract(
    bureau: Bureau,
) -> None:
    await unanswered(bureau, 2)
    assert await bureau.stands(BJORK, 1) == lines("""
        1 2026-01-01..2026-01-31 done
        1 2026-02-01..2026-02-28 create in_doubt no_answer
    """)
    assert bureau.books(BJORK, 1) == ["1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed"]
    assert bureau.books(BJORK, 2)[1:] == ["2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    with pytest.raises(NotPossible, match="may have taken effect"):
        await bureau.retry(BJORK, 1)
    # The answer comes late, or somebody makes the invoice: it is taken in, once.
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    bureau.at("2026-02-01 09:05")
    await bureau.work()
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 2
    assert len(bureau.books(BJORK, 1)) == 2


async def test_an_invoice_that_was_never_made_is_made_once_nothing_can_come_of_the_first_call_any_more(
    bureau: Bureau,
) -> None:
    await unanswered(bureau)
    # The token of the call still lives: Fortnox might yet act on it.
    bureau.at("2026-02-01 09:45")
    await bureau.work(until=bureau.looked_for)
    assert "create in_doubt" in (await bureau.stands(BJORK, 1))[1]
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 2
    bureau.at("2026-02-01 11:00")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 3


async def test_an_invoice_that_fortnox_made_after_we_gave_up_is_found_though_it_was_missing_at_first(
    bureau: Bureau,
) -> None:
    await unanswered(bureau)
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    bureau.at("2026-02-01 11:00")
    await bureau.work()
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 2
    assert len(bureau.books(BJORK, 1)) == 2


async def test_an_invoice_that_does_not_tell_its_contract_is_parked_for_a_person_and_no_other_is_made(
    bureau: Bureau,
) -> None:
    await unanswered(bureau)
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    # As if Fortnox had lost the reference: looking cannot tell whose it is.
    made = bureau.company(BJORK).invoices[2]
    made.contract_reference, made.period_start, made.period_end = 0, None, None
    bureau.at("2026-02-01 09:05")
    await bureau.work(until=bureau.looked_for)
    assert (await bureau.stands(BJORK))[1:] == ["1 2026-02-01..2026-02-28 create parked unverified"]
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 2


async def test_an_email_of_which_no_trace_is_found_is_never_sent_again_by_itself(bureau: Bureau) -> None:
    await unanswered(bureau, 2, "invoices/*/email")
    bureau.at("2026-02-02 09:00")
    await bureau.work(until=bureau.looked_for)
    assert sorted(line.split()[-1] for line in bureau.books(BJORK) if "2026-02-28" in line) == ["booked", "mailed"]
    assert await bureau.calls(BJORK, "/3/invoices/*/email") == 4
    (doubtful,) = [line for line in await bureau.stands(BJORK) if not line.endswith("done")]
    assert doubtful.endswith("2026-02-01..2026-02-28 deliver in_doubt no_answer")


async def test_a_booking_of_which_no_trace_is_found_is_in_doubt_and_nothing_is_sent(bureau: Bureau) -> None:
    await unanswered(bureau, 1, "invoices/*/bookkeep")
    assert bureau.books(BJORK)[1:] == ["1 2026-02-01..2026-02-28 2026-02-01 125"]
    assert (await bureau.stands(BJORK))[1:] == ["1 2026-02-01..2026-02-28 bookkeep in_doubt no_answer"]


async def test_an_invoice_that_cannot_be_read_keeps_nothing_else_from_being_found(bureau: Bureau) -> None:
    await proven(bureau, 2)
    await bureau.choose(BJORK, deliver_from="10:00")
    await bureau.work()
    await bureau.sandbox.fault(kind="cut_after", path="/3/invoices/*/email", times=2)
    bureau.at("2026-02-01 10:00")

    async def both_in_doubt() -> bool:
        return len(await bureau.billings(status=Status.IN_DOUBT)) == 2

    runtime = await bureau.another_worker()
    async with evidence.only_one(runtime, TenantId(BJORK)):  # nobody else looks
        await bureau.work(until=both_in_doubt)
    await runtime.close()
    first = min(await bureau.billings(status=Status.IN_DOUBT), key=lambda one: (one.changed_at, one.id))
    path = f"/3/invoices/{first.invoice}"
    await bureau.sandbox.fault(kind="error", method="GET", path=path, status=500, tenant=BJORK)

    async def other_found() -> bool:
        return len(await bureau.billings(status=Status.IN_DOUBT)) == 1

    await bureau.work_on(other_found)
    (stays,) = await bureau.billings(status=Status.IN_DOUBT)
    assert stays.id == first.id


async def test_what_fortnox_said_yes_to_is_in_doubt_when_an_unreadable_invoice_keeps_it_from_being_found(
    bureau: Bureau, wrapper: str
) -> None:
    if wrapper == "Invoice":
        return  # the answer itself tells the number
    await proven(bureau, 1)
    await bureau.sandbox.fault(kind="error", method="GET", path="/3/invoices/2", status=500, tenant=BJORK)

    async def sought() -> bool:
        return bool(await bureau.billings(status=Status.SEEKING))

    await bureau.work(until=sought)
    bureau.at("2026-02-01 09:15")
    await bureau.work_on(bureau.looked_for)
    assert (await bureau.stands(BJORK))[1:] == ["1 2026-02-01..2026-02-28 create in_doubt number_unknown"]
    assert "500" in await bureau.why(BJORK, 1)
    await bureau.sandbox.control("DELETE", "faults")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
