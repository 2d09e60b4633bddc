"""`avtalsmotor notices ...`: the messages that tell people what needs them (meddelanden)."""

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson

app = typer.Typer(
    help="The messages that tell people what needs them (meddelanden).\n\n"
    "By e-mail, or by a signed webhook, as AVTALSMOTOR_NOTICE_... says: docs/notices.md.",
    no_args_is_help=True,
)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """The last messages: what they told, and whether they arrived.

    \b
    avtalsmotor notices list
    avtalsmotor notices list --json
    """
    from avtalsmotor.cli.actions import notices

    run(notices.list_(as_json))


@app.command()
def test() -> None:
    """Send a test message by each channel now, and say what came of it.

    Ends with status 1 when one did not leave.

    \b
    avtalsmotor notices test
    """
    from avtalsmotor.cli.actions import notices

    if not run(notices.test()):
        raise typer.Exit(1)
