"""Things that pass: a token that dies, a limit that is met, a server that stumbles. Nobody notices but the log."""

import asyncio
import contextlib
import sqlite3
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.fortnox import requests
from common.fortnox.governor import Governor, governor_redis
from common.ids import TenantId
from common.ledger import billings
from common.ledger.outcomes import Refused
from common.ledger.records import Claim
from tests.bureau import Bureau, lines
from tests.scenarios.companies import BJORK, monthly, proven
from workers.steps import NO_SLOT

JANUARY_AND_FEBRUARY = """
    1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    2 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    3 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
"""


async def test_a_token_that_dies_in_mid_run_is_replaced_and_the_work_goes_on(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 3, deliver_from="09:20")
    await bureau.work()
    await bureau.sandbox.control("POST", f"companies/{BJORK}/revoke")
    bureau.at("2026-02-01 09:20")
    await bureau.work()
    assert await bureau.sandbox.requests("status=401") != []
    assert bureau.books(BJORK) == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
        3 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    """)
    assert await bureau.blocks() == []


async def test_every_effect_that_is_answered_401_once_is_made_once(bureau: Bureau) -> None:
    await proven(bureau, 3)
    for path in ("contracts/*/createinvoice", "invoices/*/bookkeep", "invoices/*/email"):
        await bureau.sandbox.fault(
            kind="error", path=f"/3/{path}", status=401, body='{"message":"unauthorized"}', times=2
        )
    await bureau.work()
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)
    assert await bureau.blocks() == []


async def test_every_effect_that_is_answered_429_is_made_once(bureau: Bureau) -> None:
    await proven(bureau, 3)
    for path in ("contracts/*/createinvoice", "invoices/*/bookkeep", "invoices/*/email", "contracts"):
        await bureau.sandbox.fault(kind="throttle", path=f"/3/{path}", times=2)
    await bureau.work()
    assert len(await bureau.sandbox.requests("status=429")) >= 8
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)
    # To be slowed down is nobody's failure.
    assert {billing.failures for billing in await bureau.billings()} == {0}


async def test_a_server_that_stumbles_on_reading_is_asked_again(bureau: Bureau) -> None:
    await proven(bureau, 3)
    for kind in ("error", "cut"):
        for path in ("contracts", "invoices", "invoices/*", "settings/lockedperiod", "financialyears"):
            await bureau.sandbox.fault(kind=kind, method="GET", path=f"/3/{path}", times=1)
    await bureau.work()
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)


async def test_contracts_that_could_not_be_listed_in_the_morning_are_invoiced_when_they_can(bureau: Bureau) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    # More often than one reading is tried.
    await bureau.sandbox.fault(kind="error", path="/3/contracts", times=10)
    await bureau.work()
    assert bureau.books(BJORK) == ["1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed"]
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_a_database_that_stood_still_has_held_up_asks_for_its_slot_again(
    bureau: Bureau, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "LATE", 0.2)
    await proven(bureau, 3)
    with capture_logs() as said:
        working = asyncio.create_task(bureau.work())
        while not working.done() and "slot_asked_for_again" not in {line["event"] for line in said}:
            await stand_still(database_url)
        await working
    assert "slot_asked_for_again" in {line["event"] for line in said}
    assert bureau.books(BJORK) == lines(JANUARY_AND_FEBRUARY)


async def test_a_call_whose_slot_has_passed_is_not_made_when_no_other_is_at_hand(
    bureau: Bureau, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await proven(bureau, 1)
    before = await bureau.calls(BJORK, "/3/contracts/1/createinvoice")
    claim = billings.claim

    async def claim_slowly(*args: Any, **facts: Any) -> Claim | Refused:
        claimed = await claim(*args, **facts)
        # Of the worker's own event loop, as nothing of the bureau's is.
        async with governor_redis(redis_url) as slots:
            await Governor(slots, bureau.settings.fortnox_client_id).throttle(TenantId(BJORK), 30)
        return claimed

    async def is_put_off() -> bool:
        return "create waiting throttled" in (await bureau.stands(BJORK, 1))[-1]

    monkeypatch.setattr(requests, "LATE", 0.0)
    monkeypatch.setattr(billings, "claim", claim_slowly)
    await bureau.work(until=is_put_off)
    [call] = await billings.attempts(bureau.ledger, (await bureau.billing(BJORK, 1)).id)
    assert (call.verdict, call.message) == ("not_sent", NO_SLOT.message)
    assert await bureau.calls(BJORK, "/3/contracts/1/createinvoice") == before


async def stand_still(sqlite_url: str) -> None:
    """Keeps the database from being written for a while, and then lets everybody write who has waited."""
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=10)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(0.4)
        connection.rollback()
    await asyncio.sleep(0.02)
