"""`avtalsmotor secrets ...`: the keys that seal what the ledger keeps secret, such as refresh tokens."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson

app = typer.Typer(help="The keys that seal the ledger's secrets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The keys that seal the ledger's secrets."""


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All keys, and how many secrets each has sealed.

    With the instant at which each was made, if the key file says so. The first key seals; all of them unseal. A key
    that has sealed something and is not in the file is shown, too: what it sealed cannot be read.

    \b
    avtalsmotor secrets list
    """
    from avtalsmotor.cli.actions import secrets

    run(secrets.list_(as_json))


@app.command("new-key")
def new_key() -> None:
    """Put a new key first in the key file.

    It seals from now on, and the older ones still unseal. The file is made if there is none: the one that
    AVTALSMOTOR_SECRET_KEY_FILE names, else secret.key in the data directory. Does not touch the ledger.

    \b
    avtalsmotor secrets new-key
    """
    from avtalsmotor.cli.actions import secrets

    run(secrets.new_key())


@app.command()
def reseal() -> None:
    """Seal anew what an older key sealed.

    Every secret in the ledger is then under the first key of the file. Nothing need be stopped for it. Ends with status
    1 if a secret could not be unsealed, and says of each what to do.

    \b
    avtalsmotor secrets reseal
    """
    from avtalsmotor.cli.actions import secrets

    if not run(secrets.reseal()):
        raise typer.Exit(1)


@app.command("drop-key")
def drop_key(
    key: Annotated[str, typer.Argument(metavar="KEYID", help="The key's id, as `secrets list` shows it.")],
) -> None:
    """Take a key out of the key file.

    Refused while a secret in the ledger is sealed by it, and of the key that seals. A copy of the ledger from before
    the last `secrets reseal` needs it still.

    \b
    avtalsmotor secrets drop-key 2026-11-23-4e9b90
    """
    from avtalsmotor.cli.actions import secrets

    run(secrets.drop_key(key))
