"""The page on which a person agrees that a client may open a company, and the one for a request that is not in order.

A stand-in for Fortnox' login and consent, whose looks nobody is to rely on: it asks no password and loads nothing.
"""

from collections.abc import Iterable
from html import escape

from aiohttp import web

from sandbox.books import Company
from sandbox.consents import SCOPES, Asking, CannotAsk

_HEADERS = {
    "Server": "Fortnox",
    "Cache-Control": "no-store",
    # No form-action: browsers would hold it against the redirect to the client, too.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --act: #0b6b3a; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { width: min(27rem, calc(100vw - 2rem)); padding: 1rem 0 2rem; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 1rem; overflow-wrap: anywhere; }
.where { font-size: .85rem; opacity: .75; margin: 0 0 .25rem; }
label, h2 { display: block; font-size: 1rem; font-weight: 600; margin: 1.25rem 0 .35rem; }
select, button { font: inherit; padding: .55rem .8rem; border-radius: .4rem; border: 1px solid var(--line); }
select { width: 100%; background: transparent; color: inherit; }
option { color: #111; background: #fff; }
ul { margin: .25rem 0; padding-left: 1.2rem; }
code { font-size: .85em; opacity: .75; }
.answers { display: flex; gap: .75rem; margin-top: 1.75rem; }
button { flex: 1; cursor: pointer; background: transparent; color: inherit; }
button[value=approve] { background: var(--act); border-color: var(--act); color: #fff; font-weight: 600; }
:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px; }
"""


def question(asking: Asking, companies: Iterable[Company], status: int = 200) -> web.Response:
    """The page that asks; its form is sent to its own address, so that the request stays in the query string."""
    chosen = "".join(
        f'<option value="{company.tenant}">{escape(company.name)} ({escape(company.organisation_number)})</option>'
        for company in sorted(companies, key=lambda company: company.name)
    )
    scopes = "".join(f"<li>{escape(SCOPES[scope])} <code>{escape(scope)}</code></li>" for scope in asking.scopes)
    account = (
        "Ett servicekonto skapas, som inte hör till någon användare."
        if asking.service
        else "Åtkomsten ges för din användare."
    )
    return _page(
        f"{escape(asking.client)} vill ansluta till ditt företag",
        f"""<form method="post">
<label for="tenant">Företag</label>
<select id="tenant" name="tenant" required>{chosen}</select>
<h2>Får läsa och ändra</h2>
<ul>{scopes}</ul>
<p>{account} Du kan när som helst återkalla ditt godkännande.</p>
<p class="answers">
<button name="answer" value="approve">Godkänn</button>
<button name="answer" value="deny" formnovalidate>Avbryt</button>
</p>
</form>""",
        status,
    )


def refusal(refused: CannotAsk) -> web.Response:
    """For a request without an address that can be trusted. Assumed: what Fortnox shows then is not known."""
    return _page(
        "Begäran kan inte visas",
        f"<p>{escape(refused.description)}. <code>{escape(refused.error)}</code></p>"
        "<p>Gå tillbaka till programmet som skickade dig hit.</p>",
        400,
    )


def _page(title: str, content: str, status: int) -> web.Response:
    page = f"""<!doctype html>
<html lang="sv">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p class="where">Sandlåda – inte Fortnox</p>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
    return web.Response(status=status, body=page.encode(), content_type="text/html", charset="utf-8", headers=_HEADERS)
