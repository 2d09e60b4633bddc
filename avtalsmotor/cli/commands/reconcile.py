"""`avtalsmotor reconcile`: the proof of every period that was due, and what a person says of a line of it."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByTenant, OnDay, Tenant

app = typer.Typer()


@app.callback(invoke_without_command=True)
def reconcile(
    context: typer.Context,
    tenant: ByTenant = None,
    date: OnDay = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was acknowledged.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that every period that was due has exactly one invoice.

    Reads Fortnox, and compares it with the ledger and the plan, company by company: what is missing, doubled,
    overlapping, made by hand or otherwise than the ledger has it, and what is not done for a known reason. Changes
    nothing in Fortnox. The producer does the same each morning, and `status` shows what it could not explain. Ends with
    status 0 when everything is proved, explained or acknowledged, else with 1.

    \b
    avtalsmotor reconcile                       all companies, until today
    avtalsmotor reconcile --tenant 12345 --json
    """
    if context.invoked_subcommand is not None:
        return
    from avtalsmotor.cli.actions import reconcile as action

    if not run(action.reconcile(tenant, date, as_json, everything=everything)):
        raise typer.Exit(1)


@app.command()
def acknowledge(
    tenant: Tenant,
    line: Annotated[str, typer.Argument(metavar="LINE", help="The line, as `reconcile` and `status` name it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit trail.")],
) -> None:
    """Say that a line is all right.

    An invoice made by hand, one that somebody edited: it needs nobody any more, until it becomes another.

    \b
    avtalsmotor reconcile acknowledge 12345 3f9a11c0 --why "invoiced by hand, as agreed"
    """
    from avtalsmotor.cli.actions import reconcile as action

    run(action.acknowledge(tenant, line, why))
