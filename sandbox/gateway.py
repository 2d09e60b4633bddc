"""The way of a request through the sandbox: log, token, rate limit, scope and licence, fault, endpoint, answer.

In that order, so that a fault strikes only what Fortnox would have acted on, and every answer's last byte is timed.
What endpoints do is not known here.
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from random import Random
from urllib.parse import unquote

from aiohttp import web

from sandbox import oauth, refusals, wire
from sandbox.api import Answer, Call, Endpoint, Router
from sandbox.auth import Grant, Tokens
from sandbox.books import CONTRACT_LICENCE, Company, World
from sandbox.consents import LICENCES
from sandbox.faults import Faults, Rule
from sandbox.journal import Entry, Journal
from sandbox.oauth import OAuth
from sandbox.ratelimit import RateLimit
from sandbox.refusals import Refusal

Act = Callable[[], Awaitable[web.Response]]

_UNAUTHORIZED = b'{"message":"unauthorized"}'
_LOOK_AGAIN = 0.005


class Gateway:
    """Everything in front of the endpoints."""

    def __init__(self, world: World, router: Router) -> None:
        self.world = world
        self.tokens = Tokens(world)
        self.oauth = OAuth(world, self.tokens)
        self.faults = Faults()
        self.journal = Journal(world.clock)
        self.limits = RateLimit(world.behaviour)
        self.closing = asyncio.Event()
        self._router = router
        self._network = Random(0)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request and note when its last byte had been written."""
        await self._travel()
        entry = self.journal.open(request.method, request.rel_url.raw_path, request.rel_url.raw_query_string)
        began = time.perf_counter()
        response = await self._respond(request, entry, began)
        if response is None:
            _cut(request)
            return web.Response(status=500)
        entry.status = response.status
        entry.uid = response.headers.get("X-Uid")
        await self._travel()
        if self.world.behaviour.date_ahead:
            response.headers["Date"] = formatdate(time.time() + self.world.behaviour.date_ahead, usegmt=True)
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            return response
        entry.answered = time.time()
        return response

    async def _respond(self, request: web.Request, entry: Entry, began: float) -> web.Response | None:
        """The answer, or None where the line is to be cut."""
        if entry.path.startswith(oauth.ROOT):
            return await self._authorize(request, entry, began)
        grant = self.tokens.check(request.headers.get("Authorization"))
        if grant is None or grant.tenant not in self.world.companies:
            return web.Response(status=401, body=_UNAUTHORIZED, content_type=wire.JSON_TYPE)
        entry.tenant, entry.client = grant.tenant, grant.client
        wait = self.limits.admit(grant.client, grant.tenant)
        if wait is not None:
            return self._throttled(wait, began)
        body = await request.read()

        async def act() -> web.Response:
            return self._act(request, grant, body, began)

        return await self._act_or_fail(request, entry, act, began)

    async def _authorize(self, request: web.Request, entry: Entry, began: float) -> web.Response | None:
        """OAuth: no token, no rate limit, no scope; nothing secret is written into the log."""
        entry.query = oauth.shown(request)
        asked = await oauth.read(request)
        entry.grant = oauth.grant_type(asked)
        entry.client, entry.tenant = self.oauth.subject(asked)

        async def act() -> web.Response:
            return self.oauth.answer(asked)

        return await self._act_or_fail(request, entry, act, began)

    async def _act_or_fail(self, request: web.Request, entry: Entry, act: Act, began: float) -> web.Response | None:
        """Act, unless a fault strikes; then as the rule says."""
        fault = self.faults.strike(entry.method, entry.path, entry.tenant)
        if fault is None:
            return await act()
        rule = fault.rule
        entry.fault, entry.rule = rule.kind, fault.id
        match rule.kind:
            case "throttle":
                return self._throttled(self.world.behaviour.window, began)
            case "error":
                return await self._faulty(request, rule, began)
            case "cut":
                return None
            case "hang":
                await self._caller_gone(request, None)
                return None
            case "delay":
                await self._pause(rule.seconds)
            case "act_late":
                await self._caller_gone(request, rule.seconds)
                await self._pause(rule.linger)
        response = await act()
        match rule.kind:
            case "error_after":
                return await self._faulty(request, rule, began)
            case "cut_after":
                return None
            case "hang_after":
                await self._caller_gone(request, None)
                return None
        return response

    async def _faulty(self, request: web.Request, rule: Rule, began: float) -> web.Response:
        body = (await request.read()).decode(errors="replace")
        sent = json.dumps(f"{request.headers.get('Authorization', '')} {body}")[1:-1]
        message, whole = (text and text.replace("{sent}", sent) for text in (rule.message, rule.body))
        return self._refused(Refusal(rule.status, rule.code, message or ""), began, whole)

    def _act(self, request: web.Request, grant: Grant, body: bytes, began: float) -> web.Response:
        company = self.world.companies[grant.tenant]
        try:
            answer = self._call(request, company, grant, body)
        except Refusal as refusal:
            return self._refused(refusal, began)
        content = answer.raw if answer.document is None else wire.encode(answer.document)
        response = web.Response(status=answer.status, body=content or None, headers=wire.headers(_since(began)))
        if content:
            response.headers["Content-Type"] = answer.content_type
        return response

    def _call(self, request: web.Request, company: Company, grant: Grant, body: bytes) -> Answer:
        segments = [unquote(part) for part in request.rel_url.raw_path.strip("/").split("/")]
        if len(segments) < 2 or segments[0] != "3":
            raise refusals.missing("resursen", self.world.behaviour.code("resource_missing"))
        endpoint, arguments, known = self._router.find(request.method, segments[1:])
        if endpoint is None:
            if not known:
                raise refusals.missing("resursen", self.world.behaviour.code("resource_missing"))
            noun = "faktura" if segments[1] == "invoices" else segments[1]
            raise refusals.placeholder(
                self.world.behaviour, "wrong_action", f"Felaktig action på {noun} ({request.method})."
            )
        self._check(endpoint, company, grant, request.headers.get("Accept", "*/*"))
        return endpoint.act(
            Call(
                self.world,
                company,
                arguments,
                request.rel_url.query,
                body,
                request.headers.get("Content-Type", ""),
            )
        )

    def _check(self, endpoint: Endpoint, company: Company, grant: Grant, accept: str) -> None:
        """Scope, licence, and an Accept that can be met (API notes 5.3, 7.1)."""
        if endpoint.scope not in company.scopes or endpoint.scope not in grant.scopes:
            raise refusals.forbidden(2000663, "Har inte behörighet för scope")
        if not company.integration_licence:
            raise refusals.forbidden(2001103, "Api-licens saknas.")
        needed = LICENCES.get(endpoint.scope)
        if needed is not None and not needed & company.licences:
            raise refusals.no_licence()
        if endpoint.contract_feature and CONTRACT_LICENCE not in company.licences:
            behaviour = self.world.behaviour
            raise Refusal(behaviour.feature_status, behaviour.code("feature_missing"), "Feature inte tillgänglig")
        if not endpoint.pdf and not any(part in accept for part in ("json", "*/*", "application/*")):
            raise refusals.invalid(1000030, "Invalid response type")

    def _refused(self, refusal: Refusal, began: float, body: str | None = None) -> web.Response:
        flipped = self.world.behaviour.flip_envelopes
        content = wire.encode(wire.envelope(refusal, flipped=flipped)) if body is None else body.encode()
        response = web.Response(status=refusal.status, body=content, headers=wire.headers(_since(began)))
        response.headers["Content-Type"] = wire.JSON_TYPE
        return response

    def _throttled(self, wait: float, began: float) -> web.Response:
        """429, reason phrase `Too Many Requests`, and by default nothing else (API notes 6)."""
        body = self.world.behaviour.throttle_body.encode()
        headers = {**wire.headers(_since(began)), **self.limits.headers(wait)}
        return web.Response(status=429, reason="Too Many Requests", body=body or None, headers=headers)

    async def _travel(self) -> None:
        """One way over the network, where the behaviour has a latency. Requests may overtake each other on it."""
        median = self.world.behaviour.latency
        if median > 0:
            await self._pause(self._network.lognormvariate(math.log(median), self.world.behaviour.latency_sigma))

    async def _caller_gone(self, request: web.Request, longest: float | None) -> None:
        """Wait until the caller has closed the connection, the sandbox closes, or `longest` seconds have passed."""
        deadline = None if longest is None else time.monotonic() + longest
        while request.transport is not None and not request.transport.is_closing() and not self.closing.is_set():
            if deadline is not None and time.monotonic() >= deadline:
                return
            await self._pause(_LOOK_AGAIN)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.closing.wait()
        except TimeoutError:
            return


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _since(began: float) -> float:
    return time.perf_counter() - began
