"""Says what went wrong in the user's words, on stderr, and ends the command with exit status 1.

An error has three parts: what happened, to what, and what to do now. What is not known here is a bug, and is shown as
one.
"""

import contextlib
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import typer

T = TypeVar("T")


class Failure(Exception):  # noqa: N818 - the design's word is an error with three parts; this is what carries it
    """A command cannot do what was asked. The message says what happened, to what, and what to do now."""


def run(action: Coroutine[Any, Any, T]) -> T:
    """Runs an action to its end, and its foreseeable failures in plain words."""
    import asyncio

    with plainly():
        return asyncio.run(action)


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Ends the command with exit status 1 and one message when something foreseeable goes wrong in the block."""
    try:
        yield
    except Exception as error:
        message = in_plain_words(error)
        if message is None:
            raise
        complain(message)
        raise typer.Exit(1) from error


def complain(message: str) -> None:
    """An error, on stderr. The command goes on or ends as the caller sees fit."""
    _tell("Error", message, typer.colors.RED)


def warn(message: str) -> None:
    """A warning, on stderr: what was asked is done, but not all is well."""
    _tell("Warning", message, typer.colors.YELLOW)


def tell_wait(message: str) -> None:
    """What a person at a terminal waits for, on stderr."""
    if sys.stderr.isatty():
        typer.secho(message, dim=True, err=True)


def _tell(kind: str, message: str, colour: str) -> None:
    sys.stdout.flush()
    typer.echo(f"{typer.style(f'{kind}:', fg=colour, bold=True)} {message}", err=True)


def in_plain_words(error: BaseException) -> str | None:
    """What a user must know of a foreseeable error; `None` for a bug."""
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename is not None:
        return (
            f"The data directory cannot be used: {error.filename} is no directory, or lies in what is none. Nothing was"
            " changed. Set AVTALSMOTOR_DATA_DIR to a directory, or to one that can be made; or move that file away."
        )
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"{error.filename}: {error.strerror}. Nothing was changed."
            " See that the directory in AVTALSMOTOR_DATA_DIR exists or can be made, and is yours to write in."
        )
    # These are imported by whoever raised one; importing them earlier would make every command slower to start.
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from avtalsmotor.embedded import EmbeddedError
    from avtalsmotor.processes import StartFailed
    from common.fortnox.errors import FortnoxError, NotSent
    from common.ledger.billings import NotPossible
    from common.ledger.database import LedgerError
    from common.queue.outbox import QueueUnreachable
    from common.seals import SealsError

    if isinstance(
        error,
        LedgerError
        | NotSent
        | FortnoxError
        | NotPossible
        | QueueUnreachable
        | EmbeddedError
        | StartFailed
        | SealsError,
    ):
        return str(error)
    if isinstance(error, RedisError):
        return (
            f"Redis did not answer ({error}). Nothing is lost: the ledger knows what is not done."
            " See that the server that AVTALSMOTOR_REDIS_URL names is up, and try again."
        )
    if isinstance(error, DBAPIError) and "malformed" in str(error.orig):
        return (
            f"The ledger's file is damaged ({error.orig}): ledger.sqlite3 in the directory that AVTALSMOTOR_DATA_DIR"
            " names (else .avtalsmotor), or the file that AVTALSMOTOR_DATABASE_URL names. Stop everything that uses it,"
            " and put back a backup of it."
        )
    if isinstance(error, DBAPIError):
        return (
            f"The database of the ledger did not do what was asked ({error.orig})."
            " What had not been confirmed is not in the ledger. See that the database is up, and try again."
        )
    return None
