"""`avtalsmotor pause` and `resume`: the kill switch of the whole bureau."""

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import Why


def pause(why: Why = "") -> None:
    """Stop everything at once, for all companies.

    No invoice is created, booked or sent any more. Calls that are on their way to Fortnox finish; nothing new is called
    until `avtalsmotor resume`.
    """
    from avtalsmotor.cli.actions import stops

    run(stops.pause_bureau(why))


def resume(why: Why = "") -> None:
    """End the stop of everything.

    Companies and contracts paused by themselves stay paused.
    """
    from avtalsmotor.cli.actions import stops

    run(stops.resume_bureau(why))


def declare(app: typer.Typer) -> None:
    app.command()(pause)
    app.command()(resume)
