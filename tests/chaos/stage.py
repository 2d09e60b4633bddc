"""The stage: every process of a run, started, killed, frozen and ended by its own id.

The product's roles, a Valkey that writes every change to disk, the ledger's database, and the sandbox, each a process
of its own on 127.0.0.1. Nothing here knows what a fault is for.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import asyncpg
import psutil
from pydantic import SecretStr

from avtalsmotor.children import bound_to_parent
from avtalsmotor.embedded import EmbeddedServer, free_port
from avtalsmotor.up import prepare_ledger
from common.settings import Settings
from tests.chaos.role import ARMS, TIMES_ARE
from tests.chaos.times import TIMES, Times
from tests.postgresql import Cluster

Role = Literal["worker", "producer"]
Database = Literal["sqlite", "postgresql"]

BEHAVIOUR: Mapping[str, object] = {"latency": 0.04, "finance_delay": 2.0}

_STARTS_WITHIN = 60.0
_STOPS_WITHIN = 10.0
_LOOK_EVERY = 0.05


@dataclass(slots=True)
class Process:
    """One role's process."""

    role: Role
    popen: "subprocess.Popen[bytes]"
    log: Path
    frozen: bool = False

    @property
    def pid(self) -> int:
        return self.popen.pid

    def kill(self) -> None:
        """SIGKILL, also to a frozen one; returns when it has ended."""
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        self.popen.send_signal(signal.SIGCONT)
        self.frozen = False

    def is_stopped_or_gone(self) -> bool:
        """Whether a signal has stopped it, or ended it."""
        return self.popen.poll() is not None or psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def says(self, words: str) -> bool:
        """Whether its log has the words."""
        return words in self.log.read_text(encoding="utf-8", errors="replace")


class Sandbox:
    """The sandbox's control API.

    Parameters:
      session: on its address.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def control(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """A control call that must succeed; `path` is below /_sandbox/. Raises RuntimeError."""
        async with self._session.request(method, f"/_sandbox/{path}", json=body) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"The sandbox refused {method} {path}: {await answer.text()}")
            return await answer.json() if answer.status != 204 else None


@dataclass
class Stage:
    """What runs."""

    home: Path
    settings: Settings
    times: Times
    valkey: EmbeddedServer
    sandbox: Sandbox
    cluster: Cluster | None
    environment: Mapping[str, str]
    processes: list[Process] = field(default_factory=list)
    _started: int = 0
    _curtain_is_down: bool = False

    @property
    def surroundings(self) -> Mapping[str, str]:
        """The environment of a process of the product."""
        return {**os.environ, **self.environment}

    @property
    def redis_url(self) -> str:
        assert self.settings.redis_url is not None
        return self.settings.redis_url.get_secret_value()

    @property
    def valkey_pid(self) -> int:
        assert self.valkey._process is not None
        return self.valkey._process.pid

    @property
    def database(self) -> Database:
        return "sqlite" if self.cluster is None else "postgresql"

    def start(self, role: Role) -> Process:
        """Starts one more of the role."""
        self._started += 1
        log = self.home / "logs" / f"{role}-{self._started}.log"
        log.parent.mkdir(exist_ok=True)
        popen = _spawn([sys.executable, "-m", "tests.chaos.role", role], log, self.environment)
        process = Process(role, popen, log)
        self.processes.append(process)
        return process

    def running(self, role: Role) -> list[Process]:
        """Those of the role that have neither ended nor been frozen."""
        return [one for one in self.processes if one.role == role and not one.frozen and one.popen.poll() is None]

    def is_at_work(self, role: Role) -> bool:
        """Whether every process of the role has begun its work."""
        return all(one.says(f"{role}_started") for one in self.processes if one.role == role)

    async def stands_still(self, pid: int) -> bool:
        """Waits until the process of that id has stopped itself. `False`: it has ended instead."""
        one = next((one for one in self.processes if one.pid == pid), None)
        if one is None or not await until(one.is_stopped_or_gone, within=_STOPS_WITHIN):
            return False
        one.frozen = one.popen.poll() is None
        return one.frozen

    def thaw(self, pid: int) -> bool:
        """Lets the process of that id go on. `False`: it has ended."""
        for one in self.processes:
            if one.pid == pid and one.popen.poll() is None:
                one.thaw()
                return True
        return False

    def replace_dead(self, role: Role, wanted: int) -> None:
        """Starts anew what has ended, up to so many of the role."""
        if self._curtain_is_down:
            return
        self.processes = [one for one in self.processes if one.role != role or one.popen.poll() is None]
        for _ in range(wanted - sum(one.role == role for one in self.processes)):
            self.start(role)

    def lower_the_curtain(self) -> None:
        """Kills every process of the product; until `raise_the_curtain` none is replaced."""
        self._curtain_is_down = True
        self.end_all()

    def raise_the_curtain(self) -> None:
        """What has ended may be replaced again."""
        self._curtain_is_down = False

    def end_all(self) -> None:
        """Ends every role's process, however it stands."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.kill()
        self.processes.clear()


def _spawn(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            bound_to_parent(command),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for the controller, which ends everything in its order.
            start_new_session=True,
        )


@contextlib.asynccontextmanager
async def set_up(home: Path, database: Database, times: str) -> AsyncIterator[Stage]:
    """Starts the servers, and ends everything after the block. The roles are the caller's to start.

    Parameters:
      times: the name of those in `times.TIMES`.
    """
    its = TIMES[times]
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(_sandbox(home, its))
        valkey = stack.enter_context(EmbeddedServer(home))
        cluster = await stack.enter_async_context(_cluster(home)) if database == "postgresql" else None
        environment = {
            "AVTALSMOTOR_FORTNOX_CLIENT_ID": "sandbox-client",
            "AVTALSMOTOR_FORTNOX_CLIENT_SECRET": "sandbox-secret",
            "AVTALSMOTOR_FORTNOX_API_URL": sandbox.url,
            "AVTALSMOTOR_FORTNOX_AUTH_URL": f"{sandbox.url}/oauth-v1",
            "AVTALSMOTOR_REDIS_URL": valkey.url,
            "AVTALSMOTOR_DATABASE_URL": "" if cluster is None else f"{cluster.url}/ledger",
            "AVTALSMOTOR_DATA_DIR": str(home),
            **its.environment(),
            "AVTALSMOTOR_CLOCK_SHIFT": "0",
            "AVTALSMOTOR_LOG_FORMAT": "json",
            ARMS: str(home / "arms"),
            TIMES_ARE: times,
        }
        settings = _settings(environment)
        if cluster is not None:
            await _make_database(cluster.url)
        await prepare_ledger(settings, valkey.url)
        stage = Stage(home, settings, its, valkey, sandbox, cluster, environment)
        stack.callback(stage.end_all)
        yield stage


def _settings(environment: Mapping[str, str]) -> Settings:
    given: dict[str, Any] = {
        name.removeprefix("AVTALSMOTOR_").lower(): value
        for name, value in environment.items()
        if name.startswith("AVTALSMOTOR_") and name not in (ARMS, TIMES_ARE)
    }
    return Settings(**{**given, "redis_url": SecretStr(given["redis_url"])})


@contextlib.asynccontextmanager
async def _sandbox(home: Path, times: Times) -> AsyncIterator[Sandbox]:
    port = free_port()
    process = _spawn([sys.executable, "-m", "sandbox.server", "--port", str(port)], home / "sandbox.log", {})
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=60)) as session:
            sandbox = Sandbox(url, session)
            await _until_it_answers(sandbox)
            behaviour = {**BEHAVIOUR, "window": times.window, "token_life": times.token_life}
            await sandbox.control("PATCH", "behaviour", behaviour)
            yield sandbox
    finally:
        process.kill()
        process.wait()


async def _until_it_answers(sandbox: Sandbox) -> None:
    async with asyncio.timeout(_STARTS_WITHIN):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                await sandbox.control("GET", "clock")
                return
            await asyncio.sleep(_LOOK_EVERY)


@contextlib.asynccontextmanager
async def _cluster(home: Path) -> AsyncIterator[Cluster]:
    with Cluster() as cluster:
        await cluster.start()
        yield cluster


async def _make_database(server: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute("CREATE DATABASE ledger")
    finally:
        await connection.close()


async def until(condition: Callable[[], bool], within: float) -> bool:
    """Waits until `condition()` is true, at most so many seconds. `False`: it did not become so."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK_EVERY)
    return True
