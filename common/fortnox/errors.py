"""What can go wrong between us and Fortnox, sorted by the one question that matters: may Fortnox have acted?

An effect that raised `Rejected` or `NotSent` certainly did nothing. After `InDoubt` nobody knows, and it must never be
repeated: what happened is found out by looking (design, section 5 rule 5).

    NotSent                  no request was made                          Fortnox has not acted
    ├── TokenError           no access token could be had
    │   ├── TokenRefused         the credentials or the tenant are not accepted
    │   └── TokenUnreachable     the token server did not answer as it should
    ├── GovernorUnreachable  Redis, which keeps the rate limit and the tokens, did not answer
    └── NoSlot               the next free slot under the rate limit is further away than the caller can wait
    FortnoxError             a request was made, or tried
    ├── Rejected                                                          Fortnox has not acted
    │   ├── Unreachable      no connection was made
    │   ├── Unauthorized     401
    │   ├── Forbidden        403
    │   ├── Missing          404
    │   ├── Throttled        429
    │   └── Invalid          400 or 422 with Fortnox' own words
    └── InDoubt                                                           Fortnox may have acted
        ├── TimedOut         the connection stood, the answer did not come in time
        ├── Broken           the connection stood, and was cut before the whole answer had come
        ├── Faulty           408, 5xx, or Fortnox' "system exception" (code 1000003)
        ├── Unreadable       answered yes, but the body cannot be read
        └── Unexpected       any other status, redirects included
"""

# ruff: noqa: N818 - the names are the design's words for what happened (section 5), not kinds of programming errors.

from common.ids import TenantId

SYSTEM_EXCEPTION = 1000003
"""Fortnox' code for a fault of its own, whatever the HTTP status (API notes 5.3)."""


class NotSent(Exception):
    """No request left for Fortnox: what was wanted may be tried again."""


class TokenError(NotSent):
    """No access token could be had for `tenant`."""

    def __init__(self, tenant: TenantId, text: str) -> None:
        super().__init__(text)
        self.tenant = tenant


class TokenRefused(TokenError):
    """Fortnox does not give this client a token for this tenant; asking again gives the same answer.

    Parameters:
      error: the OAuth error, such as `invalid_client` (API notes 5.1).
      description: Fortnox' own explanation, "" when there was none.
    """

    def __init__(self, tenant: TenantId, error: str, description: str, http_status: int | None = None) -> None:
        said = ": ".join(part for part in (error, description) if part)
        super().__init__(
            tenant,
            f"Fortnox gave no access token for tenant {tenant} ({said}). Check the client id, the client secret and the"
            " tenant id, and that the company's consent to this integration has not been withdrawn.",
        )
        self.error = error
        self.description = description
        self.http_status = http_status


class TokenUnreachable(TokenError):
    """The token server could not be reached, or did not answer as a token server does."""

    def __init__(self, tenant: TenantId, reason: str) -> None:
        super().__init__(
            tenant,
            f"No access token could be fetched for tenant {tenant} ({reason}). It is tried again by itself; check the"
            " network and the address in AVTALSMOTOR_FORTNOX_AUTH_URL if this stays.",
        )
        self.reason = reason


class GovernorUnreachable(NotSent):
    """Redis, which keeps the rate limit and the shared tokens, did not do what was asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Redis did not answer, so no request to Fortnox may be made ({reason}). Nothing is lost: work goes on when"
            " it is back; check that the server at AVTALSMOTOR_REDIS_URL is up."
        )
        self.reason = reason


class NoSlot(NotSent):
    """The next slot under the rate limit is `wait` seconds away, which is longer than the caller can wait."""

    def __init__(self, tenant: TenantId, wait: float) -> None:
        super().__init__(
            f"The next free request of tenant {tenant} under Fortnox' rate limit is {wait:.1f} s away. Nothing was"
            " reserved; come back then."
        )
        self.tenant = tenant
        self.wait = wait


class FortnoxError(Exception):
    """A request to Fortnox that did not go well. Raised as one of the kinds below.

    Parameters:
      request: method and path, such as `PUT /3/contracts/12/createinvoice`.
      http_status: `None` when no status came back.
      code: Fortnox' error code, `None` when there was none (API notes 5.3).
      message: Fortnox' own words, or what happened on the wire.
      x_uid: Fortnox' id of the answer, for its support; `None` when there was none (API notes 9.3).
    """

    happened = "could not be carried out"
    advice = "See what Fortnox shows before anything is repeated."

    def __init__(
        self,
        request: str,
        tenant: TenantId,
        *,
        http_status: int | None = None,
        code: int | None = None,
        message: str = "",
        x_uid: str | None = None,
    ) -> None:
        facts = (
            f"HTTP {http_status}" if http_status is not None else "",
            f"code {code}" if code is not None else "",
            message,
            f"X-Uid {x_uid}" if x_uid else "",
        )
        said = ", ".join(fact for fact in facts if fact)
        super().__init__(f"{request} of tenant {tenant} {self.happened} ({said}). {self.advice}")
        self.request = request
        self.tenant = tenant
        self.http_status = http_status
        self.code = code
        self.message = message
        self.x_uid = x_uid


class Rejected(FortnoxError):
    """Fortnox certainly did nothing."""

    happened = "was turned down"
    advice = "Nothing was done in Fortnox."


class Unreachable(Rejected):
    """No connection was made: refused, no such name, no TLS, or not within the time for connecting."""

    happened = "found no connection to Fortnox"
    advice = "Nothing was sent; it may be tried again."


class Unauthorized(Rejected):
    """401: the access token was not accepted. The client has dropped it; the next request fetches a new one."""

    happened = "was turned down for its access token"
    advice = "Nothing was done in Fortnox; it may be tried again with a new token."


class Forbidden(Rejected):
    """403: a scope or a licence is missing (API notes 5.2)."""

    happened = "is not allowed"
    advice = "Nothing was done in Fortnox; the company's licences and its consent to this integration decide."


class Missing(Rejected):
    """404: there is no such document."""

    happened = "asked for something that is not in Fortnox"
    advice = "Nothing was done in Fortnox."


class Throttled(Rejected):
    """429: the rate limit. The tenant is held back in every process by now; it is nobody's failed attempt.

    Parameters:
      retry_after: seconds, when Fortnox said so.
    """

    happened = "came too soon after others"
    advice = "Nothing was done in Fortnox; the tenant pauses by itself, then it may be tried again."

    def __init__(
        self,
        request: str,
        tenant: TenantId,
        *,
        retry_after: float | None = None,
        http_status: int | None = 429,
        code: int | None = None,
        message: str = "",
        x_uid: str | None = None,
    ) -> None:
        super().__init__(request, tenant, http_status=http_status, code=code, message=message, x_uid=x_uid)
        self.retry_after = retry_after


class Invalid(Rejected):
    """400 or 422 with Fortnox' own reason: the same request would be turned down again."""

    happened = "was refused by Fortnox"
    advice = "Nothing was done in Fortnox; the reason must be mended first."


class InDoubt(FortnoxError):
    """Fortnox may have acted. An effect is never repeated on this; a read may be."""

    happened = "has no certain outcome"
    advice = "Fortnox may have carried it out: look there before anything is repeated."


class TimedOut(InDoubt):
    """The request may have left, and the answer did not come in time."""

    happened = "was not answered in time"


class Broken(InDoubt):
    """The request may have left, and the connection was cut before the whole answer had come."""

    happened = "lost its connection before the answer"


class Faulty(InDoubt):
    """Fortnox, or something before it, failed: 408, 5xx, or code 1000003."""

    happened = "met a fault in Fortnox"


class Unreadable(InDoubt):
    """Fortnox said yes, but what it sent cannot be read as what was asked for."""

    happened = "was answered with something that cannot be read"


class Unexpected(InDoubt):
    """A status that this endpoint does not have: a redirect, a 2xx without a body, an answer from something else."""

    happened = "was answered in a way that Fortnox does not answer"
