"""The client that both alternatives share: a token, a request, and an error for a 429. Standard library only."""

import base64
import http.client
import json
import threading
from typing import Any
from urllib.parse import urlencode, urlsplit

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - the sandbox's public one


class Throttled(Exception):  # noqa: N818 - what happened
    """429: too many requests."""


class Fortnox:
    """One company's access, with a connection of its own for each thread."""

    def __init__(self, url: str, tenant: int) -> None:
        self._address = urlsplit(url).netloc
        self._tenant = tenant
        self._token: str | None = None
        self._local = threading.local()
        self._lock = threading.Lock()

    def call(self, method: str, path: str) -> Any:
        """The document of the answer. Raises Throttled, OSError or HTTPException."""
        return self._request(method, f"/3/{path}", {"Authorization": f"Bearer {self._access_token()}"})

    def create_invoice(self, contract: int) -> int:
        """Returns the number of the new invoice."""
        return int(self.call("PUT", f"contracts/{contract}/createinvoice")["Invoice"]["DocumentNumber"])

    def active_contracts(self) -> list[int]:
        """The numbers of the active contracts."""
        numbers: list[int] = []
        page, pages = 1, 1
        while page <= pages:
            listed = self.call("GET", f"contracts?filter=active&limit=500&page={page}")
            numbers += [int(row["DocumentNumber"]) for row in listed["Contracts"]]
            pages = int(listed["MetaInformation"]["@TotalPages"])
            page += 1
        return numbers

    def _access_token(self) -> str:
        with self._lock:
            if self._token is None:
                secret = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
                form = urlencode({"grant_type": "client_credentials"})
                headers = {
                    "Authorization": f"Basic {secret}",
                    "TenantId": str(self._tenant),
                    "Content-Type": "application/x-www-form-urlencoded",
                }
                self._token = str(self._request("POST", "/oauth-v1/token", headers, form)["access_token"])
            return self._token

    def _request(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Any:
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            connection.close()
            raise
        if answer.status == 429:
            raise Throttled
        if answer.status >= 400:
            raise http.client.HTTPException(f"{answer.status} on {method} {path}: {content.decode()}")
        return json.loads(content) if content else None

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._address, timeout=30)
        connection: http.client.HTTPConnection = self._local.connection
        return connection
