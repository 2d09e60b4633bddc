"""How values look on the wire: JSON in Fortnox' dialect, the two error envelopes, and the headers of every answer.

Wire types follow recorded traffic (API notes 2.1, 5.1), not what a reader would expect. Nothing here knows about state.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.refusals import Refusal

API = "https://api.fortnox.se/3"
CENT = Decimal("0.01")
JSON_TYPE = "application/json"

_FIXED_HEADERS = {
    "Server": "Fortnox",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Build": "sandbox-1",
}


def encode(document: object) -> bytes:
    """JSON with escaped slashes, as recorded: `https:\\/\\/api.fortnox.se\\/3\\/invoices\\/18` (API notes 2.1)."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/").encode()


def headers(elapsed: float) -> dict[str, str]:
    """Headers of an answer from behind the gateway; `elapsed` is in seconds (API notes 9.3)."""
    return {**_FIXED_HEADERS, "X-Uid": secrets.token_hex(4), "X-Rack-Responsetime": str(round(elapsed * 1000))}


def envelope(refusal: Refusal, *, flipped: bool) -> dict[str, Any]:
    """404 in upper case and everything else in lower case, or the other way round (API notes 5.1)."""
    if (refusal.status == 404) != flipped:
        return {"ErrorInformation": {"Error": 1, "Message": refusal.message, "Code": refusal.code}}
    return {"ErrorInformation": {"error": 1, "message": refusal.message, "code": refusal.code}}


def number(value: Decimal) -> int | float:
    """A JSON number: whole ones without a decimal point, as recorded."""
    return int(value) if value == value.to_integral_value() else float(value)


def text_number(value: Decimal) -> str:
    """A number that Fortnox sends as a string: "1", "1.13"."""
    return str(number(value))


def day(value: date | None) -> str:
    """A date, or "" where none is set."""
    return value.isoformat() if value else ""


def day_or_null(value: date | None) -> str | None:
    return value.isoformat() if value else None


def round_cents(value: Decimal) -> Decimal:
    """Half up to two decimals, as the server does (API notes 2.1)."""
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def meta(total: int, pages: int, page: int) -> Mapping[str, int]:
    return {"@TotalResources": total, "@TotalPages": pages, "@CurrentPage": page}
