"""A price that changes in Fortnox reaches the contracts that follow it, and no other."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.clock import boottime
from common.ids import TenantId
from common.ledger import contract_rows, listening, price_changes
from producers.prices import ROWS_REFRESHED
from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, CUSTOMER, february, monthly

ARTICLES = [
    {"number": "A1", "description": "Support", "price": "100"},
    {"number": "B2", "description": "Lagring", "price": "50"},
]


async def lists_prices(bureau: Bureau, contracts: int = 0, **choices: Any) -> None:
    """A company on the 10th of January with two articles in its list A, whose contracts for February are to follow."""
    bureau.at("2026-01-10 09:00")
    customers = [{**CUSTOMER, "number": str(number)} for number in range(1, max(contracts, 1) + 1)]
    told = {"articles": ARTICLES, "customers": customers}
    await monthly(bureau, contracts, told=told, **{"prices": "propose", **choices})


async def prices_are_read(bureau: Bureau) -> None:
    """The producer reads the prices, and the rows of every contract that it does not know yet."""
    asked_at = bureau.settings.clock.now()
    known = TenantId(BJORK)

    async def read() -> bool:
        watch = await price_changes.watch(bureau.ledger, known)
        if watch is None or watch.polled_at < asked_at or TenantId(BJORK) in bureau.producer._prices.turning:
            return False
        return not await contract_rows.unread(bureau.ledger, known, ROWS_REFRESHED, 1) and await bureau.at_rest()

    await bureau.work(until=read)


def costs(bureau: Bureau, article: str, price: str, **about: Any) -> None:
    """Somebody sets an article's price in Fortnox."""
    bureau.in_fortnox(BJORK, "set_price", article=article, price=Decimal(price), **about)


async def worksheet(bureau: Bureau, change: int) -> dict[int, tuple[str, list[tuple[str, str]]]]:
    """By contract: where it stands, and of each row its new price and why it has that."""
    shown = json.loads(await bureau.type("prices", "show", str(change), "--json"))
    return {
        one["contract"]: (one["status"], [(row["new_price"], row["why"]) for row in one["rows"]])
        for one in shown["worksheet"]
    }


async def test_a_changed_price_is_told_once_with_every_contract_that_uses_the_article_and_why(bureau: Bureau) -> None:
    await lists_prices(bureau)
    await february(bureau)
    await february(bureau, rows=[{"article_number": "A1", "quantity": "2", "price": "90"}])
    await february(bureau, rows=[{"article_number": "B2", "quantity": "1"}])
    await prices_are_read(bureau)
    assert await price_changes.every(bureau.ledger) == []

    bureau.at("2026-01-20 10:00")
    costs(bureau, "A1", "120")
    await prices_are_read(bureau)
    bureau.at("2026-01-20 12:00")
    await prices_are_read(bureau)
    (change,) = await price_changes.every(bureau.ledger)
    assert await worksheet(bureau, change.id) == {
        1: ("proposed", [("120.00", "follows")]),
        2: ("left", [("90.00", "negotiated")]),
    }
    said = await bureau.type("prices", "show", str(change.id))
    assert "negotiated" in said
    assert "25.00 SEK" not in said
    assert "20.00 SEK a month" in said


async def test_a_company_that_does_not_follow_prices_is_asked_for_none(bureau: Bureau) -> None:
    await lists_prices(bureau, 2, prices="off")
    await bureau.work()
    costs(bureau, "A1", "120")
    bureau.at("2026-01-11 09:00")
    await bureau.work()
    assert await bureau.calls(BJORK, "/3/prices*") == 0
    assert await bureau.calls(BJORK, "/3/pricelists") == 0
    assert await price_changes.every(bureau.ledger) == []


async def test_what_a_price_would_do_is_told_before_anybody_changes_it(bureau: Bureau) -> None:
    await lists_prices(bureau, 2)
    await prices_are_read(bureau)
    told = json.loads(
        await bureau.type("prices", "what-if", str(BJORK), "--article", "A1", "--price", "110,50", "--json")
    )
    assert [(one["contract"], one["status"], one["a_month"]) for one in told["worksheet"]] == [
        (1, "would be proposed", "10.50"),
        (2, "would be proposed", "10.50"),
    ]
    assert await price_changes.every(bureau.ledger) == []


async def test_a_step_of_a_list_that_is_taken_away_is_seen_the_next_day(bureau: Bureau) -> None:
    await lists_prices(bureau)
    costs(bureau, "A1", "80", from_quantity=Decimal(10))
    await february(bureau, rows=[{"article_number": "A1", "quantity": "12", "price": "80"}])
    await prices_are_read(bureau)
    del bureau.company(BJORK).prices["A", "A1", Decimal(10)]
    bureau.at("2026-01-11 12:00")
    await prices_are_read(bureau)
    (change,) = await price_changes.every(bureau.ledger)
    assert await worksheet(bureau, change.id) == {1: ("proposed", [("100.00", "follows")])}


async def test_the_polls_of_a_day_on_which_nothing_changes_cost_two_requests_each(bureau: Bureau) -> None:
    await lists_prices(bureau, 3)
    await prices_are_read(bureau)
    paths = ("/3/prices*", "/3/articles*", "/3/pricelists*")
    before = [await bureau.calls(BJORK, path) for path in paths]
    rows_read = await bureau.calls(BJORK, "/3/contracts/*")
    assert rows_read == 3
    bureau.at("2026-01-10 10:00")
    await prices_are_read(bureau)
    after = [await bureau.calls(BJORK, path) for path in paths]
    polled = [now - then for now, then in zip(after, before, strict=True)]
    # Once more where the company was just joined to the websocket, which tells nothing from before.
    assert polled in ([1, 1, 0], [2, 2, 0])
    assert await bureau.calls(BJORK, "/3/contracts/*") == rows_read


async def test_a_persons_no_and_a_mark_on_a_row_leave_the_contract_its_price(bureau: Bureau) -> None:
    await lists_prices(bureau, 3)
    await prices_are_read(bureau)
    await bureau.type("prices", "never-touch", str(BJORK), "1", "--article", "A1")
    costs(bureau, "A1", "120")
    bureau.at("2026-01-10 11:00")
    await prices_are_read(bureau)
    (change,) = await price_changes.every(bureau.ledger)
    await bureau.type("prices", "reject", str(change.id), "--contract", "2")
    assert await worksheet(bureau, change.id) == {
        1: ("left", [("100.00", "never_touch")]),
        2: ("rejected", [("120.00", "follows")]),
        3: ("proposed", [("120.00", "follows")]),
    }
    assert "1 contract of 3 that use it follows: 20.00 SEK a month." in await bureau.type(
        "prices", "show", str(change.id)
    )


def rows_of(bureau: Bureau, contract: int) -> list[str]:
    """What the contract's rows cost in Fortnox."""
    return [f"{row.price:.2f}" for row in bureau.company(BJORK).contracts[contract].rows]


def invoiced(bureau: Bureau) -> list[str]:
    """Every invoice: contract, period, and what its rows cost."""
    return [
        f"{one.contract_reference} {one.period_start} {'+'.join(f'{row.price:.0f}' for row in one.rows)}"
        for _, one in sorted(bureau.company(BJORK).invoices.items())
    ]


async def test_what_is_approved_reaches_the_contract_in_two_requests_before_its_next_invoice(bureau: Bureau) -> None:
    await lists_prices(bureau, 2)
    await prices_are_read(bureau)
    bureau.at("2026-01-20 10:00")
    costs(bureau, "A1", "120")
    await prices_are_read(bureau)
    before = [await bureau.calls(BJORK, "/3/contracts/*")]
    await bureau.type("prices", "approve", "1", "--contract", "1")
    await bureau.work_on(bureau.at_rest)
    assert await bureau.calls(BJORK, "/3/contracts/*") - before[0] == 2
    assert [rows_of(bureau, number) for number in (1, 2)] == [["120.00"], ["100.00"]]
    assert await worksheet(bureau, 1) == {
        1: ("done", [("120.00", "follows")]),
        2: ("proposed", [("120.00", "follows")]),
    }
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    assert invoiced(bureau) == ["1 2026-02-01 120", "2 2026-02-01 100"]


async def test_a_rise_that_was_approved_holds_no_invoice_for_its_amount_and_an_edited_row_still_does(
    bureau: Bureau,
) -> None:
    await lists_prices(bureau, 2)
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    await prices_are_read(bureau)
    for day, price in (("2026-02-10", "140"), ("2026-02-20", "200")):
        bureau.at(f"{day} 10:00")
        costs(bureau, "A1", price)
        await prices_are_read(bureau)
        (change, *_) = json.loads(await bureau.type("prices", "changes", "--json"))
        await bureau.type("prices", "approve", str(change["change"]))
        await bureau.work_on(bureau.at_rest)
    bureau.company(BJORK).contracts[2].rows[0].quantity = Decimal(2)
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert invoiced(bureau) == ["1 2026-02-01 100", "2 2026-02-01 100", "1 2026-03-01 200"]
    assert await bureau.stands(BJORK, 2) == [
        "2 2026-02-01..2026-02-28 done",
        "2 2026-03-01..2026-03-31 create held amount_changed",
    ]
    bureau.at("2026-04-01 09:00")
    await bureau.work()
    assert invoiced(bureau)[-1] == "1 2026-04-01 200"


async def test_a_price_that_was_approved_when_the_invoice_fell_due_is_set_before_it_is_made(bureau: Bureau) -> None:
    await lists_prices(bureau, 3)
    await prices_are_read(bureau)
    bureau.at("2026-01-20 10:00")
    costs(bureau, "A1", "120")
    await prices_are_read(bureau)
    async with bureau.without_workers():
        await bureau.type("prices", "approve", "1")
        bureau.at("2026-02-01 09:00")

        async def due() -> bool:
            return len(await bureau.billings()) == 3

        await bureau.work(until=due)
    await bureau.work_on(bureau.at_rest)
    assert sorted(invoiced(bureau)) == ["1 2026-02-01 120", "2 2026-02-01 120", "3 2026-02-01 120"]


async def test_undo_puts_the_old_price_back_where_nobody_has_changed_it_since(bureau: Bureau) -> None:
    await lists_prices(bureau, 3)
    await prices_are_read(bureau)
    costs(bureau, "A1", "105")
    bureau.at("2026-01-10 11:00")
    await bureau.choose(BJORK, prices="apply")
    await prices_are_read(bureau)
    assert [rows_of(bureau, number) for number in (1, 2, 3)] == [["105.00"]] * 3
    bureau.company(BJORK).contracts[2].rows[0].price = Decimal(99)
    await bureau.type("prices", "undo", "1")
    await bureau.work_on(bureau.at_rest)
    assert [rows_of(bureau, number) for number in (1, 2, 3)] == [["100.00"], ["99.00"], ["100.00"]]
    assert [status for status, _ in (await worksheet(bureau, 1)).values()] == ["undone", "done", "undone"]


async def test_a_rise_above_the_bound_is_proposed_where_the_policy_applies_what_is_below(bureau: Bureau) -> None:
    await lists_prices(bureau, 1, prices="apply")
    await prices_are_read(bureau)
    costs(bureau, "A1", "111")
    bureau.at("2026-01-10 11:00")
    await prices_are_read(bureau)
    assert rows_of(bureau, 1) == ["100.00"]
    assert await worksheet(bureau, 1) == {1: ("proposed", [("111.00", "follows")])}


async def test_what_a_person_edited_after_the_yes_is_proposed_anew_and_not_overwritten(bureau: Bureau) -> None:
    await lists_prices(bureau, 1)
    await prices_are_read(bureau)
    costs(bureau, "A1", "120")
    bureau.at("2026-01-10 11:00")
    await prices_are_read(bureau)
    bureau.company(BJORK).contracts[1].rows[0].quantity = Decimal(3)
    await bureau.type("prices", "approve", "1")
    await bureau.work_on(bureau.at_rest)
    assert rows_of(bureau, 1) == ["100.00"]
    assert await worksheet(bureau, 1) == {1: ("proposed", [("120.00", "follows")])}
    await bureau.type("prices", "approve", "1")
    await bureau.work_on(bureau.at_rest)
    assert rows_of(bureau, 1) == ["120.00"]


@pytest.mark.parametrize("kind", ["cut", "cut_after", "error", "error_after", "act_late", "throttle"])
async def test_a_call_that_goes_wrong_leaves_the_new_price_once_and_every_row_in_its_place(
    bureau: Bureau, kind: str
) -> None:
    await lists_prices(bureau)
    await february(bureau, rows=[{"article_number": "B2", "quantity": "1"}, {"article_number": "A1", "quantity": "2"}])
    await prices_are_read(bureau)
    costs(bureau, "A1", "120")
    bureau.at("2026-01-10 11:00")
    await prices_are_read(bureau)
    fault = {"kind": kind, "method": "PUT", "path": "/3/contracts/*", "tenant": BJORK, "times": 1, "seconds": 0.5}
    await bureau.sandbox.fault(**fault)
    await bureau.type("prices", "approve", "1")

    async def struck() -> bool:
        return bool(await bureau.sandbox.requests(f"tenant={BJORK}&path=/3/contracts/*&method=PUT"))

    await bureau.work_on(struck)
    bureau.at("2026-01-10 11:10")
    await bureau.work_on(bureau.at_rest)
    assert rows_of(bureau, 1) == ["50.00", "120.00"]
    assert await worksheet(bureau, 1) == {1: ("done", [("120.00", "follows")])}


async def test_a_refused_price_needs_a_person_and_the_invoice_waits_for_that(bureau: Bureau) -> None:
    await lists_prices(bureau, 2)
    await prices_are_read(bureau)
    costs(bureau, "A1", "120")
    bureau.at("2026-01-20 11:00")
    await prices_are_read(bureau)
    refusal = {"kind": "error", "status": 400, "code": 2000729, "message": "Raden kan inte ändras."}
    fault = await bureau.sandbox.fault(**refusal, method="PUT", path="/3/contracts/*", tenant=BJORK)
    await bureau.type("prices", "approve", "1", "--contract", "1")
    await bureau.work_on(bureau.at_rest)
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    assert invoiced(bureau) == ["2 2026-02-01 100"]
    needing = json.loads(await bureau.type("status", "--json"))["needs_person"]
    (told,) = [one for one in needing if one["status"] == "price_refused"]
    assert (told["contracts"], "prices approve 1 --contract 1" in told["cure"]) == ([1], True)
    assert "Raden kan inte ändras." in told["why"]

    await bureau.sandbox.control("DELETE", f"faults/{fault}")
    await bureau.type("prices", "approve", "1", "--contract", "1")
    await bureau.work_on(bureau.at_rest)
    assert invoiced(bureau) == ["2 2026-02-01 100", "1 2026-02-01 120"]


async def test_what_waits_for_a_persons_yes_stands_in_status_until_it_is_said(bureau: Bureau) -> None:
    await lists_prices(bureau, 2)
    await prices_are_read(bureau)
    costs(bureau, "A1", "120")
    bureau.at("2026-01-20 11:00")
    await prices_are_read(bureau)
    needing = json.loads(await bureau.type("status", "--json"))["needs_person"]
    assert [(one["status"], "should follow: 2." in one["why"]) for one in needing] == [("price_proposed", True)]
    await bureau.type("prices", "reject", "1")
    assert json.loads(await bureau.type("status", "--json"))["needs_person"] == []


async def test_a_rise_on_the_twentieth_reaches_each_contract_from_the_period_that_it_holds_for(bureau: Bureau) -> None:
    """In advance: from February's invoice on. In arrears: January's keeps the old price. A negotiated price, another
    price list, and an invoice that was made before: each stays as it is."""
    bureau.at("2026-01-01 09:00")
    lists = [{"code": "A", "preselected": True}, {"code": "B"}]
    told = {"articles": ARTICLES, "customers": [{**CUSTOMER, "number": "1"}], "price_lists": lists}
    await monthly(bureau, 0, told=told, prices="apply", bookkeep=False, deliver="none")
    bureau.in_fortnox(BJORK, "set_price", article="A1", price=Decimal(90), price_list="B")
    january = {"period_start": "2026-01-01", "period_end": "2026-01-31"}
    await bureau.sandbox.contract(BJORK, **january)
    await bureau.sandbox.contract(BJORK, **january)
    await bureau.choose(BJORK, 2, invoice_on="period_end")
    await bureau.sandbox.contract(BJORK, **january, rows=[{"article_number": "A1", "quantity": "1", "price": "80"}])
    await bureau.sandbox.contract(
        BJORK, **january, price_list="B", rows=[{"article_number": "A1", "quantity": "1", "price": "90"}]
    )
    await prices_are_read(bureau)
    assert sorted(invoiced(bureau)) == ["1 2026-01-01 100", "3 2026-01-01 80", "4 2026-01-01 90"]

    bureau.at("2026-01-20 10:00")
    costs(bureau, "A1", "105")
    await prices_are_read(bureau)
    assert await worksheet(bureau, 1) == {
        1: ("done", [("105.00", "follows")]),
        2: ("approved", [("105.00", "follows")]),
        3: ("left", [("80.00", "negotiated")]),
        4: ("left", [("90.00", "other_list")]),
    }
    for day in ("2026-01-31 09:00", "2026-02-01 09:00", "2026-02-28 09:00", "2026-03-01 09:00"):
        bureau.at(day)
        await bureau.work()
    assert sorted(invoiced(bureau)) == [
        "1 2026-01-01 100",
        "1 2026-02-01 105",
        "1 2026-03-01 105",
        "2 2026-01-01 100",
        "2 2026-02-01 105",
        "3 2026-01-01 80",
        "3 2026-02-01 80",
        "3 2026-03-01 80",
        "4 2026-01-01 90",
        "4 2026-02-01 90",
        "4 2026-03-01 90",
    ]
    assert [status for status, _ in (await worksheet(bureau, 1)).values()] == ["done", "done", "left", "left"]


async def costs_and_follows(bureau: Bureau, price: str) -> None:
    """Somebody sets the price while the product listens and polls nothing, and contract 1 has it soon after."""
    is_set = False

    async def followed() -> bool:
        nonlocal is_set
        producer = bureau.producer
        polls_later = producer._prices._next_poll.get(TenantId(BJORK), 0.0) > boottime() + 60
        if not is_set and TenantId(BJORK) in producer._price_events.heard and polls_later:
            costs(bureau, "A1", price)
            is_set = True
        return rows_of(bureau, 1) == [f"{Decimal(price):.2f}"] and await bureau.at_rest()

    await bureau.work_on(followed)


async def test_a_price_that_is_announced_reaches_the_contract_without_a_poll(bureau: Bureau) -> None:
    await lists_prices(bureau, 1, prices="apply")
    await prices_are_read(bureau)
    await costs_and_follows(bureau, "105")
    await costs_and_follows(bureau, "108")
    assert await bureau.calls(BJORK, "/3/prices/sublist/A/A1") >= 2
    assert [change.article for change in await price_changes.every(bureau.ledger)] == ["A1", "A1"]


async def test_what_was_announced_while_nobody_listened_is_told_when_somebody_does_again(bureau: Bureau) -> None:
    await lists_prices(bureau, 1, prices="apply")
    await prices_are_read(bureau)
    await costs_and_follows(bureau, "105")
    before = await bureau.calls(BJORK, "/3/prices/sublist/A/A1")
    async with bureau.switched_off():
        costs(bureau, "A1", "108")
    # A producer that knows nothing but the ledger; its first poll is an hour away.
    bureau.producer._prices._next_poll[TenantId(BJORK)] = boottime() + 3600
    bureau.producer._prices._next_rows[TenantId(BJORK)] = boottime() + 3600

    async def followed() -> bool:
        return rows_of(bureau, 1) == ["108.00"] and await bureau.at_rest()

    await bureau.work_on(followed)
    assert await bureau.calls(BJORK, "/3/prices/sublist/A/A1") > before


async def test_of_two_producers_one_listens_and_the_other_takes_over_when_that_ends(bureau: Bureau) -> None:
    lease = timedelta(seconds=60)
    assert await listening.hold(bureau.ledger, "articles", "one", lease)
    assert not await listening.hold(bureau.ledger, "articles", "two", lease)
    assert await listening.keep(bureau.ledger, "articles", "one", "event-7")
    await listening.let_go(bureau.ledger, "articles", "one")
    assert await listening.hold(bureau.ledger, "articles", "two", lease)
    assert await listening.offset(bureau.ledger, "articles") == "event-7"
    assert not await listening.keep(bureau.ledger, "articles", "one", "event-8")
    assert await listening.offset(bureau.ledger, "articles") == "event-7"
