"""`avtalsmotor policy`: the rules of the whole bureau, and where each rule of a company or a contract comes from."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByContract
from avtalsmotor.cli.policy_options import PolicyGroup, Said, takes_policy

app = typer.Typer(cls=PolicyGroup)


@app.callback(invoke_without_command=True)
@takes_policy
def policy(context: typer.Context, said: Said, as_json: AsJson = False) -> None:
    """Show or change the rules (regler) of the whole bureau.

    Without options: every rule, its value, and whether the bureau or the default decided it. The rules of a company
    (`tenants policy`), of a contract template (`templates policy`) and of a contract (`contracts policy`) override
    these.
    """
    if context.invoked_subcommand is not None:
        if said:
            raise typer.BadParameter(
                f"`policy {context.invoked_subcommand}` only shows rules, and changes none. Leave them out. Nothing was"
                " changed."
            )
        return
    from avtalsmotor.cli.actions import policies

    choice, unsaid = said.choice(), said.unsaid()
    run(policies.of_bureau(choice, unsaid, as_json))


@app.command()
def explain(
    tenant: Annotated[int, typer.Option("--tenant", metavar="TENANT", help="The company's number in Fortnox.")],
    contract: ByContract = None,
    as_json: AsJson = False,
) -> None:
    """Explain the rules of a company or a contract.

    Every rule, its value, which level decided it (default, bureau, company, template, contract), and what the other
    levels say.

    \b
    avtalsmotor policy explain --tenant 12345
    avtalsmotor policy explain --tenant 12345 --contract 17
    """
    from avtalsmotor.cli.actions import explaining

    if contract is None:
        run(explaining.of_tenant(tenant, as_json))
    else:
        run(explaining.of_contract(tenant, contract, as_json))
