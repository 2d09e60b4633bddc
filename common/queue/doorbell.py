"""A bell over Redis pub/sub: one process rings when it has made work ready, another stops waiting for its next look.

A ring says no more than "look now". It may be missed, doubled or late, and nothing may depend on it: who waits has a
time-out and looks when that has passed.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

import structlog
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

READY = "ready"
"""Rung when a step of a billing has become ready: the feeder listens."""

_log = structlog.get_logger()

_CANCEL_AGAIN = 0.1
_RECONNECT_DELAY = 1.0
_LISTEN_FOR = 15.0
"""Seconds after which a silent connection is asked whether it still lives (redis-py pings between two listenings)."""


def _channel(name: str) -> str:
    return f"avtalsmotor:bell:{name}"


async def ring(redis: Redis, name: str) -> None:
    """Ring the bell. Without Redis nobody hears it, which is no error: the listeners' time-outs pass."""
    try:
        await redis.publish(_channel(name), b"")
    except RedisError as error:
        _log.warning("bell_not_rung", bell=name, error=str(error))


class Doorbell:
    """The listener's end of a bell; it reconnects by itself.

    Example:

      async with Doorbell(redis, READY) as bell:
          while True:
              await feed()
              await bell.wait(1.0)
    """

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._rung = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Listen from now on. Without Redis the bell is silent until Redis is back."""
        subscribed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(subscribed), name=f"doorbell {self._name}")
        try:
            await subscribed.wait()
        except asyncio.CancelledError:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        # More than once if need be: Redis' client loses a cancellation that comes as a send ends.
        while self._listening is not None and not self._listening.done():
            self._listening.cancel()
            await asyncio.wait({self._listening}, timeout=_CANCEL_AGAIN)

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - the time-out is the point, not an error
        """Wait for a ring, at most `timeout` seconds; a ring since the last wait counts. True if it rang."""
        # Not `wait_for`: in Python 3.11 that loses a cancellation which comes together with what it waits for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        rung = self._rung.is_set()
        self._rung.clear()
        return rung

    async def _listen(self, tried: asyncio.Event) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(_channel(self._name))
                    await self._hear(pubsub, tried)
            except RedisError as error:
                _log.warning("bell_silent", bell=self._name, error=str(error))
            finally:
                tried.set()
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _hear(self, pubsub: PubSub, tried: asyncio.Event) -> None:
        while True:
            message = await pubsub.get_message(timeout=_LISTEN_FOR)
            if message is None:
                continue
            if message["type"] == "subscribe" and not tried.is_set():
                tried.set()
                continue
            # A later "subscribe" is a reconnection: what was rung meanwhile was not heard, so it counts as a ring.
            self._rung.set()
