"""The keys on the command line: made, shown, rotated and dropped, and nothing that is needed is ever lost."""

import stat
from pathlib import Path

import pytest

from avtalsmotor.cli.printing import instant
from common import key_file
from common.clock import Clock
from common.ledger import secrets
from common.ledger.database import Ledger
from common.seals import Seals
from common.settings import Settings
from tests.integration.cli.conftest import Shell

NAME = "password of the mail server"
VALUE = "a-secret-value"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys"
    monkeypatch.setenv("AVTALSMOTOR_SECRET_KEY_FILE", str(path))
    return path


def ids(path: Path) -> list[str]:
    return [key.id for key in key_file.read(path).keys]


def seals(path: Path) -> Seals:
    return Seals.read(Settings(secret_key_file=path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def set_mode(path: Path, wanted: int) -> None:
    path.chmod(wanted)


def unsay_when(path: Path) -> None:
    path.write_text(path.read_text().replace("  # made", "  # by hand"))


async def test_a_key_is_taken_into_use_and_the_old_one_dropped(shell: Shell, ledger: Ledger, path: Path) -> None:
    made = await shell("secrets", "new-key")
    assert (made.status, made.err) == (0, "")
    [old] = ids(path)
    assert made.out.startswith(f"Made {path} with the key {old}.\nKeep a copy of it apart")
    assert mode(path) == 0o600
    await secrets.put(ledger, seals(path), NAME, VALUE, "anna")
    set_mode(path, 0o400)
    rotated = await shell("secrets", "new-key")
    new = ids(path)[0]
    assert ids(path) == [new, old]
    assert mode(path) == 0o400
    assert rotated.out.startswith(f"The key {new} is the first in {path}: it seals from now on.")
    refused = await shell("secrets", "drop-key", old)
    assert refused.status == 1
    assert f"The key {old} was not dropped: 1 secret in the ledger is sealed by it." in refused.err
    assert "avtalsmotor secrets reseal" in refused.err
    assert (await shell("secrets", "reseal")).out == f"Sealed 1 secret anew under the key {new}.\n"
    assert (await shell("secrets", "reseal")).out == f"Every secret in the ledger is under the key {new} already.\n"
    dropped = await shell("secrets", "drop-key", old)
    assert dropped.status == 0
    assert dropped.out.startswith(f"The key {old} is no longer in {path}.")
    assert ids(path) == [new]
    assert await secrets.get(ledger, seals(path), NAME) == VALUE


async def test_the_keys_are_shown_with_what_each_has_sealed(shell: Shell, ledger: Ledger, path: Path) -> None:
    now = Clock().now()
    old = key_file.make(path, now)
    await secrets.put(ledger, seals(path), NAME, VALUE, "anna")
    unsay_when(path)
    new = key_file.add(path, now)
    shown = await shell("secrets", "list")
    first, _, *rows = shown.out.splitlines()
    assert first == f"The keys in {path}:"
    assert [row.split() for row in rows] == [
        [new.id, *instant(now).split(), "0", "seals"],
        [old.id, "not", "known", "1", "unseals"],
    ]
    assert (await shell("secrets", "list", "--json")).json == {
        "file": str(path),
        "keys": [
            {"key": new.id, "made_at": now.replace(microsecond=0).isoformat(), "seals": True, "secrets": 0},
            {"key": old.id, "made_at": None, "seals": False, "secrets": 1},
        ],
        "missing": [],
        "damaged_secrets": 0,
    }
    for key in key_file.read(path).keys:
        assert key.secret.hex() not in shown.out


async def test_a_key_that_is_lost_is_shown_with_what_it_sealed(
    shell: Shell, ledger: Ledger, path: Path, tmp_path: Path
) -> None:
    key_file.make(tmp_path / "lost", Clock().now())
    lost = seals(tmp_path / "lost")
    await secrets.put(ledger, lost, NAME, VALUE, "anna")
    shown = await shell("secrets", "list")
    assert f"There is no key file: {path} does not exist." in shown.out
    assert f"{lost.current} 1 not in the file: what it sealed cannot be read" in " ".join(shown.out.split())
    assert "avtalsmotor secrets new-key" not in shown.out
    key_file.make(path, Clock().now())
    assert (await shell("secrets", "list", "--json")).json["missing"] == [{"key": lost.current, "secrets": 1}]
    resealed = await shell("secrets", "reseal")
    assert resealed.status == 1
    assert f"The {NAME} of the bureau cannot be unsealed" in resealed.err
    assert VALUE not in resealed.err


async def test_in_the_data_directory_a_list_makes_no_key(shell: Shell, ledger: Ledger, tmp_path: Path) -> None:
    shown = await shell("secrets", "list")
    assert shown.status == 0
    assert "Make it with: avtalsmotor secrets new-key" in shown.out
    with pytest.raises(key_file.KeyFileMissing):
        ids(tmp_path / "data" / "secret.key")
    assert (await shell("secrets", "new-key")).status == 0
    assert len(ids(tmp_path / "data" / "secret.key")) == 1


async def test_the_key_that_seals_and_one_that_is_not_there_are_not_dropped(
    shell: Shell, ledger: Ledger, path: Path
) -> None:
    key = key_file.make(path, Clock().now())
    seals_still = await shell("secrets", "drop-key", key.id)
    assert (seals_still.status, "it is the one that seals" in seals_still.err) == (1, True)
    unknown = await shell("secrets", "drop-key", "gone")
    assert (unknown.status, "there is no such key in it" in unknown.err) == (1, True)
    assert ids(path) == [key.id]


@pytest.mark.parametrize("words", [("list",), ("new-key",), ("reseal",), ("drop-key", "a")])
def test_a_key_file_that_others_may_read_is_refused_with_what_to_do(
    shell: Shell, path: Path, words: tuple[str, ...]
) -> None:
    key_file.make(path, Clock().now())
    path.chmod(0o644)
    before = path.read_text()
    answer = shell.type("secrets", *words)
    assert answer.status == 1
    assert answer.err.startswith(f"Error: The keys in {path} were not used: others than the owner may read")
    assert f"chmod 600 {path}" in answer.err
    assert path.read_text() == before


async def test_sealing_anew_without_a_key_file_says_how_to_make_it(shell: Shell, ledger: Ledger, path: Path) -> None:
    answer = await shell("secrets", "reseal")
    assert answer.status == 1
    assert f"the file {path} does not exist" in answer.err
    assert "avtalsmotor secrets new-key" in answer.err
