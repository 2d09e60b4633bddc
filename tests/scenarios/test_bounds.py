"""What looks wrong waits for a person before it is made, or before it is booked; what the user allows does not."""

from decimal import Decimal
from typing import Any

import pytest

from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, monthly, proven

MADE = "1 2026-02-01..2026-02-28 2026-02-01 125"


@pytest.mark.parametrize(("quantity", "is_held"), [("1.28", False), ("1.32", True), ("0.72", False), ("0.68", True)])
async def test_an_amount_far_from_the_last_invoice_is_held_before_it_is_made(
    bureau: Bureau, quantity: str, is_held: bool
) -> None:
    await proven(bureau, 1)
    bureau.company(BJORK).contracts[1].rows[0].quantity = Decimal(quantity)
    await bureau.work()
    newest = (await bureau.stands(BJORK))[-1]
    assert ("create held amount_changed" in newest) is is_held
    if is_held:
        assert "last billed: 125.00 SEK" in await bureau.why(BJORK, 1)
        await bureau.approve(BJORK, 1)
        await bureau.work()
    assert len(bureau.books(BJORK)) == 2


async def test_a_contract_of_nothing_is_held_and_made_where_the_user_allows_it(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2)
    for contract in bureau.company(BJORK).contracts.values():
        contract.rows[0].price = Decimal(0)
    await bureau.choose(BJORK, 2, allow_zero=True)
    await bureau.work()
    assert await bureau.stands(BJORK, 1) == ["1 2026-02-01..2026-02-28 create held amount_zero"]
    assert bureau.books(BJORK) == ["2 2026-02-01..2026-02-28 2026-02-01 0 booked mailed"]


@pytest.mark.parametrize("kind", ["rot", "rut", "green"])
async def test_a_deduction_is_made_and_waits_for_a_person_before_it_is_booked(bureau: Bureau, kind: str) -> None:
    await with_a_deduction(bureau, kind)
    await bureau.work()
    assert bureau.books(BJORK) == [MADE]
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 bookkeep held tax_reduction"]
    assert f"tax reduction: {kind}" in await bureau.why(BJORK, 1)
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} booked mailed"]


async def test_a_deduction_goes_through_where_the_user_allows_it(bureau: Bureau) -> None:
    await with_a_deduction(bureau, "rut", allow_tax_reduction=True)
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} booked mailed"]


async def test_a_contract_gets_one_invoice_a_day_however_much_it_has_missed(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, catch_up="invoice")
    bureau.in_fortnox(BJORK, "set_period", contract=1, period_start="2025-12-01", period_end="2025-12-31")
    for day, made in (("2026-02-01 10:00", 1), ("2026-02-01 15:00", 1), ("2026-02-02 09:00", 2)):
        bureau.at(day)
        await bureau.work()
        assert len(bureau.books(BJORK)) == made
    assert bureau.books(BJORK) == lines("""
        1 2025-12-01..2025-12-31 2026-02-01 125 booked mailed
        1 2026-01-01..2026-01-31 2026-02-02 125 booked mailed
    """)


async def with_a_deduction(bureau: Bureau, kind: str, **choices: Any) -> None:
    """A contract for February with a tax reduction."""
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1, **choices)
    bureau.company(BJORK).contracts[1].tax_reduction_type = kind  # type: ignore[assignment]
