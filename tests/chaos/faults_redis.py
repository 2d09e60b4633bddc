"""Faults of Redis: killed and started again with its files, emptied, and out of reach for some seconds."""

import asyncio
import os
import signal
import time
from random import Random

from common.queue.connections import connect_async
from tests.chaos.scene import Scene
from tests.chaos.strikes import Strike

_AWAY = (1.0, 4.0)


async def restarted(scene: Scene, rng: Random) -> Strike | None:
    """Killed, and started again with what it had written to its file."""
    async with scene.lock("redis"):
        flights = await scene.claimed()
        began = time.time()
        os.kill(_pid(scene), signal.SIGKILL)
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        scene.stage.valkey.tend()
        return scene.felt_everywhere(began, flights)


async def wiped(scene: Scene, rng: Random) -> Strike | None:
    """Everything in it is gone: messages, slots, tokens."""
    async with scene.lock("redis"):
        flights = await scene.claimed()
        began = time.time()
        async with connect_async(scene.stage.redis_url) as client:
            await client.flushall()
        return scene.felt_everywhere(began, flights)


async def unreachable(scene: Scene, rng: Random) -> Strike | None:
    """It does not answer for some seconds, and then goes on as if nothing had been."""
    async with scene.lock("redis"):
        flights = await scene.claimed()
        began = time.time()
        os.kill(_pid(scene), signal.SIGSTOP)
        try:
            await asyncio.sleep(rng.uniform(*_AWAY))
        finally:
            os.kill(_pid(scene), signal.SIGCONT)
        return scene.felt_everywhere(began, flights)


def _pid(scene: Scene) -> int:
    return scene.stage.valkey_pid
