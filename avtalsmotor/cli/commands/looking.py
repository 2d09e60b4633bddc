"""The commands that look at the whole bureau: what will happen, and how it stands."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByTenant, OnDay


def plan(
    tenant: ByTenant = None,
    date: OnDay = None,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=0, max=3660, help="Also what falls due within N days.")
    ] = 0,
    no_read: Annotated[
        bool, typer.Option("--no-read", help="Do not read Fortnox first: plan with what was last read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What would be invoiced now, contract by contract, and why.

    Reads the contracts from Fortnox, then asks the same rules as the producer does. Creates nothing.

    \b
    avtalsmotor plan                       today, all companies
    avtalsmotor plan --tenant 12345 --days 31
    avtalsmotor plan --date 2026-12-01 --json
    """
    from avtalsmotor.cli.actions import plan as action

    run(action.plan(tenant, date, days, as_json, read=not no_read))


def status(as_json: AsJson = False) -> None:
    """How it stands, and everything that needs a person.

    Companies with their figures, queues with their depth, and each thing to mend or decide, in words."""
    from avtalsmotor.cli.actions import status as action

    run(action.status(as_json))


def doctor(
    tenant: ByTenant = None,
    swedish: Annotated[bool, typer.Option("--swedish", help="In Swedish.")] = False,
    as_json: AsJson = False,
) -> None:
    """What would fail, before it does: here, and in each company.

    Reads every company anew (six requests each), and keeps what it finds for `status` and the plan. Only what the rules
    choose hinders. Changes nothing in Fortnox. Ends with status 1 when something hinders.

    \b
    avtalsmotor doctor                       all companies
    avtalsmotor doctor --tenant 12345 --swedish
    """
    from avtalsmotor.cli.actions import doctor as action

    if not run(action.doctor(tenant, as_json, swedish=swedish)):
        raise typer.Exit(1)


def declare(app: typer.Typer) -> None:
    app.command()(plan)
    app.command()(status)
    app.command()(doctor)
