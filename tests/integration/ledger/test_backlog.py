"""A long backlog costs a round of the feeder nothing: each of its questions reads an index's few rows, on both
databases."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, event

from common.ledger.billing_rows import _EXPIRED, _NEXT_READY, _READY, _SEEKERS
from common.ledger.database import Ledger
from tests.integration.ledger.bulk import fill

COMPANIES, OF_EACH = 20, 1_000

LATER = 4_000_000_000_000_000
"""An instant that is long after any test."""


async def waiting(ledger: Ledger, *, not_before: int | None) -> None:
    """Twenty companies with a thousand billings each that wait."""
    await fill(ledger, dict.fromkeys(range(1, COMPANIES + 1), OF_EACH), leased_by="p", not_before=not_before)


async def explained(ledger: Ledger, statement: Executable, parameters: Mapping[str, Any]) -> str:
    """How the database carries the statement out, and what it really reads on the way where it says so."""
    how = "EXPLAIN QUERY PLAN" if ledger.is_sqlite else "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)"

    def ask(connection: Connection) -> str:
        said: list[str] = []

        def explain_first(
            _connection: Connection, cursor: Any, sql: str, given: Any, _context: Any, _many: bool
        ) -> tuple[str, Any]:
            cursor.execute(f"{how} {sql}", given)
            said.extend(str(row[-1]) for row in cursor.fetchall())
            return sql, given

        event.listen(connection, "before_cursor_execute", explain_first, retval=True)
        connection.execute(statement, parameters)
        return "\n".join(said)

    return await ledger.read(ask)


@pytest.mark.parametrize("of_some", [False, True])
@pytest.mark.parametrize("not_before", [None, 1, LATER])
async def test_what_is_ready_is_read_by_an_index_that_ends_with_the_few_that_are_asked_for(
    ledger: Ledger, not_before: int | None, of_some: bool
) -> None:
    await waiting(ledger, not_before=not_before)
    facts = {"per_tenant": 6, "producer": "p", **ledger.shift, **({"of": [1, 2, 3]} if of_some else {})}
    for statement in _READY[ledger.is_sqlite, of_some]:
        plan = await explained(ledger, statement, facts)
        assert "ix_billings_waiting" in plan, plan
        if ledger.is_sqlite:
            assert "SEARCH waiting USING INDEX ix_billings_waiting (tenant=? AND not_before" in plan
            assert "SEARCH billings USING INTEGER PRIMARY KEY" in plan
            assert "SCAN billings" not in plan
        else:
            assert "Seq Scan on billings" not in plan
            (read,) = [line for line in plan.splitlines() if "ix_billings_waiting" in line]
            assert "rows=6 " in read or "rows=0 " in read, plan


async def test_the_next_instant_and_what_is_under_way_are_found_by_an_index(ledger: Ledger) -> None:
    await waiting(ledger, not_before=LATER)
    next_ready = await explained(ledger, _NEXT_READY, {"producer": "p", **ledger.shift})
    expired = await explained(ledger, _EXPIRED, ledger.shift)
    seekers = await explained(ledger, _SEEKERS, ledger.shift)
    assert "ix_billings_waiting" in next_ready
    assert "ix_billings_under_way" in expired
    assert "ix_billings_under_way" in seekers
    for plan in (next_ready, expired, seekers):
        assert "SCAN billings" not in plan.replace("SCAN billings USING INDEX ix_billings_under_way", "")
        assert "Seq Scan on billings" not in plan
