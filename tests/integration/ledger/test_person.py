"""What a person may do with a billing, and what not even a person may."""

from datetime import timedelta

import pytest

from common.clock import Clock
from common.ids import BillingId
from common.ledger import audit, billings
from common.ledger.billings import NotPossible
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Delivered, Doubt, Hold, Park, Refusal, Refused, Seek
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.integration.ledger.story import (
    ACTED,
    JUNE,
    REJECTED,
    SILENCE,
    ask,
    claimed,
    company,
    done,
    made,
    now,
    one,
    planned,
    settled,
    where,
)


async def test_a_yes_sets_a_held_billing_waiting_on_the_same_step_and_is_remembered(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    await billings.move(ledger, billing.id, Step.BOOKKEEP, Hold(Reason.SENT_BEFORE), "worker-1")
    approved = await billings.approve(ledger, billing.id, "anna")
    assert approved == await now(ledger, billing)
    assert where(approved) == (Step.BOOKKEEP, Status.WAITING)
    assert approved.approved == {Reason.SENT_BEFORE}
    entry = (await audit.entries(ledger, billing=billing.id))[-1]
    assert (entry.by, entry.action) == ("anna", "approved")
    assert entry.before["reason"] == "sent_before"


async def test_only_a_held_billing_can_be_approved(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    with pytest.raises(NotPossible, match=r"cannot be approved: it is waiting.*avtalsmotor billings show"):
        await billings.approve(ledger, billing.id, "anna")


async def test_a_retry_sets_a_parked_billing_waiting_on_the_same_step(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    await settled(ledger, billing, REJECTED, Park(Reason.REFUSED, {"code": "2000401"}))
    retried = await billings.retry(ledger, billing.id, "anna")
    assert (*where(retried), retried.reason, dict(retried.detail)) == (Step.BOOKKEEP, Status.WAITING, None, {})
    await claimed(ledger, retried)


async def test_a_retry_of_a_parked_delivery_never_goes_back_to_create(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), booked=True)
    await settled(ledger, billing, REJECTED, Park(Reason.RECIPIENT_MISSING))
    retried = await billings.retry(ledger, billing.id, "anna")
    assert where(retried) == (Step.DELIVER, Status.WAITING)
    assert await ask(ledger, retried, Step.CREATE) == Refused(Refusal.GONE)


async def test_what_is_in_doubt_cannot_be_retried_or_skipped(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), SILENCE, Doubt())
    with pytest.raises(NotPossible, match="may have taken effect"):
        await billings.retry(ledger, billing.id, "anna")
    with pytest.raises(NotPossible, match="cannot be skipped: it is in_doubt"):
        await billings.skip(ledger, billing.id, "anna", "")
    assert (await now(ledger, billing)).status is Status.IN_DOUBT


async def test_a_sending_whose_yes_came_when_its_lease_was_over_cannot_be_retried(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), booked=True)
    claim = await claimed(ledger, billing, lease=timedelta(minutes=1))
    clock.shift += timedelta(minutes=2)
    await billings.take_over(ledger, billing.id)
    assert not await billings.settle(ledger, claim, ACTED, Delivered("e-mail"))
    with pytest.raises(NotPossible, match="may have taken effect"):
        await billings.retry(ledger, billing.id, "anna")


async def test_a_doubt_that_evidence_has_answered_with_no_can_be_retried(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), SILENCE, Doubt())
    await billings.resolve(ledger, billing.id, Step.CREATE, Doubt(), "anna", verdict="absent", note="never made")
    await billings.retry(ledger, billing.id, "anna")
    await claimed(ledger, billing)


@pytest.mark.parametrize("state", ["claimed", "seeking", "waiting", "held", "done"])
async def test_only_what_is_parked_can_be_retried(ledger: Ledger, state: str) -> None:
    await company(ledger)
    billing = await one(ledger)
    match state:
        case "claimed":
            await claimed(ledger, billing)
        case "seeking":
            await settled(ledger, billing, ACTED, Seek())
        case "held":
            await billings.move(ledger, billing.id, Step.CREATE, Hold(Reason.PERIOD_MOVED), "worker-1")
        case "done":
            await done(ledger, billing)
    before = await now(ledger, billing)
    with pytest.raises(NotPossible):
        await billings.retry(ledger, billing.id, "anna")
    assert await now(ledger, billing) == before


@pytest.mark.parametrize("state", ["waiting", "held", "parked"])
async def test_a_skipped_billing_is_final_and_says_why(ledger: Ledger, state: str) -> None:
    await company(ledger)
    billing = await one(ledger)
    match state:
        case "held":
            await billings.move(ledger, billing.id, Step.CREATE, Hold(Reason.PERIOD_MOVED), "worker-1")
        case "parked":
            await settled(ledger, billing, REJECTED, Park(Reason.REFUSED))
    skipped = await billings.skip(ledger, billing.id, "anna", "billed by hand elsewhere")
    assert (skipped.status, skipped.detail) == (Status.SKIPPED, {"why": "billed by hand elsewhere"})
    assert await ask(ledger, billing) == Refused(Refusal.GONE)
    with pytest.raises(NotPossible):
        await billings.skip(ledger, billing.id, "anna", "")


async def test_a_skipped_period_is_not_planned_again_and_the_next_one_is(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await billings.skip(ledger, billing.id, "anna", "")
    assert await planned(ledger) == []
    assert len(await planned(ledger, period=JUNE)) == 1


async def test_a_billing_that_does_not_exist_is_said_so(ledger: Ledger) -> None:
    with pytest.raises(NotPossible, match="Billing 17 does not exist"):
        await billings.approve(ledger, BillingId(17), "anna")


async def test_a_retry_forgets_the_failures_and_the_wait(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), REJECTED, Again(Reason.UNREACHABLE))
    await billings.move(ledger, billing.id, Step.CREATE, Park(Reason.REFUSED), "worker-1")
    retried = await billings.retry(ledger, billing.id, "anna")
    assert (retried.failures, retried.not_before) == (0, None)
