"""`avtalsmotor runs ...`: what was due and done of each company on a day (körningar)."""

from datetime import date
from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByTenant, FromDay, ToDay, day

app = typer.Typer(
    help="What was due and done on a day (körningar).\n\n"
    "A run is what was planned for one company and one day, and what our calls of that day did.",
    no_args_is_help=True,
)

OfDay = Annotated[
    date | None, typer.Option("--day", metavar="YYYY-MM-DD", parser=day, help="That day in Sweden, instead of today.")
]


@app.command("list")
def list_(
    of_day: OfDay = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    tenant: ByTenant = None,
    as_json: AsJson = False,
) -> None:
    """The runs of today, or of other days: number and kronor, how long it took, and whether it adds up to Fortnox.

    \b
    avtalsmotor runs list
    avtalsmotor runs list --day 2026-12-01
    avtalsmotor runs list --tenant 12345 --from 2026-11-01 --to 2026-11-30
    """
    if of_day is not None and (from_day is not None or to_day is not None):
        raise typer.BadParameter("Say one day, or the first and the last.", param_hint="--day")
    from avtalsmotor.cli.actions import runs

    run(runs.list_(of_day or from_day, of_day or to_day, tenant, as_json))


@app.command()
def show(
    tenant: Annotated[int, typer.Option("--tenant", metavar="TENANT", help="The company.")],
    of_day: OfDay = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read the invoices from Fortnox now, instead of as last read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """One run: its figures, what is not done and why, and how it adds up to Fortnox, invoice by invoice.

    With --check it ends with status 1 when Fortnox differs.

    \b
    avtalsmotor runs show --tenant 12345
    avtalsmotor runs show --tenant 12345 --day 2026-12-01 --check
    """
    from avtalsmotor.cli.actions import runs

    if not run(runs.show(tenant, of_day, as_json, check=check)) and check:
        raise typer.Exit(1)
