"""Prices in the ledger: what a reading shows to have changed, and what that means for each contract, told once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.ids import ContractNumber
from common.ledger import (
    audit,
    billings,
    contract_rows,
    contracts,
    policies,
    price_changes,
    price_claims,
    price_updates,
)
from common.ledger.contract_rows import ReadRows
from common.ledger.database import Ledger
from common.ledger.outcomes import Refusal, Refused
from common.ledger.price_changes import PriceChange, Reading, SeenPrice
from common.ledger.price_claims import SeenContract
from common.ledger.price_updates import PriceUpdate, UpdateStatus
from common.ledger.records import Claim, Contract
from common.rules.policy import PolicyChoice
from common.rules.price_lists import ListPrice
from common.rules.prices import Caution, PricedRow, Why
from tests.integration.ledger.story import OTHER, TENANT, ask, claimed, company, one, view

ONE, TWO = ContractNumber(1), ContractNumber(2)
BY = "producer"


async def now(ledger: Ledger) -> datetime:
    return await ledger.now()


def listed(price: str, *, price_list: str = "A", article: str = "A100", start: str = "0") -> ListPrice:
    return ListPrice(price_list, article, Decimal(start), Decimal(price))


def reading(*prices: ListPrice, at: datetime, changed_on: date | None = None, of_all: bool = False) -> Reading:
    seen = [SeenPrice(one, at, changed_on) for one in prices]
    return Reading(seen, lambda _: of_all, at, of_changed=not of_all, of_all=of_all)


async def begun(ledger: Ledger, *prices: ListPrice) -> None:
    """A company that follows prices, which were read a minute ago."""
    await company(ledger)
    await policies.change(ledger, "tenant", PolicyChoice(prices="propose"), "test", tenant=TENANT)
    at = await now(ledger) - timedelta(minutes=1)
    await price_changes.begin(ledger, TENANT, reading(*prices, at=at, of_all=True), "A", BY)


async def read(ledger: Ledger, *prices: ListPrice, **how: Any) -> list[PriceChange]:
    """What a reading of now shows to have changed."""
    how.setdefault("at", await now(ledger))
    return await price_changes.take_in(ledger, TENANT, reading(*prices, **how), price_updates.consider, BY)


async def mirrored(ledger: Ledger, number: int, *rows: tuple[str, str], **about: Any) -> None:
    """A contract and its rows, (quantity, price) of A100, as read now."""
    at = await now(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(number, **about), at)], complete=False)
    await reread(ledger, number, *rows)


async def reread(ledger: Ledger, number: int, *rows: tuple[str, str], article: str = "A100", at: Any = None) -> None:
    priced = tuple(PricedRow(place, article, Decimal(many), Decimal(price)) for place, (many, price) in enumerate(rows))
    seen = ReadRows(TENANT, ContractNumber(number), priced, "A", False, at or await now(ledger))
    await price_updates.take_in_rows(ledger, seen, BY)


def told(updates: Sequence[PriceUpdate]) -> dict[int, tuple[UpdateStatus, list[tuple[Decimal, Decimal, Why]]]]:
    return {one.contract: (one.status, [(row.price, row.new, row.why) for row in one.rows]) for one in updates}


async def test_the_first_reading_is_no_change(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    assert await price_changes.every(ledger) == []


async def test_a_company_that_was_never_read_has_no_change_to_tell(ledger: Ledger) -> None:
    await company(ledger)
    assert await read(ledger, listed("1000")) == []


async def test_a_second_first_reading_changes_nothing(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    later = reading(listed("1200"), at=await now(ledger), of_all=True)
    await price_changes.begin(ledger, TENANT, later, "B", BY)
    assert [one.price for one in await price_changes.of_article(ledger, TENANT, "A100")] == [Decimal("1000.00")]


async def test_a_changed_price_is_told_once_however_often_it_is_read(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"), listed("900", start="10"))
    (change,) = await read(ledger, listed("1200"))
    assert (change.facts.before, change.facts.after) == (
        (listed("1000.00"), listed("900.00", start="10.00")),
        (listed("1200"), listed("900.00", start="10.00")),
    )
    assert await read(ledger, listed("1200")) == []
    assert await price_changes.every(ledger) == [change]


async def test_an_older_reading_never_overwrites_a_newer_one(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    at = await now(ledger)
    await read(ledger, listed("1200"), at=at)
    assert await read(ledger, listed("1000"), at=at - timedelta(seconds=5)) == []
    assert [one.price for one in await price_changes.of_article(ledger, TENANT, "A100")] == [Decimal("1200.00")]


async def test_an_article_with_its_first_price_has_changed_nothing(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    assert await read(ledger, listed("50", article="B200")) == []


async def test_a_price_that_a_reading_of_all_does_not_show_is_gone(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"), listed("900", start="10"), listed("7", article="B200"))
    assert await read(ledger, listed("1000")) == []
    (change,) = await read(ledger, listed("1000"), listed("7", article="B200"), of_all=True)
    assert change.facts.after == (listed("1000"),)


async def test_how_far_the_prices_are_known_is_noted_with_what_came_of_it(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    at = await now(ledger)
    await read(ledger, listed("1200"), at=at)
    watch = await price_changes.watch(ledger, TENANT)
    assert watch is not None
    assert (watch.polled_at, watch.all_read_at < at) == (at, True)
    await read(ledger, at=at - timedelta(hours=1))
    assert await price_changes.watch(ledger, TENANT) == watch


async def test_what_fails_on_the_way_leaves_the_change_to_be_found_again(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    before = await price_changes.watch(ledger, TENANT)

    def fails(*_: object) -> None:
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError, match="killed here"):
        await price_changes.take_in(ledger, TENANT, reading(listed("1200"), at=await now(ledger)), fails, BY)
    assert await price_changes.watch(ledger, TENANT) == before
    assert len(await read(ledger, listed("1200"))) == 1


async def test_the_day_is_the_one_that_fortnox_tells_if_it_can_be(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    ledger.clock.shift += timedelta(days=10)
    today = ledger.clock.today()
    for price, told_day, day in (
        ("1100", today - timedelta(days=3), today - timedelta(days=3)),
        ("1200", today + timedelta(days=1), today),
        ("1300", date(2001, 1, 1), today),
        ("1400", None, today),
    ):
        (change,) = await read(ledger, listed(price), changed_on=told_day)
        assert change.facts.day == day, price


async def test_a_change_is_judged_for_every_active_contract_that_uses_the_article(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"), listed("900", start="10"))
    await mirrored(ledger, 1, ("1", "1000"), ("2", "950"))
    await mirrored(ledger, 2, ("10", "900"))
    await mirrored(ledger, 3, ("1", "1000"), status="INACTIVE")
    await mirrored(ledger, 4)
    (change,) = await read(ledger, listed("1200"))
    assert told(await price_updates.of_change(ledger, change.id)) == {
        1: (
            UpdateStatus.PROPOSED,
            [
                (Decimal("1000.00"), Decimal("1200.00"), Why.FOLLOWS),
                (Decimal("950.00"), Decimal("950.00"), Why.NEGOTIATED),
            ],
        ),
        2: (UpdateStatus.LEFT, [(Decimal("900.00"), Decimal("900.00"), Why.SAME_PRICE)]),
    }
    tally = (await price_updates.tallies(ledger, [change.id]))[change.id]
    assert tally.contracts == {UpdateStatus.PROPOSED: 1, UpdateStatus.LEFT: 1}
    assert tally.a_month == {"SEK": Decimal("200.00")}
    entries = [one for one in await audit.entries(ledger) if one.action == "price_update_judged"]
    assert [(one.contract, one.after["status"]) for one in entries] == [(1, "proposed"), (2, "left")]


async def test_the_rules_of_each_contract_decide(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    for number in (1, 2, 3):
        await mirrored(ledger, number, ("1", "950"))
    await policies.change(ledger, "contract", PolicyChoice(price_rows="all"), "anna", tenant=TENANT, contract=ONE)
    await policies.change(ledger, "contract", PolicyChoice(prices="off"), "anna", tenant=TENANT, contract=TWO)
    (change,) = await read(ledger, listed("1200"))
    updates = await price_updates.of_change(ledger, change.id)
    assert {one.contract: one.status for one in updates} == {1: UpdateStatus.PROPOSED, 3: UpdateStatus.LEFT}


async def test_the_first_period_is_told_and_what_asks_for_caution(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1000"), period=None)
    await mirrored(ledger, 2, ("1", "1000"))
    (change,) = await read(ledger, listed("1200"))
    one, two = await price_updates.of_change(ledger, change.id)
    assert (one.first_day, one.cautions) == (None, (Caution.NO_PERIOD,))
    assert two.first_day is not None
    assert two.first_day >= change.facts.day
    assert two.cautions == ()


async def test_a_second_change_supersedes_what_nobody_has_done_and_judges_from_the_same_origin(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1000"))
    await mirrored(ledger, 2, ("1", "1200"))
    (first,) = await read(ledger, listed("1200"))
    (second,) = await read(ledger, listed("1300"))
    assert [one.status for one in await price_updates.of_change(ledger, first.id)] == [
        UpdateStatus.SUPERSEDED,
        UpdateStatus.LEFT,
    ]
    assert told(await price_updates.of_change(ledger, second.id)) == {
        1: (UpdateStatus.PROPOSED, [(Decimal("1000.00"), Decimal("1300.00"), Why.FOLLOWS)]),
        2: (UpdateStatus.PROPOSED, [(Decimal("1200.00"), Decimal("1300.00"), Why.FOLLOWS)]),
    }


async def test_a_price_that_comes_back_leaves_nothing_proposed(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1000"))
    await read(ledger, listed("1200"))
    (back,) = await read(ledger, listed("1000"))
    assert [one.status for one in await price_updates.of_change(ledger, back.id)] == [UpdateStatus.LEFT]


async def test_who_says_no_keeps_a_negotiated_price(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    for number in (1, 2):
        await mirrored(ledger, number, ("1", "1000"))
    (first,) = await read(ledger, listed("1200"))
    assert await price_updates.reject(ledger, first.id, {ONE}, "anna") == [ONE]
    assert await price_updates.reject(ledger, first.id, {ONE}, "anna") == []
    (second,) = await read(ledger, listed("1300"))
    assert {one: status for one, (status, _) in told(await price_updates.of_change(ledger, second.id)).items()} == {
        1: UpdateStatus.LEFT,
        2: UpdateStatus.PROPOSED,
    }
    (entry,) = [one for one in await audit.entries(ledger, contract=ONE) if one.action == "price_update_rejected"]
    assert entry.by == "anna"


async def test_what_a_person_has_set_in_fortnox_is_done_when_it_is_read(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    for number in (1, 2, 3):
        await mirrored(ledger, number, ("1", "1000"))
    (change,) = await read(ledger, listed("1200"))
    await reread(ledger, 1, ("1", "1200"))
    await reread(ledger, 2, ("1", "990"))
    await reread(ledger, 3, ("5", "1000"))
    one, two, three = await price_updates.of_change(ledger, change.id)
    assert (one.status, two.status, three.status) == (UpdateStatus.DONE, UpdateStatus.LEFT, UpdateStatus.PROPOSED)
    assert three.a_month == Decimal("1000.00")


async def test_a_row_marked_as_never_to_be_touched_is_left_until_the_mark_is_taken_away(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1000"))
    (change,) = await read(ledger, listed("1200"))
    assert await price_updates.never_touch(ledger, TENANT, ONE, "A100", "anna")
    assert not await price_updates.never_touch(ledger, TENANT, ONE, "A100", "anna")
    (update,) = await price_updates.of_change(ledger, change.id)
    assert (update.status, update.rows[0].why) == (UpdateStatus.LEFT, Why.NEVER_TOUCH)
    assert await price_updates.may_touch(ledger, TENANT, ONE, "A100", "anna")
    assert not await price_updates.may_touch(ledger, TENANT, ONE, "A100", "anna")
    await reread(ledger, 1, ("1", "1200"))
    (change,) = await read(ledger, listed("1300"))
    assert [one.status for one in await price_updates.of_change(ledger, change.id)] == [UpdateStatus.PROPOSED]


async def test_rows_that_were_not_known_when_a_price_changed_are_judged_when_they_are_read(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    at = await now(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(1), at)], complete=False)
    (first,) = await read(ledger, listed("1200"))
    (second,) = await read(ledger, listed("1300"))
    await reread(ledger, 1, ("1", "1000"))
    assert await price_updates.of_change(ledger, first.id) == []
    assert told(await price_updates.of_change(ledger, second.id)) == {
        1: (UpdateStatus.PROPOSED, [(Decimal("1000.00"), Decimal("1300.00"), Why.FOLLOWS)])
    }
    await reread(ledger, 1, ("1", "1000"))
    assert len(await price_updates.of_change(ledger, second.id)) == 1


async def test_rows_are_read_again_when_the_total_or_their_age_says_so(ledger: Ledger) -> None:
    await company(ledger)
    week = timedelta(days=7)
    for number in (1, 2, 3):
        await mirrored(ledger, number, ("1", "1000"))
    assert await contract_rows.unread(ledger, TENANT, week, 10) == []
    dearer = replace(view(2), total=Decimal(1300))
    await contracts.mirror(ledger, TENANT, [Contract(dearer, await now(ledger))], complete=False)
    await contracts.mirror(ledger, TENANT, [Contract(view(4), await now(ledger))], complete=False)
    assert await contract_rows.unread(ledger, TENANT, week, 10) == [4, 2]
    assert await contract_rows.unread(ledger, TENANT, week, 1) == [4]
    assert await contract_rows.unread(ledger, OTHER, week, 10) == []
    ledger.clock.shift += timedelta(days=8)
    assert await contract_rows.unread(ledger, TENANT, week, 10) == [4, 1, 2, 3]


async def test_an_older_reading_of_rows_never_overwrites_a_newer_one(ledger: Ledger) -> None:
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1200"))
    await reread(ledger, 1, ("1", "1000"), at=datetime(2020, 1, 1, tzinfo=UTC))
    (known,) = await contract_rows.read_using(ledger, TENANT, "A100")
    assert [row.price for row in known.priced.rows] == [Decimal("1200.00")]


async def at(ledger: Ledger, month: int, day: int) -> None:
    """A morning of 2026. The contracts here show May."""
    ledger.clock.shift += datetime(2026, month, day, 6, tzinfo=UTC) - await ledger.now()


async def ready_to_be_set(ledger: Ledger) -> None:
    """Contract 1 is to have another price from the period on that it shows, and a person has said yes."""
    await at(ledger, 4, 20)
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1000"))
    (change,) = await read(ledger, listed("1200"))
    assert await price_updates.approve(ledger, change.id, None, "anna") == [1]


async def claim_prices(ledger: Ledger) -> price_claims.PriceClaim | None:
    return await price_claims.claim(ledger, TENANT, ONE, by="worker", lease=timedelta(seconds=60))


async def test_a_create_is_not_claimed_while_a_price_is_to_be_set_for_its_period(ledger: Ledger) -> None:
    await ready_to_be_set(ledger)
    await at(ledger, 5, 1)
    billing = await one(ledger)
    assert await ask(ledger, billing) == Refused(Refusal.PRICE)
    assert await billings.ready(ledger, per_tenant=10) == []
    (change,) = await price_changes.every(ledger)
    await price_updates.reject(ledger, change.id, None, "anna")
    assert isinstance(await ask(ledger, billing), Claim)


async def test_no_price_is_set_while_a_create_of_the_contract_is_under_way(ledger: Ledger) -> None:
    await at(ledger, 4, 20)
    await begun(ledger, listed("1000"))
    await mirrored(ledger, 1, ("1", "1000"))
    await at(ledger, 5, 1)
    await claimed(ledger, await one(ledger))
    (change,) = await read(ledger, listed("1200"))
    await price_updates.approve(ledger, change.id, None, "anna")
    assert await price_claims.ready(ledger, limit=10) == {}
    assert await claim_prices(ledger) is None


async def test_one_worker_at_a_time_sets_the_prices_of_a_contract(ledger: Ledger) -> None:
    await ready_to_be_set(ledger)
    answers = await asyncio.gather(*(claim_prices(ledger) for _ in range(10)))
    assert sum(answer is not None for answer in answers) == 1
    assert await price_claims.ready(ledger, limit=10) == {}
    ledger.clock.shift += timedelta(seconds=61)
    assert await price_claims.ready(ledger, limit=10) == {TENANT: [ONE]}
    assert await claim_prices(ledger) is not None


async def test_what_is_claimed_is_neither_rejected_nor_overtaken_by_a_later_price(ledger: Ledger) -> None:
    await ready_to_be_set(ledger)
    claim = await claim_prices(ledger)
    assert claim is not None
    (first,) = await price_changes.every(ledger)
    assert await price_updates.reject(ledger, first.id, None, "anna") == []
    (second,) = await read(ledger, listed("1300"))
    assert await price_updates.of_change(ledger, second.id) == []
    # The call got through: by the rows that it left the later price is judged, and they follow that one, too.
    priced = (PricedRow(0, "A100", Decimal(1), Decimal(1200)),)
    at = await now(ledger)
    seen = SeenContract(Contract(view(1), at), ReadRows(TENANT, ONE, priced, "A", False, at))
    await price_claims.settle(ledger, claim, seen, None, None, "worker")
    assert [one.status for one in await price_updates.of_change(ledger, first.id)] == [UpdateStatus.DONE]
    assert told(await price_updates.of_change(ledger, second.id)) == {
        1: (UpdateStatus.PROPOSED, [(Decimal("1200.00"), Decimal("1300.00"), Why.FOLLOWS)])
    }
