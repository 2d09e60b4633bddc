"""Each morning every company is proved by itself, and what the proof could not explain stands in plain sight."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from common.ledger import audit, proofs, tenants
from common.ledger.proofs import Kept
from producers import run
from producers.mornings import Mornings
from tests.bureau import Bureau, bureau_for
from tests.sandboxes import Sandbox
from tests.scenarios.companies import BJORK, GRAN, monthly


@pytest.fixture
async def early(
    sandbox: Sandbox, wrapper: str, database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bureau]:
    """A bureau whose proofs are made from six in the morning on."""
    monkeypatch.setattr(run, "PROVE_EVERY", 0.05)
    async with bureau_for(sandbox, redis_url, database_url, tmp_path, reconcile_from=time(6, 0)) as running:
        yield running


async def test_once_a_morning_each_company_is_proved_and_the_proof_is_kept(early: Bureau) -> None:
    early.at("2026-02-01 05:00")
    await monthly(early, 1)
    await monthly(early, 1, GRAN)
    await early.work()
    assert await kept(early) == []

    early.at("2026-02-01 06:30")
    await early.work(until=proved(early, 2))
    assert [(str(one.day), one.counts["proved"], one.lines, one.error) for one in await kept(early)] == [
        ("2026-02-01", 1, (), None)
    ] * 2
    assert sorted(one.action for one in await audit.entries(early.ledger)).count("reconciled") == 2

    asked = await early.calls(BJORK, "/3/invoices")
    early.at("2026-02-01 12:00")
    await early.work()
    assert await early.calls(BJORK, "/3/invoices") == asked
    early.at("2026-02-02 06:30")
    await early.work(until=proved(early, 2, "2026-02-02"))


async def test_what_is_due_goes_before_the_proof(early: Bureau) -> None:
    early.at("2026-02-01 06:30")
    await monthly(early, 3)
    await early.work(until=proved(early, 1))
    (newest,) = await kept(early)
    assert newest.counts["proved"] == 3


async def test_an_invoice_made_by_hand_needs_somebody_until_somebody_says_that_it_is_all_right(early: Bureau) -> None:
    early.at("2026-02-01 05:00")
    await monthly(early, 1)
    await early.work()
    early.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    early.at("2026-02-01 06:30")
    await early.work(until=proved(early, 1))
    told = await early.type("status")
    assert "HANDMADE 2026-03-01..2026-03-31: Invoice 2 of this period was made by a person" in told
    found = re.search(rf"avtalsmotor reconcile acknowledge {BJORK} (\w+) --why TEXT", told)
    assert found is not None

    await early.type("reconcile", "acknowledge", str(BJORK), found[1], "--why", "as agreed")
    assert "HANDMADE" not in await early.type("status")
    (entry,) = [one for one in await audit.entries(early.ledger) if one.action == "acknowledged"]
    assert (entry.contract, entry.after["why"], entry.before["invoices"]) == (1, "as agreed", [2])
    # The next proof finds it again, and knows that somebody has looked.
    assert "HANDMADE" not in await early.type("reconcile")
    listed = await early.type("reconcile", "--all")
    assert "HANDMADE  contract 1" in listed
    assert "as agreed" in listed


async def test_a_company_that_cannot_be_read_is_told_of_and_tried_again(
    early: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    early.at("2026-02-01 05:00")
    await monthly(early, 1)
    await early.work()
    await early.sandbox.fault(kind="error", method="GET", path="/3/invoices", status=500, tenant=BJORK)
    early.at("2026-02-01 06:30")

    async def failed() -> bool:
        return any(one.error is not None for one in await kept(early))

    await early.work(until=failed)
    (item,) = needing_a_person(await early.type("status", "--json"))
    assert item["status"] == "not_proved"
    assert "Nothing is proved of 2026-02-01 yet" in item["why"]

    await early.sandbox.control("DELETE", "faults")
    early.at("2026-02-01 06:50")
    await early.work(until=proved(early, 1))
    assert needing_a_person(await early.type("status", "--json")) == []


async def test_two_producers_make_one_proof(early: Bureau) -> None:
    early.at("2026-02-01 05:00")
    await monthly(early, 1)
    await early.work()
    everybody = await tenants.every(early.ledger)
    both = [Mornings(early.ledger, early.fortnox, time(6, 0)) for _ in range(2)]
    # At noon nobody waits for anything.
    early.at("2026-02-01 12:00")
    await asyncio.gather(*(one.prove(everybody, ()) for one in both))
    assert [one.action for one in await audit.entries(early.ledger)].count("reconciled") == 1


def needing_a_person(status: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(status)["needs_person"]
    return found


async def kept(bureau: Bureau) -> list[Kept]:
    """The newest proof of each company."""
    return await proofs.latest(bureau.ledger)


def proved(bureau: Bureau, companies: int, day: str = "") -> Any:
    """Whether so many companies have a proof, of that day if one is said."""

    async def made() -> bool:
        found = [one for one in await kept(bureau) if one.made_at is not None and day in str(one.day)]
        return len(found) == companies

    return made
