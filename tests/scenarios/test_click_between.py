"""A person makes the invoice by hand between our look and our call, so that our call makes the next period's."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from common.ids import InvoiceNumber, TenantId
from common.ledger import blocks, surprises
from common.ledger.billings import NotPossible
from common.ledger.records import Billing
from common.ledger.restoring import restore
from common.rules.reasons import Reason
from common.rules.states import Step
from tests.bureau import Bureau, bureau_for, lines
from tests.sandboxes import Sandbox
from tests.scenarios.companies import BJORK, CUSTOMER, february, monthly, proven, unanswered
from workers import by_hand, early

BOTH = """
    1 2026-02-01..2026-02-28 2026-02-01 125 by-hand
    1 2026-03-01..2026-03-31 2026-02-01 125
"""


@pytest.fixture
async def bureau(
    sandbox: Sandbox, wrapper: str, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Bureau]:
    """A bureau whose look at a contract stays good however slow the machine is: the click comes after the look."""
    async with bureau_for(sandbox, redis_url, database_url, tmp_path, fresh_seconds=600.0) as running:
        running.at("2026-01-01 09:00")
        yield running


async def clicked_between(bureau: Bureau, times: int = 1) -> None:
    """Company with contract 1, whose February (and so many `times` in all, the months after it) a person invoices just
    before our call; the product has come to rest.
    """
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        for _ in range(times):
            bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    await bureau.work_on(bureau.at_rest)


async def early_one(bureau: Bureau) -> Billing:
    (billing,) = [one for one in await bureau.billings() if one.reason is Reason.EARLY]
    return billing


async def test_the_handmade_invoice_is_taken_in_and_ours_is_parked_before_its_time(bureau: Bureau) -> None:
    await clicked_between(bureau)
    assert bureau.books(BJORK) == lines(BOTH)
    assert await bureau.stands(BJORK) == lines("""
        1 2026-02-01..2026-02-28 done
        1 2026-03-01..2026-03-31 bookkeep parked early
    """)
    assert await bureau.calls(BJORK, "/3/contracts/*/createinvoice") == 1


async def test_ours_is_told_from_two_that_were_made_by_hand_in_the_same_moment(bureau: Bureau) -> None:
    await clicked_between(bureau, times=2)
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 by-hand
        1 2026-03-01..2026-03-31 2026-02-01 125 by-hand
        1 2026-04-01..2026-04-30 2026-02-01 125
    """)
    assert await bureau.stands(BJORK) == lines("""
        1 2026-02-01..2026-02-28 done
        1 2026-04-01..2026-04-30 bookkeep parked early
    """)


async def test_an_invoice_that_overlaps_one_made_by_hand_is_left_to_a_person(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
        bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-02-06", period_end="2026-03-05")
    await bureau.work_on(bureau.at_rest)
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 by-hand
        1 2026-02-06..2026-03-05 2026-02-01 125
    """)
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 create parked unverified"]
    assert (await bureau.billing(BJORK, 1)).detail["invoice"] == "2"


async def test_the_company_goes_on_once_a_fresh_listing_explains_what_happened(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
        await february(bureau, customer_number="1")
    await bureau.work_on(bureau.at_rest)
    # What Fortnox does with contracts is not what we believe: nothing more is made until that is explained.
    assert [(block.step, block.reason) for block in await bureau.blocks()] == [("create", "surprise")]
    assert bureau.books(BJORK, 2) == []
    await bureau.work()
    assert await bureau.blocks() == []
    assert bureau.books(BJORK, 2) == ["2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]


async def test_a_second_surprise_within_the_hour_pauses_the_company(bureau: Bureau) -> None:
    await clicked_between(bureau)
    bureau.at("2026-02-01 09:40")
    async with bureau.without_workers():
        await february(bureau, customer_number="1")
        await bureau.plan(billings=3)
        bureau.in_fortnox(BJORK, "create_invoice", contract=2, invoice_date="2026-02-01")
    await bureau.work_on(bureau.at_rest)
    await bureau.work()
    told = await bureau.type("status")
    assert "second surprise within the hour" in told
    await february(bureau, customer_number="1")
    await bureau.work()
    assert bureau.books(BJORK, 3) == []


async def test_a_second_surprise_two_hours_later_stops_only_the_creates_until_it_is_explained(bureau: Bureau) -> None:
    await clicked_between(bureau)
    bureau.at("2026-02-01 11:40")
    async with bureau.without_workers():
        await february(bureau, customer_number="1")
        await bureau.plan(billings=3)
        bureau.in_fortnox(BJORK, "create_invoice", contract=2, invoice_date="2026-02-01")
    await bureau.work_on(bureau.at_rest)
    await bureau.work()
    await february(bureau, customer_number="1")
    await bureau.work()
    assert bureau.books(BJORK, 3) == ["3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]


async def test_a_surprise_that_a_listing_does_not_explain_is_not_forgotten_over_a_later_one(bureau: Bureau) -> None:
    await clicked_between(bureau)
    # Somebody moves the contract on before anything was listed: that nobody can explain.
    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-06-01", period_end="2026-06-30")
    await surprises.note(bureau.ledger, TenantId(BJORK), {"contract": "1"}, "test")
    bureau.at("2026-02-01 11:40")
    await surprises.note(bureau.ledger, TenantId(BJORK), {"contract": "2"}, "test")
    await bureau.work()
    (block,) = await bureau.blocks()
    assert block.detail["contract"] == "1, 2"


async def test_an_early_invoice_that_is_kept_is_dated_its_due_day_and_goes_out_then_and_not_before(
    bureau: Bureau,
) -> None:
    await clicked_between(bureau)
    await bureau.type("billings", "keep", str((await early_one(bureau)).id))
    await bureau.work()
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125"
    bureau.at("2026-02-28 23:00")
    await bureau.work()
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125"
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed"
    # What comes after it is invoiced as ever.
    bureau.at("2026-04-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[2:] == ["1 2026-04-01..2026-04-30 2026-04-01 125 booked mailed"]


async def test_the_customer_keeps_his_days_to_pay_an_invoice_that_is_kept(bureau: Bureau) -> None:
    await clicked_between(bureau)
    company = bureau.company(BJORK)
    number = (await early_one(bureau)).invoice
    assert number is not None
    made = company.invoices[number]
    days = made.due_date - made.invoice_date
    await bureau.type("billings", "keep", str((await early_one(bureau)).id))
    assert (str(made.invoice_date), made.due_date - made.invoice_date) == ("2026-03-01", days)


async def test_an_early_invoice_that_is_cancelled_is_made_anew_when_it_is_due(bureau: Bureau) -> None:
    await clicked_between(bureau)
    await bureau.type("billings", "cancel", str((await early_one(bureau)).id))
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 by-hand
        1 2026-03-01..2026-03-31 2026-02-01 125 cancelled
    """)
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[2:] == ["1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed"]
    assert await bureau.blocks() == []


@pytest.mark.parametrize("action", [early.keep, early.cancel], ids=["keep", "cancel"])
async def test_keeping_or_cancelling_whose_answers_are_lost_is_read_and_believed(
    bureau: Bureau, action: Callable[..., Awaitable[Billing]]
) -> None:
    await clicked_between(bureau)
    for path in ("invoices/*", "invoices/*/cancel", "contracts/*"):
        await bureau.sandbox.fault(kind="cut_after", method="PUT", path=f"/3/{path}", times=1)
    billing = await early_one(bureau)
    await action(bureau.ledger, bureau.fortnox, billing.id, "test")
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[-1] == "1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed"


async def test_cancelling_that_breaks_off_in_the_middle_leaves_the_contract_paused_and_is_asked_for_again(
    bureau: Bureau,
) -> None:
    await clicked_between(bureau)
    await bureau.sandbox.fault(kind="cut", method="PUT", path="/3/contracts/*", times=1)
    billing = await early_one(bureau)
    with pytest.raises(NotPossible, match="is cancelled, but contract 1 shows 2026-04-01"):
        await early.cancel(bureau.ledger, bureau.fortnox, billing.id, "test")
    bureau.at("2026-04-01 09:00")
    await bureau.work()
    assert len(bureau.books(BJORK)) == 2
    await early.cancel(bureau.ledger, bureau.fortnox, billing.id, "test")
    await bureau.work()
    assert bureau.books(BJORK)[2:] == ["1 2026-03-01..2026-03-31 2026-04-01 125 booked mailed"]


async def test_an_early_invoice_is_neither_retried_nor_approved(bureau: Bureau) -> None:
    await clicked_between(bureau)
    billing = await early_one(bureau)
    with pytest.raises(NotPossible, match=f"billings keep {billing.id}"):
        await bureau.retry(BJORK, 1)
    with pytest.raises(NotPossible):
        await bureau.approve(BJORK, 1)


async def test_a_click_between_is_also_seen_when_the_answer_to_our_call_is_lost(bureau: Bureau) -> None:
    await proven(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
        await bureau.sandbox.fault(kind="cut_after", path="/3/contracts/1/createinvoice", times=1)
    await bureau.work_on(bureau.at_rest)
    assert bureau.books(BJORK)[1:] == lines(BOTH)
    assert (await bureau.stands(BJORK))[1:] == lines("""
        1 2026-02-01..2026-02-28 done
        1 2026-03-01..2026-03-31 bookkeep parked early
    """)


async def test_an_early_invoice_of_a_contract_without_further_steps_is_done_once_it_is_kept(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await bureau.sandbox.company(BJORK, name="Björks Data AB", customers=[{**CUSTOMER, "number": "1"}])
    await february(bureau, customer_number="1")
    await bureau.take_on(BJORK)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    await bureau.work_on(bureau.at_rest)
    await early.keep(bureau.ledger, bureau.fortnox, (await early_one(bureau)).id, "test")
    assert (await bureau.stands(BJORK))[1] == "1 2026-03-01..2026-03-31 done"
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125"


@pytest.mark.parametrize("is_restored", [False, True], ids=["same ledger", "restored ledger"])
async def test_a_call_that_acts_when_a_handmade_invoice_was_long_taken_for_its_own_is_caught_by_the_next_listing(
    bureau: Bureau, is_restored: bool
) -> None:
    await unanswered(bureau)
    if is_restored:
        await restore(bureau.ledger, "test", token_life=timedelta(hours=1), settle=timedelta(minutes=10))
    # Somebody sees that it is missing, and makes it; then Fortnox finishes what it had begun.
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    bureau.at("2026-02-01 09:05")
    await bureau.work()
    assert (await bureau.stands(BJORK))[1:] == ["1 2026-02-01..2026-02-28 done"]
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    bureau.at("2026-02-01 09:10")

    async def caught() -> bool:
        return any(one.reason is Reason.EARLY for one in await bureau.billings())

    await bureau.work(until=caught)
    assert (await bureau.stands(BJORK))[2:] == ["1 2026-03-01..2026-03-31 bookkeep parked early"]
    assert bureau.books(BJORK)[2:] == ["1 2026-03-01..2026-03-31 2026-02-01 125 by-hand"]


async def kept_until_march(bureau: Bureau) -> Billing:
    billing = await early_one(bureau)
    return await early.keep(bureau.ledger, bureau.fortnox, billing.id, "test")


async def test_a_kept_invoice_whose_tax_reduction_is_approved_still_waits_for_its_due_day(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    bureau.company(BJORK).contracts[1].tax_reduction_type = "rot"
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    await bureau.work_on(bureau.at_rest)
    await kept_until_march(bureau)
    assert (await bureau.stands(BJORK))[1:] == ["1 2026-03-01..2026-03-31 bookkeep held tax_reduction"]
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125"
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed"


async def test_a_kept_invoice_does_not_try_a_stopped_step_before_its_due_day(bureau: Bureau) -> None:
    await clicked_between(bureau)
    kept = await kept_until_march(bureau)
    await blocks.put(bureau.ledger, kept.tenant, Step.BOOKKEEP, Reason.PERIOD_LOCKED, {}, "test")
    with pytest.raises(NotPossible, match="it is due on 2026-03-01, and goes no sooner"):
        await bureau.retry(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK)[1] == "1 2026-03-01..2026-03-31 2026-03-01 125"


async def test_the_proof_knows_which_date_a_kept_invoice_was_given(bureau: Bureau) -> None:
    await clicked_between(bureau)
    await kept_until_march(bureau)
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert "DIFFERS" not in await bureau.type("reconcile", "--all")


async def test_what_our_call_made_instead_is_parked_when_a_person_names_another_invoice_for_the_period(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        # Not from the contract: written by hand, and the contract's period set forward.
        bureau.in_fortnox(BJORK, "write_invoice", customer="1", rows=[{"article_number": "A1", "quantity": "1"}])
        bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2026-03-01", period_end="2026-03-31")
    await bureau.work_on(bureau.looked_for)
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 create parked unverified"]
    asked = await bureau.billing(BJORK, 1)
    await by_hand.made(bureau.ledger, bureau.fortnox, asked.id, InvoiceNumber(1), "anna")
    await bureau.work()
    assert await bureau.stands(BJORK) == lines("""
        1 2026-02-01..2026-02-28 done
        1 2026-03-01..2026-03-31 bookkeep parked early
    """)
    assert bureau.books(BJORK) == lines("""
        0 None..None 2026-02-01 125 by-hand
        1 2026-03-01..2026-03-31 2026-02-01 125
    """)
