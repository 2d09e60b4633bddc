"""`avtalsmotor audit ...`: the record of everything that was done (behandlingshistorik)."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import ByTenant, FromDay, ToDay

app = typer.Typer(help="The record of everything that was done (behandlingshistorik).", no_args_is_help=True)


class Format(StrEnum):
    """How the record is written."""

    CSV = "csv"
    JSONL = "jsonl"


@app.callback()
def _group() -> None:
    """The record of everything that was done (behandlingshistorik)."""


@app.command()
def export(
    tenant: ByTenant = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    written: Annotated[Format, typer.Option("--format", help="CSV with a header, or a line of JSON an entry.")] = (
        Format.CSV
    ),
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Into this file, instead of on standard output.")
    ] = None,
) -> None:
    """Export the record of every change: what, when, on what, by whom.

    Each entry with its instant in UTC and in Swedish time, the company, contract, period and invoice, who did it, the
    state before and after, and the version of the software. In UTF-8, oldest first. Without e-mail addresses.

    \\b
    avtalsmotor audit export --output 2026.csv --from 2026-01-01 --to 2026-12-31
    avtalsmotor audit export --tenant 12345 --format jsonl
    """
    from avtalsmotor.cli.actions import audit

    run(audit.export(tenant, from_day, to_day, written.value, output))
