"""Digests by a signed POST, to a real receiver: what arrives, how it is verified, and what is told when it did not."""

import hashlib
import hmac
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from common.notices.channel import NotDelivered
from common.notices.webhook import SIGNATURE, Webhook
from tests.integration.notices.test_mail import DIGEST
from tests.webhooks import Receiver, receiver

SECRET = "hemligt nog"
NOW = datetime(2026, 2, 2, 0, 11, tzinfo=UTC)


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


@pytest.fixture
def webhook(there: Receiver, tmp_path: Path) -> Webhook:
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    return Webhook(SecretStr(there.url), tmp_path / "secret", lambda: NOW)


async def refusal(webhook: Webhook) -> str:
    with pytest.raises(NotDelivered) as said:
        await webhook.send(DIGEST)
    assert SECRET not in str(said.value)
    assert "a-secret-path" not in str(said.value)
    return str(said.value)


async def test_a_digest_arrives_signed_over_its_time_and_its_body(webhook: Webhook, there: Receiver) -> None:
    await webhook.send(DIGEST)
    (received,) = there.received
    stamp, _, signature = received.headers[SIGNATURE].partition(",v1=")
    # As docs/notices.md tells a receiver to do it.
    expected = hmac.new(SECRET.encode(), stamp.removeprefix("t=").encode() + b"." + received.body, hashlib.sha256)
    assert hmac.compare_digest(signature, expected.hexdigest())
    assert int(stamp.removeprefix("t=")) == int(NOW.timestamp())
    told = received.json
    assert (told["id"], told["kind"]) == ("0a1b2c3d", "new")
    assert told["new"]["items"][0]["why"] == "Dess avtal har aldrig lästs."
    assert "Dess avtal har aldrig lästs." in told["text"]


async def test_a_second_try_has_the_same_id_and_body(webhook: Webhook, there: Receiver) -> None:
    there.status = 500
    assert "answered HTTP 500" in await refusal(webhook)
    there.status = 200
    await webhook.send(DIGEST)
    assert there.received[0].body == there.received[1].body


async def test_a_redirect_is_not_followed(webhook: Webhook, there: Receiver) -> None:
    async with receiver() as elsewhere:
        there.status, there.leads_to = 307, elsewhere.url
        assert "a redirect is not followed" in await refusal(webhook)
        assert elsewhere.received == []


async def test_a_receiver_that_is_not_there_is_told_by_its_host_alone(webhook: Webhook) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        gone = replace(webhook, url=SecretStr(f"http://127.0.0.1:{port}/a-secret-path"))
        assert f"No connection to the webhook at 127.0.0.1:{port}" in await refusal(gone)
    unknown = replace(webhook, url=SecretStr("https://hooks.invalid/a-secret-path"))
    assert "host hooks.invalid is not known" in await refusal(unknown)


async def test_a_secret_that_cannot_be_read_sends_nothing_unsigned(webhook: Webhook, there: Receiver) -> None:
    assert "AVTALSMOTOR_NOTICE_WEBHOOK_SECRET_FILE is not set" in await refusal(replace(webhook, secret_file=None))
    assert there.received == []
