"""Fortnox says no: what fails parks with its reason, blocks nobody else, and goes on once a person has mended it."""

from collections.abc import Mapping, Set
from typing import Any

from sandbox.books import ALL_LICENCES, ALL_SCOPES, CONTRACT_LICENCE, Company
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, CUSTOMER, GRAN, february, monthly


async def test_a_contract_without_rows_parks_and_is_invoiced_once_when_it_has_got_them(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2)
    await february(bureau, rows=[])
    await bureau.work()
    two = """
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """
    assert bureau.books(BJORK) == lines(two)
    assert await bureau.stands(BJORK, 3) == ["3 2026-02-01..2026-02-28 create held amount_zero"]

    await bureau.approve(BJORK, 3)
    await bureau.work()
    assert bureau.books(BJORK) == lines(two)
    assert await bureau.stands(BJORK, 3) == ["3 2026-02-01..2026-02-28 create parked refused"]
    assert "Avtalet saknar rader" in await bureau.why(BJORK, 3)

    rows = [{"article_number": "A1", "quantity": "2"}]
    await bureau.sandbox.control("PATCH", f"companies/{BJORK}", {"contracts": [{"number": 3, "rows": rows}]})
    await bureau.retry(BJORK, 3)
    await bureau.work()
    assert bureau.books(BJORK) == lines(two + "3 2026-02-01..2026-02-28 2026-02-01 250 booked mailed")


async def test_an_address_that_is_gone_when_the_invoice_is_to_be_sent_parks_the_delivery_alone(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 07:00")
    await monthly(bureau, 3, deliver_from="08:00")
    await bureau.work()
    unsent = next(one for one in bureau.company(BJORK).invoices.values() if one.contract_reference == 3)
    unsent.email.to = ""
    bureau.at("2026-02-01 08:00")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        3 2026-02-01..2026-02-28 2026-02-01 125 booked
    """)
    assert await bureau.stands(BJORK, 3) == ["3 2026-02-01..2026-02-28 deliver parked recipient_missing"]

    unsent.email.to = "faktura@akesbygg.example"
    await bureau.retry(BJORK, 3)
    await bureau.work()
    assert bureau.books(BJORK, 3) == ["3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]


async def test_missing_bank_details_refuse_one_email_and_the_others_wait_behind_one_item(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 3, told={"bankgiro": None})
    await monthly(bureau, 1, GRAN)
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked
        2 2026-02-01..2026-02-28 2026-02-01 125 booked
        3 2026-02-01..2026-02-28 2026-02-01 125 booked
    """)
    assert bureau.books(GRAN) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    (block,) = await bureau.blocks(BJORK)
    assert (block.step, block.reason) == ("deliver", "bank_details_missing")
    asked = await bureau.calls(BJORK, "/3/invoices/*/email")
    assert 1 <= asked <= 3  # those that had left before the first was refused
    assert len([line for line in await bureau.stands(BJORK) if "parked" in line]) == asked

    # Retried before anything was mended, one e-mail finds that out, and nobody else is bothered.
    parked = await a_parked_one(bureau)
    await bureau.retry(BJORK, parked)
    await bureau.work()
    assert await bureau.calls(BJORK, "/3/invoices/*/email") == asked + 1
    assert len(await bureau.blocks(BJORK)) == 1

    bureau.company(BJORK).bankgiro = "5050-1055"
    await bureau.retry(BJORK, parked)
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)
    assert await bureau.blocks(BJORK) == []


async def test_a_period_locked_after_the_morning_stops_bookkeeping_until_it_is_unlocked(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={"customers": [{**CUSTOMER, "number": "1"}]})
    await bureau.work()
    bureau.company(BJORK).locked_until = bureau.today()
    for _ in range(3):
        await february(bureau)
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125
        2 2026-02-01..2026-02-28 2026-02-01 125
        3 2026-02-01..2026-02-28 2026-02-01 125
    """)
    (block,) = await bureau.blocks(BJORK)
    assert (block.step, block.reason) == ("bookkeep", "period_locked")
    assert "låst perioden t.o.m. 2026-02-01" in await bureau.why(BJORK, await a_parked_one(bureau))

    bureau.company(BJORK).locked_until = None
    await bureau.retry(BJORK, await a_parked_one(bureau))
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)


async def test_companies_that_cannot_be_read_are_one_item_each_and_go_on_by_themselves_once_they_can(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    troubles: Mapping[str, Mapping[str, Any]] = {
        "token_dead": {"consented": False},
        "scope_missing": {"scopes": ALL_SCOPES - {"invoice"}},
        "licence_missing": {"licences": {"Bokföring"}},
        "feature_missing": {"licences": ALL_LICENCES - {CONTRACT_LICENCE}},
    }
    for tenant, trouble in enumerate(troubles.values(), start=BJORK):
        await monthly(bureau, 1, tenant)
        in_trouble(bureau.company(tenant), trouble)
    healthy = BJORK + len(troubles)
    await monthly(bureau, 1, healthy)
    await bureau.work()
    found = {block.tenant: (block.step, block.reason) for block in await bureau.blocks()}
    assert found == {tenant: (None, reason) for tenant, reason in enumerate(troubles, start=BJORK)}
    assert [bureau.books(tenant) for tenant in range(BJORK, healthy)] == [[], [], [], []]
    assert bureau.books(healthy) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]

    for tenant in range(BJORK, healthy):
        in_trouble(bureau.company(tenant), {"consented": True, "scopes": ALL_SCOPES, "licences": ALL_LICENCES})
    await bureau.work()
    assert await bureau.blocks() == []
    for tenant in range(BJORK, healthy):
        assert bureau.books(tenant) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]


def in_trouble(company: Company, trouble: Mapping[str, Any]) -> None:
    """What somebody has changed in the company's account at Fortnox."""
    for name, value in trouble.items():
        setattr(company, name, set(value) if isinstance(value, Set) else value)


async def test_a_company_whose_consent_is_taken_back_in_mid_run_stops_alone_and_goes_on_when_it_is_given(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2, deliver_from="12:00")
    await monthly(bureau, 1, GRAN, deliver_from="12:00")
    await bureau.work()
    await bureau.sandbox.control("POST", f"companies/{BJORK}/revoke", {"consent": False})
    bureau.at("2026-02-01 12:30")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked
        2 2026-02-01..2026-02-28 2026-02-01 125 booked
    """)
    assert bureau.books(GRAN) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    assert [(block.tenant, block.step, block.reason) for block in await bureau.blocks()] == [
        (BJORK, None, "token_dead")
    ]

    bureau.company(BJORK).consented = True
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)


async def a_parked_one(bureau: Bureau) -> int:
    """The number of a contract that is parked."""
    return int(next(line for line in await bureau.stands(BJORK) if " parked " in line).split()[0])


async def test_books_that_are_unlocked_during_the_day_let_the_held_invoices_go_the_same_day(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, told={"locked_until": "2026-02-28"})
    await bureau.work()
    assert "held period_locked" in (await bureau.stands(BJORK))[0]
    bureau.sandbox.world.companies[BJORK].locked_until = None
    bureau.at("2026-02-01 11:00")
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]


async def test_one_that_is_tried_for_the_others_and_need_not_be_sent_any_more_leaves_the_trial_to_another(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2, told={"bankgiro": None})
    await bureau.work()
    bureau.company(BJORK).bankgiro = "5050-1055"
    await bureau.choose(BJORK, contract=1, deliver="none")
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert await bureau.stands(BJORK, 1) == ["1 2026-02-01..2026-02-28 done"]
    assert len(await bureau.blocks()) == 1
    await bureau.retry(BJORK, 2)
    await bureau.work()
    assert bureau.books(BJORK, 2) == ["2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    assert await bureau.blocks() == []
