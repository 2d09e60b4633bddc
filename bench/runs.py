"""A bureau's months of invoices in the ledger: what the report of a day costs, and what needs a person.

Counted are the report of a quiet day, of the first of the month, when a share of all contracts is due at once, of one
company, and the reading of what needs somebody, which the producer does every minute for the notices.
"""

# ruff: noqa: S608 - what the statements are made of are the bench's own numbers

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from bench.figures import Figure, Figures
from bench.ledgers import DATABASES, postgresql
from common.clock import STOCKHOLM, Clock
from common.ids import TenantId
from common.ledger import runs, tenants
from common.ledger.database import Ledger, open_ledger
from common.matters import reading
from common.rules.periods import add_months

FIRST_TENANT = 100_000
NEEDING_A_PERSON = 1_000
"""One billing in so many is held or parked."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contracts", type=int, default=400_000, help="in all (%(default)s)")
    parser.add_argument("--companies", type=int, default=2_000, help="(%(default)s)")
    parser.add_argument("--months", type=int, default=3, help="that were invoiced (%(default)s)")
    parser.add_argument("--on-the-first", type=int, default=50, help="percent of the contracts (%(default)s)")
    parser.add_argument("--on", choices=DATABASES, help="one of the databases only")


async def run(options: argparse.Namespace) -> Figures:
    figures: dict[str, Figure] = {}
    for database in (options.on,) if options.on else DATABASES:
        async with AsyncExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avtalsmotor-bench-")))
            url = f"sqlite:///{home / 'ledger.sqlite3'}"
            if database == "postgresql":
                url = f"{(await postgresql(stack, '--on sqlite')).url}/postgres"
            ledger = await open_ledger(url, home, Clock(), migrate=True)
            stack.push_async_callback(ledger.close)
            first = ledger.clock.today().replace(day=1)
            await ledger.transact(partial(_fill, ledger=ledger, options=options, first=first))
            if not ledger.is_sqlite:
                # PostgreSQL's daemon does so by itself, but not at once; the product never asks SQLite to.
                await ledger.transact(lambda connection: connection.exec_driver_sql("ANALYZE"))
            for name, part in _parts(ledger, first).items():
                seconds = []
                for _ in range(3):
                    began = time.perf_counter()
                    found = await part()
                    seconds.append(time.perf_counter() - began)
                figures |= {f"{database}_{name}": found, f"{database}_{name}_s": round(min(seconds), 3)}
    return figures


def _parts(ledger: Ledger, first: date) -> dict[str, Callable[[], Awaitable[int]]]:
    async def quiet_day() -> int:
        return len(await runs.of_day(ledger, first + timedelta(days=9)))

    async def first_of_month() -> int:
        return len(await runs.of_day(ledger, first))

    async def one_company() -> int:
        return len(await runs.billings_of(ledger, TenantId(FIRST_TENANT + 1), first))

    async def matters() -> int:
        return len(await reading.read(ledger, await tenants.every(ledger), await ledger.now(), 300.0))

    return {"quiet_day": quiet_day, "first_of_month": first_of_month, "one_company": one_company, "matters": matters}


def _fill(connection: Connection, ledger: Ledger, options: argparse.Namespace, first: date) -> None:
    """By the database itself, from nothing but numbers: each contract made, booked and sent, month by month."""
    each = options.contracts // options.companies
    run = connection.exec_driver_sql

    def day(value: date) -> str:
        return f"'{value}'" if ledger.is_sqlite else f"DATE '{value}'"

    run(
        f"INSERT INTO tenants (id, name, creates_proven, listed_at) SELECT {FIRST_TENANT} + i, 'Bolag', true,"
        f" {_micro(datetime.now(UTC))} FROM {_counted(ledger, options.companies)}"
    )
    run(
        "INSERT INTO contracts (tenant, number, customer_number, customer_name, status, continuous, period_start,"
        " period_end, currency, read_at, \"interval\") SELECT tenants.id, n.i, '1', 'Kund', 'ACTIVE', true,"
        f" {day(add_months(first, 1))}, {day(add_months(first, 2) - timedelta(days=1))}, 'SEK', 1, 1"
        f" FROM tenants CROSS JOIN {_counted(ledger, each)}"
    )
    for back in range(options.months, -1, -1):
        month = add_months(first, -back)
        end = day(add_months(month, 1) - timedelta(days=1))
        # Those of the first, then the others spread over ten days.
        for offset in range(10):
            due = month + timedelta(days=offset)
            at = _micro(datetime(due.year, due.month, due.day, tzinfo=STOCKHOLM))
            share = options.on_the_first
            which = f"n.i % 100 < {share}" if offset == 0 else f"n.i % 100 >= {share} AND n.i % 9 = {offset - 1}"
            run(
                "INSERT INTO billings (tenant, contract, period_start, period_end, generation, due_on, invoice_date,"
                " step, status, reason, detail, policy, amount, currency, customer_number, customer_name, invoice,"
                " made_total, created_at, changed_at) SELECT tenants.id, n.i,"
                f" {day(month)}, {end}, 1, {day(due)}, {day(due)}, 'deliver',"
                f" CASE WHEN {back} = 0 AND n.i % {NEEDING_A_PERSON} = 7 THEN 'parked' ELSE 'done' END,"
                f" CASE WHEN {back} = 0 AND n.i % {NEEDING_A_PERSON} = 7 THEN 'recipient_missing' END, '{{}}', '{{}}',"
                f" 1250000000, 'SEK', '1', 'Kund', n.i + {back} * {each}, 1250000000, {at}, {at}"
                f" FROM tenants CROSS JOIN {_counted(ledger, each)} WHERE {which}"
            )
    run(
        "INSERT INTO invoices (tenant, number, contract, period_start, period_end, invoice_date, invoice_type,"
        " customer_number, total, vat, currency, booked, sent, cancelled, credit, nox_finans, email_to, read_at)"
        " SELECT tenant, invoice, contract, period_start, period_end, invoice_date, 'AGREEMENTINVOICE', '1',"
        " made_total, 250000000, 'SEK', true, true, false, false, false, '', created_at FROM billings"
    )
    for place, step in enumerate(("create", "bookkeep", "deliver")):
        called = f"created_at + (contract * 1000 + {place}) * 1000000"
        run(
            "INSERT INTO attempts (billing, step, called_at, claimed_by, token_expires_at, newest_invoice_before,"
            f" answered_at, http_status, message, verdict) SELECT id, '{step}', {called}, 'w', 1, 0, {called} + 200000,"
            " 200, '', 'acted' FROM billings ORDER BY created_at"
        )


def _micro(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000)


def _counted(ledger: Ledger, to: int) -> str:
    if ledger.is_sqlite:
        return f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) SELECT i FROM n) AS n"
    return f"generate_series(1, {to}) AS n(i)"
