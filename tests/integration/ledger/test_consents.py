"""The consents in the ledger: renewals take turns, what one gave is kept, and the audit knows no token."""

from datetime import timedelta

import pytest

from common.ids import TenantId
from common.ledger import audit, consents, tenants
from common.ledger.consents import Turn
from common.ledger.database import Ledger

TENANT = TenantId(1001)
LEASE = timedelta(seconds=30)


@pytest.fixture(autouse=True)
async def _connected(ledger: Ledger) -> None:
    await tenants.add(ledger, TENANT, "Åkes Bygg AB", "test")
    await consents.put(ledger, TENANT, "user", ["invoice", "article"], "sealed-0", "anna")


async def turn(ledger: Ledger, lease: timedelta = LEASE) -> Turn:
    taken = await consents.take_turn(ledger, TENANT, lease)
    assert taken is not None
    return taken


async def kept(ledger: Ledger) -> str | None:
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    return consent.refresh_token


async def test_renewals_take_turns(ledger: Ledger) -> None:
    mine = await turn(ledger)
    assert mine.refresh_token == "sealed-0"
    assert await consents.take_turn(ledger, TENANT, LEASE) is None
    assert await consents.renewed(ledger, mine, "sealed-1")
    assert (await turn(ledger)).refresh_token == "sealed-1"


async def test_a_turn_whose_lease_has_run_out_is_anybodys_and_says_that_the_last_one_was_not_answered(
    ledger: Ledger,
) -> None:
    first = await turn(ledger, timedelta(microseconds=-1))
    second = await turn(ledger)
    assert (first.unanswered_at, second.unanswered_at is not None) == (None, True)


async def test_what_a_late_renewal_gave_is_kept_and_makes_the_consent_good_again(ledger: Ledger) -> None:
    late = await turn(ledger, timedelta(microseconds=-1))
    hasty = await turn(ledger)
    assert await consents.refused(ledger, hasty, "Invalid refresh token", "tokens")
    assert await consents.take_turn(ledger, TENANT, LEASE) is None
    assert await consents.renewed(ledger, late, "sealed-1")
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    assert (consent.refresh_token, consent.ended_at, consent.unanswered_at) == ("sealed-1", None, None)


async def test_who_is_refused_with_a_token_that_another_has_renewed_does_not_end_the_consent(ledger: Ledger) -> None:
    late = await turn(ledger, timedelta(microseconds=-1))
    assert await consents.renewed(ledger, await turn(ledger), "sealed-1")
    assert not await consents.refused(ledger, late, "Invalid refresh token", "tokens")
    assert (await turn(ledger)).refresh_token == "sealed-1"


async def test_a_renewal_from_before_the_company_was_connected_anew_changes_nothing(ledger: Ledger) -> None:
    before = await turn(ledger)
    await consents.put(ledger, TENANT, "user", ["invoice"], "sealed-of-the-new-consent", "anna")
    assert not await consents.renewed(ledger, before, "sealed-1")
    assert not await consents.refused(ledger, before, "Invalid refresh token", "tokens")
    assert await kept(ledger) == "sealed-of-the-new-consent"


async def test_a_consent_that_has_ended_is_good_again_when_the_company_is_connected_anew(ledger: Ledger) -> None:
    assert await consents.refused(ledger, await turn(ledger), "Invalid refresh token", "tokens")
    ended = await consents.get(ledger, TENANT)
    assert ended is not None
    assert ended.ended_because == "Invalid refresh token"
    await consents.put(ledger, TENANT, "service", ["invoice"], None, "anna")
    consent = await consents.get(ledger, TENANT)
    assert consent is not None
    assert (consent.kind, consent.refresh_token, consent.ended_because) == ("service", None, None)


@pytest.mark.parametrize("unanswered", [True, False])
async def test_a_turn_that_is_given_up_is_anybodys_at_once(ledger: Ledger, unanswered: bool) -> None:
    await consents.give_up(ledger, await turn(ledger), unanswered=unanswered)
    assert ((await turn(ledger)).unanswered_at is not None) == unanswered


async def test_the_audit_tells_who_connected_and_why_it_ended_and_no_token(ledger: Ledger) -> None:
    await consents.renewed(ledger, await turn(ledger), "sealed-1")
    await consents.refused(ledger, await turn(ledger), "Invalid refresh token", "tokens")
    await consents.put(ledger, TENANT, "user", ["invoice"], "sealed-2", "bo")
    told = await audit.entries(ledger, tenant=TENANT)
    by = [(one.action, one.by) for one in told if "conn" in one.action or "consent" in one.action]
    assert sorted(by) == [("connected", "anna"), ("consent_ended", "tokens"), ("reconnected", "bo")]
    assert "sealed" not in str(told)
