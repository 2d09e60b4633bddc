"""No secret is found in clear by whoever reads what the product writes: logs, answers of commands, ledger, queues.

Whoever can read a process' memory or environment has them; that is the machine's to keep.
"""

import base64
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import select

from avtalsmotor.embedded import EmbeddedServer, free_port
from common import key_file, logs
from common.ids import TenantId
from common.ledger import tenants
from common.ledger.schema import metadata
from common.rules.states import Status
from common.settings import Settings
from sandbox.auth import Tokens
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET
from sandbox.traded import OneTime
from tests.bureau import Bureau, bureau_for
from tests.sandboxes import Sandbox
from tests.scenarios.companies import BJORK, GRAN, monthly
from tests.scenarios.twelve import connect_by_refresh_token
from tests.valkeys import valkey
from tests.webhooks import receiver

CLIENT_SECRET = DEFAULT_CLIENT_SECRET
REDIS_PASSWORD = "redislosen-41f7"
DATABASE_PASSWORD = "databaslosen-93be"
MAIL_PASSWORD = "postlosen-0a62"
WEBHOOK_SECRET = "krokhemlighet-b75c"

READING_COMMANDS = [
    ("status",),
    ("tenants", "list"),
    ("tenants", "show", str(BJORK)),
    ("contracts", "list"),
    ("templates", "list"),
    ("billings", "list"),
    ("billings", "show", "1"),
    ("plan",),
    ("policy",),
    ("prices", "changes"),
    ("runs", "list"),
    ("reconcile",),
    ("notices", "list"),
    ("secrets", "list"),
    ("doctor",),
]


@dataclass
class Secrets:
    """What must be found nowhere, by what it is."""

    known: dict[str, str] = field(default_factory=dict)

    def found_in(self, written: str) -> set[str]:
        """What of it stands there, as it is or as it is sent in a header, a form or an address."""
        return {what for what, value in self.known.items() if any(one in written for one in _forms(value))}


def _forms(value: str) -> set[str]:
    return {
        value,
        base64.b64encode(value.encode()).decode(),
        base64.urlsafe_b64encode(value.encode()).decode(),
        json.dumps(value)[1:-1],
    }


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Secrets:
    """The bureau's own, and every token that the sandbox gives to anybody."""
    told = Secrets(
        {
            "the client secret": CLIENT_SECRET,
            "the client's credentials": f"{DEFAULT_CLIENT_ID}:{CLIENT_SECRET}",
            "the password of Redis": REDIS_PASSWORD,
            "the password of the database": DATABASE_PASSWORD,
            "the password of the mail server": MAIL_PASSWORD,
            "the webhook's secret": WEBHOOK_SECRET,
        }
    )
    keep, issue = OneTime.keep, Tokens.issue

    def kept(self: Any, value: str, *about: Any) -> str:
        told.known[f"refresh token or code {len(told.known)}"] = value
        return str(keep(self, value, *about))

    def issued(self: Any, *about: Any) -> dict[str, object]:
        answer = issue(self, *about)
        told.known[f"access token {len(told.known)}"] = str(answer["access_token"])
        return answer

    monkeypatch.setattr(OneTime, "keep", kept)
    monkeypatch.setattr(Tokens, "issue", issued)
    return told


@pytest.fixture
async def locked_redis() -> AsyncIterator[str]:
    """A Valkey that asks for its password."""
    with valkey() as url:
        async with Redis.from_url(url) as admin:
            await admin.config_set("requirepass", REDIS_PASSWORD)
        yield url.replace("redis://", f"redis://:{REDIS_PASSWORD}@")


@pytest.fixture
async def bureau(
    sandbox: Sandbox, secrets: Secrets, wrapper: str, database_url: str, locked_redis: str, tmp_path: Path
) -> AsyncIterator[Bureau]:
    """A bureau that has a secret of every kind, on the 31st of January."""
    (tmp_path / "mail").write_text(MAIL_PASSWORD)
    (tmp_path / "webhook").write_text(WEBHOOK_SECRET)
    # The tests' server takes any password.
    database_url = database_url.replace("avtalsmotor@", f"avtalsmotor:{DATABASE_PASSWORD}@")
    async with receiver() as hook:
        settings: dict[str, Any] = {
            "secret_key_file": tmp_path / "keys",
            "notice_mail_to": "anna@byran.example",
            "notice_mail_from": "avtalsmotor@byran.example",
            "notice_smtp_host": "127.0.0.1",
            "notice_smtp_port": 9,
            "notice_smtp_user": "avtalsmotor",
            "notice_smtp_password_file": tmp_path / "mail",
            "notice_webhook_url": SecretStr(hook.url),
            "notice_webhook_secret_file": tmp_path / "webhook",
        }
        secrets.known["the webhook's address"] = hook.url
        async with bureau_for(sandbox, locked_redis, database_url, tmp_path, **settings) as running:
            running.at("2026-01-31 12:00")
            key_file.read_or_make(tmp_path / "keys", running.settings.clock.now())
            (key,) = key_file.read(tmp_path / "keys").keys
            secrets.known["the key of the seals"] = base64.b64encode(key.secret).decode()
            yield running


@pytest.fixture
def logged() -> Iterator[Callable[[Settings, str], io.StringIO]]:
    """Has everything logged from now on, debug and all libraries' own included, as the product would; and gives it."""
    written = io.StringIO()

    def log_as(settings: Settings, log_format: str) -> io.StringIO:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stderr", written)
            logs.configure(settings.model_copy(update={"log_level": "debug", "log_format": log_format}), "worker")
        for name in ("dramatiq", "aiohttp.access"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        return written

    yield log_as
    logging.getLogger().handlers = []


async def test_a_night_and_all_that_goes_wrong_in_it_writes_no_secret_anywhere(
    bureau: Bureau, secrets: Secrets, logged: Callable[[Settings, str], io.StringIO], database_url: str
) -> None:
    log = logged(bureau.settings, "json" if "sqlite" in database_url else "console")
    sandbox = bureau.sandbox
    for tenant in (BJORK, GRAN):
        await monthly(bureau, 2, tenant)
    await connect_by_refresh_token(bureau, BJORK)
    await bureau.work()
    # Fortnox, or a gateway before it, says again what it was sent; the network cuts; a token dies of age.
    told = {"error": "invalid_request", "error_description": "{sent}"}
    await sandbox.fault(kind="error", path="/oauth-v1/token", times=2, status=400, body=json.dumps(told))
    await sandbox.fault(
        kind="error", path="/3/contracts/1/createinvoice", times=1, status=400, code=2000433, message="{sent}"
    )
    await sandbox.fault(kind="error", path="/3/invoices/*/bookkeep", times=1, status=500, message="{sent}")
    await sandbox.fault(kind="cut_after", path="/3/invoices/*/email", times=1)
    bureau.at("2026-02-01 08:00")
    await bureau.work(until=bureau.looked_for)
    bureau.at("2026-02-01 09:30")
    await bureau.work(until=bureau.looked_for)
    assert await bureau.billings(status=Status.DONE) != []

    assert secrets.found_in(log.getvalue()) == set()
    assert "fortnox_request" in log.getvalue()
    assert "***" in log.getvalue()
    for command in READING_COMMANDS:
        assert secrets.found_in(await answered(bureau, *command)) == set(), command
    assert secrets.found_in((await bureau.typed("audit", "export")).output) == set()
    assert secrets.found_in(await everything_in_the_ledger(bureau)) == set()
    assert secrets.found_in(await everything_in_redis(bureau)) == set()


async def test_the_search_finds_what_is_there(bureau: Bureau, secrets: Secrets) -> None:
    await bureau.redis.hset("a-hash", "field", f"Bearer {CLIENT_SECRET}")
    assert secrets.found_in(await everything_in_redis(bureau)) == {"the client secret"}
    await tenants.add(bureau.ledger, TenantId(BJORK), f"{MAIL_PASSWORD} AB", "test")
    assert secrets.found_in(await everything_in_the_ledger(bureau)) == {"the password of the mail server"}
    assert secrets.found_in(await answered(bureau, "tenants", "list")) == {"the password of the mail server"}
    credentials = base64.b64encode(f"{DEFAULT_CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    assert secrets.found_in(f"Basic {credentials}") >= {"the client's credentials"}


async def test_what_cannot_be_reached_is_told_without_its_password(bureau: Bureau, secrets: Secrets) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    for change in (
        {"redis_url": f"redis://:{REDIS_PASSWORD}@{nowhere}/0"},
        {"database_url": f"postgresql://avtalsmotor:{DATABASE_PASSWORD}@{nowhere}/avtalsmotor"},
        {"database_url": f"postgresql://avtalsmotor:{DATABASE_PASSWORD}@{nowhere}/avtalsmotor?no=option"},
        {"database_url": f"mysql://avtalsmotor:{DATABASE_PASSWORD}@{nowhere}/avtalsmotor"},
        {"redis_url": f"http://:{REDIS_PASSWORD}@{nowhere}"},
    ):
        bureau.settings = bureau.settings.model_copy(update={name: SecretStr(url) for name, url in change.items()})
        for command in ("status", "doctor"):
            typed = await bureau.typed(command)
            told = f"{typed.stdout}\n{typed.stderr}\n{typed.exception}"
            assert secrets.found_in(told) == set(), (change, command)
            assert "AVTALSMOTOR_" in told, (change, command, told)


def test_no_command_line_and_no_log_of_the_embedded_server_has_its_password(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        password = urlsplit(server.url).password
        assert password
        others = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        port = str(urlsplit(server.url).port).encode()
        assert any(b"valkey" in line and port in line for line in others)
        assert not any(password.encode() in line for line in others)
        assert password not in (tmp_path / "valkey" / "valkey.log").read_text()


async def answered(bureau: Bureau, *command: str) -> str:
    """All that a command tells, for a person and for a program."""
    typed = [await bureau.typed(*command), await bureau.typed(*command, "--json")]
    assert all(one.exit_code in (0, 1) for one in typed), [one.output for one in typed]
    return "\n".join(f"{one.stdout}\n{one.stderr}" for one in typed)


async def everything_in_the_ledger(bureau: Bureau) -> str:
    """Every row of every table; of a file, all its bytes, those of its write-ahead log included."""
    rows = [str(await bureau.ledger.fetch(select(table))) for table in metadata.sorted_tables]
    assert bureau.settings.database_url is not None
    url = bureau.settings.database_url.get_secret_value()
    files = [Path(f"{url.removeprefix('sqlite:///')}{end}") for end in ("", "-wal")] if bureau.ledger.is_sqlite else []
    return "\n".join([*rows, *(one.read_bytes().decode("latin-1") for one in files if one.exists())])


async def everything_in_redis(bureau: Bureau) -> str:
    """Every key and its value."""
    read: dict[Any, Callable[[bytes], Any]] = {
        b"string": bureau.redis.get,
        b"hash": bureau.redis.hgetall,
        b"list": lambda key: bureau.redis.lrange(key, 0, -1),
        b"set": bureau.redis.smembers,
        b"zset": lambda key: bureau.redis.zrange(key, 0, -1),
        b"stream": bureau.redis.xrange,
    }
    said = []
    async for key in bureau.redis.scan_iter():
        kind = await bureau.redis.type(key)
        said.append(f"{key!r}: {await read[kind](key)!r}")
    return "\n".join(said)
