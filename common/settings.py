"""What the environment says: addresses, credentials, intervals. Policy (what a user chooses) is in the ledger, not
here.

Every setting is read from the environment with the prefix `AVTALSMOTOR_`; an optional `.env` in the working directory
serves a bureau that runs the product by hand.
"""

import re
from datetime import time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.clock import Clock

_MAIL_ADDRESS = re.compile(r"[^\s@<>,;:()\[\]\\\"\x00-\x1f\x7f-\U0010ffff]+@[A-Za-z0-9.-]+")
"""Nothing that could begin another header, or another address, can be part of one."""


class Settings(BaseSettings):
    """The settings of one process. Durations are in seconds."""

    model_config = SettingsConfigDict(env_prefix="AVTALSMOTOR_", env_file=".env", extra="ignore", frozen=True)

    fortnox_client_id: str = ""
    fortnox_client_secret: SecretStr = SecretStr("")
    fortnox_api_url: str = "https://api.fortnox.se"
    fortnox_auth_url: str = "https://apps.fortnox.se/oauth-v1"
    fortnox_redirect_uri: str = "http://localhost:8765/fortnox"
    """Where Fortnox sends the browser after a consent: the address that the integration has in the developer portal."""
    fortnox_ws_url: str = "wss://ws.fortnox.se/topics-v1"
    redis_url: SecretStr | None = None
    """`None`: the embedded server of the data directory."""
    database_url: SecretStr | None = None
    """`None`: `ledger.sqlite3` in the data directory. `sqlite:///PATH` and `postgresql://...` are understood."""
    data_dir: Path = Path(".avtalsmotor")
    secret_key_file: Path | None = None
    """The keys that secrets in the ledger are sealed with (docs/secrets.md). `None`: `secret.key` in the data
    directory."""
    poll_interval: float = Field(default=300.0, gt=0)
    """How often a tenant's contracts are listed while nothing of it is under way."""
    fresh_seconds: float = Field(default=30.0, gt=0)
    """How old what was read of a contract or an invoice may be when a call with an effect is made (design 6, 7)."""
    call_timeout: float = Field(default=30.0, gt=0)
    """The longest time that one request to Fortnox may take, all phases together. What a killed worker had called is
    looked for after this and a margin."""
    lease_margin: float = Field(default=15.0, gt=0)
    """How much longer than `call_timeout` a worker's lease lasts: the time for the outcome's commit, and for a busy
    machine."""
    producer_lease: float = Field(default=10.0, gt=0)
    """How long after its last sign of life a producer's companies are nobody else's."""
    settle: float = Field(default=600.0, gt=0)
    """How long Fortnox may take to finish what it has begun, and to show it: what it does not show is believed not made
    only after this, and after the token of the call has expired (design 6)."""
    reconcile_from: time = time(6, 0)
    """The time of day in Sweden from which on each company's proof is made, once a day (design 6)."""
    preflight_from: time = time(5, 0)
    """The time of day in Sweden from which on, within an hour, each company is read for what would fail for all its
    contracts, once a day."""
    token_life: float = Field(default=3600.0, gt=0)
    """How long an access token of Fortnox lives at the most (API notes 7): a call that a restored ledger has lost may
    have carried one as young as that."""
    rate_window: float = Field(default=5.25, gt=0)
    """The seconds in which at most 25 requests of a company are made: Fortnox' 5 and a margin for the network's jitter
    (design 9). Smaller only against a sandbox whose own window is scaled down."""
    loop_patience: float = Field(default=20.0, gt=0)
    """How long a process' event loop may stand still before its watchdog ends it, to be started anew. Longer than
    anything keeps the loop: the longest is a look-up that waits for SQLite's lock, 10 s. Shorter than a call's lease,
    and than the 30 s after which the feeder sends again what a worker sits on."""
    notice_mail_to: str = ""
    """Who is told by e-mail of what needs a person (docs/notices.md): addresses, with commas between. Empty: nobody."""
    notice_mail_from: str = ""
    """The address that those e-mails come from."""
    notice_smtp_host: str = ""
    notice_smtp_port: int | None = Field(default=None, gt=0, lt=65536)
    """`None`: 587 with `starttls`, 465 with `tls`, 25 with `none`."""
    notice_smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the mail server is spoken to. With `none` no password is sent."""
    notice_smtp_user: str = ""
    notice_smtp_password_file: Path | None = None
    """The file that holds the password of that user, read for each message."""
    notice_webhook_url: SecretStr | None = None
    """Where a signed POST tells of what needs a person. Often a secret itself, and never shown."""
    notice_webhook_secret_file: Path | None = None
    """The file that holds the secret with which it is signed, read for each message."""
    notice_language: Literal["sv", "en"] = "sv"
    notice_gather: float = Field(default=300.0, ge=0)
    """How long after the first new thing that needs a person others are waited for, to tell of all in one message."""
    notice_spacing: float = Field(default=3600.0, ge=0)
    """The shortest time between two messages of new things."""
    notice_reminder_from: time = time(8, 0)
    """The time of a banking day in Sweden from which on a message tells what is still open."""
    clock_shift: float = 0.0
    """Moves the product's clock, for a rehearsal against a sandbox whose clock is moved by as much."""
    log_level: str = "info"
    log_format: str = Field(default="console", pattern="^(console|json)$")

    @field_validator("fortnox_api_url", "fortnox_auth_url", mode="before")
    @classmethod
    def _is_an_address(cls, url: object) -> object:
        if isinstance(url, str) and urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("write the whole address, beginning with https://")
        return url

    @field_validator("fortnox_ws_url")
    @classmethod
    def _is_a_socket(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("ws", "wss"):
            raise ValueError("write the whole address, beginning with wss://")
        return url

    @field_validator("notice_mail_from")
    @classmethod
    def _is_a_mail_address(cls, typed: str) -> str:
        if typed and not _MAIL_ADDRESS.fullmatch(typed):
            raise ValueError("write a plain address, such as ekonomi@example.se")
        return typed

    @field_validator("notice_mail_to")
    @classmethod
    def _are_mail_addresses(cls, typed: str) -> str:
        addresses = [one.strip() for one in typed.split(",") if one.strip()]
        if not all(_MAIL_ADDRESS.fullmatch(one) for one in addresses):
            raise ValueError("write plain addresses, such as ekonomi@example.se, with commas between")
        return ", ".join(addresses)

    @field_validator("notice_webhook_url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url is not None else None
        if parts is not None and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("write the whole address, beginning with https://")
        return url

    @field_validator(
        "redis_url",
        "database_url",
        "secret_key_file",
        "notice_smtp_port",
        "notice_smtp_password_file",
        "notice_webhook_url",
        "notice_webhook_secret_file",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("fortnox_api_url")
    @classmethod
    def _api_root(cls, url: str) -> str:
        return url.rstrip("/").removesuffix("/3")

    @field_validator("fortnox_auth_url")
    @classmethod
    def _auth_root(cls, url: str) -> str:
        parts = urlsplit(url.rstrip("/").removesuffix("/token"))
        return urlunsplit(parts._replace(path=parts.path or "/oauth-v1"))

    @property
    def has_credentials(self) -> bool:
        """Whether the integration's own credentials are given; without them no company can be reached."""
        return bool(self.fortnox_client_id and self.fortnox_client_secret.get_secret_value())

    @property
    def ledger_url(self) -> str | None:
        """The address of the ledger's database, with its password; `None` for the file in the data directory."""
        return self.database_url.get_secret_value() if self.database_url else None

    @property
    def ledger_is_file(self) -> bool:
        """Whether the ledger is a file, which belongs to this installation alone and may be made unasked."""
        return self.ledger_url is None or self.ledger_url.startswith("sqlite")

    @cached_property
    def clock(self) -> Clock:
        return Clock(timedelta(seconds=self.clock_shift))
