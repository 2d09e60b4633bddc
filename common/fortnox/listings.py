"""The lists of Fortnox, read page by page: which there are, and what of them may be believed.

Fortnox keeps no snapshot while its pages are read. A row that could not be understood is never silently dropped, and a
list that may lack one never calls itself complete.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import structlog
from pydantic import BaseModel, ValidationError

from common.fortnox.answers import Answer, Read, faults, member
from common.fortnox.errors import Invalid
from common.fortnox.models import (
    Article,
    ContractAccrual,
    ContractItem,
    Customer,
    FinancialYear,
    InvoiceItem,
    Price,
    PriceList,
)
from common.fortnox.requests import Requests
from common.ids import InvoiceNumber, TenantId

log = structlog.get_logger()

PAGE = 500
"""Rows asked for at a time: the most that Fortnox gives (API notes 9.2)."""

Value = TypeVar("Value")
Item = TypeVar("Item", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row of a listing that could not be understood.

    Parameters:
      number: its identity as sent, "" when it had none.
      error: which fields, and why.
    """

    number: str
    error: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[Value]):
    """All pages of a list.

    Parameters:
      unreadable: rows that are in Fortnox but could not be understood; never silently dropped.
      started_at: when the first request began.
      complete: every row that was asked for is in `rows`, so that one which is absent does not exist.
    """

    rows: list[Read[Value]]
    unreadable: list[UnreadableRow]
    started_at: datetime
    complete: bool


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Item]):
    """A list endpoint: its envelope, its rows, what tells two rows apart, and the stable order it is asked for."""

    path: str
    envelope: str
    item: type[Item]
    identity: tuple[str, ...]
    sortby: str | None = None


CONTRACTS = Endpoint("/3/contracts", "Contracts", ContractItem, ("DocumentNumber",), "documentnumber")
INVOICES = Endpoint("/3/invoices", "Invoices", InvoiceItem, ("DocumentNumber",), "documentnumber")
ACCRUALS = Endpoint("/3/contractaccruals", "ContractAccruals", ContractAccrual, ("DocumentNumber",))
CUSTOMERS = Endpoint("/3/customers", "Customers", Customer, ("CustomerNumber",), "customernumber")
ARTICLES = Endpoint("/3/articles", "Articles", Article, ("ArticleNumber",), "articlenumber")
PRICES = Endpoint("/3/prices", "Prices", Price, ("ArticleNumber", "PriceList", "FromQuantity"), "articlenumber")
PRICE_LISTS = Endpoint("/3/pricelists", "PriceLists", PriceList, ("Code",))
YEARS = Endpoint("/3/financialyears", "FinancialYears", FinancialYear, ("Id",))


def steps_of(price_list: str, article: str) -> Endpoint[Price]:
    """The prices of one article in one price list, by quantity (API notes 4.2)."""
    return replace(
        PRICES, path=f"/3/prices/sublist/{quote(price_list, safe='')}/{quote(article, safe='')}", sortby=None
    )


class Listings:
    """Reads the lists of all tenants, and remembers which endpoints refuse to be sorted."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._unsortable: set[str] = set()

    async def whole(
        self, tenant: TenantId, listed: Endpoint[Item], params: Mapping[str, str] | None = None
    ) -> Listing[Item]:
        """All pages of the list."""
        collected = _Collected(listed.item)
        async for page in self._pages(tenant, listed, params or {}):
            collected.add(page)
        return Listing(
            rows=collected.rows,
            unreadable=collected.unreadable,
            started_at=collected.started_at,
            complete=collected.whole and not collected.unreadable,
        )

    async def invoices(
        self, tenant: TenantId, params: Mapping[str, str], *, above: InvoiceNumber | None
    ) -> Listing[InvoiceItem]:
        """The tenant's invoices, newest first, down to but not including `above`; all of them without it.

        Paging stops at the first page of which none is above it. Should the pages turn out not to descend by number,
        all of them are read, since then no page says anything about the next.
        """
        collected = _Collected(InvoiceItem)
        descending, reached = True, False
        previous: int | None = None
        async with aclosing(self._pages(tenant, INVOICES, params, descending=True)) as pages:
            async for page in pages:
                collected.add(page)
                numbers = [_count(row.number) for row in page.rows]
                for number in numbers:
                    descending = descending and number is not None and (previous is None or number < previous)
                    previous = number
                highest = numbers[0] if descending and numbers else None
                if above is not None and highest is not None and highest <= above:
                    reached = True
                    break
        rows = [row for row in collected.rows if above is None or row.value.document_number > above]
        unreadable = [
            row
            for row in collected.unreadable
            if above is None or (number := _count(row.number)) is None or number > above
        ]
        return Listing(
            rows=sorted(rows, key=lambda row: row.value.document_number, reverse=True),
            unreadable=unreadable,
            started_at=collected.started_at,
            complete=(reached or collected.whole) and not unreadable,
        )

    async def newest_invoice(self, tenant: TenantId) -> InvoiceNumber | None:
        """The highest invoice number of the tenant; `None` when it has no invoices."""
        params = {"sortby": "documentnumber", "sortorder": "descending", "limit": "1"}
        answer = await self._requests.read(tenant, INVOICES.path, params)
        rows = _rows(answer, INVOICES)
        if not rows:
            return None
        number = _count(rows[0].number)
        if number is None:
            raise answer.unreadable(f"an invoice without a number ({rows[0].number!r})")
        return InvoiceNumber(number)

    async def _pages(
        self, tenant: TenantId, listed: Endpoint[Item], params: Mapping[str, str], *, descending: bool = False
    ) -> AsyncGenerator["_Page"]:
        """Page after page, each with only the rows that no earlier one had.

        Fortnox keeps no snapshot: while pages are read, rows move from one to the next (API notes 9.2).
        """
        seen: set[str] = set()
        number = 1
        while True:
            try:
                answer = await self._page(tenant, listed, params, descending, number)
            except Invalid as error:
                if number > 1 and _beyond_the_end(error):
                    return
                raise
            rows = _rows(answer, listed)
            fresh = [row for row in rows if not row.number or row.number not in seen]
            seen.update(row.number for row in fresh)
            information = member(answer.body, "MetaInformation")
            pages = _count(member(information, "@TotalPages")) if isinstance(information, dict) else None
            total = _count(member(information, "@TotalResources")) if isinstance(information, dict) else None
            yield _Page(fresh, answer.started_at, total)
            if pages is not None:
                if number >= pages or not rows:
                    return
            elif len(rows) < PAGE or not fresh:
                return
            number += 1

    async def _page(
        self, tenant: TenantId, listed: Endpoint[Item], params: Mapping[str, str], descending: bool, number: int
    ) -> Answer:
        """One page, in no order when the endpoint refuses the order: for some only SDKs report it (API notes 1.2)."""
        query = {**params, "limit": str(PAGE), "page": str(number)}
        if listed.sortby is None or listed.path in self._unsortable:
            return await self._requests.read(tenant, listed.path, query)
        order = {"sortby": listed.sortby, "sortorder": "descending" if descending else "ascending"}
        try:
            return await self._requests.read(tenant, listed.path, {**query, **order})
        except Invalid:
            if number > 1:
                raise
        answer = await self._requests.read(tenant, listed.path, query)
        self._unsortable.add(listed.path)
        log.info("order_refused", path=listed.path, sortby=listed.sortby)
        return answer


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it came, and its identity, "" when it has none."""

    number: str
    body: Any


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[_Row]
    read_at: datetime
    total: int | None


class _Collected(Generic[Item]):
    """The rows of the pages so far."""

    def __init__(self, item: type[Item]) -> None:
        self._item = item
        self._pages: list[_Page] = []
        self.rows: list[Read[Item]] = []
        self.unreadable: list[UnreadableRow] = []

    def add(self, page: _Page) -> None:
        self._pages.append(page)
        for row in page.rows:
            try:
                self.rows.append(Read(self._item.model_validate(row.body), page.read_at))
            except ValidationError as error:
                self.unreadable.append(UnreadableRow(row.number, faults(error)))
                log.warning("row_unreadable", document=self._item.__name__, number=row.number, error=faults(error))

    @property
    def started_at(self) -> datetime:
        return self._pages[0].read_at

    @property
    def whole(self) -> bool:
        """Whether the pages together show all there was when the first was read.

        A total that shrinks meanwhile means that rows have moved up, maybe from a page to come into one already read.
        """
        totals = [page.total for page in self._pages if page.total is not None]
        rows = sum(len(page.rows) for page in self._pages)
        return totals == sorted(totals) and (not totals or rows >= totals[0])


def _rows(answer: Answer, listed: Endpoint[Any]) -> list[_Row]:
    bodies = member(answer.body, listed.envelope)
    if not isinstance(bodies, list):
        raise answer.unreadable(f"no list of {listed.envelope} in the answer")
    return [_Row(_identity(body, listed.identity), body) for body in bodies]


def _beyond_the_end(error: Invalid) -> bool:
    """ "Angiven sida hittades ej (24).", for which no code is known (API notes 9.2)."""
    return error.code == 24 or "angiven sida" in error.message.lower()


def _identity(body: object, names: tuple[str, ...]) -> str:
    values = [member(body, name) for name in names] if isinstance(body, dict) else []
    return "/".join(str(value) for value in values) if any(value is not None for value in values) else ""


def _count(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
