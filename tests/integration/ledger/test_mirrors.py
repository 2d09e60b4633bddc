"""The mirrors: what was read last counts, whatever arrives last."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from common.ids import ContractNumber, InvoiceNumber
from common.ledger import contracts, invoices, pauses, tenants
from common.ledger.database import Ledger
from common.ledger.records import GONE, Contract, Invoice
from common.rules.plan import TenantFacts
from tests.integration.ledger.story import JUNE, MAY, OTHER, TENANT, company, invoice_of, one, read_at, view


async def seen(ledger: Ledger, number: int = 1) -> Contract:
    contract = await contracts.get(ledger, TENANT, ContractNumber(number))
    assert contract is not None
    return contract


async def test_a_contract_comes_back_as_it_was_read(ledger: Ledger) -> None:
    await company(ledger)
    read = Contract(view(1, template="7", invoices_remaining=3, total=Decimal("0.1") + Decimal("0.2")), read_at(0.25))
    await contracts.mirror(ledger, TENANT, [read], complete=False)
    assert await seen(ledger) == read
    assert await contracts.of_tenant(ledger) == [read]
    assert await contracts.get(ledger, TENANT, ContractNumber(2)) is None


async def test_an_older_read_of_a_contract_never_overwrites_a_newer_one(ledger: Ledger) -> None:
    await company(ledger)
    newer, older = Contract(view(1, period=JUNE), read_at(10)), Contract(view(1, period=MAY), read_at(9.999))
    await contracts.mirror(ledger, TENANT, [newer], complete=False)
    await contracts.mirror(ledger, TENANT, [older], complete=True, started_at=read_at(9))
    assert await seen(ledger) == newer


async def test_a_newer_read_of_a_contract_keeps_the_pause_of_a_person(ledger: Ledger) -> None:
    await company(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(1), read_at())], complete=True)
    await pauses.pause(ledger, "contract", tenant=TENANT, contract=ContractNumber(1), by="anna")
    await contracts.mirror(ledger, TENANT, [Contract(view(1, period=JUNE), read_at(5))], complete=True)
    contract = await seen(ledger)
    assert (contract.paused, contract.view.paused, contract.view.period) == (True, True, JUNE)


async def test_a_full_listing_marks_the_contracts_that_it_does_not_show_as_gone(ledger: Ledger) -> None:
    await company(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(number), read_at()) for number in (1, 2)], complete=True)
    await contracts.mirror(ledger, TENANT, [Contract(view(1), read_at(60))], complete=True)
    assert (await seen(ledger, 1)).view.status == "ACTIVE"
    gone = await seen(ledger, 2)
    assert (gone.view.status, gone.read_at) == (GONE, read_at())

    await contracts.mirror(ledger, TENANT, [Contract(view(2), read_at(90))], complete=False)
    assert (await seen(ledger, 2)).view.status == "ACTIVE"


async def test_an_empty_full_listing_marks_all_as_gone(ledger: Ledger) -> None:
    await company(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(1), read_at())], complete=True)
    await contracts.mirror(ledger, TENANT, [], complete=True, started_at=read_at(60))
    assert (await seen(ledger)).view.status == GONE


async def test_what_was_read_after_a_listing_began_is_not_gone_for_being_absent_from_it(ledger: Ledger) -> None:
    await company(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(2), read_at(61))], complete=False)
    listing = [Contract(view(1), read_at(60))]
    await contracts.mirror(ledger, TENANT, listing, complete=True, started_at=read_at(60))
    assert (await seen(ledger, 2)).view.status == "ACTIVE"


async def test_a_partial_listing_marks_nothing_and_refreshes_nothing_else(ledger: Ledger) -> None:
    await company(ledger)
    await contracts.mirror(ledger, TENANT, [Contract(view(number), read_at()) for number in (1, 2)], complete=True)
    await contracts.mirror(ledger, TENANT, [Contract(view(1), read_at(60))], complete=False)
    assert await seen(ledger, 2) == Contract(view(2), read_at())


async def test_a_listing_of_one_company_touches_no_other(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    await contracts.mirror(ledger, TENANT, [Contract(view(1), read_at())], complete=True)
    await contracts.mirror(ledger, OTHER, [], complete=True, started_at=read_at(60))
    assert (await seen(ledger)).view.status == "ACTIVE"


async def read_invoice(ledger: Ledger, number: int = 101) -> Invoice:
    invoice = await invoices.get(ledger, TENANT, InvoiceNumber(number))
    assert invoice is not None
    return invoice


async def an_invoice(ledger: Ledger) -> Invoice:
    await company(ledger)
    return invoice_of(await one(ledger))


def as_listed(invoice: Invoice, seconds: float, **changes: object) -> Invoice:
    listed = replace(invoice, contract=None, period=None, accounting_method=None, email_to="", rows_digest=None)
    return replace(listed, read_at=None, listed_at=read_at(seconds), **changes)  # type: ignore[arg-type]


async def test_an_invoice_comes_back_as_it_was_read(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    invoice = replace(invoice, total=Decimal("1562.505"), tax_reduction="rot", warehouse_ready=False)
    await invoices.mirror(ledger, [invoice])
    assert await read_invoice(ledger) == invoice


async def test_an_older_read_of_an_invoice_never_overwrites_a_newer_one(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    booked = replace(invoice, booked=True, read_at=read_at(70))
    await invoices.mirror(ledger, [booked])
    await invoices.mirror(ledger, [replace(invoice, read_at=read_at(69))])
    assert await read_invoice(ledger) == booked


async def test_a_list_brings_up_to_date_what_it_shows_and_takes_nothing_else_away(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    await invoices.mirror(ledger, [invoice])
    await invoices.mirror(ledger, [as_listed(invoice, 120, cancelled=True)])
    mirrored = await read_invoice(ledger)
    assert mirrored == replace(invoice, cancelled=True, listed_at=read_at(120))


async def test_an_older_list_changes_nothing(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    await invoices.mirror(ledger, [invoice])
    await invoices.mirror(ledger, [as_listed(invoice, 59, cancelled=True)])
    assert await read_invoice(ledger) == invoice


async def test_a_read_that_began_before_a_list_does_not_undo_what_the_list_showed(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    await invoices.mirror(ledger, [as_listed(invoice, 61, sent=True)])
    await invoices.mirror(ledger, [invoice])
    mirrored = await read_invoice(ledger)
    assert (mirrored.sent, mirrored.contract, mirrored.period) == (True, invoice.contract, invoice.period)
    await invoices.mirror(ledger, [replace(invoice, read_at=read_at(62))])
    assert not (await read_invoice(ledger)).sent


async def test_an_invoice_seen_only_in_a_list_is_unread(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    await invoices.mirror(ledger, [as_listed(replace(invoice, number=InvoiceNumber(n)), 1) for n in (99, 100, 102)])
    await invoices.mirror(ledger, [invoice])
    above = await invoices.above(ledger, TENANT, InvoiceNumber(99))
    assert [found.number for found in above if found.read_at is None] == [102, 100]
    assert [found.number for found in above] == [102, 101, 100]
    assert len(await invoices.above(ledger, TENANT, None)) == 4


async def test_the_invoices_of_a_contract_and_period_are_found_newest_first(ledger: Ledger) -> None:
    invoice = await an_invoice(ledger)
    cancelled = replace(invoice, number=InvoiceNumber(100), cancelled=True)
    june = replace(invoice, number=InvoiceNumber(102), period=JUNE)
    other = replace(invoice, number=InvoiceNumber(103), contract=ContractNumber(2))
    await invoices.mirror(ledger, [other, june, invoice, cancelled])
    assert await invoices.of_contract(ledger, TENANT, ContractNumber(1), MAY) == [invoice, cancelled]
    assert await invoices.of_contract(ledger, TENANT, ContractNumber(1)) == [june, invoice, cancelled]


async def test_the_newest_invoice_number_and_the_last_listing_never_go_back(ledger: Ledger) -> None:
    await company(ledger)
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(20))
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(19))
    await tenants.note_listing(ledger, TENANT, read_at(60))
    await tenants.note_listing(ledger, TENANT, read_at(59), InvoiceNumber(21))
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert (tenant.newest_invoice, tenant.listed_at) == (21, read_at(60))


async def test_a_company_without_invoices_is_remembered_as_one(ledger: Ledger) -> None:
    await company(ledger)
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(0))
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert tenant.newest_invoice == 0


@pytest.mark.parametrize("facts", [TenantFacts(), TenantFacts(date(2026, 4, 30), ()), TenantFacts(None, (MAY, JUNE))])
async def test_the_facts_of_a_company_come_back_as_they_were_read(ledger: Ledger, facts: TenantFacts) -> None:
    await company(ledger)
    await tenants.note_facts(ledger, TENANT, facts, date(2026, 5, 2))
    tenant = await tenants.get(ledger, TENANT)
    assert tenant is not None
    assert (tenant.facts, tenant.facts_on) == (facts, date(2026, 5, 2))


async def test_the_vat_of_an_invoice_is_forgotten_when_a_list_shows_another_total(ledger: Ledger) -> None:
    invoice = replace(await an_invoice(ledger), vat=Decimal("312.50"))
    await invoices.mirror(ledger, [invoice])
    await invoices.mirror(ledger, [as_listed(invoice, 120, vat=None)])
    assert (await read_invoice(ledger)).vat == Decimal("312.50")
    await invoices.mirror(ledger, [as_listed(invoice, 180, vat=None, total=Decimal(100))])
    assert (await read_invoice(ledger)).vat is None
    await invoices.mirror(ledger, [replace(invoice, read_at=read_at(240))])
    assert (await read_invoice(ledger)).vat == Decimal("312.50")
