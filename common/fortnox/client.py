"""The client of Fortnox' API: reads that may be tried again, and effects that are sent exactly once.

No layer below repeats a call with an effect: aiohttp's own repetition is switched off and redirects are not followed
(design, section 5 rule 6). Every request takes a slot of the governor first; a token never reaches a log or an error.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType, SimpleNamespace
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import aiohttp
import structlog
from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis
from yarl import URL

from common.clock import STOCKHOLM, Clock, boottime
from common.fortnox.answers import REFUSALS, classify, member, read_json
from common.fortnox.auth import Token, Tokens
from common.fortnox.errors import (
    Broken,
    Faulty,
    Forbidden,
    FortnoxError,
    GovernorUnreachable,
    Invalid,
    Throttled,
    TimedOut,
    Unauthorized,
    Unreachable,
    Unreadable,
)
from common.fortnox.governor import Governor, Slot
from common.fortnox.models import (
    Article,
    Company,
    CompanySettings,
    Contract,
    ContractAccrual,
    ContractItem,
    Customer,
    FinanceInvoice,
    FinancialYear,
    Invoice,
    InvoiceItem,
    LockedPeriod,
    Price,
)
from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.settings import Settings

log = structlog.get_logger()

CONNECT_TIMEOUT = 10.0
"""Seconds for name, connection and TLS together; nothing has been sent when it runs out."""
IDLE_CONNECTION = 15.0
"""Seconds after which an unused connection is closed by us, rather than found closed by an effect."""
PAGE = 500
"""Rows asked for at a time: the most that Fortnox gives (API notes 9.2)."""
PUNCTUAL = 0.025
"""Seconds after its slot within which a request may leave without our telling the governor: a tenth of the margin that
the window has over Fortnox' own (design, section 9)."""
READ_PAUSES = (0.2, 0.6, 1.8)
"""Seconds between the tries of a read, so four tries at most."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Value = TypeVar("Value")
Item = TypeVar("Item", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Read(Generic[Value]):
    """What was read, and when the request began that returned it: how fresh it is counts from there (design 6)."""

    value: Value
    read_at: datetime


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
class Reply(Generic[Value]):
    """Fortnox' yes to an effect. `read_at` is when the request began; `x_uid` is for Fortnox' support."""

    value: Value
    http_status: int
    x_uid: str | None
    read_at: datetime


@dataclass(slots=True)
class Permit:
    """A token, and a slot under the rate limit that is due now: good for one request, to be made at once.

    Parameters:
      due: by `boottime`, when the slot was due; a little before rather than after.
      spent: whether the request has been made.
    """

    tenant: TenantId
    token: Token
    slot: Slot
    due: float
    spent: bool = False


@dataclass(frozen=True, slots=True)
class _List(Generic[Item]):
    """A list endpoint: its envelope, its rows, what tells two rows apart, and the stable order it is asked for."""

    path: str
    envelope: str
    item: type[Item]
    identity: tuple[str, ...]
    sortby: str | None = None


_CONTRACTS = _List("/3/contracts", "Contracts", ContractItem, ("DocumentNumber",), "documentnumber")
_INVOICES = _List("/3/invoices", "Invoices", InvoiceItem, ("DocumentNumber",), "documentnumber")
_ACCRUALS = _List("/3/contractaccruals", "ContractAccruals", ContractAccrual, ("DocumentNumber",))
_CUSTOMERS = _List("/3/customers", "Customers", Customer, ("CustomerNumber",), "customernumber")
_ARTICLES = _List("/3/articles", "Articles", Article, ("ArticleNumber",), "articlenumber")
_PRICES = _List("/3/prices", "Prices", Price, ("ArticleNumber", "PriceList", "FromQuantity"), "articlenumber")
_YEARS = _List("/3/financialyears", "FinancialYears", FinancialYear, ("Id",))


@dataclass(slots=True)
class _Phase:
    """How far one request has come. Once a connection stands, a byte of the request may have left."""

    connected: bool = False


class Fortnox:
    """Fortnox for one integration (client id) and all its tenants; one a process.

    Reads raise `FortnoxError` when the tries are used up, and like everything here `TokenError`, `NoSlot` and
    `GovernorUnreachable`. Effects raise `Rejected` (nothing was done) or `InDoubt` (look before anything is repeated).

    Parameters:
      governor: shared with whoever wants to know how much room a tenant has.
    """

    def __init__(
        self, session: aiohttp.ClientSession, tokens: Tokens, governor: Governor, *, api_url: str, clock: Clock
    ) -> None:
        self.governor = governor
        self._session = session
        self._tokens = tokens
        self._api = api_url
        self._clock = clock
        self._unsortable: set[str] = set()
        self._noting: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, settings: Settings, redis: Redis) -> "Fortnox":
        """A client by the settings.

        Parameters:
          redis: the governor's database (`governor_redis`); the caller closes it, after the client.
        """
        session = aiohttp.ClientSession(
            # The governor limits the requests; a wait for a connection of the pool would only hide how long they take.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION),
            # Cookies of a load balancer would otherwise travel from one tenant's answers to another's requests.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": "Avtalsmotor"},
            timeout=aiohttp.ClientTimeout(
                total=settings.call_timeout, connect=CONNECT_TIMEOUT, sock_connect=CONNECT_TIMEOUT
            ),
            trace_configs=[_connection_trace()],
        )
        # aiohttp 3.14.5 sends GET and PUT once more when a connection breaks, and has no public switch for it.
        if not hasattr(session, "_retry_connection"):
            await session.close()
            raise RuntimeError("This aiohttp cannot be told not to repeat requests; install the pinned version.")
        session._retry_connection = False  # noqa: SLF001
        clock = settings.clock
        client_id = settings.fortnox_client_id
        tokens = Tokens(
            session,
            redis,
            auth_url=settings.fortnox_auth_url,
            client_id=client_id,
            client_secret=settings.fortnox_client_secret.get_secret_value(),
            call_timeout=settings.call_timeout,
            clock=clock,
        )
        return cls(
            session,
            tokens,
            Governor(redis, client_id, settings.rate_window),
            api_url=settings.fortnox_api_url,
            clock=clock,
        )

    async def close(self) -> None:
        """Close the connections to Fortnox."""
        await asyncio.gather(*self._noting)
        await self._tokens.close()
        await self._session.close()

    async def permit(self, tenant: TenantId, *, max_wait: float = 30) -> Permit:
        """Wait for the tenant's next slot.

        The token comes first, so that a tenant without one spends no slots, and once more after the wait, since a
        short-lived one may have run out in it.

        Parameters:
          max_wait: seconds.

        Raises: `TokenError`, `GovernorUnreachable`; `NoSlot` when the slot is further away than `max_wait`.
        """
        deadline = boottime() + max_wait
        await self._tokens.token(tenant)
        while True:
            asked = boottime()
            slot = await self.governor.slot(tenant, max(deadline - asked, 0))
            if not slot.wait:
                break
            await asyncio.sleep(slot.wait)
            # A 429 that came meanwhile holds back also those who had booked before it.
            if not await self.governor.pause(tenant):
                break
        return Permit(tenant, await self._tokens.token(tenant), slot, asked + slot.wait)

    # Reads ------------------------------------------------------------------------------------------------------------

    async def contracts(self, tenant: TenantId, *, status: str | None = "active") -> Listing[ContractItem]:
        """The tenant's contracts (API notes 1.2).

        Parameters:
          status: `active`, `inactive` or `finished`; `None` for all.
        """
        listing = await self._list(tenant, _CONTRACTS, {"filter": status} if status else {})
        if status is None:
            return listing
        wanted = status.upper()
        return replace(listing, rows=[row for row in listing.rows if row.value.status.upper() in ("", wanted)])

    async def contract(self, tenant: TenantId, number: ContractNumber) -> Read[Contract]:
        """One contract with its rows."""
        return await self._document(tenant, f"/3/contracts/{number}", "Contract", Contract)

    async def contract_accruals(self, tenant: TenantId) -> Listing[ContractAccrual]:
        """The accruals (periodiseringar) of the tenant's contracts (API notes 1.1)."""
        return await self._list(tenant, _ACCRUALS)

    async def invoices(
        self, tenant: TenantId, *, above: InvoiceNumber | None, contract_invoices_only: bool = False
    ) -> Listing[InvoiceItem]:
        """The tenant's invoices, newest first, down to but not including `above`; all of them without it.

        Paging stops at the first page of which none is above it. Should the pages turn out not to descend by number,
        all of them are read, since then no page says anything about the next.

        Parameters:
          contract_invoices_only: ask for invoice type AGREEMENTINVOICE alone, which is what contracts are presumed to
            make (API notes 1.7).
        """
        params = {"invoicetype": "AGREEMENTINVOICE"} if contract_invoices_only else {}
        collected = _Collected(InvoiceItem)
        descending, reached = True, False
        previous: int | None = None
        async with aclosing(self._pages(tenant, _INVOICES, params, descending=True)) as pages:
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
        rows = [
            row
            for row in collected.rows
            if (above is None or row.value.document_number > above)
            and (not contract_invoices_only or row.value.invoice_type in ("", "AGREEMENTINVOICE"))
        ]
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
        answer = await self._read(tenant, _INVOICES.path, params)
        rows = answer.rows(_INVOICES)
        if not rows:
            return None
        number = _count(rows[0].number)
        if number is None:
            raise answer.unreadable(f"an invoice without a number ({rows[0].number!r})")
        return InvoiceNumber(number)

    async def invoice(self, tenant: TenantId, number: InvoiceNumber) -> Read[Invoice]:
        """One invoice with its rows, the contract and the period it belongs to."""
        return await self._document(tenant, f"/3/invoices/{number}", "Invoice", Invoice)

    async def finance_invoice(self, tenant: TenantId, number: InvoiceNumber) -> Read[FinanceInvoice]:
        """What Fakturatjänster says of an invoice handed over (API notes 3)."""
        return await self._document(tenant, f"/3/noxfinansinvoices/{number}", "NoxFinansInvoice", FinanceInvoice)

    async def company(self, tenant: TenantId) -> Company:
        """The company itself; scope `companyinformation`."""
        path = "/3/companyinformation"
        return (await self._document(tenant, path, "CompanyInformation", Company)).value

    async def company_settings(self, tenant: TenantId) -> CompanySettings:
        """The company's settings, bank details among them; scope `settings`."""
        return (await self._document(tenant, "/3/settings/company", "CompanySettings", CompanySettings)).value

    async def locked_period(self, tenant: TenantId) -> date | None:
        """The last day on which the books are locked; `None` when nothing is (API notes 9.4)."""
        answer = await self._read(tenant, "/3/settings/lockedperiod")
        if "LockedPeriod" in answer.body and not answer.body["LockedPeriod"]:
            return None
        return answer.document("LockedPeriod", LockedPeriod).end_date

    async def financial_years(self, tenant: TenantId) -> list[FinancialYear]:
        """The tenant's financial years; scope `bookkeeping`. Raises: `Unreadable` when one cannot be understood."""
        listing = await self._list(tenant, _YEARS)
        if listing.unreadable:
            bad = listing.unreadable[0]
            raise Unreadable(f"GET {_YEARS.path}", tenant, http_status=200, message=f"year {bad.number}: {bad.error}")
        return [row.value for row in listing.rows]

    async def customers(self, tenant: TenantId, *, modified_since: datetime | None = None) -> Listing[Customer]:
        """The tenant's customers, as lists show them: without the e-mail address for invoices.

        Parameters:
          modified_since: only those changed since then, to the second of Sweden's wall clock (API notes 9.3).
        """
        params: dict[str, str] = {}
        if modified_since is not None:
            params["lastmodified"] = f"{modified_since.astimezone(STOCKHOLM):%Y-%m-%d %H:%M:%S}"
        return await self._list(tenant, _CUSTOMERS, params)

    async def customer(self, tenant: TenantId, number: str) -> Read[Customer]:
        """One customer, with its address for invoices and its ways of delivery."""
        return await self._document(tenant, f"/3/customers/{quote(number, safe='')}", "Customer", Customer)

    async def articles(self, tenant: TenantId) -> Listing[Article]:
        """The tenant's articles."""
        return await self._list(tenant, _ARTICLES)

    async def prices(self, tenant: TenantId) -> Listing[Price]:
        """All prices of all price lists of the tenant."""
        return await self._list(tenant, _PRICES)

    # Effects ----------------------------------------------------------------------------------------------------------

    async def create_invoice(
        self, permit: Permit, contract: ContractNumber, *, invoice_date: date
    ) -> Reply[Contract | Invoice]:
        """Make the invoice of the period that the contract shows.

        Fortnox answers with the contract, or with the invoice, depending on its edition (API notes 1.6). Called twice
        it makes two invoices.
        """
        path = f"/3/contracts/{contract}/createinvoice"
        answer = await self._request(permit, "PUT", path, params={"invoicedate": invoice_date.isoformat()})
        document: Contract | Invoice
        if member(answer.body, "Invoice") is not None:
            document = answer.document("Invoice", Invoice)
        else:
            document = answer.document("Contract", Contract)
        return Reply(document, answer.http_status, answer.x_uid, answer.started_at)

    async def bookkeep(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """Book the invoice; it cannot be changed any more after that (API notes 2.5)."""
        return (await self._request(permit, "PUT", f"/3/invoices/{number}/bookkeep")).reply("Invoice", Invoice)

    async def email(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """E-mail the invoice to the address it carries. A GET with an effect: each one sends (API notes 2.5)."""
        return (await self._request(permit, "GET", f"/3/invoices/{number}/email")).reply("Invoice", Invoice)

    async def set_invoice_dates(
        self, permit: Permit, number: InvoiceNumber, *, invoice_date: date, due_date: date | None
    ) -> Reply[Invoice]:
        """Give an unbooked invoice other dates (API notes 2.4); made twice it changes nothing more.

        Parameters:
          due_date: `None` leaves it to Fortnox.
        """
        dates = {"InvoiceDate": invoice_date.isoformat()}
        if due_date is not None:
            dates["DueDate"] = due_date.isoformat()
        answer = await self._request(permit, "PUT", f"/3/invoices/{number}", body={"Invoice": dates})
        return answer.reply("Invoice", Invoice)

    async def cancel(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """Cancel (makulera) the invoice (API notes 2.5)."""
        return (await self._request(permit, "PUT", f"/3/invoices/{number}/cancel")).reply("Invoice", Invoice)

    async def set_period(
        self, permit: Permit, contract: ContractNumber, *, period_start: date, period_end: date
    ) -> Reply[Contract]:
        """Set the period that the contract invoices next; the rest of it stays (API notes 1.5)."""
        period = {"PeriodStart": period_start.isoformat(), "PeriodEnd": period_end.isoformat()}
        answer = await self._request(permit, "PUT", f"/3/contracts/{contract}", body={"Contract": period})
        return answer.reply("Contract", Contract)

    async def hand_over(
        self, permit: Permit, number: InvoiceNumber, *, send_method: str, service: str = "LEDGERBASE"
    ) -> Reply[FinanceInvoice]:
        """Hand the invoice over to Fakturatjänster, which sends it and collects the money (API notes 3).

        Parameters:
          send_method: EMAIL, LETTER, EINVOICE or NONE.
        """
        body = {"NoxFinansInvoice": {"InvoiceNumber": str(number), "SendMethod": send_method, "Service": service}}
        answer = await self._request(permit, "POST", "/3/noxfinansinvoices", body=body)
        return answer.reply("NoxFinansInvoice", FinanceInvoice)

    # Beneath ----------------------------------------------------------------------------------------------------------

    async def _document(self, tenant: TenantId, path: str, envelope: str, model: type[Item]) -> Read[Item]:
        answer = await self._read(tenant, path)
        return Read(answer.document(envelope, model), answer.started_at)

    async def _list(
        self, tenant: TenantId, listed: _List[Item], params: Mapping[str, str] | None = None
    ) -> Listing[Item]:
        collected = _Collected(listed.item)
        async for page in self._pages(tenant, listed, params or {}):
            collected.add(page)
        return Listing(
            rows=collected.rows,
            unreadable=collected.unreadable,
            started_at=collected.started_at,
            complete=collected.whole and not collected.unreadable,
        )

    async def _pages(
        self, tenant: TenantId, listed: _List[Item], params: Mapping[str, str], *, descending: bool = False
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
            rows = answer.rows(listed)
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
        self, tenant: TenantId, listed: _List[Item], params: Mapping[str, str], descending: bool, number: int
    ) -> "_Answer":
        """One page, in no order when the endpoint refuses the order: for some only SDKs report it (API notes 1.2)."""
        query = {**params, "limit": str(PAGE), "page": str(number)}
        if listed.sortby is None or listed.path in self._unsortable:
            return await self._read(tenant, listed.path, query)
        order = {"sortby": listed.sortby, "sortorder": "descending" if descending else "ascending"}
        try:
            return await self._read(tenant, listed.path, {**query, **order})
        except Invalid:
            if number > 1:
                raise
        answer = await self._read(tenant, listed.path, query)
        self._unsortable.add(listed.path)
        log.info("order_refused", path=listed.path, sortby=listed.sortby)
        return answer

    async def _read(self, tenant: TenantId, path: str, params: Mapping[str, str] | None = None) -> "_Answer":
        """A GET without effect, tried again where the reason may pass."""
        renewed = False
        for pause in (*READ_PAUSES, None):
            permit = await self.permit(tenant)
            try:
                return await self._request(permit, "GET", path, params=params)
            except Unauthorized:
                if renewed or pause is None:
                    raise
                renewed = True
            except Throttled:
                # The next permit waits as long as it must.
                if pause is None:
                    raise
            except (Unreachable, TimedOut, Broken, Faulty) as error:
                if pause is None:
                    raise
                log.info("read_repeated", path=path, tenant=tenant, error=type(error).__name__, pause=pause)
                await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _request(
        self,
        permit: Permit,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> "_Answer":
        """One request, sent at most once, its outcome sorted by whether Fortnox may have acted."""
        if permit.spent:
            raise RuntimeError("A permit is good for one request; ask for another.")
        permit.spent = True
        request, tenant, phase = f"{method} {path}", permit.tenant, _Phase()
        own_headers = {"Authorization": f"Bearer {permit.token.value}"}
        if body is not None:
            own_headers["Content-Type"] = "application/json"
        status, headers, content = 0, _NO_HEADERS, b""
        started_at, began = self._clock.now(), boottime()
        if began - permit.due > PUNCTUAL:
            self._note_lateness(permit, began - permit.due)
        try:
            async with self._session.request(
                method,
                URL(f"{self._api}{path}", encoded=True),
                params=params,
                json=body,
                headers=own_headers,
                # Fortnox minds a content type that it does not know (code 1000031), and aiohttp would make one up.
                skip_auto_headers=("Content-Type",),
                allow_redirects=False,
                trace_request_ctx=phase,
            ) as response:
                status, headers = response.status, response.headers
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # A refusal stands by its status alone, also when the rest of the answer is cut off.
            if status not in REFUSALS:
                raise _failed(request, tenant, phase, status, headers, error) from error
        finally:
            log.debug(
                "fortnox_request",
                method=method,
                path=path,
                status=status or None,
                tenant=tenant,
                seconds=round(boottime() - began, 4),
                x_uid=headers.get("X-Uid"),
            )
        refused = classify(request, tenant, status, content, headers)
        if refused is not None:
            await self._told(refused, permit)
            raise refused
        answer = _Answer(request, tenant, status, {}, headers.get("X-Uid"), started_at)
        try:
            document = read_json(content)
        except ValueError as error:
            raise answer.unreadable("the body is not JSON") from error
        if not isinstance(document, dict):
            raise answer.unreadable("the body is not an object")
        return replace(answer, body=document)

    def _note_lateness(self, permit: Permit, seconds: float) -> None:
        """Has the slot counted from when the request leaves, without holding the request up for that.

        A claim's commit and a busy machine take their time after the slot was due. Without this, a request that left
        late would be followed too closely by the one that is due a window after its slot.
        """
        noting = asyncio.create_task(self._left_late(permit, seconds))
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _left_late(self, permit: Permit, seconds: float) -> None:
        try:
            await self.governor.left_late(permit.tenant, permit.slot, seconds)
        except GovernorUnreachable as error:
            log.warning("lateness_not_noted", tenant=permit.tenant, seconds=round(seconds, 3), error=error.reason)

    async def _told(self, refused: FortnoxError, permit: Permit) -> None:
        """Let every process know what a refusal says of the token or the rate limit.

        That Redis cannot be told must not hide what Fortnox has answered.
        """
        try:
            if isinstance(refused, Unauthorized | Forbidden):
                # What a token may do is settled when it is given: rights that are added later come with the next one.
                await self._tokens.invalidate(permit.tenant, permit.token)
            elif isinstance(refused, Throttled):
                await self.governor.throttle(permit.tenant, refused.retry_after)
        except GovernorUnreachable as error:
            log.warning("refusal_not_shared", tenant=permit.tenant, status=refused.http_status, error=error.reason)


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


@dataclass(frozen=True, slots=True)
class _Answer:
    """A yes of Fortnox, its body read as JSON."""

    request: str
    tenant: TenantId
    http_status: int
    body: dict[str, Any]
    x_uid: str | None
    started_at: datetime

    def unreadable(self, reason: str) -> Unreadable:
        return Unreadable(self.request, self.tenant, http_status=self.http_status, message=reason, x_uid=self.x_uid)

    def document(self, envelope: str, model: type[Item]) -> Item:
        body = member(self.body, envelope)
        if body is None:
            raise self.unreadable(f"no {envelope} in the answer")
        try:
            return model.model_validate(body)
        except ValidationError as error:
            raise self.unreadable(f"{envelope}: {_faults(error)}") from error

    def reply(self, envelope: str, model: type[Item]) -> Reply[Item]:
        return Reply(self.document(envelope, model), self.http_status, self.x_uid, self.started_at)

    def rows(self, listed: _List[Any]) -> list[_Row]:
        bodies = member(self.body, listed.envelope)
        if not isinstance(bodies, list):
            raise self.unreadable(f"no list of {listed.envelope} in the answer")
        return [_Row(_identity(body, listed.identity), body) for body in bodies]


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
                self.unreadable.append(UnreadableRow(row.number, _faults(error)))
                log.warning("row_unreadable", document=self._item.__name__, number=row.number, error=_faults(error))

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


def _connection_trace() -> aiohttp.TraceConfig:
    """Tells each request's `_Phase` when its connection stands, just made or found open."""

    async def connected(
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        event: aiohttp.TraceConnectionCreateEndParams | aiohttp.TraceConnectionReuseconnParams,
    ) -> None:
        if isinstance(context.trace_request_ctx, _Phase):
            context.trace_request_ctx.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


def _failed(
    request: str,
    tenant: TenantId,
    phase: _Phase,
    status: int,
    headers: Mapping[str, str],
    failure: Exception,
) -> FortnoxError:
    """What a failure on the wire means, by how far the request had come."""
    kind: type[FortnoxError]
    if not phase.connected:
        kind = Unreachable
    elif isinstance(failure, TimeoutError):
        kind = TimedOut
    else:
        kind = Broken
    message = str(failure) or type(failure).__name__
    return kind(request, tenant, http_status=status or None, message=message, x_uid=headers.get("X-Uid"))


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


def _faults(error: ValidationError) -> str:
    """Which fields are wrong and why, without their values, which may be anybody's address."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
