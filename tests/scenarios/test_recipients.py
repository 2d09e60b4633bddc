"""An invoice that would reach nobody is not made: what is missing is told before, and mended on the customer's card."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.books import ALL_SCOPES
from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, CUSTOMER, monthly

DONE = ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
HELD = ["1 2026-02-01..2026-02-28 create held recipient_missing"]
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
NOBODY = {"email": "", "email_invoice": ""}


async def test_an_invoice_without_an_address_is_held_and_goes_by_itself_when_the_card_is_mended(
    bureau: Bureau,
) -> None:
    await of_a_customer(bureau, NOBODY)
    await bureau.work()
    assert await bureau.stands(BJORK) == HELD
    assert "(customer: 1; missing: e-mail address)" in await bureau.why(BJORK, 1)
    assert bureau.books(BJORK) == []

    bureau.at("2026-02-01 11:00")
    mend(bureau, email_invoice="ekonomi@akesbygg.example")
    bureau.at("2026-02-01 11:10")
    await bureau.work()
    assert bureau.books(BJORK) == DONE


async def test_an_address_for_invoices_that_only_the_card_shows_is_enough(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"email": "", "email_invoice": "ekonomi@akesbygg.example"})
    await bureau.work()
    assert bureau.books(BJORK) == DONE
    assert await bureau.calls(BJORK, "/3/customers/1") == 1
    # The card is known now, and nothing is asked again the next month.
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert len(bureau.books(BJORK)) == 2
    assert await bureau.calls(BJORK, "/3/customers/1") == 1


async def test_an_address_on_the_contract_alone_holds_nothing(bureau: Bureau) -> None:
    await of_a_customer(bureau, NOBODY)
    bureau.company(BJORK).contracts[1].email.to = "projekt@akesbygg.example"
    await bureau.work()
    assert bureau.books(BJORK) == DONE


@pytest.mark.parametrize(
    ("part", "told"), [("address1", "address"), ("zip_code", "zip code"), ("city", "city"), ("name", "name")]
)
async def test_fakturatjanster_needs_the_whole_address(bureau: Bureau, part: str, told: str) -> None:
    await of_a_customer(bureau, {part: ""}, deliver="finance")
    await bureau.work()
    assert await bureau.stands(BJORK) == HELD
    assert f"missing: {told}" in await bureau.why(BJORK, 1)


async def test_a_person_may_have_the_invoice_made_all_the_same(bureau: Bureau) -> None:
    await of_a_customer(bureau, NOBODY)
    await bureau.work()
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked"]


async def test_where_the_customers_may_not_be_read_nothing_is_held(bureau: Bureau) -> None:
    await of_a_customer(bureau, {})
    bureau.company(BJORK).scopes = set(ALL_SCOPES - {"customer"})
    await bureau.work()
    assert bureau.books(BJORK) == DONE


async def test_a_customer_that_cannot_be_read_now_holds_nothing(bureau: Bureau) -> None:
    await of_a_customer(bureau, {})
    await bureau.sandbox.fault(kind="error", method="GET", path="/3/customers", status=500, tenant=BJORK)
    await bureau.work()
    assert bureau.books(BJORK) == DONE


async def test_the_plan_says_before_what_will_be_held(bureau: Bureau) -> None:
    await of_a_customer(bureau, NOBODY)
    assert "is held: the customer lacks the address" in await bureau.type("plan")


async def of_a_customer(bureau: Bureau, card: dict[str, str], **choices: Any) -> None:
    """One contract for February, of a customer whose card is as usual but for what is said."""
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, told={"customers": [{**CUSTOMER, "number": "1", **card}]}, **choices)
    bureau.company(BJORK).customers["1"].modified_at = LONG_AGO


def mend(bureau: Bureau, **card: str) -> None:
    """Somebody enters what was missing on the customer's card."""
    customer = bureau.company(BJORK).customers["1"]
    for name, value in card.items():
        setattr(customer, name, value)
    customer.modified_at = bureau.settings.clock.now()


async def test_one_that_was_held_and_is_made_by_hand_is_taken_in_and_the_next_month_goes_by_itself(
    bureau: Bureau,
) -> None:
    await of_a_customer(bureau, NOBODY)
    await bureau.work()
    assert await bureau.stands(BJORK) == HELD
    bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    bureau.at("2026-02-02 09:00")
    mend(bureau, email="faktura@akesbygg.example")
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 done"]
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK) == [
        "1 2026-02-01..2026-02-28 2026-02-01 125 by-hand",
        "1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed",
    ]


async def test_a_period_that_was_set_back_is_invoiced_again_though_another_customer_lacks_an_address(
    bureau: Bureau,
) -> None:
    bureau.at("2026-02-01 09:00")
    customers = [{**CUSTOMER, "number": "1", **NOBODY}, {**CUSTOMER, "number": "2"}]
    await monthly(bureau, 2, told={"customers": customers})
    await bureau.work()
    assert await bureau.stands(BJORK, 1) == HELD
    bureau.in_fortnox(BJORK, "cancel", invoice=1)
    bureau.in_fortnox(BJORK, "set_period", contract=2, period_start="2026-02-01", period_end="2026-02-28")
    for hour in ("09:00", "10:00"):
        bureau.at(f"2026-02-02 {hour}")
        await bureau.work()
    assert bureau.books(BJORK, 2)[1:] == ["2 2026-02-01..2026-02-28 2026-02-02 125 booked mailed"]
