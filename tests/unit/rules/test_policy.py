"""Policy: four levels become one, and caution wins whenever two policies meet."""

from datetime import UTC, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.rules.policy import PRICES, Policy, PolicyChoice, amended, decided_by, resolve, said_by, stricter
from common.rules.states import Delivery

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "mode": st.sampled_from(["proposal", "live"]),
    "bookkeep": st.booleans(),
    "deliver": st.sampled_from(Delivery),
    "einvoice_by_card": st.booleans(),
    "deliver_from": st.times() | st.just("any"),
    "deliver_on": st.sampled_from(["any", "banking_days"]),
    "invoice_on": st.sampled_from(["period_start", "period_end"]),
    "lead_days": st.integers(-366, 366),
    "invoice_day": st.integers(1, 31) | st.just("last"),
    "invoice_month": st.sampled_from(["before", "same", "after"]),
    "invoice_date": st.sampled_from(["due_day", "period_start"]),
    "catch_up": st.sampled_from(["hold", "invoice"]),
    "amount_change_percent": st.integers(0, 1000),
    "allow_zero": st.booleans(),
    "finish_handmade": st.booleans(),
    "allow_tax_reduction": st.booleans(),
    "prices": st.sampled_from(PRICES),
    "price_rise_percent": st.integers(0, 1000),
    "price_rows": st.sampled_from(["following", "all"]),
    "price_from": st.sampled_from(["next_period", "at_once"]),
}
DUE_FIELDS = {"invoice_on", "lead_days", "invoice_day", "invoice_month", "invoice_date"}
CHOICES = st.fixed_dictionaries({}, optional=FIELDS).map(PolicyChoice.model_validate)
POLICIES = st.fixed_dictionaries({}, optional=FIELDS).map(Policy.model_validate)


def automation(policy: Policy) -> dict[str, float]:
    """How much each field lets happen without a person: more is more."""
    earliest = time.min if policy.deliver_from == "any" else policy.deliver_from
    return {
        "mode": policy.mode == "live",
        "bookkeep": policy.bookkeep,
        "deliver": policy.deliver is not Delivery.NONE,
        "deliver_from": -(earliest.hour * 3600 + earliest.minute * 60 + earliest.second + earliest.microsecond / 1e6),
        "deliver_on": policy.deliver_on == "any",
        "catch_up": policy.catch_up == "invoice",
        "amount_change_percent": policy.amount_change_percent,
        "allow_zero": policy.allow_zero,
        "finish_handmade": policy.finish_handmade,
        "allow_tax_reduction": policy.allow_tax_reduction,
        "prices": PRICES.index(policy.prices),
        "price_rise_percent": policy.price_rise_percent,
        "price_rows": policy.price_rows == "all",
        "price_from": policy.price_from == "at_once",
    }


def test_a_choice_and_a_policy_have_the_same_fields() -> None:
    assert PolicyChoice.model_fields.keys() == Policy.model_fields.keys() == FIELDS.keys()


def test_nothing_said_calls_nothing_books_nothing_and_sends_nothing() -> None:
    assert resolve().model_dump() == {
        "mode": "proposal",
        "bookkeep": False,
        "deliver": "none",
        "einvoice_by_card": False,
        "deliver_from": time(8),
        "deliver_on": "any",
        "invoice_on": "period_start",
        "lead_days": 0,
        "invoice_day": None,
        "invoice_month": "same",
        "invoice_date": "due_day",
        "catch_up": "hold",
        "amount_change_percent": 30,
        "allow_zero": False,
        "finish_handmade": False,
        "allow_tax_reduction": False,
        "prices": "off",
        "price_rows": "following",
        "price_from": "next_period",
        "price_rise_percent": 10,
    }


@given(st.lists(CHOICES, max_size=4))
def test_the_most_specific_level_that_says_something_wins(levels: list[PolicyChoice]) -> None:
    policy = resolve(*levels)
    for field in FIELDS.keys() - {"invoice_day"}:
        said = [value for level in levels if (value := getattr(level, field)) is not None]
        assert getattr(policy, field) == (said[-1] if said else Policy.model_fields[field].default)


@given(CHOICES)
def test_a_level_that_says_nothing_changes_nothing(choice: PolicyChoice) -> None:
    nothing = PolicyChoice()
    assert resolve(nothing, choice, nothing) == resolve(choice)


@given(CHOICES)
def test_saying_the_same_twice_changes_nothing(choice: PolicyChoice) -> None:
    assert resolve(choice, choice) == resolve(choice)


def test_a_contract_with_lead_days_leaves_the_companys_day_of_the_month() -> None:
    policy = resolve(PolicyChoice(invoice_day=25, invoice_month="before"), PolicyChoice(lead_days=10))
    assert policy.invoice_day is None
    assert policy.lead_days == 10


def test_a_contract_with_a_day_of_the_month_leaves_the_companys_lead_days() -> None:
    assert resolve(PolicyChoice(lead_days=10), PolicyChoice(invoice_day="last")).invoice_day == "last"


def test_a_level_that_says_both_goes_by_the_day_of_the_month() -> None:
    assert resolve(PolicyChoice(lead_days=10, invoice_day=25)).invoice_day == 25


def test_each_field_tells_the_level_that_decided_it() -> None:
    levels = {
        "bureau": PolicyChoice(bookkeep=True, deliver=Delivery.EMAIL),
        "tenant": PolicyChoice(deliver=Delivery.NONE),
        "template": PolicyChoice(),
        "contract": PolicyChoice(mode="live"),
    }
    told = decided_by(levels)
    assert told.keys() == Policy.model_fields.keys()
    assert {field: level for field, level in told.items() if level != "default"} == {
        "bookkeep": "bureau",
        "deliver": "tenant",
        "mode": "contract",
    }


def test_who_ends_the_day_of_the_month_decides_that_there_is_none() -> None:
    levels = {"bureau": PolicyChoice(invoice_day="last"), "tenant": PolicyChoice(lead_days=10)}
    assert decided_by(levels)["invoice_day"] == "tenant"
    assert said_by(levels)["invoice_day"] == {"default": None, "bureau": "last"}


@given(st.lists(CHOICES, min_size=1, max_size=4))
def test_what_the_level_that_decided_said_is_the_value(choices: list[PolicyChoice]) -> None:
    levels = {f"level {place}": choice for place, choice in enumerate(choices)}
    policy, deciders, said = resolve(*choices), decided_by(levels), said_by(levels)
    assert deciders.keys() == said.keys() == Policy.model_fields.keys()
    for field, decider in deciders.items():
        assert getattr(policy, field) == said[field].get(decider)
        assert set(said[field]) <= {"default", *levels}


def test_a_change_replaces_what_it_says_and_leaves_the_rest() -> None:
    choice = PolicyChoice(bookkeep=True, lead_days=5)
    assert amended(choice, PolicyChoice(lead_days=0)) == PolicyChoice(bookkeep=True, lead_days=0)


def test_a_person_can_go_back_from_a_day_of_the_month_to_lead_days() -> None:
    assert amended(PolicyChoice(invoice_day=25), PolicyChoice(lead_days=0)) == PolicyChoice(lead_days=0)


@given(CHOICES, CHOICES, CHOICES)
def test_a_level_that_was_amended_resolves_as_if_the_change_were_a_level(
    bureau: PolicyChoice, tenant: PolicyChoice, change: PolicyChoice
) -> None:
    assert resolve(bureau, amended(tenant, change)).model_dump(exclude={"invoice_day"}) == resolve(
        bureau, tenant, change
    ).model_dump(exclude={"invoice_day"})


@given(POLICIES, POLICIES)
def test_where_two_policies_meet_nothing_is_automated_that_either_forbids(snapshot: Policy, current: Policy) -> None:
    both = automation(stricter(snapshot, current))
    assert both == {
        field: min(automation(snapshot)[field], automation(current)[field]) for field in automation(snapshot)
    }


@given(POLICIES)
def test_a_policy_is_as_strict_as_itself(policy: Policy) -> None:
    assert stricter(policy, policy) == policy


@given(POLICIES, POLICIES)
def test_being_strict_twice_is_being_strict_once(snapshot: Policy, current: Policy) -> None:
    once = stricter(snapshot, current)
    assert stricter(once, current) == once
    assert stricter(snapshot, once) == once


@given(POLICIES, POLICIES, POLICIES)
def test_the_order_of_later_changes_does_not_matter(snapshot: Policy, one: Policy, other: Policy) -> None:
    assert stricter(stricter(snapshot, one), other) == stricter(stricter(snapshot, other), one)


@given(POLICIES, POLICIES)
def test_caution_is_the_same_from_both_sides(one: Policy, other: Policy) -> None:
    own = DUE_FIELDS | {"deliver", "einvoice_by_card"}
    assert stricter(one, other).model_dump(exclude=own) == stricter(other, one).model_dump(exclude=own)


@given(POLICIES, POLICIES)
def test_the_day_and_date_of_an_invoice_stay_as_planned(snapshot: Policy, current: Policy) -> None:
    assert stricter(snapshot, current).model_dump(include=DUE_FIELDS) == snapshot.model_dump(include=DUE_FIELDS)


def test_another_way_of_delivery_acts_on_what_is_planned_later() -> None:
    email, finance, none = (Policy(deliver=way) for way in (Delivery.EMAIL, Delivery.FINANCE, Delivery.NONE))
    assert stricter(email, finance).deliver is Delivery.EMAIL
    assert stricter(email, none).deliver is Delivery.NONE
    assert stricter(none, email).deliver is Delivery.NONE
    by_card = Policy(deliver=Delivery.EMAIL, einvoice_by_card=True)
    assert stricter(by_card, email).einvoice_by_card
    assert not stricter(email, by_card).einvoice_by_card


@given(POLICIES)
def test_a_policy_survives_being_written_and_read(policy: Policy) -> None:
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


@given(CHOICES)
def test_a_choice_survives_being_written_and_read(choice: PolicyChoice) -> None:
    assert PolicyChoice.model_validate_json(choice.model_dump_json(exclude_none=True)) == choice


@pytest.mark.parametrize(
    "said",
    [
        {"deliver_from": 8},
        {"deliver_from": "8"},
        {"deliver_from": "25:00"},
        {"deliver_from": time(8, tzinfo=UTC)},
        {"deliver_from": "08:00Z"},
        {"lead_days": 367},
        {"lead_days": -367},
        {"invoice_day": 0},
        {"invoice_day": 32},
        {"invoice_day": "first"},
        {"amount_change_percent": -1},
        {"deliver": "pigeon"},
        {"mode": "dry"},
        {"bokkeep": True},
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PolicyChoice.model_validate(said)


@pytest.mark.parametrize(
    ("said", "understood"), [("09:30", time(9, 30)), ("00:00", time(0)), ("any", "any"), (time(7), time(7))]
)
def test_a_time_of_day_is_read_as_people_write_it(said: Any, understood: Any) -> None:
    assert PolicyChoice(deliver_from=said).deliver_from == understood


def test_a_time_of_day_does_not_say_which_of_two_equal_hours_it_means() -> None:
    understood = PolicyChoice(deliver_from=time(2, 30, fold=1)).deliver_from
    assert isinstance(understood, time)
    assert understood.fold == 0
