"""The settlement (design, section 5, rules 4 and 5): what came back is kept, and moves only what is still held."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from common.clock import Clock
from common.ids import InvoiceNumber
from common.ledger import audit, billings, invoices
from common.ledger.database import Ledger
from common.ledger.outcomes import (
    Again,
    Answer,
    Booked,
    Delivered,
    Doubt,
    Hold,
    Made,
    Park,
    Refusal,
    Refused,
    Seek,
    Void,
)
from common.ledger.records import Claim
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
    invoice_of,
    made,
    now,
    one,
    only_attempt,
    planned,
    settled,
    where,
)


async def test_no_answer_puts_the_billing_in_doubt(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), SILENCE, Doubt())
    assert (*where(billing), billing.reason) == (Step.CREATE, Status.IN_DOUBT, Reason.NO_ANSWER)
    assert await billings.ready(ledger, per_tenant=5) == []


@pytest.mark.parametrize("wish", [Again(Reason.UNREACHABLE), Park(Reason.REFUSED), Hold(Reason.HANDMADE), Seek()])
async def test_without_a_verdict_the_billing_is_in_doubt_whatever_is_wished(
    ledger: Ledger, wish: billings.Outcome
) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), SILENCE, wish)
    assert billing.status is Status.IN_DOUBT


async def test_a_refusal_that_may_pass_waits_on_the_same_step_and_counts(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    again = Again(Reason.UNAUTHORIZED)
    billing = await settled(ledger, billing, REJECTED, again)
    assert (*where(billing), billing.failures) == (Step.CREATE, Status.WAITING, 1)
    billing = await settled(ledger, billing, REJECTED, again)
    assert billing.failures == 2
    billing = await settled(ledger, billing, REJECTED, Again(Reason.THROTTLED, failed=False))
    assert billing.failures == 2
    billing = await made(ledger, billing)
    assert billing.failures == 0
    assert [attempt.verdict for attempt in await billings.attempts(ledger, billing.id)] == [*["rejected"] * 3, "acted"]


async def test_a_parked_billing_tells_what_fortnox_said(ledger: Ledger) -> None:
    await company(ledger)
    parked = Park(Reason.REFUSED, {"code": "2000106", "message": "Kunden saknar adress"})
    billing = await settled(ledger, await one(ledger), REJECTED, parked)
    assert (*where(billing), billing.reason) == (Step.CREATE, Status.PARKED, Reason.REFUSED)
    assert billing.detail == {"code": "2000106", "message": "Kunden saknar adress"}
    attempt = await only_attempt(ledger, billing)
    assert (attempt.http_status, attempt.code, attempt.message) == (400, 2000106, "Kunden saknar adress")


async def test_a_worker_that_has_lost_its_lease_stores_its_answer_and_moves_nothing(
    ledger: Ledger, clock: Clock
) -> None:
    """Rule 4: the fence is on the state, never on the evidence."""
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    assert await billings.take_over(ledger, billing.id)

    invoice = invoice_of(billing)
    assert not await billings.settle(ledger, claim, Answer("acted", 200, x_uid="late"), Made(invoice))
    assert where(await now(ledger, billing)) == (Step.CREATE, Status.IN_DOUBT)
    attempt = await only_attempt(ledger, billing)
    assert (attempt.verdict, attempt.x_uid) == ("acted", "late")
    assert await invoices.get(ledger, TENANT, invoice.number) is not None
    assert [entry.action for entry in await audit.entries(ledger, billing=billing.id)][-1] == "answered_late"


async def test_a_claim_whose_lease_has_run_out_still_settles_while_nobody_took_it_over(
    ledger: Ledger, clock: Clock
) -> None:
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    assert await billings.settle(ledger, claim, ACTED, Made(invoice_of(billing)))


async def test_a_thawed_worker_cannot_move_a_billing_that_another_has_claimed(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    frozen = await claimed(ledger, billing, lease=timedelta(minutes=1), by="frozen")
    clock.shift += timedelta(minutes=2)
    await billings.take_over(ledger, billing.id)
    resolved = await billings.resolve(
        ledger, billing.id, Step.BOOKKEEP, Again(Reason.NOT_SENT), "anna", verdict="absent", note="not booked"
    )
    assert resolved
    current = await claimed(ledger, billing, by="current")

    assert not await billings.settle(ledger, frozen, REJECTED, Park(Reason.REFUSED))
    stored = await now(ledger, billing)
    assert where(stored) == (Step.BOOKKEEP, Status.CLAIMED)
    assert await billings.settle(ledger, current, ACTED, Booked())


async def test_a_late_yes_stops_a_create_that_was_set_waiting_again(ledger: Ledger, clock: Clock) -> None:
    """The call took effect after all: it must not be repeated."""
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    await billings.take_over(ledger, billing.id)
    await billings.resolve(
        ledger, billing.id, Step.CREATE, Again(Reason.NOT_SENT), "evidence", verdict="absent", note="nothing found"
    )
    assert where(await now(ledger, billing)) == (Step.CREATE, Status.WAITING)

    assert not await billings.settle(ledger, claim, ACTED, Seek())
    assert where(await now(ledger, billing)) == (Step.CREATE, Status.IN_DOUBT)
    assert (await only_attempt(ledger, billing)).verdict == "acted"
    assert await ask(ledger, billing) == Refused(Refusal.TAKEN)


@pytest.mark.parametrize("late", [SILENCE, REJECTED], ids=["none", "a refusal"])
async def test_evidence_that_a_call_acted_is_never_taken_back_by_a_late_answer(
    ledger: Ledger, clock: Clock, late: Answer
) -> None:
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    await billings.take_over(ledger, billing.id)
    found = Made(invoice_of(billing))
    assert await billings.resolve(ledger, billing.id, Step.CREATE, found, "evidence", verdict="acted", note="101")
    assert not await billings.settle(ledger, claim, late, Doubt())
    assert (await only_attempt(ledger, billing)).verdict == "acted"
    assert where(await now(ledger, billing)) == (Step.BOOKKEEP, Status.WAITING)


async def test_settling_twice_changes_nothing_the_second_time(ledger: Ledger) -> None:
    """A commit whose confirmation was lost is settled again by the worker."""
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing)
    to = Made(invoice_of(billing))
    assert await billings.settle(ledger, claim, ACTED, to)
    written = await audit.entries(ledger)
    assert not await billings.settle(ledger, claim, ACTED, to)
    assert where(await now(ledger, billing)) == (Step.BOOKKEEP, Status.WAITING)
    assert await audit.entries(ledger) == written


async def test_an_invoice_that_belongs_to_another_billing_is_not_taken(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    await made(ledger, first, 101)
    billing = await settled(ledger, second, ACTED, Made(invoice_of(second, 101)))
    assert (*where(billing), billing.reason) == (Step.CREATE, Status.IN_DOUBT, Reason.NUMBER_UNKNOWN)
    assert billing.invoice is None
    assert (await only_attempt(ledger, billing)).verdict == "acted"


@pytest.mark.parametrize(
    "wrong",
    [{"contract": 99}, {"period": None}, {"cancelled": True}, {"credit": True}],
    ids=["another contract", "no period", "cancelled", "a credit"],
)
async def test_an_invoice_that_is_not_the_billings_goes_no_further(ledger: Ledger, wrong: dict[str, Any]) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), **wrong)
    assert (*where(billing), billing.reason) == (Step.CREATE, Status.PARKED, Reason.UNVERIFIED)
    assert billing.invoice is None
    with pytest.raises(billings.NotPossible, match="may have taken effect"):
        await billings.retry(ledger, billing.id, "anna")


async def test_an_outcome_that_the_step_cannot_have_is_a_fault(ledger: Ledger) -> None:
    await company(ledger)
    claim = await claimed(ledger, await one(ledger))
    with pytest.raises(ValueError, match="Delivered is no outcome of the step create"):
        await billings.settle(ledger, claim, ACTED, Delivered())


async def test_a_voided_billing_is_final(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    cancelled = Void(Reason.CANCELLED, {"invoice": "101"})
    assert await billings.move(ledger, billing.id, Step.BOOKKEEP, cancelled, "worker-1")
    billing = await now(ledger, billing)
    assert (billing.status, billing.reason) == (Status.VOIDED, Reason.CANCELLED)
    assert await ask(ledger, billing) == Refused(Refusal.GONE)


async def test_a_waiting_billing_is_moved_only_from_the_step_it_waits_at(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    held = Hold(Reason.PERIOD_MOVED)
    assert not await billings.move(ledger, billing.id, Step.BOOKKEEP, held, "worker-1")
    await claimed(ledger, billing)
    assert not await billings.move(ledger, billing.id, Step.CREATE, held, "worker-1")
    assert (await now(ledger, billing)).status is Status.CLAIMED


async def test_a_billing_given_back_waits_at_least_so_long(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    delay = timedelta(seconds=20)
    again = Again(Reason.THROTTLED, delay, failed=False)
    assert await billings.move(ledger, billing.id, Step.CREATE, again, "worker")
    billing = await now(ledger, billing)
    assert billing.not_before == billing.changed_at + delay
    assert billing.failures == 0
    assert await billings.ready(ledger, per_tenant=5) == []


async def test_a_handed_over_invoice_is_sought_again_after_its_delay(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), booked=True)
    billing = await settled(ledger, billing, ACTED, Seek({"status": "UNKNOWN"}, timedelta(minutes=1)))
    assert where(billing) == (Step.DELIVER, Status.SEEKING)
    assert await billings.seekers(ledger) == []
    clock.shift += timedelta(minutes=2)
    assert [found.id for found, _ in await billings.seekers(ledger)] == [billing.id]


async def test_doubt_is_not_left_while_nobody_says_what_became_of_the_call(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), SILENCE, Doubt())
    with pytest.raises(ValueError, match="cannot leave doubt"):
        await billings.resolve(
            ledger, billing.id, Step.CREATE, Again(Reason.NO_ANSWER), "evidence", verdict=None, note=""
        )
    assert (await now(ledger, billing)).status is Status.IN_DOUBT


async def test_evidence_moves_only_what_is_sought_or_in_doubt(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    found = Made(invoice_of(billing))
    assert not await billings.resolve(ledger, billing.id, Step.CREATE, found, "evidence", verdict="acted", note="")
    assert where(await now(ledger, billing)) == (Step.CREATE, Status.WAITING)


async def test_a_look_that_was_held_up_says_nothing_of_a_call_that_was_made_since(ledger: Ledger) -> None:
    await company(ledger)
    first = await settled(ledger, await one(ledger), SILENCE, Doubt())
    looked_for = (await only_attempt(ledger, first)).id
    not_made = partial(
        billings.resolve,
        ledger,
        first.id,
        Step.CREATE,
        Again(Reason.NOT_SENT),
        "evidence",
        verdict="absent",
        note="nothing found",
        looked_for=looked_for,
    )
    assert await not_made()
    await settled(ledger, first, SILENCE, Doubt())

    assert not await not_made()
    assert where(await now(ledger, first)) == (Step.CREATE, Status.IN_DOUBT)
    assert [call.verdict for call in await billings.attempts(ledger, first.id)] == ["absent", None]


async def test_a_look_that_found_nothing_does_not_take_back_a_yes_that_came_meanwhile(
    ledger: Ledger, clock: Clock
) -> None:
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    await billings.take_over(ledger, billing.id)
    assert not await billings.settle(ledger, claim, ACTED, Seek())
    moved = await billings.resolve(
        ledger,
        billing.id,
        Step.CREATE,
        Again(Reason.NOT_SENT),
        "evidence",
        verdict="absent",
        note="nothing found",
        looked_for=claim.attempt,
    )
    assert not moved
    assert (await only_attempt(ledger, billing)).verdict == "acted"


async def test_two_looks_that_find_the_same_invoice_move_the_billing_once(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), ACTED, Seek())
    found = Made(invoice_of(billing))
    moved = await asyncio.gather(
        *(
            billings.resolve(ledger, billing.id, Step.CREATE, found, "evidence", verdict="acted", note="")
            for _ in range(5)
        )
    )
    assert sorted(moved) == [False, False, False, False, True]


async def test_the_same_invoice_is_never_taken_by_two_billings_at_once(ledger: Ledger) -> None:
    await company(ledger)
    waiting = await planned(ledger, range(1, 7))
    claims = [await claimed(ledger, one) for one in waiting]
    shared = InvoiceNumber(101)
    moved = await asyncio.gather(
        *(billings.settle(ledger, claim, ACTED, Made(invoice_of(claim.billing, shared))) for claim in claims)
    )
    assert all(moved)
    assert len([found for found in await billings.find(ledger) if found.invoice == shared]) == 1
    assert isinstance(claims[0], Claim)


async def test_a_persons_no_does_not_take_back_a_yes_that_came_after_he_looked(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    await billings.take_over(ledger, billing.id)
    looked_at = await only_attempt(ledger, billing)
    never_made = partial(
        billings.resolve,
        ledger,
        billing.id,
        Step.CREATE,
        Again(Reason.NOT_SENT),
        "anna",
        verdict="absent",
        note="anna says so",
        looked_for=looked_at.id,
    )
    await billings.settle(ledger, claim, ACTED, Seek())
    assert not await never_made(known=looked_at.verdict)
    assert (await only_attempt(ledger, billing)).verdict == "acted"
    # He may say so in spite of a yes that he has seen: that invoice is cancelled by now, for one.
    assert await never_made(known="acted")
