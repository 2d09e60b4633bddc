"""What `plan` prints before a night is what the sandbox's books hold after it, contract by contract."""

import json
from typing import Any

from common.rules.states import Status
from sandbox.books import By, Company, Invoice
from sandbox.story import seed, story_wishes
from sandbox.summary import summarise
from tests.bureau import Bureau, lines

NUMBER = 20
"""What the dozen companies of the story are drawn from."""

Key = tuple[int, int]
"""Tenant and contract."""

NEEDS_A_PERSON = """
    Aktivitetshuset Gym & Hälsa AB: create held catch_up
    Aktivitetshuset Gym & Hälsa AB: create held recipient_missing
    Fastighets AB Kvarnkullen: create held recipient_missing
    Förlaget Björkbladet AB: create held period_length
    Hisservice i Norrådal AB: deliver parked bank_details_missing
    Larmcentralen Västerbo AB: create held amount_zero
    Nordlunds IT-drift AB: create held amount_zero
    Nordlunds IT-drift AB: create held catch_up
    Nordlunds IT-drift AB: create held period_length
    Nordlunds IT-drift AB: create held recipient_missing
    Rena Rum Städservice AB: create held recipient_missing
    Skyltverkstan i Åkerby AB: create held period_locked
    Studio Sjöstad Webbyrå AB: create held recipient_missing
    Studio Sjöstad Webbyrå AB: create parked refused
"""


async def test_what_plan_prints_before_the_night_is_what_the_books_hold_after_it(bureau: Bureau) -> None:
    await take_on_the_story(bureau)
    planned = {(one["tenant"], one["contract"]): one for one in json.loads(await bureau.type("plan", "--json"))}
    await bureau.work()

    to_bill = {key for key, one in planned.items() if one["outcome"] == "bill"}
    assert len(to_bill) > 25
    made = invoices_of_the_night(bureau)
    assert all(len(invoices) == 1 for invoices in made.values())
    # Nobody could foresee one: a list of contracts does not show that a contract has no rows.
    (without_rows,) = to_bill - made.keys()
    assert (await bureau.stands(*without_rows))[-1].endswith("create parked refused")
    assert made.keys() == to_bill - {without_rows}
    for key, (invoice,) in made.items():
        assert as_made(bureau.company(key[0]), invoice) == await as_promised(bureau, planned[key]), key


async def test_after_the_night_the_sandbox_finds_nothing_wrong_and_what_needs_a_person_is_told(bureau: Bureau) -> None:
    await take_on_the_story(bureau)
    await bureau.work()
    verdict = summarise(bureau.sandbox.world)
    assert verdict["clean"], verdict
    stopped = {
        f"{bureau.company(one.tenant).name}: {one.step} {one.status} {one.reason}"
        for one in await bureau.billings(status={Status.HELD, Status.PARKED})
    }
    assert sorted(stopped) == lines(NEEDS_A_PERSON)
    # The company without a licence cannot even be read: one item, and no billing.
    (block,) = [one for one in await bureau.blocks() if one.step is None]
    assert (bureau.company(block.tenant).name, block.reason) == ("Rotebro Kaffe & Vatten AB", "feature_missing")


async def take_on_the_story(bureau: Bureau) -> None:
    """The evening of the first of December, when the most is due, and every company as it wishes to be served."""
    bureau.at("2026-12-01 00:05")
    bureau.sandbox.world.behaviour.finance_delay = 0
    seed(bureau.sandbox.world, NUMBER, companies=12, scale=0.1)
    for told in story_wishes(bureau.sandbox.world):
        tenant, wishes, contracts = told["tenant_id"], told["wishes"], told["contracts"]
        assert isinstance(tenant, int)
        assert isinstance(wishes, dict)
        assert isinstance(contracts, dict)
        await bureau.take_on(tenant, **wishes)
        for number, changes in contracts.items():
            await bureau.choose(tenant, int(number), **changes)


def invoices_of_the_night(bureau: Bureau) -> dict[Key, list[Invoice]]:
    """By contract, what was not there before."""
    made: dict[Key, list[Invoice]] = {}
    for company in bureau.sandbox.world:
        for invoice in company.invoices.values():
            if invoice.created_by is not By.SEED:
                made.setdefault((company.tenant, invoice.contract_reference), []).append(invoice)
    return made


def as_made(company: Company, invoice: Invoice) -> tuple[str, ...]:
    """Period, date, amount, booked or not, and the way that it was delivered."""
    mailed = sum(sent.invoice == invoice.number for sent in company.outbox)
    way = "finance" if invoice.number in company.hand_overs else ["none", "email"][mailed]
    period = f"{invoice.period_start}..{invoice.period_end}"
    return period, str(invoice.invoice_date), f"{invoice.total:.2f}", str(invoice.booked), way


async def as_promised(bureau: Bureau, planned: dict[str, Any]) -> tuple[str, ...]:
    """The same of the plan, but for what is stated to stand in the way: the cash method, and what the ledger shows as
    parked before delivery."""
    company = bureau.company(planned["tenant"])
    booked = planned["bookkeep"] and company.accounting_method != "CASH"
    undelivered = " deliver parked" in await standing(bureau, planned) or company.bankgiro is None
    period = f"{planned['period_start']}..{planned['period_end']}"
    amount = f"{float(planned['amount']):.2f}"
    return period, planned["invoice_date"], amount, str(booked), "none" if undelivered else planned["deliver"]


async def standing(bureau: Bureau, planned: dict[str, Any]) -> str:
    """How the ledger says that the contract's billing stands."""
    return (await bureau.stands(planned["tenant"], planned["contract"]))[-1]
