"""What an answer of Fortnox means: its error, if it is one, or the document in its envelope. Pure; calls nothing.

The one rule that must hold: what is not surely a refusal is `InDoubt` (design, section 5 rule 5).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from common.fortnox.errors import (
    SYSTEM_EXCEPTION,
    Faulty,
    Forbidden,
    FortnoxError,
    Invalid,
    Missing,
    Throttled,
    Unauthorized,
    Unexpected,
    Unreadable,
)
from common.ids import TenantId

LONGEST_PAUSE = 600.0
"""Seconds; a `Retry-After` beyond this is taken for a mistake."""

REFUSALS: Mapping[int, type[Unauthorized | Forbidden | Missing | Throttled]] = {
    401: Unauthorized,
    403: Forbidden,
    404: Missing,
    429: Throttled,
}
"""The statuses that say by themselves that nothing was done, whatever the body."""

Value = TypeVar("Value")
Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Read(Generic[Value]):
    """What was read, and when the request began that returned it: how fresh it is counts from there (design 6)."""

    value: Value
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Reply(Generic[Value]):
    """Fortnox' yes to an effect. `read_at` is when the request began; `x_uid` is for Fortnox' support."""

    value: Value
    http_status: int
    x_uid: str | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A yes of Fortnox, its body read as JSON."""

    request: str
    tenant: TenantId
    http_status: int
    body: dict[str, Any]
    x_uid: str | None
    started_at: datetime

    def unreadable(self, reason: str) -> Unreadable:
        """The error that the answer is when it cannot be understood."""
        return Unreadable(self.request, self.tenant, http_status=self.http_status, message=reason, x_uid=self.x_uid)

    def document(self, envelope: str, model: type[Document]) -> Document:
        """The document in its envelope. Raises: `Unreadable`."""
        body = member(self.body, envelope)
        if body is None:
            raise self.unreadable(f"no {envelope} in the answer")
        try:
            return model.model_validate(body)
        except ValidationError as error:
            raise self.unreadable(f"{envelope}: {faults(error)}") from error

    def reply(self, envelope: str, model: type[Document]) -> Reply[Document]:
        """The answer as the yes to an effect. Raises: `Unreadable`."""
        return Reply(self.document(envelope, model), self.http_status, self.x_uid, self.started_at)


def without(content: bytes, *secrets: str) -> bytes:
    """A body that says no, without what the request carried: a gateway may say again what it was sent, and the words of
    a no are logged, kept and shown."""
    for secret in filter(None, secrets):
        content = content.replace(secret.encode(), b"***")
    return content


def classify(
    request: str,
    tenant: TenantId,
    http_status: int,
    content: bytes,
    headers: Mapping[str, str],
) -> FortnoxError | None:
    """The error that an answer is; `None` for a yes (200, 201).

    Parameters:
      request: method and path.
      content: the whole body, b"" when it could not be had.
    """
    if http_status in (200, 201):
        return None
    x_uid = headers.get("X-Uid")
    said = fortnox_error(content)
    code, message = said if said is not None else (None, _other_message(content))
    if http_status == 429:
        return Throttled(
            request,
            tenant,
            retry_after=retry_after(headers),
            http_status=http_status,
            code=code,
            message=message,
            x_uid=x_uid,
        )
    kind: type[FortnoxError] = Unexpected
    if http_status in (408, *range(500, 600)) or (code == SYSTEM_EXCEPTION and http_status != 401):
        kind = Faulty
    elif http_status in REFUSALS:
        kind = REFUSALS[http_status]
    elif http_status in (400, 422) and said is not None:
        kind = Invalid
    return kind(request, tenant, http_status=http_status, code=code, message=message, x_uid=x_uid)


def fortnox_error(content: bytes) -> tuple[int | None, str] | None:
    """Code and message of Fortnox' own error envelope; `None` when the body is not one.

    The keys come in upper and in lower case, the code as number or string, and some services send words in its place
    (API notes 5.1): then it is `None`, and the message stands.
    """
    try:
        body = read_json(content)
    except ValueError:
        return None
    information = member(body, "ErrorInformation") if isinstance(body, dict) else None
    if not isinstance(information, dict):
        return None
    message, code = member(information, "message"), member(information, "code")
    if message is None and code is None:
        return None
    try:
        number = int(code)
    except (TypeError, ValueError):
        number = None
    return number, str(message or code)


def _other_message(content: bytes) -> str:
    """What a gateway says in place of Fortnox: `{"message":"unauthorized"}` (API notes 5.1)."""
    try:
        body = read_json(content)
    except ValueError:
        return ""
    message = member(body, "message") if isinstance(body, dict) else None
    return message[:200] if isinstance(message, str) else ""


def read_json(content: bytes) -> Any:
    """The body as JSON with its decimals exactly as sent. Raises: `ValueError`."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def member(body: Mapping[str, Any], name: str) -> Any:
    """The value of `name` whatever the case of the keys; `None` when it is not there."""
    if name in body:
        return body[name]
    return next((value for key, value in body.items() if key.lower() == name.lower()), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `Retry-After` in either of its forms; a date is taken relative to the answer's own."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers["Date"])).total_seconds()
        except (KeyError, TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE) if math.isfinite(seconds) else None


def faults(error: ValidationError) -> str:
    """Which fields are wrong and why, without their values, which may be anybody's address."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
