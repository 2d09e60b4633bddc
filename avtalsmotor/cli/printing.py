"""Prints what a command found: a table for a person, or JSON for a program.

On a terminal the tables are Rich's, in modest colours; anywhere else they are plain text in columns, at full width and
with nothing cut off. Numbers and amounts are never shortened.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal

import typer

from common.writing import age, amount, clean, count, day, instant, minute, money

__all__ = [
    "Column",
    "Row",
    "Tone",
    "age",
    "amount",
    "clean",
    "count",
    "day",
    "heading",
    "instant",
    "minute",
    "money",
    "print_json",
    "print_table",
    "say",
]

Tone = Literal["plain", "good", "attention", "quiet"]
"""What a row is to the reader; a colour on a terminal, nothing elsewhere."""

_STYLES: Mapping[Tone, str] = {"plain": "", "good": "green", "attention": "yellow", "quiet": "dim"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters:
      heading: "" for none.
      number: set to the right, and never broken.
      whole: never broken into lines, even where a terminal is narrow.
      cut: where a terminal is narrow, ends in an ellipsis rather than break into lines. Anywhere else it is whole.
    """

    heading: str
    number: bool = False
    whole: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, one for each column."""

    cells: Sequence[str]
    tone: Tone = "plain"


def say(text: str = "") -> None:
    """A line on standard output."""
    typer.echo(clean(text))


def heading(text: str) -> None:
    """A line above what belongs together, with an empty one before it."""
    say()
    typer.secho(clean(text), bold=True)


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Prints the rows under their headings; nothing at all for no rows."""
    if not rows:
        return
    if sys.stdout.isatty():
        _print_rich(columns, rows)
    else:
        _print_plain(columns, rows)


def _print_rich(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    cells = [[Text(clean(cell)) for cell in row.cells] for row in rows]
    widths = [
        max(len(column.heading), *(line[place].cell_len for line in cells)) for place, column in enumerate(columns)
    ]
    # Rich would cut numbers where there is no room: rather make the table wider than the terminal, which breaks lines.
    least = [_least(column, width) for column, width in zip(columns, widths, strict=True)]
    needed = sum(least) + _GAP * (len(columns) - 1)
    spare = max(console.width - needed, 0)
    table = Table(
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
        header_style="bold",
        show_header=any(c.heading for c in columns),
    )
    for column, width, minimum in zip(columns, widths, least, strict=True):
        broken = not (column.number or column.whole or column.cut)
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            no_wrap=not broken,
            max_width=min(width, minimum + spare) if column.cut else None,
        )
        if column.cut:
            spare -= min(width - minimum, spare)
    for row, line in zip(rows, cells, strict=True):
        table.add_row(*line, style=_STYLES[row.tone] or None)
    console.width = max(console.width, needed)
    console.print(table)


def _least(column: Column, width: int) -> int:
    if column.number or column.whole:
        return width
    return min(width, _LEAST_NAME if column.cut else _LEAST_TEXT)


_GAP = 2
_LEAST_NAME = 12
_LEAST_TEXT = 36


def _print_plain(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    lines = [[clean(cell) for cell in row.cells] for row in rows]
    if any(column.heading for column in columns):
        lines.insert(0, [column.heading for column in columns])
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())


def print_json(value: object) -> None:
    """Prints a value as JSON: days and instants (UTC) in ISO 8601, money as strings so that it stays exact."""
    typer.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return amount(value)
        case datetime() | date():
            return value.isoformat()
        case time():
            return f"{value:%H:%M}"
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(name): _plain(entry) for name, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(entry) for entry in value]
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")
