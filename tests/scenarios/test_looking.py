"""One worker at a time looks at a company; one that dies over it keeps the others away for seconds only."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from common.fortnox.governor import governor_redis
from common.ids import TenantId
from tests.bureau import WORKS_WITHIN, Bureau
from tests.scenarios.companies import BJORK, unanswered
from workers import evidence
from workers.runtime import Runtime

LOOKING = f"avtalsmotor:looking:{BJORK}"


async def in_doubt(bureau: Bureau) -> Runtime:
    """A company with something in doubt, and a worker that may look for it."""
    await unanswered(bureau)
    return await bureau.another_worker()


async def test_a_look_that_takes_long_is_still_the_only_one(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await in_doubt(bureau)
    monkeypatch.setattr(evidence, "HELD_FOR", 0.6)
    before = await bureau.calls(BJORK, "/3/invoices")
    await bureau.sandbox.fault(kind="delay", path="/3/invoices", seconds=2.0, times=1)
    first = asyncio.create_task(evidence.seek_evidence(worker, TenantId(BJORK)))
    await asyncio.wait({first}, timeout=0.1)
    while not first.done():
        await evidence.seek_evidence(worker, TenantId(BJORK))
        await asyncio.sleep(0.02)
    await first
    assert await worker.slots.get(LOOKING) is None
    assert await bureau.calls(BJORK, "/3/invoices") - before <= 2
    await worker.close()


async def test_a_worker_that_died_while_it_looked_keeps_the_others_away_for_seconds_only(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await in_doubt(bureau)
    monkeypatch.setattr(evidence, "HELD_FOR", 0.6)
    before = await bureau.calls(BJORK, "/3/invoices")
    looking = evidence.only_one(worker, TenantId(BJORK))
    assert await looking.__aenter__()
    for task in asyncio.all_tasks():
        if task.get_coro().__name__ == "_renew":  # type: ignore[union-attr]
            task.cancel()  # it died: nobody renews, nobody gives back
    async with asyncio.timeout(WORKS_WITHIN):
        while await bureau.calls(BJORK, "/3/invoices") == before:
            await evidence.seek_evidence(worker, TenantId(BJORK))
            await asyncio.sleep(0.02)
    await looking.__aexit__(None, None, None)
    await worker.close()


async def test_a_look_for_which_redis_does_not_answer_is_put_off(bureau: Bureau) -> None:
    worker = await in_doubt(bureau)
    async with governor_redis("redis://127.0.0.1:1/0") as away:
        with capture_logs() as said:
            await evidence.seek_evidence(replace(worker, slots=away), TenantId(BJORK))
    assert [(line["event"], line["tenant"]) for line in said] == [("evidence_not_looked_for", BJORK)]
    assert "create in_doubt" in (await bureau.stands(BJORK, 1))[1]
    await worker.close()
