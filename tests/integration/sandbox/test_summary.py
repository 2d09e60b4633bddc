"""The sandbox's verdict on a night: clean when all went as the story says, and never clean when it did not."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox import bookkeeping, deliveries, finance, invoicing
from sandbox.books import By, Company, Invoice, World
from sandbox.clock import STOCKHOLM, Clock
from sandbox.story import NotSeededError, seed, story_of
from sandbox.story_record import Expectation, Reason
from sandbox.summary import Kind, summarise

TONIGHT = datetime(2026, 11, 23, 21, 30, tzinfo=STOCKHOLM)

Carried = list[tuple[Expectation, Invoice]]


def small_world() -> World:
    world = World(clock=Clock(TONIGHT, frozen=True))
    seed(world, 1, scale=0.1)
    return world


def carry_out(world: World) -> Carried:
    """Do what the story expects of this very day, by the sandbox's own hands."""
    done = []
    for told in story_of(world).companies.values():
        company = world.companies[told.tenant]
        for one in told.expectations:
            if not one.made or one.invoice_date != world.clock.today():
                continue
            contract = company.contracts[one.contract]
            invoice = invoicing.from_contract(world, company, contract, one.invoice_date, By.API)
            if one.booked:
                bookkeeping.book(world, company, invoice, By.API)
            if one.delivery == "email":
                deliveries.email(world, company, invoice, By.API)
            if one.delivery == "finance":
                finance.hand_over(world, company, invoice, "LETTER", "LEDGERBASE", By.API)
            done.append((one, invoice))
    return done


@pytest.fixture
def world() -> World:
    return small_world()


@pytest.fixture
def night(world: World) -> Carried:
    """What was carried out in `world`."""
    return carry_out(world)


def lists(world: World) -> dict[str, list[dict[str, Any]]]:
    """The kinds of difference that occur, and nothing else."""
    summary: dict[str, Any] = summarise(world)
    found = {kind.value: summary[kind] for kind in Kind if summary[kind]}
    assert summary["clean"] is not bool(found)
    return found


def one_where(night: Carried, fits: Callable[[Expectation], bool]) -> tuple[Expectation, Invoice]:
    return next((one, invoice) for one, invoice in night if fits(one))


def company_of(world: World, one: Expectation) -> Company:
    return world.companies[one.tenant]


def one_with(world: World, reason: Reason) -> Expectation:
    return next(one for told in story_of(world).companies.values() for one in told.expectations if one.reason is reason)


def copied(company: Company, invoice: Invoice, **changes: Any) -> Invoice:
    """Another invoice like this one, in the books."""
    number = company.take_invoice_number()
    company.invoices[number] = replace(invoice, number=number, **changes)
    return company.invoices[number]


def test_a_night_that_went_as_the_story_says_is_clean(world: World, night: Carried) -> None:
    assert lists(world) == {}
    assert summarise(world)["clean"] is True


def test_a_night_on_which_nothing_was_done_lacks_every_due_invoice(world: World) -> None:
    expected = [
        one
        for told in story_of(world).companies.values()
        for one in told.expectations
        if one.made and one.is_due(TONIGHT.date())
    ]
    found = lists(world)
    assert found.keys() == {"missing"}
    assert len(found["missing"]) == len(expected) > 25


def test_every_day_until_the_horizon_is_clean_when_each_was_carried_out(world: World, night: Carried) -> None:
    while world.clock.today() < story_of(world).until:
        world.clock.move(timedelta(days=1))
        night += carry_out(world)
        assert lists(world) == {}
    assert len({invoice.invoice_date for _, invoice in night}) > 10
    assert len(night) > len({(one.tenant, one.contract) for one, _ in night})


def test_an_invoice_that_is_due_tomorrow_is_missing_tomorrow_and_not_tonight(world: World, night: Carried) -> None:
    later = min(
        one.due_on
        for told in story_of(world).companies.values()
        for one in told.expectations
        if one.made and one.due_on and one.due_on > TONIGHT.date()
    )
    world.clock.set(datetime.combine(later, datetime.min.time(), STOCKHOLM) - timedelta(minutes=1))
    assert lists(world) == {}
    world.clock.move(timedelta(minutes=1))
    assert lists(world).keys() == {"missing"}


def test_after_the_last_expectation_nothing_is_called_clean(world: World, night: Carried) -> None:
    world.clock.move(timedelta(days=64))
    summary = summarise(world)
    assert summary["clean"] is False
    assert "Seed again" in str(summary["problem"])


def test_an_invoice_that_is_taken_away_is_missing(world: World, night: Carried) -> None:
    one, invoice = night[0]
    del company_of(world, one).invoices[invoice.number]
    [entry] = lists(world)["missing"]
    assert entry["tenant"] == company_of(world, one).name
    assert entry["contract"] == str(one.contract)
    assert (entry["period_start"], entry["period_end"]) == (
        str(invoice.period_start),
        str(invoice.period_end),
    )
    assert f"{one.amount:.2f} kr" in entry["sentence"]


@pytest.mark.parametrize("spoiled", [{"cancelled": True}, {"credit_reference": 99_999}], ids=str)
def test_a_cancelled_or_credited_invoice_does_not_count(world: World, night: Carried, spoiled: dict[str, Any]) -> None:
    one, invoice = night[0]
    company_of(world, one).invoices[invoice.number] = replace(invoice, **spoiled)
    assert lists(world).keys() == {"missing"}


def test_an_invoice_cancelled_and_made_anew_is_no_double(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "none" and not one.booked)
    copied(company_of(world, one), invoice)
    company_of(world, one).invoices[invoice.number] = replace(invoice, cancelled=True)
    assert lists(world) == {}


def test_a_second_invoice_of_a_period_is_doubled(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "none" and not one.booked)
    again = copied(company_of(world, one), invoice)
    found = lists(world)
    assert found.keys() == {"doubled"}
    assert found["doubled"][0]["invoices"] == [str(invoice.number), str(again.number)]


def test_an_invoice_of_a_period_that_was_invoiced_before_the_seeding_is_doubled(world: World, night: Carried) -> None:
    company = next(iter(world))
    past = next(
        invoice for invoice in company.invoices.values() if invoice.created_by is By.SEED and invoice.period_start
    )
    copied(company, past, created_by=By.API)
    assert lists(world).keys() == {"doubled", "unexpected"}


def test_an_invoice_whose_period_shares_a_day_with_another_overlaps(world: World, night: Carried) -> None:
    one, invoice = night[0]
    assert invoice.period_end is not None
    copied(
        company_of(world, one),
        invoice,
        period_start=invoice.period_end,
        period_end=invoice.period_end + timedelta(days=29),
    )
    found = lists(world)
    assert found.keys() == {"overlapping", "unexpected"}
    assert "share days" in found["overlapping"][0]["sentence"]


def test_an_invoice_of_the_following_period_is_unexpected_before_it_is_due(world: World, night: Carried) -> None:
    one, _ = one_where(night, lambda one: one.span is not None and one.due_on == one.span.start)
    company = company_of(world, one)
    contract = company.contracts[one.contract]
    contract.finished = False
    invoicing.from_contract(world, company, contract, TONIGHT.date(), By.API)
    assert lists(world).keys() == {"unexpected"}


@pytest.mark.parametrize(
    "reason",
    [
        Reason.ZERO_TOTAL,
        Reason.MISSED_INTERVALS,
        Reason.PERIOD_LENGTH,
        Reason.BOOKS_LOCKED,
        Reason.NO_LICENCE,
        Reason.INACTIVE,
        Reason.FINISHED,
    ],
)
def test_an_invoice_of_a_contract_that_must_have_none_is_unexpected(
    world: World, night: Carried, reason: Reason
) -> None:
    one = one_with(world, reason)
    company = company_of(world, one)
    contract = company.contracts[one.contract]
    contract.finished, contract.active = False, True
    invoicing.from_contract(world, company, contract, TONIGHT.date(), By.API)
    [entry] = lists(world)["unexpected"]
    assert one.why in entry["sentence"]


def test_another_amount_is_wrong(world: World, night: Carried) -> None:
    night[0][1].total += Decimal("0.01")
    assert lists(world).keys() == {"wrong_amount"}


def test_another_invoice_date_is_wrong(world: World, night: Carried) -> None:
    night[0][1].invoice_date = date(2026, 11, 22)
    assert lists(world).keys() == {"wrong_date"}


def test_an_invoice_left_unbooked_is_wrong_where_booking_is_wished(world: World, night: Carried) -> None:
    _, invoice = one_where(night, lambda one: one.booked)
    invoice.booked = False
    assert lists(world).keys() == {"wrong_booking"}


def test_an_invoice_booked_unasked_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: not one.booked and one.reason is None)
    bookkeeping.book(world, company_of(world, one), invoice, By.API)
    assert lists(world).keys() == {"wrong_booking"}


def test_a_booked_invoice_of_a_cash_method_company_is_wrong(world: World, night: Carried) -> None:
    world.behaviour.cash_bookkeep = "booked"
    one, invoice = one_where(night, lambda one: one.reason is Reason.CASH_METHOD)
    bookkeeping.book(world, company_of(world, one), invoice, By.API)
    [entry] = lists(world)["wrong_booking"]
    assert "cash method" in entry["sentence"]


def test_a_second_voucher_is_wrong(world: World, night: Carried) -> None:
    one, _ = one_where(night, lambda one: one.booked)
    vouchers = company_of(world, one).vouchers
    vouchers.append(replace(vouchers[-1], number=vouchers[-1].number + 1))
    assert lists(world).keys() == {"wrong_booking"}


def test_an_email_that_was_not_sent_is_wrong(world: World, night: Carried) -> None:
    one, _ = one_where(night, lambda one: one.delivery == "email")
    company_of(world, one).outbox.pop()
    assert lists(world).keys() == {"wrong_delivery"}


def test_an_email_sent_twice_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "email")
    deliveries.email(world, company_of(world, one), invoice, By.API)
    [entry] = lists(world)["wrong_delivery"]
    assert "2 times" in entry["sentence"]


def test_an_email_sent_unasked_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "none" and one.reason is None)
    deliveries.email(world, company_of(world, one), invoice, By.API)
    assert lists(world).keys() == {"wrong_delivery"}


def test_an_invoice_sent_in_another_way_than_wished_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "email")
    deliveries.eprint(world, company_of(world, one), invoice, By.API)
    assert lists(world).keys() == {"wrong_delivery"}


def test_a_hand_over_that_was_not_made_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "finance")
    del company_of(world, one).hand_overs[invoice.number]
    assert lists(world).keys() == {"wrong_delivery"}


def test_a_hand_over_made_unasked_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.booked and one.delivery == "none" and one.reason is None)
    finance.hand_over(world, company_of(world, one), invoice, "EMAIL", "LEDGERBASE", By.API)
    assert lists(world).keys() == {"wrong_delivery"}


def test_a_hand_over_for_reminders_only_is_wrong(world: World, night: Carried) -> None:
    one, invoice = one_where(night, lambda one: one.delivery == "finance")
    company_of(world, one).hand_overs[invoice.number].service = "REMINDER"
    assert lists(world).keys() == {"wrong_delivery"}


def test_a_contract_invoice_without_a_period_is_unexpected(world: World, night: Carried) -> None:
    one, invoice = night[0]
    copied(company_of(world, one), invoice, period_start=None, period_end=None)
    [entry] = lists(world)["unexpected"]
    assert (entry["period_start"], entry["period_end"]) == (None, None)


def test_an_older_invoice_sent_again_is_wrong(world: World, night: Carried) -> None:
    company = next(iter(world))
    past = next(
        invoice for invoice in company.invoices.values() if invoice.created_by is By.SEED and not invoice.cancelled
    )
    deliveries.email(world, company, past, By.API)
    assert lists(world).keys() == {"wrong_delivery"}


def test_invoices_made_by_hand_without_a_contract_are_nobodys_business_here(world: World, night: Carried) -> None:
    company = next(iter(world))
    invoicing.by_hand(world, company, next(iter(company.customers.values())), [], By.PERSON)
    assert lists(world) == {}


def test_the_counts_say_what_was_due_made_booked_and_delivered(world: World, night: Carried) -> None:
    summary: dict[str, Any] = summarise(world)
    counts = summary["counts"]
    assert counts["created"] == counts["to_make"] == len(night)
    assert counts["due"] > counts["to_make"]
    assert counts["booked"] == sum(one.booked for one, _ in night)
    assert counts["emailed"] == sum(one.delivery == "email" for one, _ in night)
    assert counts["handed_over"] == sum(one.delivery == "finance" for one, _ in night)
    assert counts["faults"] == 0
    for name, total in counts.items():
        assert total == sum(company[name] for company in summary["companies"])


def test_every_expected_failure_is_met_after_the_night_and_not_before(world: World) -> None:
    def unmet() -> set[str]:
        failures: Any = summarise(world)["failures"]
        return {failure["reason"] for failure in failures if failure["met"] < failure["expected"]}

    assert unmet() == {"no_bank_details", "cash_method"}
    carry_out(world)
    assert unmet() == set()
    one = one_with(world, Reason.ZERO_TOTAL)
    company = company_of(world, one)
    invoicing.from_contract(world, company, company.contracts[one.contract], None, By.API)
    assert unmet() == {"zero_total"}


def test_the_summary_is_json_and_says_each_difference_in_a_sentence(world: World) -> None:
    summary = summarise(world)
    assert json.loads(json.dumps(summary)) == summary
    missing: Any = summary["missing"]
    for entry in missing:
        assert entry.keys() == {
            "tenant_id",
            "tenant",
            "contract",
            "period_start",
            "period_end",
            "invoices",
            "sentence",
        }
        assert entry["sentence"].endswith(".")


def test_a_world_that_was_not_seeded_cannot_be_summarised() -> None:
    with pytest.raises(NotSeededError):
        summarise(World())
