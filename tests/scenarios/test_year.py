"""A year of a bureau with four companies, day by day, and every invoice of it compared with a list written by hand.

The lists are kept by hand and never reckoned: they say what design, sections 6 and 8, promise of month ends, advance
and arrears, catching up, stops, and what people do in Fortnox meanwhile.
"""

from datetime import date
from typing import Any

from tests.bureau import Bureau, lines

EKEN, SJOBERG, VIK, LUND = 500_001, 500_002, 500_003, 500_004


async def ekens_fastigheter(bureau: Bureau) -> None:
    """Lets premises in advance, books and e-mails, and catches up by itself."""
    await bureau.sandbox.company(EKEN, name="Ekens Fastigheter AB")
    await contract(bureau, EKEN, "2026-01-01", "2026-01-31")
    await contract(bureau, EKEN, "2026-01-01", "2026-03-31", quantity=3, interval=3)
    await contract(bureau, EKEN, "2026-03-01", "2026-03-31", quantity=2, continuous=False, length=4)
    await contract(bureau, EKEN, "2026-03-01", "2026-03-31", quantity=4)
    await bureau.take_on(EKEN, bookkeep=True, deliver="email", catch_up="invoice")
    await bureau.choose(EKEN, 2, lead_days=14)
    await bureau.choose(EKEN, 4, invoice_day="last", invoice_month="before")


EKENS_BOOKS = """
    1  2026-01-01..2026-01-31  2026-01-01  125  booked mailed
    1  2026-02-01..2026-02-28  2026-02-01  125  booked mailed
    1  2026-03-01..2026-03-31  2026-03-01  125  booked mailed
    1  2026-04-01..2026-04-30  2026-04-01  125  booked mailed
    1  2026-05-01..2026-05-31  2026-05-01  125  booked mailed
    1  2026-06-01..2026-06-30  2026-06-01  125  booked mailed
    1  2026-07-01..2026-07-31  2026-07-01  125  booked mailed
    1  2026-08-01..2026-08-31  2026-08-01  125  booked mailed
    1  2026-09-01..2026-09-30  2026-10-02  125  booked mailed
    1  2026-10-01..2026-10-31  2026-10-03  125  booked mailed
    1  2026-11-01..2026-11-30  2026-11-01  125  booked mailed
    1  2026-12-01..2026-12-31  2026-12-01  125  booked mailed
    1  2027-01-01..2027-01-31  2027-01-01  125  booked mailed

    2  2026-01-01..2026-03-31  2026-01-01  375  booked mailed
    2  2026-04-01..2026-06-30  2026-03-18  375  booked mailed
    2  2026-07-01..2026-09-30  2026-06-17  375  booked mailed
    2  2026-10-01..2026-12-31  2026-10-02  375  booked mailed
    2  2027-01-01..2027-03-31  2026-12-18  375  booked mailed

    3  2026-03-01..2026-03-31  2026-03-01  250  booked mailed
    3  2026-04-01..2026-04-30  2026-04-01  250  booked mailed
    3  2026-05-01..2026-05-31  2026-05-01  250  booked mailed
    3  2026-06-01..2026-06-30  2026-06-01  250  booked mailed

    4  2026-03-01..2026-03-31  2026-02-28  500  booked mailed
    4  2026-04-01..2026-04-30  2026-03-31  500  booked mailed
    4  2026-05-01..2026-05-31  2026-04-30  500  booked mailed
    4  2026-06-01..2026-06-30  2026-05-31  500  booked mailed
    4  2026-07-01..2026-07-31  2026-06-30  500  booked mailed
    4  2026-08-01..2026-08-31  2026-07-31  500  booked mailed
    4  2026-09-01..2026-09-30  2026-10-02  500  booked mailed
    4  2026-10-01..2026-10-31  2026-10-03  500  booked mailed
    4  2026-11-01..2026-11-30  2026-10-31  500  booked mailed
    4  2026-12-01..2026-12-31  2026-11-30  500  booked mailed
    4  2027-01-01..2027-01-31  2026-12-31  500  booked mailed
"""


async def sjobergs_el(bureau: Bureau) -> None:
    """Bills in arrears, books, sends the paper itself; has no financial year after 2026 until somebody creates it."""
    years = [{"from_date": f"{year}-01-01", "to_date": f"{year}-12-31"} for year in (2025, 2026)]
    await bureau.sandbox.company(SJOBERG, name="Sjöbergs El AB", financial_years=years)
    await contract(bureau, SJOBERG, "2026-01-01", "2026-01-31")
    await contract(bureau, SJOBERG, "2026-01-31", "2026-02-27", quantity=2)
    await contract(bureau, SJOBERG, "2026-01-01", "2026-03-31", quantity=3, interval=3)
    await bureau.take_on(SJOBERG, bookkeep=True, invoice_on="period_end", catch_up="invoice")
    await bureau.choose(SJOBERG, 2, invoice_day=1, invoice_month="after")
    await bureau.choose(SJOBERG, 3, invoice_on="period_start")


SJOBERGS_BOOKS = """
    1  2026-01-01..2026-01-31  2026-01-31  125  booked
    1  2026-02-01..2026-02-28  2026-02-28  125  booked
    1  2026-03-01..2026-03-31  2026-03-31  125  booked
    1  2026-04-01..2026-04-30  2026-04-30  125  booked
    1  2026-05-01..2026-05-31  2026-05-31  125  booked
    1  2026-06-01..2026-06-30  2026-06-30  125  booked
    1  2026-07-01..2026-07-31  2026-07-31  125  booked
    1  2026-08-01..2026-08-31  2026-10-02  125  booked
    1  2026-09-01..2026-09-30  2026-10-03  125  booked
    1  2026-10-01..2026-10-31  2026-10-31  125  booked
    1  2026-11-01..2026-11-30  2026-11-30  125  booked
    1  2026-12-01..2026-12-31  2026-12-31  125  booked

    2  2026-01-31..2026-02-27  2026-03-01  250  booked
    2  2026-02-28..2026-03-27  2026-04-01  250  booked
    2  2026-03-28..2026-04-27  2026-05-01  250  booked
    2  2026-04-28..2026-05-27  2026-06-01  250  booked
    2  2026-05-28..2026-06-27  2026-07-01  250  booked
    2  2026-06-28..2026-07-27  2026-08-01  250  booked
    2  2026-07-28..2026-08-27  2026-10-02  250  booked
    2  2026-08-28..2026-09-27  2026-10-03  250  booked
    2  2026-09-28..2026-10-27  2026-11-01  250  booked
    2  2026-10-28..2026-11-27  2026-12-01  250  booked
    2  2026-11-28..2026-12-27  2027-01-08  250  booked

    3  2026-01-01..2026-03-31  2026-01-01  375  booked
    3  2026-04-01..2026-06-30  2026-04-01  375  booked
    3  2026-07-01..2026-09-30  2026-07-01  375  booked
    3  2026-10-01..2026-12-31  2026-10-02  375  booked
    3  2027-01-01..2027-03-31  2027-01-08  375  booked
"""


async def viks_kontorsservice(bureau: Bureau) -> None:
    """Bills a fortnight ahead, from the middle of one month to that of the next; books, but for one contract."""
    await bureau.sandbox.company(VIK, name="Viks Kontorsservice AB")
    await contract(bureau, VIK, "2026-01-15", "2026-02-14")
    await contract(bureau, VIK, "2026-01-15", "2026-02-14", quantity=2)
    await bureau.take_on(VIK, bookkeep=True, lead_days=14, catch_up="invoice")
    await bureau.choose(VIK, 2, bookkeep=False)


VIKS_BOOKS = """
    1  2026-01-15..2026-02-14  2026-01-01  125  booked
    1  2026-02-15..2026-03-14  2026-02-01  125  booked
    1  2026-03-15..2026-04-14  2026-03-01  125  booked
    1  2026-04-15..2026-05-14  2026-04-01  125  booked
    1  2026-05-15..2026-06-14  2026-05-01  125  booked
    1  2026-06-15..2026-07-14  2026-06-09  125  booked
    1  2026-07-15..2026-08-14  2026-07-01  125  booked
    1  2026-08-15..2026-09-14  2026-08-01  125  booked
    1  2026-09-15..2026-10-14  2026-10-02  125  booked
    1  2026-10-15..2026-11-14  2026-10-03  125  booked
    1  2026-11-15..2026-12-14  2026-11-01  125  booked
    1  2026-12-15..2027-01-14  2026-12-01  125  booked
    1  2027-01-15..2027-02-14  2027-01-01  125  booked

    2  2026-01-15..2026-02-14  2026-01-01  250
    2  2026-02-15..2026-03-14  2026-02-01  250
    2  2026-03-15..2026-04-14  2026-03-01  250
    2  2026-04-15..2026-05-14  2026-04-01  250
    2  2026-05-15..2026-06-14  2026-05-01  250
    2  2026-06-15..2026-07-14  2026-06-09  250
    2  2026-07-15..2026-08-14  2026-07-01  250
    2  2026-08-15..2026-09-14  2026-08-01  250
    2  2026-09-15..2026-10-14  2026-10-02  250
    2  2026-10-15..2026-11-14  2026-10-03  250
    2  2026-11-15..2026-12-14  2026-11-01  250
    2  2026-12-15..2027-01-14  2026-12-01  250
    2  2027-01-15..2027-02-14  2027-01-01  250
"""


async def lunds_larm(bureau: Bureau) -> None:
    """Bills in advance and e-mails; everything out of the ordinary waits for a person, as nothing else is said."""
    await bureau.sandbox.company(LUND, name="Lunds Larm AB")
    for quantity in (1, 2, 3):
        await contract(bureau, LUND, "2026-01-01", "2026-01-31", quantity=quantity)
    await bureau.take_on(LUND, deliver="email")


LUNDS_BOOKS = """
    1  2026-01-01..2026-01-31  2026-01-01  125  mailed
    1  2026-02-01..2026-02-28  2026-02-01  125  mailed
    1  2026-03-01..2026-03-31  2026-03-01  125  mailed
    1  2026-04-01..2026-04-30  2026-04-01  125  mailed
    1  2026-05-01..2026-05-31  2026-07-10  125  mailed
    1  2026-06-01..2026-06-30  2026-07-10  125  mailed
    1  2026-07-01..2026-07-31  2026-07-11  125  mailed
    1  2026-08-01..2026-08-31  2026-08-01  125  mailed
    1  2026-09-01..2026-09-30  2026-10-02  125  mailed
    1  2026-10-01..2026-10-31  2026-10-03  125  mailed
    1  2026-11-01..2026-11-30  2026-11-01  125  mailed
    1  2026-12-01..2026-12-31  2026-12-01  125  mailed
    1  2027-01-01..2027-01-31  2027-01-01  125  mailed

    2  2026-01-01..2026-01-31  2026-01-01  250  mailed
    2  2026-02-01..2026-02-28  2026-02-01  250  mailed
    2  2026-03-01..2026-03-31  2026-03-01  250  mailed
    2  2026-04-01..2026-04-30  2026-04-01  250  mailed
    2  2026-05-01..2026-05-31  2026-05-01  250  mailed
    2  2026-06-01..2026-06-30  2026-06-01  250  mailed
    2  2026-07-01..2026-07-31  2026-07-01  250  mailed
    2  2026-08-01..2026-08-31  2026-08-01  250  mailed
    2  2026-09-01..2026-09-30  2026-10-02  250  mailed
    2  2026-10-01..2026-10-31  2026-10-03  250  mailed
    2  2026-11-01..2026-11-30  2026-11-01  250  mailed
    2  2026-12-01..2026-12-31  2026-12-01  250  mailed
    2  2027-01-01..2027-01-31  2027-01-01  250  mailed

    3  2026-01-01..2026-01-31  2026-01-01  375  mailed
    3  2026-02-01..2026-02-28  2026-02-01  375  mailed
    3  2026-04-01..2026-04-30  2026-04-01  375  mailed
    3  2026-05-01..2026-05-31  2026-05-01  375  mailed
    3  2026-06-01..2026-06-30  2026-06-01  375  mailed
    3  2026-07-01..2026-07-31  2026-07-01  375  mailed
    3  2026-08-01..2026-08-31  2026-08-01  375  mailed
    3  2026-09-01..2026-09-30  2026-10-02  375  mailed
    3  2026-10-01..2026-10-31  2026-10-03  375  mailed
    3  2026-11-01..2026-11-30  2026-11-01  375  mailed
    3  2026-12-01..2026-12-31  2026-12-01  375  mailed
    3  2027-01-01..2027-01-31  2027-01-01  375  mailed
"""


async def test_a_year_of_a_bureau_leaves_the_invoices_that_were_written_down_for_it_and_no_other(
    bureau: Bureau,
) -> None:
    for company in (ekens_fastigheter, sjobergs_el, viks_kontorsservice, lunds_larm):
        await company(bureau)

    await days(bureau, "2026-01-01", "2026-01-31", "2026-02-01")

    # Contract 3 of Lund is closed in March, which somebody brings about in Fortnox.
    bureau.at("2026-02-16 09:00")
    bureau.in_fortnox(LUND, "set_period", contract=3, period_start="2026-04-01", period_end="2026-04-30")
    await bureau.work()
    await days(bureau, "2026-02-28", "2026-03-01", "2026-03-18", "2026-03-31", "2026-04-01")
    assert await newest(bureau, LUND, 3) == "3 2026-04-01..2026-04-30 create held period_moved"
    shown = await bureau.why(LUND, 3)
    assert "2026-02-01..2026-02-28" in shown
    assert "2026-04-01..2026-04-30" in shown
    await bureau.approve(LUND, 3)
    await bureau.work()

    # Contract 1 of Lund pauses, from before May until July.
    bureau.at("2026-04-28 09:00")
    await bureau.pause(LUND, 1)
    await bureau.work()
    await days(bureau, "2026-04-30", "2026-05-01")
    assert await newest(bureau, LUND, 1) == "1 2026-04-01..2026-04-30 done"

    # The auditor locks June at Vik too early, which stands in the way of every invoice of it, whoever bookkeeps it.
    bureau.at("2026-05-28 09:00")
    bureau.company(VIK).locked_until = date.fromisoformat("2026-06-30")
    await bureau.work()
    await days(bureau, "2026-05-31", "2026-06-01")
    assert await newest(bureau, VIK, 1) == "1 2026-06-15..2026-07-14 create held period_locked"
    assert await newest(bureau, VIK, 2) == "2 2026-06-15..2026-07-14 create held period_locked"
    bureau.at("2026-06-09 09:00")
    bureau.company(VIK).locked_until = date.fromisoformat("2026-04-30")
    await bureau.work()
    assert await newest(bureau, VIK, 1) == "1 2026-06-15..2026-07-14 done"
    await days(bureau, "2026-06-17", "2026-06-30", "2026-07-01")

    # Contract 1 of Lund goes on. What is more than an interval old waits for a yes; then one a day.
    bureau.at("2026-07-10 09:00")
    await bureau.resume(LUND, 1)
    await bureau.work()
    assert await newest(bureau, LUND, 1) == "1 2026-05-01..2026-05-31 create held catch_up"
    await bureau.approve(LUND, 1)
    await twice(bureau)
    assert await newest(bureau, LUND, 1) == "1 2026-06-01..2026-06-30 create held catch_up"
    await bureau.approve(LUND, 1)
    await twice(bureau)
    assert await newest(bureau, LUND, 1) == "1 2026-07-01..2026-07-31 create held one_a_day"
    await days(bureau, "2026-07-11", "2026-07-31", "2026-08-01")
    assert await newest(bureau, EKEN, 3) == "3 2026-06-01..2026-06-30 done"
    assert bureau.company(EKEN).contracts[3].finished

    # Six weeks during which nobody saw that the machine was off.
    async with bureau.switched_off():
        bureau.at("2026-10-02 09:00")
    await bureau.work()
    assert await newest(bureau, EKEN, 1) == "1 2026-09-01..2026-09-30 done"
    assert await newest(bureau, SJOBERG, 1) == "1 2026-08-01..2026-08-31 done"
    for number in (1, 2, 3):
        assert await newest(bureau, LUND, number) == f"{number} 2026-09-01..2026-09-30 create held catch_up"
        await bureau.approve(LUND, number)
    await twice(bureau)
    assert await newest(bureau, EKEN, 1) == "1 2026-10-01..2026-10-31 create held one_a_day"
    assert await newest(bureau, LUND, 2) == "2 2026-10-01..2026-10-31 create held one_a_day"
    await days(bureau, "2026-10-03")

    # Somebody mistypes a period of contract 3 of Lund, and corrects it.
    bureau.at("2026-10-20 09:00")
    bureau.in_fortnox(LUND, "set_period", contract=3, period_start="2026-10-15", period_end="2026-11-14")
    await bureau.work()
    assert await newest(bureau, LUND, 3) == "3 2026-10-15..2026-11-14 create held period_moved"
    bureau.in_fortnox(LUND, "set_period", contract=3, period_start="2026-11-01", period_end="2026-11-30")
    await bureau.skip(LUND, 3)
    await bureau.work()
    await days(bureau, "2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01", "2026-12-18", "2026-12-31")

    # Sjöberg's new financial year is created a week late.
    await days(bureau, "2027-01-01")
    assert await newest(bureau, SJOBERG, 2) == "2 2026-11-28..2026-12-27 create held year_missing"
    assert await newest(bureau, SJOBERG, 3) == "3 2027-01-01..2027-03-31 create held year_missing"
    bureau.at("2027-01-08 09:00")
    year = {"from_date": "2027-01-01", "to_date": "2027-12-31"}
    await bureau.sandbox.control("PATCH", f"companies/{SJOBERG}", {"financial_years": [year]})
    await bureau.work()

    assert bureau.books(EKEN) == lines(EKENS_BOOKS)
    assert bureau.books(SJOBERG) == lines(SJOBERGS_BOOKS)
    assert bureau.books(VIK) == lines(VIKS_BOOKS)
    assert bureau.books(LUND) == lines(LUNDS_BOOKS)
    unfinished = [line for tenant in (EKEN, SJOBERG, VIK, LUND) for line in await bureau.stands(tenant)]
    assert [line for line in unfinished if not line.endswith(" done")] == ["3 2026-10-15..2026-11-14 create skipped"]


async def contract(bureau: Bureau, tenant: int, start: str, end: str, *, quantity: int = 1, **about: Any) -> None:
    """A contract of so many times 125 kronor, VAT included."""
    rows = [{"article_number": "A1", "quantity": str(quantity)}]
    await bureau.sandbox.contract(tenant, period_start=start, period_end=end, rows=rows, **about)


async def days(bureau: Bureau, *those: str) -> None:
    """The bureau works on each of these days. It would on all others too, but there is nothing to do on them."""
    for one in those:
        bureau.at(f"{one} 09:00")
        await bureau.work()


async def twice(bureau: Bureau) -> None:
    """The bureau works, and looks once more at what the contracts show after that."""
    await bureau.work()
    await bureau.work()


async def newest(bureau: Bureau, tenant: int, number: int) -> str:
    """How the contract's newest billing stands."""
    return (await bureau.stands(tenant, number))[-1]
