"""A night by hand over HTTP: a bureau that follows the wishes and nothing else ends with a clean summary.

The bureau here knows the sandbox's own API and the served wishes alone, not what the story wrote down.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from sandbox import oauth
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, World
from sandbox.clock import STOCKHOLM, Clock
from sandbox.server import start

TONIGHT = datetime(2026, 11, 23, 21, 30, tzinfo=STOCKHOLM)


@dataclass
class Bureau:
    """Somebody who clicks through every company, one after the other."""

    http: aiohttp.ClientSession

    async def control(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        async with self.http.request(method, f"/_sandbox/{path}", **options) as response:
            assert response.status < 300, await response.text()
            answer: dict[str, Any] = await response.json()
            return answer

    async def call(self, tenant: int, method: str, path: str, **options: Any) -> dict[str, Any] | None:
        """The answer, or None for a refusal."""
        token = await self._token(tenant)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        async with self.http.request(method, f"/3/{path}", headers=headers, **options) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer if response.status < 300 else None

    async def work(self) -> None:
        """Whatever is due today, in every company, as it wishes."""
        today = date.fromisoformat((await self.control("GET", "clock"))["today"])
        for company in (await self.control("GET", "wishes"))["companies"]:
            await self._work_for(company, today)

    async def summary(self) -> dict[str, Any]:
        return await self.control("GET", "summary")

    async def _token(self, tenant: int) -> str:
        async with self.http.post(
            oauth.TOKEN_PATH,
            data={"grant_type": "client_credentials"},
            headers={
                "TenantId": str(tenant),
                "Authorization": aiohttp.encode_basic_auth(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET),
            },
        ) as response:
            answer = await response.json(content_type=None)
            return str(answer["access_token"])

    async def _work_for(self, company: dict[str, Any], today: date) -> None:
        tenant = company["tenant_id"]
        listed = await self.call(tenant, "GET", "contracts?filter=active&limit=500")
        locked = await self.call(tenant, "GET", "settings/lockedperiod")
        if listed is None:
            return
        assert locked is not None
        locked_until = date.fromisoformat(locked["LockedPeriod"].get("EndDate") or "0001-01-01")
        for contract in listed["Contracts"]:
            wishes = company["wishes"] | company["contracts"].get(contract["DocumentNumber"], {})
            if _is_to_be_invoiced(contract, wishes, today) and not (wishes["bookkeep"] and locked_until >= today):
                await self._invoice(tenant, contract["DocumentNumber"], wishes, today)

    async def _invoice(self, tenant: int, contract: str, wishes: dict[str, Any], today: date) -> None:
        if not await self._would_arrive(tenant, contract, wishes["deliver"]):
            return
        if await self.call(tenant, "PUT", f"contracts/{contract}/createinvoice?invoicedate={today}") is None:
            return
        newest = await self.call(tenant, "GET", "invoices?sortby=documentnumber&sortorder=descending&limit=1")
        assert newest is not None
        number = newest["Invoices"][0]["DocumentNumber"]
        if wishes["bookkeep"]:
            await self.call(tenant, "PUT", f"invoices/{number}/bookkeep")
        if wishes["deliver"] == "email":
            await self.call(tenant, "GET", f"invoices/{number}/email")
        if wishes["deliver"] == "finance":
            order = {"InvoiceNumber": number, "SendMethod": "LETTER", "Service": "LEDGERBASE"}
            await self.call(tenant, "POST", "noxfinansinvoices", json={"NoxFinansInvoice": order})

    async def _would_arrive(self, tenant: int, contract: str, way: str) -> bool:
        """Whether an e-mail has somewhere to go, and Fakturatjänster a whole address."""
        shown = await self.call(tenant, "GET", f"contracts/{contract}")
        assert shown is not None
        card = await self.call(tenant, "GET", f"customers/{shown['Contract']['CustomerNumber']}")
        assert card is not None
        if way == "email":
            return bool(shown["Contract"]["EmailInformation"]["EmailAddressTo"])
        return way != "finance" or bool(card["Customer"]["City"])


def _is_to_be_invoiced(contract: dict[str, Any], wishes: dict[str, Any], today: date) -> bool:
    if not contract["PeriodStart"] or not contract["Total"]:
        return False
    start, end = date.fromisoformat(contract["PeriodStart"]), date.fromisoformat(contract["PeriodEnd"])
    due = (start if wishes["invoice_on"] == "period_start" else end) - timedelta(days=wishes["lead_days"])
    months = contract["Invoiceinterval"]
    as_long_as_it_should_be = abs((end - start).days + 1 - months * 30.44) < 4
    missed = (today - due).days > months * 31
    return due <= today and as_long_as_it_should_be and not missed


@asynccontextmanager
async def bureau(**behaviour: Any) -> AsyncIterator[Bureau]:
    world = World(clock=Clock(TONIGHT, frozen=True))
    running = await start(world)
    try:
        async with aiohttp.ClientSession(running.url) as http:
            who = Bureau(http)
            await who.control("PATCH", "behaviour", json={"limit": 100_000, **behaviour})
            await who.control("POST", "seed", json={"number": 1, "scale": 0.1})
            yield who
    finally:
        await running.stop()


@pytest.mark.parametrize("answer", ["Contract", "Invoice"])
async def test_a_bureau_that_follows_the_wishes_over_http_has_a_clean_night(answer: str) -> None:
    async with bureau(create_answer=answer) as who:
        await who.work()
        summary = await who.summary()
        assert summary["clean"], summary
        assert summary["counts"]["created"] == summary["counts"]["to_make"] > 25
        assert summary["counts"]["handed_over"]
        assert all(failure["met"] == failure["expected"] for failure in summary["failures"])


async def test_a_bureau_that_works_every_day_stays_clean_over_the_turn_of_the_month() -> None:
    async with bureau() as who:
        await who.work()
        for _ in range(9):
            await who.control("PUT", "clock", json={"move": 86_400})
            await who.work()
            summary = await who.summary()
            assert summary["clean"], summary
        assert summary["today"] == "2026-12-02"


async def test_one_invoice_more_and_one_less_are_both_seen() -> None:
    async with bureau() as who:
        await who.work()
        companies = (await who.control("GET", "wishes"))["companies"]
        unbooked = next(company["tenant_id"] for company in companies if not company["wishes"]["bookkeep"])
        newest = await who.call(unbooked, "GET", "invoices?sortby=documentnumber&sortorder=descending&limit=1")
        assert newest is not None
        number = newest["Invoices"][0]["DocumentNumber"]
        invoice = await who.call(unbooked, "GET", f"invoices/{number}")
        assert invoice is not None
        contract = invoice["Invoice"]["ContractReference"]

        await who.call(unbooked, "PUT", f"contracts/{contract}/createinvoice")
        one_more = await who.summary()
        assert not one_more["clean"]
        assert [entry["contract"] for entry in one_more["unexpected"]] == [str(contract)]

        await who.call(unbooked, "PUT", f"invoices/{number}/cancel")
        one_less = await who.summary()
        assert not one_less["clean"]
        assert [entry["contract"] for entry in one_less["missing"]] == [str(contract)]


async def test_a_person_who_sets_the_period_back_and_invoices_again_is_seen_as_doubling() -> None:
    async with bureau() as who:
        listed = next(iter((await who.control("GET", "wishes"))["companies"]))
        tenant = listed["tenant_id"]
        contracts = await who.call(tenant, "GET", "contracts?filter=active&limit=500")
        assert contracts is not None
        period = {
            contract["DocumentNumber"]: (contract["PeriodStart"], contract["PeriodEnd"])
            for contract in contracts["Contracts"]
        }
        await who.work()
        moved = await who.call(tenant, "GET", "contracts?filter=active&limit=500")
        assert moved is not None
        number = next(
            contract["DocumentNumber"]
            for contract in moved["Contracts"]
            if contract["PeriodStart"] != period[contract["DocumentNumber"]][0]
        )
        back = {"PeriodStart": period[number][0], "PeriodEnd": period[number][1]}
        await who.call(tenant, "PUT", f"contracts/{number}", json={"Contract": back})
        await who.call(tenant, "PUT", f"contracts/{number}/createinvoice")
        summary = await who.summary()
        assert [entry["contract"] for entry in summary["doubled"]] == [number]
