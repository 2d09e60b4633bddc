"""The file of keys: how it is read, made and changed, who may read it, and what is said of one that cannot be used."""

import base64
import multiprocessing
import os
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from common import key_file
from common.key_file import KeyFileError, KeyFileMissing

NOW = datetime(2026, 11, 23, 8, 5, 30, tzinfo=UTC)
FIRST = base64.b64encode(bytes(range(32))).decode()
SECOND = base64.b64encode(bytes(range(32, 64))).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret.key"


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def ids(path: Path) -> list[str]:
    return [key.id for key in key_file.read(path).keys]


def test_a_file_is_read_with_its_comments_and_empty_lines(path: Path) -> None:
    write(path, f"# ours\n\nnew {FIRST}  # made 2026-11-23T08:05:30+00:00\n  old\t{SECOND}\n")
    new, old = key_file.read(path).keys
    assert (new.id, new.secret, new.made_at) == ("new", bytes(range(32)), NOW)
    assert (old.id, old.secret, old.made_at) == ("old", bytes(range(32, 64)), None)


def test_a_key_may_be_in_the_base64_of_urls(path: Path) -> None:
    write(path, f"a {base64.urlsafe_b64encode(bytes([255] * 32)).decode()}\n")
    assert key_file.read(path).keys[0].secret == bytes([255] * 32)


@pytest.mark.parametrize("said", ["# made yesterday", "# made 2026-11-23T08:05:30", "# by hand", ""])
def test_when_a_key_was_made_is_not_guessed(path: Path, said: str) -> None:
    write(path, f"a {FIRST} {said}\n")
    assert key_file.read(path).keys[0].made_at is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FIRST, "line 1 is not a key"),
        (f"a.b {FIRST}", "line 1 is not a key"),
        (f"a {FIRST} {SECOND}", "line 1 is not a key"),
        (f"# c\na {FIRST[:-8]}", "line 2 does not hold 32 bytes in base64"),
        (f"a {FIRST[:-4]}!!!!", "line 1 does not hold 32 bytes in base64"),
        (f"a {FIRST}\na {SECOND}", "line 2 has the same id"),
        ("# nothing\n", "holds none"),
        ("", "holds none"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_line_and_without_the_key(path: Path, text: str, told: str) -> None:
    write(path, text)
    with pytest.raises(KeyFileError, match=told) as refused:
        key_file.read(path)
    assert str(path) in str(refused.value)
    for key in (FIRST, SECOND):
        assert key[:16] not in str(refused.value)


def test_a_file_that_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a text file"):
        key_file.read(path)


def test_a_directory_in_its_place_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(KeyFileError, match="AVTALSMOTOR_SECRET_KEY_FILE"):
        key_file.read(path)


def test_there_being_no_file_is_told_with_what_to_do(path: Path) -> None:
    with pytest.raises(KeyFileMissing, match="avtalsmotor secrets new-key"):
        key_file.read(path)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o660, 0o602, 0o444, 0o650])
def test_a_file_that_others_may_read_or_write_is_refused_with_its_mode(path: Path, mode: int) -> None:
    write(path, f"a {FIRST}\n", mode)
    with pytest.raises(KeyFileError, match=f"its mode is {mode:04o}.*chmod 600"):
        key_file.read(path)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_its_owner_alone_reads_is_used(path: Path, mode: int) -> None:
    write(path, f"a {FIRST}\n", mode)
    assert ids(path) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_a_file_that_a_group_reads_is_used_only_if_it_is_root_s(path: Path, mode: int) -> None:
    write(path, f"a {FIRST}\n", mode)
    if path.stat().st_uid == 0:
        assert ids(path) == ["a"]
        os.chown(path, 12345, -1)
    with pytest.raises(KeyFileError, match=f"its mode is {mode:04o}"):
        key_file.read(path)


def test_a_mounted_secret_is_read_through_its_links(path: Path, tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    write(tmp_path / "..data" / "key", f"a {FIRST}\n")
    path.symlink_to(tmp_path / "..data" / "key")
    assert ids(path) == ["a"]


def test_a_file_that_is_made_has_one_key_and_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "secret.key"
    made = key_file.read_or_make(path, NOW)
    assert [key.made_at for key in made.keys] == [NOW]
    assert made.keys[0].id.startswith("2026-11-23-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or sys.platform == "win32"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_is_not_made_again(path: Path) -> None:
    write(path, f"a {FIRST}\n")
    assert [key.id for key in key_file.read_or_make(path, NOW).keys] == ["a"]
    with pytest.raises(FileExistsError):
        key_file.make(path, NOW)
    assert ids(path) == ["a"]
    assert list(path.parent.iterdir()) == [path]


def _make(path: Path, together: Barrier, made: "Queue[bytes]") -> None:
    together.wait()
    made.put(key_file.read_or_make(path, NOW).keys[0].secret)


def _add(path: Path, together: Barrier, made: "Queue[bytes]") -> None:
    together.wait()
    made.put(key_file.add(path, NOW).secret)


def at_once(work: "Callable[[Path, Barrier, Queue[bytes]], None]", path: Path, number: int = 4) -> list[bytes]:
    context = multiprocessing.get_context("spawn")
    together, made = context.Barrier(number), context.Queue()
    processes = [context.Process(target=work, args=(path, together, made)) for _ in range(number)]
    for process in processes:
        process.start()
    keys = [made.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return keys


def test_processes_that_start_at_once_agree_on_one_key(path: Path) -> None:
    assert len(set(at_once(_make, path))) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no lock on a directory")
def test_keys_that_are_added_at_once_are_all_kept(path: Path) -> None:
    write(path, f"a {FIRST}\n")
    added = at_once(_add, path)
    assert {key.secret for key in key_file.read(path).keys} == {*added, bytes(range(32))}


def test_a_new_key_comes_first_and_everything_else_stays_as_it_was_written(path: Path) -> None:
    text = f"# ours\n\nold {FIRST}  # by hand\n# a remark\nolder {SECOND}\n"
    write(path, text, 0o400)
    key = key_file.add(path, NOW)
    assert ids(path) == [key.id, "old", "older"]
    lines = path.read_text().splitlines(keepends=True)
    assert "".join(lines[:2] + lines[3:]) == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o400 or sys.platform == "win32"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_key_in_a_file_that_ends_without_a_line_s_end_stands_on_a_line_of_its_own(path: Path) -> None:
    write(path, f"old {FIRST}")
    key = key_file.add(path, NOW)
    assert ids(path) == [key.id, "old"]


def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    write(tmp_path / "real", f"old {FIRST}\n")
    path.symlink_to(tmp_path / "real")
    key = key_file.add(path, NOW)
    assert path.is_symlink()
    assert ids(path) == [key.id, "old"]


def test_adding_to_a_file_that_is_not_there_says_so(path: Path) -> None:
    with pytest.raises(KeyFileMissing):
        key_file.add(path, NOW)


def test_a_file_that_is_wrong_is_not_changed(path: Path) -> None:
    write(path, "no key\n")
    with pytest.raises(KeyFileError, match="line 1"):
        key_file.add(path, NOW)
    assert path.read_text() == "no key\n"
    assert list(path.parent.iterdir()) == [path]


def test_dropping_a_key_takes_its_line_and_no_other(path: Path) -> None:
    write(path, f"# ours\nnew {FIRST}\nold {SECOND}  # made long ago\n# end\n")
    key_file.drop(path, "old")
    assert path.read_text() == f"# ours\nnew {FIRST}\n# end\n"


@pytest.mark.parametrize(("key_id", "told"), [("new", "the one that seals"), ("gone", "no such key")])
def test_neither_the_key_that_seals_nor_one_that_is_not_there_can_be_dropped(
    path: Path, key_id: str, told: str
) -> None:
    write(path, f"new {FIRST}\nold {SECOND}\n")
    with pytest.raises(KeyFileError, match=told):
        key_file.drop(path, key_id)
    assert ids(path) == ["new", "old"]


def test_a_place_where_no_file_can_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="was not made"):
        key_file.make(tmp_path / "file" / "secret.key", NOW)
