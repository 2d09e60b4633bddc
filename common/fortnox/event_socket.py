"""One connection of Fortnox' websocket: commands with their answers, events as they come, and whether it still lives.

What goes over it holds access tokens and the client secret, and answers repeat the tokens: no frame is ever logged, nor
kept in an error. Which tenants and topics it is for is not known here (API notes 8).
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Annotated, Any

import aiohttp
import structlog
from pydantic import BeforeValidator, Field, ValidationError

from common.clock import boottime
from common.fortnox.answers import faults, read_json
from common.fortnox.models import Document, Text
from common.ids import TenantId

log = structlog.get_logger()

CONNECT_TIMEOUT = 10.0
"""Seconds for name, connection, TLS and handshake together."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a silent connection is believed in. Seconds.

    Parameters:
      ping: of silence, after which a ping is sent.
      pong: for anything to come after a ping.
      answer: for the answer to a command.
    """

    ping: float = 30.0
    pong: float = 10.0
    answer: float = 15.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in Fortnox, told at least once, in the order of its topic.

    Parameters:
      type: such as `article-updated-v1`; one that is not known is told, too.
      entity: the number of the document or article that it is about.
      offset: where in its topic it stands; opaque, unique in the topic, and what a connection resumes from.
      timestamp: `None` when it could not be understood.
    """

    topic: str
    type: str
    tenant: TenantId
    entity: str
    offset: str
    timestamp: datetime | None


class Lost(Exception):  # noqa: N818 - the design's word for what happened
    """The connection is gone, or cannot be believed in any more. Nothing is lost with it that is resumed by offset."""


def _instant(value: object) -> object:
    """An aware instant; what is none must not hide the event."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


class _Announcement(Document):
    topic: Annotated[Text, Field(min_length=1)]
    type: Text = ""
    tenant_id: int
    entity_id: Text = ""
    offset: Annotated[Text, Field(min_length=1)]
    timestamp: Annotated[datetime | None, BeforeValidator(_instant)] = None

    def event(self) -> Event:
        return Event(self.topic, self.type, TenantId(self.tenant_id), self.entity_id, self.offset, self.timestamp)


class EventSocket:
    """One connection, from `async with` on. Everything raises `Lost` once it cannot be used any more."""

    def __init__(self, session: aiohttp.ClientSession, url: str, patience: Patience) -> None:
        self._session = session
        self._url = url
        self._patience = patience
        self._receiving: asyncio.Task[aiohttp.WSMessage] | None = None
        self._events: list[Event] = []
        self._answers: list[dict[str, Any]] = []
        self._heard_at = 0.0
        self._pinged_at: float | None = None

    async def __aenter__(self) -> "EventSocket":
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                self._socket = await self._session.ws_connect(
                    self._url,
                    # Pings and pongs are seen here: they are the only signs of life of a quiet night.
                    autoping=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise Lost(f"the connection was answered with HTTP {error.status}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Lost(f"no connection: {error or type(error).__name__}") from None
        self._heard_at = boottime()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.gather(self._receiving, return_exceptions=True)
        await self._socket.close()

    async def ask(self, command: str, **given: Any) -> dict[str, Any]:
        """The answer to a command. Events that come before it are told by the next `hear`."""
        await self._send(json.dumps({"command": command, **given}))
        deadline = boottime() + self._patience.answer
        while (answer := self._answer_to(command)) is None:
            left = deadline - boottime()
            if left <= 0:
                raise Lost(f"no answer to {command}")
            await self._receive(left)
        return answer

    async def hear(self, *others: "asyncio.Future[Any]", at_most: float) -> list[Event]:
        """The events that have come; none when `others` have something to say, or after `at_most` seconds."""
        deadline = boottime() + at_most
        if self._pinged_at is not None:
            # Who asks now may have been away for long, and a pong have come meanwhile.
            self._pinged_at = boottime()
        while not self._events and not any(other.done() for other in others):
            now = boottime()
            if now >= deadline:
                break
            await self._receive(min(deadline - now, await self._keep_alive(now)), *others)
        heard, self._events = self._events, []
        return heard

    async def _keep_alive(self, now: float) -> float:
        """Asks for a sign of life when there has been none for long; returns seconds until that is to be done again."""
        if self._pinged_at is not None:
            if now >= self._pinged_at + self._patience.pong:
                raise Lost("a ping was not answered")
            return self._pinged_at + self._patience.pong - now
        if now < self._heard_at + self._patience.ping:
            return self._heard_at + self._patience.ping - now
        self._pinged_at = now
        try:
            await self._socket.ping()
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"it could not be written to: {type(error).__name__}") from None
        return self._patience.pong

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._patience.answer):
                await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Lost(f"it could not be written to: {type(error).__name__}") from None

    async def _receive(self, at_most: float, *others: "asyncio.Future[Any]") -> None:
        """Takes in one frame, if one comes in time."""
        if self._receiving is None:
            # A task of its own: a frame must not go astray because something else was to be done first.
            self._receiving = asyncio.create_task(self._socket.receive())
        await asyncio.wait({self._receiving, *others}, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
        if self._receiving.done():
            receiving, self._receiving = self._receiving, None
            await self._take(receiving.result())

    async def _take(self, message: aiohttp.WSMessage) -> None:
        self._heard_at, self._pinged_at = boottime(), None
        if message.type is aiohttp.WSMsgType.TEXT:
            self._read(message.data)
        elif message.type is aiohttp.WSMsgType.PING:
            try:
                await self._socket.pong(message.data)
            except (aiohttp.ClientError, OSError) as error:
                raise Lost(f"it could not be written to: {type(error).__name__}") from None
        elif message.type is aiohttp.WSMsgType.BINARY:
            log.warning("event_unreadable", error="a binary frame")
        elif message.type is not aiohttp.WSMsgType.PONG:
            raise Lost(f"it was closed (code {self._socket.close_code})")

    def _read(self, text: str) -> None:
        try:
            document = read_json(text.encode())
        except ValueError:
            document = None
        if not isinstance(document, dict):
            log.warning("event_unreadable", error="not a JSON object")
        elif "response" in document:
            self._answers.append(document)
        else:
            try:
                self._events.append(_Announcement.model_validate(document).event())
            except ValidationError as error:
                log.warning("event_unreadable", type=str(document.get("type"))[:80], error=faults(error))

    def _answer_to(self, command: str) -> dict[str, Any] | None:
        """The answer to the command that was asked last; what is left of others is forgotten."""
        answers, self._answers = self._answers, []
        return next((answer for answer in answers if answer["response"] == command), None)
