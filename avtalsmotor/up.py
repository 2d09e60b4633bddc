"""All roles in one process tree on one machine: the ledger in the data directory, Redis embedded where none is named.

It makes nothing happen by itself: the producer and the workers that it starts do.
"""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping

from avtalsmotor.embedded import EmbeddedServer
from avtalsmotor.processes import ROLES, Processes, StartFailed
from common.fortnox.governor import governor_redis
from common.high_water import HighWater
from common.ledger.database import open_ledger
from common.queue.connections import connect_async
from common.settings import Settings
from common.stopping import StopSignals

TEND_EVERY = 0.5

STOP_MARGIN = 15.0
"""Seconds beyond the longest call in which every role has stopped; it is killed then."""


def up(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT; then every role finishes the calls it has in hand. Returns the exit status.

    Told a second time it ends all roles at once: what they had called is then in doubt, and looked for by the next one.

    Raises StartFailed, EmbeddedError or LedgerError when the credentials, Redis or the ledger are not to be had.
    """
    if not settings.has_credentials:
        raise StartFailed(
            "Nothing was started: the integration's credentials are not given. Set AVTALSMOTOR_FORTNOX_CLIENT_ID and"
            " AVTALSMOTOR_FORTNOX_CLIENT_SECRET, and start again."
        )
    with stop_on_signals() as stop, redis_for(settings) as (redis_url, tend_redis):
        asyncio.run(prepare(settings, redis_url))
        roles = Processes(environment_for(redis_url))
        try:
            for role, command in ROLES.items():
                roles.start(role, command)
            print(  # noqa: T201 - for the person who waits for it
                f"Avtalsmotor runs: {len(ROLES)} roles, data in {settings.data_dir}. Ctrl-C stops it.", file=sys.stderr
            )
            while not stop.wait(TEND_EVERY):
                tend_redis()
                roles.tend()
        finally:
            roles.stop(settings.call_timeout + STOP_MARGIN, stop.hurried)
    return 0


@contextlib.contextmanager
def redis_for(settings: Settings) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of the Redis that the settings name, or of an embedded one that lives as long as this block.

    With it comes what keeps it running, to be called now and then.
    """
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value(), lambda: None
        return
    with EmbeddedServer(settings.data_dir) as server:
        yield server.url, server.tend


def environment_for(redis_url: str) -> Mapping[str, str]:
    """What the roles must be told beyond this process' own environment."""
    return {"AVTALSMOTOR_REDIS_URL": redis_url}


async def prepare(settings: Settings, redis_url: str) -> None:
    """Sees that Redis answers, and makes the ledger or brings it up to this version, before the roles need them."""
    async with connect_async(redis_url) as client:
        await client.ping()
    await prepare_ledger(settings, redis_url)


async def prepare_ledger(settings: Settings, redis_url: str) -> None:
    """Makes the ledger, or brings it up to this version, and sees that it is no older copy. Raises LedgerError."""
    ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock, migrate=True)
    try:
        async with governor_redis(redis_url) as slots:
            await HighWater(ledger, slots, settings.data_dir).check()
    finally:
        await ledger.close()


class Stop(threading.Event):
    """Set when this process is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.hurried = threading.Event()
        """Set when it is told a second time."""


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """An event that SIGTERM and SIGINT set, instead of ending the process in the middle of something."""
    stop = Stop()
    signals = StopSignals()

    def pass_on() -> None:
        while signals.wait():
            (stop.hurried if stop.is_set() else stop).set()

    passing_on = threading.Thread(target=pass_on, name="stopping", daemon=True)
    passing_on.start()
    try:
        yield stop
    finally:
        signals.close()
        passing_on.join()
