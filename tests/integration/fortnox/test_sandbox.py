"""The client against the sandbox: every endpoint it uses, in both editions, and the faults that double invoices."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from common.clock import STOCKHOLM
from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.fortnox.models import Contract, Invoice, Row
from common.fortnox.requests import Permit
from common.ids import ContractNumber, InvoiceNumber
from sandbox import making, server
from sandbox.behaviour import Behaviour
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Company, World
from sandbox.clock import Clock
from sandbox.faults import Rule
from tests.integration.fortnox.conftest import TENANT, settings_for

TODAY = date(2026, 4, 1)

OLDER = Behaviour()
NEWER = Behaviour(
    edition="newer",
    create_answer="Invoice",
    contract_reference="string",
    continuous_remaining="empty",
    unlocked="null",
    retry_after="seconds",
    flip_envelopes=True,
)
both_editions = pytest.mark.parametrize("behaviour", [OLDER, NEWER], ids=["older", "newer"])


@pytest.fixture
def behaviour() -> Behaviour:
    return OLDER


@pytest.fixture
async def sandbox(behaviour: Behaviour) -> AsyncIterator[server.Running]:
    world = World(clock=Clock(datetime(2026, 4, 1, 9, tzinfo=STOCKHOLM)), behaviour=behaviour.model_copy(deep=True))
    running = await server.start(world)
    yield running
    await running.stop()


@pytest.fixture
def company(sandbox: server.Running) -> Company:
    contract = {
        "customer_number": "1",
        "period_start": "2026-04-01",
        "period_end": "2026-04-30",
        "rows": [{"article_number": "A1", "quantity": "2"}],
    }
    return making.make_company(
        sandbox.world,
        {
            "tenant": TENANT,
            "name": "Bageriet AB",
            "customers": [
                {
                    "number": "1",
                    "name": "Kund AB",
                    "email": "faktura@kund.example",
                    "address1": "Gatan 1",
                    "zip_code": "111 11",
                    "city": "Stad",
                    "gln": "7300000000001",
                }
            ],
            "articles": [{"number": "A1", "description": "Support", "price": "1000.50"}],
            "contracts": [contract, contract | {"active": False}],
        },
    )


@pytest.fixture
async def opened(sandbox: server.Running, redis: Redis) -> AsyncIterator[Callable[..., Awaitable[Fortnox]]]:
    async with AsyncExitStack() as stack:

        async def opener(**changes: object) -> Fortnox:
            credentials = {
                "fortnox_client_id": DEFAULT_CLIENT_ID,
                "fortnox_client_secret": SecretStr(DEFAULT_CLIENT_SECRET),
            }
            fortnox = await Fortnox.open(settings_for(sandbox.url, **(credentials | changes)), redis)
            stack.push_async_callback(fortnox.close)
            await fortnox.governor.vouch()
            return fortnox

        yield opener


@pytest.fixture
async def fortnox(opened: Callable[..., Awaitable[Fortnox]], company: Company) -> Fortnox:
    return await opened()


async def create(fortnox: Fortnox, contract: int = 1) -> Contract | Invoice:
    permit = await fortnox.permit(TENANT)
    return (await fortnox.create_invoice(permit, ContractNumber(contract), invoice_date=TODAY)).value


@both_editions
async def test_an_invoice_goes_all_the_way(fortnox: Fortnox, company: Company, behaviour: Behaviour) -> None:
    listing = await fortnox.contracts(TENANT)
    (item,) = (read.value for read in listing.rows)
    assert (item.document_number, item.status, item.invoice_interval) == (1, "ACTIVE", 1)
    assert (item.period_start, item.period_end) == (date(2026, 4, 1), date(2026, 4, 30))
    assert listing.complete
    assert await fortnox.newest_invoice(TENANT) is None

    made = await create(fortnox)
    if behaviour.create_answer == "Invoice":
        assert isinstance(made, Invoice)
    else:
        assert isinstance(made, Contract)
        assert made.period_start == date(2026, 5, 1)

    (found,) = (await fortnox.invoices(TENANT, above=None, contract_invoices_only=True)).rows
    number = found.value.document_number
    invoice = (await fortnox.invoice(TENANT, number)).value
    assert invoice.contract_reference == 1
    assert (invoice.invoice_period_start, invoice.invoice_period_end) == (date(2026, 4, 1), date(2026, 4, 30))
    assert (invoice.invoice_date, invoice.booked, invoice.sent, invoice.credit) == (TODAY, False, False, False)
    assert invoice.invoice_rows is not None
    assert invoice.invoice_rows[0].price == Decimal("1000.50")
    assert await fortnox.newest_invoice(TENANT) == number

    booked = (await fortnox.bookkeep(await fortnox.permit(TENANT), number)).value
    assert booked.booked is True
    assert booked.rows_digest == invoice.rows_digest

    sent = (await fortnox.email(await fortnox.permit(TENANT), number)).value
    assert sent.sent is True
    assert [delivery.to for delivery in company.outbox] == ["faktura@kund.example"]


@both_editions
async def test_an_invoice_is_handed_over_and_ripens(
    fortnox: Fortnox, sandbox: server.Running, company: Company
) -> None:
    await create(fortnox)
    await fortnox.bookkeep(await fortnox.permit(TENANT), InvoiceNumber(1))

    reply = await fortnox.hand_over(await fortnox.permit(TENANT), InvoiceNumber(1), send_method="EMAIL")
    assert (reply.http_status, reply.value.status) == (201, "UNKNOWN")

    sandbox.world.clock.move(timedelta(seconds=sandbox.world.behaviour.finance_delay + 1))
    assert (await fortnox.finance_invoice(TENANT, InvoiceNumber(1))).value.status == "OPEN"
    assert (await fortnox.invoice(TENANT, InvoiceNumber(1))).value.nox_finans is True


@both_editions
async def test_the_company_and_its_registers_can_be_read(fortnox: Fortnox, company: Company) -> None:
    assert (await fortnox.company(TENANT)).database_number == TENANT
    assert (await fortnox.company_settings(TENANT)).bg == "5050-1055"
    assert date(2026, 1, 1) in [year.from_date for year in await fortnox.financial_years(TENANT)]
    assert await fortnox.locked_period(TENANT) is None
    company.locked_until = date(2026, 3, 31)
    assert await fortnox.locked_period(TENANT) == date(2026, 3, 31)
    assert [read.value.name for read in (await fortnox.customers(TENANT)).rows] == ["Kund AB"]
    assert (await fortnox.customer(TENANT, "1")).value.zip_code == "111 11"
    assert [read.value.sales_price for read in (await fortnox.articles(TENANT)).rows] == [Decimal("1000.50")]
    assert [read.value.price for read in (await fortnox.prices(TENANT)).rows] == [Decimal("1000.50")]


@both_editions
async def test_price_lists_and_changed_prices_can_be_read(
    fortnox: Fortnox, sandbox: server.Running, company: Company
) -> None:
    steps = [
        {"price_list": "B", "article_number": "A/1", "price": "90"},
        {"price_list": "B", "article_number": "A/1", "price": "80.25", "from_quantity": "10"},
    ]
    sandbox.world.clock.move(timedelta(hours=1))
    before = sandbox.world.clock.now()
    lists = [{"code": "B", "description": "Brons"}]
    changes = {"price_lists": lists, "articles": [{"number": "A/1"}], "prices": steps}
    making.change_company(sandbox.world, company, changes)

    assert [(read.value.code, read.value.pre_selected) for read in (await fortnox.price_lists(TENANT)).rows] == [
        ("A", True),
        ("B", False),
    ]
    found = [(read.value.from_quantity, read.value.price) for read in (await fortnox.sublist(TENANT, "B", "A/1")).rows]
    assert found == [(Decimal(0), Decimal(90)), (Decimal(10), Decimal("80.25"))]
    changed = (await fortnox.prices(TENANT, modified_since=before)).rows
    assert [read.value.article_number for read in changed] == ["A/1", "A/1"]
    assert [read.value.article_number for read in (await fortnox.articles(TENANT, modified_since=before)).rows] == [
        "A/1"
    ]


@both_editions
async def test_a_changed_price_on_a_contract_and_an_invoice_leaves_everything_else_as_it_is(
    fortnox: Fortnox, company: Company
) -> None:
    rows = company.contracts[1].rows
    rows[0].discount, rows[0].cost_center, rows[0].quantity = Decimal("7.5"), "SYD", Decimal("1.13")
    rows.append(replace(rows[0], article_number="", description="Enligt avtal", quantity=Decimal(0), row_id=99))
    await create(fortnox)
    before = [replace(row, row_id=0) for row in rows]
    old_ids = {row.row_id for row in rows}

    contract = await _dearer_contract(fortnox, await fortnox.permit(TENANT))
    invoice = await _dearer_invoice(fortnox, await fortnox.permit(TENANT))

    for document, changed in ((contract, company.contracts[1].rows), (invoice, company.invoices[1].rows)):
        assert [replace(row, row_id=0) for row in changed] == [
            replace(before[0], price=Decimal("1001.50")),
            before[1],
        ]
        assert [row.row_id for row in document.invoice_rows or ()] == [row.row_id for row in changed]
    assert old_ids.isdisjoint(row.row_id for row in company.contracts[1].rows)


async def test_in_the_hour_that_comes_twice_changes_are_asked_for_from_before_it(
    fortnox: Fortnox, sandbox: server.Running, company: Company
) -> None:
    second_time = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=STOCKHOLM)

    await fortnox.prices(TENANT, modified_since=second_time)
    await fortnox.prices(TENANT, modified_since=second_time + timedelta(hours=1))

    asked = [parse_qs(entry.query)["lastmodified"] for entry in sandbox.gateway.journal if "prices" in entry.path]
    assert asked == [["2026-10-25 01:59:59"], ["2026-10-25 03:30:00"]]


@both_editions
async def test_all_contracts_of_a_large_company_are_listed(
    fortnox: Fortnox, sandbox: server.Running, company: Company
) -> None:
    contract = {"customer_number": "1", "period_start": "2026-04-01", "period_end": "2026-04-30"}
    making.change_company(sandbox.world, company, {"contracts": [contract] * 1000})

    active = await fortnox.contracts(TENANT)
    every = await fortnox.contracts(TENANT, status=None)

    assert (len(active.rows), active.complete) == (1001, True)
    assert (len(every.rows), every.complete) == (1002, True)


Call = Callable[[Fortnox, Permit], Awaitable[object]]
Count = Callable[[Company], int]

EFFECTS: dict[str, tuple[str, Call, Count]] = {
    "createinvoice": (
        "/3/contracts/*/createinvoice",
        lambda fortnox, permit: fortnox.create_invoice(permit, ContractNumber(1), invoice_date=TODAY),
        lambda company: len(company.invoices) - 1,
    ),
    "bookkeep": (
        "/3/invoices/*/bookkeep",
        lambda fortnox, permit: fortnox.bookkeep(permit, InvoiceNumber(1)),
        lambda company: len(company.vouchers),
    ),
    "email": (
        "/3/invoices/*/email",
        lambda fortnox, permit: fortnox.email(permit, InvoiceNumber(1)),
        lambda company: len(company.outbox),
    ),
    "einvoice": (
        "/3/invoices/*/einvoice",
        lambda fortnox, permit: fortnox.einvoice(permit, InvoiceNumber(1)),
        lambda company: len(company.outbox),
    ),
    "eprint": (
        "/3/invoices/*/eprint",
        lambda fortnox, permit: fortnox.print_and_post(permit, InvoiceNumber(1)),
        lambda company: len(company.outbox),
    ),
    "noxfinans": (
        "/3/noxfinansinvoices",
        lambda fortnox, permit: fortnox.hand_over(permit, InvoiceNumber(1), send_method="EMAIL"),
        lambda company: len(company.hand_overs),
    ),
    "contract_rows": (
        "/3/contracts/*",
        lambda fortnox, permit: _dearer_contract(fortnox, permit),
        lambda company: sum(deed.action == "update" for deed in company.contracts[1].deeds),
    ),
    "invoice_rows": (
        "/3/invoices/*",
        lambda fortnox, permit: _dearer_invoice(fortnox, permit),
        lambda company: sum(deed.action == "update" for deed in company.invoices[1].deeds),
    ),
}


def _dearer(rows: Sequence[Row]) -> list[Row]:
    """The first row a krona dearer, the others as they are."""
    price = rows[0].price
    assert price is not None
    return [rows[0].model_copy(update={"price": price + 1}), *rows[1:]]


async def _dearer_contract(fortnox: Fortnox, permit: Permit) -> Contract:
    contract = (await fortnox.contract(TENANT, ContractNumber(1))).value
    return (await fortnox.put_contract_rows(permit, ContractNumber(1), _dearer(contract.invoice_rows))).value


async def _dearer_invoice(fortnox: Fortnox, permit: Permit) -> Invoice:
    invoice = (await fortnox.invoice(TENANT, InvoiceNumber(1))).value
    return (await fortnox.put_invoice_rows(permit, InvoiceNumber(1), _dearer(invoice.invoice_rows or ()))).value


@pytest.mark.parametrize(("path", "call", "count"), EFFECTS.values(), ids=EFFECTS.keys())
@pytest.mark.parametrize(
    ("kind", "doubt"),
    [("cut_after", errors.Broken), ("error_after", errors.Faulty), ("hang_after", errors.TimedOut)],
)
async def test_an_effect_that_fortnox_carried_out_without_telling_is_carried_out_once(
    opened: Callable[..., Awaitable[Fortnox]],
    sandbox: server.Running,
    company: Company,
    path: str,
    call: Call,
    count: Count,
    kind: Any,
    doubt: type[errors.InDoubt],
) -> None:
    fortnox = await opened(call_timeout=1.0)
    sandbox.world.behaviour.finance_needs_booking = False
    await create(fortnox)
    method = "PUT" if path.endswith("s/*") else None
    rule = sandbox.gateway.faults.add(Rule(kind=kind, method=method, path=path))

    with pytest.raises(doubt):
        await call(fortnox, await fortnox.permit(TENANT))

    assert count(company) == 1
    assert rule.hits == 1


@both_editions
async def test_refusals_are_told_apart(fortnox: Fortnox, company: Company) -> None:
    with pytest.raises(errors.Missing) as missing:
        await fortnox.invoice(TENANT, InvoiceNumber(99))
    assert missing.value.code == 2000434

    await create(fortnox)
    company.locked_until = date(2026, 4, 30)
    with pytest.raises(errors.Invalid) as locked:
        await fortnox.bookkeep(await fortnox.permit(TENANT), InvoiceNumber(1))
    assert locked.value.code == 2000401
    assert locked.value.x_uid

    company.scopes.discard("noxfinansinvoice")
    with pytest.raises(errors.Forbidden) as scope:
        await fortnox.hand_over(await fortnox.permit(TENANT), InvoiceNumber(1), send_method="EMAIL")
    assert scope.value.code == 2000663


async def test_wrong_credentials_are_told_in_fortnox_own_words(
    opened: Callable[..., Awaitable[Fortnox]], company: Company
) -> None:
    fortnox = await opened(fortnox_client_secret=SecretStr("wrong"))

    with pytest.raises(errors.TokenRefused, match="The client credentials are invalid"):
        await fortnox.contracts(TENANT)


async def test_a_withdrawn_consent_is_a_refusal(fortnox: Fortnox, company: Company) -> None:
    company.consented = False

    with pytest.raises(errors.TokenRefused):
        await fortnox.contracts(TENANT)


async def test_tokens_that_were_ended_are_replaced_by_the_next_read(fortnox: Fortnox, sandbox: server.Running) -> None:
    await fortnox.contracts(TENANT)
    sandbox.gateway.tokens.revoke(TENANT)

    assert len((await fortnox.contracts(TENANT)).rows) == 1


async def test_two_clients_together_stay_under_the_exact_limit(
    opened: Callable[..., Awaitable[Fortnox]], sandbox: server.Running, company: Company
) -> None:
    one, other = await opened(), await opened()

    await asyncio.gather(*(client.contract(TENANT, ContractNumber(1)) for client in (one, other) for _ in range(20)))

    statuses = [entry.status for entry in sandbox.gateway.journal if entry.path.startswith("/3/")]
    assert statuses == [200] * 40
