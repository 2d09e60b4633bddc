"""A change of policy (design, section 5, rule 8): towards caution at once, towards automation only on what is new.

The books count at the claim, too: they may have been closed since the planning.
"""

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from common.clock import STOCKHOLM, Clock
from common.ids import ContractNumber
from common.ledger import billings, contracts, planning, policies, tenants
from common.ledger.database import Ledger
from common.ledger.outcomes import Made, Refusal, Refused
from common.ledger.records import Claim, Contract
from common.rules.periods import Period
from common.rules.plan import TenantFacts
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason
from common.rules.states import Delivery, Status, Step
from tests.integration.ledger.story import (
    ALL_STEPS,
    JUNE,
    LIVE,
    TENANT,
    ask,
    claimed,
    company,
    done,
    invoice_of,
    made,
    now,
    one,
    planned,
    read_at,
    verdict,
    view,
    where,
)


async def change(ledger: Ledger, **said: object) -> None:
    await policies.change(ledger, "tenant", PolicyChoice.model_validate(said), "anna", tenant=TENANT)


async def test_back_to_proposal_stops_everything_not_yet_called(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await change(ledger, mode="proposal")
    assert await ask(ledger, billing) == Refused(Refusal.PROPOSAL)
    await change(ledger, mode="live")
    assert isinstance(await ask(ledger, billing), Claim)


@pytest.mark.parametrize("level", ["bureau", "template", "contract"])
async def test_every_level_of_the_policy_counts_at_the_claim(ledger: Ledger, level: policies.Level) -> None:
    choice = ALL_STEPS.model_copy(update={"mode": None}) if level == "bureau" else ALL_STEPS
    await company(ledger, choice=choice)
    seen = view(1, template="7")
    await contracts.mirror(ledger, TENANT, [Contract(seen, read_at())], complete=False)
    (billing,) = await planning.insert(ledger, [verdict(seen)], "planner")
    if level == "bureau":
        await policies.change(ledger, "bureau", LIVE, "anna")
    assert [found.id for found in await billings.ready(ledger, per_tenant=5)] == [billing.id]

    await policies.change(
        ledger,
        level,
        PolicyChoice(mode="proposal"),
        "anna",
        tenant=None if level == "bureau" else TENANT,
        template="7" if level == "template" else None,
        contract=ContractNumber(1) if level == "contract" else None,
    )
    assert await billings.ready(ledger, per_tenant=5) == []
    assert await ask(ledger, billing) == Refused(Refusal.PROPOSAL)


async def test_a_step_that_the_policy_now_leaves_out_is_passed_over_at_the_claim(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    await change(ledger, bookkeep=False)
    assert await ask(ledger, billing) == Refused(Refusal.PASSED_OVER)
    assert where(await now(ledger, billing)) == (Step.DELIVER, Status.WAITING)
    assert [attempt.step for attempt in await billings.attempts(ledger, billing.id)] == [Step.CREATE]


async def test_a_last_step_that_is_left_out_ends_the_billing(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), booked=True)
    assert where(billing) == (Step.DELIVER, Status.WAITING)
    await change(ledger, deliver=Delivery.NONE)
    assert await ask(ledger, billing) == Refused(Refusal.PASSED_OVER)
    assert where(await now(ledger, billing)) == (Step.DELIVER, Status.DONE)


async def test_a_step_left_out_while_the_invoice_is_made_is_passed_over_at_the_settlement(ledger: Ledger) -> None:
    await company(ledger)
    claim = await claimed(ledger, await one(ledger))
    await change(ledger, bookkeep=False, deliver=Delivery.NONE)
    await billings.settle(ledger, claim, billings.Answer("acted", 200), Made(invoice_of(claim.billing)))
    assert where(await now(ledger, claim.billing)) == (Step.DELIVER, Status.DONE)


async def test_more_automation_acts_only_on_what_is_planned_later(ledger: Ledger) -> None:
    await company(ledger, choice=LIVE)
    billing = await one(ledger, choice=LIVE)
    await change(ledger, bookkeep=True, deliver=Delivery.EMAIL)
    assert where(await made(ledger, billing)) == (Step.DELIVER, Status.DONE)


async def test_a_later_hour_of_delivery_acts_at_once(ledger: Ledger, clock: Clock) -> None:
    noon = datetime.combine(date(2026, 5, 4), time(12, 0), STOCKHOLM)
    clock.shift = noon - Clock().now()
    await company(ledger)
    billing = await made(ledger, await one(ledger), booked=True)
    await change(ledger, deliver_from="15:00")
    assert await ask(ledger, billing) == Refused(Refusal.NOT_YET)
    assert (await now(ledger, billing)).not_before == datetime.combine(date(2026, 5, 4), time(15, 0), STOCKHOLM)


async def test_a_zero_amount_is_held_once_it_is_no_longer_allowed(ledger: Ledger) -> None:
    choice = ALL_STEPS.model_copy(update={"allow_zero": True, "catch_up": "invoice"})
    await company(ledger, choice=choice)
    seen = view(1, total=Decimal(0))
    await contracts.mirror(ledger, TENANT, [Contract(seen, read_at())], complete=False)
    (billing,) = await planning.insert(ledger, [verdict(seen, choice=choice)], "planner")
    await change(ledger, allow_zero=False)
    assert await ask(ledger, billing) == Refused(Refusal.HELD)
    held = await now(ledger, billing)
    assert (*where(held), held.reason) == (Step.CREATE, Status.HELD, Reason.AMOUNT_ZERO)

    await billings.approve(ledger, billing.id, "anna")
    assert isinstance(await ask(ledger, billing), Claim)


async def test_a_narrower_bound_on_the_amount_holds_what_is_waiting(ledger: Ledger) -> None:
    choice = ALL_STEPS.model_copy(update={"catch_up": "invoice", "amount_change_percent": 50})
    await company(ledger, choice=choice)
    await done(ledger, await one(ledger, choice=choice))
    seen = view(1, period=JUNE, total=Decimal("1700.00"))
    (billing,) = await planning.insert(ledger, [verdict(seen, choice=choice)], "planner")
    await change(ledger, amount_change_percent=30)
    assert await ask(ledger, billing) == Refused(Refusal.HELD)
    assert (await now(ledger, billing)).reason is Reason.AMOUNT_CHANGED


async def test_catching_up_stops_once_it_is_no_longer_wished(ledger: Ledger, clock: Clock) -> None:
    clock.shift = datetime(2026, 8, 4, 12, tzinfo=STOCKHOLM) - Clock().now()
    choice = ALL_STEPS.model_copy(update={"catch_up": "invoice"})
    await company(ledger, choice=choice)
    billing = await one(ledger, choice=choice)
    await change(ledger, catch_up="hold")
    assert await ask(ledger, billing) == Refused(Refusal.HELD)
    assert (await now(ledger, billing)).reason is Reason.CATCH_UP


async def test_a_tax_reduction_is_held_once_it_is_no_longer_allowed(ledger: Ledger) -> None:
    choice = ALL_STEPS.model_copy(update={"allow_tax_reduction": True})
    await company(ledger, choice=choice)
    billing = await made(ledger, await one(ledger, choice=choice), tax_reduction="rut")
    assert where(billing) == (Step.BOOKKEEP, Status.WAITING)
    await change(ledger, allow_tax_reduction=False)
    assert await ask(ledger, billing) == Refused(Refusal.HELD)
    assert (await now(ledger, billing)).reason is Reason.TAX_REDUCTION


async def test_a_handmade_invoice_is_left_as_it_is_once_finishing_is_no_longer_wished(ledger: Ledger) -> None:
    choice = ALL_STEPS.model_copy(update={"finish_handmade": True})
    await company(ledger, choice=choice)
    (billing,) = await planned(ledger, choice=choice)
    await billings.move(ledger, billing.id, Step.CREATE, Made(invoice_of(billing), handmade=True), "worker-1")
    await change(ledger, finish_handmade=False)
    assert await ask(ledger, billing, Step.BOOKKEEP) == Refused(Refusal.PASSED_OVER)
    assert where(await now(ledger, billing)) == (Step.DELIVER, Status.DONE)


MAY_IS_LOCKED = TenantFacts(locked_until=date(2100, 12, 31))
NO_YEAR = TenantFacts(years=(Period(date(2025, 1, 1), date(2025, 12, 31)),))


@pytest.mark.parametrize(("facts", "reason"), [(MAY_IS_LOCKED, Reason.PERIOD_LOCKED), (NO_YEAR, Reason.YEAR_MISSING)])
@pytest.mark.parametrize("choice", [LIVE, ALL_STEPS])
async def test_books_that_were_closed_after_the_planning_hold_the_invoice_at_its_claim_until_a_person_says_yes(
    ledger: Ledger, facts: TenantFacts, reason: Reason, choice: PolicyChoice
) -> None:
    await company(ledger, choice=choice)
    billing = await one(ledger, choice=choice)
    await tenants.note_facts(ledger, TENANT, facts, date(2026, 5, 1))
    assert await ask(ledger, billing) == Refused(Refusal.HELD)
    held = await now(ledger, billing)
    assert (where(held), held.reason) == ((Step.CREATE, Status.HELD), reason)
    assert await billings.attempts(ledger, billing.id) == []

    await billings.approve(ledger, billing.id, "anna")
    assert isinstance(await ask(ledger, billing), Claim)


async def test_books_that_were_closed_after_the_invoice_was_made_do_not_hold_what_is_left(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    await tenants.note_facts(ledger, TENANT, MAY_IS_LOCKED, date(2026, 5, 1))
    assert isinstance(await ask(ledger, billing), Claim)
