"""Reasons: each has its words, and Fortnox' refusals find theirs."""

import pytest

from common.rules.plan import HOLDS
from common.rules.reasons import PASSING, REASONS, Reason, Scope, explain, is_not_activated, of_refusal
from common.rules.states import FINAL, OPEN, Status, Step


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_happened_and_what_to_do(reason: Reason) -> None:
    entry = REASONS[reason]
    assert entry.title
    assert entry.title[0].isupper()
    assert not entry.title.endswith(".")
    assert entry.cure.endswith(".")
    assert reason.value not in (entry.title, entry.cure)


@pytest.mark.parametrize("reason", Reason)
def test_no_two_reasons_say_the_same(reason: Reason) -> None:
    assert [other for other in Reason if REASONS[other].title == REASONS[reason].title] == [reason]


def test_what_stops_a_whole_company_is_what_only_the_company_can_mend() -> None:
    assert {reason for reason in Reason if REASONS[reason].scope is Scope.TENANT} == {
        Reason.BANK_DETAILS_MISSING,
        Reason.FEATURE_MISSING,
        Reason.FINANCE_INACTIVE,
        Reason.LICENCE_MISSING,
        Reason.PERIOD_LOCKED,
        Reason.SCOPE_MISSING,
        Reason.SURPRISE,
        Reason.TOKEN_DEAD,
        Reason.YEAR_MISSING,
    }


def test_only_what_holds_can_pass_by_itself() -> None:
    assert PASSING <= HOLDS


def test_every_status_is_either_open_or_final() -> None:
    assert set(Status) == OPEN | FINAL
    assert not OPEN & FINAL


def test_an_explanation_is_one_sentence_with_its_facts() -> None:
    assert explain(Reason.PERIOD_MOVED, period="2026-03-01..2026-03-31", last_billed="2026-01-01..2026-01-31") == (
        "The period on the contract is not the one expected: it overlaps, repeats or leaves a gap "
        "(period: 2026-03-01..2026-03-31; last billed: 2026-01-01..2026-01-31)."
    )


def test_an_explanation_quotes_fortnox() -> None:
    told = explain(Reason.REFUSED, message="Kan inte hitta kunden.", code=2000433, contract=12)
    assert told == 'Fortnox refused: "Kan inte hitta kunden." (code 2000433) (contract: 12).'


def test_an_explanation_leaves_out_what_is_not_known() -> None:
    assert explain(Reason.REFUSED, message="", code=None, x_uid=None) == "Fortnox refused."


def test_an_explanation_of_a_proposal_says_in_words_what_would_happen() -> None:
    assert REASONS[Reason.AMOUNT_ZERO].title in explain(Reason.PROPOSAL, verdict=Reason.AMOUNT_ZERO.value)


@pytest.mark.parametrize(
    ("step", "http_status", "code", "message", "reason"),
    [
        (Step.CREATE, 403, 2000663, "Har inte behörighet för scope", Reason.SCOPE_MISSING),
        (Step.CREATE, 400, 2000663, "Har inte behörighet för scope", Reason.SCOPE_MISSING),
        (Step.CREATE, 400, 2001393, "", Reason.SCOPE_MISSING),
        (Step.DELIVER, 403, None, "Forbidden", Reason.SCOPE_MISSING),
        (Step.CREATE, 403, 2001101, "Det finns ingen aktiv licens för önskat scope", Reason.LICENCE_MISSING),
        (Step.CREATE, 400, 2001103, "Api-licens saknas.", Reason.LICENCE_MISSING),
        (Step.CREATE, 403, None, "Api-licens saknas.", Reason.LICENCE_MISSING),
        (Step.CREATE, 400, None, "Feature inte tillgänglig", Reason.FEATURE_MISSING),
        (Step.CREATE, 403, None, "FEATURE INTE TILLGÄNGLIG.", Reason.FEATURE_MISSING),
        (Step.BOOKKEEP, 400, 2000401, "Kalle har låst perioden t.o.m. 2026-03-31.", Reason.PERIOD_LOCKED),
        (Step.BOOKKEEP, 400, 2002141, "", Reason.PERIOD_LOCKED),
        (Step.BOOKKEEP, 400, 2003498, "Kunde inte bokföra fakturanummer 1.", Reason.NOT_WAREHOUSE_READY),
        (Step.BOOKKEEP, 400, None, "Fiscal year not available", Reason.YEAR_MISSING),
        (Step.BOOKKEEP, 400, 9000001, "Räkenskapsår saknas för datumet.", Reason.YEAR_MISSING),
        (Step.DELIVER, 400, None, "Bankuppgifter saknas", Reason.BANK_DETAILS_MISSING),
        (Step.DELIVER, 400, None, "bankuppgifter saknas.", Reason.BANK_DETAILS_MISSING),
        (Step.CREATE, 400, 2000310, "Ogiltig inloggning", Reason.TOKEN_DEAD),
        (Step.CREATE, 401, None, "unauthorized", Reason.UNAUTHORIZED),
        (Step.CREATE, 429, None, "", Reason.THROTTLED),
        (Step.CREATE, 404, None, "", Reason.CONTRACT_MISSING),
        (Step.BOOKKEEP, 404, 2000434, "Kan inte hitta fakturan.", Reason.INVOICE_MISSING),
        (Step.DELIVER, 404, None, "", Reason.INVOICE_MISSING),
        (Step.CREATE, 404, 2000433, "Kan inte hitta kunden.", Reason.REFUSED),
        (Step.CREATE, 400, None, "Något annat", Reason.REFUSED),
        (Step.BOOKKEEP, 422, 2001304, "Kunde inte hitta konto", Reason.REFUSED),
    ],
)
def test_a_refusal_finds_its_reason(
    step: Step, http_status: int, code: int | None, message: str, reason: Reason
) -> None:
    assert of_refusal(step, http_status, code, message) is reason


@pytest.mark.parametrize(
    ("message", "is_meant"),
    [
        ("Tjänsten är inte aktiverad.", True),
        ("Fakturatjänster är EJ AKTIVERAT för företaget", True),
        ("The service is not activated.", True),
        ("Fakturan är redan överlämnad.", False),
        ("Kunden är inte aktiv.", False),
        ("", False),
    ],
)
def test_a_service_that_is_not_activated_is_told_from_what_is_about_one_invoice(message: str, is_meant: bool) -> None:
    assert is_not_activated(message) is is_meant


def test_a_known_code_is_believed_before_the_text() -> None:
    assert of_refusal(Step.BOOKKEEP, 400, 2000401, "Räkenskapsår låst") is Reason.PERIOD_LOCKED
