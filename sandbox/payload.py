"""Reading request bodies: the wrapper, the field names, the types, with the codes Fortnox answers with (API notes 5.3).

Strict where Fortnox is strict, so that a client's misspelt field is found here and not in production. It must never
change state.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox import refusals
from sandbox.api import Call
from sandbox.refusals import Refusal

BLANK = "API_BLANK"
"""The literal that clears a field (API notes 2.4)."""

Read = Callable[[Any], Any]
Fields = Mapping[str, tuple[str, Read]]
"""Name on the wire: name in the books, and how its value is read."""


def wrapped(call: Call, name: str) -> dict[str, Any]:
    """The object inside `{"Name": {...}}`.

    Raises:
      Refusal: 1000031 not JSON by content type; 2002115 not JSON by syntax; 2001392 no or another wrapper.
    """
    if call.content_type.split(";")[0].strip().lower() not in {"application/json", "text/json"}:
        raise refusals.invalid(1000031, "Invalid content type")
    try:
        document = json.loads(call.body, parse_float=Decimal)
    except ValueError:
        raise refusals.invalid(2002115, "Error deserializing JSON: JSON_ERROR_SYNTAX") from None
    if not isinstance(document, dict) or not isinstance(document.get(name), dict):
        raise refusals.bad_body()
    inner: dict[str, Any] = document[name]
    return inner


def fields(given: Mapping[str, Any], known: Fields, read_only: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The values by their names in the books.

    What is read-only is passed over in silence, since clients send back what they have read.

    Raises:
      Refusal: 2001399 for a field that does not exist; 2000106, 2000108 or 2000134 for a wrong type.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in known:
            attribute, read = known[name]
            values[attribute] = read(value)
        elif name not in read_only:
            raise refusals.invalid(2001399, f"Felaktigt fältnamn ({name})")
    return values


def text(longest: int = 1024) -> Read:
    def read(value: Any) -> str:
        if value is None or value == BLANK:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise refusals.invalid(2000106, f"Värdet måste vara alfanumeriskt ({value})")
        written = str(value)
        if any(ord(sign) < 32 and sign not in "\n\r\t" for sign in written):
            raise refusals.invalid(2000359, f"Värdet innehåller ej tillåtna tecken. ({written})")
        return written[:longest]

    return read


def optional(read: Read) -> Read:
    """null stays None."""
    return lambda value: None if value is None else read(value)


def one_of(*allowed: str) -> Read:
    def read(value: Any) -> str:
        if value not in allowed:
            raise refusals.bad_body()
        return str(value)

    return read


def yes_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"true", "false"}:
        return bool(value == "true")
    raise refusals.invalid(2000134, f"Värdet måste vara en boolean ({value})")


def whole(value: Any) -> int:
    amount = money(value)
    if amount != amount.to_integral_value():
        raise _not_numeric(value)
    return int(amount)


def money(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _not_numeric(value)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise _not_numeric(value) from None
    if not amount.is_finite():
        raise _not_numeric(value)
    return amount


def day(value: Any) -> date | None:
    if value in {None, "", BLANK}:
        return None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise refusals.bad_body() from None


_EMAIL_FIELDS: Fields = {
    "EmailAddressFrom": ("sender", optional(text())),
    "EmailAddressTo": ("to", text()),
    "EmailAddressCC": ("cc", optional(text())),
    "EmailAddressBCC": ("bcc", optional(text())),
    "EmailSubject": ("subject", text(100)),
    "EmailBody": ("body", text(20000)),
}


def email(value: Any) -> dict[str, Any]:
    """EmailInformation, by the names of `books.EmailInformation`."""
    if not isinstance(value, dict):
        raise refusals.bad_body()
    return fields(value, _EMAIL_FIELDS)


def _not_numeric(value: Any) -> Refusal:
    return refusals.invalid(2000108, f"Värdet måste vara numeriskt ({value})")
