"""A quarter that is bookkept at once without an accrual: the plan says so, and nothing waits for it."""

import json

from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, CUSTOMER, monthly

QUARTER = {"period_start": "2026-02-01", "period_end": "2026-04-30", "interval": 3}
WARNING = "Contract 1: The invoice is for many months and to be bookkept at once, and its contract has no accrual"


async def test_the_plan_warns_of_a_quarter_without_an_accrual_and_it_is_invoiced_all_the_same(bureau: Bureau) -> None:
    await two_quarters(bureau)
    told = await bureau.type("plan")
    assert WARNING in told
    assert "Contract 2:" not in told
    items = json.loads(await bureau.type("plan", "--no-read", "--json"))
    assert [[one["reason"] for one in item["warnings"]] for item in items] == [["accrual_missing"], []]
    await bureau.work()
    assert len(bureau.books(BJORK)) == 2
    # Once a day, and not with every listing.
    bureau.at("2026-02-01 12:00")
    await bureau.work()
    assert await bureau.calls(BJORK, "/3/contractaccruals") == 1


async def test_where_the_accruals_may_not_be_read_nobody_is_warned(bureau: Bureau) -> None:
    await two_quarters(bureau)
    await bureau.sandbox.fault(kind="error", method="GET", path="/3/contractaccruals", status=403, tenant=BJORK)
    assert "accrual" not in await bureau.type("plan")


async def test_a_company_with_monthly_contracts_alone_is_not_asked_for_accruals(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    await bureau.work()
    assert await bureau.calls(BJORK, "/3/contractaccruals") == 0


async def two_quarters(bureau: Bureau) -> None:
    """The second has an accrual."""
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={"customers": [{**CUSTOMER, "number": "1"}]})
    for _ in range(2):
        await bureau.sandbox.contract(BJORK, **QUARTER)
    bureau.company(BJORK).contracts[2].accrual = True
