"""Consents: what a client asks a company for, whether it may ask so, and what a person's answer changes.

The documented part is in API notes 7. Nobody has published how Fortnox refuses a bad request for consent: here it is as
RFC 6749 has it, and the licence check is as integrators tell of it. Nothing here knows of HTTP or HTML.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode, urlsplit

from sandbox.books import Company, Consent, World
from sandbox.traded import Code, Codes

SCOPES = {
    "archive": "Arkivplats",
    "article": "Artiklar",
    "assets": "Anläggningsregister",
    "bookkeeping": "Bokföring",
    "companyinformation": "Företagsinformation",
    "connectfile": "Filkopplingar",
    "costcenter": "Kostnadsställen",
    "currency": "Valutor",
    "customer": "Kunder",
    "inbox": "Inkorg",
    "invoice": "Fakturor och avtal",
    "noxfinansinvoice": "Fakturatjänster",
    "offer": "Offerter",
    "order": "Order",
    "payment": "Betalningar",
    "price": "Priser",
    "print": "Utskriftsmallar",
    "profile": "Användarprofil",
    "project": "Projekt",
    "salary": "Lön",
    "settings": "Inställningar",
    "supplier": "Leverantörer",
    "supplierinvoice": "Leverantörsfakturor",
    "timereporting": "Tidredovisning",
}
"""The scopes that can be asked for (API notes 7.1), with Swedish names of our own."""

_SALES = frozenset({"Kundfaktura", "Order"})
LICENCES = {
    "invoice": _SALES,
    "noxfinansinvoice": frozenset({"Kundfaktura"}),
    "article": _SALES,
    "price": _SALES,
    "customer": _SALES,
    "bookkeeping": frozenset({"Bokföring", "Kundfaktura"}),
}
"""Any one of these licences will do for a scope; scopes not named need none (API notes 7.1)."""

_HERE = frozenset({"localhost", "127.0.0.1"})


class CannotAsk(Exception):  # noqa: N818 - a refusal
    """A request for consent that is not answered with a code.

    Parameters:
      address: where the person is sent back to; None: there is no address to trust, and the person is told.
    """

    def __init__(self, error: str, description: str, address: str | None = None) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.address = address


@dataclass(slots=True, frozen=True)
class Asking:
    """A client's request for a company's consent, found to be in order."""

    client: str
    scopes: tuple[str, ...]
    state: str
    back_to: str
    redirect_uri: str | None
    """As the client gave it; the code must be traded under the same."""
    offline: bool
    service: bool

    @classmethod
    def read(cls, world: World, query: Mapping[str, str]) -> Self:
        """The request in a query string.

        Raises:
          CannotAsk: with an address once the client and its redirect address are known good.
        """
        client = query.get("client_id", "")
        if client not in world.clients:
            raise CannotAsk("invalid_client", "The client_id is missing or unknown")
        given, state = query.get("redirect_uri") or None, query.get("state", "")
        back_to = _registered(world.redirect_uris.get(client), given)
        scopes = tuple(dict.fromkeys(query.get("scope", "").split()))

        def refuse(error: str, description: str) -> CannotAsk:
            return CannotAsk(error, description, _refused(back_to, error, description, state))

        if not state:
            raise refuse("invalid_request", "The parameter state is missing")
        if query.get("response_type") != "code":
            raise refuse("unsupported_response_type", "The parameter response_type has to be code")
        if not scopes or not SCOPES.keys() >= set(scopes):
            raise refuse("invalid_scope", "An unsupported scope was requested")
        if query.get("access_type") not in (None, "", "offline"):
            raise refuse("invalid_request", "The parameter access_type has to be offline")
        if query.get("account_type") not in (None, "", "service"):
            raise refuse("invalid_request", "The parameter account_type has to be service")
        offline, service = query.get("access_type") == "offline", query.get("account_type") == "service"
        return cls(client, scopes, state, back_to, given, offline, service)


def approve(world: World, codes: Codes, asking: Asking, company: Company) -> str:
    """A person of the company agrees; returns where the person is sent on to, with a code unless Fortnox refuses."""
    if asking.service and not company.service_account_allowed:
        return _refused(asking.back_to, "unauthorized_client", "Client does not allow service account", asking.state)
    if any(scope in LICENCES and not LICENCES[scope] & company.licences for scope in asking.scopes):
        description = "The customer has no licence for a scope that was asked for"
        return _refused(asking.back_to, "error_missing_license", description, asking.state)
    agreed = Code(
        asking.client, company.tenant, frozenset(asking.scopes), asking.redirect_uri, asking.offline, asking.service
    )
    if world.behaviour.consent_from == "approval":
        give(world, agreed)
    code = codes.keep(str(uuid.uuid4()), agreed, world.behaviour.code_life)
    return _with(asking.back_to, code=code, state=asking.state)


def deny(asking: Asking) -> str:
    """The person does not agree; returns where the person is sent on to."""
    return _refused(asking.back_to, "access_denied", "The user denied the request", asking.state)


def give(world: World, agreed: Code) -> None:
    """The consent that a code stands for is in force from now on, and replaces the client's earlier one."""
    company = world.companies[agreed.tenant]
    if not company.consented:
        company.consents.clear()
    elif not company.consents:
        company.consents = {client: Consent(set(company.scopes), service=True) for client in world.clients}
    company.consents[agreed.client] = Consent(set(agreed.scopes), agreed.service, world.clock.now())
    company.consented = True
    company.scopes = set().union(*(consent.scopes for consent in company.consents.values()))


def of(company: Company, client: str) -> Consent | None:
    """What the company agrees to for the client now; `scopes` of the company bounds it for every client."""
    if not company.consented:
        return None
    if not company.consents:
        return Consent(set(company.scopes), service=True)
    consent = company.consents.get(client)
    return None if consent is None else Consent(consent.scopes & company.scopes, consent.service, consent.at)


def withdraw(company: Company) -> None:
    """A person ends the consents to all clients in Fortnox."""
    company.consented = False
    company.consents.clear()


def _registered(registered: str | None, given: str | None) -> str:
    """The address to send a person back to; raises CannotAsk without one."""
    if registered is not None and given in (None, registered):
        return registered
    if registered is None and given is not None and _is_here(given):
        return given
    raise CannotAsk("invalid_request", "The redirect_uri is missing, or is not the one registered for the client")


def _is_here(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "http" and parts.hostname in _HERE and parts.port != 0 and not parts.fragment
    except ValueError:
        return False


def _refused(back_to: str, error: str, description: str, state: str) -> str:
    return _with(back_to, error=error, error_description=description, **({"state": state} if state else {}))


def _with(address: str, **parameters: str) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(parameters)}"
