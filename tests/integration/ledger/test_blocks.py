"""Tenant-wide reasons (design, section 5, rule 7): one item, the step stopped, one probe before the rest go."""

import pytest

from common.ledger import audit, billings, blocks
from common.ledger.database import Ledger
from common.ledger.outcomes import Again, Doubt, Made, Park, Refusal, Refused
from common.ledger.records import Claim
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.integration.ledger.story import (
    ACTED,
    OTHER,
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
    planned,
    settled,
    where,
)

BANK = Park(Reason.BANK_DETAILS_MISSING, {"message": "Bankuppgifter saknas"})
LICENCE = Park(Reason.LICENCE_MISSING)


async def test_a_tenant_wide_reason_stops_the_step_for_the_company_and_shows_as_one_item(ledger: Ledger) -> None:
    await company(ledger)
    first, second, third = await planned(ledger, [1, 2, 3])
    await settled(ledger, first, REJECTED, LICENCE)
    (block,) = await blocks.every(ledger, TENANT)
    assert (block.step, block.reason, block.probe) == (Step.CREATE, Reason.LICENCE_MISSING, None)
    assert await ask(ledger, second) == Refused(Refusal.BLOCKED)
    assert await ask(ledger, third) == Refused(Refusal.BLOCKED)
    assert await billings.ready(ledger, per_tenant=5) == []


async def test_a_block_of_one_step_leaves_the_others_alone(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    booked = await made(ledger, first)
    await settled(ledger, second, REJECTED, LICENCE)
    assert [found.id for found in await billings.ready(ledger, per_tenant=5)] == [booked.id]
    assert isinstance(await ask(ledger, booked), Claim)


async def test_a_dead_token_stops_every_step(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    booked = await made(ledger, first)
    assert await billings.move(ledger, second.id, Step.CREATE, Park(Reason.TOKEN_DEAD), "worker-1")
    (block,) = await blocks.every(ledger)
    assert block.step is None
    assert await ask(ledger, booked) == Refused(Refusal.BLOCKED)


async def test_a_block_of_one_company_leaves_the_others_alone(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    await settled(ledger, await one(ledger), REJECTED, LICENCE)
    assert isinstance(await ask(ledger, await one(ledger, tenant=OTHER)), Claim)


async def test_a_reason_of_one_billing_blocks_nobody(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    await settled(ledger, first, REJECTED, Park(Reason.REFUSED))
    assert await blocks.every(ledger) == []
    assert isinstance(await ask(ledger, second), Claim)


async def test_a_retried_billing_is_the_probe_and_goes_alone(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    await settled(ledger, first, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    assert [found.id for found in await billings.ready(ledger, per_tenant=5)] == [first.id]
    assert await ask(ledger, second) == Refused(Refusal.BLOCKED)
    assert isinstance(await ask(ledger, first), Claim)


async def test_a_probe_that_goes_well_frees_all_that_are_parked_for_the_reason(ledger: Ledger) -> None:
    await company(ledger)
    first, second, third, other = await planned(ledger, [1, 2, 3, 4])
    claims = [await claimed(ledger, billing) for billing in (first, second)]
    await settled(ledger, other, REJECTED, Park(Reason.REFUSED))
    for claim in claims:
        await billings.settle(ledger, claim, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    await made(ledger, first)

    assert await blocks.every(ledger) == []
    assert where(await now(ledger, second)) == (Step.CREATE, Status.WAITING)
    assert where(await now(ledger, other)) == (Step.CREATE, Status.PARKED)
    assert isinstance(await ask(ledger, second), Claim)
    assert isinstance(await ask(ledger, third), Claim)
    assert [entry.action for entry in await audit.entries(ledger, billing=second.id)][-2:] == ["freed", "claimed"]


async def test_a_probe_that_fails_for_the_same_reason_renews_the_block(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    await settled(ledger, first, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    await settled(ledger, first, REJECTED, LICENCE)
    (block,) = await blocks.every(ledger)
    assert block.probe is None
    assert await ask(ledger, second) == Refused(Refusal.BLOCKED)


async def test_a_block_that_stays_as_it_is_is_audited_once(ledger: Ledger) -> None:
    await company(ledger)
    for said in ("Nej", "Nej", "Nej", "Aldrig"):
        await blocks.put(ledger, TENANT, None, Reason.TOKEN_DEAD, {"message": said}, "producer")
    entries = [one for one in await audit.entries(ledger, tenant=TENANT) if one.action == "blocked"]
    assert [(one.before.get("detail"), one.after["detail"]) for one in entries] == [
        (None, {"message": "Nej"}),
        ({"message": "Nej"}, {"message": "Aldrig"}),
    ]


@pytest.mark.parametrize("fate", ["another reason", "skipped", "made by hand"])
async def test_a_probe_that_proves_nothing_makes_room_for_another(ledger: Ledger, fate: str) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    await settled(ledger, first, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    match fate:
        case "another reason":
            await settled(ledger, first, REJECTED, Park(Reason.REFUSED))
        case "skipped":
            await billings.skip(ledger, first.id, "anna", "billed elsewhere")
        case _:
            await billings.move(ledger, first.id, Step.CREATE, Made(invoice_of(first), handmade=True), "worker-1")
    (block,) = await blocks.every(ledger)
    assert block.probe is None
    assert await ask(ledger, second) == Refused(Refusal.BLOCKED)
    await billings.retry(ledger, second.id, "anna")
    assert isinstance(await ask(ledger, second), Claim)


async def test_a_probe_that_must_wait_or_is_in_doubt_stays_the_probe(ledger: Ledger) -> None:
    await company(ledger)
    first, _ = await planned(ledger, [1, 2])
    await settled(ledger, first, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    await settled(ledger, first, REJECTED, Again(Reason.THROTTLED))
    await settled(ledger, first, SILENCE, Doubt())
    (block,) = await blocks.every(ledger)
    assert block.probe == first.id

    found = Made(invoice_of(first))
    await billings.resolve(ledger, first.id, Step.CREATE, found, "evidence", verdict="acted", note="found")
    assert await blocks.every(ledger) == []


async def test_another_can_be_tried_while_it_is_in_doubt_what_the_probe_did(ledger: Ledger) -> None:
    await company(ledger)
    first, second, third = await planned(ledger, [1, 2, 3])
    await settled(ledger, first, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    await settled(ledger, first, SILENCE, Doubt())
    await billings.retry(ledger, second.id, "anna")
    (block,) = await blocks.every(ledger)
    assert block.probe == second.id
    assert await ask(ledger, third) == Refused(Refusal.BLOCKED)
    claim = await claimed(ledger, second)
    # What became of the first one clears nothing any more; the second one is on its way.
    found = Made(invoice_of(first))
    await billings.resolve(ledger, first.id, Step.CREATE, found, "evidence", verdict="acted", note="found")
    assert await ask(ledger, third) == Refused(Refusal.BLOCKED)
    await billings.settle(ledger, claim, ACTED, Made(invoice_of(second, 102)))
    assert await blocks.every(ledger) == []


async def test_only_one_billing_is_the_probe(ledger: Ledger) -> None:
    await company(ledger)
    first, second = await planned(ledger, [1, 2])
    claims = [await claimed(ledger, billing) for billing in (first, second)]
    for claim in claims:
        await billings.settle(ledger, claim, REJECTED, LICENCE)
    await billings.retry(ledger, first.id, "anna")
    await billings.retry(ledger, second.id, "anna")
    assert isinstance(await ask(ledger, first), Claim)
    assert await ask(ledger, second) == Refused(Refusal.BLOCKED)


async def test_a_waiting_billing_can_be_made_the_probe_of_a_block(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await blocks.put(ledger, TENANT, None, Reason.TOKEN_DEAD, {"answer": "invalid_client"}, "producer")
    assert await ask(ledger, billing) == Refused(Refusal.BLOCKED)
    await billings.retry(ledger, billing.id, "anna")
    assert isinstance(await ask(ledger, billing), Claim)


async def test_a_block_that_is_known_to_have_passed_is_cleared(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    await billings.move(ledger, billing.id, Step.CREATE, Park(Reason.TOKEN_DEAD), "worker-1")
    assert await blocks.clear(ledger, TENANT, None, Reason.TOKEN_DEAD, "producer")
    assert not await blocks.clear(ledger, TENANT, None, Reason.TOKEN_DEAD, "producer")
    assert where(await now(ledger, billing)) == (Step.CREATE, Status.WAITING)


async def test_a_block_that_ends_frees_no_create_that_may_have_taken_effect(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), ACTED, Park(Reason.SURPRISE))
    assert await blocks.clear(ledger, TENANT, Step.CREATE, Reason.SURPRISE, "anna")
    assert where(await now(ledger, billing)) == (Step.CREATE, Status.PARKED)


async def test_blocks_for_two_reasons_both_stop_and_both_are_probed(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), booked=True)
    await settled(ledger, billing, REJECTED, BANK)
    await blocks.put(ledger, TENANT, Step.DELIVER, Reason.SCOPE_MISSING, {}, "producer")
    await billings.retry(ledger, billing.id, "anna")
    assert {block.probe for block in await blocks.every(ledger)} == {billing.id}
    await settled(ledger, billing, ACTED, billings.Delivered("e-mail"))
    assert await blocks.every(ledger) == []
