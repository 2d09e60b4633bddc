"""Seals: what opens with what, what is said when it does not, and that no secret is in what is said."""

import base64
import re
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import key_file
from common.clock import Clock
from common.seals import KeyUnknown, NotUnsealed, SealBroken, Seals, key_of
from common.settings import Settings

PURPOSE = "refresh token of tenant 12345"
SECRET = "a-refresh-token-åäö"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def seals(settings: Settings) -> Seals:
    return Seals.read(settings)


def test_what_was_sealed_is_unsealed_for_the_same_purpose(seals: Seals) -> None:
    assert seals.unseal(seals.seal(SECRET, PURPOSE), PURPOSE) == SECRET


@given(value=st.text(), purpose=st.text())
def test_any_text_comes_back_and_is_sealed_as_one_printable_word(
    tmp_path_factory: pytest.TempPathFactory, value: str, purpose: str
) -> None:
    seals = Seals.read(Settings(data_dir=tmp_path_factory.getbasetemp() / "any"))
    sealed = seals.seal(value, purpose)
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", sealed)
    assert seals.unseal(sealed, purpose) == value


def test_a_sealed_text_tells_which_key_sealed_it(seals: Seals) -> None:
    assert key_of(seals.seal(SECRET, PURPOSE)) == seals.current


def test_the_same_secret_is_never_sealed_alike_twice(seals: Seals) -> None:
    assert seals.seal(SECRET, PURPOSE) != seals.seal(SECRET, PURPOSE)


def test_a_secret_put_in_another_company_s_place_does_not_open(seals: Seals) -> None:
    sealed = seals.seal(SECRET, PURPOSE)
    with pytest.raises(SealBroken, match="The refresh token of tenant 99 cannot be unsealed") as refused:
        seals.unseal(sealed, "refresh token of tenant 99")
    assert "connect the company again" in str(refused.value)


def test_every_changed_letter_of_a_sealed_text_is_found_out(seals: Seals) -> None:
    sealed = seals.seal("short", PURPOSE)
    start = sealed.index(".") + 1
    # The last letter of a base64 text may hold bits that mean nothing.
    for place in range(start, len(sealed) - 1):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            seals.unseal(changed, PURPOSE)


@pytest.mark.parametrize("text", ["", ".", "no seal", "key.", "key.AAAA", "key.åäö", "key.a b", ".AAAA", SECRET])
def test_what_is_no_sealed_text_is_told_as_such_without_repeating_it(seals: Seals, text: str) -> None:
    with pytest.raises(SealBroken, match="what the ledger holds is no sealed text") as refused:
        seals.unseal(text, PURPOSE)
    assert SECRET not in str(refused.value)


def test_a_secret_whose_key_is_gone_names_the_key_and_the_file(seals: Seals, tmp_path: Path) -> None:
    sealed = seals.seal(SECRET, PURPOSE)
    others = Seals.read(Settings(data_dir=tmp_path / "other"))
    with pytest.raises(KeyUnknown) as refused:
        others.unseal(sealed, PURPOSE)
    for told in (PURPOSE, seals.current, str(others.path), "Put that key's line back"):
        assert told in str(refused.value)


def test_a_key_of_the_same_name_with_another_content_is_found_out(seals: Seals) -> None:
    sealed = seals.seal(SECRET, PURPOSE)
    seals.path.write_text(f"{seals.current} {base64.b64encode(bytes(32)).decode()}\n")
    with pytest.raises(SealBroken, match="has been replaced by another key"):
        Seals.read(Settings(secret_key_file=seals.path)).unseal(sealed, PURPOSE)


def test_neither_secret_nor_key_is_in_an_error_with_its_traceback_or_in_a_repr(seals: Seals) -> None:
    written = seals.path.read_text().splitlines()[-1].split()[1]
    said = [repr(seals), repr(seals.keys), str(seals)]
    sealed = seals.seal(SECRET, PURPOSE)
    for text, purpose in ((sealed, "other"), (sealed[:-4], PURPOSE), (f"gone{sealed}", PURPOSE), (SECRET, PURPOSE)):
        with pytest.raises(NotUnsealed) as refused:
            seals.unseal(text, purpose)
        said.append("".join(traceback.format_exception(refused.value)))
    for text in said:
        assert SECRET not in text
        assert written not in text
        assert repr(base64.b64decode(written)) not in text


def test_a_key_added_meanwhile_seals_from_then_on_and_the_older_ones_still_open(seals: Seals) -> None:
    before = seals.seal(SECRET, PURPOSE)
    added = key_file.add(seals.path, Clock().now())
    assert key_of(seals.seal(SECRET, PURPOSE)) == seals.current == added.id
    assert seals.unseal(before, PURPOSE) == SECRET


def test_what_another_process_sealed_with_a_newer_key_opens(seals: Seals, settings: Settings) -> None:
    key_file.add(seals.path, Clock().now())
    assert seals.unseal(Seals.read(settings).seal(SECRET, PURPOSE), PURPOSE) == SECRET


def test_nothing_is_sealed_with_a_key_that_is_in_no_file_any_more(seals: Seals) -> None:
    sealed = seals.seal(SECRET, PURPOSE)
    seals.path.unlink()
    with pytest.raises(key_file.KeyFileMissing):
        seals.seal(SECRET, PURPOSE)
    assert seals.unseal(sealed, PURPOSE) == SECRET


def test_for_a_ledger_on_a_server_no_key_is_made_by_itself(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "database_url": "postgresql://host/avtal"})
    with pytest.raises(key_file.KeyFileMissing, match="avtalsmotor secrets new-key"):
        Seals.read(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_settings_name_is_not_made_by_itself(tmp_path: Path) -> None:
    with pytest.raises(key_file.KeyFileMissing, match=re.escape(str(tmp_path / "keys"))):
        Seals.read(Settings(data_dir=tmp_path, secret_key_file=tmp_path / "keys"))
    assert list(tmp_path.iterdir()) == []
