"""When a digest is due: of what is new and has gathered, at some distance; and of what is left, in the morning."""

from datetime import datetime, time, timedelta

import pytest

from common.clock import STOCKHOLM
from common.rules.notices import Kind, Open, Past, Rhythm, due

RHYTHM = Rhythm(gather=timedelta(minutes=5), spacing=timedelta(hours=1), reminder_from=time(8, 0))


def at(when: str) -> datetime:
    return datetime.fromisoformat(when).replace(tzinfo=STOCKHOLM)


def new(seen: str) -> Open:
    return Open(at(seen), None)


def told(when: str) -> Open:
    return Open(at(when), at(when))


def asked(when: str, *seen: Open, last: str | None = None, last_reminder: str | None = None) -> Kind | None:
    past = Past(last and at(last), last_reminder and at(last_reminder))  # type: ignore[arg-type]
    return due(seen, past, RHYTHM, at(when))


def test_nothing_is_told_where_nothing_is_open() -> None:
    assert asked("2026-02-02 08:00") is None
    assert asked("2026-02-02 08:00", last="2026-02-01 01:00") is None


@pytest.mark.parametrize(("when", "kind"), [("01:04:59", None), ("01:05:00", Kind.NEW)])
def test_what_is_new_waits_for_more_from_the_first_on(when: str, kind: Kind | None) -> None:
    seen = (new("2026-02-02 01:00"), new("2026-02-02 01:04:58"))
    assert asked(f"2026-02-02 {when}", *seen) is kind


@pytest.mark.parametrize(("when", "kind"), [("01:59:59", None), ("02:00:00", Kind.NEW)])
def test_a_second_digest_of_new_things_keeps_its_distance(when: str, kind: Kind | None) -> None:
    seen = (told("2026-02-02 01:00"), new("2026-02-02 01:10"))
    assert asked(f"2026-02-02 {when}", *seen, last="2026-02-02 01:00") is kind


def test_what_was_told_is_not_told_again_as_new() -> None:
    assert asked("2026-02-02 07:59", told("2026-01-30 01:00"), last="2026-01-30 01:00") is None


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("2026-02-02 07:59", None),
        ("2026-02-02 08:00", Kind.REMINDER),
        ("2026-02-02 23:00", Kind.REMINDER),
        ("2026-02-01 08:00", None),  # a Sunday
        ("2026-04-06 08:00", None),  # annandag påsk
        ("2026-07-01 08:00", Kind.REMINDER),  # the same wall clock in summer
        ("2026-07-01 07:59", None),
    ],
)
def test_what_is_left_is_told_in_the_morning_of_a_banking_day(when: str, kind: Kind | None) -> None:
    assert asked(when, told("2026-01-30 01:00"), last="2026-01-30 01:00") is kind


def test_one_reminder_a_day_is_enough() -> None:
    seen = told("2026-01-30 01:00")
    assert asked("2026-02-02 09:00", seen, last="2026-02-02 08:00", last_reminder="2026-02-02 08:00") is None
    assert asked("2026-02-03 08:00", seen, last="2026-02-02 08:00", last_reminder="2026-02-02 08:00") is Kind.REMINDER


def test_what_was_told_in_the_night_alone_is_no_reason_to_write_again_in_the_morning() -> None:
    assert asked("2026-02-02 08:00", told("2026-02-02 00:10"), last="2026-02-02 00:10") is None
    assert asked("2026-02-03 08:00", told("2026-02-02 00:10"), last="2026-02-02 00:10") is Kind.REMINDER
