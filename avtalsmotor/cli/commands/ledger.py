"""`avtalsmotor ledger ...`: the database of what was set out to be done, and what came of it."""

import typer

from avtalsmotor.cli.failure import run

app = typer.Typer(help="The ledger: the database of what was invoiced.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The ledger: the database of what was invoiced."""


@app.command()
def migrate() -> None:
    """Make the ledger's tables, or bring them up to this version.

    Needed on PostgreSQL before the first start and after each update. The file in the data directory is brought up to
    date by itself.
    """
    from avtalsmotor.cli.actions import ledger

    run(ledger.migrate())
