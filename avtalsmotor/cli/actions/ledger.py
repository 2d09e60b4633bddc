"""`avtalsmotor ledger ...`."""

from avtalsmotor.cli.printing import say
from avtalsmotor.cli.session import read_settings
from common.ledger.database import open_ledger


async def migrate() -> None:
    """Brings the ledger up to this version. Raises LedgerError."""
    settings = read_settings()
    ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock, migrate=True)
    await ledger.close()
    say("The ledger is up to date.")
