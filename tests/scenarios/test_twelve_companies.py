"""Twelve companies that differ in every way, over the turn of a year: what became of each invoice, by hand and in fact.

The list that is compared with, `twelve_companies.txt`, was written from the rules before the product was asked; it
knows nothing of it. What exists and how it left is read from the sandbox, what waits and why from the command line.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from common import key_file
from common.clock import STOCKHOLM
from common.ids import TenantId
from common.ledger import consents
from sandbox.books import ALL_SCOPES, By, Company, Invoice
from tests.bureau import Bureau, bureau_for
from tests.sandboxes import Sandbox
from tests.scenarios.twelve import (
    ASPEN,
    BOKEN,
    CEDERN,
    DAL,
    ENEN,
    FINANCE_OPENS_AFTER,
    FURAN,
    GRANEN,
    HASSELN,
    IDEGRAN,
    JOLSTER,
    KASTANJEN,
    LINDEN,
    TWELVE,
    years,
)

Row = tuple[str, ...]
Sheet = Mapping[str, Sequence[Row]]
"""By the company's name its lines of the list."""

WAITS_FOR_A_PERSON = ("held", "parked", "in_doubt", "stopped")


@pytest.fixture
async def bureau(
    sandbox: Sandbox, wrapper: str, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Bureau]:
    """With keys for the refresh tokens, on the 29th of December."""
    keys = tmp_path / "keys"
    async with bureau_for(sandbox, redis_url, database_url, tmp_path, secret_key_file=keys) as running:
        running.at("2026-12-29 15:00")
        key_file.read_or_make(keys, running.settings.clock.now())
        yield running


async def test_what_becomes_of_twelve_companies_over_the_turn_of_the_year_is_what_was_written_down(
    bureau: Bureau,
) -> None:
    sandbox = bureau.sandbox
    sandbox.world.behaviour.finance_delay = FINANCE_OPENS_AFTER.total_seconds()
    for company in TWELVE.values():
        await company(bureau)
    await bureau.work()
    await bureau.pause(ASPEN, 3)
    await at(bureau, "2026-12-30 09:00", "2026-12-31 00:10", "2026-12-31 09:00", "2026-12-31 23:30")
    await at(bureau, "2027-01-01 00:10", "2027-01-01 09:00", "2027-01-02 00:10", "2027-01-02 09:00")

    # Cedern's invoice must out, says somebody, year or no year.
    await bureau.approve(CEDERN, 5)
    await at(bureau, "2027-01-02 10:30", "2027-01-03 00:10", "2027-01-03 09:00")
    bureau.company(DAL).locked_until = date(2027, 1, 4)
    await at(bureau, "2027-01-03 13:00")
    assert await as_it_is(bureau) == written("2027-01-03 13:00")
    await told_to_a_person(bureau)

    await at(bureau, "2027-01-04 00:10", "2027-01-04 09:00")
    for tenant, contract in ((ENEN, 3), (FURAN, 1)):
        await bureau.approve(tenant, contract)
    bureau.company(IDEGRAN).bankgiro = "5050-1055"
    await bureau.retry(IDEGRAN, 1)
    await at(bureau, "2027-01-04 10:30", "2027-01-05 00:10", "2027-01-05 09:00")

    bureau.at("2027-01-05 10:30")
    for invoice in bureau.company(GRANEN).invoices.values():
        bureau.in_fortnox(GRANEN, "mark_ready", invoice=invoice.number)
    address = bureau.company(JOLSTER).customers["3"]
    address.city, address.modified_at = "Kalmar", bureau.settings.clock.now()
    bureau.company(KASTANJEN).scopes = set(ALL_SCOPES)
    await bureau.retry(KASTANJEN, 1)
    await bureau.choose(LINDEN, mode="live")
    await bureau.work()
    await at(bureau, "2027-01-06 00:10", "2027-01-06 09:00", "2027-01-07 00:10", "2027-01-07 09:00")

    bureau.at("2027-01-07 10:30")
    await sandbox.control("PATCH", f"companies/{CEDERN}", {"financial_years": years(2027)})
    await bureau.retry(CEDERN, 5)
    bureau.company(HASSELN).may_send = True
    await bureau.retry(HASSELN, 1)
    (to_be_printed,) = of_contract(bureau.company(KASTANJEN), 4)
    bureau.in_fortnox(KASTANJEN, "print", invoice=to_be_printed.number)
    await bureau.retry(KASTANJEN, 4)
    await bureau.work()
    await at(bureau, "2027-01-08 00:10", "2027-01-08 09:00", "2027-01-08 11:00")
    assert await as_it_is(bureau) == written("2027-01-08 11:00")
    await told_to_a_person(bureau)
    refreshed = {tenant for tenant in TWELVE if await has_renewed(bureau, tenant)}
    assert refreshed == {BOKEN, HASSELN}


async def at(bureau: Bureau, *instants: str) -> None:
    """The bureau works at each of these instants."""
    for one in instants:
        bureau.at(one)
        await bureau.work()


async def has_renewed(bureau: Bureau, tenant: int) -> bool:
    """Whether the company's refresh token was used since the consent."""
    consent = await consents.get(bureau.ledger, TenantId(tenant))
    return consent is not None and consent.renewals > 0


def written(moment: str) -> Sheet:
    """What the list says of that moment."""
    text = Path(__file__).with_name("twelve_companies.txt").read_text(encoding="utf-8")
    (section,) = [part for part in text.split("\n== ")[1:] if part.startswith(moment)]
    companies = [part.splitlines() for part in section.strip().split("\n\n")[1:]]
    return {name: [tuple(line.strip().split("  ")) for line in rows] for name, *rows in companies}


async def as_it_is(bureau: Bureau) -> Sheet:
    """What the sandbox has, and what the command line says."""
    billings = by_contract(json.loads(await bureau.type("billings", "list", "--json", "--limit", "1000")))
    plans = by_contract(json.loads(await bureau.type("plan", "--json")))
    needing = json.loads(await bureau.type("status", "--json"))["needs_person"]
    stops = {(one["tenant"], one["step"]): one["reason"] for one in needing if one["status"] == "blocked"}
    sheet: dict[str, list[Row]] = {}
    for tenant in TWELVE:
        company = bureau.company(tenant)
        sheet[company.name] = []
        for number in company.contracts:
            billing, plan = billings.get((tenant, number)), plans[tenant, number]
            stands = plan["reason"] if billing is None else standing(billing, stops)
            rows = [in_the_books(company, invoice) for invoice in of_contract(company, number)]
            for row in rows or [((billing or plan)["period_start"], "-", "-", "-")]:
                sheet[company.name].append((str(number), *row, stands))
    return sheet


def by_contract(printed: Sequence[Mapping[str, Any]]) -> Mapping[tuple[int, int], Mapping[str, Any]]:
    found = {(one["tenant"], one["contract"]): one for one in printed}
    assert len(found) == len(printed)
    return found


def of_contract(company: Company, number: int) -> list[Invoice]:
    """The invoices of a contract that were made since the story began."""
    invoices = company.invoices.values()
    return [one for one in invoices if one.contract_reference == number and one.created_by is not By.SEED]


def in_the_books(company: Company, invoice: Invoice) -> Row:
    """Its period, its date, whether it is booked, and how it left."""
    left = ", ".join(sendings(company, invoice)) or "-"
    vouchers = sum(one.invoice == invoice.number for one in company.vouchers)
    assert vouchers == int(invoice.booked)
    return str(invoice.period_start), str(invoice.invoice_date), "booked" if invoice.booked else "-", left


def sendings(company: Company, invoice: Invoice) -> Iterator[str]:
    """The way and the day of each time that it left."""
    for sent in company.outbox:
        if sent.invoice == invoice.number:
            yield f"{sent.kind} {sent.at.astimezone(STOCKHOLM).date()}"
    if handed_over := company.hand_overs.get(invoice.number):
        yield f"finance {handed_over.at.astimezone(STOCKHOLM).date()}"


def standing(billing: Mapping[str, Any], stops: Mapping[Any, str]) -> str:
    """How a billing stands, as the list has it."""
    step, status, reason = billing["step"], billing["status"], billing["reason"]
    if status == "done":
        return "done"
    stopped_by = stops.get((billing["tenant"], step))
    if stopped_by is not None and (status == "waiting" or reason == stopped_by):
        return f"{step} stopped {stopped_by}"
    if billing["not_before"] is not None:
        opens = datetime.fromisoformat(billing["not_before"]).astimezone(STOCKHOLM)
        return f"{step} {status} until {opens:%Y-%m-%d %H:%M}"
    return f"{step} {status} {reason}"


async def told_to_a_person(bureau: Bureau) -> None:
    """What waits for a person, and nothing else, is what `status` says needs one."""
    wanted: set[tuple[str, str, str]] = set()
    for name, rows in (await as_it_is(bureau)).items():
        for row in rows:
            step, *rest = row[-1].split()
            if rest and rest[0] in WAITS_FOR_A_PERSON:
                wanted.add((name, step, rest[1]))
    needing = json.loads(await bureau.type("status", "--json"))["needs_person"]
    assert {(one["tenant_name"], one["step"], one["reason"]) for one in needing} == wanted
