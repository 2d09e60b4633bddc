"""The client of Fortnox' API, endpoint by endpoint: reads that may be tried again, and effects that are sent once.

How a request is made is in `requests`, how a list is read in `listings`; an effect takes the permit that its caller has
waited for, and nothing here repeats it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from redis.asyncio import Redis

from common.clock import STOCKHOLM
from common.fortnox import listings
from common.fortnox.answers import Read, Reply, member
from common.fortnox.auth import Consents
from common.fortnox.errors import Unreadable
from common.fortnox.listings import Listing, Listings
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
    PriceList,
    Row,
)
from common.fortnox.requests import Permit, Requests
from common.fortnox.rows import sent_back
from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.settings import Settings

Document = TypeVar("Document", bound=BaseModel)


class Fortnox:
    """Fortnox for one integration (client id) and all its tenants; one a process.

    Reads raise `FortnoxError` when the tries are used up, and like everything here `TokenError`, `NoSlot` and
    `GovernorUnreachable`. Effects raise `Rejected` (nothing was done) or `InDoubt` (look before anything is repeated).

    Parameters:
      requests: closed with the client.
    """

    def __init__(self, requests: Requests) -> None:
        self.governor = requests.governor
        self.tokens = requests.tokens
        self._requests = requests
        self._listings = Listings(requests)

    @classmethod
    async def open(cls, settings: Settings, redis: Redis, consents: Consents[Any] | None = None) -> "Fortnox":
        """A client by the settings.

        Parameters:
          redis: the governor's database (`governor_redis`); the caller closes it, after the client.
          consents: how each tenant's tokens are had; `None`: all by client credentials.
        """
        return cls(await Requests.open(settings, redis, consents))

    async def close(self) -> None:
        """Close the connections to Fortnox."""
        await self._requests.close()

    async def permit(self, tenant: TenantId, *, max_wait: float = 30) -> Permit:
        """Wait for the tenant's next slot; see `Requests.permit`."""
        return await self._requests.permit(tenant, max_wait=max_wait)

    async def still_due(self, permit: Permit, *, max_wait: float) -> None:
        """Waits for the permit's slot anew if it was not used in time; see `Requests.still_due`."""
        await self._requests.still_due(permit, max_wait=max_wait)

    # Reads ------------------------------------------------------------------------------------------------------------

    async def contracts(self, tenant: TenantId, *, status: str | None = "active") -> Listing[ContractItem]:
        """The tenant's contracts (API notes 1.2).

        Parameters:
          status: `active`, `inactive` or `finished`; `None` for all.
        """
        listing = await self._listings.whole(tenant, listings.CONTRACTS, {"filter": status} if status else {})
        if status is None:
            return listing
        wanted = status.upper()
        return replace(listing, rows=[row for row in listing.rows if row.value.status.upper() in ("", wanted)])

    async def contract(self, tenant: TenantId, number: ContractNumber) -> Read[Contract]:
        """One contract with its rows."""
        return await self._document(tenant, f"/3/contracts/{number}", "Contract", Contract)

    async def contract_accruals(self, tenant: TenantId) -> Listing[ContractAccrual]:
        """The accruals (periodiseringar) of the tenant's contracts (API notes 1.1)."""
        return await self._listings.whole(tenant, listings.ACCRUALS)

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
        listing = await self._listings.invoices(tenant, params, above=above)
        if not contract_invoices_only:
            return listing
        return replace(
            listing, rows=[row for row in listing.rows if row.value.invoice_type in ("", "AGREEMENTINVOICE")]
        )

    async def newest_invoice(self, tenant: TenantId) -> InvoiceNumber | None:
        """The highest invoice number of the tenant; `None` when it has no invoices."""
        return await self._listings.newest_invoice(tenant)

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
        answer = await self._requests.read(tenant, "/3/settings/lockedperiod")
        if "LockedPeriod" in answer.body and not answer.body["LockedPeriod"]:
            return None
        return answer.document("LockedPeriod", LockedPeriod).end_date

    async def financial_years(self, tenant: TenantId) -> list[FinancialYear]:
        """The tenant's financial years; scope `bookkeeping`. Raises: `Unreadable` when one cannot be understood."""
        listing = await self._listings.whole(tenant, listings.YEARS)
        if listing.unreadable:
            bad = listing.unreadable[0]
            raise Unreadable(
                f"GET {listings.YEARS.path}", tenant, http_status=200, message=f"year {bad.number}: {bad.error}"
            )
        return [row.value for row in listing.rows]

    async def may_list(self, tenant: TenantId, listed: listings.Endpoint[Any]) -> None:
        """Asks for the first row of a list, to know whether it may be read. Raises what it is refused with."""
        await self._requests.read(tenant, listed.path, {"limit": "1"})

    async def customers(self, tenant: TenantId, *, modified_since: datetime | None = None) -> Listing[Customer]:
        """The tenant's customers, as lists show them: without the e-mail address for invoices.

        Parameters:
          modified_since: only those changed since then, to the second of Sweden's wall clock (API notes 9.3).
        """
        return await self._listings.whole(tenant, listings.CUSTOMERS, _since(modified_since))

    async def customer(self, tenant: TenantId, number: str) -> Read[Customer]:
        """One customer, with its address for invoices and its ways of delivery."""
        return await self._document(tenant, f"/3/customers/{quote(number, safe='')}", "Customer", Customer)

    async def articles(self, tenant: TenantId, *, modified_since: datetime | None = None) -> Listing[Article]:
        """The tenant's articles.

        Parameters:
          modified_since: only those changed since then. A changed price need not count as a change (API notes 4.3).
        """
        return await self._listings.whole(tenant, listings.ARTICLES, _since(modified_since))

    async def price_lists(self, tenant: TenantId) -> Listing[PriceList]:
        """The tenant's price lists; scope `price`."""
        return await self._listings.whole(tenant, listings.PRICE_LISTS)

    async def prices(self, tenant: TenantId, *, modified_since: datetime | None = None) -> Listing[Price]:
        """The prices of all price lists of the tenant, one for each article and quantity.

        Parameters:
          modified_since: only those changed since then. Overlap by 10 s at least: a change may be seen late (API notes
            4.2, 9.3). A price that was deleted is in no list.
        """
        return await self._listings.whole(tenant, listings.PRICES, _since(modified_since))

    async def sublist(self, tenant: TenantId, price_list: str, article: str) -> Listing[Price]:
        """The prices of one article in one price list, one for each quantity from which on it holds."""
        return await self._listings.whole(tenant, listings.steps_of(price_list, article))

    # Effects ----------------------------------------------------------------------------------------------------------

    async def create_invoice(
        self, permit: Permit, contract: ContractNumber, *, invoice_date: date
    ) -> Reply[Contract | Invoice]:
        """Make the invoice of the period that the contract shows.

        Fortnox answers with the contract, or with the invoice, depending on its edition (API notes 1.6). Called twice
        it makes two invoices.
        """
        path = f"/3/contracts/{contract}/createinvoice"
        answer = await self._requests.send(permit, "PUT", path, params={"invoicedate": invoice_date.isoformat()})
        document: Contract | Invoice
        if member(answer.body, "Invoice") is not None:
            document = answer.document("Invoice", Invoice)
        else:
            document = answer.document("Contract", Contract)
        return Reply(document, answer.http_status, answer.x_uid, answer.started_at)

    async def bookkeep(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """Book the invoice; it cannot be changed any more after that (API notes 2.5)."""
        return (await self._requests.send(permit, "PUT", f"/3/invoices/{number}/bookkeep")).reply("Invoice", Invoice)

    async def email(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """E-mail the invoice to the address it carries. A GET with an effect: each one sends (API notes 2.5)."""
        return (await self._requests.send(permit, "GET", f"/3/invoices/{number}/email")).reply("Invoice", Invoice)

    async def einvoice(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """Send the invoice as an e-invoice. A GET with an effect, as `email` (API notes 2.5)."""
        return (await self._requests.send(permit, "GET", f"/3/invoices/{number}/einvoice")).reply("Invoice", Invoice)

    async def print_and_post(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """Have Fortnox' print service print the invoice and post it. A GET with an effect, as `email` (API notes 2.5).

        Neither `print`, which answers with a PDF, nor `externalprint`, which only marks the invoice as sent.
        """
        return (await self._requests.send(permit, "GET", f"/3/invoices/{number}/eprint")).reply("Invoice", Invoice)

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
        answer = await self._requests.send(permit, "PUT", f"/3/invoices/{number}", body={"Invoice": dates})
        return answer.reply("Invoice", Invoice)

    async def cancel(self, permit: Permit, number: InvoiceNumber) -> Reply[Invoice]:
        """Cancel (makulera) the invoice (API notes 2.5)."""
        return (await self._requests.send(permit, "PUT", f"/3/invoices/{number}/cancel")).reply("Invoice", Invoice)

    async def set_period(
        self, permit: Permit, contract: ContractNumber, *, period_start: date, period_end: date
    ) -> Reply[Contract]:
        """Set the period that the contract invoices next; the rest of it stays (API notes 1.5)."""
        period = {"PeriodStart": period_start.isoformat(), "PeriodEnd": period_end.isoformat()}
        answer = await self._requests.send(permit, "PUT", f"/3/contracts/{contract}", body={"Contract": period})
        return answer.reply("Contract", Contract)

    async def put_contract_rows(self, permit: Permit, number: ContractNumber, rows: Sequence[Row]) -> Reply[Contract]:
        """Give the contract these rows; the rest of it stays (API notes 1.5).

        Parameters:
          rows: all of its rows as they were just read, with what is to be changed: one that is missing is removed. The
            answer has new RowIds.

        Raises: `ValueError`, before anything is sent, for rows that would add or remove some (`rows.sent_back`).
        """
        body = {"Contract": {"InvoiceRows": sent_back(rows)}}
        answer = await self._requests.send(permit, "PUT", f"/3/contracts/{number}", body=body)
        return answer.reply("Contract", Contract)

    async def put_invoice_rows(self, permit: Permit, number: InvoiceNumber, rows: Sequence[Row]) -> Reply[Invoice]:
        """Give an unbooked invoice these rows; as `put_contract_rows` (API notes 2.4)."""
        body = {"Invoice": {"InvoiceRows": sent_back(rows)}}
        answer = await self._requests.send(permit, "PUT", f"/3/invoices/{number}", body=body)
        return answer.reply("Invoice", Invoice)

    async def hand_over(
        self, permit: Permit, number: InvoiceNumber, *, send_method: str, service: str = "LEDGERBASE"
    ) -> Reply[FinanceInvoice]:
        """Hand the invoice over to Fakturatjänster, which sends it and collects the money (API notes 3).

        Parameters:
          send_method: EMAIL, LETTER, EINVOICE or NONE.
        """
        body = {"NoxFinansInvoice": {"InvoiceNumber": str(number), "SendMethod": send_method, "Service": service}}
        answer = await self._requests.send(permit, "POST", "/3/noxfinansinvoices", body=body)
        return answer.reply("NoxFinansInvoice", FinanceInvoice)

    async def _document(self, tenant: TenantId, path: str, envelope: str, model: type[Document]) -> Read[Document]:
        answer = await self._requests.read(tenant, path)
        return Read(answer.document(envelope, model), answer.started_at)


def _since(instant: datetime | None) -> Mapping[str, str]:
    """`lastmodified`, to the second of Sweden's wall clock (API notes 9.3).

    In the hour that comes twice when summer time ends, the clock cannot say which of the two is meant: then it is asked
    from before that hour on, so that what is told twice is not missed once.
    """
    if instant is None:
        return {}
    local = instant.astimezone(STOCKHOLM)
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        local = local.replace(minute=0, second=0) - timedelta(seconds=1)
    return {"lastmodified": f"{local:%Y-%m-%d %H:%M:%S}"}
