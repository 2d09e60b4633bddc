"""How things are printed: exactly, in columns, and never so that data can steer the terminal."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from avtalsmotor.cli import printing
from avtalsmotor.cli.printing import Column, Row
from common.rules.states import Delivery


@pytest.mark.parametrize(
    ("value", "currency", "told"),
    [
        ("1250", "SEK", "1 250.00 SEK"),
        ("-1234567.5", "EUR", "-1 234 567.50 EUR"),
        ("0", "", "0.00 SEK"),
        ("0.125", "SEK", "0.125 SEK"),
        ("999.99", "SEK", "999.99 SEK"),
    ],
)
def test_money_has_its_currency_two_decimals_and_thousands_apart(value: str, currency: str, told: str) -> None:
    assert printing.money(Decimal(value), currency) == told


def test_an_amount_that_is_not_known_is_empty() -> None:
    assert printing.money(None, "SEK") == ""


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 days")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, told: str) -> None:
    assert printing.age(timedelta(seconds=seconds)) == told


def test_an_instant_is_told_in_swedish_time() -> None:
    assert printing.instant(datetime(2026, 7, 1, 6, 0, tzinfo=UTC)) == "2026-07-01 08:00:00"


def test_a_table_that_is_piped_is_plain_and_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    long = "Åkesson & Wallins Efterträdare Konsultbyrå i Mellersta Norrland Handelsbolag " * 3
    columns = [Column("Customer"), Column("Amount", number=True)]
    printing.print_table(columns, [Row([long, "1.00 SEK"]), Row(["B", "10 000 000.00 SEK"], "attention")])
    assert capsys.readouterr().out.splitlines() == [
        f"{'Customer':<{len(long)}}             Amount",
        f"{long}           1.00 SEK",
        f"{'B':<{len(long)}}  10 000 000.00 SEK",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_on_a_terminal_cuts_names_where_it_is_narrow_and_numbers_never(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    columns = [
        Column("Customer", cut=True),
        Column("Period", whole=True),
        Column("Amount", number=True),
        Column("What happens"),
    ]
    name, why = "Kommunala Återvinningscentralen AB", "is held: the total differs from the last one by more than 30 %"
    printing.print_table(columns, [Row([name, "2026-12-01..2026-12-31", "10 000 000.00 SEK", why], "attention")])
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "2026-12-01..2026-12-31  10 000 000.00 SEK" in shown
    assert (name in shown) is (width == 200)
    assert shown.startswith("Customer")


def test_a_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_table([Column("")], [Row(["Evil\x1b[2J\r\nAB"])])
    printing.say("\x1b]0;title\x07")
    assert not {"\x1b", "\x07", "\r"} & set(capsys.readouterr().out)


def test_json_keeps_money_exact_and_times_readable(capsys: pytest.CaptureFixture[str]) -> None:
    printing.print_json(
        {
            "amount": Decimal(1250),
            "day": date(2026, 12, 1),
            "at": datetime(2026, 12, 1, 8, tzinfo=UTC),
            "from": time(8, 0),
            "age": timedelta(seconds=2),
            "deliver": Delivery.EMAIL,
            "name": "Åkes Bygg",
            "none": None,
        }
    )
    assert capsys.readouterr().out == (
        "{\n"
        '  "amount": "1250.00",\n'
        '  "day": "2026-12-01",\n'
        '  "at": "2026-12-01T08:00:00+00:00",\n'
        '  "from": "08:00",\n'
        '  "age": 2.0,\n'
        '  "deliver": "email",\n'
        '  "name": "Åkes Bygg",\n'
        '  "none": null\n'
        "}\n"
    )


def test_what_has_no_json_form_is_a_mistake_and_not_a_guess() -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        printing.print_json(object())
