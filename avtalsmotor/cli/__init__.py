"""The command line: what a person types, and what the roles are started with.

`commands` declares what may be typed and imports nothing heavy, so that `--help` is quick; `actions` does it; `session`
opens what an action needs. Nothing here decides anything about an invoice: that is the rules', the ledger's and the
workers' business.
"""


def main() -> None:
    """The console script `avtalsmotor`."""
    from avtalsmotor.cli.app import app

    app(prog_name="avtalsmotor")
