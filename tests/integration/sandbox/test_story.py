"""The seeded story: repeatable, believable, and written down by its own rules."""

import dataclasses
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise

import pytest

from sandbox import totals
from sandbox.books import By, World
from sandbox.clock import STOCKHOLM, Clock
from sandbox.names import check_digit
from sandbox.story import NotSeededError, seed, story_of, story_wishes
from sandbox.story_record import NOT_MADE, QUIET, Expectation, Reason
from sandbox.story_rules import Span, Wishes, due_on, next_span

TONIGHT = date(2026, 11, 23)
MANY_NIGHTS = [TONIGHT, date(2026, 1, 1), date(2026, 1, 31), date(2024, 2, 29), date(2026, 3, 29), date(2026, 12, 28)]


def newly_seeded(
    number: int = 1, day: date = TONIGHT, *, hour: int = 21, companies: int = 12, scale: float = 1.0
) -> World:
    world = World(clock=Clock(datetime.combine(day, time(hour), STOCKHOLM), frozen=True))
    seed(world, number, companies=companies, scale=scale)
    return world


seeded = cache(newly_seeded)
"""For reading only."""


def expectations(world: World) -> list[Expectation]:
    return [one for told in story_of(world).companies.values() for one in told.expectations]


def test_the_same_number_makes_the_same_world_and_the_same_story() -> None:
    first, second = newly_seeded(7), newly_seeded(7)
    assert first.companies == second.companies
    assert story_of(first).companies == story_of(second).companies


def test_the_hour_of_the_seeding_changes_nothing() -> None:
    assert newly_seeded(7, hour=0).companies == newly_seeded(7, hour=23).companies


def test_another_number_makes_another_world() -> None:
    assert seeded(7).companies != seeded(8).companies


def test_seeding_replaces_the_companies_that_were_there() -> None:
    world = newly_seeded(7)
    seed(world, 8, companies=3)
    assert world.companies == seeded(8, companies=3).companies


def test_a_dozen_companies_have_some_hundred_contracts_due_tonight() -> None:
    due = {
        told.name: sum(one.is_due(TONIGHT) for one in told.expectations)
        for told in story_of(seeded()).companies.values()
    }
    assert len(due) == 12
    assert 300 <= sum(due.values()) <= 400
    assert max(due.values()) == 45
    assert sum(number <= 12 for number in due.values()) >= 2


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_the_night_is_as_full_on_any_day_of_the_calendar(day: date) -> None:
    assert 300 <= sum(one.is_due(day) for one in expectations(seeded(day=day))) <= 400


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_every_contract_is_accounted_for_and_nothing_else_is(day: date) -> None:
    world = seeded(day=day)
    for tenant, told in story_of(world).companies.items():
        company = world.companies[tenant]
        told_of = {one.contract for one in told.expectations}
        assert told_of <= company.contracts.keys()
        for number in company.contracts.keys() - told_of:
            contract = company.contracts[number]
            assert contract.status == "ACTIVE"
            assert contract.period_start is not None
            assert contract.period_end is not None
            wishes = dataclasses.replace(told.wishes, **told.contract_wishes.get(number, {}))  # type: ignore[arg-type]
            assert due_on(Span(contract.period_start, contract.period_end), wishes) > story_of(world).until


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_an_expected_invoice_is_dated_tonight_or_on_its_due_day_if_that_is_later(day: date) -> None:
    for one in expectations(seeded(day=day)):
        if one.made:
            assert one.due_on is not None
            assert one.invoice_date == max(one.due_on, day)


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_the_periods_expected_of_a_contract_follow_each_other_and_come_due_on_different_days(day: date) -> None:
    made: dict[tuple[int, int], list[Expectation]] = {}
    for one in expectations(seeded(day=day)):
        if one.made:
            made.setdefault((one.tenant, one.contract), []).append(one)
    for periods in made.values():
        for earlier, later in pairwise(periods):
            assert earlier.span is not None
            assert later.span is not None
            assert later.span.start == earlier.span.end + timedelta(days=1)
            assert later.invoice_date != earlier.invoice_date


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_the_expected_amount_is_what_the_sandbox_reckons_the_contract_at(day: date) -> None:
    world = seeded(day=day)
    for one in expectations(world):
        if one.made:
            company = world.companies[one.tenant]
            assert one.amount == totals.of(company.contracts[one.contract], company).total


def test_every_stated_reason_to_fail_occurs() -> None:
    assert {one.reason for one in expectations(seeded())} == {*Reason, None}


@pytest.mark.parametrize("reason", sorted(NOT_MADE))
def test_of_a_contract_that_must_not_be_invoiced_no_invoice_is_expected(reason: Reason) -> None:
    concerned = [one for one in expectations(seeded()) if one.reason is reason]
    assert concerned
    assert all(not one.made and one.why for one in concerned)


def test_a_customer_without_an_email_address_is_not_expected_to_be_invoiced() -> None:
    world = seeded()
    concerned = [one for one in expectations(world) if one.reason is Reason.CUSTOMER_WITHOUT_EMAIL]
    for one in concerned:
        company = world.companies[one.tenant]
        contract = company.contracts[one.contract]
        assert contract.email.to == company.customers[contract.customer_number].invoice_address == ""
        assert not one.made


def test_where_email_is_expected_there_is_an_address_to_send_to() -> None:
    world = seeded()
    for one in expectations(world):
        if one.delivery == "email":
            company = world.companies[one.tenant]
            assert company.contracts[one.contract].email.to.endswith(".example")
            assert company.bankgiro


def test_where_a_hand_over_is_expected_the_invoice_is_booked_and_the_address_whole() -> None:
    world = seeded()
    handed = [one for one in expectations(world) if one.delivery == "finance"]
    assert handed
    for one in handed:
        company = world.companies[one.tenant]
        customer = company.customers[company.contracts[one.contract].customer_number]
        assert one.booked
        assert all((customer.name, customer.address1, customer.zip_code, customer.city))


def test_locked_books_stay_locked_for_as_long_as_the_story_lasts() -> None:
    world = seeded()
    [locked] = [company for company in world if company.locked_until]
    assert locked.locked_until is not None
    assert locked.locked_until > story_of(world).until


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_every_invoice_date_of_the_past_and_of_the_story_lies_in_a_financial_year(day: date) -> None:
    world = seeded(day=day)
    for company in world:
        assert all(company.year_of(invoice.invoice_date) for invoice in company.invoices.values())
    for one in expectations(world):
        if one.invoice_date:
            assert world.companies[one.tenant].year_of(one.invoice_date)


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_nothing_in_the_past_happened_after_the_seeding(day: date) -> None:
    world = seeded(day=day)
    for company in world:
        for invoice in company.invoices.values():
            assert invoice.created_by is By.SEED
            assert invoice.created_at <= world.clock.now()
            assert invoice.invoice_date <= day


def test_invoices_of_the_past_are_numbered_in_the_order_of_their_dates_and_not_from_one() -> None:
    for company in seeded():
        numbers = sorted(company.invoices)
        dates = [company.invoices[number].invoice_date for number in numbers]
        assert dates == sorted(dates)
        assert numbers[0] > 1
        assert company.take_invoice_number() > numbers[-1]


@pytest.mark.parametrize("day", MANY_NIGHTS, ids=str)
def test_a_contracts_last_invoice_covers_the_period_just_before_the_one_it_shows(day: date) -> None:
    found = 0
    for company in seeded(day=day):
        for invoice in company.invoices.values():
            if invoice.contract_reference:
                contract = company.contracts[invoice.contract_reference]
                assert invoice.period_end is not None
                assert contract.period_start == invoice.period_end + timedelta(days=1)
                assert contract.last_invoice_date == invoice.invoice_date
                found += 1
    assert found > 250


def test_a_past_amount_differs_from_the_contract_only_by_nothing() -> None:
    """So that no comparison with the last invoice holds a contract which the story wants invoiced."""
    for company in seeded():
        for invoice in company.invoices.values():
            if invoice.contract_reference:
                assert invoice.total == totals.of(company.contracts[invoice.contract_reference], company).total


def test_a_fixed_length_contract_is_expected_no_more_often_than_it_has_invoices_left() -> None:
    world = seeded()
    last_ones = 0
    for tenant, told in story_of(world).companies.items():
        for number, contract in world.companies[tenant].contracts.items():
            if not contract.continuous:
                made = sum(one.made for one in told.expectations if one.contract == number)
                assert made <= contract.invoices_remaining
                last_ones += made == contract.invoices_remaining == 1
    assert last_ones


def test_contracts_differ_in_interval_length_vat_and_number_of_rows() -> None:
    contracts = [contract for company in seeded() for contract in company.contracts.values()]
    rows = [row for contract in contracts for row in contract.rows]
    assert {contract.interval for contract in contracts} >= {1, 3, 12}
    assert {contract.continuous for contract in contracts} == {True, False}
    assert {contract.vat_included for contract in contracts} == {True, False}
    assert {contract.template_number for contract in contracts} >= {1, 2, 3, 4}
    assert {contract.price_list for contract in contracts} == {"A", "B"}
    assert {len(contract.rows) for contract in contracts} >= {1, 2, 3}
    assert {row.vat for row in rows} == {Decimal(0), Decimal(6), Decimal(12), Decimal(25)}
    assert any(row.quantity > 1 for row in rows)
    assert any(row.discount for row in rows)


def test_some_periods_are_billed_in_advance_and_some_in_arrears() -> None:
    due = [one for one in expectations(seeded()) if one.made and one.is_due(TONIGHT) and one.span]
    assert any(one.span and one.span.start > TONIGHT for one in due)
    assert any(one.span and one.span.start < TONIGHT - timedelta(days=20) <= one.span.end for one in due)


def test_some_contracts_come_due_later_within_the_horizon() -> None:
    world = seeded()
    later = {one.due_on for one in expectations(world) if one.made and not one.is_due(TONIGHT)}
    assert len(later) > 10
    assert all(day and TONIGHT < day <= story_of(world).until for day in later)


def test_article_prices_are_in_the_price_list_that_the_contract_names() -> None:
    for company in seeded():
        for contract in company.contracts.values():
            for row in contract.rows:
                assert (contract.price_list, row.article_number, Decimal(0)) in company.prices


def test_registration_numbers_are_well_formed_and_used_once() -> None:
    numbers = [company.organisation_number for company in seeded()]
    numbers += [
        customer.organisation_number
        for company in seeded()
        for customer in company.customers.values()
        if customer.organisation_number
    ]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        digits = number.replace("-", "")
        assert len(digits) == 10
        assert number[6] == "-"
        assert int(digits[2]) >= 2 or digits.startswith("2120")
        assert check_digit(digits[:9]) == int(digits[9])


def test_customers_are_companies_municipalities_and_private_persons() -> None:
    customers = [customer for company in seeded() for customer in company.customers.values()]
    assert any(customer.type == "PRIVATE" and not customer.organisation_number for customer in customers)
    assert any(" kommun" in customer.name for customer in customers)
    assert any(customer.name.endswith(" AB") for customer in customers)


def test_the_wishes_are_served_as_json_with_what_to_expect_in_words() -> None:
    wishes = story_wishes(seeded())
    assert json.loads(json.dumps(wishes)) == wishes
    assert len({json.dumps(company["wishes"], sort_keys=True) for company in wishes}) >= 6
    for company in wishes:
        assert company.keys() == {"tenant_id", "name", "about", "wishes", "contracts", "expect"}
        assert isinstance(company["wishes"], dict)
        assert company["wishes"].keys() == {
            "mode",
            "bookkeep",
            "deliver",
            "deliver_from",
            "invoice_on",
            "lead_days",
        }
        assert company["wishes"]["mode"] == "live"
        assert company["wishes"]["deliver_from"] == "any"
        assert company["expect"]


def test_single_contracts_wish_otherwise_than_their_company() -> None:
    world = seeded()
    served = {company["tenant_id"]: company["contracts"] for company in story_wishes(world)}
    for tenant, told in story_of(world).companies.items():
        for number, changes in told.contract_wishes.items():
            assert served[tenant][str(number)] == changes  # type: ignore[index]
            for one in told.expectations:
                if one.contract == number and one.made and one.span and not one.reason:
                    wishes = dataclasses.replace(told.wishes, **changes)  # type: ignore[arg-type]
                    assert (one.booked, one.delivery, one.due_on) == (
                        wishes.bookkeep,
                        wishes.deliver,
                        due_on(one.span, wishes),
                    )


def test_a_small_world_keeps_every_example_of_what_can_fail() -> None:
    small = expectations(seeded(scale=0.05))
    assert len([one for one in small if one.is_due(TONIGHT)]) < 60
    assert {one.reason for one in small} == {*Reason, None}


def test_more_companies_than_the_cast_have_names_of_their_own() -> None:
    names = [company.name for company in seeded(companies=30, scale=0.05)]
    assert len(set(names)) == 30


def test_quiet_contracts_are_never_due() -> None:
    assert all(one.due_on is None for one in expectations(seeded()) if one.reason in QUIET)


@pytest.mark.parametrize(("companies", "scale", "horizon_days"), [(0, 1.0, 62), (12, 0.0, 62), (12, 1.0, -1)])
def test_a_seed_without_companies_contracts_or_days_is_refused(companies: int, scale: float, horizon_days: int) -> None:
    with pytest.raises(ValueError, match="at least one company"):
        seed(World(), 1, companies=companies, scale=scale, horizon_days=horizon_days)


def test_a_world_that_was_not_seeded_has_no_story() -> None:
    with pytest.raises(NotSeededError, match="seed it first"):
        story_wishes(World())


def test_a_period_that_ends_with_the_month_goes_on_ending_with_the_month() -> None:
    january = Span(date(2027, 1, 1), date(2027, 1, 31))
    february = next_span(january, 1)
    assert february == Span(date(2027, 2, 1), date(2027, 2, 28))
    assert next_span(february, 1) == Span(date(2027, 3, 1), date(2027, 3, 31))
    assert next_span(Span(date(2026, 12, 1), date(2027, 2, 28)), 3) == Span(date(2027, 3, 1), date(2027, 5, 31))


def test_arrears_are_due_before_the_end_and_advance_before_the_start() -> None:
    may = Span(date(2026, 5, 1), date(2026, 5, 31))
    assert due_on(may, Wishes(lead_days=15)) == date(2026, 4, 16)
    assert due_on(may, Wishes(invoice_on="period_end", lead_days=5)) == date(2026, 5, 26)
