"""How the product connects to Redis: the time-outs, explicitly, and no hidden repeats.

redis-py repeats a command ten times by itself; an enqueue whose answer was lost would be there twice (engine study, 1.4
R6). Whoever wants to repeat a command says so in its own code, never here.
"""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

_SETTINGS: dict[str, Any] = {
    "socket_connect_timeout": 3.0,
    "socket_timeout": 10.0,
    "socket_keepalive": True,
    "health_check_interval": 30,
}


def connect(url: str) -> redis.Redis:
    """A client for threads. Connects on first use; raises `redis.RedisError` from the command that fails."""
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_SETTINGS)


def connect_async(url: str, database: int | None = None) -> redis.asyncio.Redis:
    """A client for coroutines. Connects on first use; raises `redis.RedisError` from the command that fails.

    Parameters:
      database: another database than the URL's. The broker's maintenance scans its own with KEYS, so what is not a
        message (governor, tokens) belongs in another.
    """
    settings = _SETTINGS if database is None else _SETTINGS | {"db": database}
    return redis.asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0), **settings)
