"""The file of the keys that secrets are sealed with: read, made, and changed without ever losing a key.

One key a line, `KEYID BASE64KEY`, 32 bytes each; what follows a `#` is a comment, and `# made INSTANT` says when a key
was made. The first key seals, all of them unseal. Nobody but the owner may read the file; what else is accepted is told
in docs/secrets.md. No key stands in an error, a `repr` or a log.
"""

import base64
import binascii
import contextlib
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

if sys.platform != "win32":
    import fcntl

KEY_BYTES = 32
"""AES-256."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MADE = re.compile(r"\bmade (\S+)")


class SealsError(Exception):
    """Secrets cannot be sealed or unsealed. The message says what happened, to what, and what to do now."""


class KeyFileError(SealsError):
    """The file of the keys cannot be used, or not be changed."""


class KeyFileMissing(KeyFileError):  # noqa: N818 - what is wrong with it
    """There is no file of keys."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Parameters:
      secret: the 32 bytes; left out of `repr`.
      made_at: `None` where the file does not say.
    """

    id: str
    secret: bytes = field(repr=False)
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What was read of a file of keys.

    Parameters:
      keys: at least one; the first is the one that seals.
      version: changes whenever the file does.
    """

    path: Path
    keys: tuple[Key, ...]
    version: tuple[int, ...]

    def key(self, key_id: str) -> Key | None:
        return next((key for key in self.keys if key.id == key_id), None)


def read(path: Path) -> KeyFile:
    """The keys of the file. Raises KeyFileMissing, KeyFileError."""
    text, status = _text(path)
    return KeyFile(path, _keys(text, path), _version(status))


def version(path: Path) -> tuple[int, ...] | None:
    """What `read` would give as the version; `None` when there is no such file."""
    try:
        return _version(os.stat(path))
    except OSError:
        return None


def read_or_make(path: Path, now: datetime) -> KeyFile:
    """The keys of the file, which is made with a first key if there is none.

    Of several processes that find none at once, one makes it and all read that. Raises KeyFileError.
    """
    try:
        return read(path)
    except KeyFileMissing:
        with contextlib.suppress(FileExistsError):
            make(path, now)
        return read(path)


def make(path: Path, now: datetime) -> Key:
    """Makes the file, with one new key, for its owner alone. Raises FileExistsError when there is one; KeyFileError."""
    key = _new_key(now, ())
    with _told(path, "made"):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path, _HEAD + _line(key), 0o600)
        try:
            # Unlike a rename, a link never takes the place of a file that another process has just made.
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _keep(path.parent)
    return key


def add(path: Path, now: datetime) -> Key:
    """Puts a new key before the others, so that it seals from now on. Raises KeyFileMissing, KeyFileError."""
    with _changing(path) as file:
        text, status = _text(file)
        key = _new_key(now, _keys(text, file))
        lines = text.splitlines(keepends=True)
        first = next(number for number, line in enumerate(lines) if _content(line))
        _replace(file, "".join([*lines[:first], _line(key), *lines[first:]]), status)
    return key


def drop(path: Path, key_id: str) -> None:
    """Takes a key out of the file that is not its first. Raises KeyFileMissing, KeyFileError."""
    with _changing(path) as file:
        text, status = _text(file)
        keys = _keys(text, file)
        if key_id not in [key.id for key in keys[1:]]:
            raise KeyFileError(
                f"The key {key_id} was not dropped from {path}: "
                + ("it is the one that seals." if key_id == keys[0].id else "there is no such key in it.")
                + " Nothing was changed. See which there are with: avtalsmotor secrets list"
            )
        left = [line for line in text.splitlines(keepends=True) if _content(line)[:1] != [key_id]]
        _replace(file, "".join(left), status)


# Reading ------------------------------------------------------------------------------------------------------------


def _text(path: Path) -> tuple[str, os.stat_result]:
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            _refuse_if_others_can_read(path, status)
            return stream.read().decode("utf-8"), status
    except FileNotFoundError:
        raise KeyFileMissing(
            f"There is no key to seal secrets with: the file {path.absolute()} does not exist. If it was lost, put it"
            " back from your copy: without its keys, what they sealed cannot be read. If there never was one, make it"
            " with: avtalsmotor secrets new-key"
        ) from None
    except OSError as error:
        raise KeyFileError(
            f"The keys that seal secrets cannot be read from {path.absolute()}: {error.strerror}. See that"
            " AVTALSMOTOR_SECRET_KEY_FILE names the right file, and that it belongs to the user that Avtalsmotor runs"
            " as."
        ) from None
    except UnicodeDecodeError:
        raise KeyFileError(
            f"The keys that seal secrets cannot be read from {path.absolute()}: it is not a text file. See that"
            " AVTALSMOTOR_SECRET_KEY_FILE names the right file."
        ) from None


def _refuse_if_others_can_read(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    others = stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    # Root's file, given to one group to read: how Docker and Kubernetes hand a secret to a container's user.
    if not others or (status.st_uid == 0 and others == stat.S_IRGRP):
        return
    raise KeyFileError(
        f"The keys in {path.absolute()} were not used: others than the owner may read or write that file"
        f" (its mode is {stat.S_IMODE(status.st_mode):04o}). If nobody else can have read it, type: chmod 600"
        f" {path.absolute()}. Mounted as a secret of Docker or Kubernetes, it may be root's with mode 0440. Otherwise"
        " take a new key into use: docs/secrets.md tells how."
    )


def _keys(text: str, path: Path) -> tuple[Key, ...]:
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = _content(line)
        if not content:
            continue
        # Never with what stands in the line: it may be a key.
        wrong = f"The keys in {path.absolute()} were not used: line {number} "
        cure = " Write KEYID BASE64KEY, or put the file back from your copy."
        if len(content) != 2 or not _ID.fullmatch(content[0]):
            raise KeyFileError(f"{wrong}is not a key with an id of letters, digits, - and _ before it.{cure}")
        key_id, secret = content[0], _secret(content[1])
        if secret is None:
            raise KeyFileError(f"{wrong}does not hold {KEY_BYTES} bytes in base64.{cure}")
        if key_id in keys:
            raise KeyFileError(f"{wrong}has the same id as a line before it. Give each key an id of its own.")
        keys[key_id] = Key(key_id, secret, _made_at(line))
    if not keys:
        raise KeyFileError(
            f"There is no key to seal secrets with: the file {path.absolute()} holds none. Put it back from your copy;"
            " or, if there never was a key, remove it and make one with: avtalsmotor secrets new-key"
        )
    return tuple(keys.values())


def _content(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _secret(written: str) -> bytes | None:
    try:
        secret = base64.b64decode(written.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if len(secret) == KEY_BYTES else None


def _made_at(line: str) -> datetime | None:
    said = _MADE.search(line.partition("#")[2])
    try:
        instant = datetime.fromisoformat(said.group(1)) if said else None
    except ValueError:
        return None
    return instant if instant is not None and instant.tzinfo is not None else None


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


# Writing ------------------------------------------------------------------------------------------------------------

_HEAD = """\
# The keys that Avtalsmotor seals secrets with: KEYID BASE64KEY. The first seals, all of them unseal.
# Keep a copy apart from the copies of the ledger. Without its keys, what they sealed is lost.
"""


def _new_key(now: datetime, others: Sequence[Key]) -> Key:
    instant = now.astimezone(UTC).replace(microsecond=0)
    taken = {key.id for key in others}
    key_id = instant.date().isoformat()
    while key_id in taken or key_id == instant.date().isoformat():
        key_id = f"{instant.date()}-{os.urandom(3).hex()}"
    return Key(key_id, os.urandom(KEY_BYTES), instant)


def _line(key: Key) -> str:
    made = f"  # made {key.made_at.isoformat()}" if key.made_at else ""
    return f"{key.id} {base64.b64encode(key.secret).decode()}{made}\n"


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[Path]:
    """One change at a time: of two that read the same file, the later would take back the key of the earlier.

    Gives the file itself where the path is a link to it.
    """
    try:
        file = path.resolve(strict=True)
    except OSError:
        # Read it for the words.
        read(path)
        raise
    with _told(path, "changed"):
        directory = _opened(file.parent)
        try:
            if directory is not None:
                fcntl.flock(directory, fcntl.LOCK_EX)
            yield file
        finally:
            if directory is not None:
                os.close(directory)


def _replace(path: Path, text: str, like: os.stat_result) -> None:
    """Replaces the file at once and for good, with the same owner and mode."""
    draft = _draft(path, text, stat.S_IMODE(like.st_mode), like)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _keep(path.parent)


def _draft(path: Path, text: str, mode: int, like: os.stat_result | None = None) -> Path:
    """A complete file beside the one that it is to become."""
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            if sys.platform != "win32":
                if like is not None and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(stream.fileno(), like.st_uid, like.st_gid)
                os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _opened(directory: Path) -> int | None:
    """The directory, to be locked or synced; `None` where the system opens none."""
    return None if sys.platform == "win32" else os.open(directory, os.O_RDONLY)


def _keep(directory: Path) -> None:
    """Sees that the names in the directory outlive a power cut."""
    descriptor = _opened(directory)
    if descriptor is not None:
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _told(path: Path, wanted: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        if error.filename2 is not None:
            raise
        raise _unwritable(path, wanted, error) from None
    except OSError as error:
        raise _unwritable(path, wanted, error) from None


def _unwritable(path: Path, wanted: str, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"The file of the keys that seal secrets was not {wanted}: {path.absolute()} ({error.strerror}). See that its"
        " directory exists or can be made, and is yours to write in. Where the file is mounted into a container, change"
        " it where it comes from: docs/secrets.md tells how."
    )
