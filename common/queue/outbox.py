"""Puts messages on the queues from asyncio, many in one round trip, after the ledger has committed what they say.

The bytes and the keys are those of the broker's own enqueue (`common/queue/layout.py`). Nothing is repeated here: what
Redis did not take, or took without our hearing of it, the ledger's feeder sends again.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import dramatiq
from redis import RedisError
from redis.asyncio import Redis

from common.queue import layout
from common.queue.messages import Message

BATCH = 500
"""Messages in one transaction: enough to make the round trip cheap, few enough not to hold up Redis."""


class QueueUnreachable(Exception):  # noqa: N818 - the design's word for what happened
    """Redis did not confirm that it has the messages. It may have some of them."""


async def enqueue(redis: Redis, messages: Sequence[Message], namespace: str = layout.NAMESPACE) -> None:
    """Put the messages on their queues and ring the workers; returns when Redis has answered.

    Raises:
      QueueUnreachable: Redis did not answer, or refused. A batch is on its queues whole or not at all.
    """
    try:
        for start in range(0, len(messages), BATCH):
            await _enqueue_batch(redis, messages[start : start + BATCH], namespace)
    except RedisError as error:
        queues = ", ".join(sorted({message.queue for message in messages}))
        raise QueueUnreachable(
            f"Redis did not confirm {len(messages)} messages for the queues {queues} ({error})."
            " Nothing is lost: the ledger knows what is not done and sends it again."
            " See that the server that AVTALSMOTOR_REDIS_URL names is running and takes writes."
        ) from error


async def _enqueue_batch(redis: Redis, messages: Sequence[Message], namespace: str) -> None:
    encoded: dict[str, dict[Any, bytes]] = defaultdict(dict)
    for message in messages:
        redis_id = str(uuid4())
        encoded[message.queue][redis_id] = dramatiq.Message(
            queue_name=message.queue,
            actor_name=message.actor,
            args=(message.payload(),),
            kwargs={},
            options={"redis_message_id": redis_id},
        ).encode()
    # One transaction: a body without its id in the list would count as in flight for ever.
    async with redis.pipeline(transaction=True) as pipeline:
        for queue, bodies in encoded.items():
            pipeline.hset(layout.bodies(queue, namespace), mapping=bodies)
            pipeline.rpush(layout.waiting(queue, namespace), *bodies)
            pipeline.publish(layout.bell(namespace), queue)
        await pipeline.execute()
