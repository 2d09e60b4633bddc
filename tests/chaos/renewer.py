"""One process that renews when it is told to: `python -m tests.chaos.renewer`; for `tests.chaos.renewals`.

It reads a company's number from each line of its input, asks Fortnox for that company's name as any role would, and
says in a line of JSON what became of it. Nothing of what the product does is replaced; in a run with kills its times
are shorter, in their order.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

from common import consents, logs
from common.consents import Consents
from common.fortnox import auth
from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, NotSent
from common.fortnox.governor import governor_redis
from common.ids import TenantId
from common.ledger.database import open_ledger
from common.settings import Settings
from tests.chaos import renewal_points
from tests.chaos.points import Arms
from tests.chaos.role import ARMS

SHORT = "AVTALSMOTOR_CHAOS_SHORT"
"""The environment's name for: what a dead process had in hand is soon anybody's."""


async def main() -> None:
    settings = Settings()
    assert settings.redis_url is not None
    logs.configure(settings, "renewer")
    if os.environ.get(SHORT):
        # Longer than a busy machine takes for an answer: a time-out would be a loss that nobody meant.
        auth.FETCH_TIMEOUT, auth.LOCK_LIFE, auth.PATIENCE = 4.0, 5.0, 20.0
        consents.LEASE = timedelta(seconds=6)
    renewal_points.lay(Arms(Path(os.environ[ARMS])))
    ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock)
    redis = governor_redis(settings.redis_url.get_secret_value())
    fortnox = await Fortnox.open(settings, redis, Consents(ledger, settings))
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    try:
        while line := await told.readline():
            print(json.dumps(await _asked(fortnox, TenantId(int(line)))), flush=True)  # noqa: T201 - its answer
    finally:
        await fortnox.close()
        await redis.aclose()
        await ledger.close()


async def _asked(fortnox: Fortnox, tenant: TenantId) -> str | None:
    """Why the company could not be asked for its name; `None`: it could."""
    try:
        await fortnox.company(tenant)
    except (FortnoxError, NotSent) as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    asyncio.run(main())
