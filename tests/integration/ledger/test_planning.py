"""What the plan inserts (design, section 5, rule 1): one billing of a period, once, whoever plans and however often."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from common.clock import STOCKHOLM, Clock
from common.ids import ContractNumber, TenantId
from common.ledger import audit, billings, contracts, corrections, customers, pauses, planning, policies, tenants
from common.ledger.customers import Customer
from common.ledger.database import Ledger
from common.ledger.outcomes import Hold, Void
from common.ledger.records import Contract
from common.rules.periods import Period
from common.rules.plan import ContractView, Lacks, TenantFacts, plan
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.integration.ledger.story import (
    ALL_STEPS,
    JUNE,
    MAY,
    OTHER,
    TENANT,
    company,
    done,
    made,
    now,
    one,
    planned,
    read_at,
    verdict,
    view,
    where,
)


async def test_what_falls_due_waits_with_all_that_the_plan_knew(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    assert where(billing) == (Step.CREATE, Status.WAITING)
    assert (billing.period, billing.generation, billing.due_on, billing.invoice_date) == (MAY, 1, MAY.start, MAY.start)
    assert (billing.amount, billing.currency) == (Decimal("1250.00"), "SEK")
    assert (billing.customer_number, billing.customer_name) == ("1001", "Gran & Tall AB")
    assert billing.policy.bookkeep
    assert billing == await now(ledger, billing)


async def test_planning_again_inserts_nothing(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    assert await planned(ledger) == []
    assert await billings.find(ledger) == [billing]


async def test_many_planners_at_once_insert_each_period_once(ledger: Ledger) -> None:
    await company(ledger)
    numbers = range(1, 31)
    inserted = await asyncio.gather(*(planned(ledger, numbers) for _ in range(5)))
    assert sorted(billing.contract for batch in inserted for billing in batch) == list(numbers)
    assert len(await audit.entries(ledger, tenant=TENANT)) == len(numbers) + 3


async def test_a_large_company_is_inserted_whole(ledger: Ledger) -> None:
    await company(ledger)
    assert len(await planned(ledger, range(1, 1002))) == 1001
    assert len(await billings.find(ledger, status=Status.WAITING)) == 1001


async def test_previews_and_what_is_not_due_are_never_inserted(ledger: Ledger) -> None:
    await company(ledger)
    verdicts = [verdict(view(1), preview=True), verdict(view(2), reason=Reason.NOT_YET), verdict(view(3, period=None))]
    verdicts[2] = verdict(view(3, period=None), reason=Reason.NO_PERIOD)
    assert await planning.insert(ledger, verdicts, "planner") == []
    assert await billings.find(ledger) == []


async def test_what_is_held_by_the_plan_is_held_with_its_reason(ledger: Ledger) -> None:
    await company(ledger)
    held = verdict(view(1), reason=Reason.PERIOD_MOVED, detail={"period": str(MAY), "last_billed": str(JUNE)})
    (billing,) = await planning.insert(ledger, [held], "planner")
    assert (*where(billing), billing.reason) == (Step.CREATE, Status.HELD, Reason.PERIOD_MOVED)
    assert billing.detail == {"period": str(MAY), "last_billed": str(JUNE)}
    assert await billings.ready(ledger, per_tenant=5) == []


async def test_tomorrows_billing_waits_for_midnight_in_stockholm(ledger: Ledger, clock: Clock) -> None:
    evening = datetime(2026, 5, 1, 19, tzinfo=STOCKHOLM)
    clock.shift = evening - Clock().now()
    await company(ledger)
    tomorrow = verdict(view(1), due_on=date(2026, 5, 2))
    (billing,) = await planning.insert(ledger, [tomorrow], "planner")
    assert billing.not_before == datetime(2026, 5, 2, tzinfo=STOCKHOLM)
    assert await billings.ready(ledger, per_tenant=5) == []
    clock.shift += timedelta(hours=5, seconds=1)
    assert len(await billings.ready(ledger, per_tenant=5)) == 1


async def test_a_second_period_of_a_contract_is_not_inserted_while_the_first_is_open(ledger: Ledger) -> None:
    """Not even by a plan that has lost its mind: the database refuses."""
    await company(ledger)
    await one(ledger)
    assert await planned(ledger, period=JUNE) == []


async def test_the_next_period_is_inserted_once_the_invoice_is_made(ledger: Ledger) -> None:
    await company(ledger)
    await made(ledger, await one(ledger))
    (billing,) = await planned(ledger, period=JUNE)
    assert billing.period == JUNE


async def test_a_voided_period_is_planned_again_as_the_next_generation(ledger: Ledger) -> None:
    await company(ledger)
    first = await made(ledger, await one(ledger))
    await billings.move(ledger, first.id, Step.BOOKKEEP, Void(Reason.CANCELLED), "worker-1")
    (second,) = await planned(ledger)
    assert (second.period, second.generation) == (first.period, 2)
    assert await planned(ledger) == []


async def test_a_period_corrected_after_it_was_skipped_is_planned_as_the_next_generation(ledger: Ledger) -> None:
    await company(ledger)
    mistyped = Period(MAY.start, date(2026, 5, 14))
    (first,) = await planned(ledger, period=mistyped, reason=Reason.PERIOD_LENGTH)
    await billings.skip(ledger, first.id, "anna", "mistyped")
    assert await planned(ledger, period=mistyped, reason=Reason.PERIOD_LENGTH) == []
    (second,) = await planned(ledger)
    assert (second.period, second.generation, second.status) == (MAY, 2, Status.WAITING)
    assert (await now(ledger, first)).status is Status.VOIDED
    assert [entry.action for entry in await audit.entries(ledger, billing=first.id)][-1] == "superseded"


async def test_a_hold_that_passes_by_itself_is_planned_anew(ledger: Ledger) -> None:
    await company(ledger)
    locked = verdict(view(1), reason=Reason.PERIOD_LOCKED, detail={"locked_until": "2026-05-31"})
    (held,) = await planning.insert(ledger, [locked], "planner")
    assert await planning.insert(ledger, [locked], "planner") == []
    (freed,) = await planning.insert(ledger, [verdict(view(1))], "planner")
    assert (freed.id, freed.status, freed.reason) == (held.id, Status.WAITING, None)
    actions = [entry.action for entry in await audit.entries(ledger, billing=held.id)]
    assert actions == ["planned", "planned_anew"]


async def test_a_hold_that_waits_for_a_person_is_not_planned_away(ledger: Ledger) -> None:
    await company(ledger)
    (held,) = await planning.insert(ledger, [verdict(view(1), reason=Reason.AMOUNT_CHANGED)], "planner")
    assert await planning.insert(ledger, [verdict(view(1))], "planner") == []
    assert (await now(ledger, held)).status is Status.HELD


async def test_a_hold_after_the_invoice_was_made_is_never_planned_away(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    await billings.move(ledger, billing.id, Step.BOOKKEEP, Hold(Reason.PERIOD_LOCKED), "worker-1")
    assert await planning.insert(ledger, [verdict(view(1))], "planner") == []
    assert where(await now(ledger, billing)) == (Step.BOOKKEEP, Status.HELD)


async def test_the_plan_is_fed_with_contracts_policies_facts_and_the_newest_billings(ledger: Ledger) -> None:
    await company(ledger)
    await policies.change(
        ledger, "contract", PolicyChoice(lead_days=5), "anna", tenant=TENANT, contract=ContractNumber(2)
    )
    facts = TenantFacts(date(2026, 4, 30), (Period(date(2026, 1, 1), date(2026, 12, 31)),))
    await tenants.note_facts(ledger, TENANT, facts, date(2026, 5, 1))
    await planned(ledger, [1])
    await contracts.mirror(ledger, TENANT, [Contract(view(2), read_at())], complete=False)

    views = await planning.views(ledger, TENANT)
    assert views.facts == {TENANT: facts}
    by_number = {contract.number: (policy, billed) for contract, policy, billed in views.contracts}
    assert [one.period for one in by_number[ContractNumber(1)][1]] == [MAY]
    assert by_number[ContractNumber(2)][1] == []
    assert by_number[ContractNumber(2)][0].lead_days == 5
    assert by_number[ContractNumber(1)][0].lead_days == 0


async def test_the_plan_sees_the_newest_billings_first_and_a_voided_one_until_its_period_is_planned_again(
    ledger: Ledger,
) -> None:
    await company(ledger)
    first = await done(ledger, await one(ledger), 101)
    (second,) = await planned(ledger, period=JUNE)
    voided = await made(ledger, second, 102)
    await billings.move(ledger, voided.id, Step.BOOKKEEP, Void(Reason.CANCELLED), "worker-1")
    ((_, _, billed),) = (await planning.views(ledger, TENANT)).contracts
    assert [(one.period, one.status) for one in billed] == [(JUNE, Status.VOIDED), (first.period, Status.DONE)]

    await planned(ledger, period=JUNE)
    ((_, _, billed),) = (await planning.views(ledger, TENANT)).contracts
    assert [(one.period, one.status) for one in billed] == [(JUNE, Status.WAITING), (first.period, Status.DONE)]


async def test_what_was_withdrawn_hides_no_cancelled_invoice_of_its_period(ledger: Ledger) -> None:
    await company(ledger)
    cancelled = await made(ledger, await one(ledger), 101)
    await billings.move(ledger, cancelled.id, Step.BOOKKEEP, Void(Reason.CANCELLED), "worker-1")
    (again,) = await planned(ledger)
    await billings.move(ledger, again.id, Step.CREATE, Void(Reason.WITHDRAWN), "producer")
    ((_, _, billed),) = (await planning.views(ledger, TENANT)).contracts
    assert [(one.generation, one.reason) for one in billed] == [(1, Reason.CANCELLED)]

    await mirrored(ledger, view(1, period=JUNE))
    assert [one.billing.id for one in await corrections.not_invoiced_again(ledger)] == [cancelled.id]


async def test_what_is_planned_is_already_billed_to_the_next_plan(ledger: Ledger) -> None:
    await company(ledger, choice=ALL_STEPS.model_copy(update={"catch_up": "invoice"}))
    await contracts.mirror(ledger, TENANT, [Contract(view(1), read_at())], complete=True)
    today = date(2026, 5, 1)
    for expected in (Reason.DUE, Reason.ALREADY_BILLED):
        views = await planning.views(ledger)
        (decided,) = plan(views.contracts, views.facts, today)
        assert decided.reason is expected
        await planning.insert(ledger, [decided], "planner")


async def test_views_of_all_companies_keep_them_apart(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    await planned(ledger, [1])
    await planned(ledger, [1], tenant=OTHER, period=JUNE)
    views = await planning.views(ledger)
    assert {contract.tenant: [one.period for one in billed] for contract, _, billed in views.contracts} == {
        TENANT: [MAY],
        OTHER: [JUNE],
    }


async def test_a_pause_at_any_level_shows_in_the_view(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    await planned(ledger, [1, 2])
    await planned(ledger, [1], tenant=OTHER)

    async def paused() -> set[tuple[TenantId, int]]:
        views = await planning.views(ledger)
        return {(contract.tenant, contract.number) for contract, _, _ in views.contracts if contract.paused}

    assert await paused() == set()
    await pauses.pause(ledger, "contract", tenant=TENANT, contract=ContractNumber(2), by="anna")
    assert await paused() == {(TENANT, 2)}
    await pauses.pause(ledger, "tenant", tenant=OTHER, by="anna")
    assert await paused() == {(TENANT, 2), (OTHER, 1)}
    await pauses.pause(ledger, "bureau", by="anna")
    assert await paused() == {(TENANT, 1), (TENANT, 2), (OTHER, 1)}


async def test_a_daily_pass_leaves_out_what_cannot_be_due_yet(ledger: Ledger) -> None:
    await company(ledger, choice=PolicyChoice(mode="live", lead_days=2))
    await mirrored(ledger, view(1, period=MAY), view(2, period=JUNE), view(3, period=MAY, status="INACTIVE"))
    assert await seen_for(ledger, MAY.start - timedelta(days=3)) == set()
    assert await seen_for(ledger, MAY.start - timedelta(days=2)) == {1}
    assert await seen_for(ledger, JUNE.start - timedelta(days=2)) == {1, 2}


async def test_a_contract_of_its_own_choice_is_in_the_daily_pass_of_its_own_day(ledger: Ledger) -> None:
    await company(ledger)
    await mirrored(ledger, view(1, period=JUNE), view(2, period=JUNE, template="T1"))
    assert await seen_for(ledger, MAY.end) == set()
    ten_before, none = PolicyChoice(lead_days=10), PolicyChoice(lead_days=0)
    await policies.change(ledger, "contract", ten_before, "anna", tenant=TENANT, contract=ContractNumber(1))
    assert await seen_for(ledger, MAY.end) == {1, 2}
    await policies.change(ledger, "contract", none, "anna", tenant=TENANT, contract=ContractNumber(1))
    await policies.change(ledger, "template", ten_before, "anna", tenant=TENANT, template="T1")
    assert await seen_for(ledger, MAY.end) == {1, 2}


async def test_a_daily_pass_shows_the_billings_and_customers_of_what_may_be_due(ledger: Ledger) -> None:
    await company(ledger)
    await mirrored(ledger, view(1, period=JUNE, customer_number="9"), view(2, period=JUNE, customer_number="8"))
    await planning.insert(ledger, [verdict(view(1))], "planner")
    await note_customers(ledger, "9", "8", "7")
    seen = await planning.views(ledger, TENANT, due_by=JUNE.start)
    assert [len(billed) for _, _, billed in seen.contracts] == [1, 0]
    assert set(seen.facts[TENANT].lacking) == {"9", "8"}
    assert set((await planning.views(ledger, TENANT, due_by=MAY.start)).facts[TENANT].lacking) == set()


async def test_the_plan_is_told_what_the_cards_that_were_read_say(ledger: Ledger) -> None:
    await company(ledger)
    whole = Customer(TENANT, "9", "Åkes Bygg AB", "faktura@akesbygg.example", "Gatan 1", "111 22", "Stad", read_at())
    await customers.mirror(ledger, [whole, replace(whole, number="8", email_invoice="", gln="", delivery="PRINT")])
    await customers.note_listing(ledger, TENANT, read_at(), known=True)
    facts = (await planning.views(ledger, TENANT)).facts[TENANT]
    assert facts.cards == {"8": "PRINT"}
    assert facts.lacking == {"8": Lacks(email=False, address=(), gln=True)}
    # Listed again, what the card told is forgotten.
    await customers.mirror(ledger, [replace(whole, number="8")])
    assert (await planning.views(ledger, TENANT)).facts[TENANT].cards == {}


async def test_a_daily_pass_over_all_companies_shows_those_with_something_due(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    await mirrored(ledger, view(1, period=MAY))
    await mirrored(ledger, view(1, period=JUNE, tenant=OTHER))
    for day, told in ((MAY.start - timedelta(days=1), set()), (MAY.start, {TENANT}), (JUNE.start, {TENANT, OTHER})):
        seen = await planning.views(ledger, due_by=day)
        assert {contract.tenant for contract, _, _ in seen.contracts} == told


async def mirrored(ledger: Ledger, *views: ContractView) -> None:
    await contracts.mirror(ledger, views[0].tenant, [Contract(one, read_at()) for one in views], complete=False)


async def seen_for(ledger: Ledger, day: date) -> set[int]:
    of_one = {int(one.number) for one, _, _ in (await planning.views(ledger, TENANT, due_by=day)).contracts}
    of_all = {int(one.number) for one, _, _ in (await planning.views(ledger, due_by=day)).contracts}
    assert of_one == of_all
    return of_one


async def note_customers(ledger: Ledger, *numbers: str) -> None:
    cards = [Customer(TENANT, number, "", "", "", "", "", read_at()) for number in numbers]
    await customers.mirror(ledger, cards)
    await customers.note_listing(ledger, TENANT, read_at(), known=True)
