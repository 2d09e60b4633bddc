"""The report of a run: what went out on a day, in number and kronor, and how it adds up to Fortnox."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

from common.ids import TenantId
from common.ledger import runs
from common.rules.runs import Part
from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, GRAN, monthly, proven

FREE = [{"article_number": "A1", "quantity": "1", "price": "0"}]


async def shown(bureau: Bureau, *, fails: bool = False, check: bool = True) -> dict[str, Any]:
    words = ["runs", "show", "--tenant", str(BJORK), "--json", *(["--check"] if check else [])]
    found: dict[str, Any] = json.loads(await bureau.type(*words, fails=fails))
    return found


async def test_a_run_tells_what_was_due_and_done_that_day_in_number_and_kronor(bureau: Bureau) -> None:
    await proven(bureau, 2)
    await bureau.sandbox.contract(BJORK, period_start="2026-02-01", period_end="2026-02-28", rows=FREE)
    await monthly(bureau, 1, GRAN)
    await bureau.work()
    listed = json.loads(await bureau.type("runs", "list", "--json"))
    assert [one["tenant"] for one in listed] == [BJORK, GRAN]
    run = listed[0]
    assert run["due"]["SEK"]["number"] == 3
    assert run["made"] == run["booked"] == run["delivered"] == {"SEK": {"number": 2, "with_vat": "250.00"}}
    assert run["made_net"] == {"SEK": {"amount": "200.00", "not_known_of": 0}}
    assert run["held"]["SEK"]["number"] == 1
    assert run["parked"] == run["in_doubt"] == run["waiting"] == {}
    assert run["began_at"] < run["ended_at"]
    told = await bureau.type("runs", "list")
    assert "250.00 SEK" in told
    january = json.loads(await bureau.type("runs", "list", "--day", "2026-01-01", "--json"))
    assert [one["made"]["SEK"]["number"] for one in january] == [2]
    assert "Nothing was due or done on 2026-01-15" in await bureau.type("runs", "list", "--day", "2026-01-15")


async def test_what_is_approved_the_next_day_is_made_in_that_day_s_run(bureau: Bureau) -> None:
    await monthly(bureau, 1)
    await bureau.sandbox.contract(BJORK, period_start="2026-02-01", period_end="2026-02-28", rows=FREE)
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    bureau.at("2026-02-02 09:00")
    await bureau.approve(BJORK, 2)
    await bureau.work()
    first, second = [
        (await runs.of_day(bureau.ledger, date(2026, 2, day), TenantId(BJORK)))[0].figures for day in (1, 2)
    ]
    assert [first.number(part) for part in (Part.DUE, Part.MADE, Part.HELD)] == [2, 1, 0]
    assert [second.number(part) for part in (Part.DUE, Part.MADE, Part.HELD)] == [0, 1, 0]
    assert second.parts[Part.MADE]["SEK"].amount == Decimal(0)


async def test_a_run_adds_up_to_fortnox_until_a_person_changes_cancels_or_adds_an_invoice(bureau: Bureau) -> None:
    await proven(bureau, 3, bookkeep=False, deliver="none")
    await bureau.work()
    beside = (await shown(bureau))["beside_fortnox"]
    assert (beside["adds_up"], beside["read_now"]) == (True, True)
    assert beside["made_by_us"] == beside["in_fortnox"] == {"SEK": {"number": 3, "with_vat": "375.00"}}

    company = bureau.company(BJORK)
    made = sorted(number for number, one in company.invoices.items() if str(one.invoice_date) == "2026-02-01")
    bureau.in_fortnox(BJORK, "cancel", invoice=made[0])
    bureau.in_fortnox(BJORK, "create_invoice", contract=2, invoice_date="2026-02-01")
    company.invoices[made[2]].total += Decimal(100)
    beside = (await shown(bureau, fails=True))["beside_fortnox"]
    assert [(one["kind"], one["invoice"]) for one in beside["differences"]] == [
        ("cancelled", made[0]),
        ("changed", made[2]),
        ("by_hand", made[2] + 1),
    ]
    assert beside["in_fortnox"] == {"SEK": {"number": 3, "with_vat": "475.00"}}
    told = await bureau.type("runs", "show", "--tenant", str(BJORK), "--check", fails=True)
    assert f"Invoice {made[0]} of contract" in told
    assert "somebody cancelled it" in told
    assert "made at 125.00 SEK, now 225.00 SEK" in told
    # Nothing is read for it without being asked.
    assert (await shown(bureau, check=False))["beside_fortnox"]["adds_up"] is True
