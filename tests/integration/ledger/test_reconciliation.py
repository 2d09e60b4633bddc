"""What the reconciler asks of the ledger, on both databases."""

from datetime import timedelta

from common.ids import ContractNumber, InvoiceNumber
from common.ledger import audit, contracts, invoices, reconciliation, tenants
from common.ledger.database import Ledger
from common.ledger.records import Contract
from common.rules.periods import following
from common.rules.states import Step
from tests.integration.ledger.story import (
    JUNE,
    MAY,
    OTHER,
    TENANT,
    company,
    done,
    invoice_of,
    made,
    one,
    planned,
    read_at,
    view,
)

ONE, TWO = ContractNumber(1), ContractNumber(2)
JULY = following(JUNE, 1)


async def test_the_end_of_a_company_s_history_is_noted_once_and_told(ledger: Ledger) -> None:
    await company(ledger)
    for number in (50, 60):
        await tenants.note_history(ledger, TENANT, InvoiceNumber(number), "producer")
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(70))
    noted = [entry.after for entry in await audit.entries(ledger) if entry.action == tenants.HISTORY_NOTED]
    assert noted == [{"newest_invoice": 50}]
    assert await reconciliation.newest_known_before(ledger, TENANT, await ledger.now()) == 50


async def test_what_we_made_before_the_instant_is_older_than_all_made_later(ledger: Ledger) -> None:
    await company(ledger)
    await tenants.note_history(ledger, TENANT, InvoiceNumber(50), "producer")
    await made(ledger, await one(ledger), 101)
    now = await ledger.now()
    assert await reconciliation.newest_known_before(ledger, TENANT, now + timedelta(days=1)) == 101
    assert await reconciliation.newest_known_before(ledger, TENANT, now - timedelta(days=1)) == 50


async def test_without_a_note_what_was_seen_is_history(ledger: Ledger) -> None:
    await company(ledger)
    assert await reconciliation.newest_known_before(ledger, TENANT, await ledger.now()) == 0
    await tenants.see_invoices(ledger, TENANT, InvoiceNumber(70))
    assert await reconciliation.newest_known_before(ledger, TENANT, await ledger.now()) == 70


async def test_in_question_is_what_is_recent_unfinished_or_newly_invoiced(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    old, late, unfinished, also_unfinished = await planned(ledger, (1, 2, 3, 4), period=MAY)
    recent = await one(ledger, numbers=(5,), period=JUNE)
    await one(ledger, tenant=OTHER, period=JUNE)
    await done(ledger, old, 101)
    await done(ledger, late, 201)
    asked = await reconciliation.in_question(ledger, TENANT, since=JUNE.start, above=InvoiceNumber(150))
    assert [billing.id for billing in asked] == [late.id, unfinished.id, also_unfinished.id, recent.id]
    everything = await reconciliation.in_question(
        ledger, TENANT, since=JUNE.start, above=InvoiceNumber(150), contracts_too={ONE}
    )
    assert [billing.tenant for billing in everything] == [TENANT] * 5
    steps = await reconciliation.carried_out(ledger, TENANT, since=MAY.start, above=InvoiceNumber(0))
    assert steps == {old.id: frozenset(Step), late.id: frozenset(Step)}


async def test_billings_and_live_invoices_cover_what_came_before_the_shown_period(ledger: Ledger) -> None:
    await company(ledger)
    billing, _ = await planned(ledger, (1, 2), period=MAY)
    shown = [Contract(view(number, period=JULY), read_at(1)) for number in (1, 2)]
    await contracts.mirror(ledger, TENANT, shown, complete=False)
    assert await reconciliation.covered_to(ledger, TENANT) == {ONE: MAY.end, TWO: MAY.end}
    by_hand = invoice_of(billing, 102, period=JUNE)
    for ended in ({"cancelled": True}, {"credit": True}, {"credited_by": InvoiceNumber(9)}):
        await invoices.mirror(ledger, [invoice_of(billing, 103, period=JUNE, **ended)])
        assert (await reconciliation.covered_to(ledger, TENANT))[ONE] == MAY.end
    await invoices.mirror(ledger, [by_hand, invoice_of(billing, 104, period=JULY)])
    assert await reconciliation.covered_to(ledger, TENANT) == {ONE: JUNE.end, TWO: MAY.end}


async def test_the_audit_is_told_in_batches_with_what_each_entry_is_about(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    billing = await made(ledger, await one(ledger), 101)
    batches = [batch async for batch in audit.told(ledger, batch=2)]
    assert {len(batch) for batch in batches[:-1]} == {2}
    told = [entry for batch in batches for entry in batch]
    assert [one.entry for one in told] == await audit.entries(ledger)
    assert (told[0].tenant_name, told[0].period, told[0].invoice) == (f"Bolaget {TENANT} AB", None, None)
    about = [one for one in told if one.entry.billing == billing.id]
    assert {(one.period, one.invoice) for one in about} == {(MAY, 101)}


async def test_the_audit_is_told_of_one_company_and_of_some_time(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)
    everything = await audit.entries(ledger)
    (of_one,) = [batch async for batch in audit.told(ledger, tenant=OTHER)]
    assert {one.entry.tenant for one in of_one} == {OTHER}
    at = everything[2].at
    since = [one.entry for batch in [batch async for batch in audit.told(ledger, since=at)] for one in batch]
    until = [one.entry for batch in [batch async for batch in audit.told(ledger, until=at)] for one in batch]
    assert since == [entry for entry in everything if entry.at >= at]
    assert until == [entry for entry in everything if entry.at < at]
