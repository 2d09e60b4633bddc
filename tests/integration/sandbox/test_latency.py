"""The network between caller and sandbox, when it is given a latency: both ways take their time, and vary."""

import asyncio
import time
from statistics import median

from tests.sandboxes import Sandbox


async def test_a_request_arrives_and_an_answer_is_read_one_way_later(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.token()
    await sandbox.control("PATCH", "behaviour", {"latency": 0.08, "latency_sigma": 0})
    sent = time.time()
    await sandbox.get("contracts/1")
    read = time.time()
    (entry,) = await sandbox.requests("path=/3/contracts/1")
    assert entry["arrived"] - sent >= 0.08
    assert read - entry["arrived"] >= 0.08


async def test_the_ways_differ_around_their_median(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.get("contracts/1")
    await sandbox.control("PATCH", "behaviour", {"latency": 0.02, "latency_sigma": 1.0})

    async def seconds() -> float:
        began = time.monotonic()
        await sandbox.get("contracts/1")
        return time.monotonic() - began

    took = sorted(await asyncio.gather(*(seconds() for _ in range(40))))
    assert median(took) > 0.02
    assert took[-1] > 2 * took[0]
