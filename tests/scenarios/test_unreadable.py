"""A contract that Fortnox shows in a way that nobody understands stands in plain sight until it can be read."""

import json

import pytest

from tests.bureau import Bureau
from tests.scenarios.companies import BJORK, monthly

FIELD = "periodstart"


async def test_a_contract_that_cannot_be_read_is_shown_with_what_is_wrong_until_it_can(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 2)
    monkeypatch.setattr("sandbox.contract_shapes.day", lambda shown: shown and str(shown))
    contract = bureau.company(BJORK).contracts[2]
    readable, contract.period_start = contract.period_start, "i vår"  # type: ignore[assignment]
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-02-01..2026-02-28 done"]
    for told in (await bureau.type("status"), await bureau.type("plan", "--no-read")):
        assert "contract 2: Fortnox shows the contract in a way that cannot be understood" in told
        assert FIELD in told
        assert "correct what is named here" in told
    (item,) = json.loads(await bureau.type("status", "--json"))["needs_person"]
    assert (item["status"], item["contracts"]) == ("unreadable", [2])
    assert [one["reason"] for one in json.loads(await bureau.type("plan", "--no-read", "--json"))][-1] == "unreadable"

    contract.period_start = readable
    bureau.at("2026-02-01 10:00")
    await bureau.work()
    assert await bureau.stands(BJORK, 2) == ["2 2026-02-01..2026-02-28 done"]
    assert "cannot be understood" not in await bureau.type("status") + await bureau.type("plan", "--no-read")


async def test_nothing_is_proved_of_a_company_with_a_contract_that_cannot_be_read(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau.at("2026-02-01 09:00")
    await monthly(bureau, 1)
    monkeypatch.setattr("sandbox.contract_shapes.day", lambda shown: shown and str(shown))
    bureau.company(BJORK).contracts[1].period_start = "i vår"  # type: ignore[assignment]
    await bureau.work()
    (proof,) = json.loads(await bureau.type("reconcile", "--json", fails=True))
    assert [(line["finding"], line["contract"]) for line in proof["lines"]] == [("unreadable", 1)]
