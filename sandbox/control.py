"""The control API under /_sandbox/: what a test, a benchmark or the demo asks that Fortnox would not answer.

Never limited, never faulted, never logged. Everything here is the sandbox's own; a client under test must not use it.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sandbox import consents, finance, making, person
from sandbox.books import Company, Delivery, World
from sandbox.consents import CannotAsk
from sandbox.faults import Rule, path_pattern
from sandbox.gateway import Gateway
from sandbox.journal import Entry
from sandbox.refusals import Refusal
from sandbox.stream import Drop, Stream

Handler = Callable[[web.Request], Awaitable[web.Response]]


class ClockChange(BaseModel):
    """Freezing comes first, so that the instant set is exact; then `set`, then `move`, and running on comes last."""

    model_config = ConfigDict(extra="forbid")

    set: datetime | None = Field(None, description="An instant; without a zone it is Stockholm's wall clock.")
    move: float | None = Field(None, description="Seconds; negative goes back.")
    frozen: bool | None = None


class Seed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    companies: int = Field(12, ge=1)
    scale: float = Field(1.0, gt=0)


class Answer(BaseModel):
    """A person's answer on the consent page."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="The address that the client sends the person to; its query string is what counts.")
    approve: bool = True


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    consent: bool | None = Field(None, description="False: the consents end, and the refresh tokens with them.")
    refresh: bool = Field(False, description="End the refresh tokens, though the consents stay.")


class Client(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: str | None = None
    redirect_uri: str | None = None


class Control:
    """The control endpoints of one world."""

    def __init__(self, gateway: Gateway, stream: Stream) -> None:
        self._gateway = gateway
        self._stream = stream
        self._world: World = gateway.world

    def add_to(self, app: web.Application) -> None:
        add = app.router.add_route
        for method, path, handler in (
            ("GET", "state", self.state),
            ("GET", "requests", self.requests),
            ("DELETE", "requests", self.forget_requests),
            ("GET", "faults", self.faults),
            ("POST", "faults", self.add_fault),
            ("DELETE", "faults", self.clear_faults),
            ("DELETE", "faults/{id}", self.remove_fault),
            ("GET", "clock", self.clock),
            ("PUT", "clock", self.change_clock),
            ("GET", "behaviour", self.behaviour),
            ("PATCH", "behaviour", self.change_behaviour),
            ("POST", "seed", self.seed),
            ("GET", "wishes", self.wishes),
            ("GET", "summary", self.summary),
            ("POST", "companies", self.add_company),
            ("PATCH", "companies/{tenant}", self.change_company),
            ("POST", "companies/{tenant}/person", self.act_as_person),
            ("POST", "companies/{tenant}/consent", self.consent),
            ("POST", "companies/{tenant}/revoke", self.revoke),
            ("PUT", "clients/{client}", self.register_client),
            ("GET", "outbox", self.outbox),
            ("GET", "stream", self.stream),
            ("POST", "stream/drops", self.drop_connections),
            ("DELETE", "stream/drops", self.forget_drops),
        ):
            add(method, f"/_sandbox/{path}", _guarded(handler))
        add("*", "/_sandbox/{path:.*}", _unknown)

    async def state(self, request: web.Request) -> web.Response:
        """The whole world, or one company with ?tenant=."""
        for company in self._world:
            finance.ripen(self._world, company)
        if "tenant" in request.query:
            return _json(_dump(self._company(request.query["tenant"])))
        return _json({"companies": {str(company.tenant): _dump(company) for company in self._world}})

    async def requests(self, request: web.Request) -> web.Response:
        """The log. Filters: tenant, method, path (a glob), status, grant (of a request for a token), fault, since (Unix
        s), after (number), limit."""
        query = request.query
        wanted = path_pattern(query.get("path", "**"))
        chosen = [entry for entry in self._gateway.journal if _matches(entry, query) and wanted.fullmatch(entry.path)]
        limit = int(query.get("limit", len(chosen)))
        return _json({"requests": [entry.as_json() for entry in chosen[-limit:] if limit]})

    async def forget_requests(self, _: web.Request) -> web.Response:
        self._gateway.journal.clear()
        return web.Response(status=204)

    async def faults(self, _: web.Request) -> web.Response:
        return _json({"faults": [fault.as_json() for fault in self._gateway.faults.all()]})

    async def add_fault(self, request: web.Request) -> web.Response:
        fault = self._gateway.faults.add(Rule.model_validate(await request.json()))
        return _json(fault.as_json(), 201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._gateway.faults.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        known = self._gateway.faults.remove(int(request.match_info["id"]))
        return web.Response(status=204 if known else 404)

    async def clock(self, _: web.Request) -> web.Response:
        clock = self._world.clock
        return _json(
            {
                "now": clock.now().isoformat(),
                "today": clock.today().isoformat(),
                "frozen": clock.frozen,
                "ahead": round(clock.ahead(), 3),
            }
        )

    async def change_clock(self, request: web.Request) -> web.Response:
        change = ClockChange.model_validate(await request.json())
        clock = self._world.clock
        if change.frozen:
            clock.freeze()
        if change.set is not None:
            clock.set(change.set)
        if change.move is not None:
            clock.move(timedelta(seconds=change.move))
        if change.frozen is False:
            clock.run()
        return await self.clock(request)

    async def behaviour(self, _: web.Request) -> web.Response:
        return _json(self._world.behaviour.model_dump(mode="json"))

    async def change_behaviour(self, request: web.Request) -> web.Response:
        """All of it or none; placeholder codes are merged."""
        change: dict[str, Any] = await request.json()
        current = self._world.behaviour.model_dump()
        if isinstance(change.get("placeholder_codes"), dict):
            change["placeholder_codes"] = {**current["placeholder_codes"], **change["placeholder_codes"]}
        checked = type(self._world.behaviour).model_validate({**current, **change})
        for name in change:
            setattr(self._world.behaviour, name, getattr(checked, name))
        return await self.behaviour(request)

    async def seed(self, request: web.Request) -> web.Response:
        """Replaces the companies; answers what each of them wishes of the product."""
        from sandbox import story  # the story is long to load, and only wanted when asked for

        asked = Seed.model_validate(await request.json())
        story.seed(self._world, asked.number, companies=asked.companies, scale=asked.scale)
        return await self.wishes(request)

    async def wishes(self, _: web.Request) -> web.Response:
        from sandbox import story

        return _json({"companies": story.story_wishes(self._world)})

    async def summary(self, _: web.Request) -> web.Response:
        from sandbox import summary

        for company in self._world:
            finance.ripen(self._world, company)
        return _json(summary.summarise(self._world))

    async def add_company(self, request: web.Request) -> web.Response:
        return _json(_dump(making.make_company(self._world, await request.json())), 201)

    async def change_company(self, request: web.Request) -> web.Response:
        company = self._company(request.match_info["tenant"])
        return _json(_dump(making.change_company(self._world, company, await request.json())))

    async def act_as_person(self, request: web.Request) -> web.Response:
        company = self._company(request.match_info["tenant"])
        return _json(person.do(self._world, company, person.Deed.model_validate(await request.json())), 201)

    async def consent(self, request: web.Request) -> web.Response:
        """Answer on the consent page in a person's place; tells the address that the person would be sent back to."""
        company = self._company(request.match_info["tenant"])
        said = Answer.model_validate(await request.json())
        query = dict(parse_qsl(urlsplit(said.url).query, keep_blank_values=True))
        try:
            address = self._gateway.oauth.decide(query, company.tenant, approved=said.approve)
        except CannotAsk as refused:
            if refused.address is None:
                raise ValueError(f"{refused.error}: {refused.description}.") from None
            address = refused.address
        return _json({"redirect": address})

    async def revoke(self, request: web.Request) -> web.Response:
        """End what opens the company: its access tokens always, and its refresh tokens if told so."""
        company = self._company(request.match_info["tenant"])
        told = Revocation.model_validate(await request.json() if request.can_read_body else {})
        if told.consent is False:
            consents.withdraw(company)
        elif told.consent:
            company.consented = True
        renewable = self._gateway.oauth.end(company.tenant) if told.refresh or told.consent is False else 0
        ended = self._gateway.tokens.revoke(company.tenant)
        return _json({"revoked": ended, "refresh_tokens": renewable, "consent": company.consented})

    async def register_client(self, request: web.Request) -> web.Response:
        """Add or change a client as in the developer portal; null takes its registered address away."""
        client = request.match_info["client"]
        told = Client.model_validate(await request.json())
        if told.secret is not None:
            self._world.clients[client] = told.secret
        if client not in self._world.clients:
            raise LookupError(f"There is no client {client!r} in the sandbox; give it a `secret` to add it.")
        if told.redirect_uri is not None:
            self._world.redirect_uris[client] = told.redirect_uri
        elif "redirect_uri" in told.model_fields_set:
            self._world.redirect_uris.pop(client, None)
        return _json({"client": client, "redirect_uri": self._world.redirect_uris.get(client)})

    async def outbox(self, request: web.Request) -> web.Response:
        """Everything sent, oldest first within each company; ?tenant= for one."""
        wanted = request.query.get("tenant")
        companies = [self._company(wanted)] if wanted is not None else list(self._world)
        sent = [
            {"tenant": company.tenant, **_delivery_adapter().dump_python(delivery, mode="json")}
            for company in companies
            for delivery in company.outbox
        ]
        return _json({"outbox": sent})

    async def stream(self, _: web.Request) -> web.Response:
        """The websocket's connections, how many there have been, and how many events are kept."""
        return _json(self._stream.as_json())

    async def drop_connections(self, request: web.Request) -> web.Response:
        await self._stream.drop(Drop.model_validate(await request.json()))
        return await self.stream(request)

    async def forget_drops(self, _: web.Request) -> web.Response:
        self._stream.forget_drops()
        return web.Response(status=204)

    def _company(self, tenant: str) -> Company:
        company = self._world.companies.get(int(tenant))
        if company is None:
            raise LookupError(f"There is no company {tenant} in the sandbox; it has {sorted(self._world.companies)}.")
        return company


def _guarded(handler: Handler) -> Handler:
    """Turn what a caller can do wrong into an answer that says what to do."""

    async def guarded(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ValidationError as error:
            return _json({"error": json.loads(error.json(include_url=False, include_context=False))}, 400)
        except Refusal as refusal:
            return _json({"error": refusal.message, "code": refusal.code, "status": refusal.status}, 409)
        except LookupError as error:
            return _json({"error": str(error)}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return guarded


async def _unknown(request: web.Request) -> web.Response:
    return _json({"error": f"The control API has no {request.method} {request.path}; see sandbox/control.py."}, 404)


def _matches(entry: Entry, query: Any) -> bool:
    return (
        ("tenant" not in query or entry.tenant == int(query["tenant"]))
        and ("method" not in query or entry.method == query["method"].upper())
        and ("status" not in query or str(entry.status) == query["status"])
        and ("grant" not in query or entry.grant == query["grant"])
        and ("fault" not in query or entry.fault == query["fault"])
        and ("since" not in query or entry.arrived >= float(query["since"]))
        and ("after" not in query or entry.number > int(query["after"]))
    )


@cache
def _company_adapter() -> TypeAdapter[Company]:
    return TypeAdapter(Company)


@cache
def _delivery_adapter() -> TypeAdapter[Delivery]:
    return TypeAdapter(Delivery)


def _dump(company: Company) -> dict[str, Any]:
    dumped: dict[str, Any] = _company_adapter().dump_python(company, mode="json")
    return dumped


def _json(document: object, status: int = 200) -> web.Response:
    return web.json_response(document, status=status)
