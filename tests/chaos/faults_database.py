"""Faults of the ledger's database: PostgreSQL shut down at once and started again, SQLite locked by somebody else."""

import asyncio
import sqlite3
import time
from random import Random

from tests.chaos.scene import Scene
from tests.chaos.strikes import Strike

_LOCKED = (1.0, 4.0)


async def restarted(scene: Scene, rng: Random) -> Strike | None:
    """Shut down without letting anybody finish, and started again."""
    cluster = scene.stage.cluster
    assert cluster is not None
    async with scene.lock("database"):
        flights = await scene.claimed()
        began = time.time()
        cluster.stop_at_once()
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        await cluster.start()
        return scene.felt_everywhere(began, flights)


async def locked(scene: Scene, rng: Random) -> Strike | None:
    """Another process keeps the file to itself for some seconds."""
    async with scene.lock("database"):
        flights = await scene.claimed()
        began = time.time()
        held = rng.uniform(*_LOCKED)
        await asyncio.to_thread(_lock, str(scene.stage.home / "ledger.sqlite3"), held)
        return scene.felt_everywhere(began, flights)


def _lock(path: str, held: float) -> None:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(held)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
