"""The websocket: its commands, what it announces, where it resumes, and what can go wrong on it."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from sandbox import topics
from sandbox.stream import Drop
from tests.integration.sandbox.listening import Line, connected, listening
from tests.sandboxes import TENANT, Sandbox

OTHER = 4712


async def priced(sandbox: Sandbox, *prices: int, tenant: int = TENANT) -> None:
    """Each price of A1 is one article-updated-v1."""
    for price in prices:
        await sandbox.put("prices/A/A1", {"Price": {"Price": price}}, tenant=tenant)


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["entityId"]) for event in events]


async def test_the_commands_are_answered_as_documented(sandbox: Sandbox) -> None:
    await sandbox.company()
    token = f"Bearer {await sandbox.token()}"
    async with connected(sandbox) as line:
        assert await line.ask("subscribe-v1") == {"response": "subscribe-v1", "result": "error"}
        assert await line.add(token.removeprefix("Bearer ")) == {
            "response": "add-tenants-v1",
            "result": "ok",
            "tenantIds": {token: TENANT},
        }
        assert await line.ask("list-tenants-v1") == {
            "response": "list-tenants-v1",
            "result": "ok",
            "tenantIds": [TENANT],
        }
        assert await line.ask("add-topics-v1", topics=[{"topic": "articles"}]) == {
            "response": "add-topics-v1",
            "result": "ok",
        }
        assert await line.ask("subscribe-v1") == {"response": "subscribe-v1", "result": "ok"}
        assert (await line.ask("remove-tenants-v1", tenants=[TENANT]))["result"] == "ok"
        assert (await line.ask("list-tenants-v1"))["tenantIds"] == []


@pytest.mark.parametrize("sent", ["no JSON", "[]", '{"command": 1}'])
async def test_what_is_no_command_is_an_error_and_the_connection_stays(sandbox: Sandbox, sent: str) -> None:
    async with connected(sandbox) as line:
        await line.socket.send_str(sent)
        assert await line.socket.receive_json() == {"result": "error"}
        assert await line.ask("other-v1") == {"response": "other-v1", "result": "error"}


async def test_there_are_no_topics_of_contracts_and_prices(sandbox: Sandbox) -> None:
    async with connected(sandbox) as line:
        wanted = [{"topic": name} for name in ("contracts", "invoices", "prices")]
        answer = await line.ask("add-topics-v1", topics=wanted)
    assert answer == {"response": "add-topics-v1", "result": "error", "invalidTopics": ["contracts", "prices"]}


@pytest.mark.parametrize(("switch", "added"), [("none_added", []), ("others_added", [TENANT])])
async def test_an_invalid_token_is_named_and_the_others_are_added_or_not_by_switch(
    sandbox: Sandbox, switch: str, added: list[int]
) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"one_invalid_token": switch})
    async with connected(sandbox) as line:
        answer = await line.add(await sandbox.token(), "made-up")
        assert answer == {"response": "add-tenants-v1", "result": "error", "invalidTokens": ["Bearer made-up"]}
        assert (await line.ask("list-tenants-v1"))["tenantIds"] == added


async def test_a_token_is_not_good_with_another_clients_secret(sandbox: Sandbox) -> None:
    await sandbox.company()
    async with connected(sandbox) as line:
        assert (await line.add(await sandbox.token(), secret="wrong"))["result"] == "error"


async def test_an_event_looks_as_recorded(sandbox: Sandbox) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-03-01T14:59:16.5", "frozen": True})
    await sandbox.company()
    async with listening(sandbox, "articles") as line:
        await priced(sandbox, 110)
        event = await line.next()
    assert event == {
        "topic": "articles",
        "offset": event["offset"],
        "type": "article-updated-v1",
        "tenantId": TENANT,
        "entityId": "A1",
        "timestamp": "2026-03-01T14:59:16.500+01:00",
    }
    assert isinstance(event["offset"], str)


async def test_articles_are_announced_from_their_making_to_their_end(sandbox: Sandbox) -> None:
    await sandbox.company()
    async with listening(sandbox, "articles") as line:
        await sandbox.call("POST", "articles", {"Article": {"ArticleNumber": "B1", "Description": "Ny"}})
        await sandbox.put("articles/B1", {"Article": {"Description": "Nyare"}})
        await sandbox.call("DELETE", "articles/B1")
        told = await line.some(3)
    assert kinds(told) == [
        ("article-created-v1", "B1"),
        ("article-updated-v1", "B1"),
        ("article-deleted-v1", "B1"),
    ]


async def test_what_happens_to_an_invoice_is_announced(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    async with listening(sandbox, "invoices") as line:
        await sandbox.put("contracts/1/createinvoice")
        await sandbox.put("invoices/1", {"Invoice": {"Comments": "x"}})
        await sandbox.put("invoices/1/bookkeep")
        await sandbox.get("invoices/1/email")
        await sandbox.put("contracts/1/createinvoice")
        await sandbox.put("invoices/2/cancel")
        told = await line.some(6)
    assert kinds(told) == [
        ("invoice-created-v1", "1"),
        ("invoice-updated-v1", "1"),
        ("invoice-bookkeep-v1", "1"),
        ("invoice-updated-v1", "1"),
        ("invoice-created-v1", "2"),
        ("invoice-cancelled-v1", "2"),
    ]


async def test_by_switch_only_invoices_written_by_hand_are_announced_as_created(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.contract()
    await sandbox.control("PATCH", "behaviour", {"created_announced": False})
    async with listening(sandbox, "invoices") as line:
        await sandbox.put("contracts/1/createinvoice")
        await sandbox.control("POST", f"companies/{TENANT}/person", {"action": "write_invoice", "customer": "1"})
        assert kinds([await line.next()]) == [("invoice-created-v1", "2")]


async def test_customers_that_are_new_or_change_are_announced(sandbox: Sandbox) -> None:
    await sandbox.company()
    async with listening(sandbox, "customers") as line:
        for number in ("1", "2"):
            await sandbox.control("PATCH", f"companies/{TENANT}", {"customers": [{"number": number}]})
        assert kinds(await line.some(2)) == [("customer-updated-v2", "1"), ("customer-created-v1", "2")]


@pytest.mark.parametrize(
    ("switch", "path", "follows"),
    [
        ("sales_price", "prices/A/A1", True),
        ("sales_price", "prices/A/A1/10", False),
        ("sales_price", "prices/B/A1", False),
        ("always", "prices/B/A1", True),
        ("never", "prices/A/A1", False),
    ],
)
async def test_whether_a_changed_price_changes_its_article_is_a_switch(
    sandbox: Sandbox, switch: str, path: str, follows: bool
) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-03-01T12:00:00", "frozen": True})
    await sandbox.company(
        price_lists=[{"code": "B"}],
        prices=[
            {"price_list": "B", "article_number": "A1", "price": "90"},
            {"article_number": "A1", "price": "80", "from_quantity": "10"},
        ],
    )
    await sandbox.control("PATCH", "behaviour", {"article_follows_price": switch})
    await sandbox.control("PUT", "clock", {"move": 60})
    async with listening(sandbox, "articles") as line:
        await sandbox.put(path, {"Price": {"Price": 110}})
        since = "lastmodified=2026-03-01 12:01:00"
        assert len((await sandbox.get(f"prices?{since}"))["Prices"]) == 1
        assert bool((await sandbox.get(f"articles?{since}"))["Articles"]) is follows
        await sandbox.put("articles/A1", {"Article": {"Note": "told last"}})
        told = await line.some(1 + follows)
        assert kinds(told) == [("article-updated-v1", "A1")] * (1 + follows)
    assert sandbox.world.topics.sizes()["articles"] == 1 + follows


async def test_only_what_happens_at_added_tenants_is_told_to_a_connection(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.company(OTHER)
    async with listening(sandbox, "articles") as line:
        await priced(sandbox, 110, tenant=OTHER)
        await priced(sandbox, 111)
        assert (await line.next())["tenantId"] == TENANT
        await line.add(await sandbox.token(OTHER))
        await line.ask("remove-tenants-v1", tenants=[TENANT])
        await priced(sandbox, 112)
        await priced(sandbox, 113, tenant=OTHER)
        assert (await line.next())["tenantId"] == OTHER


@pytest.mark.parametrize(("switch", "again"), [("at", 2), ("after", 1)])
async def test_a_topic_resumes_from_an_offset_or_after_it_by_switch(sandbox: Sandbox, switch: str, again: int) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"resume": switch})
    async with listening(sandbox, "articles") as line:
        await priced(sandbox, 110, 111)
        first, second = await line.some(2)
    await priced(sandbox, 112)
    async with listening(sandbox, ("articles", first["offset"])) as line:
        told = await line.some(again + 1)
    assert [event["offset"] for event in told][-2] == second["offset"]
    assert len({event["offset"] for event in told}) == again + 1


async def test_without_an_offset_a_topic_begins_now(sandbox: Sandbox) -> None:
    await sandbox.company()
    await priced(sandbox, 110)
    async with listening(sandbox, "articles") as line:
        await sandbox.call("DELETE", "articles/A1")
        assert (await line.next())["type"] == "article-deleted-v1"


async def test_what_is_older_than_two_weeks_is_gone_and_what_is_left_is_told_from_the_earliest_on(
    sandbox: Sandbox,
) -> None:
    await sandbox.control("PUT", "clock", {"set": "2026-03-01T12:00:00", "frozen": True})
    await sandbox.company()
    async with listening(sandbox, "articles") as line:
        await priced(sandbox, 110, 111)
        first, _ = await line.some(2)
    await sandbox.control("PUT", "clock", {"move": timedelta(days=2).total_seconds()})
    await priced(sandbox, 112)
    await sandbox.control("PUT", "clock", {"move": timedelta(days=13).total_seconds()})
    async with listening(sandbox, ("articles", first["offset"])) as line:
        told = await line.next()
        assert datetime.fromisoformat(told["timestamp"]).day == 3
        await priced(sandbox, 113)
        assert datetime.fromisoformat((await line.next())["timestamp"]).day == 16


async def test_an_offset_of_another_life_of_the_sandbox_begins_with_the_earliest(sandbox: Sandbox) -> None:
    await sandbox.company()
    await priced(sandbox, 110)
    for offset in ("nonsense", topics.offset_of(1000)):
        async with listening(sandbox, ("articles", offset)) as line:
            assert (await line.next())["offset"] == topics.offset_of(1)


async def test_the_log_of_a_topic_is_bounded(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "MOST", 20)
    for number in range(100):
        sandbox.world.topics.announce("articles", "article-updated-v1", TENANT, str(number))
    assert sandbox.world.topics.sizes()["articles"] <= 21
    newest = sandbox.world.topics.at("articles", 100)
    assert newest is not None
    assert newest.entity == "99"


def test_offsets_are_unique_and_lead_back_to_their_numbers() -> None:
    offsets = [topics.offset_of(number) for number in range(1, 5000)]
    assert len(set(offsets)) == len(offsets)
    assert [topics._number_of(offset) for offset in offsets] == list(range(1, 5000))


async def test_duplicates_go_back_by_a_few_events_of_the_topic_and_lose_none(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"event_duplicates": 0.4})
    async with listening(sandbox, "articles") as line:
        await priced(sandbox, *range(100, 150))
        told: list[str] = []
        while topics.offset_of(50) not in told:
            told.append((await line.next())["offset"])
    numbers = [topics._number_of(offset) for offset in told]
    assert set(numbers) == set(range(1, 51))
    assert len(numbers) > 50
    assert all(later - earlier in (1, 0, -1, -2) for earlier, later in pairwise(numbers))


@pytest.mark.parametrize("close_frame", [True, False])
async def test_a_connection_is_dropped_after_the_event_that_was_said(sandbox: Sandbox, close_frame: bool) -> None:
    await sandbox.company()
    async with listening(sandbox, "articles") as line:
        await sandbox.control("POST", "stream/drops", {"after": 2, "close_frame": close_frame})
        await priced(sandbox, 110, 111, 112)
        await line.some(2)
        end = await line.socket.receive()
    assert end.type is (aiohttp.WSMsgType.CLOSE if close_frame else aiohttp.WSMsgType.CLOSED)
    assert (await sandbox.control("GET", "stream"))["drops"] == []


async def test_all_connections_can_be_dropped_at_once(sandbox: Sandbox) -> None:
    await sandbox.company()
    async with listening(sandbox, "articles") as one, connected(sandbox) as other:
        await sandbox.control("POST", "stream/drops", {})
        for line in (one, other):
            assert (await line.socket.receive()).type is aiohttp.WSMsgType.CLOSED
    assert (await sandbox.control("GET", "stream"))["made"] == 2


async def test_a_drop_may_strike_again_and_be_called_off(sandbox: Sandbox) -> None:
    stream = sandbox.running.stream
    await stream.drop(Drop(after=2, times=2))
    assert [stream.strikes() is not None for _ in range(6)] == [False, True, False, True, False, False]
    await stream.drop(Drop(after=1))
    await sandbox.control("DELETE", "stream/drops")
    assert stream.strikes() is None


@pytest.mark.parametrize(("rule", "status"), [({"kind": "error", "status": 503}, 503), ({"kind": "throttle"}, 429)])
async def test_a_fault_on_its_path_refuses_the_connection(sandbox: Sandbox, rule: dict[str, Any], status: int) -> None:
    await sandbox.fault(path="/topics-v1", times=1, **rule)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await sandbox.admin.ws_connect("/topics-v1")
    assert refused.value.status == status
    async with connected(sandbox):
        pass


async def test_a_connection_may_be_cut_in_the_handshake(sandbox: Sandbox) -> None:
    await sandbox.fault(path="/topics-v1", kind="cut")
    with pytest.raises(aiohttp.ClientError):
        await sandbox.admin.ws_connect("/topics-v1")


async def ended(sandbox: Sandbox, line: Line) -> None:
    """The tenant's token runs out while the connection stands; another tenant's lives on."""
    await line.add(await sandbox.token(OTHER))
    sandbox.running.gateway.tokens.revoke(TENANT)
    sandbox._tokens.clear()


async def test_by_default_the_events_of_an_expired_token_stop_silently(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.company(OTHER)
    async with listening(sandbox, "articles") as line:
        await ended(sandbox, line)
        await priced(sandbox, 110)
        await priced(sandbox, 111, tenant=OTHER)
        assert (await line.next())["tenantId"] == OTHER
        await line.add(await sandbox.token())
        await priced(sandbox, 112)
        assert (await line.next())["tenantId"] == TENANT


async def test_an_expired_token_may_close_the_connection(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.company(OTHER)
    await sandbox.control("PATCH", "behaviour", {"expired_token": "closes"})
    async with listening(sandbox, "articles") as line:
        await ended(sandbox, line)
        assert (await line.socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_an_expired_token_may_go_on(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.company(OTHER)
    await sandbox.control("PATCH", "behaviour", {"expired_token": "goes_on"})
    async with listening(sandbox, "articles") as line:
        await ended(sandbox, line)
        await priced(sandbox, 110)
        assert (await line.next())["tenantId"] == TENANT


async def test_events_may_come_late_and_answers_too(sandbox: Sandbox) -> None:
    await sandbox.company()
    loop = asyncio.get_running_loop()
    async with listening(sandbox, "articles") as line:
        await sandbox.control("PATCH", "behaviour", {"event_delay": 0.3, "stream_answer_delay": 0.3})
        began = loop.time()
        await line.ask("list-tenants-v1")
        assert loop.time() - began >= 0.3
        await priced(sandbox, 110)
        began = loop.time()
        await line.next()
        assert loop.time() - began >= 0.2


async def test_a_ping_is_answered_unless_the_switch_is_off(sandbox: Sandbox) -> None:
    async with sandbox.admin.ws_connect("/topics-v1", autoping=False) as socket:
        await socket.ping(b"1")
        assert (await socket.receive()).type is aiohttp.WSMsgType.PONG
        await sandbox.control("PATCH", "behaviour", {"answers_pings": False})
        await socket.ping(b"2")
        await socket.send_json({"command": "list-tenants-v1"})
        assert (await socket.receive()).type is aiohttp.WSMsgType.TEXT
