"""Reads companies' contracts from Fortnox into the mirror, for a person who waits: as the producer does, and no more.

It makes no call with an effect. A company that cannot be read is reported and stays as it was read before.
"""

import asyncio
from collections.abc import Sequence

from avtalsmotor.cli.failure import tell_wait
from avtalsmotor.cli.printing import count
from avtalsmotor.cli.session import missing_credentials, open_fortnox
from avtalsmotor.embedded import EmbeddedError
from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, NotSent
from common.ids import TenantId
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.settings import Settings
from producers.contracts import poll
from producers.recipients import concerned, learn

AT_ONCE = 16
"""Companies read at the same time."""


async def read_contracts(settings: Settings, ledger: Ledger, companies: Sequence[Tenant]) -> dict[TenantId, str]:
    """Reads the contracts of the companies. Returns why, for those that could not be read."""
    absent = missing_credentials(settings)
    if absent:
        why = f"{' and '.join(absent)} not set. Set them, or leave Fortnox alone with --no-read."
        return {company.id: why for company in companies}
    tell_wait(f"Reading the contracts of {count(len(companies), 'company', 'companies')} from Fortnox ...")
    turns = asyncio.Semaphore(AT_ONCE)

    async def read(fortnox: Fortnox, company: Tenant) -> str | None:
        async with turns:
            try:
                await poll(ledger, fortnox, company)
                await learn(ledger, fortnox, company.id, await concerned(ledger, company.id))
            except (FortnoxError, NotSent) as error:
                return str(error)
        return None

    try:
        async with open_fortnox(settings, ledger) as fortnox:
            answers = await asyncio.gather(*(read(fortnox, company) for company in companies))
    except EmbeddedError as error:
        return {company.id: str(error) for company in companies}
    return {company.id: why for company, why in zip(companies, answers, strict=True) if why is not None}
