"""The twelve companies of `test_twelve_companies`: each differs from the others in its books, its ways, its rights."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from common.consents import purpose
from common.ids import TenantId
from common.ledger import consents
from common.rules.policy import PolicyChoice
from common.seals import Seals
from sandbox.books import ALL_SCOPES
from tests.bureau import Bureau
from tests.scenarios.companies import CUSTOMER

ASPEN, BOKEN, CEDERN, DAL, ENEN, FURAN, GRANEN, HASSELN, IDEGRAN, JOLSTER, KASTANJEN, LINDEN = range(600_001, 600_013)

DECEMBER = {"period_start": "2026-12-01", "period_end": "2026-12-31"}
JANUARY = {"period_start": "2027-01-01", "period_end": "2027-01-31"}
ORDINARY = {"bookkeep": True, "deliver": "email", "deliver_from": "08:00"}
GLN = {"gln": "7300000000001"}
FINANCE_OPENS_AFTER = timedelta(hours=3)


def years(*those: int, method: str = "ACCRUAL") -> list[Mapping[str, str]]:
    """Financial years that are calendar years."""
    return [{"from_date": f"{one}-01-01", "to_date": f"{one}-12-31", "accounting_method": method} for one in those]


FROM_MAY = [{"from_date": f"{one}-05-01", "to_date": f"{one + 1}-04-30"} for one in (2025, 2026)]


async def aspen(bureau: Bureau) -> None:
    """Nothing out of the ordinary but what single contracts say beside it."""
    await company(bureau, ASPEN, "Aspens Redovisning AB")
    await contract(bureau, ASPEN, JANUARY)
    await contract(bureau, ASPEN, JANUARY, lead_days=2)
    await contract(bureau, ASPEN, JANUARY)
    await contract(bureau, ASPEN, JANUARY, invoice_day="last", invoice_month="before")
    await contract(bureau, ASPEN, JANUARY, bookkeep=False, deliver="none")
    await contract(bureau, ASPEN, JANUARY, mode="proposal")
    await contract(bureau, ASPEN, {**JANUARY, "period_end": "2027-03-31"}, interval=3, invoice_day=7)


async def boken(bureau: Bureau) -> None:
    """A broken financial year, banking days, a refresh token, and no Fakturatjänster, which one contract asks for."""
    told = {"financial_years": FROM_MAY, "finance_service": None}
    await company(bureau, BOKEN, "Bokens Bygg AB", told, deliver_on="banking_days")
    await contract(bureau, BOKEN, JANUARY)
    await contract(bureau, BOKEN, DECEMBER, invoice_on="period_end")
    until_sunday = {"period_start": "2026-12-04", "period_end": "2027-01-03"}
    await contract(bureau, BOKEN, until_sunday, invoice_on="period_end")
    await contract(bureau, BOKEN, DECEMBER, invoice_on="period_end", invoice_day=5, invoice_month="after")
    from_trettondagen = {"period_start": "2027-01-06", "period_end": "2027-02-05"}
    await contract(bureau, BOKEN, from_trettondagen)
    await contract(bureau, BOKEN, JANUARY, deliver="finance")
    await connect_by_refresh_token(bureau, BOKEN)


async def cedern(bureau: Bureau) -> None:
    """The financial year of 2027 is created on the 7th; until then one invoice is made, by a person's yes."""
    await company(bureau, CEDERN, "Cederns El AB", {"financial_years": years(2025, 2026)})
    await contract(bureau, CEDERN, JANUARY)
    await contract(bureau, CEDERN, DECEMBER, invoice_on="period_end")
    await contract(bureau, CEDERN, JANUARY, lead_days=14, invoice_date="period_start")
    await contract(bureau, CEDERN, JANUARY, bookkeep=False, deliver="none")
    await contract(bureau, CEDERN, JANUARY)


async def dal(bureau: Bureau) -> None:
    """December is locked before it is invoiced; then somebody locks the 4th of January, too, on the day before."""
    await company(bureau, DAL, "Dals Grus AB", {"locked_until": "2026-12-31"})
    await contract(bureau, DAL, DECEMBER, invoice_on="period_end")
    await contract(bureau, DAL, JANUARY, invoice_day=4)
    await contract(bureau, DAL, JANUARY, invoice_day=4, bookkeep=False, deliver="none")


async def enen(bureau: Bureau) -> None:
    """The cash method, with bookkeeping wished for; Fakturatjänster takes nothing that is not bookkept."""
    cash = {"accounting_method": "CASH", "financial_years": years(2025, 2026, 2027, method="CASH")}
    await company(bureau, ENEN, "Enens Konsult AB", cash)
    await contract(bureau, ENEN, JANUARY)
    await contract(bureau, ENEN, JANUARY, deliver="finance")
    await contract(bureau, ENEN, JANUARY, tax_reduction_type="rot")


async def furan(bureau: Bureau) -> None:
    """RUT, once by a person's yes and once by the policy; e-mail, and e-invoices for those whose card says so."""
    cards = [{"delivery": "EMAIL"}, {"delivery": "ELECTRONICINVOICE", **GLN}]
    cards += [{"delivery": "PRINTSERVICE"}, {"delivery": "ELECTRONICINVOICE"}]
    choices = {"einvoice_by_card": True, "deliver_from": "any"}
    await company(bureau, FURAN, "Furans Städ AB", {"customers": customers(*cards)}, **choices)
    await contract(bureau, FURAN, JANUARY, tax_reduction_type="rut")
    await contract(bureau, FURAN, JANUARY, customer_number="2", tax_reduction_type="rut", allow_tax_reduction=True)
    await contract(bureau, FURAN, JANUARY, customer_number="3")
    await contract(bureau, FURAN, JANUARY, customer_number="4")


async def granen(bureau: Bureau) -> None:
    """A warehouse; a template whose contracts are neither booked nor sent, and one of those that is sent after all."""
    await company(bureau, GRANEN, "Granens Lager AB", {"warehouse": True}, deliver="print")
    await bureau.choose(GRANEN, template="7", bookkeep=False, deliver="none")
    await contract(bureau, GRANEN, JANUARY)
    await contract(bureau, GRANEN, JANUARY, template_number=7)
    await contract(bureau, GRANEN, JANUARY, template_number=7, deliver="print")


async def hasseln(bureau: Bureau) -> None:
    """Served under the agency's licence, which may book and not send; connected by a refresh token."""
    await company(bureau, HASSELN, "Hasselns Byråkund AB", {"may_send": False})
    await contract(bureau, HASSELN, JANUARY)
    await contract(bureau, HASSELN, JANUARY)
    await connect_by_refresh_token(bureau, HASSELN)


async def idegran(bureau: Bureau) -> None:
    """E-invoices, without bank details."""
    told = {"bankgiro": None, "customers": customers(GLN)}
    await company(bureau, IDEGRAN, "Idegrans Data AB", told, deliver="einvoice")
    await contract(bureau, IDEGRAN, JANUARY)
    await contract(bureau, IDEGRAN, JANUARY, deliver="none")


async def jolster(bureau: Bureau) -> None:
    """Fakturatjänster, which takes neither euro nor half an address."""
    cards = customers({}, {"currency": "EUR"}, {"city": ""})
    await company(bureau, JOLSTER, "Jolsters Hyra AB", {"customers": cards}, deliver="finance")
    await contract(bureau, JOLSTER, JANUARY)
    await contract(bureau, JOLSTER, JANUARY, customer_number="2")
    await contract(bureau, JOLSTER, JANUARY, customer_number="3")
    await contract(bureau, JOLSTER, JANUARY, customer_number="2", deliver="email")


async def kastanjen(bureau: Bureau) -> None:
    """The customer's card decides, which we may not read before the 5th."""
    said = [{"delivery": "EMAIL"}, {"delivery": "ELECTRONICINVOICE", **GLN}, {"delivery": "PRINTSERVICE"}]
    cards = customers(*said, {"delivery": "PRINT"}, {"delivery": ""})
    told = {"customers": cards, "scopes": sorted(ALL_SCOPES - {"customer"})}
    await company(bureau, KASTANJEN, "Kastanjens Reklam AB", told, deliver="customer")
    for card in cards:
        await contract(bureau, KASTANJEN, JANUARY, customer_number=card["number"])


async def linden(bureau: Bureau) -> None:
    """A proposal until the 5th."""
    await company(bureau, LINDEN, "Lindens Trädgård AB", mode="proposal")
    await contract(bureau, LINDEN, JANUARY)
    november = {"period_start": "2026-11-01", "period_end": "2026-11-30"}
    await contract(bureau, LINDEN, november, invoice_on="period_end")
    await contract(bureau, LINDEN, {"period_start": "2027-01-08", "period_end": "2027-02-07"})


TWELVE: Mapping[int, Callable[[Bureau], Awaitable[None]]] = {
    ASPEN: aspen,
    BOKEN: boken,
    CEDERN: cedern,
    DAL: dal,
    ENEN: enen,
    FURAN: furan,
    GRANEN: granen,
    HASSELN: hasseln,
    IDEGRAN: idegran,
    JOLSTER: jolster,
    KASTANJEN: kastanjen,
    LINDEN: linden,
}


async def company(
    bureau: Bureau, tenant: int, name: str, told: Mapping[str, Any] | None = None, **choices: Any
) -> None:
    """A company that books and e-mails from eight on, but for what is said."""
    await bureau.sandbox.company(tenant, **{"name": name, "customers": customers({}), **(told or {})})
    await bureau.take_on(tenant, **{**ORDINARY, **choices})


def customers(*cards: Mapping[str, str]) -> list[dict[str, str]]:
    """Customers 1, 2, and so on, each with a whole card but for what is said."""
    return [{**CUSTOMER, "number": str(number), **card} for number, card in enumerate(cards, start=1)]


async def contract(bureau: Bureau, tenant: int, about: Mapping[str, str], **said: Any) -> None:
    """One more contract; what is said and is a choice is its own policy, the rest is what Fortnox has of it."""
    choices = {name: value for name, value in said.items() if name in PolicyChoice.model_fields}
    of_fortnox = {name: value for name, value in said.items() if name not in choices}
    number = await bureau.sandbox.contract(tenant, **about, **of_fortnox)
    if choices:
        await bureau.choose(tenant, number, **choices)


async def connect_by_refresh_token(bureau: Bureau, tenant: int) -> None:
    """A person has consented without a service account: from now on client credentials are refused."""
    scopes = sorted(ALL_SCOPES)
    tokens = await bureau.sandbox.connected(tenant, scope=" ".join(scopes), account_type=None)
    sealed = Seals.read(bureau.settings).seal(tokens["refresh_token"], purpose(TenantId(tenant)))
    await consents.put(bureau.ledger, TenantId(tenant), "user", scopes, sealed, "test")
