"""Companies for the stories about what goes wrong: alike, so that a test shows only what is its own."""

from collections.abc import Mapping
from typing import Any

from tests.bureau import Bureau

BJORK, GRAN = 600_001, 600_002

CUSTOMER = {
    "name": "Åkes Bygg AB",
    "email": "faktura@akesbygg.example",
    "address1": "Storgatan 1",
    "zip_code": "111 22",
    "city": "Stockholm",
}


async def monthly(
    bureau: Bureau, contracts: int, tenant: int = BJORK, *, told: Mapping[str, Any] | None = None, **choices: Any
) -> None:
    """A company with so many contracts for February 2026, 125 kronor a month, each with a customer of its own.

    Every invoice is booked and e-mailed unless `choices` say otherwise. `told` is what is peculiar about the company.
    """
    numbers = range(1, contracts + 1)
    customers = [{**CUSTOMER, "number": str(number)} for number in numbers]
    await bureau.sandbox.company(tenant, **{"name": "Björks Data AB", "customers": customers, **(told or {})})
    for number in numbers:
        await february(bureau, tenant, customer_number=str(number))
    await bureau.take_on(tenant, **{"bookkeep": True, "deliver": "email", **choices})


async def february(bureau: Bureau, tenant: int = BJORK, **about: Any) -> int:
    """One more contract of the company, for February."""
    return await bureau.sandbox.contract(tenant, **{"period_start": "2026-02-01", "period_end": "2026-02-28", **about})


async def proven(bureau: Bureau, contracts: int, tenant: int = BJORK, **choices: Any) -> None:
    """The same company after it was served in January, so that its invoices need no longer be made one at a time.

    January's are the invoices 1 to `contracts`.
    """
    await monthly(bureau, 0, tenant, told={"customers": [{**CUSTOMER, "number": "1"}]}, **choices)
    for _ in range(contracts):
        await bureau.sandbox.contract(tenant, period_start="2026-01-01", period_end="2026-01-31")
    bureau.at("2026-01-01 09:00")
    await bureau.work()
    bureau.at("2026-02-01 09:00")


async def unanswered(
    bureau: Bureau, contracts: int = 1, step: str = "contracts/1/createinvoice", **choices: Any
) -> None:
    """The same company in February: a call of contract 1 went unanswered and left no trace; it has been looked for."""
    await proven(bureau, contracts, **choices)
    await bureau.sandbox.fault(kind="cut", path=f"/3/{step}", times=1)
    await bureau.work(until=bureau.looked_for)
