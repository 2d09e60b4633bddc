"""`avtalsmotor audit export`: the record of every change, complete, for a spreadsheet or a program to read."""

import csv
import io
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from avtalsmotor.cli.actions.audit import COLUMNS, harmless, without_addresses
from common.clock import STOCKHOLM
from common.ids import TenantId
from common.ledger import audit, tenants
from common.ledger.database import Ledger
from common.ledger.records import Billing
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT

MINE = TenantId(TENANT)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def write(ledger: Ledger, number: int = 1, **facts: Any) -> None:
    """So many entries about the company."""

    def work(connection: Connection) -> None:
        entries = [audit.entry(MINE, None, None, {}, facts)] * number
        audit.record_all(connection, ledger, facts.get("by", "anna"), "noted", entries)

    await ledger.transact(work)


async def test_every_entry_tells_what_when_on_what_by_whom_before_and_after_by_which_version(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await bureau("billings", "skip", planned[0].id, "--why", "paid in cash")
    entries = await audit.entries(ledger)
    for written in ("csv", "jsonl"):
        answer = await bureau("audit", "export", "--format", written)
        assert (answer.status, answer.err) == (0, "")
        rows: list[dict[str, Any]] = [json.loads(line) for line in answer.out.splitlines() if written == "jsonl"]
        rows = rows or [dict(row) for row in table(answer.out)]
        assert [int(row["id"]) for row in rows] == [entry.id for entry in entries]
        last = rows[-1]
        assert tuple(last) == COLUMNS
        assert (last["action"], last["tenant_name"], last["by"]) == ("skipped", "Nordlunds IT-drift AB", entries[-1].by)
        assert (str(last["tenant"]), str(last["contract"]), str(last["billing"])) == (
            str(TENANT),
            str(planned[0].contract),
            str(planned[0].id),
        )
        assert (last["period_start"], last["period_end"]) == ("2026-12-01", "2026-12-31")
        before, after = (json.loads(last[name]) if written == "csv" else last[name] for name in ("before", "after"))
        assert (before["status"], after["status"]) == ("waiting", "skipped")
        assert after["detail"] == {"why": "paid in cash"}
        assert last["version"] == audit.software_version()
        assert last["at_utc"].endswith("Z")
        assert last["at_sweden"].endswith("+01:00")
        assert datetime.fromisoformat(last["at_utc"]) == datetime.fromisoformat(last["at_sweden"]) == entries[-1].at


async def test_the_days_are_swedish_ones_and_both_are_included(shell: Shell, ledger: Ledger) -> None:
    await tenants.add(ledger, MINE, "Nordlund", "anna")
    today = ledger.clock.today()
    before, after = str(today - timedelta(days=1)), str(today + timedelta(days=1))
    assert len(table((await shell("audit", "export", "--from", str(today), "--to", str(today))).out)) == 1
    assert table((await shell("audit", "export", "--to", before)).out) == []
    assert table((await shell("audit", "export", "--from", after)).out) == []


async def test_days_in_the_wrong_order_are_refused(shell: Shell) -> None:
    answer = await shell("audit", "export", "--from", "2026-12-02", "--to", "2026-12-01")
    assert answer.status == 1
    assert "There is no day from 2026-12-02 to 2026-12-01" in answer.err


async def test_only_the_company_asked_for_is_exported(shell: Shell, ledger: Ledger) -> None:
    for number in (1, 2):
        await tenants.add(ledger, TenantId(number), f"Bolag {number}", "anna")
    assert [row["tenant_name"] for row in table((await shell("audit", "export", "--tenant", 2)).out)] == ["Bolag 2"]
    assert (await shell("audit", "export", "--tenant", 3)).status == 1


async def test_more_than_a_batch_is_exported_whole(shell: Shell, ledger: Ledger, tmp_path: Path) -> None:
    await write(ledger, 4_321)
    target = tmp_path / "record.jsonl"
    answer = await shell("audit", "export", "--format", "jsonl", "--output", str(target))
    assert (answer.status, answer.out) == (0, "")
    ids = [json.loads(line)["id"] for line in target.read_text(encoding="utf-8").splitlines()]
    assert len(ids) == 4_321
    assert ids == sorted(set(ids))


async def test_a_file_is_there_whole_or_not_at_all(
    shell: Shell, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await shell("audit", "export", "--output", str(tmp_path / "nowhere" / "record.csv"))
    assert answer.status == 1
    assert "record.csv cannot be written (No such file or directory)" in answer.err
    target = tmp_path / "record.csv"
    target.write_text("the year before")
    (tmp_path / "record.csv.unfinished").mkdir()
    assert (await shell("audit", "export", "--output", str(target))).status == 1
    assert target.read_text() == "the year before"


async def test_swedish_letters_quotes_and_lines_come_back_as_they_were(shell: Shell, ledger: Ledger) -> None:
    name = 'Åkes "Bygg", Öst\nAB'
    await tenants.add(ledger, MINE, name, "anna")
    (row,) = table((await shell("audit", "export")).out)
    assert row["tenant_name"] == name
    assert json.loads(row["after"]) == {"name": name}


@pytest.mark.parametrize("name", ["=1+1", "+46 8", "-1", "@SUM(A1)", " =1+1", "\t=1", "＝1"])
async def test_no_cell_is_a_formula(shell: Shell, ledger: Ledger, name: str) -> None:
    await tenants.add(ledger, MINE, name, "=cmd")
    (row,) = table((await shell("audit", "export")).out)
    assert row["tenant_name"] == f"'{name}"
    assert row["by"] == "'=cmd"
    as_json = json.loads((await shell("audit", "export", "--format", "jsonl")).out)
    assert as_json["tenant_name"] == name


@pytest.mark.parametrize("cell", ["", "a=b", "1-2", "2026-12-01", '{"why": "=1"}'])
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert harmless(cell) == cell


async def test_no_e_mail_address_is_exported_and_who_did_it_still_is(shell: Shell, ledger: Ledger) -> None:
    await tenants.add(ledger, MINE, "Nordlund (post@nordlund.se)", "anna.berg@byran.se")
    await write(ledger, why="asked by kalle@kund.se.", nested={"to": ["faktura@kund.se", 7]})
    for written in ("csv", "jsonl"):
        out = (await shell("audit", "export", "--format", written)).out
        assert "@" not in out
        assert "anna.berg" in out
        assert "asked by (e-mail address)." in out
        assert "7" in out


@pytest.mark.parametrize("text", ["vid @ 5 kr", "a@b", "A-kassan", ""])
def test_what_is_no_address_stays(text: str) -> None:
    assert without_addresses(text) == text


async def test_summer_time_is_told_in_swedish_time(
    shell: Shell, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    summer = datetime(2026, 7, 1, 0, 30, 30, tzinfo=STOCKHOLM)
    ledger.clock.shift += summer - ledger.clock.now()
    await tenants.add(ledger, MINE, "Nordlund", "anna")
    for day, found in ((date(2026, 7, 1), 1), (date(2026, 6, 30), 0)):
        rows = table((await shell("audit", "export", "--from", str(day), "--to", str(day))).out)
        assert len(rows) == found
    (row,) = table((await shell("audit", "export")).out)
    assert row["at_utc"].startswith("2026-06-30T22:3")
    assert row["at_sweden"].startswith("2026-07-01T00:3")
    assert row["at_sweden"].endswith("+02:00")
