"""/topics-v1: the websocket that announces events, with its five commands, and what can go wrong on it (API notes 8).

One connection is for all tenants whose tokens it is given, and is told of their events alone. A connection keeps a
place in each topic's log and reads on from there, so that a slow client costs no memory. What is announced is in
sandbox.topics.
"""

import asyncio
import hmac
import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any

from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field

from sandbox.auth import Tokens
from sandbox.books import World
from sandbox.faults import Faults
from sandbox.topics import TOPICS, Event

PATH = "/topics-v1"

_LOOK_AGAIN = 0.1
_FARTHEST_BACK = 3


class Drop(BaseModel):
    """A connection that goes away: once `after` more events have been sent, the one that sent the last of them."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, description="0: all connections, at once.")
    times: int = Field(1, ge=1, description="So often, counted anew each time.")
    close_frame: bool = Field(False, description="Say goodbye before; otherwise the line is cut.")


class Stream:
    """All connections of one world."""

    def __init__(self, world: World, tokens: Tokens, faults: Faults) -> None:
        self._world = world
        self._tokens = tokens
        self._faults = faults
        self._connections: dict[int, _Connection] = {}
        self._numbers = itertools.count(1)
        self._made = 0
        self._drops: list[tuple[Drop, int]] = []
        """Each with how many events are still to be sent before it strikes."""
        self._closing = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, to its end."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        number = self._made = next(self._numbers)
        connection = self._connections[number] = _Connection(request, socket, self, self._world, self._tokens)
        try:
            await connection.listen()
        finally:
            del self._connections[number]
            await connection.end()
        return socket

    async def drop(self, drop: Drop) -> None:
        if drop.after:
            self._drops.append((drop, drop.after))
            return
        for connection in list(self._connections.values()):
            await connection.drop(close_frame=drop.close_frame)

    def forget_drops(self) -> None:
        self._drops.clear()

    def strikes(self) -> Drop | None:
        """What drops the connection that has just sent an event, if anything does."""
        if not self._drops:
            return None
        drop, left = self._drops[0]
        if left > 1:
            self._drops[0] = (drop, left - 1)
            return None
        again = drop.model_copy(update={"times": drop.times - 1})
        self._drops[:1] = [(again, again.after)] if again.times else []
        return drop

    def as_json(self) -> dict[str, Any]:
        return {
            "made": self._made,
            "connections": [connection.as_json() for connection in self._connections.values()],
            "kept": self._world.topics.sizes(),
            "drops": [{**drop.model_dump(), "left": left} for drop, left in self._drops],
        }

    async def close(self) -> None:
        self._closing.set()
        for connection in list(self._connections.values()):
            await connection.drop(close_frame=True)

    async def _refused(self, request: web.Request) -> web.Response | None:
        """What a fault on the path makes of the handshake; None: nothing."""
        fault = self._faults.strike("GET", PATH, None)
        if fault is None:
            return None
        if fault.rule.kind in {"cut", "cut_after"} and request.transport is not None:
            request.transport.abort()
        if fault.rule.kind in {"delay", "hang"}:
            try:
                async with asyncio.timeout(fault.rule.seconds if fault.rule.kind == "delay" else None):
                    await self._closing.wait()
            except TimeoutError:
                return None
        return web.Response(status=429 if fault.rule.kind == "throttle" else fault.rule.status)


class _Connection:
    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, stream: Stream, world: World, tokens: Tokens
    ) -> None:
        self._request = request
        self._socket = socket
        self._stream = stream
        self._world = world
        self._tokens = tokens
        self._tenants: dict[int, str] = {}
        """The token of each, as it was sent."""
        self._places: dict[str, int] = {}
        """By topic, the number of the event that is told next."""
        self._began: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._chance = Random(0)
        self._commands: Counter[str] = Counter()
        self._sent = 0
        self._dropped = False

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.PING and self._world.behaviour.answers_pings:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                answer = self._obey(message.data)
                await asyncio.sleep(self._world.behaviour.stream_answer_delay)
                await self._say(answer)

    async def drop(self, *, close_frame: bool) -> None:
        self._dropped = True
        if close_frame:
            await self._socket.close(code=1001)
        elif self._request.transport is not None:
            self._request.transport.abort()

    async def end(self) -> None:
        self._world.topics.listening.discard(self._woken)
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def as_json(self) -> dict[str, Any]:
        return {
            "tenants": sorted(self._tenants),
            "topics": sorted(self._places),
            "subscribed": self._telling is not None,
            "commands": dict(self._commands),
            "sent": self._sent,
        }

    def _obey(self, text: str) -> dict[str, Any]:
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(given.get("command"), str):
            return {"result": "error"}
        command = given["command"]
        self._commands[command] += 1
        match command:
            case "add-tenants-v1":
                told = self._add_tenants(given)
            case "remove-tenants-v1":
                told = self._remove_tenants(given)
            case "list-tenants-v1":
                told = {"result": "ok", "tenantIds": sorted(self._tenants)}
            case "add-topics-v1":
                told = self._add_topics(given)
            case "subscribe-v1":
                told = self._subscribe()
            case _:
                told = {"result": "error"}
        return {"response": command, **told}

    def _add_tenants(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A token is good when it opens a company, for the client whose secret comes with it."""
        tokens = given.get("accessTokens")
        secret = given.get("clientSecret")
        if not isinstance(tokens, list) or not isinstance(secret, str):
            return {"result": "error"}
        tenants = {str(token): self._tenant_of(str(token), secret) for token in tokens}
        good = {token: tenant for token, tenant in tenants.items() if tenant is not None}
        invalid = [token for token, tenant in tenants.items() if tenant is None]
        if invalid and self._world.behaviour.one_invalid_token == "none_added":  # noqa: S105 - a switch
            good = {}
        self._tenants.update({tenant: token for token, tenant in good.items()})
        if invalid:
            return {"result": "error", "invalidTokens": invalid}
        return {"result": "ok", "tenantIds": good}

    def _tenant_of(self, token: str, secret: str) -> int | None:
        grant = self._tokens.check(token)
        if grant is None or grant.tenant not in self._world.companies:
            return None
        known = self._world.clients.get(grant.client, "")
        return grant.tenant if hmac.compare_digest(known.encode(), secret.encode()) else None

    def _remove_tenants(self, given: Mapping[str, Any]) -> dict[str, Any]:
        tenants = given.get("tenants")
        if not isinstance(tenants, list):
            return {"result": "error"}
        for tenant in tenants:
            self._tenants.pop(tenant, None)
        return {"result": "ok"}

    def _add_topics(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Without an offset from now on; with one from the event that has it, or from the next, by switch."""
        topics = given.get("topics")
        if not isinstance(topics, list) or not all(isinstance(topic, dict) for topic in topics):
            return {"result": "error"}
        invalid = [topic.get("topic") for topic in topics if topic.get("topic") not in TOPICS]
        if invalid:
            return {"result": "error", "invalidTopics": invalid}
        for topic in topics:
            name, offset = topic["topic"], topic.get("offset")
            log = self._world.topics
            place = log.next_number(name)
            if offset:
                place = log.find(name, str(offset))
                found = log.at(name, place)
                if self._world.behaviour.resume == "after" and found and found.as_json()["offset"] == offset:
                    place += 1
            self._places[name] = self._began[name] = place
        return {"result": "ok"}

    def _subscribe(self) -> dict[str, Any]:
        if not self._tenants or not self._places:
            return {"result": "error"}
        if self._telling is None:
            self._world.topics.listening.add(self._woken)
            self._telling = asyncio.create_task(self._tell())
        return {"result": "ok"}

    async def _tell(self) -> None:
        """Tell what there is, topic by topic, and wait for more."""
        while not self._dropped:
            self._woken.clear()
            told = False
            for topic in list(self._places):
                event = self._world.topics.at(topic, self._places[topic])
                if event is not None:
                    told = True
                    self._places[topic] = event.number + 1
                    await self._tell_one(event)
            if not told:
                await self._wait()

    async def _tell_one(self, event: Event) -> None:
        await asyncio.sleep(max(event.published + self._world.behaviour.event_delay - time.monotonic(), 0))
        if self._dropped or not self._may_hear_of(event.tenant):
            return
        await self._say(event.as_json())
        self._sent += 1
        if self._chance.random() < self._world.behaviour.event_duplicates:
            back = self._chance.randint(1, _FARTHEST_BACK)
            self._places[event.topic] = max(event.number + 1 - back, self._began[event.topic])
        drop = self._stream.strikes()
        if drop is not None:
            await self.drop(close_frame=drop.close_frame)

    def _may_hear_of(self, tenant: int) -> bool:
        token = self._tenants.get(tenant)
        if token is None:
            return False
        return self._world.behaviour.expired_token == "goes_on" or self._tokens.check(token) is not None  # noqa: S105

    async def _wait(self) -> None:
        """Until there may be more to tell; meanwhile a token may expire, which may end the connection."""
        while not self._woken.is_set() and not self._dropped:
            closes = self._world.behaviour.expired_token == "closes"  # noqa: S105 - a switch
            if closes and not all(self._tokens.check(token) for token in self._tenants.values()):
                await self.drop(close_frame=True)
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _say(self, document: Mapping[str, Any]) -> None:
        if not self._socket.closed:
            try:
                await self._socket.send_str(json.dumps(document, ensure_ascii=False, separators=(",", ":")))
            except ConnectionError:
                return
