"""Opens what a command needs, and closes it: settings, the ledger, Redis and the Fortnox client.

A command works beside a running `avtalsmotor up` as well as alone: without a Redis it starts the embedded one for as
long as it takes. It never migrates a PostgreSQL ledger by the way: that is `avtalsmotor ledger migrate`.
"""

import contextlib
import getpass
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError

from avtalsmotor.cli.failure import Failure
from avtalsmotor.embedded import EmbeddedServer, find_running
from common import logs
from common.ledger.database import Ledger, open_ledger
from common.settings import Settings

if TYPE_CHECKING:
    from common.fortnox.client import Fortnox


def read_settings() -> Settings:
    """The settings of the environment. Raises Failure, naming the variable, when one cannot be used."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise Failure(
            "The settings cannot be used. "
            + " ".join(_wrong(str(fault["loc"][0]), fault["type"], fault.get("ctx", {})) for fault in error.errors())
            + " Correct or remove it, in the environment or in the file .env, and try again."
        ) from None
    if settings.redis_url and not _is_redis(settings.redis_url.get_secret_value()):
        raise Failure(
            "AVTALSMOTOR_REDIS_URL is not the address of a Redis server, so there is none to work with."
            " Write it as redis://HOST:6379/0, or remove it to use the embedded server."
        )
    return settings


def _wrong(field: str, kind: str, limits: Mapping[str, object]) -> str:
    # Without the value: some of them are secrets.
    match kind:
        case "greater_than":
            wanted = f"must be a number greater than {limits['gt']:g}"
        case "float_parsing" | "float_type" | "finite_number":
            wanted = "must be a number, with a point and no unit, such as 300 or 0.5"
        case "string_pattern_mismatch" if field == "log_format":
            wanted = "must be console or json"
        case _:
            wanted = "has a value that cannot be used"
    return f"AVTALSMOTOR_{field.upper()} {wanted}."


def _is_redis(url: str) -> bool:
    parts = urlsplit(url)
    return (parts.scheme in {"redis", "rediss"} and bool(parts.hostname)) or parts.scheme == "unix"


def user() -> str:
    """Who types: the name that goes into the audit trail."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user without a name.
        return f"uid {os.getuid()}"


def log_as(settings: Settings, role: str) -> None:
    """Logs of a role that runs until it is stopped."""
    try:
        logs.configure(settings, role)
    except ValueError as error:
        raise Failure(str(error)) from None


def log_quietly(settings: Settings) -> None:
    """Logs of a short command: errors only, unless the environment asks for more."""
    said = "log_level" in settings.model_fields_set
    log_as(settings if said else settings.model_copy(update={"log_level": "error"}), "command")


@contextlib.asynccontextmanager
async def open_session() -> AsyncIterator[tuple[Settings, Ledger]]:
    """The settings and the ledger. Raises Failure or LedgerError."""
    settings = read_settings()
    log_quietly(settings)
    ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock, migrate=settings.ledger_is_file)
    try:
        yield settings, ledger
    finally:
        await ledger.close()


async def prepare_ledger(settings: Settings) -> None:
    """Opens the ledger once, so that a role starts on one that exists or not at all. Raises LedgerError."""
    ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock, migrate=settings.ledger_is_file)
    await ledger.close()


def running_redis(settings: Settings) -> str | None:
    """The address of the Redis that the roles use, or `None` when none is named and none runs in the data directory."""
    return settings.redis_url.get_secret_value() if settings.redis_url else find_running(settings.data_dir)


def redis_of_the_roles(settings: Settings) -> str:
    """The address of the Redis that all roles share. Raises Failure when there is none."""
    url = running_redis(settings)
    if url is None:
        raise Failure(
            f"There is no Redis for this role to work with: none is named, and no `avtalsmotor up` runs in"
            f" {settings.data_dir}. Set AVTALSMOTOR_REDIS_URL to the server that all roles share; or type"
            " `avtalsmotor up`, which runs all roles on an embedded one."
        )
    return url


@contextlib.contextmanager
def redis_meanwhile(settings: Settings) -> Iterator[str]:
    """The address of the Redis that the roles use, or else of an embedded one that lives as long as the block.

    That one has a directory of its own, so that it never stands in the way of `avtalsmotor up`; and keeps it, so that
    the rate limit and the tokens are remembered from one command to the next. Raises EmbeddedError.
    """
    home = settings.data_dir / "commands"
    url = running_redis(settings) or find_running(home)
    if url is not None:
        yield url
        return
    with EmbeddedServer(home) as server:
        yield server.url


@contextlib.asynccontextmanager
async def open_fortnox(settings: Settings, ledger: Ledger) -> AsyncIterator["Fortnox"]:
    """The client of the settings' Fortnox, with the companies' consents. Raises EmbeddedError."""
    # Most commands make no call, and are quicker without the HTTP client.
    from common.consents import Consents
    from common.fortnox.client import Fortnox
    from common.fortnox.governor import governor_redis

    with redis_meanwhile(settings) as url:
        client = governor_redis(url)
        fortnox = await Fortnox.open(settings, client, Consents(ledger, settings))
        try:
            yield fortnox
        finally:
            await fortnox.close()
            await client.aclose()


def missing_credentials(settings: Settings) -> list[str]:
    """The names of the variables without which Fortnox gives no access token."""
    given = {
        "AVTALSMOTOR_FORTNOX_CLIENT_ID": settings.fortnox_client_id,
        "AVTALSMOTOR_FORTNOX_CLIENT_SECRET": settings.fortnox_client_secret.get_secret_value(),
    }
    return [name for name, value in given.items() if not value]


def refuse_without_credentials(settings: Settings, what: str, otherwise: str = "") -> None:
    """Raises Failure when the integration's own credentials are not set.

    Parameters:
      what: what cannot be done therefore, as the beginning of a sentence.
      otherwise: what else can be done, as the end of one.
    """
    absent = missing_credentials(settings)
    if absent:
        raise Failure(
            f"{what}: {' and '.join(absent)} not set. Set them to what Fortnox' developer portal shows for your"
            f" integration{otherwise}."
        )


def data_directory(settings: Settings) -> Path:
    """The data directory, as a person can find it."""
    return settings.data_dir.absolute()
