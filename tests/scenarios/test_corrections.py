"""What people undo in Fortnox after the end: seen, told, and invoiced again only when they ask for it there."""

import pytest

from common.ids import InvoiceNumber, TenantId
from common.ledger import audit, tenants
from common.rules.states import Status
from producers.reconciliation import reconcile
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, monthly, proven
from workers import by_hand
from workers.freshness import read_invoice

FEBRUARY = {"period_start": "2026-02-01", "period_end": "2026-02-28"}
DONE = "1 2026-02-01..2026-02-28 done"


@pytest.mark.parametrize("action", ["cancel", "credit"])
async def test_an_invoice_cancelled_or_credited_after_the_end_voids_its_billing_once_a_list_shows_it(
    bureau: Bureau, action: str
) -> None:
    await undone(bureau, action)
    word = {"cancel": "cancelled", "credit": "credited"}[action]
    assert await bureau.stands(BJORK) == [f"1 2026-02-01..2026-02-28 deliver voided {word}"]
    (entry,) = [one for one in await audit.entries(bureau.ledger) if one.action == "voided"]
    assert (entry.before["status"], entry.after["status"], entry.after["reason"]) == ("done", "voided", word)


async def test_what_was_cancelled_is_told_with_the_period_to_set_back_and_waits_for_that(bureau: Bureau) -> None:
    await undone(bureau, "cancel")
    await bureau.work()
    assert len(bureau.books(BJORK)) == 1
    told = "invoice: 1; period: 2026-02-01..2026-02-28; contract shows: 2026-03-01..2026-03-31"
    assert told in await bureau.type("status")
    assert told in await bureau.type("plan", "--no-read")


async def test_a_cancelled_period_is_invoiced_again_once_its_contract_is_set_back(bureau: Bureau) -> None:
    await undone(bureau, "cancel")
    bureau.in_fortnox(BJORK, "set_period", contract=1, **FEBRUARY)
    bureau.at("2026-02-02 11:00")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed cancelled
        1 2026-02-01..2026-02-28 2026-02-02 125 booked mailed
    """)
    assert [one.generation for one in await bureau.billings()] == [1, 2]
    assert "contract shows" not in await bureau.type("status")


async def test_the_month_after_a_cancelled_one_is_invoiced_as_if_nothing_had_happened(bureau: Bureau) -> None:
    await proven(bureau, 1)
    await bureau.work()
    bureau.in_fortnox(BJORK, "cancel", invoice=2)
    await prove(bureau)
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert await bureau.stands(BJORK) == lines("""
        1 2026-01-01..2026-01-31 done
        1 2026-02-01..2026-02-28 deliver voided cancelled
        1 2026-03-01..2026-03-31 done
    """)
    # Nobody waits any more for February to be set back.
    assert "contract shows" not in await bureau.type("status")


async def test_a_contract_set_back_to_a_period_with_a_live_invoice_says_which_and_what_to_do(bureau: Bureau) -> None:
    await done(bureau)
    bureau.in_fortnox(BJORK, "set_period", contract=1, **FEBRUARY)
    bureau.at("2026-02-02 10:00")
    await bureau.work()
    assert len(bureau.books(BJORK)) == 1
    told = "The contract shows a period again that has its invoice already (invoice: 1; period: 2026-02-01..2026-02-28)"
    assert told in await bureau.type("status")
    planned = await bureau.type("plan", "--no-read")
    assert told in planned
    assert "Cancel (makulera) or credit that invoice" in planned


async def test_a_period_set_back_before_its_invoice_is_cancelled_is_invoiced_again_without_waiting_for_a_morning(
    bureau: Bureau,
) -> None:
    await done(bureau)
    bureau.in_fortnox(BJORK, "set_period", contract=1, **FEBRUARY)
    bureau.at("2026-02-02 10:00")
    await bureau.work()
    bureau.in_fortnox(BJORK, "cancel", invoice=1)
    bureau.at("2026-02-02 10:05")
    await bureau.work()
    bureau.at("2026-02-02 10:10")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed cancelled
        1 2026-02-01..2026-02-28 2026-02-02 125 booked mailed
    """)


async def test_an_invoice_that_stands_again_after_its_credit_is_cancelled_is_for_a_person_and_no_second_is_made(
    bureau: Bureau,
) -> None:
    await undone(bureau, "credit")
    bureau.in_fortnox(BJORK, "set_period", contract=1, **FEBRUARY)
    stands_again(bureau)
    bureau.at("2026-02-02 11:00")
    await bureau.work()
    assert [line.split()[-1] for line in await bureau.stands(BJORK)] == ["credited", "unverified"]
    assert "belongs to billing: 1" in await bureau.why(BJORK, 1)
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 1

    bureau.in_fortnox(BJORK, "cancel", invoice=1)
    bureau.at("2026-02-02 11:05")
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK)[-1] == "1 2026-02-01..2026-02-28 2026-02-02 125 booked mailed"


async def test_what_a_lost_call_has_made_is_found_beside_a_credited_invoice_of_the_period_that_stands_again(
    bureau: Bureau,
) -> None:
    await looked_for_beside_one_that_stands_again(bureau)
    # Fortnox acts after we have given up.
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-02")
    bureau.at("2026-02-02 11:05")
    await bureau.work()
    assert bureau.books(BJORK)[-1] == "1 2026-02-01..2026-02-28 2026-02-02 125 by-hand booked mailed"
    assert (await bureau.stands(BJORK))[-1] == DONE


async def test_what_a_person_says_was_never_made_is_not_taken_for_the_credited_invoice_of_the_period(
    bureau: Bureau,
) -> None:
    await looked_for_beside_one_that_stands_again(bureau)
    billing = await bureau.billing(BJORK, 1)
    assert billing.status is Status.IN_DOUBT
    await by_hand.never_made(bureau.ledger, bureau.fortnox, billing.id, "anna")
    await bureau.work()
    assert (await bureau.stands(BJORK))[-1] == "1 2026-02-01..2026-02-28 create parked unverified"
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 2


async def looked_for_beside_one_that_stands_again(bureau: Bureau) -> None:
    """February is invoiced again, but the call is cut off; then the credited invoice of the period stands again."""
    await undone(bureau, "credit")
    bureau.in_fortnox(BJORK, "set_period", contract=1, **FEBRUARY)
    await bureau.sandbox.fault(kind="cut", path="/3/contracts/1/createinvoice", times=1)
    bureau.at("2026-02-02 11:00")
    await bureau.work(until=bureau.looked_for)
    stands_again(bureau)
    await read_anew(bureau, 1)


def stands_again(bureau: Bureau) -> None:
    """As if a person had cancelled the credit invoice, number 2, and Fortnox had forgotten it."""
    original, credit = bureau.company(BJORK).invoices[1], bureau.company(BJORK).invoices[2]
    original.credit_reference, credit.cancelled = 0, True


async def read_anew(bureau: Bureau, number: int) -> None:
    await read_invoice(bureau.ledger, bureau.fortnox, TenantId(BJORK), InvoiceNumber(number))


async def done(bureau: Bureau) -> None:
    """February is invoiced, booked and sent."""
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    await bureau.work()
    assert await bureau.stands(BJORK) == [DONE]


async def undone(bureau: Bureau, action: str) -> None:
    """And a person undoes it in Fortnox, which the next morning's proof sees."""
    await done(bureau)
    bureau.in_fortnox(BJORK, action, invoice=1)
    bureau.at("2026-02-02 10:00")
    await prove(bureau)


async def prove(bureau: Bureau) -> None:
    """The reconciler reads the company."""
    company = await tenants.get(bureau.ledger, TenantId(BJORK))
    assert company is not None
    await reconcile(bureau.ledger, bureau.fortnox, company, bureau.today())
