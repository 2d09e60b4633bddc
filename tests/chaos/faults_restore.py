"""The ledger put back to an older copy, as from a backup: refused at the start, declared as restored, worked on.

Everything of the product is killed with -9 meanwhile; what the copy lacks was called, and is for evidence to find.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import asyncpg

from common.queue import layout
from common.queue.connections import connect_async
from tests.chaos.explanations import LEDGER_RESTORED
from tests.chaos.scene import Scene
from tests.chaos.stage import Stage, until
from tests.chaos.strikes import Strike

CLAIMS_LOST = 8
"""So many claims are made, at the least, between the copy and the loss of what came after it: each is noted outside the
ledger as its call leaves. A copy that lacks no claim need not be refused."""

DOUBTS_LEFT = 24
"""Creates in doubt beside which the ledger may be put back again: other faults always leave some."""

_DOUBTS_END_WITHIN = 45.0
_CLAIMED_WITHIN = 20.0
_REFUSED_WITHIN = 30.0
_SAID_WITHIN = 60.0
_LOOK_EVERY = 0.2


class NotRefused(Exception):  # noqa: N818 - what happened
    """The product began to work with an older copy of its ledger, or could not be told that it is one."""


async def restored(scene: Scene, rng: Random) -> Strike | None:
    """Copied, worked on for some seconds, all killed, put back. Raises NotRefused."""
    await _doubts_have_ended(scene)
    async with AsyncExitStack() as alone:
        for name in ("redis", "database", "producer", "person on duty"):
            await alone.enter_async_context(scene.lock(name))
        await _copy(scene.stage)
        copied_at = time.time()
        if not await _claims_are_made(scene):
            return None
        flights = await scene.claimed()
        async with _everybody_gone(scene):
            await _put_back(scene.stage)
            await _is_refused(scene.stage)
            await _say_that_it_is_restored(scene.stage)
        scene.record.ledger_put_back()
        return scene.felt_everywhere(copied_at, flights, LEDGER_RESTORED)


async def _doubts_have_ended(scene: Scene) -> None:
    """Waits until what the restore before this one put in doubt has been found or made, or for long enough.

    Each restore puts all that is unfinished in doubt: without a pause between them nothing else would be struck.
    """
    deadline = time.monotonic() + _DOUBTS_END_WITHIN
    while time.monotonic() < deadline:
        if len(await scene.sight.standing("in_doubt", "create")) <= DOUBTS_LEFT:
            return
        await asyncio.sleep(_LOOK_EVERY)


async def _claims_are_made(scene: Scene) -> bool:
    """Waits until enough claims have been made, and their calls have left. `False`: they were not."""
    wanted = await scene.sight.called() + CLAIMS_LOST
    deadline = time.monotonic() + _CLAIMED_WITHIN
    while time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_EVERY)
        if await scene.sight.called() >= wanted:
            await asyncio.sleep(_LOOK_EVERY)
            return True
    return False


@contextlib.asynccontextmanager
async def _everybody_gone(scene: Scene) -> AsyncIterator[None]:
    """Nothing of the product runs within the block."""
    scene.stage.lower_the_curtain()
    try:
        async with connect_async(scene.stage.redis_url) as redis:
            # Else the command would have us wait until the dead have been silent for long enough.
            await redis.delete(layout.heartbeats())
        yield
    finally:
        scene.stage.raise_the_curtain()
        scene.stage.replace_dead("producer", 1)
        scene.stage.replace_dead("worker", scene.workers)


async def _is_refused(stage: Stage) -> None:
    worker = stage.start("worker")
    refused = await until(lambda: worker.popen.poll() is not None, within=_REFUSED_WITHIN)
    if not refused or worker.popen.returncode == 0 or not worker.says("older copy"):
        raise NotRefused(f"A worker began with an older copy of the ledger; see {worker.log}")


async def _say_that_it_is_restored(stage: Stage) -> None:
    """Says so as soon as the copy no longer takes the producer that was at work when it was made for alive."""
    deadline = time.monotonic() + stage.times.producer_lease + _SAID_WITHIN
    while True:
        said = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "avtalsmotor", "ledger", "restored", "--yes"],
            env={**stage.surroundings},
            capture_output=True,
            text=True,
            timeout=_SAID_WITHIN,
            check=False,
        )
        if said.returncode == 0:
            return
        if "The ledger is in use" not in said.stderr or time.monotonic() > deadline:
            raise NotRefused(f"`ledger restored` failed: {said.stdout}{said.stderr}")
        await asyncio.sleep(_LOOK_EVERY)


async def _copy(stage: Stage) -> None:
    if stage.cluster is None:
        await asyncio.to_thread(_overwrite, stage.home / "ledger.sqlite3", _copy_of(stage))
        return
    connection = await asyncpg.connect(f"{stage.cluster.url}/postgres")
    try:
        # A database is copied only while nobody is connected to it: to those it is away for a moment.
        await connection.execute("DROP DATABASE IF EXISTS copy")
        await connection.execute("ALTER DATABASE ledger ALLOW_CONNECTIONS false")
        try:
            await _disconnect_all(connection)
            await connection.execute("CREATE DATABASE copy TEMPLATE ledger STRATEGY file_copy")
        finally:
            await connection.execute("ALTER DATABASE ledger ALLOW_CONNECTIONS true")
    finally:
        await connection.close()


async def _put_back(stage: Stage) -> None:
    if stage.cluster is None:
        await asyncio.to_thread(_overwrite, _copy_of(stage), stage.home / "ledger.sqlite3")
        return
    connection = await asyncpg.connect(f"{stage.cluster.url}/postgres")
    try:
        await connection.execute("DROP DATABASE ledger WITH (FORCE)")
        await connection.execute("ALTER DATABASE copy RENAME TO ledger")
    finally:
        await connection.close()


async def _disconnect_all(connection: asyncpg.Connection) -> None:
    await connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'ledger'")


def _copy_of(stage: Stage) -> Path:
    return stage.home / "copy.sqlite3"


def _overwrite(source: Path, target: Path) -> None:
    """SQLite's own way to copy a database, which readers and writers of either may be connected to."""
    with contextlib.closing(sqlite3.connect(source)) as origin, contextlib.closing(sqlite3.connect(target)) as copy:
        origin.backup(copy)
