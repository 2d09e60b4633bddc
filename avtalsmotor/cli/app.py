"""The tree of commands. Imports only what `--help` needs; every command imports what it does when it is called."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from avtalsmotor.cli.commands import (
    audit,
    billings,
    contracts,
    ledger,
    looking,
    notices,
    policy,
    prices,
    reconcile,
    roles,
    runs,
    secrets,
    stops,
    templates,
    tenants,
)

HELP = """Invoices the recurring contracts (avtal) of many companies in Fortnox: each period exactly once.

\b
Try it, with no account:      avtalsmotor demo
\b
For real, with AVTALSMOTOR_FORTNOX_CLIENT_ID and AVTALSMOTOR_FORTNOX_CLIENT_SECRET set:
  connect a company           avtalsmotor tenants connect
  see what would happen       avtalsmotor plan
  let it happen               avtalsmotor tenants policy N --live
  run                         avtalsmotor up
"""

SECTIONS: Mapping[str, Sequence[str]] = {
    "Begin": ("demo", "up"),
    "Choose": ("tenants", "policy", "templates", "contracts"),
    "Look": ("plan", "status", "runs", "doctor", "billings", "prices", "reconcile", "notices", "audit"),
    "Stop everything": ("pause", "resume"),
    "Run one part": ("produce", "work", "sandbox", "ledger", "secrets"),
}
"""The commands as `--help` shows them: in the order in which a newcomer meets them."""


class _Sections(TyperGroup):
    """Shows the commands under headings."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [name for names in SECTIONS.values() for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        room = formatter.width - 6 - max(map(len, self.commands))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(room)) for name in names])


app = typer.Typer(
    cls=_Sections,
    name="avtalsmotor",
    help=HELP,
    no_args_is_help=True,
    # Plain help and errors: quick, and fit for a pipe as well as for a terminal.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from common.ledger.audit import software_version

        typer.echo(f"avtalsmotor {software_version()}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version, and end.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


for module in (roles, looking, stops):
    module.declare(app)
app.add_typer(tenants.app, name="tenants")
app.add_typer(policy.app, name="policy")
app.add_typer(templates.app, name="templates")
app.add_typer(contracts.app, name="contracts")
app.add_typer(runs.app, name="runs")
app.add_typer(billings.app, name="billings")
app.add_typer(prices.app, name="prices")
app.add_typer(reconcile.app, name="reconcile")
app.add_typer(notices.app, name="notices")
app.add_typer(audit.app, name="audit")
app.add_typer(ledger.app, name="ledger")
app.add_typer(secrets.app, name="secrets")
