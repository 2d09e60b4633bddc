"""The way of a billing through its steps when nothing goes wrong, and what is passed over on it."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import pytest

from common.clock import STOCKHOLM, Clock
from common.ids import InvoiceNumber
from common.ledger import audit, billings, invoices, tenants
from common.ledger.database import Ledger
from common.ledger.outcomes import Booked, Delivered, Made, Seek
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason
from common.rules.states import Delivery, Status, Step
from tests.integration.ledger.story import (
    ACTED,
    ALL_STEPS,
    LIVE,
    TENANT,
    claimed,
    company,
    invoice_of,
    made,
    now,
    one,
    only_attempt,
    settled,
    where,
)


async def test_a_billing_goes_from_create_through_bookkeep_and_deliver_to_done(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    assert where(billing) == (Step.CREATE, Status.WAITING)

    billing = await made(ledger, billing)
    assert where(billing) == (Step.BOOKKEEP, Status.WAITING)
    assert billing.invoice == 101
    billing = await settled(ledger, billing, ACTED, Booked())
    assert where(billing) == (Step.DELIVER, Status.WAITING)
    billing = await settled(ledger, billing, ACTED, Delivered("e-mail"))
    assert where(billing) == (Step.DELIVER, Status.DONE)

    actions = [entry.action for entry in await audit.entries(ledger, billing=billing.id)]
    assert actions == ["planned", "claimed", "made", "claimed", "bookkept", "claimed", "delivered"]


async def test_an_attempt_keeps_what_was_known_before_the_call_and_what_came_back(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    expires = datetime(2026, 5, 1, 9, 30, 15, 123456, tzinfo=STOCKHOLM)
    claim = await claimed(ledger, billing, by="worker-7", token_expires_at=expires, newest_invoice=99)
    answer = billings.Answer("acted", 200, None, "", "uid-1")
    assert await billings.settle(ledger, claim, answer, Made(invoice_of(billing)))

    attempt = await only_attempt(ledger, billing)
    assert (attempt.claimed_by, attempt.token_expires_at, attempt.newest_invoice_before) == ("worker-7", expires, 99)
    assert (attempt.verdict, attempt.http_status, attempt.x_uid) == ("acted", 200, "uid-1")
    assert attempt.answered_at is not None
    assert attempt.answered_at >= attempt.called_at


async def test_the_invoice_is_mirrored_in_the_same_transaction_and_remembered_as_it_was_made(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger))
    mirrored = await invoices.get(ledger, TENANT, InvoiceNumber(101))
    assert mirrored is not None
    assert mirrored.period == billing.period
    assert (billing.made_total, billing.made_rows) == (mirrored.total, "r1")


async def test_an_answer_that_does_not_tell_the_number_leaves_the_billing_seeking(ledger: Ledger) -> None:
    await company(ledger)
    billing = await settled(ledger, await one(ledger), ACTED, Seek())
    assert where(billing) == (Step.CREATE, Status.SEEKING)
    assert [(found.id, attempt.verdict) for found, attempt in await billings.seekers(ledger)] == [(billing.id, "acted")]

    made_it = await billings.resolve(
        ledger, billing.id, Step.CREATE, Made(invoice_of(billing)), "evidence", verdict="acted", note="found as 101"
    )
    assert made_it
    assert where(await now(ledger, billing)) == (Step.BOOKKEEP, Status.WAITING)


async def test_the_first_verified_create_proves_the_companys_creates(ledger: Ledger) -> None:
    await company(ledger, proven=False)
    await made(ledger, await one(ledger))
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert tenant.creates_proven


@pytest.mark.parametrize(
    ("choice", "changes", "expected"),
    [
        (LIVE, {}, (Step.DELIVER, Status.DONE)),
        (PolicyChoice(mode="live", deliver=Delivery.EMAIL, deliver_from="any"), {}, (Step.DELIVER, Status.WAITING)),
        (PolicyChoice(mode="live", bookkeep=True), {}, (Step.BOOKKEEP, Status.WAITING)),
        (ALL_STEPS, {"accounting_method": "CASH"}, (Step.DELIVER, Status.WAITING)),
        (ALL_STEPS, {"booked": True}, (Step.DELIVER, Status.WAITING)),
        (ALL_STEPS, {"booked": True, "sent": True}, (Step.DELIVER, Status.DONE)),
        (ALL_STEPS, {"booked": True, "nox_finans": True}, (Step.DELIVER, Status.DONE)),
        (
            PolicyChoice(mode="live", deliver=Delivery.FINANCE, deliver_from="any"),
            {"sent": True},
            (Step.DELIVER, Status.WAITING),
        ),
    ],
    ids=[
        "nothing more",
        "no booking",
        "no delivery",
        "cash method",
        "booked",
        "sent",
        "handed over",
        "sent not handed",
    ],
)
async def test_what_the_policy_or_the_invoice_leaves_nothing_to_do_of_is_passed_over(
    ledger: Ledger, choice: PolicyChoice, changes: dict[str, Any], expected: tuple[Step, Status]
) -> None:
    await company(ledger, choice=choice)
    billing = await made(ledger, await one(ledger, choice=choice), **changes)
    assert where(billing) == expected


@pytest.mark.parametrize(("finish", "expected"), [(False, Status.DONE), (True, Status.WAITING)])
async def test_an_invoice_made_by_hand_is_adopted_and_finished_only_by_policy(
    ledger: Ledger, finish: bool, expected: Status
) -> None:
    choice = ALL_STEPS.model_copy(update={"finish_handmade": finish})
    await company(ledger, choice=choice)
    billing = await one(ledger, choice=choice)
    adopted = Made(invoice_of(billing), handmade=True)
    assert await billings.move(ledger, billing.id, Step.CREATE, adopted, "worker-1")
    billing = await now(ledger, billing)
    assert billing.status is expected
    assert (billing.invoice, billing.handmade) == (101, True)
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None


async def test_an_invoice_made_by_hand_proves_nothing_of_our_creates(ledger: Ledger) -> None:
    await company(ledger, proven=False)
    billing = await one(ledger)
    await billings.move(ledger, billing.id, Step.CREATE, Made(invoice_of(billing), handmade=True), "worker-1")
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert not tenant.creates_proven


async def test_a_tax_reduction_is_held_before_booking_until_a_person_says_yes(ledger: Ledger) -> None:
    await company(ledger)
    billing = await made(ledger, await one(ledger), tax_reduction="rot")
    assert where(billing) == (Step.BOOKKEEP, Status.HELD)
    assert billing.reason is Reason.TAX_REDUCTION

    billing = await billings.approve(ledger, billing.id, "anna")
    billing = await settled(ledger, billing, ACTED, Booked())
    assert where(billing) == (Step.DELIVER, Status.WAITING)


@dataclass(frozen=True)
class Hour:
    made_at: time
    sendable: bool


@pytest.mark.parametrize("hour", [Hour(time(3, 0), False), Hour(time(14, 0), True)], ids=["at night", "by day"])
async def test_delivery_waits_for_its_hour_in_stockholm(ledger: Ledger, clock: Clock, hour: Hour) -> None:
    day = date(2026, 5, 4)
    clock.shift = datetime.combine(day, hour.made_at, STOCKHOLM) - Clock().now()
    choice = PolicyChoice(mode="live", deliver=Delivery.EMAIL)
    await company(ledger, choice=choice)
    billing = await made(ledger, await one(ledger, choice=choice))
    opens = datetime.combine(day, time(8, 0), STOCKHOLM)
    assert billing.not_before == (None if hour.sendable else opens)
    assert bool(await billings.ready(ledger, per_tenant=5)) is hour.sendable

    clock.shift += opens - datetime.combine(day, hour.made_at, STOCKHOLM)
    assert [found.id for found in await billings.ready(ledger, per_tenant=5)] == [billing.id]
