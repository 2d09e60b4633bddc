"""`avtalsmotor templates ...`: the contract templates (avtalsmallar) of the companies, and the rules by template."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByTenant, Template, Tenant
from avtalsmotor.cli.policy_options import PolicyCommand, Said, takes_policy

app = typer.Typer(help="The contract templates (avtalsmallar): look, choose rules.", no_args_is_help=True)


@app.command("list")
def list_(tenant: ByTenant = None, as_json: AsJson = False) -> None:
    """The templates that contracts have, and how many have each.

    As the contracts were last read. Makes no call to Fortnox.
    """
    from avtalsmotor.cli.actions import templates

    run(templates.list_(tenant, as_json))


@app.command(cls=PolicyCommand)
@takes_policy
def policy(
    tenant: Tenant,
    template: Template,
    said: Said,
    force: Annotated[bool, typer.Option("--force", help="Also for a template that no contract has yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show or change the rules of all contracts of a template.

    Without options: every rule, its value, and which level decided it. A rule said here overrides the company's, and is
    overridden by that of a contract. It follows the template: a contract that gets another one in Fortnox has the rules
    of that from its next reading on.
    """
    from avtalsmotor.cli.actions import policies

    choice, unsaid = said.choice(), said.unsaid()
    run(policies.of_template(tenant, template, choice, unsaid, as_json, force=force))
