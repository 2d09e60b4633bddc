"""A bureau that is told to stop, stops: whatever happens at that very moment."""

import asyncio

import pytest

from tests.bureau import Bureau


async def test_a_producer_told_to_stop_just_as_something_becomes_ready_stops(bureau: Bureau) -> None:
    resting = asyncio.create_task(bureau.producer._rest())
    await asyncio.sleep(0.01)
    bureau.producer._wake.set()
    resting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resting
