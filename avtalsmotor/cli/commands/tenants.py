"""`avtalsmotor tenants ...`: the companies (klientföretag)."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, Tenant, Why
from avtalsmotor.cli.policy_options import PolicyCommand, Said, takes_first_policy, takes_policy

app = typer.Typer(help="The companies (klientföretag): add, look, choose rules, pause.", no_args_is_help=True)


@app.command(cls=PolicyCommand)
@takes_first_policy
def add(
    tenant_id: Annotated[
        int,
        typer.Option("--tenant-id", metavar="N", help="The company's number in Fortnox (tenantId, DatabaseNumber)."),
    ],
    said: Said,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="What to call it; else its name in Fortnox.")
    ] = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not ask Fortnox whether the company can be reached.")
    ] = False,
) -> None:
    """Add a company, and say how its contracts are to be invoiced.

    Asks Fortnox for the company first. Without --live nothing is invoiced: `avtalsmotor plan` shows what would be, and
    `avtalsmotor tenants policy N --live` sets it going.

    \b
    avtalsmotor tenants add --tenant-id 12345
    avtalsmotor tenants add --tenant-id 12345 --live --bookkeep --deliver email
    """
    from avtalsmotor.cli.actions import adding

    run(adding.add(tenant_id, name, said.choice(), check=not no_check))


@app.command(cls=PolicyCommand)
@takes_first_policy
def connect(
    said: Said,
    tenant_id: Annotated[
        int | None,
        typer.Option("--tenant-id", metavar="N", help="Only this company; else whichever is chosen in Fortnox."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="What to call it; else its name in Fortnox.")
    ] = None,
    paste: Annotated[
        bool, typer.Option("--paste", help="The browser runs elsewhere: paste the address that it ends at.")
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="SCOPE", help="Do not ask for this scope, such as noxfinansinvoice."),
    ] = None,
    no_service_account: Annotated[
        bool, typer.Option("--no-service-account", help="Keep a refresh token instead.")
    ] = False,
) -> None:
    """Connect a company: a person consents in the browser. The same again when its access has ended.

    Without --live nothing is invoiced for a new company. What was stopped because the access was dead goes on.

    \b
    avtalsmotor tenants connect
    avtalsmotor tenants connect --tenant-id 12345 --without noxfinansinvoice
    """
    from avtalsmotor.cli.actions import connecting

    left = connecting.scopes_without(without or [])
    run(connecting.connect(tenant_id, name, said.choice(), scopes=left, service=not no_service_account, paste=paste))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All companies, with their rules in short."""
    from avtalsmotor.cli.actions import tenants

    run(tenants.list_(as_json))


@app.command()
def show(tenant: Tenant, as_json: AsJson = False) -> None:
    """One company: facts, figures, rules, and what stops it."""
    from avtalsmotor.cli.actions import tenants

    run(tenants.show(tenant, as_json))


@app.command(cls=PolicyCommand)
@takes_policy
def policy(tenant: Tenant, said: Said, as_json: AsJson = False) -> None:
    """Show or change the rules of one company.

    Without options: every rule, its value, and which level decided it. A rule said here overrides the bureau's, and is
    overridden by that of a contract template, or of a contract.
    """
    from avtalsmotor.cli.actions import policies

    choice, unsaid = said.choice(), said.unsaid()
    run(policies.of_tenant(tenant, choice, unsaid, as_json))


@app.command()
def pause(tenant: Tenant, why: Why = "") -> None:
    """Stop one company at once, until `resume`."""
    from avtalsmotor.cli.actions import stops

    run(stops.pause_tenant(tenant, why))


@app.command()
def resume(tenant: Tenant, why: Why = "") -> None:
    """End the pause of one company.

    Its mode stays as it was: a proposal is still a proposal. One that is a proposal and not paused is set live, as by
    `avtalsmotor tenants policy N --live`. See `avtalsmotor plan --tenant N` first.
    """
    from avtalsmotor.cli.actions import stops

    run(stops.resume_tenant(tenant, why))
