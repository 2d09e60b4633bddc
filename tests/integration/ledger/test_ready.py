"""What is offered to the feeder: what could be claimed now, fairly and cheaply."""

from datetime import date, timedelta

from common.clock import Clock
from common.ids import ContractNumber, TenantId
from common.ledger import billings, contracts, pauses, planning, policies
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Doubt, Seek
from common.ledger.records import Contract, Count
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.integration.ledger.story import (
    ACTED,
    ALL_STEPS,
    JUNE,
    OTHER,
    REJECTED,
    SILENCE,
    TENANT,
    company,
    done,
    made,
    one,
    planned,
    read_at,
    settled,
    verdict,
    view,
)


async def test_the_oldest_due_day_comes_first_and_no_company_fills_the_list(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    await planned(ledger, range(1, 11))
    views = [view(11, period=JUNE), view(12)]
    await contracts.mirror(ledger, TENANT, [Contract(one, read_at()) for one in views], complete=False)
    verdicts = [verdict(views[0]), verdict(views[1], due_on=date(2026, 4, 20))]
    await planning.insert(ledger, verdicts, "planner")
    (small,) = await planned(ledger, [1], tenant=OTHER, period=JUNE)

    offered = await billings.ready(ledger, per_tenant=3)
    assert [billing.due_on for billing in offered] == sorted(billing.due_on for billing in offered)
    first = await billings.get(ledger, offered[0].id)
    assert first is not None
    assert first.contract == 12
    assert [billing.tenant for billing in offered].count(TENANT) == 3
    assert small.id in {billing.id for billing in offered}


async def test_all_steps_are_offered_alike(ledger: Ledger) -> None:
    await company(ledger)
    first, _ = await planned(ledger, [1, 2])
    await made(ledger, first)
    assert {billing.step for billing in await billings.ready(ledger, per_tenant=5)} == {Step.CREATE, Step.BOOKKEEP}


async def test_what_waits_for_later_is_offered_when_its_time_has_come(ledger: Ledger, clock: Clock) -> None:
    await company(ledger)
    await settled(ledger, await one(ledger), REJECTED, Again(Reason.UNREACHABLE, timedelta(minutes=5)))
    assert await billings.ready(ledger, per_tenant=5) == []
    clock.shift += timedelta(minutes=6)
    assert len(await billings.ready(ledger, per_tenant=5)) == 1


async def test_a_paused_contract_makes_room_for_the_others(ledger: Ledger) -> None:
    await company(ledger)
    _, second, third = await planned(ledger, [1, 2, 3])
    await pauses.pause(ledger, "contract", tenant=TENANT, contract=ContractNumber(1), by="anna")
    assert [billing.id for billing in await billings.ready(ledger, per_tenant=2)] == [second.id, third.id]


async def test_one_contract_may_be_live_in_a_company_that_is_not(ledger: Ledger) -> None:
    await company(ledger, choice=ALL_STEPS.model_copy(update={"mode": "proposal"}))
    _, second = await planned(ledger, [1, 2])
    live = PolicyChoice(mode="live")
    await policies.change(ledger, "contract", live, "anna", tenant=TENANT, contract=ContractNumber(2))
    assert [billing.id for billing in await billings.ready(ledger, per_tenant=5)] == [second.id]


async def test_only_the_companies_that_are_asked_for_are_offered(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    (mine,) = await planned(ledger, [1])
    await planned(ledger, [1], tenant=OTHER, period=JUNE)
    assert [billing.id for billing in await billings.ready(ledger, per_tenant=5, of=[TENANT])] == [mine.id]
    assert await billings.ready(ledger, per_tenant=5, of=[]) == []


async def test_seekers_are_those_sought_or_in_doubt_with_their_newest_attempt(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    first, second, _ = await planned(ledger, [1, 2, 3])
    await settled(ledger, first, REJECTED, Again(Reason.UNAUTHORIZED))
    await settled(ledger, first, ACTED, Seek())
    await settled(ledger, second, SILENCE, Doubt())
    other = await settled(ledger, await one(ledger, tenant=OTHER), SILENCE, Doubt())

    found = await billings.seekers(ledger, TENANT)
    assert [(billing.id, attempt.verdict) for billing, attempt in found] == [(first.id, "acted"), (second.id, None)]
    assert {billing.id for billing, _ in await billings.seekers(ledger)} == {first.id, second.id, other.id}


async def test_counts_and_what_was_carried_out_add_up_by_company_and_step(ledger: Ledger) -> None:
    await company(ledger)
    first, second, _ = await planned(ledger, [1, 2, 3])
    await done(ledger, first, 101)
    await made(ledger, second, 102)
    amount = first.amount
    assert amount is not None
    assert sorted(await billings.counts(ledger), key=lambda count: count.step) == [
        Count(TENANT, Step.BOOKKEEP, Status.WAITING, "SEK", 1, amount),
        Count(TENANT, Step.CREATE, Status.WAITING, "SEK", 1, amount),
        Count(TENANT, Step.DELIVER, Status.DONE, "SEK", 1, amount),
    ]
    assert await billings.carried_out(ledger) == {
        (TENANT, Step.CREATE): 2,
        (TENANT, Step.BOOKKEEP): 1,
        (TENANT, Step.DELIVER): 1,
    }


async def test_billings_are_found_by_what_is_said_of_them(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    booked = await made(ledger, first)
    assert await billings.find(ledger, status=Status.WAITING) == [booked, second]
    assert await billings.find(ledger, status={Status.HELD, Status.PARKED}) == []
    assert await billings.find(ledger, status=()) == []
    assert await billings.find(ledger, step=Step.BOOKKEEP) == [booked]
    assert await billings.find(ledger, contract=ContractNumber(2)) == [second]
    assert await billings.find(ledger, tenant=TenantId(1)) == []
    assert await billings.find(ledger, limit=1) == [booked]
