"""`avtalsmotor contracts ...`: the contracts (avtal) as they were last read."""

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByTenant, Contract, Tenant, Why
from avtalsmotor.cli.policy_options import PolicyCommand, Said, takes_policy

app = typer.Typer(help="The contracts (avtal): look, choose rules, pause.", no_args_is_help=True)


@app.command("list")
def list_(tenant: ByTenant = None, as_json: AsJson = False) -> None:
    """The contracts as they were last read. Makes no call to Fortnox."""
    from avtalsmotor.cli.actions import contracts

    run(contracts.list_(tenant, as_json))


@app.command()
def show(tenant: Tenant, contract: Contract, as_json: AsJson = False) -> None:
    """One contract: what happens next and why, and its billings."""
    from avtalsmotor.cli.actions import contracts

    run(contracts.show(tenant, contract, as_json))


@app.command(cls=PolicyCommand)
@takes_policy
def policy(tenant: Tenant, contract: Contract, said: Said, as_json: AsJson = False) -> None:
    """Show or change the rules of one contract.

    Without options: every rule, its value, and which level decided it. What is said here overrides all other levels.
    """
    from avtalsmotor.cli.actions import policies

    choice, unsaid = said.choice(), said.unsaid()
    run(policies.of_contract(tenant, contract, choice, unsaid, as_json))


@app.command()
def pause(tenant: Tenant, contract: Contract, why: Why = "") -> None:
    """Stop one contract at once, until `resume`."""
    from avtalsmotor.cli.actions import stops

    run(stops.pause_contract(tenant, contract, why))


@app.command()
def resume(tenant: Tenant, contract: Contract, why: Why = "") -> None:
    """End the pause of one contract.

    Its rules stay as they were, and so does a pause of the company or the bureau.
    """
    from avtalsmotor.cli.actions import stops

    run(stops.resume_contract(tenant, contract, why))
