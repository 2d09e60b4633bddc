"""Which billings have a message on the queues, waiting or in a worker's hands; never changes anything."""

from collections.abc import Collection
from typing import Any, cast

from dramatiq import Message
from dramatiq.errors import DecodeError
from redis.asyncio import Redis

from common.ids import BillingId
from common.queue import layout

Errand = tuple[str, BillingId]
"""A queue, and a billing that a message on it is about."""


async def on_their_way(redis: Redis, queues: Collection[str], namespace: str = layout.NAMESPACE) -> frozenset[Errand]:
    """What the messages on the queues are about. A body is there until its message is settled (`layout.bodies`).

    Reads every message: the queues are a short dispatch window (design, section 9). What cannot be read is nobody's.

    Raises:
      redis.RedisError: Redis did not answer.
    """
    found: set[Errand] = set()
    for queue in queues:
        bodies = cast(list[bytes], await redis.hvals(layout.bodies(queue, namespace)))
        found.update((queue, billing) for body in bodies if (billing := _billing_of(body)) is not None)
    return frozenset(found)


def _billing_of(body: bytes) -> BillingId | None:
    try:
        message: Message[Any] = Message.decode(body)
        billing = message.args[0]["billing"]
    except (DecodeError, LookupError, TypeError):
        return None
    return BillingId(billing) if isinstance(billing, int) else None
