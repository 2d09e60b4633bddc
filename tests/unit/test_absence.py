"""When the absence of an effect may be believed: only when nothing can come of the call any more."""

from datetime import UTC, datetime, timedelta

import pytest

from common.ids import AttemptId, BillingId
from common.ledger.records import Attempt, AttemptVerdict
from common.rules.states import Step
from workers.absence import is_believable

CALLED = datetime(2026, 2, 1, 8, tzinfo=UTC)
SETTLE = timedelta(minutes=10)


def attempt(token_expires: timedelta, verdict: AttemptVerdict | None = None) -> Attempt:
    return Attempt(
        id=AttemptId(1),
        billing=BillingId(1),
        step=Step.CREATE,
        called_at=CALLED,
        claimed_by="worker-1",
        token_expires_at=CALLED + token_expires,
        newest_invoice_before=None,
        answered_at=None,
        http_status=None,
        code=None,
        message="",
        x_uid=None,
        verdict=verdict,
        note="",
    )


@pytest.mark.parametrize(("minutes", "believed"), [(10, False), (61, False), (70, False), (71, True)])
def test_it_is_believed_when_the_token_has_expired_and_then_the_settling_time_has_passed(
    minutes: int, believed: bool
) -> None:
    now = CALLED + timedelta(minutes=minutes)
    assert is_believable(attempt(timedelta(hours=1)), now, SETTLE) is believed


def test_a_token_that_had_expired_before_the_call_does_not_shorten_the_settling_time() -> None:
    late = attempt(timedelta(minutes=-30))
    assert not is_believable(late, CALLED + SETTLE, SETTLE)
    assert is_believable(late, CALLED + SETTLE + timedelta(seconds=1), SETTLE)


def test_it_is_never_believed_of_a_call_that_fortnox_said_yes_to() -> None:
    assert not is_believable(attempt(timedelta(hours=1), "acted"), CALLED + timedelta(days=1), SETTLE)
