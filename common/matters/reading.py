"""Everything that needs a person, in one reading.

It reads the ledger alone, and changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.matters import access, companies, found, prices, standing, stops
from common.matters.matter import Matter
from common.rules.preflight_words import Language


async def read(
    ledger: Ledger, known: Sequence[Tenant], now: datetime, interval: float, language: Language = Language.EN
) -> list[Matter]:
    """All matters of the companies: stops and billings that stand still first, then what was found, then the rest.

    Parameters:
      known: all companies.
      interval: seconds between two readings of a company.
    """
    of_companies = await stops.of_companies(ledger)
    stopped = {stop.block.tenant for stop in of_companies if stop.block.step is None}
    return [
        *await standing.read(ledger, of_companies, language),
        *await found.read(ledger, stopped, language),
        *await prices.read(ledger, language),
        *await access.ageing(ledger, stopped, now, language),
        *companies.unread(known, stopped, now, interval, language),
    ]
