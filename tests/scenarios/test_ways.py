"""E-invoice, print service, and the way that the customer's card says: sent once, by that way, or left to a person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.rules.states import Status
from producers import recipients
from sandbox.books import ALL_SCOPES
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, CUSTOMER, february
from workers import by_hand

FEBRUARY = "1 2026-02-01..2026-02-28"
MADE = f"{FEBRUARY} 2026-02-01 125 booked"
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
GLN = "7300000000001"

WAYS = {
    "einvoice": ({"deliver": "einvoice"}, {"gln": GLN}, "einvoice"),
    "print": ({"deliver": "print"}, {}, "eprint"),
    "card: e-mail": ({"deliver": "customer"}, {"delivery": "EMAIL"}, "email"),
    "card: e-invoice": ({"deliver": "customer"}, {"delivery": "ELECTRONICINVOICE", "gln": GLN}, "einvoice"),
    "card: print service": ({"deliver": "customer"}, {"delivery": "PRINTSERVICE"}, "eprint"),
    "e-invoice instead of e-mail": (
        {"deliver": "email", "einvoice_by_card": True},
        {"delivery": "ELECTRONICINVOICE", "gln": GLN},
        "einvoice",
    ),
}
every_way = pytest.mark.parametrize(("choices", "card", "kind"), WAYS.values(), ids=WAYS.keys())


@every_way
async def test_an_invoice_leaves_once_by_its_way(
    bureau: Bureau, choices: dict[str, Any], card: dict[str, str], kind: str
) -> None:
    await of_a_customer(bureau, card, **choices)
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} {'mailed' if kind == 'email' else kind}"]
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} done"]


@every_way
async def test_a_sending_whose_answer_is_lost_is_found_and_not_repeated(
    bureau: Bureau, choices: dict[str, Any], card: dict[str, str], kind: str
) -> None:
    await of_a_customer(bureau, card, **choices)
    await bureau.sandbox.fault(kind="cut_after", path=f"/3/invoices/*/{kind}")
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} {'mailed' if kind == 'email' else kind}"]
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} done"]
    assert await bureau.calls(BJORK, f"/3/invoices/*/{kind}") == 1


@every_way
async def test_a_sending_of_which_no_trace_is_found_is_never_repeated_by_itself(
    bureau: Bureau, choices: dict[str, Any], card: dict[str, str], kind: str
) -> None:
    await of_a_customer(bureau, card, **choices)
    await bureau.sandbox.fault(kind="cut", path=f"/3/invoices/*/{kind}", times=1)
    await bureau.work(until=bureau.looked_for)
    bureau.at("2026-02-02 12:00")
    await bureau.work(until=bureau.looked_for)
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver in_doubt no_answer"]
    assert await bureau.calls(BJORK, "/3/invoices/*/e*") == 1
    assert bureau.books(BJORK) == [MADE]


@pytest.mark.parametrize(
    ("deliver", "card", "missing"),
    [
        ("einvoice", {}, "GLN"),
        ("print", {"city": ""}, "city"),
        ("customer", {"delivery": "EMAIL", "email": ""}, "e-mail address"),
        ("customer", {"delivery": "ELECTRONICINVOICE"}, "GLN"),
        ("customer", {"delivery": "PRINTSERVICE", "zip_code": ""}, "zip code"),
        ("customer", {"delivery": ""}, "way of delivery"),
    ],
)
async def test_what_a_way_needs_is_asked_for_before_the_invoice_is_made_and_mended_on_the_card(
    bureau: Bureau, deliver: str, card: dict[str, str], missing: str
) -> None:
    await of_a_customer(bureau, card, deliver=deliver)
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} create held recipient_missing"]
    assert f"missing: {missing})" in await bureau.why(BJORK, 1)
    assert bureau.books(BJORK) == []

    bureau.at("2026-02-01 11:00")
    mend(bureau, **{**CUSTOMER, "gln": GLN, "delivery": card.get("delivery") or "EMAIL"})
    bureau.at("2026-02-01 11:10")
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} done"]


async def test_what_is_too_much_to_be_read_at_one_pass_is_checked_all_the_same_before_its_invoice_is_made(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "READ_AT_ONCE", 2)
    good, lacking = {"delivery": "EMAIL"}, {"delivery": "ELECTRONICINVOICE"}
    await of_a_customer(bureau, good, good, good, good, lacking, lacking, good, deliver="customer")
    await bureau.work()
    stands = [line.split(maxsplit=2)[2] for line in await bureau.stands(BJORK)]
    assert stands == [*["done"] * 4, *["create held recipient_missing"] * 2, "done"]
    assert len(bureau.books(BJORK)) == 5


async def test_where_no_card_can_be_read_what_is_too_much_for_one_pass_waits_for_none(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "READ_AT_ONCE", 2)
    await of_a_customer(bureau, *[{"delivery": "EMAIL"}] * 5, deliver="customer", deliver_from="12:00")
    missing = {"status": 404, "code": 2000433, "message": "Kan inte hitta kunden."}
    await bureau.sandbox.fault(kind="error", path="/3/customers/*", **missing)
    await bureau.work()
    assert len(bureau.books(BJORK)) == 5
    assert await bureau.calls(BJORK, "/3/customers/*") <= 4


async def test_the_plan_says_by_which_way_each_invoice_is_to_leave(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "ELECTRONICINVOICE", "gln": GLN}, mode="proposal", deliver="customer")
    told = await bureau.type("plan")
    assert "would be invoiced, then: bookkeep, einvoice by the customer's card" in told
    assert '"way": "einvoice"' in await bureau.type("plan", "--json")


async def test_the_plan_says_that_the_card_decides_where_that_cannot_be_read(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, mode="proposal", deliver="customer")
    bureau.company(BJORK).scopes = set(ALL_SCOPES - {"customer"})
    assert "then: bookkeep, deliver by the customer's card" in await bureau.type("plan")


async def test_the_card_counts_as_it_is_when_the_invoice_is_sent(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, deliver="customer", deliver_from="12:00")
    await bureau.work()
    assert bureau.books(BJORK) == [MADE]
    mend(bureau, delivery="PRINTSERVICE")
    bureau.at("2026-02-01 12:00")
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} eprint"]


@pytest.mark.parametrize(
    ("choices", "left"),
    [
        ({"deliver": "email"}, " mailed"),
        ({"deliver": "email", "einvoice_by_card": True}, " mailed"),
        ({"deliver": "none"}, ""),
    ],
)
async def test_a_card_that_is_changed_widens_nothing_that_the_policy_allows(
    bureau: Bureau, choices: dict[str, Any], left: str
) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, **{"deliver_from": "12:00", **choices})
    await bureau.work()
    mend(bureau, delivery="PRINTSERVICE")
    bureau.at("2026-02-01 12:00")
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE}{left}"]


async def test_a_policy_that_sends_nothing_any_more_is_stronger_than_the_card(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, deliver="customer", deliver_from="12:00")
    await bureau.work()
    await bureau.choose(BJORK, deliver="none")
    bureau.at("2026-02-01 12:00")
    await bureau.work()
    assert bureau.books(BJORK) == [MADE]
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} done"]


async def test_a_customer_that_fortnox_refuses_to_send_to_is_parked_alone_in_fortnox_words(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"gln": GLN}, {"gln": GLN}, deliver="einvoice", deliver_from="12:00")
    await bureau.work()
    mend(bureau, gln="")
    bureau.at("2026-02-01 12:00")
    await bureau.work()
    assert bureau.books(BJORK) == lines(f"""
        {MADE}
        2 2026-02-01..2026-02-28 2026-02-01 125 booked einvoice
    """)
    assert await bureau.stands(BJORK, 1) == [f"{FEBRUARY} deliver parked refused"]
    assert "Kunden kan inte ta emot e-faktura." in await bureau.why(BJORK, 1)
    assert await bureau.blocks() == []

    mend(bureau, gln=GLN)
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK)[0] == f"{MADE} einvoice"


@pytest.mark.parametrize(
    ("choices", "card", "kind"),
    [
        ({"deliver": "einvoice"}, {"gln": GLN}, "einvoice"),
        ({"deliver": "customer"}, {"delivery": "PRINTSERVICE"}, "eprint"),
    ],
)
async def test_what_the_whole_company_lacks_stops_its_sending_as_one_item(
    bureau: Bureau, choices: dict[str, Any], card: dict[str, str], kind: str
) -> None:
    await of_a_customer(bureau, card, card, **choices)
    bureau.company(BJORK).bankgiro = None
    await bureau.work()
    (block,) = await bureau.blocks(BJORK)
    assert (block.step, block.reason) == ("deliver", "bank_details_missing")
    bureau.company(BJORK).bankgiro = "5050-1055"
    parked = next(one for one in await bureau.billings() if one.status is Status.PARKED)
    await bureau.retry(BJORK, parked.contract)
    await bureau.work()
    assert await bureau.blocks() == []
    assert [line.split()[-1] for line in bureau.books(BJORK)] == [kind, kind]


async def test_a_card_that_may_not_be_read_stops_what_goes_by_it_as_one_item(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, {"delivery": "EMAIL"}, deliver="customer")
    bureau.company(BJORK).scopes = set(ALL_SCOPES - {"customer"})
    await bureau.work()
    (block,) = await bureau.blocks(BJORK)
    assert (block.step, block.reason) == ("deliver", "scope_missing")
    assert await bureau.calls(BJORK, "/3/invoices/*/e*") == 0


async def test_an_invoice_that_the_company_prints_itself_is_done_once_it_is_printed(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "PRINT"}, deliver="customer")
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver parked print_by_hand"]
    assert bureau.books(BJORK) == [MADE]
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver parked print_by_hand"]

    bureau.in_fortnox(BJORK, "print", invoice=1)
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} done"]
    assert await bureau.calls(BJORK, "/3/invoices/*/e*") == 0
    assert bureau.books(BJORK) == [f"{MADE} print"]


async def test_an_invoice_that_the_company_would_print_goes_another_way_when_its_card_says_so(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "PRINT"}, deliver="customer")
    await bureau.work()
    bureau.at("2026-02-01 10:00")
    mend(bureau, delivery="EMAIL")
    await bureau.retry(BJORK, 1)
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} mailed"]


async def test_what_nobody_wants_sent_any_more_need_not_be_printed_or_skipped_by_hand(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "PRINT"}, deliver="customer")
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver parked print_by_hand"]
    await bureau.choose(BJORK, deliver="email")
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver parked print_by_hand"]
    await bureau.choose(BJORK, deliver="none")
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} done"]
    assert bureau.books(BJORK) == [MADE]


async def test_a_sending_of_which_no_trace_is_found_stays_in_doubt_though_nobody_wants_it_sent_any_more(
    bureau: Bureau,
) -> None:
    await of_a_customer(bureau, {}, deliver="email")
    await bureau.sandbox.fault(kind="cut", path="/3/invoices/*/email", times=1)
    await bureau.work(until=bureau.looked_for)
    await bureau.choose(BJORK, deliver="none")
    await bureau.work(until=bureau.looked_for)
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver in_doubt no_answer"]


async def test_what_a_call_of_ours_may_have_marked_as_sent_is_no_print(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, deliver="customer")
    await bureau.sandbox.fault(kind="cut", path="/3/invoices/*/email", times=1)
    await bureau.work(until=bureau.looked_for)
    billing = await bureau.billing(BJORK, 1)
    await by_hand.not_delivered(bureau.ledger, bureau.fortnox, billing.id, "anna")
    bureau.company(BJORK).invoices[1].sent = True
    mend(bureau, delivery="PRINT")
    bureau.at("2026-02-01 10:00")
    await bureau.work()
    assert await bureau.stands(BJORK) == [f"{FEBRUARY} deliver held sent_before"]


async def test_a_sending_that_a_person_says_was_not_made_goes_by_the_way_of_now(bureau: Bureau) -> None:
    await of_a_customer(bureau, {"delivery": "EMAIL"}, deliver="customer")
    await bureau.sandbox.fault(kind="cut", path="/3/invoices/*/email", times=1)
    await bureau.work(until=bureau.looked_for)
    billing = await bureau.billing(BJORK, 1)
    assert "GET /3/invoices/1/email" in await bureau.why(BJORK, 1)
    assert f"billings resolve {billing.id} --not-delivered" in await bureau.type("billings", "resolve", str(billing.id))
    bureau.at("2026-02-01 10:00")
    mend(bureau, delivery="PRINTSERVICE")
    await by_hand.not_delivered(bureau.ledger, bureau.fortnox, billing.id, "anna")
    await bureau.work()
    assert bureau.books(BJORK) == [f"{MADE} eprint"]
    assert await bureau.calls(BJORK, "/3/invoices/*/e*") == 2


async def of_a_customer(bureau: Bureau, *cards: dict[str, str], **choices: Any) -> None:
    """A contract for February of each of the customers, whose cards are as usual but for what is said."""
    bureau.at("2026-02-01 09:00")
    customers = [{**CUSTOMER, "number": str(number), **card} for number, card in enumerate(cards, start=1)]
    await bureau.sandbox.company(BJORK, name="Björks Data AB", customers=customers)
    for customer in bureau.company(BJORK).customers.values():
        customer.modified_at = LONG_AGO
        await february(bureau, customer_number=customer.number)
    await bureau.take_on(BJORK, **{"bookkeep": True, **choices})


def mend(bureau: Bureau, **card: str) -> None:
    """Somebody changes the first customer's card; a moment ago, so that a listing shows it."""
    customer = bureau.company(BJORK).customers["1"]
    for name, value in card.items():
        setattr(customer, name, value)
    customer.modified_at = bureau.settings.clock.now() - timedelta(seconds=1)
