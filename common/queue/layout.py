"""The names of the keys and channels that the queues use in Redis, written down once.

Dramatiq's `dispatch.lua` (2.2.1) makes the keys; whoever reads or writes them past it (outbox, depth, broker) takes the
names from here. Nothing here talks to Redis.
"""

NAMESPACE = "dramatiq"
"""The prefix of all keys of the broker. The governor, the tokens and what is known of the ledger's history
(`common/high_water.py`) live under other prefixes, in another database."""


def waiting(queue: str, namespace: str = NAMESPACE) -> str:
    """List: the Redis ids of the messages that no worker has fetched, the oldest first."""
    return f"{namespace}:{queue}"


def bodies(queue: str, namespace: str = NAMESPACE) -> str:
    """Hash, Redis id -> message as JSON: there until the message is acknowledged or rejected."""
    return f"{namespace}:{queue}.msgs"


def delayed(queue: str, namespace: str = NAMESPACE) -> str:
    """Hash of the delayed messages: kept in sight only, for our broker refuses delays."""
    return f"{namespace}:{queue}.DQ.msgs"


def dead(queue: str, namespace: str = NAMESPACE) -> str:
    """Sorted set of the dead letters' Redis ids, by the millisecond of their death; bodies in the hash `.XQ.msgs`."""
    return f"{namespace}:{queue}.XQ"


def fetched(worker: str, queue: str, namespace: str = NAMESPACE) -> str:
    """Set: the Redis ids that one worker process has fetched from the queue and not settled."""
    return f"{namespace}:__acks__.{worker}.{queue}"


def heartbeats(namespace: str = NAMESPACE) -> str:
    """Sorted set of the worker processes, by the millisecond of their last sign of life."""
    return f"{namespace}:__heartbeats__"


def bell(namespace: str = NAMESPACE) -> str:
    """Pub/sub channel: the name of a queue is published there when a message has been put on it."""
    return f"{namespace}:__bell__"
