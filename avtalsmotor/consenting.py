"""A person's consent in the browser: the address that she opens, and the code that comes back (API notes 7).

The state ties the two together: what comes back without it was not asked for here, and is not taken.
"""

import asyncio
import hmac
from collections.abc import Collection
from html import escape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from aiohttp import web

from common.settings import Settings

SCOPES = (
    "article",
    "bookkeeping",
    "companyinformation",
    "customer",
    "invoice",
    "noxfinansinvoice",
    "price",
    "settings",
)
"""What the product reads and does (API notes 7.1); `noxfinansinvoice` only where Fakturatjänster are used."""

WAITS = 600.0
"""Seconds: a code lives no longer."""

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class ConsentFailed(Exception):  # noqa: N818 - what happened
    """There is no code to go on with. The message says why, and what to do."""


def address(settings: Settings, state: str, scopes: Collection[str], *, service: bool) -> str:
    """Where a person consents.

    Parameters:
      service: for a service account, which a system administrator of the company must approve.
    """
    asked = {
        "client_id": settings.fortnox_client_id,
        "redirect_uri": settings.fortnox_redirect_uri,
        "scope": " ".join(sorted(scopes)),
        "state": state,
        "access_type": "offline",
        "response_type": "code",
        **({"account_type": "service"} if service else {}),
    }
    return f"{settings.fortnox_auth_url}/auth?{urlencode(asked, quote_via=quote)}"


def code_of(redirect: str, state: str) -> str:
    """The code in the address that Fortnox has sent the browser to. Raises ConsentFailed."""
    query = dict(parse_qsl(urlsplit(redirect.strip()).query))
    if error := query.get("error"):
        said = query.get("error_description")
        raise ConsentFailed(
            f"Fortnox gave no consent ({error}{f': {said}' if said else ''}). Nothing was changed. Run the command"
            " again, and approve as a system administrator of the company."
        )
    if "code" not in query or "state" not in query:
        raise ConsentFailed(
            "That is not the address that Fortnox sends the browser to after the consent: it must have code= and"
            " state= in it. Nothing was changed. Copy the whole address from the browser's address field, and try"
            " again."
        )
    if not hmac.compare_digest(query["state"].encode(), state.encode()):
        raise ConsentFailed(
            "The address belongs to another consent than the one that was just begun (its state differs), so its code"
            " was not used. Nothing was changed. Run the command again, and open the new address."
        )
    return query["code"]


def is_local(settings: Settings) -> bool:
    """Whether Fortnox sends the browser to this machine."""
    parts = urlsplit(settings.fortnox_redirect_uri)
    return parts.scheme == "http" and parts.hostname in _LOCAL


class Redirect:
    """Listens for the browser on this machine alone, at the redirect address of the settings.

    Example:

      async with Redirect(settings, state) as redirect:
          code = await redirect.code()
    """

    def __init__(self, settings: Settings, state: str) -> None:
        self._parts = urlsplit(settings.fortnox_redirect_uri)
        self._state = state
        self._code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Redirect":
        """Raises ConsentFailed when the port is taken."""
        application = web.Application()
        application.router.add_get(self._parts.path or "/", self._redirected)
        # Nothing is logged: the address has the code in it.
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        host = "::1" if self._parts.hostname == "::1" else "127.0.0.1"
        port = self._parts.port or 80
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConsentFailed(
                f"Port {port} of this machine, where Fortnox is to send the browser, cannot be listened on"
                f" ({error.strerror}). Nothing was changed. End what uses it; or run the command with --paste, and"
                " paste the address that the browser ends at."
            ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def code(self) -> str:
        """Waits for the browser. Raises ConsentFailed, also when nobody has come within `WAITS`."""
        try:
            async with asyncio.timeout(WAITS):
                return await self._code
        except TimeoutError:
            raise ConsentFailed(
                f"Nobody consented within {WAITS / 60:.0f} minutes. Nothing was changed. Run the command again."
            ) from None

    async def _redirected(self, request: web.Request) -> web.Response:
        try:
            code = code_of(str(request.rel_url), self._state)
        except ConsentFailed as failed:
            # A "no" ends it. What does not belong here, such as an old tab, must not.
            if "error" in request.query and request.query.get("state") == self._state and not self._code.done():
                self._code.set_exception(failed)
            return _page("Det gick inte", str(failed), status=400)
        if not self._code.done():
            self._code.set_result(code)
        return _page("Klart", "Avtalsmotor har fått godkännandet. Fönstret kan stängas.")


def _page(heading: str, words: str, status: int = 200) -> web.Response:
    body = (
        "<!doctype html><html lang=sv><meta charset=utf-8><title>Avtalsmotor</title>"
        "<body style='font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem'>"
        f"<h1>{heading}</h1><p>{escape(words)}</p>"
    )
    return web.Response(text=body, content_type="text/html", status=status, headers={"Referrer-Policy": "no-referrer"})
