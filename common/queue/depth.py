"""How full the queues are, read from Redis in the broker's own layout; never changes anything.

The queues are a short dispatch window: the backlog is in the ledger (design, section 9), and how much of it waits is
the ledger's to say.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis

from common.queue import layout
from common.queue.broker import HEARTBEAT_TIMEOUT
from common.queue.messages import POOLS


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The state of one queue.

    Attributes:
      ready: messages that no worker has fetched.
      in_flight: messages that a worker has fetched and not settled, being worked on or next in line.
      delayed: messages in Dramatiq's delay queue; always 0, unless something foreign writes to Redis.
      dead: dead letters of the last seven days.
      oldest_age: how long ago the oldest ready message was sent; None when none is ready or it cannot be read.
    """

    queue: str
    ready: int
    in_flight: int
    delayed: int
    dead: int
    oldest_age: timedelta | None


async def depths(
    redis: Redis, queues: Collection[str] = tuple(POOLS), namespace: str = layout.NAMESPACE
) -> list[QueueDepth]:
    """The depth of each queue, in the order given, all at one instant.

    Raises:
      redis.RedisError: Redis did not answer.
    """
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.time()
        for queue in queues:
            pipeline.eval(
                _MEASURE,
                4,
                layout.waiting(queue, namespace),
                layout.bodies(queue, namespace),
                layout.delayed(queue, namespace),
                layout.dead(queue, namespace),
            )
        (seconds, microseconds), *measures = await pipeline.execute()
    now = timedelta(seconds=seconds, microseconds=microseconds)
    return [
        QueueDepth(queue, ready, max(kept - ready, 0), delayed, dead, _age(oldest, now) if ready else None)
        for queue, (ready, kept, delayed, dead, oldest) in zip(queues, measures, strict=True)
    ]


async def workers_alive(redis: Redis, namespace: str = layout.NAMESPACE) -> int:
    """How many worker processes have given a sign of life within the broker's `HEARTBEAT_TIMEOUT`.

    Raises:
      redis.RedisError: Redis did not answer.
    """
    seconds, _ = await redis.time()
    oldest = (seconds - HEARTBEAT_TIMEOUT.total_seconds()) * 1000
    return int(await redis.zcount(layout.heartbeats(namespace), oldest, "+inf"))


# KEYS: waiting list, bodies, delayed bodies, dead letters. A body stays from enqueue to settlement, so bodies minus
# waiting ids are in flight.
_MEASURE = """
local oldest = redis.call("LINDEX", KEYS[1], 0)
return {
    redis.call("LLEN", KEYS[1]),
    redis.call("HLEN", KEYS[2]),
    redis.call("HLEN", KEYS[3]),
    redis.call("ZCARD", KEYS[4]),
    oldest and redis.call("HGET", KEYS[2], oldest),
}
"""


def _age(body: bytes | str | None, now: timedelta) -> timedelta | None:
    """How old a message is by Redis' clock; the sender's may be a little ahead."""
    try:
        sent = timedelta(milliseconds=json.loads(body or "")["message_timestamp"])
    except (ValueError, TypeError, KeyError):
        return None
    return max(now - sent, timedelta(0))
