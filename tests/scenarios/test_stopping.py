"""A bureau that is told to stop, stops: whatever happens at that very moment, and whatever it runs on."""

import asyncio
import random

import pytest

from producers import feeder, run
from tests.bureau import Bureau
from tests.scenarios.companies import monthly

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.parametrize("wrapper", ["Contract"], indirect=True),
]


async def test_a_producer_told_to_stop_just_as_something_becomes_ready_stops(bureau: Bureau) -> None:
    resting = asyncio.create_task(bureau.producer._rest(bureau.producer._wake, at_most=60.0))
    await asyncio.sleep(0.01)
    bureau.producer._wake.set()
    resting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resting


async def test_a_producer_stops_whenever_it_is_told_to(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis' client loses a cancellation that comes together with the end of its sending, so many moments are tried."""
    await monthly(bureau, 1)
    bureau.at("2026-02-01 09:00")
    moments = random.Random(1)
    async with bureau.without_workers():
        await bureau.plan(billings=1)
        # The feeder asks Redis for the depth of the queues without a pause: its message is long overdue.
        monkeypatch.setattr(feeder, "MESSAGE_LOST_AFTER", 0.0)
        monkeypatch.setattr(run, "FEED_AT_LEAST_EVERY", 0.0)
        for n in range(100):
            working = asyncio.create_task(bureau.producer.run())
            await asyncio.sleep(moments.uniform(0, 0.01))
            working.cancel()
            # A task that has lost its cancellation would go on to the end of its longest pause.
            done, _ = await asyncio.wait({working}, timeout=run.PROVE_EVERY * 0.8)
            assert done, n
