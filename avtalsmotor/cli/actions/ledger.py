"""`avtalsmotor ledger ...`."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import typer

from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.printing import count, minute, say
from avtalsmotor.cli.session import open_session, read_settings, running_redis, user
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ledger import billings, leases
from common.ledger.database import Ledger, LedgerError, open_ledger
from common.ledger.restoring import Restored, restore
from common.queue.connections import connect_async
from common.queue.depth import workers_alive
from common.rules.states import OPEN
from common.settings import Settings


async def migrate() -> None:
    """Brings the ledger up to this version. Raises LedgerError."""
    settings = read_settings()
    ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock, migrate=True)
    await ledger.close()
    say("The ledger is up to date.")


async def restored(confirmed: bool) -> None:
    """Puts everything unfinished in doubt, and lets the ledger be worked with again. Raises Failure when it is."""
    async with open_session() as (settings, ledger), high_water_of(settings, ledger) as high_water:
        await _refuse_while_it_works(settings, ledger)
        unfinished = sum(one.number for one in await billings.counts(ledger) if one.status in OPEN)
        if not confirmed:
            try:
                await high_water.check()
                say("As far as is known, nothing is missing from this ledger.")
            except LedgerError as error:
                say(str(error))
            say(f"{count(unfinished, 'unfinished billing')} would be in doubt until Fortnox has been searched.")
            typer.confirm("Is this ledger an older copy, and is nothing at work on it?", abort=True)
        done = await restore(
            ledger,
            user(),
            token_life=timedelta(seconds=settings.token_life),
            settle=timedelta(seconds=settings.settle),
        )
        await high_water.forget()
    _tell(done)


@contextlib.asynccontextmanager
async def high_water_of(settings: Settings, ledger: Ledger) -> AsyncIterator[HighWater]:
    """What is known of the ledger outside it; without a Redis that runs, what the data directory knows."""
    url = running_redis(settings)
    if url is None:
        yield HighWater(ledger, None, settings.data_dir)
        return
    async with governor_redis(url) as slots:
        yield HighWater(ledger, slots, settings.data_dir)


async def _refuse_while_it_works(settings: Settings, ledger: Ledger) -> None:
    producers = await leases.alive(ledger)
    workers = 0
    url = running_redis(settings)
    if url is not None:
        async with connect_async(url) as client:
            workers = await workers_alive(client)
    if producers or workers:
        raise Failure(
            f"The ledger is in use: {count(producers, 'producer')} and {count(workers, 'worker')} gave a sign of life"
            " just now. Nothing was changed. Stop `avtalsmotor up`, or every producer and worker; what was killed"
            " counts for a quarter of a minute more."
        )


def _tell(done: Restored) -> None:
    doubted = sum(done.doubted.values())
    if doubted:
        companies = count(len(done.doubted), "company", "companies")
        say(f"{count(doubted, 'billing')} of {companies} are in doubt: Fortnox is searched before any of them goes on.")
    else:
        say("Nothing was unfinished. What was read of Fortnox is read anew before anything is called.")
    if done.ended is not None:
        say(
            f"What people decided after {minute(done.ended.at)} is not in this ledger: approvals, skips, pauses, rules,"
        )
        say("companies added. See to that first (avtalsmotor status, avtalsmotor policy).")
    say("Then start as usual. Invoices made in the time that is lost are shown by: avtalsmotor reconcile")
