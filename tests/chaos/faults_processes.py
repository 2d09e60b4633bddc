"""Faults of the product's own processes: killed, frozen past their lease and thawed, and two producers at once."""

import asyncio
import socket
import time
from random import Random

from tests.chaos.points import AFTER_COMMIT, AFTER_SLOT
from tests.chaos.scene import Fault, Scene
from tests.chaos.stage import until
from tests.chaos.strikes import Strike, steps_of

STEPS = ("create", "create", "bookkeep", "deliver")
TAKEN_OVER_WITHIN = 2.5
"""Seconds after the lease: the sweeper's round, and a busy machine."""

_LOOK_EVERY = 0.1
_SECOND_PRODUCER_WORKS = 1.0


def kill_worker(point: str) -> Fault:
    """kill -9 of a worker that is at the point."""

    async def strike(scene: Scene, rng: Random) -> Strike | None:
        struck = await scene.strikes_at("kill", point, rng.choice(STEPS))
        if struck is None:
            return None
        worker = _name(struck.pid)
        beside = [flight for flight in await scene.sight.claimed() if flight.worker == worker]
        scene.stage.replace_dead("worker", scene.workers)
        return Strike("", struck.at, time.time(), steps_of([*beside, struck]), worker)

    return strike


def freeze_worker(point: str) -> Fault:
    """SIGSTOP of a worker that is at the point, and SIGCONT when its lease has run out and others have taken over."""

    async def strike(scene: Scene, rng: Random) -> Strike | None:
        struck = await scene.strikes_at("freeze", point, rng.choice(STEPS))
        if struck is None:
            return None
        worker = _name(struck.pid)
        beside = [flight for flight in await scene.sight.claimed() if flight.worker == worker]
        await _until_taken_over(scene, struck.billing, struck.step, at_point=point)
        if not scene.stage.thaw(struck.pid):
            return None
        return Strike("", struck.at, time.time(), steps_of([*beside, struck]), worker)

    return strike


async def _until_taken_over(scene: Scene, billing: int, step: str, *, at_point: str) -> None:
    """Until the lease is over; where there is one, until nobody holds it."""
    await asyncio.sleep(scene.stage.times.lease)
    deadline = time.monotonic() + TAKEN_OVER_WITHIN
    while at_point not in (AFTER_SLOT, AFTER_COMMIT) and time.monotonic() < deadline:
        flights = await scene.sight.of({billing})
        if all((flight.step, flight.status) != (step, "claimed") for flight in flights):
            return
        await asyncio.sleep(_LOOK_EVERY)


async def kill_producer(scene: Scene, rng: Random) -> Strike | None:
    """kill -9 of the producer while steps are in flight."""
    async with scene.lock("producer"):
        flights = await scene.claimed()
        began = time.time()
        rng.choice(scene.stage.running("producer")).kill()
        scene.stage.replace_dead("producer", 1)
        return Strike("", began, time.time(), steps_of(flights)) if flights else None


async def two_producers(scene: Scene, rng: Random) -> Strike | None:
    """A second producer works beside the first, and then one of the two is killed."""
    async with scene.lock("producer"):
        began = time.time()
        second = scene.stage.start("producer")
        await until(lambda: second.says("producer_started"), within=20.0)
        await asyncio.sleep(_SECOND_PRODUCER_WORKS)
        flights = await scene.claimed()
        rng.choice(scene.stage.running("producer")).kill()
        scene.stage.replace_dead("producer", 1)
        return Strike("", began, time.time(), steps_of(flights)) if flights else None


def _name(pid: int) -> str:
    """As a worker names itself (workers/runtime.py)."""
    return f"{socket.gethostname()}:{pid}"
