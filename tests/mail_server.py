"""A mail server for tests, on 127.0.0.1: takes what is sent, and refuses what it is told to.

It speaks as much SMTP as `smtplib` does (EHLO, STARTTLS, AUTH PLAIN and LOGIN, MAIL, RCPT, DATA, QUIT), with a
certificate of its own making, and notes what it was told encrypted and what was not.
"""

import asyncio
import base64
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class MailServer:
    """What it is told to do, and what it was sent."""

    port: int = 0
    offers_starttls: bool = True
    logins: dict[str, str] = field(default_factory=dict)
    """Whom it lets in; empty: anybody, without a login."""
    refuses: dict[str, str] = field(default_factory=dict)
    """By command, or by the address of a recipient, the answer in its stead."""
    breaks_off_after_data: bool = False
    """It takes a message, and goes without a word."""
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    unencrypted: list[str] = field(default_factory=list)
    """The commands that came without encryption."""


@asynccontextmanager
async def mail_server(directory: Path, *, tls: bool = False) -> AsyncIterator[MailServer]:
    """A server on a free port; `certificate.pem` in the directory is what it is to be trusted by.

    Parameters:
      tls: encrypted from the first byte on, instead of by STARTTLS.
    """
    trusted = _certificate(directory)
    server = MailServer(offers_starttls=not tls)

    conversations: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        conversations.add(conversation)
        with contextlib.suppress(*_BROKEN_OFF):
            await _Conversation(server, trusted, reader, writer, is_encrypted=tls).run()
        with contextlib.suppress(*_BROKEN_OFF):
            writer.close()
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trusted if tls else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await asyncio.gather(*conversations)


_BROKEN_OFF = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)
"""What it looks like when the other side goes."""


class _Conversation:
    def __init__(
        self,
        server: MailServer,
        trusted: ssl.SSLContext,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_encrypted: bool,
    ) -> None:
        self._server = server
        self._trusted = trusted
        self._reader = reader
        self._writer = writer
        self._is_encrypted = is_encrypted
        self._is_known = not server.logins
        self._sender = ""
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._say("220 mail.example at your service")
        while line := (await self._reader.readline()).decode(errors="replace").strip():
            verb = line.split(" ", 1)[0].upper()
            if not self._is_encrypted:
                self._server.unencrypted.append(verb)
            if verb in self._server.refuses:
                await self._say(self._server.refuses[verb])
                continue
            if not await self._answer(verb, line):
                return

    async def _answer(self, verb: str, line: str) -> bool:
        """Whether the conversation goes on."""
        match verb:
            case "EHLO":
                offers = ["STARTTLS"] if self._server.offers_starttls and not self._is_encrypted else []
                offers += ["AUTH PLAIN"] if self._server.logins else []
                await self._say(*(f"250-{one}" for one in ["mail.example", *offers]), "250 SIZE 10000000")
            case "STARTTLS":
                await self._say("220 go ahead")
                await self._writer.start_tls(self._trusted)
                self._is_encrypted = True
            case "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                self._is_known = self._server.logins.get(user) == password
                await self._say("235 welcome" if self._is_known else "535 5.7.8 Username and password not accepted")
            case "MAIL":
                self._sender, self._recipients = _address(line), []
                await self._say("250 ok" if self._is_known else "530 5.7.0 Authentication required")
            case "RCPT":
                await self._say(self._recipient(_address(line)))
            case "DATA":
                return await self._take()
            case "QUIT":
                await self._say("221 bye")
                return False
            case _:
                await self._say("250 ok")
        return True

    def _recipient(self, address: str) -> str:
        if address in self._server.refuses:
            return self._server.refuses[address]
        self._recipients.append(address)
        return "250 ok"

    async def _take(self) -> bool:
        await self._say("354 go on")
        content = (await self._reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        self._server.taken.append(message_from_bytes(content, policy=default))
        self._server.envelopes.append((self._sender, tuple(self._recipients)))
        if self._server.breaks_off_after_data:
            return False
        await self._say("250 taken")
        return True

    async def _say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()


def _address(line: str) -> str:
    return line[line.index("<") + 1 : line.index(">")]


def _certificate(directory: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    of_certificate, of_key = directory / "certificate.pem", directory / "key.pem"
    of_certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    of_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(of_certificate, of_key)
    return context
