"""Digests by e-mail, over SMTP.

A password is never sent unencrypted, and stands in no message, log or error. A second try of a digest has the same
Message-ID, by which a mailbox may know it again.
"""

import asyncio
import base64
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from common.notices import words
from common.notices.channel import NotDelivered, read_secret
from common.notices.channels import MAIL
from common.notices.digest import Digest
from common.rules.notices import Kind
from common.writing import clean

PORTS = {"starttls": 587, "tls": 465, "none": 25}

_ANSWERS_WITHIN = 15.0
"""Seconds for each answer of the mail server."""

_LOGGED_IN = 235

DELIVERS_WITHIN = 90.0
"""Seconds for all of it."""


@dataclass(frozen=True, slots=True)
class Mail:
    """Digests to these addresses, by this mail server."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str
    password_file: Path | None
    sender: str
    recipients: tuple[str, ...]

    @property
    def name(self) -> str:
        return MAIL

    @property
    def where(self) -> str:
        return f"{', '.join(self.recipients) or 'nobody'} by {self._server}"

    @property
    def _server(self) -> str:
        return f"{self.host}:{self.port}"

    async def send(self, digest: Digest) -> str | None:
        try:
            async with asyncio.timeout(DELIVERS_WITHIN):
                # `smtplib` blocks, and so does asking for the host's address.
                return await asyncio.to_thread(self._send, digest)
        except TimeoutError:
            raise NotDelivered(
                f"The mail server {self._server} was not done within {DELIVERS_WITHIN:.0f} s, so the message may have"
                " gone or not."
            ) from None

    def _send(self, digest: Digest) -> str | None:
        self._check()
        password = (
            read_secret(self.password_file, "AVTALSMOTOR_NOTICE_SMTP_PASSWORD_FILE", "password of the mail server")
            if self.user
            else ""
        )
        with self._in_plain_words(), self._connected() as server:
            if self.user:
                self._log_in(server, password)
            refused = server.send_message(self._message(digest), self.sender, self.recipients)
            return self._not_all(refused) if refused else None

    def _log_in(self, server: smtplib.SMTP, password: str) -> None:
        if (self.user + password).isascii():
            server.login(self.user, password)
            return
        # `smtplib` knows ASCII alone; PLAIN is UTF-8 (RFC 4616).
        told = base64.b64encode(f"\0{self.user}\0{password}".encode()).decode()
        code, said = server.docmd("AUTH", f"PLAIN {told}")
        if code != _LOGGED_IN:
            raise smtplib.SMTPAuthenticationError(code, said)

    def _check(self) -> None:
        absent = [
            name
            for name, value in (
                ("AVTALSMOTOR_NOTICE_SMTP_HOST", self.host),
                ("AVTALSMOTOR_NOTICE_MAIL_FROM", self.sender),
                ("AVTALSMOTOR_NOTICE_MAIL_TO", self.recipients),
            )
            if not value
        ]
        if absent:
            raise NotDelivered(f"No e-mail can be sent: {' and '.join(absent)} not set. See docs/notices.md.")
        if self.user and self.security == "none":
            raise NotDelivered(
                f"No e-mail was sent: the password would go unencrypted to {self._server}. Set"
                " AVTALSMOTOR_NOTICE_SMTP_SECURITY to starttls or tls."
            )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        trusted = ssl.create_default_context()
        server = (
            smtplib.SMTP_SSL(self.host, self.port, timeout=_ANSWERS_WITHIN, context=trusted)
            if self.security == "tls"
            else smtplib.SMTP(self.host, self.port, timeout=_ANSWERS_WITHIN)
        )
        try:
            if self.security == "starttls":
                server.starttls(context=trusted)
            yield server
            # It has been taken: what goes wrong with the leave-taking changes nothing.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()

    def _message(self, digest: Digest) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Subject"] = words.subject(digest)
        message["Date"] = format_datetime(digest.made_at)
        message["Message-ID"] = f"<notice.{digest.id}@{self.sender.rpartition('@')[2]}>"
        # No holiday reply is wanted (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        if digest.kind is not Kind.TEST:
            message["X-Avtalsmotor-Notice"] = digest.id
        message.set_content(words.text(digest), charset="utf-8")
        return message

    @contextlib.contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except NotDelivered:
            raise
        except socket.gaierror as error:
            raise NotDelivered(
                f"The mail server {self.host} is not known ({error.strerror}). Check AVTALSMOTOR_NOTICE_SMTP_HOST."
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise NotDelivered(
                f"The certificate of {self._server} is not trusted ({error.verify_message}). Check that"
                " AVTALSMOTOR_NOTICE_SMTP_HOST is the name in the certificate; for a certificate authority of your own"
                " name its file in SSL_CERT_FILE."
            ) from None
        except ssl.SSLError as error:
            raise NotDelivered(
                f"No encrypted connection came about with {self._server} ({error.reason or error}). Check"
                " AVTALSMOTOR_NOTICE_SMTP_SECURITY and ..._PORT: starttls is usually 587, tls 465."
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            raise NotDelivered(
                f"{self._server} refused the login of {self.user}: {_said(error)}. Check AVTALSMOTOR_NOTICE_SMTP_USER"
                " and the password in the file that ..._PASSWORD_FILE names."
            ) from None
        except smtplib.SMTPNotSupportedError as error:
            raise NotDelivered(
                f"{self._server} does not offer what is needed ({error}). Check AVTALSMOTOR_NOTICE_SMTP_SECURITY and"
                " ..._PORT: starttls is usually 587, tls 465."
            ) from None
        except smtplib.SMTPRecipientsRefused as error:
            raise NotDelivered(f"{self._not_all(error.recipients)} Nobody got the message.") from None
        except smtplib.SMTPResponseException as error:
            raise NotDelivered(
                f"{self._server} refused the message from {self.sender}: {_said(error)}. Check that it may send for"
                " AVTALSMOTOR_NOTICE_MAIL_FROM."
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            told = clean(str(error)) or type(error).__name__
            raise NotDelivered(
                f"The mail server {self._server} could not be reached, or broke off ({told}). Check that it is up, the"
                " network, and AVTALSMOTOR_NOTICE_SMTP_HOST and ..._PORT."
            ) from None

    def _not_all(self, refused: dict[str, tuple[int, bytes]]) -> str:
        named = "; ".join(f"{address}: {code} {_text(said)}" for address, (code, said) in sorted(refused.items()))
        return f"{self._server} refused {named}. Check AVTALSMOTOR_NOTICE_MAIL_TO."


def _said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(said: bytes | str) -> str:
    return clean(said.decode(errors="replace") if isinstance(said, bytes) else said)[:200].rstrip(". ")
