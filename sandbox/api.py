"""What an endpoint is: a method, a path, a scope, and a plain function from a call to an answer.

Endpoint functions never await, so each one is atomic: it refuses before it changes anything, or does the whole of what
it does. Authorization, rate limits, faults and headers are the server's and must not creep in here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.books import By, Company, World


@dataclass(slots=True, frozen=True)
class Call:
    """One authorized request. `path` holds the decoded path arguments, `body` the raw bytes."""

    world: World
    company: Company
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    content_type: str
    by: By = By.API


@dataclass(slots=True, frozen=True)
class Answer:
    """A JSON document, or bytes of another type; `document` None with 204 means no body at all."""

    document: dict[str, Any] | None
    status: int = 200
    raw: bytes = b""
    content_type: str = "application/json"


Handler = Callable[[Call], Answer]


@dataclass(slots=True, frozen=True)
class Endpoint:
    method: str
    segments: tuple[str, ...]
    """Path below /3, an argument in braces."""
    scope: str
    act: Handler
    contract_feature: bool = False
    """Needs the module Avtalsfakturering."""
    pdf: bool = False


@dataclass(slots=True)
class Router:
    """Endpoints by path; knows the difference between an unknown path and a wrong verb."""

    _by_shape: dict[tuple[str, int], list[Endpoint]] = field(default_factory=dict)

    def add(
        self, method: str, path: str, scope: str, act: Handler, *, contract_feature: bool = False, pdf: bool = False
    ) -> None:
        segments = tuple(path.split("/"))
        endpoint = Endpoint(method, segments, scope, act, contract_feature, pdf)
        self._by_shape.setdefault((segments[0], len(segments)), []).append(endpoint)

    def find(self, method: str, segments: list[str]) -> tuple[Endpoint | None, dict[str, str], bool]:
        """The endpoint, its path arguments, and whether the path exists at all.

        Literal segments win over arguments, so `prices/sublist/A/1` is not taken for a price of list "sublist".
        """
        known = False
        best: tuple[int, Endpoint] | None = None
        for endpoint in self._by_shape.get((segments[0], len(segments)), ()):
            literals = _literals(endpoint.segments, segments)
            if literals < 0:
                continue
            known = True
            if endpoint.method == method and (best is None or literals > best[0]):
                best = (literals, endpoint)
        if best is None:
            return None, {}, known
        arguments = {
            part[1:-1]: given for part, given in zip(best[1].segments, segments, strict=True) if part.startswith("{")
        }
        return best[1], arguments, True


def _literals(template: tuple[str, ...], segments: list[str]) -> int:
    literals = 0
    for part, given in zip(template, segments, strict=True):
        if part.startswith("{"):
            continue
        if part != given:
            return -1
        literals += 1
    return literals
