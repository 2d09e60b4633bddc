"""People work in Fortnox too: what they did is seen before anything is done on top of it."""

from decimal import Decimal
from typing import Any

import pytest

from sandbox import totals
from sandbox.books import Invoice
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, CUSTOMER, february, monthly, proven

MIDNIGHT, EIGHT = "2026-02-01 00:05", "2026-02-01 08:00"


async def test_an_invoice_made_by_hand_before_we_call_is_taken_in_and_neither_doubled_nor_booked_nor_sent(
    bureau: Bureau,
) -> None:
    await made_by_hand_meanwhile(bureau)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 by-hand"]
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 done"]
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 0

    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == ["1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed"]


async def test_an_invoice_made_by_hand_is_booked_and_sent_where_the_user_has_chosen_that(bureau: Bureau) -> None:
    await made_by_hand_meanwhile(bureau, finish_handmade=True)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 by-hand booked mailed"]
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 0


async def made_by_hand_meanwhile(bureau: Bureau, **choices: Any) -> None:
    """A person invoices February between our planning it and our call, a minute before the call."""
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, **choices)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
        bureau.at("2026-02-01 09:01")


async def test_a_contract_stopped_by_hand_before_we_call_is_held(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        bureau.in_fortnox(BJORK, "deactivate", contract=1)
        bureau.at("2026-02-01 09:01")
    await bureau.work()
    assert bureau.books(BJORK) == ["2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    assert await bureau.stands(BJORK, 1) == ["1 2026-02-01..2026-02-28 create held inactive"]


@pytest.mark.parametrize("action", ["cancel", "credit"])
async def test_an_invoice_cancelled_or_credited_between_two_steps_is_not_sent(bureau: Bureau, action: str) -> None:
    invoice = await waiting_for_eight(bureau)
    bureau.in_fortnox(BJORK, action, invoice=invoice.number)
    bureau.at(EIGHT)
    await bureau.work()
    assert bureau.books(BJORK) == lines(
        {
            "cancel": "1 2026-02-01..2026-02-28 2026-02-01 125 booked cancelled",
            "credit": """
                1 2026-02-01..2026-02-28 2026-02-01  125 booked credited
                1 2026-02-01..2026-02-28 2026-02-01 -125 by-hand credit
            """,
        }[action]
    )
    reason = {"cancel": "cancelled", "credit": "credited"}[action]
    assert await bureau.stands(BJORK) == [f"1 2026-02-01..2026-02-28 deliver voided {reason}"]


async def test_a_cancelled_period_is_invoiced_again_only_when_somebody_sets_the_contract_back(bureau: Bureau) -> None:
    invoice = await waiting_for_eight(bureau)
    bureau.in_fortnox(BJORK, "cancel", invoice=invoice.number)
    bureau.at(EIGHT)
    await bureau.work()
    bureau.at("2026-02-02 09:00")
    await bureau.work()
    assert len(bureau.books(BJORK)) == 1

    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-02-01", period_end="2026-02-28")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked cancelled
        1 2026-02-01..2026-02-28 2026-02-02 125 booked mailed
    """)
    assert [billing.generation for billing in await bureau.billings()] == [1, 2]


async def test_an_invoice_edited_between_two_steps_is_held_and_goes_out_as_it_is_after_a_yes(bureau: Bureau) -> None:
    invoice = await waiting_for_eight(bureau, bookkeep=False)
    invoice.rows[0].quantity = Decimal(2)
    totals.settle(invoice, bureau.company(BJORK))
    bureau.at(EIGHT)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 250"]
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver held invoice_changed"]

    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 250 mailed"]


@pytest.mark.parametrize("then", ["total", "rows"])
async def test_a_yes_to_an_edited_invoice_covers_what_the_person_saw_and_no_later_edit(
    bureau: Bureau, then: str
) -> None:
    invoice = await waiting_for_eight(bureau, bookkeep=False)
    invoice.rows[0].quantity = Decimal(2)
    totals.settle(invoice, bureau.company(BJORK))
    bureau.at(EIGHT)
    await bureau.work()
    if then == "total":
        invoice.rows[0].quantity = Decimal(3)
    else:
        invoice.rows[0].quantity, invoice.rows[0].price = Decimal(4), Decimal(50)
    totals.settle(invoice, bureau.company(BJORK))
    bureau.at("2026-02-01 08:05")
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver held invoice_changed"]
    assert bureau.books(BJORK) == [f"1 2026-02-01..2026-02-28 2026-02-01 {375 if then == 'total' else 250}"]

    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == [f"1 2026-02-01..2026-02-28 2026-02-01 {375 if then == 'total' else 250} mailed"]


async def test_an_invoice_that_a_person_booked_and_sent_meanwhile_is_not_booked_again_nor_sent_again(
    bureau: Bureau,
) -> None:
    invoice = await waiting_for_eight(bureau, bookkeep=False)
    bureau.in_fortnox(BJORK, "bookkeep", invoice=invoice.number)
    bureau.in_fortnox(BJORK, "email", invoice=invoice.number)
    bureau.at(EIGHT)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver held sent_before"]


async def test_a_mistyped_period_that_is_held_corrected_and_skipped_is_invoiced_as_corrected(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-02-01", period_end="2026-02-14")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-14 create held period_length"]

    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-02-01", period_end="2026-02-28")
    await bureau.skip(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]


async def waiting_for_eight(bureau: Bureau, **choices: Any) -> Invoice:
    """An invoice made, and booked where that is chosen, at midnight; it is not sent before eight."""
    bureau.at(MIDNIGHT)
    await monthly(bureau, 1, deliver_from="08:00", **choices)
    await bureau.work()
    bureau.at("2026-02-01 07:00")
    (invoice,) = bureau.company(BJORK).invoices.values()
    return invoice


async def test_a_period_of_another_length_that_a_person_has_approved_stops_nothing(bureau: Bureau) -> None:
    await proven(bureau, 1)
    odd = await february(bureau, interval=3)
    bureau.at("2026-02-01 08:00")
    await bureau.work()
    assert "held period_length" in (await bureau.stands(BJORK, odd))[0]
    await bureau.approve(BJORK, odd)
    await bureau.work()
    assert bureau.books(BJORK, odd) == [f"{odd} 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    assert await bureau.blocks(BJORK) == []


async def test_an_invoice_made_by_hand_and_cancelled_again_does_not_stand_for_the_period(bureau: Bureau) -> None:
    await proven(bureau, 2)
    await bureau.pause(BJORK, 2)
    bureau.in_fortnox(BJORK, "create_invoice", contract=2, invoice_date="2026-02-01")
    # The look for contract 1's invoice sees this one, too, while it stands.
    await bureau.work()
    by_hand = next(one for one in bureau.company(BJORK).invoices.values() if one.created_by == "person")
    bureau.in_fortnox(BJORK, "cancel", invoice=by_hand.number)
    bureau.in_fortnox(BJORK, "set_period", contract=2, period_start="2026-02-01", period_end="2026-02-28")
    await bureau.resume(BJORK, 2)
    bureau.at("2026-02-01 10:00")
    await bureau.work()
    assert bureau.books(BJORK, 2)[1:] == lines("""
        2 2026-02-01..2026-02-28 2026-02-01 125 by-hand cancelled
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)


async def sent_by_somebody(bureau: Bureau, **told: Any) -> None:
    """An invoice that was marked as sent before its hour, and held for that."""
    bureau.at("2026-02-01 07:00")
    await monthly(bureau, 1, deliver_from="08:00", told={"customers": [{**CUSTOMER, "number": "1"}], **told})
    await bureau.work()
    bureau.company(BJORK).invoices[1].sent = True
    bureau.at("2026-02-01 08:30")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver held sent_before"]


async def test_a_mark_from_before_does_not_prove_a_second_sending_whose_answer_was_lost(bureau: Bureau) -> None:
    await sent_by_somebody(bureau)
    await bureau.sandbox.fault(kind="cut", path="/3/invoices/*/email", times=1)
    await bureau.approve(BJORK, 1)
    await bureau.work(until=bureau.looked_for)
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver in_doubt no_answer"]


async def test_a_second_sending_that_is_refused_says_why(bureau: Bureau) -> None:
    await sent_by_somebody(bureau, bankgiro=None)
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 deliver parked bank_details_missing"]
