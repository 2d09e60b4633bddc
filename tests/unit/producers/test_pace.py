"""Turns come evenly, at the same instants in every producer, and never all at once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from common.ids import TenantId
from producers.pace import A_SECOND, AT_ONCE, DAY, Turnstile, latest_turn, next_turn

COMPANIES = [TenantId(number) for number in range(600_001, 601_001)]
INTERVAL = timedelta(minutes=5)
MORNING = datetime(2026, 2, 1, 8, tzinfo=UTC)


def test_a_thousand_companies_that_are_read_in_one_minute_have_their_next_turns_spread_over_the_interval() -> None:
    turns = [next_turn(tenant, MORNING, INTERVAL) for tenant in COMPANIES]
    assert all(INTERVAL / 2 <= turn - MORNING <= INTERVAL * 3 / 2 for turn in turns)
    seconds = Counter(int((turn - MORNING).total_seconds()) for turn in turns)
    assert max(seconds.values()) <= 15


def test_a_company_that_keeps_its_turns_is_read_once_an_interval_whoever_reads_it() -> None:
    for tenant in COMPANIES[:50]:
        first = next_turn(tenant, MORNING, INTERVAL)
        # Read a little late, and by another producer that was started in between.
        assert next_turn(tenant, first + timedelta(seconds=3), INTERVAL) == first + INTERVAL


def test_each_company_has_its_own_time_of_the_day_at_which_everything_is_read() -> None:
    turns = [latest_turn(tenant, MORNING, DAY) for tenant in COMPANIES]
    assert all(MORNING - DAY < turn <= MORNING for turn in turns)
    hours = Counter(turn.hour for turn in turns)
    assert len(hours) == 24
    assert max(hours.values()) <= 80
    assert latest_turn(COMPANIES[0], MORNING + DAY, DAY) - turns[0] == DAY


def test_a_thousand_that_wait_at_once_are_let_in_so_many_a_second() -> None:
    turnstile, waiting, now, let_in = Turnstile(), list(COMPANIES), 1_000.0, Counter[int]()
    while waiting:
        admitted = turnstile.let_in(waiting, now)
        waiting = waiting[len(admitted) :]
        let_in[int(now)] += len(admitted)
        now += 0.5
    assert max(let_in.values()) <= AT_ONCE + A_SECOND
    assert now - 1_000.0 <= len(COMPANIES) / A_SECOND + 1.0


def test_one_company_alone_waits_for_nobody() -> None:
    assert Turnstile().let_in(COMPANIES[:1], 5.0) == COMPANIES[:1]
