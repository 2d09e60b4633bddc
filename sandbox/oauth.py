"""OAuth2 below /oauth-v1: the consent page, tokens by each of the three grants, and revocation by the client.

Paths, parameters, lives and the errors' content types are as in API notes 5.1 and 7; what is assumed is said where it
is answered. Every answer is made without awaiting, so a refresh is one step: the old token is dead when the new one is.
"""

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from sandbox import consent_page, consents
from sandbox.auth import Tokens
from sandbox.books import World
from sandbox.consents import Asking, CannotAsk
from sandbox.traded import Code, Codes, Refresh, RefreshTokens

ROOT = "/oauth-v1/"
AUTH_PATH = f"{ROOT}auth"
TOKEN_PATH = f"{ROOT}token"
REVOKE_PATH = f"{ROOT}revoke"

_GRANTS = frozenset({"authorization_code", "refresh_token", "client_credentials"})
_SHOWN = frozenset({"client_id", "response_type", "scope", "redirect_uri", "access_type", "account_type"})


class OAuthError(Exception):
    """An OAuth refusal, with the content types really seen (API notes 5.1 nr 4)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description

    def response(self) -> web.Response:
        body = json.dumps({"error": self.error, "error_description": self.description})
        kind = "text/plain;charset=UTF-8" if self.status == 401 else "text/html; charset=UTF-8"
        return web.Response(status=self.status, body=body.encode(), headers={"Content-Type": kind, "Server": "Fortnox"})


@dataclass(slots=True, frozen=True)
class Asked:
    """A request below /oauth-v1, read to its end."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    authorization: str
    tenant_id: str
    """The header of the client credentials grant; empty: not sent."""


async def read(request: web.Request) -> Asked:
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    headers = request.headers
    return Asked(
        request.method,
        request.rel_url.raw_path,
        request.rel_url.query,
        form,
        headers.get("Authorization", ""),
        headers.get("TenantId", ""),
    )


def shown(request: web.Request) -> str:
    """The query string as the log may have it: a secret that a client puts there by mistake is left out."""
    if request.rel_url.raw_path != AUTH_PATH:
        return ""
    return urlencode([(name, value) for name, value in request.rel_url.query.items() if name in _SHOWN])


def grant_type(asked: Asked) -> str | None:
    """The grant type of a request for a token, for the log; what Fortnox does not know is `other`."""
    if asked.path != TOKEN_PATH:
        return None
    given = asked.form.get("grant_type", "")
    return given if given in _GRANTS else "other"


class OAuth:
    """The endpoints of one world."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self.codes = Codes(world.clock)
        self.refresh_tokens = RefreshTokens(world.clock)
        self._world = world
        self._tokens = tokens

    def subject(self, asked: Asked) -> tuple[str | None, int | None]:
        """The client and the tenant that a request is about, for the log and for faults; nothing is checked."""
        client = asked.query.get("client_id", "") if asked.path == AUTH_PATH else _credentials(asked)[0]
        return client if client in self._world.clients else None, self._tenant(asked)

    def answer(self, asked: Asked) -> web.Response:
        verbs = {AUTH_PATH: ("GET", "POST"), TOKEN_PATH: ("POST",), REVOKE_PATH: ("POST",)}.get(asked.path)
        if verbs is None:
            return web.Response(status=404)
        if asked.method not in verbs:
            return web.Response(status=405, headers={"Allow": ", ".join(verbs)})
        if asked.path == AUTH_PATH:
            return self._ask(asked)
        try:
            client = self._client(asked)
            answer = self._token(client, asked) if asked.path == TOKEN_PATH else self._revoke(client, asked.form)
        except OAuthError as error:
            return error.response()
        return web.json_response(answer, headers={"Server": "Fortnox", "Cache-Control": "no-store"})

    def decide(self, query: Mapping[str, str], tenant: int, *, approved: bool) -> str:
        """A person of the company answers a client's request; returns the address that the person is sent on to.

        Raises:
          CannotAsk: the request is not in order, whatever the person says.
        """
        asking = Asking.read(self._world, query)
        if not approved:
            return consents.deny(asking)
        return consents.approve(self._world, self.codes, asking, self._world.companies[tenant])

    def end(self, tenant: int) -> int:
        """End what a tenant's clients could still trade for tokens; returns how many refresh tokens there were."""
        self.codes.spend_all(lambda code: code.tenant == tenant)
        return self.refresh_tokens.spend_all(lambda refresh: refresh.tenant == tenant)

    def _ask(self, asked: Asked) -> web.Response:
        """The consent page, and the person's answer on it. Who is logged in, and as what, is not asked here."""
        try:
            asking = Asking.read(self._world, asked.query)
            if asked.method == "GET":
                return consent_page.question(asking, list(self._world))
            tenant, said = self._tenant(asked), asked.form.get("answer")
            if said == "deny" or (said == "approve" and tenant in self._world.companies):
                return _redirect(self.decide(asked.query, tenant or 0, approved=said == "approve"))
            return consent_page.question(asking, list(self._world), status=400)
        except CannotAsk as refused:
            return _redirect(refused.address) if refused.address is not None else consent_page.refusal(refused)

    def _token(self, client: str, asked: Asked) -> dict[str, object]:
        match asked.form.get("grant_type"):
            case "authorization_code":
                return self._by_code(client, asked.form)
            case "refresh_token":
                return self._by_refresh_token(client, asked.form.get("refresh_token", ""))
            case "client_credentials":
                return self._by_credentials(client, asked)
        raise OAuthError(400, "unsupported_grant_type", "The grant type is unauthorized for this client_id")

    def _by_code(self, client: str, form: Mapping[str, str]) -> dict[str, object]:
        """Single use, 10 minutes (API notes 7). Assumed: a wrong redirect_uri does not use it up."""
        value = form.get("code", "")
        agreed = self.codes.good(value)
        bad = OAuthError(400, "invalid_grant", "Auth code or ClientID supplied is invalid")
        if agreed is None or agreed.client != client or agreed.tenant not in self._world.companies:
            raise bad
        if agreed.redirect_uri is not None and form.get("redirect_uri") != agreed.redirect_uri:
            raise OAuthError(400, "invalid_grant", "The redirect_uri is not the one of the authorization request")
        if self._world.behaviour.consent_from == "code":
            consents.give(self._world, agreed)
        consent = consents.of(self._world.companies[agreed.tenant], client)
        if consent is None:
            raise bad
        self.codes.spend(value)
        scopes = agreed.scopes & consent.scopes
        answer = self._tokens.issue(client, agreed.tenant, scopes)
        if not agreed.offline:
            return answer
        return self._with_refresh_token(answer, Refresh(client, agreed.tenant, scopes, secrets.token_hex(8)))

    def _by_refresh_token(self, client: str, value: str) -> dict[str, object]:
        """Single use: the answer has its successor, and it is dead from now on (API notes 7)."""
        renewed = self.refresh_tokens.good(value)
        company = None if renewed is None else self._world.companies.get(renewed.tenant)
        consent = None if company is None else consents.of(company, client)
        if renewed is None or consent is None or renewed.client != client:
            self._suspect(client, value)
            raise OAuthError(400, "invalid_grant", "Invalid refresh token")
        self.refresh_tokens.spend(value)
        answer = self._tokens.issue(client, renewed.tenant, renewed.scopes & consent.scopes)
        return self._with_refresh_token(answer, renewed)

    def _with_refresh_token(self, answer: dict[str, object], refresh: Refresh) -> dict[str, object]:
        """40 characters, as the recorded ones have; the documentation's sample is a UUID."""
        value = self.refresh_tokens.keep(secrets.token_hex(20), refresh, self._world.behaviour.refresh_life)
        return {"access_token": answer.pop("access_token"), "refresh_token": value, **answer}

    def _suspect(self, client: str, value: str) -> None:
        known = self.refresh_tokens.known(value)
        if self._world.behaviour.reused_refresh_ends and known is not None and known.client == client:
            self.refresh_tokens.spend_all(lambda refresh: refresh.family == known.family)

    def _by_credentials(self, client: str, asked: Asked) -> dict[str, object]:
        """Needs a consent to a service account (API notes 7).

        Assumed: the errors' names, and how a tenant is told that is unknown, or has not consented to a service account.
        """
        tenant = self._tenant(asked)
        company = None if tenant is None else self._world.companies.get(tenant)
        consent = None if company is None else consents.of(company, client)
        if company is None or consent is None:
            raise OAuthError(400, "invalid_grant", "The tenant has not consented to this client")
        if not company.service_account_allowed:
            raise OAuthError(400, "unauthorized_client", "Client does not allow service account")
        if not consent.service:
            raise OAuthError(400, "invalid_grant", "The tenant has not consented to a service account")
        wanted = frozenset(asked.form.get("scope", "").split())
        if not wanted <= consent.scopes:
            raise OAuthError(400, "invalid_scope", "An unsupported scope was requested")
        return self._tokens.issue(client, company.tenant, wanted or frozenset(consent.scopes))

    def _revoke(self, client: str, form: Mapping[str, str]) -> dict[str, object]:
        """Ends a refresh token; access tokens cannot be ended, they die of age (API notes 7).

        Assumed: the consent stays; the answer is the same for a token that was dead or never lived (RFC 7009).
        """
        if form.get("token_type_hint", "refresh_token") != "refresh_token":
            raise OAuthError(400, "unsupported_token_type", "Only refresh tokens can be revoked")
        value = form.get("token", "")
        refresh = self.refresh_tokens.known(value)
        if refresh is not None and refresh.client == client:
            self.refresh_tokens.spend(value)
        return {"revoked": True}

    def _client(self, asked: Asked) -> str:
        client, secret = _credentials(asked)
        known = self._world.clients.get(client)
        if known is None or not hmac.compare_digest(known.encode(), secret.encode()):
            raise OAuthError(401, "invalid_client", "The client credentials are invalid")
        return client

    def _tenant(self, asked: Asked) -> int | None:
        """The tenant that a request names, or that its code or token is or was of."""
        form = asked.form
        known: Code | Refresh | None = None
        named = ""
        match grant_type(asked):
            case "authorization_code":
                known = self.codes.known(form.get("code", ""))
            case "refresh_token":
                known = self.refresh_tokens.known(form.get("refresh_token", ""))
            case "client_credentials":
                named = asked.tenant_id
            case None if asked.path == REVOKE_PATH:
                known = self.refresh_tokens.known(form.get("token", ""))
            case None:
                named = form.get("tenant", "")
        if known is not None:
            return known.tenant
        return int(named) if named.isdecimal() else None


def _credentials(asked: Asked) -> tuple[str, str]:
    """Client id and secret of the Basic header; empty where there is none that can be read."""
    kind, _, encoded = asked.authorization.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client, secret


def _redirect(address: str) -> web.Response:
    return web.Response(status=302, headers={"Location": address, "Server": "Fortnox", "Cache-Control": "no-store"})
