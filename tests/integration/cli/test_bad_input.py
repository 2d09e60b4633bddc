"""What is wrong with settings or machine is told in plain words, on stderr, with exit status 1 and no traceback."""

import os
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest

from avtalsmotor.cli.session import user
from tests.databases import Databases
from tests.integration.cli.conftest import Shell

NOWHERE = "127.0.0.1:9"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AVTALSMOTOR_POLL_INTERVAL", "-1", "AVTALSMOTOR_POLL_INTERVAL must be a number greater than 0."),
        ("AVTALSMOTOR_POLL_INTERVAL", "often", "AVTALSMOTOR_POLL_INTERVAL must be a number, with a point and no unit"),
        ("AVTALSMOTOR_LOG_FORMAT", "xml", "AVTALSMOTOR_LOG_FORMAT must be console or json."),
        ("AVTALSMOTOR_LOG_LEVEL", "chatty", "AVTALSMOTOR_LOG_LEVEL is not known. Set it to debug, info"),
        ("AVTALSMOTOR_REDIS_URL", "localhost:6379", "AVTALSMOTOR_REDIS_URL is not the address of a Redis server"),
        ("AVTALSMOTOR_DATABASE_URL", "mysql://db/avtal", "AVTALSMOTOR_DATABASE_URL"),
        ("AVTALSMOTOR_DATABASE_URL", "not a url", "Write sqlite:///PATH or postgresql://"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    answer = shell.type("tenants", "list")
    assert answer.status == 1
    assert answer.err.startswith("Error: ")
    assert told in answer.err


def test_a_setting_that_holds_a_secret_is_not_repeated(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", "http://:a-secret@redis.example")
    assert "a-secret" not in shell.type("tenants", "list").err


def test_a_database_out_of_reach_is_told_with_its_address_and_without_its_password(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVTALSMOTOR_DATABASE_URL", f"postgresql://anna:a-secret@{NOWHERE}/avtal")
    answer = shell.type("status")
    assert answer.status == 1
    assert "The ledger cannot be opened" in answer.err
    assert NOWHERE in answer.err
    assert "AVTALSMOTOR_DATABASE_URL" in answer.err
    assert "a-secret" not in answer.err


def test_a_ledger_from_a_newer_version_is_left_alone(shell: Shell, sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for words in (("tenants", "list"), ("ledger", "migrate"), ("tenants", "add", "--tenant-id", 1, "--no-check")):
        answer = shell.type(*words)
        assert answer.status == 1
        assert "The ledger was made by a newer version of Avtalsmotor" in answer.err
        assert "this one has changed nothing" in answer.err


def test_a_postgresql_ledger_is_made_by_migrate_and_by_nothing_else(
    shell: Shell, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.new_postgresql(migrated=False)
    monkeypatch.setenv("AVTALSMOTOR_DATABASE_URL", url)
    try:
        answer = shell.type("tenants", "list")
        assert answer.status == 1
        assert "run: avtalsmotor ledger migrate" in answer.err
        assert shell.type("ledger", "migrate").status == 0
        assert shell.type("tenants", "list").status == 0
    finally:
        databases.drop_postgresql(url)


def test_a_ledger_in_the_data_directory_is_made_by_the_first_command(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AVTALSMOTOR_DATABASE_URL")
    assert shell.type("tenants", "list").status == 0
    assert (tmp_path / "data" / "ledger.sqlite3").exists()


def test_a_data_directory_that_cannot_be_made_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("AVTALSMOTOR_DATABASE_URL")
    monkeypatch.setenv("AVTALSMOTOR_DATA_DIR", str(tmp_path / "file" / "data"))
    answer = shell.type("tenants", "list")
    assert answer.status == 1
    assert str(tmp_path / "file") in answer.err
    assert "AVTALSMOTOR_DATA_DIR" in answer.err


@pytest.mark.parametrize("words", [("produce",), ("work", "all")])
def test_a_role_without_a_redis_says_which_to_set(shell: Shell, words: tuple[str, ...]) -> None:
    answer = shell.type(*words)
    assert answer.status == 1
    assert "Set AVTALSMOTOR_REDIS_URL" in answer.err
    assert "avtalsmotor up" in answer.err


@pytest.mark.parametrize("words", [("produce",), ("work", "invoicing")])
def test_a_role_whose_redis_is_out_of_reach_does_not_start(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AVTALSMOTOR_REDIS_URL", f"redis://{NOWHERE}/0")
    answer = shell.type(*words)
    assert answer.status == 1
    assert "Redis did not answer" in answer.err
    assert "AVTALSMOTOR_REDIS_URL" in answer.err


def test_a_person_without_a_name_still_stands_in_the_audit_trail(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert user() == f"uid {os.getuid()}"


def test_a_data_directory_that_is_a_file_is_named_with_what_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("AVTALSMOTOR_DATABASE_URL")
    monkeypatch.setenv("AVTALSMOTOR_DATA_DIR", str(tmp_path / "file"))
    answer = shell.type("status")
    assert answer.status == 1
    assert f"The data directory cannot be used: {tmp_path / 'file'} is no directory" in answer.err
    assert "Set AVTALSMOTOR_DATA_DIR to a directory" in answer.err


def test_a_damaged_ledger_is_named_with_its_directory_and_what_to_do(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.sqlite3").write_bytes(b"no ledger at all " * 100)
    monkeypatch.delenv("AVTALSMOTOR_DATABASE_URL")
    answer = shell.type("status")
    assert answer.status == 1
    assert f"It is the file ledger.sqlite3 in the directory {tmp_path / 'data'}. The file is damaged" in answer.err
    assert "Put back a backup of it" in answer.err
    assert "the database runs" not in answer.err


def test_a_ledger_that_is_found_damaged_half_way_is_told_as_such(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AVTALSMOTOR_DATABASE_URL")
    assert shell.type("tenants", "list").status == 0
    path = tmp_path / "data" / "ledger.sqlite3"
    # The first page, with the schema, is whole; what the tables hold is not.
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    answer = shell.type("status")
    assert answer.status == 1
    assert "malformed" in answer.err
    assert "AVTALSMOTOR_DATA_DIR" in answer.err
    assert "put back a backup of it" in answer.err.lower()


def test_the_version_is_the_installed_one(shell: Shell) -> None:
    answer = shell.type("--version")
    assert (answer.status, answer.out) == (0, f"avtalsmotor {version('avtalsmotor')}\n")
