"""A person says what became of a call in doubt, sooner than looking would find out; the evidence is shown, and kept."""

from datetime import timedelta

import pytest

from common.ids import BillingId, InvoiceNumber
from common.ledger import audit
from common.ledger.billings import NotPossible
from common.rules.states import Status
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, proven, unanswered
from workers import by_hand

FEBRUARY = "1 2026-02-01..2026-02-28"


async def in_doubt(bureau: Bureau, step: str = "contracts/1/createinvoice") -> BillingId:
    """February's billing of contract 1, whose call went unanswered and left no trace; it has been looked for."""
    await unanswered(bureau, 1, step)
    billing = await bureau.billing(BJORK, 1)
    assert billing.status is Status.IN_DOUBT
    return billing.id


async def last_entry(bureau: Bureau, billing: BillingId) -> tuple[str, str, object]:
    entry = (await audit.entries(bureau.ledger, billing=billing))[-1]
    return entry.by, entry.action, entry.after.get("note")


async def test_the_evidence_is_shown_with_until_when_fortnox_may_still_act(bureau: Bureau) -> None:
    billing = await in_doubt(bureau)
    told = await bureau.type("billings", "resolve", str(billing))
    assert "Contract 1 shows 2026-02-01..2026-02-28." in told
    assert "No invoice of this contract is newer than the call." in told
    assert "Fortnox may still carry the call out until 2026-02-01 1" in told
    assert f"avtalsmotor billings resolve {billing} --never-made" in told
    assert (await bureau.billing(BJORK, 1)).status is Status.IN_DOUBT


async def test_what_was_never_made_is_made_at_once_on_a_persons_word_and_that_is_audited(bureau: Bureau) -> None:
    billing = await in_doubt(bureau)
    await by_hand.never_made(bureau.ledger, bureau.fortnox, billing, "anna")
    assert await last_entry(bureau, billing) == ("anna", "set_waiting", "anna says that it was never made")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 booked mailed"]


async def test_never_made_is_not_believed_against_an_invoice_that_stands(bureau: Bureau) -> None:
    billing = await in_doubt(bureau)
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    with pytest.raises(NotPossible, match=f"billings resolve {billing} --made 2"):
        await by_hand.never_made(bureau.ledger, bureau.fortnox, billing, "anna")


async def test_never_made_is_not_believed_of_a_contract_that_has_gone_on(bureau: Bureau) -> None:
    billing = await in_doubt(bureau)
    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-03-01", period_end="2026-03-31")
    with pytest.raises(NotPossible, match=r"shows 2026-03-01..2026-03-31, not 2026-02-01..2026-02-28"):
        await by_hand.never_made(bureau.ledger, bureau.fortnox, billing, "anna")


async def test_an_invoice_that_does_not_tell_its_contract_is_taken_in_on_a_persons_word(bureau: Bureau) -> None:
    billing = await in_doubt(bureau)
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    # As if Fortnox had lost the reference: looking could not tell whose it is.
    made = bureau.company(BJORK).invoices[2]
    made.contract_reference, made.period_start, made.period_end = 0, None, None
    await by_hand.made(bureau.ledger, bureau.fortnox, billing, InvoiceNumber(2), "anna")
    assert await last_entry(bureau, billing) == ("anna", "made", "anna says that invoice 2 is the one")
    await bureau.work()
    assert made.booked
    assert (await bureau.stands(BJORK))[1:] == [f"{FEBRUARY} done"]


async def test_an_invoice_of_another_period_or_another_billing_is_not_taken_in(bureau: Bureau) -> None:
    billing = await in_doubt(bureau)
    with pytest.raises(NotPossible, match=r"it is of 2026-01-01..2026-01-31"):
        await by_hand.made(bureau.ledger, bureau.fortnox, billing, InvoiceNumber(1), "anna")
    with pytest.raises(NotPossible, match="Fortnox has no such one"):
        await by_hand.made(bureau.ledger, bureau.fortnox, billing, InvoiceNumber(77), "anna")


async def test_a_late_yes_after_a_persons_no_puts_the_billing_back_in_doubt_before_anything_is_repeated(
    bureau: Bureau,
) -> None:
    billing = await in_doubt(bureau)
    async with bureau.without_workers():
        await by_hand.never_made(bureau.ledger, bureau.fortnox, billing, "anna")
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
        bureau.at("2026-02-01 09:02")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 by-hand"]


async def test_a_booking_in_doubt_is_made_at_once_on_a_persons_word(bureau: Bureau) -> None:
    billing = await in_doubt(bureau, "invoices/*/bookkeep")
    with pytest.raises(NotPossible, match="is not booked"):
        await by_hand.bookkept(bureau.ledger, bureau.fortnox, billing, "anna")
    await by_hand.not_bookkept(bureau.ledger, bureau.fortnox, billing, "anna")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 booked mailed"]


async def test_a_booking_of_which_no_trace_is_found_is_made_once_nothing_can_come_of_the_first_call(
    bureau: Bureau,
) -> None:
    await in_doubt(bureau, "invoices/*/bookkeep")
    bureau.at("2026-02-01 09:45")
    await bureau.work(until=bureau.looked_for)
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125"]
    bureau.at("2026-02-01 11:00")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 booked mailed"]


async def test_what_the_customer_has_is_done_and_what_he_has_not_got_is_sent(bureau: Bureau) -> None:
    billing = await in_doubt(bureau, "invoices/*/email")
    await by_hand.not_delivered(bureau.ledger, bureau.fortnox, billing, "anna")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 booked mailed"]
    assert (await bureau.stands(BJORK))[1:] == [f"{FEBRUARY} done"]


async def test_a_person_may_say_that_the_customer_has_it(bureau: Bureau) -> None:
    billing = await in_doubt(bureau, "invoices/*/email")
    await bureau.type("billings", "resolve", str(billing), "--delivered", "--yes")
    await bureau.work()
    assert (await bureau.stands(BJORK))[1:] == [f"{FEBRUARY} done"]
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 booked"]


async def test_a_second_sending_of_what_fortnox_shows_as_sent_waits_for_a_yes(bureau: Bureau) -> None:
    billing = await in_doubt(bureau, "invoices/*/email")
    async with bureau.without_workers():  # who might look just now
        bureau.company(BJORK).invoices[2].sent = True
        await by_hand.not_delivered(bureau.ledger, bureau.fortnox, billing, "anna")
    await bureau.work()
    assert (await bureau.stands(BJORK))[1:] == [f"{FEBRUARY} deliver held sent_before"]
    assert bureau.books(BJORK)[1:] == [f"{FEBRUARY} 2026-02-01 125 booked"]


async def test_nothing_can_be_said_of_what_is_not_in_doubt(bureau: Bureau) -> None:
    await proven(bureau, 1)
    await bureau.work()
    done = await bureau.billing(BJORK, 1)
    with pytest.raises(NotPossible, match="There is nothing to decide"):
        await by_hand.delivered(bureau.ledger, done.id, "anna")


async def test_an_invoice_that_our_call_made_of_another_period_is_resolved_once_it_is_cancelled(bureau: Bureau) -> None:
    await proven(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2025-12-01", period_end="2025-12-31")
    await bureau.work_on(bureau.looked_for)
    assert bureau.books(BJORK)[1:] == ["1 2025-12-01..2025-12-31 2026-02-01 125"]
    assert (await bureau.stands(BJORK))[1:] == [f"{FEBRUARY} create parked unverified"]
    billing = await bureau.billing(BJORK, 1)
    bureau.in_fortnox(BJORK, "cancel", invoice=2)
    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-02-01", period_end="2026-02-28")
    await by_hand.never_made(bureau.ledger, bureau.fortnox, billing.id, "anna")
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK, 1) == lines(f"""
        1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
        1 2025-12-01..2025-12-31 2026-02-01 125 cancelled
        {FEBRUARY} 2026-02-01 125 booked mailed
    """)


async def test_an_invoice_that_does_not_tell_its_contract_is_not_taken_in_against_one_that_does(
    bureau: Bureau,
) -> None:
    billing = await in_doubt(bureau)
    bureau.in_fortnox(BJORK, "write_invoice", customer="1", rows=[{"article_number": "A1", "quantity": "1"}])
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    await by_hand.gather(bureau.ledger, bureau.fortnox, billing, timedelta(minutes=10))
    with pytest.raises(NotPossible, match="invoice 3 is of contract 1 and this period"):
        await by_hand.made(bureau.ledger, bureau.fortnox, billing, InvoiceNumber(2), "anna")
