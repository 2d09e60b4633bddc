"""What the database itself forbids, should all the code above it fail."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from common.ledger import audit, billings
from common.ledger.database import Ledger
from tests.integration.ledger.story import JUNE, TENANT, claimed, company, done, made, one, planned

COPIED = (
    "tenant, contract, period_start, period_end, generation, due_on, invoice_date, step, status, detail, policy, "
    "currency, customer_number, customer_name, created_at, changed_at"
)


async def execute(ledger: Ledger, statement: str, **parameters: Any) -> None:
    await ledger.transact(lambda connection: connection.execute(text(statement), parameters))


async def copy_billing(ledger: Ledger, **changes: str) -> None:
    """Another row like the first, but for the changes."""
    values = ", ".join(changes.get(name, name) for name in COPIED.split(", "))
    await execute(ledger, f"INSERT INTO billings ({COPIED}) SELECT {values} FROM billings WHERE id = 1")  # noqa: S608


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"generation": "2"},
        {"generation": "2", "status": "'done'", "step": "'create'"},
        {"period_start": "'2026-05-02'"},
    ],
    ids=["the same", "next generation while open", "next generation while not voided", "a second open create"],
)
async def test_no_second_billing_of_a_period_and_no_second_open_create_of_a_contract(
    ledger: Ledger, changes: Mapping[str, str]
) -> None:
    await company(ledger)
    await one(ledger)
    with pytest.raises(IntegrityError):
        await copy_billing(ledger, **changes)


async def test_no_invoice_number_belongs_to_two_billings(ledger: Ledger) -> None:
    await company(ledger)
    await made(ledger, await one(ledger), 101)
    (second,) = await planned(ledger, period=JUNE)
    with pytest.raises(IntegrityError):
        await execute(ledger, f"UPDATE billings SET invoice = 101 WHERE id = {second.id}")  # noqa: S608


@pytest.mark.parametrize(
    "change",
    [
        "period_start = NULL",
        "period_end = NULL",
        "period_end = '2026-04-30'",
        "step = 'bookkeep'",
        "step = 'credit'",
        "status = 'lost'",
        "status = 'claimed'",
        "status = 'claimed', token = 't', lease_until = 1, invoice = 5",
    ],
)
async def test_no_billing_stands_where_none_may(ledger: Ledger, change: str) -> None:
    await company(ledger)
    await one(ledger)
    with pytest.raises(IntegrityError):
        await execute(ledger, f"UPDATE billings SET {change}")  # noqa: S608


async def test_no_second_attempt_of_a_step_while_one_has_no_verdict(ledger: Ledger) -> None:
    await company(ledger)
    await claimed(ledger, await one(ledger))
    with pytest.raises(IntegrityError):
        await execute(
            ledger,
            "INSERT INTO attempts (billing, step, called_at, claimed_by, token_expires_at) "
            "SELECT billing, step, called_at, claimed_by, token_expires_at FROM attempts",
        )


@pytest.mark.parametrize("statement", ["UPDATE audit SET \"by\" = 'nobody'", "DELETE FROM audit"])
async def test_the_audit_can_be_neither_changed_nor_emptied(ledger: Ledger, statement: str) -> None:
    await company(ledger)
    written = await audit.entries(ledger)
    assert written
    with pytest.raises(DBAPIError, match="append-only"):
        await execute(ledger, statement)
    assert await audit.entries(ledger) == written


async def test_the_audit_cannot_be_changed_by_the_back_doors_of_its_database(ledger: Ledger) -> None:
    await company(ledger)
    written = await audit.entries(ledger)
    back_door = "INSERT OR REPLACE INTO audit SELECT * FROM audit" if ledger.is_sqlite else "TRUNCATE audit"
    with pytest.raises(DBAPIError, match="append-only"):
        await execute(ledger, back_door)
    assert await audit.entries(ledger) == written


async def test_every_change_of_state_is_audited_with_what_was_before_and_after(ledger: Ledger) -> None:
    """Each entry of a billing begins where the one before it ended."""
    await company(ledger)
    billing = await done(ledger, await one(ledger))
    written = await audit.entries(ledger, billing=billing.id)
    assert written[0].before == {}
    for earlier, later in pairwise(written):
        assert {key: earlier.after[key] for key in ("step", "status")} == {
            key: later.before[key] for key in ("step", "status")
        }
    assert {entry.tenant for entry in written} == {TENANT}
    assert all(entry.version == audit.software_version() for entry in written)
    stored = await billings.get(ledger, billing.id)
    assert stored is not None
    assert (written[-1].after["step"], written[-1].after["status"]) == (stored.step, stored.status)


async def test_a_change_that_fails_leaves_no_trace_in_the_audit(ledger: Ledger) -> None:
    await company(ledger)
    billing = await one(ledger)
    written = await audit.entries(ledger)
    with pytest.raises(billings.NotPossible):
        await billings.approve(ledger, billing.id, "anna")
    assert await audit.entries(ledger) == written


async def test_the_audit_is_read_on_from_where_one_was(ledger: Ledger) -> None:
    await company(ledger)
    await one(ledger)
    written = await audit.entries(ledger)
    assert await audit.entries(ledger, after=written[1].id) == written[2:]
    assert await audit.entries(ledger, limit=1) == written[:1]
