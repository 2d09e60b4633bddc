"""Reads are tried again within bounds, survive every shape of paging, and drop nothing in silence."""

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from common.clock import boottime
from common.fortnox import errors
from common.fortnox.client import Fortnox
from common.fortnox.governor import LIMIT, WINDOW
from common.fortnox.listings import PAGE
from common.ids import ContractNumber, InvoiceNumber
from tests.integration.fortnox.conftest import TENANT, Opener
from tests.integration.fortnox.wire import Answer, Wire, cuts, refuses, says

CONTRACTS = "/3/contracts"
INVOICES = "/3/invoices"


class Shelf:
    """A list endpoint with paging as recorded (API notes 9.2), wrong in the way that a test asks for.

    Parameters:
      meta: whether the answers carry MetaInformation.
      refuse_order: whether `sortby` is turned down.
      ignore_order: whether `sortby` is passed over.
      text_order: whether numbers are ordered as texts.
    """

    def __init__(self, envelope: str, rows: list[dict[str, Any]]) -> None:
        self.envelope = envelope
        self.rows = rows
        self.meta = True
        self.refuse_order = False
        self.ignore_order = False
        self.text_order = False
        self.asked: list[dict[str, str]] = []
        self.between_pages: Any = None

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.asked.append(query)
        if "sortby" in query and self.refuse_order:
            return await refuses(2000588, "Ogiltig parameter i anropet.")(request)
        rows = list(self.rows)
        if "sortby" in query and not self.ignore_order:
            kind: Any = str if self.text_order else int
            rows.sort(key=lambda row: kind(row["DocumentNumber"]), reverse=query["sortorder"] == "descending")
        limit, page = int(query["limit"]), int(query.get("page", 1))
        pages = -(-len(rows) // limit)
        if page > max(pages, 1):
            return await refuses(2000588, "Angiven sida hittades ej (24).")(request)
        body: dict[str, Any] = {self.envelope: rows[(page - 1) * limit : page * limit]}
        if self.meta:
            body["MetaInformation"] = {"@TotalResources": len(rows), "@TotalPages": pages, "@CurrentPage": page}
        answer = await says(body)(request)
        if self.between_pages is not None:
            self.between_pages()
        return answer


def contract_rows(count: int) -> list[dict[str, Any]]:
    return [{"DocumentNumber": str(number), "Status": "ACTIVE"} for number in range(1, count + 1)]


def invoice_rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"DocumentNumber": str(number), "InvoiceType": "AGREEMENTINVOICE"} for number in numbers]


async def until_a_slot_is_booked(fortnox: Fortnox, within: float) -> None:
    while await fortnox.governor.room(TENANT, within) == LIMIT:  # noqa: ASYNC110 - the slot is booked in Redis, not here
        await asyncio.sleep(0.01)


def pages_asked(shelf: Shelf) -> list[str]:
    return [query["page"] for query in shelf.asked]


# Trying again ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [says({}, 500), says({}, 503), says({}, 408), cuts(), refuses(1000003, "System")])
async def test_a_read_that_met_a_passing_fault_is_tried_again(fortnox: Fortnox, wire: Wire, fault: Answer) -> None:
    wire.on("GET", "/3/invoices/7", fault, says({"Invoice": {"DocumentNumber": "7"}}))

    read = await fortnox.invoice(TENANT, InvoiceNumber(7))

    assert read.value.document_number == 7
    assert len(wire.requests) == 2


async def test_a_read_is_given_up_after_four_tries(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", "/3/invoices/7", says({}, 500))

    with pytest.raises(errors.Faulty):
        await fortnox.invoice(TENANT, InvoiceNumber(7))

    assert len(wire.requests) == 4


async def test_a_read_that_was_throttled_waits_as_long_as_fortnox_says(fortnox: Fortnox, wire: Wire) -> None:
    arrivals: list[float] = []

    async def throttled(request: web.Request) -> web.StreamResponse:
        arrivals.append(time.monotonic())
        return web.Response(status=429, headers={"Retry-After": "1.1"})

    async def answered(request: web.Request) -> web.StreamResponse:
        arrivals.append(time.monotonic())
        return web.json_response({"Invoice": {"DocumentNumber": "7"}})

    wire.on("GET", "/3/invoices/7", throttled, answered)

    await fortnox.invoice(TENANT, InvoiceNumber(7))

    assert arrivals[1] - arrivals[0] >= 1.09


async def test_a_throttled_read_holds_the_tenant_back_in_another_client(opened: Opener, wire: Wire) -> None:
    one, other = await opened(), await opened()
    wire.on("PUT", "/3/invoices/7/bookkeep", says({}, 429, {"Retry-After": "30"}))

    with pytest.raises(errors.Throttled) as throttled:
        await one.bookkeep(await one.permit(TENANT), InvoiceNumber(7))

    assert throttled.value.retry_after == 30
    with pytest.raises(errors.NoSlot) as no_slot:
        await other.permit(TENANT, max_wait=5)
    assert 29 < no_slot.value.wait <= 30


async def test_a_429_holds_back_also_those_who_had_booked_a_slot_before_it(opened: Opener) -> None:
    one, other = await opened(), await opened()
    await one.governor.throttle(TENANT, 1.0)
    waiting = asyncio.create_task(one.permit(TENANT))
    await until_a_slot_is_booked(other, within=1.1)

    await other.governor.throttle(TENANT, 2.0)
    throttled_at = boottime()

    await waiting
    assert boottime() - throttled_at >= 1.99


async def test_a_request_counts_from_when_it_left_not_from_when_its_slot_was_due(opened: Opener, wire: Wire) -> None:
    one, other = await opened(), await opened()
    wire.on("PUT", "/3/invoices/7/bookkeep", says({"Invoice": {"DocumentNumber": "7"}}))
    permit = await one.permit(TENANT)
    granted = boottime()
    await asyncio.sleep(0.2)  # as a commit may take

    await one.bookkeep(permit, InvoiceNumber(7))

    await one.close()
    for _ in range(24):
        await other.governor.slot(TENANT, 60)
    wait = (await other.governor.slot(TENANT, 60)).wait
    assert boottime() + wait >= granted + 0.2 + WINDOW


async def test_a_permit_that_was_kept_too_long_waits_for_those_who_went_meanwhile(opened: Opener) -> None:
    one, other = await opened(rate_window=2.0), await opened(rate_window=2.0)
    kept = [await one.permit(TENANT) for _ in range(25)]
    await asyncio.sleep(2.1)  # as a database may stand still
    granted = boottime()
    assert await other.governor.room(TENANT, 0) == 25
    for _ in range(25):
        await other.permit(TENANT)

    with pytest.raises(errors.NoSlot):
        await one.still_due(kept[0], max_wait=0.1)
    await one.still_due(kept[1], max_wait=30)

    assert boottime() >= granted + 2.0


async def test_who_is_cancelled_while_it_waits_gives_its_slot_back(opened: Opener) -> None:
    one, other = await opened(), await opened()
    await one.governor.throttle(TENANT, 4.0)
    waiting = asyncio.create_task(one.permit(TENANT))
    await until_a_slot_is_booked(other, within=4.1)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await one.close()
    assert await other.governor.room(TENANT, 4.1) == 25


@pytest.mark.parametrize(
    ("status", "error"), [(403, errors.Forbidden), (404, errors.Missing), (302, errors.Unexpected)]
)
async def test_a_read_that_is_turned_down_is_not_tried_again(
    fortnox: Fortnox, wire: Wire, status: int, error: type[errors.FortnoxError]
) -> None:
    wire.on("GET", "/3/invoices/7", says({}, status, {"Location": "/elsewhere"}))

    with pytest.raises(error):
        await fortnox.invoice(TENANT, InvoiceNumber(7))

    assert len(wire.requests) == 1


async def test_a_read_whose_token_was_refused_is_tried_once_with_a_new_one(fortnox: Fortnox, wire: Wire) -> None:
    unauthorized = says({"message": "unauthorized"}, 401)
    wire.on("GET", "/3/invoices/7", unauthorized, says({"Invoice": {"DocumentNumber": "7"}}))

    await fortnox.invoice(TENANT, InvoiceNumber(7))

    assert [request.headers["Authorization"] for request in wire.requests] == ["Bearer token-1", "Bearer token-2"]


async def test_a_read_whose_new_token_is_refused_too_says_so(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", "/3/invoices/7", says({"message": "unauthorized"}, 401))

    with pytest.raises(errors.Unauthorized, match="unauthorized"):
        await fortnox.invoice(TENANT, InvoiceNumber(7))

    assert len(wire.requests) == 2


async def test_a_read_names_the_moment_at_which_its_request_began(opened: Opener, wire: Wire) -> None:
    fortnox = await opened(clock_shift=86400.0)
    wire.on("GET", "/3/contracts/1", says({"Contract": {"DocumentNumber": 1}}))
    before = fortnox._requests._clock.now()

    read = await fortnox.contract(TENANT, ContractNumber(1))

    assert before <= read.read_at <= fortnox._requests._clock.now()


# Paging ---------------------------------------------------------------------------------------------------------------


async def test_an_empty_list_is_read_with_one_request(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Contracts", [])
    wire.on("GET", CONTRACTS, shelf)

    listing = await fortnox.contracts(TENANT)

    assert (listing.rows, listing.complete, pages_asked(shelf)) == ([], True, ["1"])


async def test_a_long_list_is_read_page_by_page(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Contracts", contract_rows(2 * PAGE + 1))
    wire.on("GET", CONTRACTS, shelf)

    listing = await fortnox.contracts(TENANT)

    assert [row.value.document_number for row in listing.rows] == list(range(1, 2 * PAGE + 2))
    assert listing.complete
    assert pages_asked(shelf) == ["1", "2", "3"]


async def test_rows_of_a_later_page_are_as_fresh_as_its_own_request(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", CONTRACTS, Shelf("Contracts", contract_rows(PAGE + 1)))

    listing = await fortnox.contracts(TENANT)

    assert listing.rows[0].read_at == listing.started_at < listing.rows[-1].read_at


@pytest.mark.parametrize("count", [3, PAGE, PAGE + 3])
async def test_a_list_without_meta_information_is_read_to_its_end(fortnox: Fortnox, wire: Wire, count: int) -> None:
    shelf = Shelf("Contracts", contract_rows(count))
    shelf.meta = False
    wire.on("GET", CONTRACTS, shelf)

    listing = await fortnox.contracts(TENANT)

    assert len(listing.rows) == count
    assert listing.complete


async def test_a_server_that_gives_the_same_full_page_for_ever_is_not_asked_for_ever(
    fortnox: Fortnox, wire: Wire
) -> None:
    wire.on("GET", CONTRACTS, says({"Contracts": contract_rows(PAGE)}))

    listing = await fortnox.contracts(TENANT)

    assert len(listing.rows) == PAGE
    assert len(wire.requests) == 2


async def test_another_refusal_on_a_later_page_is_not_taken_for_the_end(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Contracts", contract_rows(PAGE + 1))
    wire.on("GET", CONTRACTS, shelf, refuses(2000663, "Har inte behörighet för scope"))

    with pytest.raises(errors.Invalid):
        await fortnox.contracts(TENANT)


async def test_a_row_that_moves_to_the_next_page_while_reading_is_listed_once(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Invoices", invoice_rows(*range(1, PAGE + 11)))
    shelf.between_pages = lambda: shelf.rows.extend(invoice_rows(PAGE + 11 + len(shelf.asked)))
    wire.on("GET", INVOICES, shelf)

    listing = await fortnox.invoices(TENANT, above=None)

    assert [row.value.document_number for row in listing.rows] == list(range(PAGE + 10, 0, -1))
    assert listing.complete


async def test_a_listing_out_of_which_rows_vanish_while_reading_does_not_claim_to_be_complete(
    fortnox: Fortnox, wire: Wire
) -> None:
    shelf = Shelf("Contracts", contract_rows(PAGE + 11))
    shelf.between_pages = lambda: shelf.rows.pop(0)
    wire.on("GET", CONTRACTS, shelf)

    listing = await fortnox.contracts(TENANT)

    assert not listing.complete


async def test_an_endpoint_that_refuses_the_order_is_listed_without_it_from_then_on(
    fortnox: Fortnox, wire: Wire
) -> None:
    shelf = Shelf("Contracts", contract_rows(PAGE + 1))
    shelf.refuse_order = True
    wire.on("GET", CONTRACTS, shelf)

    assert len((await fortnox.contracts(TENANT)).rows) == PAGE + 1
    assert len((await fortnox.contracts(TENANT)).rows) == PAGE + 1

    assert ["sortby" in query for query in shelf.asked] == [True, False, False, False, False]


async def test_a_refusal_that_has_nothing_to_do_with_the_order_is_raised(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", CONTRACTS, refuses(2001101, "Det finns ingen aktiv licens för önskat scope"))

    with pytest.raises(errors.Invalid) as invalid:
        await fortnox.contracts(TENANT)

    assert invalid.value.code == 2001101


async def test_an_unreadable_row_is_reported_and_the_others_are_listed(fortnox: Fortnox, wire: Wire) -> None:
    rows = [*contract_rows(2), {"DocumentNumber": "3", "PeriodStart": "the first"}, {"Status": "ACTIVE"}, "row"]
    wire.on("GET", CONTRACTS, says({"Contracts": rows}))

    listing = await fortnox.contracts(TENANT)

    assert [row.value.document_number for row in listing.rows] == [1, 2]
    assert [row.number for row in listing.unreadable] == ["3", "", ""]
    assert "periodstart" in listing.unreadable[0].error
    assert not listing.complete


async def test_a_list_that_is_no_list_is_unreadable(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", CONTRACTS, says({"Contract": []}))

    with pytest.raises(errors.Unreadable):
        await fortnox.contracts(TENANT)


async def test_contracts_that_a_substring_filter_let_through_are_left_out(fortnox: Fortnox, wire: Wire) -> None:
    rows = [
        {"DocumentNumber": "1", "Status": "ACTIVE"},
        {"DocumentNumber": "2", "Status": "INACTIVE"},
        {"DocumentNumber": "3"},
    ]
    wire.on("GET", CONTRACTS, says({"Contracts": rows}))

    listing = await fortnox.contracts(TENANT)

    assert [row.value.document_number for row in listing.rows] == [1, 3]
    assert wire.requests[0].query["filter"] == "active"


async def test_all_contracts_are_listed_without_a_filter(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Contracts", [{"DocumentNumber": "2", "Status": "FINISHED"}])
    wire.on("GET", CONTRACTS, shelf)

    listing = await fortnox.contracts(TENANT, status=None)

    assert len(listing.rows) == 1
    assert "filter" not in shelf.asked[0]


# Invoices, newest first -----------------------------------------------------------------------------------------------


async def test_invoices_above_a_number_come_newest_first(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", INVOICES, Shelf("Invoices", invoice_rows(9, 10, 11, 8)))

    listing = await fortnox.invoices(TENANT, above=InvoiceNumber(9))

    assert [row.value.document_number for row in listing.rows] == [11, 10]
    assert listing.complete
    assert "invoicetype" not in wire.requests[0].query


async def test_paging_stops_at_the_first_page_that_shows_nothing_newer(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Invoices", invoice_rows(*range(1, 4 * PAGE)))
    wire.on("GET", INVOICES, shelf)

    listing = await fortnox.invoices(TENANT, above=InvoiceNumber(4 * PAGE - 3))

    assert [row.value.document_number for row in listing.rows] == [4 * PAGE - 1, 4 * PAGE - 2]
    assert listing.complete
    assert pages_asked(shelf) == ["1", "2"]


@pytest.mark.parametrize("fault", ["ignore_order", "refuse_order", "text_order"])
async def test_invoices_in_another_order_are_read_to_the_very_end(fortnox: Fortnox, wire: Wire, fault: str) -> None:
    shelf = Shelf("Invoices", invoice_rows(*range(1, 3 * PAGE + 1)))
    setattr(shelf, fault, True)
    wire.on("GET", INVOICES, shelf)

    listing = await fortnox.invoices(TENANT, above=InvoiceNumber(3 * PAGE - 2))

    assert [row.value.document_number for row in listing.rows] == [3 * PAGE, 3 * PAGE - 1]
    assert listing.complete
    assert shelf.asked[-1]["page"] == "3"


async def test_an_unreadable_invoice_counts_only_when_it_may_be_among_the_newer(fortnox: Fortnox, wire: Wire) -> None:
    rows = [*invoice_rows(12), {"DocumentNumber": "11", "Total": "much"}, {"DocumentNumber": "5", "Total": "much"}]
    wire.on("GET", INVOICES, says({"Invoices": rows}))

    newer = await fortnox.invoices(TENANT, above=InvoiceNumber(10))
    newest = await fortnox.invoices(TENANT, above=InvoiceNumber(11))

    assert [row.number for row in newer.unreadable] == ["11"]
    assert not newer.complete
    assert newest.complete


async def test_contract_invoices_are_filtered_by_type_and_checked_again(fortnox: Fortnox, wire: Wire) -> None:
    rows = [*invoice_rows(3), {"DocumentNumber": "2", "InvoiceType": "INVOICE"}, {"DocumentNumber": "1"}]
    wire.on("GET", INVOICES, says({"Invoices": rows}))

    listing = await fortnox.invoices(TENANT, above=None, contract_invoices_only=True)

    assert [row.value.document_number for row in listing.rows] == [3, 1]
    assert wire.requests[0].query["invoicetype"] == "AGREEMENTINVOICE"


async def test_the_newest_invoice_is_asked_for_by_itself(fortnox: Fortnox, wire: Wire) -> None:
    shelf = Shelf("Invoices", invoice_rows(*range(95, 106)))
    wire.on("GET", INVOICES, shelf)

    assert await fortnox.newest_invoice(TENANT) == 105
    assert [query["limit"] for query in shelf.asked] == ["1"]


async def test_a_tenant_without_invoices_has_no_newest(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", INVOICES, Shelf("Invoices", []))

    assert await fortnox.newest_invoice(TENANT) is None


# Single documents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"LockedPeriod": {"EndDate": None}}, {"LockedPeriod": {}}, {"LockedPeriod": []}])
async def test_nothing_is_locked_without_a_date(fortnox: Fortnox, wire: Wire, body: object) -> None:
    wire.on("GET", "/3/settings/lockedperiod", says(body))

    assert await fortnox.locked_period(TENANT) is None


async def test_an_answer_that_does_not_speak_of_the_locked_period_is_unreadable(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", "/3/settings/lockedperiod", says({}))

    with pytest.raises(errors.Unreadable):
        await fortnox.locked_period(TENANT)


async def test_a_financial_year_that_cannot_be_read_is_not_left_out(fortnox: Fortnox, wire: Wire) -> None:
    years = [{"Id": 1, "FromDate": "2026-01-01", "ToDate": "2026-12-31"}, {"Id": 2, "FromDate": ""}]
    wire.on("GET", "/3/financialyears", says({"FinancialYears": years}))

    with pytest.raises(errors.Unreadable, match="year 2"):
        await fortnox.financial_years(TENANT)


async def test_a_customer_number_with_a_slash_stays_one_part_of_the_path(fortnox: Fortnox, wire: Wire) -> None:
    wire.on("GET", "/3/customers/A/1 å", says({"Customer": {"CustomerNumber": "A/1 å", "EmailInvoice": "a@b.example"}}))

    read = await fortnox.customer(TENANT, "A/1 å")

    assert read.value.email_invoice == "a@b.example"
    assert wire.requests[0].raw_path == "/3/customers/A%2F1%20%C3%A5"
