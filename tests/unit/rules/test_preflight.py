"""The pre-flight: only what the policies choose hinders, the unknown is said to be, and everything has its words."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import TenantId
from common.rules.policy import Policy
from common.rules.preflight import (
    KIND_OF,
    SCOPE_OF,
    Area,
    Experience,
    Finding,
    Kind,
    Need,
    Observed,
    Refusal,
    Severity,
    Stopped,
    Topic,
    Wants,
    Year,
    certain,
    judge,
    needs_of,
    wants_of,
)
from common.rules.preflight_words import Language, severity_in_words, told
from common.rules.reasons import REASONS, Reason, Scope
from common.rules.states import Delivery, Step

TODAY = date(2026, 11, 24)
YEARS = (Year(start=date(2026, 1, 1), end=date(2026, 12, 31)), Year(start=date(2027, 1, 1), end=date(2027, 12, 31)))
ALL_SCOPES = frozenset(SCOPE_OF.values())
CREATES, BOOKS = Wants(), Wants(bookkeep=True)
SENDS = Wants(deliver=frozenset({Delivery.EMAIL}))
HANDS_OVER = Wants(bookkeep=True, deliver=frozenset({Delivery.FINANCE}))
BY_CARD = wants_of([Policy(deliver="customer")])
EVERYTHING = Wants(bookkeep=True, deliver=frozenset(Delivery), asks_card=True)
UNLICENSED = Refusal(reason=Reason.LICENCE_MISSING, message="Det finns ingen aktiv licens", code=2001101)
NO_SCOPE = Refusal(reason=Reason.SCOPE_MISSING, message="Har inte behörighet för scope", code=2000663)
EXPERIENCED = Experience(has_sent=True, has_handed_over=True)


def observed(**read: Any) -> Observed:
    """A company in which nothing is wrong, but for what is said."""
    return Observed.model_validate({"scopes": ALL_SCOPES, "bank_details": True, "years": YEARS, **read})


def kinds(
    seen: Observed, wants: Wants = EVERYTHING, known: Experience = EXPERIENCED, today: date = TODAY
) -> list[Kind]:
    return [one.kind for one in judge(seen, wants, known, today)]


def only(seen: Observed, wants: Wants, known: Experience = EXPERIENCED, today: date = TODAY) -> Finding:
    (found,) = judge(seen, wants, known, today)
    return found


def test_of_a_company_in_order_nothing_is_found() -> None:
    assert kinds(observed()) == []


def test_what_the_policies_choose_is_what_any_of_them_chooses() -> None:
    wants = wants_of([Policy(), Policy(bookkeep=True), Policy(deliver="email", einvoice_by_card=True)])
    assert (wants.bookkeep, wants.sends, wants.hands_over, wants.asks_card) == (True, True, False, True)
    assert wants_of([Policy(deliver="finance")]).sends is False


@pytest.mark.parametrize(
    ("scope", "wants", "kind"),
    [
        ("invoice", CREATES, Kind.SCOPE_MISSING),
        ("noxfinansinvoice", HANDS_OVER, Kind.SCOPE_MISSING),
        ("noxfinansinvoice", SENDS, Kind.SCOPE_OPTIONAL),
        ("customer", BY_CARD, Kind.SCOPE_MISSING),
        ("customer", CREATES, Kind.SCOPE_OPTIONAL),
    ],
)
def test_a_scope_hinders_only_where_what_is_chosen_needs_it(scope: str, wants: Wants, kind: Kind) -> None:
    found = only(observed(scopes=ALL_SCOPES - {scope}), wants)
    assert (found.kind, found.about) == (kind, (scope,))


def test_a_scope_that_was_refused_is_missing_where_nobody_told_which_were_granted() -> None:
    found = only(observed(scopes=None, refused={Area.FINANCE: NO_SCOPE}), HANDS_OVER)
    assert (found.kind, found.about) == (Kind.SCOPE_MISSING, ("noxfinansinvoice",))


def test_several_scopes_are_one_finding() -> None:
    found = only(observed(scopes=frozenset({"invoice", "settings", "bookkeeping"})), EVERYTHING)
    assert found.about == ("customer", "noxfinansinvoice")


def test_a_licence_hinders_only_where_what_is_chosen_needs_it() -> None:
    seen = observed(refused={Area.FINANCE: UNLICENSED})
    assert kinds(seen, HANDS_OVER) == [Kind.LICENCE_MISSING]
    assert kinds(seen, BOOKS) == [Kind.LICENCE_OPTIONAL]
    assert kinds(observed(refused={Area.CONTRACTS: UNLICENSED}), CREATES) == [Kind.LICENCE_MISSING]


def test_contracts_that_are_not_switched_on_hinder() -> None:
    refused = {Area.CONTRACTS: Refusal(reason=Reason.FEATURE_MISSING, message="Feature inte tillgänglig")}
    found = only(observed(refused=refused), CREATES)
    assert (found.kind, found.severity) == (Kind.FEATURE_MISSING, Severity.HINDERS)
    assert "Feature inte tillgänglig" in told(found, TenantId(1), Language.SV).why


def test_a_dead_access_is_all_that_is_told() -> None:
    refused = Refusal(reason=Reason.TOKEN_DEAD, message="invalid_grant")
    assert kinds(Observed(access=refused)) == [Kind.ACCESS_DEAD]
    assert kinds(observed(refused={Area.CONTRACTS: refused})) == [Kind.ACCESS_DEAD]


@pytest.mark.parametrize(
    ("until", "found"), [(TODAY, [Kind.PERIOD_LOCKED]), (TODAY - timedelta(days=1), []), (None, [])]
)
def test_a_locked_period_hinders_when_an_invoice_of_today_would_be_within_it(
    until: date | None, found: list[Kind]
) -> None:
    assert kinds(observed(locked_until=until), BOOKS) == found
    assert kinds(observed(locked_until=until), CREATES) == found


def test_a_missing_financial_year_hinders_today_and_the_next_one_from_a_month_before() -> None:
    seen = observed(years=YEARS[:1])
    assert kinds(seen, BOOKS, today=date(2026, 11, 30)) == []
    ends = only(seen, BOOKS, today=date(2026, 12, 1))
    assert (ends.kind, ends.severity, ends.day) == (Kind.YEAR_ENDS, Severity.WILL_HINDER, date(2027, 1, 1))
    assert kinds(seen, BOOKS, today=date(2027, 1, 1)) == [Kind.YEAR_MISSING]


def test_a_broken_financial_year_ends_when_it_ends() -> None:
    seen = observed(years=(Year(start=date(2025, 5, 1), end=date(2026, 4, 30)),))
    assert only(seen, BOOKS, today=date(2026, 4, 2)).day == date(2026, 5, 1)
    assert kinds(seen, BOOKS, today=date(2026, 3, 1)) == []


def test_the_cash_method_passes_over_bookkeeping_where_that_is_chosen() -> None:
    seen = observed(years=(Year(start=date(2026, 1, 1), end=date(2026, 12, 31), cash=True),))
    found = only(seen, BOOKS)
    assert (found.kind, found.severity) == (Kind.CASH_METHOD, Severity.TO_KNOW)
    assert kinds(seen, SENDS) == []


def test_the_cash_method_hinders_what_only_bookkept_invoices_can_have() -> None:
    cash = (Year(start=date(2026, 1, 1), end=date(2026, 12, 31), cash=True),)
    assert only(observed(years=cash), HANDS_OVER).severity is Severity.HINDERS


def test_missing_bank_details_hinder_sending_unless_something_has_been_sent_without_them() -> None:
    seen = observed(bank_details=False)
    assert Kind.BANK_DETAILS_MISSING in kinds(seen, SENDS, Experience())
    assert kinds(seen, SENDS, Experience(has_sent=True)) == []
    assert kinds(seen, BOOKS) == []
    assert Kind.BANK_DETAILS_MISSING not in kinds(seen, HANDS_OVER)


def test_what_cannot_be_known_is_said_to_be_and_hinders_nothing() -> None:
    found = only(observed(), SENDS, Experience())
    assert (found.kind, found.severity) == (Kind.LEARNED_LATER, Severity.TO_KNOW)
    assert found.about == (Topic.LICENCE_TO_SEND,)
    assert "first refusal" in told(found, TenantId(1), Language.EN).cure
    assert only(observed(), HANDS_OVER, Experience()).about == (Topic.FINANCE_ACTIVE,)


def test_what_went_well_once_is_known() -> None:
    assert kinds(observed(), SENDS, Experience(has_sent=True)) == []
    assert kinds(observed(), HANDS_OVER, Experience(has_handed_over=True)) == []


def test_what_may_not_be_read_is_learned_later_where_it_matters() -> None:
    without_settings = observed(scopes=ALL_SCOPES - {"settings", "bookkeeping"}, bank_details=None, years=None)
    found = judge(without_settings, EVERYTHING, Experience(), TODAY)[-1]
    assert set(found.about) == {
        Topic.LOCKED_PERIOD,
        Topic.YEARS,
        Topic.LICENCE_TO_SEND,
        Topic.BANK_DETAILS,
        Topic.FINANCE_ACTIVE,
    }
    assert kinds(without_settings, CREATES) == [Kind.SCOPE_OPTIONAL, Kind.LEARNED_LATER]


def test_what_failed_for_a_moment_is_told_and_tried_again() -> None:
    found = only(observed(unread={Area.YEARS: "HTTP 500"}, years=None), BOOKS)
    assert (found.kind, found.severity, found.about) == (Kind.NOT_READ, Severity.TO_KNOW, ("years",))


def test_a_refusal_that_means_nothing_known_is_told_with_fortnox_own_words() -> None:
    odd = Refusal(reason=Reason.REFUSED, message="Något annat", code=17)
    found = only(observed(refused={Area.SETTINGS: odd}), CREATES)
    assert 'Fortnox: "Något annat" (kod 17).' in told(found, TenantId(1), Language.SV).why


def test_what_a_step_is_stopped_for_stands_there_once_as_the_stop() -> None:
    stop = Stopped(Step.DELIVER, Reason.BANK_DETAILS_MISSING, "Bankuppgifter saknas")
    found = only(observed(bank_details=False), SENDS, Experience(stops=[stop]))
    assert (found.kind, found.is_stop, found.step) == (Kind.BANK_DETAILS_MISSING, True, Step.DELIVER)
    assert "stops deliver for the whole company" in told(found, TenantId(1), Language.EN).why
    assert "stoppar skicka för hela företaget" in told(found, TenantId(1), Language.SV).why


def test_every_reason_that_stops_a_company_is_a_finding() -> None:
    assert set(KIND_OF) == {reason for reason in Reason if REASONS[reason].scope is Scope.TENANT}


# What the plan holds for


def test_a_contract_needs_what_its_policy_chooses() -> None:
    assert list(needs_of(Policy())) == []
    assert list(needs_of(Policy(bookkeep=True))) == [Need.BOOKKEEP]
    assert list(needs_of(Policy(bookkeep=True, deliver="finance"))) == [Need.BOOKKEEP, Need.FINANCE, Need.DELIVER]
    assert list(needs_of(Policy(deliver="customer"))) == [Need.CARD, Need.DELIVER]


def test_what_is_not_granted_is_certain_to_be_refused() -> None:
    assert certain(observed(scopes=frozenset({"invoice"})), ()) == {
        Need.CARD: Reason.SCOPE_MISSING,
        Need.FINANCE: Reason.SCOPE_MISSING,
    }
    assert certain(observed(refused={Area.FINANCE: UNLICENSED}), ()) == {Need.FINANCE: Reason.LICENCE_MISSING}


@pytest.mark.parametrize(
    "seen",
    [None, observed(), observed(bank_details=False, locked_until=TODAY, years=()), observed(unread={"finance": "x"})],
)
def test_what_may_go_well_is_never_held_for(seen: Observed | None) -> None:
    assert certain(seen, ()) == {}


def test_a_stop_is_certain_for_its_step_and_no_other() -> None:
    assert certain(None, [Stopped(Step.DELIVER, Reason.FINANCE_INACTIVE)]) == {Need.DELIVER: Reason.FINANCE_INACTIVE}
    assert certain(None, [Stopped(Step.CREATE, Reason.SURPRISE), Stopped(None, Reason.TOKEN_DEAD)]) == {}


# Words


def some_findings() -> Iterable[Finding]:
    for kind in Kind:
        yield Finding(kind, ("years", "invoice"), TODAY)
        yield Finding(kind, is_stop=True, message="Nej.", code="2001101", step=Step.DELIVER)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("finding", list(some_findings()))
def test_every_finding_says_what_is_wrong_and_what_to_do(finding: Finding, language: Language) -> None:
    words = told(finding, TenantId(1), language)
    assert words.why.endswith(".")
    assert words.why[0].isupper()
    assert words.cure[0].isupper()
    assert "{" not in words.why + words.cure


@pytest.mark.parametrize("kind", Kind)
def test_the_two_languages_differ(kind: Kind) -> None:
    finding = Finding(kind, ("years",), TODAY)
    assert told(finding, TenantId(1), Language.EN) != told(finding, TenantId(1), Language.SV)


@pytest.mark.parametrize("language", Language)
def test_every_topic_area_and_severity_has_a_name(language: Language) -> None:
    for named in (*Area, *Topic):
        assert named.value not in told(Finding(Kind.LEARNED_LATER, (named.value,)), TenantId(1), language).why.split()
    assert len({severity_in_words(severity, language) for severity in Severity}) == len(Severity)


# Whatever is read


areas = st.sampled_from(Area)
reasons = st.sampled_from([*KIND_OF, Reason.REFUSED])
days = st.dates(date(2025, 1, 1), date(2028, 12, 31))
anything = st.builds(
    Observed,
    scopes=st.none() | st.frozensets(st.sampled_from(sorted(ALL_SCOPES))),
    access=st.none() | st.builds(Refusal, reason=st.just(Reason.TOKEN_DEAD)),
    refused=st.dictionaries(areas, st.builds(Refusal, reason=reasons, message=st.text(max_size=5))),
    unread=st.dictionaries(areas, st.text(max_size=5)),
    bank_details=st.none() | st.booleans(),
    locked_until=st.none() | days,
    years=st.none() | st.lists(st.builds(Year, start=days, end=days, cash=st.booleans()), max_size=3).map(tuple),
)
wishes = st.builds(
    Wants, bookkeep=st.booleans(), deliver=st.frozensets(st.sampled_from(Delivery)), asks_card=st.booleans()
)
stops = st.lists(
    st.builds(Stopped, step=st.none() | st.sampled_from(Step), reason=reasons),
    max_size=3,
    unique_by=lambda one: one.reason,
)


@given(anything, wishes, stops, days)
def test_whatever_is_read_each_kind_is_found_once(
    seen: Observed, wants: Wants, met: list[Stopped], today: date
) -> None:
    found = judge(seen, wants, Experience(met), today)
    assert len({one.kind for one in found}) == len(found)
    for one in found:
        assert told(one, TenantId(1), Language.SV).why


@given(anything, days)
def test_what_only_later_steps_need_hinders_nobody_who_only_creates(seen: Observed, today: date) -> None:
    assert {one.kind for one in judge(seen, CREATES, Experience(), today) if one.severity is not Severity.TO_KNOW} <= {
        Kind.ACCESS_DEAD,
        Kind.SCOPE_MISSING,
        Kind.LICENCE_MISSING,
        Kind.FEATURE_MISSING,
        Kind.PERIOD_LOCKED,
        Kind.YEAR_MISSING,
        Kind.YEAR_ENDS,
    }


@given(anything)
def test_what_was_read_comes_back_as_it_was_from_the_ledger(seen: Observed) -> None:
    assert Observed.model_validate_json(seen.model_dump_json(exclude_defaults=True)) == seen


@pytest.mark.parametrize("reason", [Reason.FEATURE_MISSING, Reason.FINANCE_INACTIVE, Reason.LICENCE_MISSING])
def test_what_a_needed_read_was_refused_for_hinders(reason: Reason) -> None:
    seen = observed(refused={Area.FINANCE: Refusal(reason=reason)})
    wants = Wants(bookkeep=True, deliver=frozenset({Delivery.FINANCE}))
    assert [one.kind for one in judge(seen, wants, Experience(), TODAY) if one.severity is Severity.HINDERS] == [
        KIND_OF[reason]
    ]
    assert certain(seen, ()) == {Need.FINANCE: reason}


@given(anything, wishes, days)
def test_what_the_plan_holds_for_is_always_told_of(seen: Observed, wants: Wants, today: date) -> None:
    needed = {Need.FINANCE} if wants.hands_over else set()
    needed |= {Need.CARD} if wants.asks_card else set()
    held = certain(seen, ()).keys() & needed
    hindering = [one for one in judge(seen, wants, Experience(), today) if one.severity is Severity.HINDERS]
    assert bool(hindering) or not held
