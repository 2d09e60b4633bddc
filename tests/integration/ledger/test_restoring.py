"""A ledger that is an older copy: nothing unfinished in it is called before it was looked for, and nothing is freed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.ids import InvoiceNumber
from common.ledger import audit, billings, blocks, contracts, invoices, tenants
from common.ledger.continuity import standing
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Doubt, Hold, Made, Park, Refused, Seek
from common.ledger.records import Billing
from common.ledger.restoring import RESTORED, Restored, restore
from common.rules.plan import TenantFacts
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.integration.ledger.story import (
    ACTED,
    REJECTED,
    SILENCE,
    TENANT,
    ask,
    claimed,
    company,
    done,
    invoice_of,
    made,
    now,
    one,
    only_attempt,
    planned,
    settled,
    where,
)

HOUR = timedelta(hours=1)
SETTLE = timedelta(minutes=10)


async def restored(ledger: Ledger) -> Restored:
    return await restore(ledger, "anna", token_life=HOUR, settle=SETTLE)


async def never_made(ledger: Ledger, billing: Billing) -> Billing:
    """Evidence, or a person, says that no call of the billing's step was ever made."""
    assert await billings.resolve(
        ledger, billing.id, billing.step, Again(Reason.NOT_SENT), "evidence", verdict="absent", note="looked"
    )
    return await now(ledger, billing)


async def test_what_waits_at_any_step_is_in_doubt_there_and_cannot_be_called(ledger: Ledger) -> None:
    await company(ledger)
    at_create, at_bookkeep, at_deliver = await planned(ledger, (1, 2, 3))
    await made(ledger, at_bookkeep, 101)
    await made(ledger, at_deliver, 102, booked=True)
    assert (await restored(ledger)).doubted == {TENANT: 3}
    for billing, step in ((at_create, Step.CREATE), (at_bookkeep, Step.BOOKKEEP), (at_deliver, Step.DELIVER)):
        after = await now(ledger, billing)
        assert (where(after), after.reason) == ((step, Status.IN_DOUBT), Reason.OLD_LEDGER)
        assert after.detail["stood as"] == "waiting"
        assert isinstance(await ask(ledger, after), Refused)


async def test_what_is_final_stays(ledger: Ledger) -> None:
    await company(ledger)
    finished, skipped = await planned(ledger, (1, 2))
    await done(ledger, finished)
    await billings.skip(ledger, skipped.id, "anna", "")
    assert (await restored(ledger)).doubted == {}
    assert [(await now(ledger, billing)).status for billing in (finished, skipped)] == [Status.DONE, Status.SKIPPED]


async def test_the_lost_call_is_looked_for_from_what_the_copy_knew_and_until_its_token_has_surely_expired(
    ledger: Ledger,
) -> None:
    await company(ledger)
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(77))
    billing = await one(ledger)
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    await restored(ledger)
    attempt = await only_attempt(ledger, billing)
    assert (attempt.newest_invoice_before, attempt.verdict) == (77, None)
    assert attempt.called_at >= before
    assert attempt.token_expires_at - attempt.called_at == HOUR
    assert [found.id for found, _ in await billings.seekers(ledger)] == [billing.id]


async def test_what_was_never_made_waits_again(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await restored(ledger)
    after = await never_made(ledger, billing)
    assert (where(after), after.reason, after.not_before) == ((Step.CREATE, Status.WAITING), None, None)
    await claimed(ledger, after)


async def test_what_was_not_due_yet_is_not_due_before_afterwards(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    later = Again(Reason.UNREACHABLE, timedelta(days=3), failed=False)
    await billings.move(ledger, billing.id, Step.CREATE, later, "worker")
    due = (await now(ledger, billing)).not_before
    await restored(ledger)
    # It is looked for at once.
    assert [found.id for found, _ in await billings.seekers(ledger)] == [billing.id]
    after = await never_made(ledger, billing)
    assert (after.status, after.not_before) == (Status.WAITING, due)


async def test_what_was_held_is_held_again_for_the_same_reason(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await billings.move(ledger, billing.id, Step.CREATE, Hold(Reason.AMOUNT_ZERO, {"amount": "0 SEK"}), "planner")
    await restored(ledger)
    assert (await now(ledger, billing)).detail["stood as"] == "held, amount zero"
    after = await never_made(ledger, billing)
    assert (where(after), after.reason) == ((Step.CREATE, Status.HELD), Reason.AMOUNT_ZERO)
    assert after.detail == {"amount": "0 SEK"}
    assert isinstance(await ask(ledger, after), Refused)


async def test_what_was_parked_is_parked_again_for_the_same_reason(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), REJECTED, Park(Reason.REFUSED, {"message": "no"}))
    await restored(ledger)
    after = await never_made(ledger, billing)
    assert (where(after), after.reason, after.detail) == (
        (Step.CREATE, Status.PARKED),
        Reason.REFUSED,
        {"message": "no"},
    )


async def parked_for_the_company(ledger: Ledger) -> Billing:
    await company(ledger)
    return await settled(ledger, await one(ledger), REJECTED, Park(Reason.LICENCE_MISSING))


async def test_what_was_parked_for_the_whole_company_is_parked_again_while_that_stop_lasts(ledger: Ledger) -> None:
    billing = await parked_for_the_company(ledger)
    await restored(ledger)
    after = await never_made(ledger, billing)
    assert (after.status, after.reason) == (Status.PARKED, Reason.LICENCE_MISSING)


async def test_what_was_parked_for_the_whole_company_goes_on_if_that_stop_has_ended(ledger: Ledger) -> None:
    billing = await parked_for_the_company(ledger)
    await restored(ledger)
    await blocks.clear(ledger, TENANT, Step.CREATE, Reason.LICENCE_MISSING, "producer")
    after = await never_made(ledger, billing)
    assert (after.status, after.reason) == (Status.WAITING, None)


async def test_an_invoice_that_is_found_is_adopted_with_what_it_shows_as_done(ledger: Ledger) -> None:
    await company(ledger)
    held = await one(ledger)
    await billings.move(ledger, held.id, Step.CREATE, Hold(Reason.CATCH_UP), "planner")
    await restored(ledger)
    found = Made(invoice_of(held, booked=True, sent=True))
    assert await billings.resolve(ledger, held.id, Step.CREATE, found, "evidence", verdict="acted", note="seen")
    assert (await now(ledger, held)).status is Status.DONE


async def test_what_fortnox_has_said_yes_to_is_not_doubted(ledger: Ledger) -> None:
    await company(ledger)
    sought, early, other = await planned(ledger, (1, 2, 3))
    await settled(ledger, sought, ACTED, Seek())
    await settled(ledger, early, ACTED, Park(Reason.UNVERIFIED, {"invoice": "105"}))
    assert (await restored(ledger)).doubted == {TENANT: 1}
    assert (await now(ledger, other)).status is Status.IN_DOUBT
    assert (await now(ledger, sought)).status is Status.SEEKING
    assert (await now(ledger, early)).reason is Reason.UNVERIFIED


async def test_a_claim_of_the_copy_is_in_doubt_and_its_call_is_the_one_that_is_looked_for(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await claimed(ledger, billing, token_expires_at=datetime.now(UTC) + timedelta(minutes=1))
    await restored(ledger)
    attempt = await only_attempt(ledger, billing)
    assert attempt.token_expires_at > datetime.now(UTC) + HOUR - timedelta(minutes=1)
    assert (await now(ledger, billing)).status is Status.IN_DOUBT
    assert (await never_made(ledger, billing)).status is Status.WAITING


async def test_a_doubt_of_the_copy_keeps_its_reason_and_is_waited_out_anew(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, token_expires_at=datetime.now(UTC) + timedelta(minutes=1))
    await billings.settle(ledger, claim, SILENCE, Doubt(Reason.NO_ANSWER, {"answer": "cut off"}))
    await restored(ledger)
    after = await now(ledger, billing)
    assert (after.reason, after.detail["answer"]) == (Reason.NO_ANSWER, "cut off")
    # What the copy had in doubt may have been found in vain, and called again, in the time that is lost.
    attempt = await only_attempt(ledger, billing)
    assert attempt.token_expires_at > datetime.now(UTC) + HOUR - timedelta(minutes=1)


async def test_done_twice_it_looks_for_one_call_and_remembers_how_the_billing_first_stood(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await billings.move(ledger, billing.id, Step.CREATE, Hold(Reason.AMOUNT_ZERO), "planner")
    await restored(ledger)
    await restored(ledger)
    assert await only_attempt(ledger, billing)
    assert (await never_made(ledger, billing)).status is Status.HELD


async def test_nothing_that_was_read_of_fortnox_before_counts_as_read(ledger: Ledger) -> None:
    await company(ledger)
    fresh = datetime.now(UTC)
    billing = await made(ledger, await one(ledger), 101)
    await invoices.mirror(ledger, [invoice_of(billing, 90, read_at=fresh)])
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(100))
    await tenants.note_listing(ledger, TENANT, fresh)
    await tenants.note_facts(ledger, TENANT, TenantFacts(), fresh.date())
    await restored(ledger)
    contract = await contracts.get(ledger, TENANT, billing.contract)
    known, unknown = [await invoices.get(ledger, TENANT, InvoiceNumber(number)) for number in (90, 101)]
    tenant = await tenants.get(ledger, TENANT)
    assert contract is not None
    assert known is not None
    assert unknown is not None
    assert tenant is not None
    assert contract.read_at.year == 1970
    assert known.read_at is not None
    assert known.read_at.year == 1970
    # One that the next look will list is read as a whole again.
    assert unknown.read_at is None
    assert (tenant.listed_at, tenant.facts_on) == (None, None)


async def test_the_answer_to_a_lost_call_is_not_taken_for_that_to_another_with_the_same_number(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, (1, 2))
    claim = await claimed(ledger, first)
    await billings.settle(ledger, claim, SILENCE, Doubt())
    # A worker that was frozen over the restoration holds a claim whose number the copy has given out anew.
    lost = await claimed(ledger, second)
    ghost = replace(lost, attempt=claim.attempt)
    assert not await billings.settle(ledger, ghost, REJECTED, Park(Reason.REFUSED))
    assert (await only_attempt(ledger, first)).verdict is None


async def test_who_said_it_and_what_the_copy_knew_is_in_the_audit(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    ended = (await standing(ledger)).newest
    assert (await restored(ledger)).ended == ended
    assert ended is not None
    said = [entry for entry in await audit.entries(ledger) if entry.action == RESTORED]
    assert [(entry.by, entry.tenant, entry.after["in_doubt"]) for entry in said] == [
        ("anna", None, 1),
        ("anna", TENANT, 1),
    ]
    assert said[0].after["ended_at"] == ended.at.isoformat()
    (doubted,) = [entry for entry in await audit.entries(ledger, billing=billing.id) if entry.action == "put_in_doubt"]
    assert (doubted.before["status"], doubted.after["status"]) == ("waiting", "in_doubt")
