"""Digests by a signed POST.

The header `Avtalsmotor-Signature: t=SECONDS,v1=HEX` holds the HMAC-SHA256, under the shared secret, of the seconds, a
point, and the body's bytes. The body's `id` is the same in a second try. The address, which is often a secret itself,
and the secret stand in no log or error.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from common.notices import words
from common.notices.channel import NotDelivered, read_secret
from common.notices.channels import WEBHOOK
from common.notices.digest import Digest

SIGNATURE = "Avtalsmotor-Signature"

_TIMES_OUT = aiohttp.ClientTimeout(total=20.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Digests to this address.

    Parameters:
      now: the instant that is signed, so that a receiver can refuse what is sent again long after.
    """

    url: SecretStr
    secret_file: Path | None
    now: Callable[[], datetime]

    @property
    def name(self) -> str:
        return WEBHOOK

    @property
    def where(self) -> str:
        parts = urlsplit(self.url.get_secret_value())
        return parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"  # type: ignore[return-value]

    async def send(self, digest: Digest) -> str | None:
        secret = read_secret(self.secret_file, "AVTALSMOTOR_NOTICE_WEBHOOK_SECRET_FILE", "secret of the webhook")
        body = body_of(digest)
        headers = {"Content-Type": "application/json", SIGNATURE: sign(secret, body, self.now())}
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMES_OUT) as session,
                # Redirected, the message would go where nobody has said that it may.
                session.post(self.url.get_secret_value(), data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except aiohttp.ClientConnectorCertificateError as error:
            raise NotDelivered(
                f"The certificate of {self.where} is not trusted"
                f" ({getattr(error.certificate_error, 'verify_message', '') or 'it could not be verified'})."
                " Check AVTALSMOTOR_NOTICE_WEBHOOK_URL; for a certificate authority of your own name its file in"
                " SSL_CERT_FILE."
            ) from None
        except aiohttp.ClientConnectorDNSError:
            raise NotDelivered(
                f"The webhook's host {self.where} is not known. Check AVTALSMOTOR_NOTICE_WEBHOOK_URL."
            ) from None
        except aiohttp.ClientConnectorError as error:
            raise NotDelivered(
                f"No connection to the webhook at {self.where} came about ({error.strerror or 'no answer'})."
                " Check that it is up, and AVTALSMOTOR_NOTICE_WEBHOOK_URL."
            ) from None
        except TimeoutError:
            raise NotDelivered(
                f"The webhook at {self.where} did not answer in time, so it may have the message or not. It must"
                " answer 2xx at once, and do its work afterwards."
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Without its words, which may have the whole address.
            raise NotDelivered(
                f"The webhook at {self.where} gave no readable answer ({type(error).__name__}), so it may have the"
                " message or not. See what is at that address."
            ) from None
        if 300 <= status < 400:
            raise NotDelivered(
                f"The webhook at {self.where} answered HTTP {status}, and a redirect is not followed. Set"
                " AVTALSMOTOR_NOTICE_WEBHOOK_URL to the address that it leads to."
            )
        if not 200 <= status < 300:
            raise NotDelivered(
                f"The webhook at {self.where} answered HTTP {status}. See its log; where it does not take the"
                " signature, that both sides have the same secret."
            )
        return None


def body_of(digest: Digest) -> bytes:
    """The digest as JSON, with its subject and its text."""
    said = {**digest.model_dump(mode="json"), "subject": words.subject(digest), "text": words.text(digest)}
    return json.dumps(said, ensure_ascii=False).encode()


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The value of the signature's header."""
    seconds = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
