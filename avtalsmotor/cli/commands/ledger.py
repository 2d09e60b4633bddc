"""`avtalsmotor ledger ...`: the database of what was set out to be done, and what came of it."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run

app = typer.Typer(help="The ledger: the database of what was invoiced.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The ledger: the database of what was invoiced."""


@app.command()
def restored(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Say that the ledger is an older copy of itself.

    That is a backup that was put back, or a standby that took over without the last entries. Invoices may have been
    made and sent that it does not know of. So everything unfinished in it is put in doubt at its step, and nothing of
    it is called before Fortnox has been searched. What is found is taken in; what is not goes back to where it stood
    once no lost call can take effect any more, about an hour later. A delivery of which no trace is found waits for
    you. Stop everything that works with the ledger first.
    """
    from avtalsmotor.cli.actions import ledger

    run(ledger.restored(confirmed=yes))


@app.command()
def migrate() -> None:
    """Make the ledger's tables, or bring them up to this version.

    Needed on PostgreSQL before the first start and after each update. The file in the data directory is brought up to
    date by itself.
    """
    from avtalsmotor.cli.actions import ledger

    run(ledger.migrate())
