"""A mixed register of 200 customers: each invoice leaves the way that its customer's card says, or says why not.

What is to become of each is written down here by hand, for each kind of customer, and knows nothing of the product.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bureau import Bureau, bureau_for
from tests.sandboxes import Sandbox
from tests.scenarios.companies import BJORK, february

CUSTOMERS = 200
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Kind:
    """A kind of customer: the card, and what is to become of the invoice. `{}` stands for the customer's number."""

    card: Mapping[str, str]
    stands: str
    left: tuple[str, str] | None = None
    """What is to be in the outbox: by what, and to whom."""
    of_contract: str = ""
    """The contract's own e-mail address."""
    is_made: bool = True


WHOLE = {"address1": "Gatan {}", "zip_code": "111 22", "city": "Stockholm", "email": "kund{}@example.com"}
NO_EMAIL = {**WHOLE, "email": ""}
POSTED = ("eprint", "Gatan {}, 111 22 Stockholm")
LACKING = "create held recipient_missing"

KINDS = (
    Kind({**WHOLE, "delivery": "EMAIL"}, "done", ("email", "kund{}@example.com")),
    Kind(
        {**NO_EMAIL, "delivery": "EMAIL", "email_invoice": "faktura{}@example.com"},
        "done",
        ("email", "faktura{}@example.com"),
    ),
    Kind({**NO_EMAIL, "delivery": "EMAIL"}, LACKING, is_made=False),
    Kind({**NO_EMAIL, "delivery": "EMAIL"}, "done", ("email", "projekt{}@example.com"), "projekt{}@example.com"),
    Kind({**NO_EMAIL, "delivery": "ELECTRONICINVOICE", "gln": "7300000{}"}, "done", ("einvoice", "7300000{}")),
    Kind({**WHOLE, "delivery": "ELECTRONICINVOICE"}, LACKING, is_made=False),
    Kind({**NO_EMAIL, "delivery": "PRINTSERVICE"}, "done", POSTED),
    Kind({**WHOLE, "delivery": "PRINTSERVICE", "city": ""}, LACKING, is_made=False),
    Kind({**WHOLE, "delivery": "PRINT"}, "deliver parked print_by_hand"),
    Kind({**WHOLE, "delivery": ""}, LACKING, is_made=False),
)
"""The customer's number, by its last digit."""

CHANGED: Mapping[int, tuple[dict[str, str], Kind]] = {
    0: ({"delivery": "PRINTSERVICE"}, replace(KINDS[0], left=POSTED)),
    4: ({"gln": ""}, replace(KINDS[4], stands="deliver parked refused", left=None)),
    6: ({"delivery": "PRINT"}, replace(KINDS[6], stands="deliver parked print_by_hand", left=None)),
    8: ({"delivery": "EMAIL"}, replace(KINDS[8], stands="done", left=("email", "kund{}@example.com"))),
}
"""What somebody enters on the cards of the last 50 between the making of the invoices and their sending, by digit."""


def is_changed(number: int) -> bool:
    return number > CUSTOMERS - 50 and number % 10 in CHANGED


def kind_of(number: int) -> Kind:
    return CHANGED[number % 10][1] if is_changed(number) else KINDS[number % 10]


@pytest.fixture
async def bureau(sandbox: Sandbox, sqlite_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Bureau]:
    """One bureau: the register says nothing of the databases."""
    async with bureau_for(sandbox, redis_url, sqlite_url, tmp_path) as running:
        running.at("2026-01-30 09:00")
        yield running


async def test_each_of_200_customers_gets_the_invoice_the_way_that_the_card_says(bureau: Bureau) -> None:
    numbers = range(1, CUSTOMERS + 1)
    cards = [
        {"name": f"Kund {number}", "number": str(number), **filled(KINDS[number % 10].card, number)}
        for number in numbers
    ]
    company = await bureau.sandbox.company(BJORK, name="Björks Data AB", customers=cards)
    for number in numbers:
        company.customers[str(number)].modified_at = LONG_AGO
        await february(bureau, customer_number=str(number))
        if own := KINDS[number % 10].of_contract:
            company.contracts[number].email.to = own.format(number)
    await bureau.take_on(BJORK, bookkeep=True, deliver="customer", deliver_from="12:00")
    # Days before the invoices are due, the cards are read, a hundred at each pass.
    await bureau.work()
    await bureau.work()
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    made = {one.contract_reference for one in company.invoices.values()}
    assert made == {number for number in numbers if KINDS[number % 10].is_made}
    assert company.outbox == []

    for number in filter(is_changed, numbers):
        for name, value in CHANGED[number % 10][0].items():
            setattr(company.customers[str(number)], name, value)
    bureau.at("2026-02-01 12:00")
    await bureau.work()

    wanted = [f"{number} 2026-02-01..2026-02-28 {kind_of(number).stands}" for number in numbers]
    assert await bureau.stands(BJORK) == wanted
    of_invoice = {one.number: one.contract_reference for one in company.invoices.values()}
    left = sorted((of_invoice[one.invoice], one.kind, one.to) for one in company.outbox)
    assert left == [
        (number, kind, to.format(number))
        for number in numbers
        for kind, to in [kind_of(number).left or ("", "")]
        if kind
    ]
    assert {one.contract_reference for one in company.invoices.values()} == made


def filled(card: Mapping[str, str], number: int) -> dict[str, str]:
    return {name: value.format(number) for name, value in card.items()}
