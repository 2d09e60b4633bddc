"""A ledger with thousands of waiting billings, filled in bulk: planning them one by one would take a test minutes."""

# ruff: noqa: S608 - what the statements are made of are the tests' own numbers

from collections.abc import Mapping

from sqlalchemy import Connection

from common.ledger.database import Ledger


async def fill(
    ledger: Ledger, waiting: Mapping[int, int], *, leased_by: str | None = None, not_before: int | None = None
) -> None:
    """Live companies, proven, each with so many creates that wait.

    Parameters:
      waiting: how many, by the company's id.
      leased_by: the producer that has the companies, for as long as any test may last.
      not_before: the instant that they wait for, in microseconds since 1970.
    """
    await ledger.transact(lambda connection: _fill(connection, ledger, waiting, leased_by, not_before))


def _fill(
    connection: Connection, ledger: Ledger, waiting: Mapping[int, int], leased_by: str | None, not_before: int | None
) -> None:
    owner = "NULL" if leased_by is None else f"'{leased_by}'"
    instant = "NULL" if not_before is None else str(not_before)
    first, last = ("'2026-01-01'", "'2026-01-31'") if ledger.is_sqlite else ("DATE '2026-01-01'", "DATE '2026-01-31'")
    statements = [
        """INSERT INTO policies (level, tenant, "key", choice, mode) VALUES ('bureau', 0, '', '{}', 'live')"""
    ]
    if leased_by is not None:
        statements.append(f"INSERT INTO producers (name, alive_until) VALUES ({owner}, 9000000000000000)")
    for tenant, billings in waiting.items():
        statements += [
            f"INSERT INTO tenants (id, name, leased_by, creates_proven) VALUES ({tenant}, 'Bolag', {owner}, true)",
            "INSERT INTO billings (tenant, contract, period_start, period_end, generation, due_on, invoice_date, step,"
            " status, detail, policy, currency, customer_number, customer_name, not_before, created_at, changed_at)"
            f" SELECT {tenant}, i, {first}, {last}, 1, {first}, {first}, 'create', 'waiting', '{{}}', '{{}}', 'SEK',"
            f" '1', 'Kund', {instant}, 1, 1 FROM {_counted(ledger, billings)}",
        ]
    for statement in statements:
        # As it is: `text` would take a colon in it for a parameter.
        connection.exec_driver_sql(statement)
    if not ledger.is_sqlite:
        connection.exec_driver_sql("ANALYZE")  # as its daemon does; SQLite has none


def _counted(ledger: Ledger, to: int) -> str:
    if ledger.is_sqlite:
        return f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) SELECT i FROM n)"
    return f"generate_series(1, {to}) AS n(i)"
