"""Companies, policies and pauses as a person sets them."""

import pytest

from common.ids import ContractNumber, TenantId
from common.ledger import audit, pauses, policies, tenants
from common.ledger.database import Ledger
from common.rules.policy import Policy, PolicyChoice
from common.rules.states import Delivery
from tests.integration.ledger.story import LIVE, OTHER, TENANT, company, planned


async def test_a_company_is_added_once_and_starts_as_a_proposal(ledger: Ledger) -> None:
    added = await tenants.add(ledger, TENANT, "Gran & Tall AB", "anna")
    assert await tenants.add(ledger, TENANT, "Something else", "bertil") == added
    assert await tenants.every(ledger) == [added]
    assert (await policies.load(ledger)).policy_of(TENANT) == Policy(mode="proposal")
    assert [(entry.by, entry.action) for entry in await audit.entries(ledger)] == [("anna", "tenant_added")]
    assert await tenants.get(ledger, OTHER) is None


async def test_the_most_specific_level_that_says_something_wins(ledger: Ledger) -> None:
    await company(ledger, choice=PolicyChoice(bookkeep=True))
    contract = ContractNumber(1)
    await policies.change(ledger, "bureau", PolicyChoice(mode="live", bookkeep=False, lead_days=3), "anna")
    await policies.change(ledger, "template", PolicyChoice(lead_days=5), "anna", tenant=TENANT, template="7")
    await policies.change(
        ledger, "contract", PolicyChoice(deliver=Delivery.EMAIL), "anna", tenant=TENANT, contract=contract
    )
    for book in (await policies.load(ledger), await policies.load(ledger, TENANT)):
        assert book.policy_of(TENANT, "7", contract) == Policy(
            mode="live", bookkeep=True, lead_days=5, deliver=Delivery.EMAIL
        )
        assert book.policy_of(TENANT, "8", ContractNumber(2)) == Policy(mode="live", bookkeep=True, lead_days=3)
        assert book.policy_of(OTHER) == Policy(mode="live", lead_days=3)
        assert book.levels_of(TENANT, "7", contract)["template"] == PolicyChoice(lead_days=5)


async def test_a_change_replaces_what_it_says_and_keeps_the_rest(ledger: Ledger) -> None:
    await company(ledger, choice=PolicyChoice(bookkeep=True, lead_days=3))
    after = await policies.change(ledger, "tenant", PolicyChoice(lead_days=5), "anna", tenant=TENANT)
    assert after == PolicyChoice(bookkeep=True, lead_days=5)
    assert await policies.get(ledger, "tenant", tenant=TENANT) == after
    unsaid = await policies.change(ledger, "tenant", PolicyChoice(), "anna", tenant=TENANT, unsay={"bookkeep"})
    assert unsaid == PolicyChoice(lead_days=5)
    entry = (await audit.entries(ledger, tenant=TENANT))[-1]
    assert (entry.by, entry.action) == ("anna", "policy_changed")
    assert entry.before["bookkeep"] is True
    assert "bookkeep" not in entry.after


async def test_a_change_that_changes_nothing_is_not_audited(ledger: Ledger) -> None:
    await company(ledger, choice=LIVE)
    written = await audit.entries(ledger)
    await policies.change(ledger, "tenant", LIVE, "anna", tenant=TENANT)
    assert await audit.entries(ledger) == written


async def test_a_policy_of_an_unknown_company_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LookupError, match=r"Tenant 1 is not in the ledger. Add it first: avtalsmotor tenants add"):
        await policies.change(ledger, "tenant", LIVE, "anna", tenant=TenantId(1))


async def test_a_level_without_its_key_is_a_fault(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="level contract needs its tenant"):
        await policies.change(ledger, "contract", LIVE, "anna", tenant=TENANT)
    with pytest.raises(ValueError, match="level tenant needs its tenant"):
        await pauses.pause(ledger, "tenant", by="anna")


async def test_a_pause_is_audited_with_who_and_why_and_once(ledger: Ledger) -> None:
    await company(ledger)
    for _ in range(2):
        await pauses.pause(ledger, "bureau", by="anna", why="strange totals")
    assert [pause.level for pause in await pauses.standing(ledger)] == ["bureau"]
    (entry,) = [entry for entry in await audit.entries(ledger) if entry.action == "paused"]
    assert (entry.by, entry.after) == ("anna", {"level": "bureau", "paused": True, "why": "strange totals"})
    await pauses.resume(ledger, "bureau", by="anna")
    assert await pauses.standing(ledger) == []


async def test_what_is_not_in_the_ledger_cannot_be_paused(ledger: Ledger) -> None:
    await company(ledger)
    await planned(ledger, [1])
    with pytest.raises(LookupError, match="Contract 2 of tenant 4711 is not in the ledger"):
        await pauses.pause(ledger, "contract", tenant=TENANT, contract=ContractNumber(2), by="anna")
    with pytest.raises(LookupError, match="Tenant 4712 is not in the ledger"):
        await pauses.pause(ledger, "tenant", tenant=OTHER, by="anna")
