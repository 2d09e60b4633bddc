"""The reasons in Swedish: each has its two sentences, and the facts are told as in English."""

import pytest

from common.rules.preflight_words import Language
from common.rules.reason_words import SWEDISH, told
from common.rules.reasons import REASONS, ROWS_SEEN, Reason, explain


def test_every_reason_is_told_in_swedish() -> None:
    assert set(SWEDISH) == set(Reason)
    for reason in Reason:
        assert not SWEDISH[reason].why.endswith(".")
        assert SWEDISH[reason].cure.endswith(".")


@pytest.mark.parametrize("reason", Reason)
def test_what_is_typed_is_the_same_in_both_languages(reason: Reason) -> None:
    for command in ("tenants connect", "billings keep ID", "billings cancel ID", "avtalsmotor doctor"):
        assert (command in REASONS[reason].cure) is (command in SWEDISH[reason].cure)


def test_the_words_of_fortnox_and_the_facts_follow_the_reason() -> None:
    facts = {"message": "Kunden saknas", "code": 2000433, "invoice": 17, "odd": "x", ROWS_SEEN: "9f", "empty": None}
    assert told(Reason.REFUSED, facts, Language.SV).why == (
        'Fortnox nekade: "Kunden saknas" (kod 2000433) (faktura: 17; odd: x).'
    )
    assert told(Reason.REFUSED, facts, Language.EN).why == explain(Reason.REFUSED, **facts)


def test_a_reason_within_the_facts_is_told_in_words() -> None:
    why = told(Reason.PROPOSAL, {"verdict": "due"}, Language.SV).why
    assert why.endswith("(bedömning: Perioden ska faktureras).")
