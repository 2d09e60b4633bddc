"""One token per tenant for all processes: fetched once, sealed, renewed in time, dropped when it is refused."""

import asyncio
import base64
import time
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr
from redis.asyncio import Redis

from common.fortnox import errors
from common.fortnox.auth import Tokens
from common.fortnox.client import Fortnox
from common.fortnox.token import Token
from common.ids import InvoiceNumber, TenantId
from tests.integration.fortnox.conftest import TENANT, Opener
from tests.integration.fortnox.wire import Wire, closed_port, says

OTHER = TenantId(1002)
SHARED = "fortnox:{client}:1001:token"
LOCK = "fortnox:{client}:1001:fetch"


def tokens_of(fortnox: Fortnox) -> Tokens:
    return fortnox.tokens


async def token(fortnox: Fortnox, tenant: TenantId = TENANT) -> Token:
    return await tokens_of(fortnox).token(tenant)


async def test_a_token_is_asked_for_as_fortnox_wants_it(fortnox: Fortnox, wire: Wire) -> None:
    await token(fortnox)

    (request,) = wire.token_requests
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
    assert request.headers["TenantId"] == "1001"
    assert request.content_type == "application/x-www-form-urlencoded"
    assert dict(await request.post()) == {"grant_type": "client_credentials"}


async def test_tasks_and_processes_that_want_a_token_at_once_share_one_fetch(opened: Opener, wire: Wire) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return web.json_response({"access_token": f"token-{len(wire.token_requests)}", "expires_in": 3600})

    wire.token_answer = slowly
    clients = [await opened() for _ in range(3)]

    tokens = await asyncio.gather(*(token(client) for client in clients for _ in range(10)))

    assert {token.value for token in tokens} == {"token-1"}
    assert len(wire.token_requests) == 1


async def test_each_tenant_has_its_own_token(fortnox: Fortnox, wire: Wire) -> None:
    assert (await token(fortnox)).value != (await token(fortnox, OTHER)).value
    assert [request.headers["TenantId"] for request in wire.token_requests] == ["1001", "1002"]


async def test_the_shared_token_cannot_be_read_in_redis(fortnox: Fortnox, redis: Redis) -> None:
    held = await token(fortnox)

    stored = await redis.get(SHARED)
    assert isinstance(stored, bytes)
    assert held.value.encode() not in stored
    assert held.value.encode() not in base64.b64decode(stored.partition(b".")[2])


async def test_the_shared_token_dies_with_its_life(fortnox: Fortnox, redis: Redis) -> None:
    await token(fortnox)

    assert 3_590_000 < await redis.pttl(SHARED) <= 3_600_000


async def test_a_token_sealed_under_another_secret_is_passed_over(opened: Opener, wire: Wire) -> None:
    await token(await opened())

    other = await token(await opened(fortnox_client_secret=SecretStr("another")))

    assert other.value == "token-2"


async def test_a_token_moved_to_another_tenant_is_passed_over(opened: Opener, wire: Wire, redis: Redis) -> None:
    await token(await opened())
    await redis.copy(SHARED, "fortnox:{client}:1002:token")

    assert (await token(await opened(), OTHER)).value == "token-2"


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"a.!!!", b"a.AAAA"])
async def test_garbage_in_place_of_the_shared_token_is_passed_over(
    fortnox: Fortnox, wire: Wire, redis: Redis, garbage: bytes
) -> None:
    await redis.set(SHARED, garbage)

    assert (await token(fortnox)).value == "token-1"


async def test_a_token_of_three_seconds_is_used_and_renewed_in_its_second_half(fortnox: Fortnox, wire: Wire) -> None:
    wire.token_life = 3
    first = await token(fortnox)
    assert (await token(fortnox)).value == first.value

    deadline = time.monotonic() + 3
    while (await token(fortnox)).value == first.value:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)

    assert first.left(fortnox._requests._clock.now()) > 0


@pytest.mark.parametrize(
    ("life", "left", "call_timeout", "fresh"),
    [
        (3600, 361, 60, True),
        (3600, 359, 60, False),
        (3600, 390, 400, False),
        (300, 61, 30, True),
        (300, 59, 30, False),
        (300, 89, 90, False),
        (100, 51, 90, True),
        (100, 49, 90, False),
        (3, 1.6, 60, True),
        (3, 1.4, 60, False),
    ],
)
async def test_a_token_is_renewed_before_it_can_run_out_in_a_call(
    fortnox: Fortnox, life: float, left: float, call_timeout: float, fresh: bool
) -> None:
    now = fortnox._requests._clock.now()
    held = Token("t", now + timedelta(seconds=left), life)

    assert (held.fresh_for(now, call_timeout) > 0) is fresh


async def test_a_permit_that_had_to_wait_carries_a_token_that_is_still_good(opened: Opener, wire: Wire) -> None:
    wire.token_life = 2
    fortnox = await opened()
    await fortnox.governor.throttle(TENANT, 1.5)

    permit = await fortnox.permit(TENANT)

    assert permit.token.value == "token-2"
    assert permit.token.left(fortnox._requests._clock.now()) > 1


async def test_a_tenant_without_a_token_spends_no_slot(fortnox: Fortnox, wire: Wire) -> None:
    wire.token_answer = says({"error": "invalid_client"}, 401)

    with pytest.raises(errors.TokenRefused):
        await fortnox.permit(TENANT)

    assert await fortnox.governor.room(TENANT, 0) == 25


async def test_a_refusal_carries_fortnox_own_words_whatever_the_content_type(fortnox: Fortnox, wire: Wire) -> None:
    async def refused(request: web.Request) -> web.StreamResponse:
        body = '{"error":"invalid_client","error_description":"The client credentials are invalid"}'
        return web.Response(text=body, status=401, content_type="text/plain")

    wire.token_answer = refused

    with pytest.raises(errors.TokenRefused, match="The client credentials are invalid") as refusal:
        await token(fortnox)

    assert (refusal.value.error, refusal.value.http_status) == ("invalid_client", 401)


async def test_a_token_that_comes_as_text_html_is_a_token(fortnox: Fortnox, wire: Wire) -> None:
    async def answered(request: web.Request) -> web.StreamResponse:
        return web.Response(text='{"access_token":"abc","expires_in":"3600"}', content_type="text/html")

    wire.token_answer = answered

    assert (await token(fortnox)).value == "abc"


@pytest.mark.parametrize(
    "answer",
    [
        says({}, 500),
        says(b"<html>", 503),
        says({}, 429),
        says({}, 302, {"Location": "/elsewhere"}),
        says(b"<html>", 403),
        says({"error": "temporarily_unavailable"}, 400),
        says({}, 200),
        says({"access_token": "a", "expires_in": "soon"}, 200),
        says({"access_token": "a", "expires_in": -1}, 200),
    ],
)
async def test_a_token_server_that_fails_is_not_a_refusal(fortnox: Fortnox, wire: Wire, answer: object) -> None:
    wire.token_answer = answer  # type: ignore[assignment]

    with pytest.raises(errors.TokenUnreachable):
        await token(fortnox)


async def test_a_token_server_that_is_not_there_is_not_a_refusal(opened: Opener) -> None:
    fortnox = await opened(fortnox_auth_url=f"http://127.0.0.1:{closed_port()}/oauth-v1")

    with pytest.raises(errors.TokenUnreachable, match="AVTALSMOTOR_FORTNOX_AUTH_URL"):
        await token(fortnox)


async def test_without_credentials_nothing_is_asked(opened: Opener, wire: Wire) -> None:
    fortnox = await opened(fortnox_client_secret=SecretStr(""))

    with pytest.raises(errors.TokenRefused, match="no client secret"):
        await token(fortnox)

    assert wire.token_requests == []


async def test_a_renewal_that_fails_leaves_the_old_token_in_use_while_it_lasts(opened: Opener, wire: Wire) -> None:
    wire.token_life = 3
    fortnox = await opened(call_timeout=0.5)
    first = await token(fortnox)
    wire.token_answer = says({}, 503)

    await asyncio.sleep(first.left(fortnox._requests._clock.now()) - 1.4)
    assert (await token(fortnox)).value == first.value
    assert len(wire.token_requests) == 2
    await asyncio.sleep(first.left(fortnox._requests._clock.now()) - 0.4)
    with pytest.raises(errors.TokenUnreachable):
        await token(fortnox)


async def test_a_refused_token_is_dropped_for_all_processes(opened: Opener, wire: Wire, redis: Redis) -> None:
    fortnox = await opened()
    wire.on("PUT", "/3/invoices/7/bookkeep", says({"message": "unauthorized"}, 401))

    with pytest.raises(errors.Unauthorized):
        await fortnox.bookkeep(await fortnox.permit(TENANT), InvoiceNumber(7))

    assert await redis.exists(SHARED) == 0
    assert (await token(fortnox)).value == "token-2"


async def test_a_refused_token_does_not_take_a_newer_one_with_it(opened: Opener, wire: Wire) -> None:
    late, early = await opened(), await opened()
    old = await token(late)
    await token(early)
    await tokens_of(early).invalidate(TENANT, old)
    newer = await token(early)

    await tokens_of(late).invalidate(TENANT, old)

    assert newer.value == "token-2"
    assert (await token(late)).value == (await token(early)).value == "token-2"
    assert len(wire.token_requests) == 2


async def test_a_process_that_died_while_fetching_blocks_nobody_for_long(
    opened: Opener, wire: Wire, redis: Redis
) -> None:
    fortnox = await opened()
    await redis.set(LOCK, "of a process that is dead", px=300)

    assert (await token(fortnox)).value == "token-1"


async def test_who_waits_for_another_process_takes_what_it_fetched(opened: Opener, wire: Wire, redis: Redis) -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def held_up(request: web.Request) -> web.StreamResponse:
        asked.set()
        await released.wait()
        return web.json_response({"access_token": "theirs", "expires_in": 3600})

    wire.token_answer = held_up
    first, second = await opened(), await opened()
    fetching = asyncio.create_task(token(first))
    await asked.wait()
    waiting = asyncio.create_task(token(second))
    released.set()

    assert {(await fetching).value, (await waiting).value} == {"theirs"}
    assert len(wire.token_requests) == 1
    assert await redis.exists(LOCK) == 0


async def test_a_caller_that_is_cancelled_leaves_the_fetch_to_the_others(fortnox: Fortnox, wire: Wire) -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def held_up(request: web.Request) -> web.StreamResponse:
        asked.set()
        await released.wait()
        return web.json_response({"access_token": "awaited", "expires_in": 3600})

    wire.token_answer = held_up
    impatient, patient = asyncio.create_task(token(fortnox)), asyncio.create_task(token(fortnox))
    await asked.wait()
    impatient.cancel()
    released.set()

    assert (await patient).value == "awaited"
    assert impatient.cancelled()
    assert len(wire.token_requests) == 1


async def test_no_token_and_no_secret_reaches_a_log_or_an_error(
    fortnox: Fortnox, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on("GET", "/3/invoices/7", says({"message": "unauthorized"}, 401))

    with pytest.raises(errors.Unauthorized) as refused:
        await fortnox.invoice(TENANT, InvoiceNumber(7))

    permit = await fortnox.permit(TENANT)
    shown = capsys.readouterr().out + str(refused.value) + repr(permit)
    assert "fortnox_request" in shown
    assert "token-" not in shown
    assert "secret" not in shown
