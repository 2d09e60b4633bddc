"""Seals the secrets that the ledger keeps, such as refresh tokens, so that a copy of the ledger alone gives none away.

AES-256-GCM under a key of the key file (`common/key_file.py`). What is sealed is bound to its purpose, which names the
secret and the company: moved to another place in the ledger, it no longer opens. Nothing here knows the ledger, and no
secret stands in an error, a `repr` or a log.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common import key_file
from common.key_file import Key, KeyFile, KeyFileMissing, SealsError
from common.settings import Settings

FILE = "secret.key"
"""In the data directory, where the settings name no file."""

_NONCE = 12
_TAG = 16


class NotUnsealed(SealsError):  # noqa: N818 - what happened
    """A sealed secret cannot be opened."""


class KeyUnknown(NotUnsealed):
    """The key that sealed it is not in the key file."""


class SealBroken(NotUnsealed):
    """It is not what was sealed, or was sealed for another purpose."""


class Seals:
    """The keys of this installation. Shared freely between threads and tasks.

    A key that was added while the process runs is found, and one that was put first seals from then on.

    Example:

      seals = Seals.read(settings)
      sealed = seals.seal(refresh_token, "refresh token of tenant 12345")
      refresh_token = seals.unseal(sealed, "refresh token of tenant 12345")
    """

    def __init__(self, file: KeyFile) -> None:
        self._file = file

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """The keys that the settings name; else those of the data directory, made there if there are none.

        None is made by itself for a ledger on a database server: other machines may work with it, and each would make
        a key that the others do not have.

        Raises: `KeyFileMissing`, `KeyFileError`.
        """
        path = path_of(settings)
        if settings.secret_key_file is not None or not settings.ledger_is_file:
            return cls(key_file.read(path))
        return cls(key_file.read_or_make(path, settings.clock.now()))

    @property
    def path(self) -> Path:
        """The file of the keys."""
        return self._file.path

    @property
    def current(self) -> str:
        """The id of the key that seals. Raises KeyFileError."""
        return self._newest().keys[0].id

    @property
    def keys(self) -> Sequence[Key]:
        """All keys, the one that seals first. Raises KeyFileError."""
        return self._newest().keys

    def seal(self, value: str, purpose: str) -> str:
        """The sealed text of a secret: printable, without blanks, about 4/3 as long.

        Parameters:
          purpose: what the secret is and whose, such as `refresh token of tenant 12345`. It stands in errors.

        Raises: `KeyFileError`: rather than seal with a key that may have been dropped.
        """
        key = self._newest().keys[0]
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(key.secret).encrypt(nonce, value.encode(), purpose.encode())
        return f"{key.id}.{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def unseal(self, sealed: str, purpose: str) -> str:
        """The secret. Raises KeyUnknown, SealBroken; KeyFileError."""
        key_id, content = _parts(sealed, purpose)
        key = self._file.key(key_id) or self._newest().key(key_id)
        if key is None:
            raise KeyUnknown(
                f"The {purpose} cannot be unsealed: it was sealed with the key {key_id}, which is not in"
                f" {self.path.absolute()}. Put that key's line back into the file, from your copy of it or from the"
                f" machine that has it. If it is lost, the secret is too: {_ANEW}"
            )
        try:
            return AESGCM(key.secret).decrypt(content[:_NONCE], content[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise SealBroken(
                f"The {purpose} cannot be unsealed: what the ledger holds is not what the key {key_id} of"
                f" {self.path.absolute()} sealed for it. It was damaged, or belongs to something else, or that line of"
                f" the file has been replaced by another key. Put back the right copy of the ledger or of the file;"
                f" else {_ANEW}"
            ) from None

    def __repr__(self) -> str:
        return f"Seals({str(self.path)!r}, {[key.id for key in self._file.keys]})"

    def _newest(self) -> KeyFile:
        """The keys as the file has them now."""
        if key_file.version(self.path) != self._file.version:
            self._file = key_file.read(self.path)
        return self._file


def path_of(settings: Settings) -> Path:
    """The key file, whether there is one or not."""
    return settings.secret_key_file or settings.data_dir / FILE


def key_of(sealed: str) -> str:
    """The id of the key that sealed the text; empty for what is no sealed text."""
    key_id, dot, _ = sealed.partition(".")
    return key_id if dot else ""


_ANEW = "give it anew (of a refresh token: connect the company again)."


def _parts(sealed: str, purpose: str) -> tuple[str, bytes]:
    key_id, _, written = sealed.partition(".")
    try:
        padded = written + "=" * (-len(written) % 4)
        content = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    # Its id is not repeated: of a damaged text, nobody knows what it is.
    if not key_id or len(content) < _NONCE + _TAG:
        raise SealBroken(
            f"The {purpose} cannot be unsealed: what the ledger holds is no sealed text. It was damaged, or written by"
            f" something else. Put back a copy of the ledger in which it is whole; else {_ANEW}"
        )
    return key_id, content


__all__ = ["KeyFileMissing", "KeyUnknown", "NotUnsealed", "SealBroken", "Seals", "SealsError", "key_of", "path_of"]
