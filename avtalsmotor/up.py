"""All roles in one process tree on one machine: the ledger in the data directory, Redis embedded where none is named.

It makes nothing happen by itself: the producer and the workers that it starts do.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping

import structlog

from avtalsmotor.embedded import EmbeddedServer
from avtalsmotor.processes import ROLES, Processes
from common.ledger.database import open_ledger
from common.settings import Settings

log = structlog.get_logger()

TEND_EVERY = 0.5


def up(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT; then every role finishes what it has in hand. Returns the exit status.

    Raises EmbeddedError or LedgerError when the embedded server or the ledger cannot be had.
    """
    with stop_on_signals() as stop, redis_for(settings) as (redis_url, tend_redis):
        asyncio.run(prepare_ledger(settings))
        roles = Processes(environment_for(redis_url))
        try:
            for role, command in ROLES.items():
                roles.start(role, command)
            log.info("up", roles=len(ROLES), data_dir=str(settings.data_dir))
            while not stop.wait(TEND_EVERY):
                tend_redis()
                roles.tend()
        finally:
            roles.stop()
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


async def prepare_ledger(settings: Settings) -> None:
    """Makes the ledger, or brings it up to this version, before the roles open it."""
    secret = settings.database_url
    url = secret.get_secret_value() if secret else None
    ledger = await open_ledger(url, settings.data_dir, settings.clock, migrate=True)
    await ledger.close()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, instead of ending the process in the middle of something."""
    stop = threading.Event()
    before = {signum: signal.signal(signum, lambda *_: stop.set()) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for signum, previous in before.items():
            signal.signal(signum, previous)
