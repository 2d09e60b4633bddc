"""The sandbox's log of requests, as the benches read it: what each request was for, when it came, what became of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

CREATE: Final = "create"
READ_INVOICE: Final = "read invoice"
BOOKKEEP: Final = "bookkeep"
EMAIL: Final = "e-mail"
LIST_CONTRACTS: Final = "list contracts"
LIST_INVOICES: Final = "list invoices"
READ_CONTRACT: Final = "read contract"
TOKEN: Final = "token"  # noqa: S105 - a kind of request
OTHER: Final = "other"

_KINDS: Final = (
    (CREATE, re.compile(r"PUT /3/contracts/\d+/createinvoice")),
    (BOOKKEEP, re.compile(r"PUT /3/invoices/\d+/bookkeep")),
    (EMAIL, re.compile(r"GET /3/invoices/\d+/email")),
    (READ_INVOICE, re.compile(r"GET /3/invoices/\d+")),
    (LIST_INVOICES, re.compile(r"GET /3/invoices")),
    (READ_CONTRACT, re.compile(r"GET /3/contracts/\d+")),
    (LIST_CONTRACTS, re.compile(r"GET /3/contracts")),
    (TOKEN, re.compile(r"POST .*/token")),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Instants are Unix seconds by the sandbox's clock.

    Parameters:
      answered: when the last byte of the answer had been written; `None` when it never was.
    """

    number: int
    kind: str
    path: str
    tenant: int | None
    arrived: float
    answered: float | None
    status: int | None

    @property
    def was_refused(self) -> bool:
        """Whether it was one too many for the rate limit."""
        return self.status == 429

    @property
    def went_well(self) -> bool:
        return self.status is not None and self.status < 300


def kind_of(method: str, path: str) -> str:
    """What a request is for."""
    asked = f"{method} {path}"
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(asked)), OTHER)


def read(entries: Iterable[Mapping[str, Any]]) -> list[Request]:
    """The entries of the log in the order in which they arrived."""
    requests = [
        Request(
            entry["number"],
            kind_of(entry["method"], entry["path"]),
            entry["path"],
            entry["tenant"],
            entry["arrived"],
            entry["answered"],
            entry["status"],
        )
        for entry in entries
    ]
    return sorted(requests, key=lambda request: request.arrived)
