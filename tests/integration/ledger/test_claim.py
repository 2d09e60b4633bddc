"""The claim (design, section 5, rules 2, 3 and 9): who may call, once, and only while nothing speaks against it."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import text

from common.clock import STOCKHOLM, Clock, boottime
from common.ids import BillingId
from common.ledger import audit, billings, pauses
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Doubt, Refusal, Refused, Seek
from common.ledger.records import Claim
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.integration.ledger.story import (
    ACTED,
    LIVE,
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


async def test_a_claim_writes_its_lease_and_its_call_before_it_returns(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    before = boottime()
    claim = await claimed(ledger, billing, lease=timedelta(seconds=90))

    assert before + 90 <= claim.held_until <= boottime() + 90
    stored = await now(ledger, billing)
    assert where(stored) == (Step.CREATE, Status.CLAIMED)
    assert stored == claim.billing
    assert stored.called_at is not None
    assert stored.lease_until == stored.called_at + timedelta(seconds=90)
    attempt = await only_attempt(ledger, billing)
    assert (attempt.id, attempt.verdict, attempt.called_at) == (claim.attempt, None, stored.called_at)


async def test_of_many_workers_that_claim_at_once_exactly_one_gets_it(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    answers = await asyncio.gather(*(ask(ledger, billing, by=f"worker-{n}") for n in range(20)))
    assert sum(isinstance(answer, Claim) for answer in answers) == 1
    assert {answer.why for answer in answers if isinstance(answer, Refused)} == {Refusal.TAKEN}
    await only_attempt(ledger, billing)


async def test_many_billings_of_a_company_are_claimed_side_by_side(ledger: Ledger) -> None:
    await company(ledger)
    answers = await asyncio.gather(*(ask(ledger, one) for one in await planned(ledger, range(1, 21))))
    assert all(isinstance(answer, Claim) for answer in answers)


async def test_tokens_of_claims_differ(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    assert (await claimed(ledger, first)).token != (await claimed(ledger, second)).token


async def test_a_billing_that_is_not_there_is_gone(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    answer = await billings.claim(
        ledger,
        BillingId(billing.id + 1),
        Step.CREATE,
        by="worker-1",
        lease=timedelta(minutes=1),
        token_expires_at=datetime.now(UTC),
        newest_invoice=None,
    )
    assert answer == Refused(Refusal.GONE)


async def test_a_message_for_a_step_that_is_past_is_refused(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    assert await ask(ledger, billing, Step.CREATE) == Refused(Refusal.GONE)


async def test_a_message_for_a_step_that_is_not_reached_is_refused(ledger: Ledger) -> None:
    await company(ledger)
    assert await ask(ledger, await one(ledger), Step.DELIVER) == Refused(Refusal.GONE)


async def test_nothing_is_claimed_before_its_time_by_the_databases_clock(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), REJECTED, Again(Reason.THROTTLED, timedelta(minutes=5)))
    assert billing.not_before is not None
    assert await ask(ledger, billing) == Refused(Refusal.NOT_YET)
    clock.shift += timedelta(minutes=6)
    assert isinstance(await ask(ledger, billing), Claim)


async def test_an_invoice_is_dated_the_day_it_is_asked_for_when_its_planned_day_has_passed(
    ledger: Ledger, clock: Clock
) -> None:
    await company(ledger)
    on_time, late, early = await planned(ledger, (1, 2, 3))
    for billing, day, dated in (
        (on_time, date(2026, 5, 1), date(2026, 5, 1)),
        (late, date(2026, 5, 12), date(2026, 5, 12)),
        (early, date(2026, 4, 29), date(2026, 5, 1)),
    ):
        clock.shift = datetime.combine(day, time(0, 5), STOCKHOLM) - Clock().now()
        claim = await claimed(ledger, billing)
        assert claim.billing.invoice_date == (await now(ledger, billing)).invoice_date == dated
        # Once made it keeps its date, whenever the rest is done.
        await billings.settle(ledger, claim, ACTED, billings.Made(invoice_of(claim.billing, billing.contract)))
        clock.shift += timedelta(days=3)
        assert (await claimed(ledger, billing, Step.BOOKKEEP)).billing.invoice_date == dated


@pytest.mark.parametrize("level", ["bureau", "tenant", "contract"])
async def test_a_pause_stops_the_claim_and_its_end_allows_it(ledger: Ledger, level: pauses.Level) -> None:
    await company(ledger)
    billing = await one(ledger)
    about = {
        "bureau": {},
        "tenant": {"tenant": TENANT},
        "contract": {"tenant": TENANT, "contract": billing.contract},
    }[level]
    await pauses.pause(ledger, level, **about, by="anna", why="wrong prices")  # type: ignore[arg-type]
    assert await ask(ledger, billing) == Refused(Refusal.PAUSED)
    assert await billings.ready(ledger, per_tenant=5) == []

    await pauses.resume(ledger, level, **about, by="anna")  # type: ignore[arg-type]
    assert [found.id for found in await billings.ready(ledger, per_tenant=5)] == [billing.id]
    assert isinstance(await ask(ledger, billing), Claim)


async def test_a_pause_that_has_returned_is_seen_by_every_claim_that_begins_after_it(ledger: Ledger) -> None:
    await company(ledger)
    waiting = await planned(ledger, range(1, 31))
    stopped_at: list[datetime] = []

    async def stop() -> None:
        await asyncio.sleep(0)
        await pauses.pause(ledger, "tenant", tenant=TENANT, by="anna")
        stopped_at.append(await ledger.now())

    await asyncio.gather(stop(), *(ask(ledger, one) for one in waiting))
    called = [found.called_at for found in await billings.find(ledger, status=Status.CLAIMED)]
    assert all(at is not None and at <= stopped_at[0] for at in called)


async def test_a_company_in_proposal_mode_is_never_called(ledger: Ledger) -> None:
    await company(ledger, choice=PolicyChoice(mode="proposal"))
    billing = await one(ledger)
    assert await ask(ledger, billing) == Refused(Refusal.PROPOSAL)
    assert await billings.ready(ledger, per_tenant=5) == []


async def test_a_create_without_a_verdict_is_never_claimed_again(ledger: Ledger) -> None:
    """Rule 3, by force: even set waiting behind the protocol's back."""
    await company(ledger)
    billing = await one(ledger)
    claim = await claimed(ledger, billing)
    await billings.settle(ledger, claim, SILENCE, Doubt())
    await _force(ledger, billing.id, "status = 'waiting'")
    assert await ask(ledger, billing) == Refused(Refusal.NO_VERDICT)


async def test_a_create_that_fortnox_said_yes_to_is_never_claimed_again(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), ACTED, Seek())
    await _force(ledger, billing.id, "status = 'waiting'")
    assert await ask(ledger, billing) == Refused(Refusal.NO_VERDICT)


async def test_a_create_with_an_invoice_number_is_never_claimed(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await _force(ledger, billing.id, "invoice = 77")
    assert await ask(ledger, billing) == Refused(Refusal.HAS_INVOICE)


async def test_the_first_create_of_a_company_runs_alone_until_it_is_verified(ledger: Ledger) -> None:
    await company(ledger, proven=False)
    first, second = await planned(ledger, [1, 2])
    assert len(await billings.ready(ledger, per_tenant=5)) == 1
    claim = await claimed(ledger, first)
    assert await ask(ledger, second) == Refused(Refusal.ALONE)
    assert await billings.ready(ledger, per_tenant=5) == []

    await billings.settle(ledger, claim, ACTED, Seek())
    assert await ask(ledger, second) == Refused(Refusal.ALONE)
    await _resolve_made(ledger, first.id)
    assert isinstance(await ask(ledger, second), Claim)


async def test_two_first_creates_at_once_are_one_at_a_time(ledger: Ledger) -> None:
    await company(ledger, proven=False)
    waiting = await planned(ledger, range(1, 11))
    answers = await asyncio.gather(*(ask(ledger, one) for one in waiting))
    assert sum(isinstance(answer, Claim) for answer in answers) == 1
    assert {answer.why for answer in answers if isinstance(answer, Refused)} == {Refusal.ALONE}


async def test_a_refused_first_create_lets_the_next_one_try(ledger: Ledger) -> None:
    await company(ledger, proven=False)
    first, second = await planned(ledger, [1, 2])
    await settled(ledger, first, REJECTED, billings.Park(Reason.REFUSED))
    assert isinstance(await ask(ledger, second), Claim)


async def test_a_claim_is_audited_with_who_and_until_when(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await claimed(ledger, billing, by="worker-9")
    entry = (await audit.entries(ledger, billing=billing.id))[-1]
    stored = await now(ledger, billing)
    assert stored.lease_until is not None
    assert (entry.action, entry.by, entry.tenant, entry.contract) == ("claimed", "worker-9", TENANT, billing.contract)
    assert entry.before == {"step": "create", "status": "waiting"}
    assert entry.after["lease_until"] == stored.lease_until.isoformat()


async def test_a_lease_that_has_run_out_is_taken_over_into_doubt(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    billing = await one(ledger)
    await claimed(ledger, billing, lease=timedelta(minutes=2))
    assert await billings.expired(ledger) == []
    assert not await billings.take_over(ledger, billing.id)

    clock.shift += timedelta(minutes=3)
    assert [found.id for found in await billings.expired(ledger)] == [billing.id]
    assert await billings.take_over(ledger, billing.id)
    assert not await billings.take_over(ledger, billing.id)
    billing = await now(ledger, billing)
    assert (*where(billing), billing.reason) == (Step.CREATE, Status.IN_DOUBT, Reason.NO_ANSWER)
    assert [found.id for found, _ in await billings.seekers(ledger, TENANT)] == [billing.id]


async def test_the_claim_carries_the_stricter_policy_for_the_call(ledger: Ledger) -> None:
    await company(ledger, choice=LIVE)
    billing = await one(ledger)
    assert billing.policy.bookkeep
    claim = await claimed(ledger, billing)
    assert not claim.policy.bookkeep


async def _force(ledger: Ledger, billing: BillingId, change: str) -> None:
    """What no function of the ledger does."""
    await ledger.transact(
        lambda connection: connection.execute(text(f"UPDATE billings SET {change} WHERE id = {billing}"))  # noqa: S608
    )


async def _resolve_made(ledger: Ledger, billing: BillingId) -> None:
    stored = await now(ledger, billing)
    made_it = billings.Made(invoice_of(stored))
    assert await billings.resolve(ledger, billing, Step.CREATE, made_it, "evidence", verdict="acted", note="found")
