"""Contracts of one company that differ only by their template (avtalsmall), and are treated as its rules say."""

from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, CUSTOMER, february, monthly


async def test_two_contracts_that_differ_only_by_their_template_are_treated_as_it_says(bureau: Bureau) -> None:
    bureau.at("2026-01-31 09:00")
    await monthly(bureau, 0, told={"customers": [{**CUSTOMER, "number": "1"}]})
    for template in (3, 7):
        await february(bureau, template_number=template)
    await bureau.work()
    await bureau.type("templates", "policy", str(BJORK), "7", "--no-bookkeep", "--deliver", "none")

    bureau.at("2026-02-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125
    """)


async def test_a_contract_that_gets_another_template_follows_the_rules_of_that_one(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 0, told={"customers": [{**CUSTOMER, "number": "1"}]})
    await bureau.type("templates", "policy", str(BJORK), "7", "--no-bookkeep", "--deliver", "none", "--force")
    await february(bureau, template_number=7)
    await bureau.work()
    await bureau.sandbox.control("PATCH", f"companies/{BJORK}", {"contracts": [{"number": 1, "template_number": 3}]})
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125
        1 2026-03-01..2026-03-31 2026-03-01 125 booked mailed
    """)
