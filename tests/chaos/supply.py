"""The bureau of a run: its companies, how they want to be served, and ever new contracts that are due today.

A contract is billed once a day at most, so new contracts are what keeps work in flight. Old ones are deactivated, long
after anything can still come of them, so that the listings stay as short as in the first minute.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from common.clock import STOCKHOLM
from common.ids import TenantId
from common.ledger import policies, tenants
from common.ledger.database import Ledger
from common.rules.periods import add_months
from common.rules.policy import PolicyChoice
from common.rules.states import Delivery
from tests.chaos.sight import Sight
from tests.chaos.stage import Sandbox

BY = "chaos"
FIRST_TENANT = 100
BACKLOG = 4
UNFINISHED = 10
"""So many creates of a company may be under way or in doubt; then no contract is added."""
PLANNED_WITHIN = 15.0
"""Seconds until a contract that was added has its billing in the ledger, or never gets one: its invoice was made from a
billing that the ledger forgot when it was put back."""
RETIRES_AFTER = timedelta(seconds=60)
"""Far beyond the life of any token that a call may have carried."""

EMAILED = PolicyChoice(mode="live", bookkeep=True, deliver=Delivery.EMAIL, deliver_from="any")
HANDED_OVER = EMAILED.model_copy(update={"deliver": Delivery.FINANCE})
EINVOICED = EMAILED.model_copy(update={"deliver": Delivery.EINVOICE})
PRINTED = EMAILED.model_copy(update={"deliver": Delivery.PRINT})
BY_CARD = EMAILED.model_copy(update={"deliver": Delivery.CUSTOMER})
CREATED = PolicyChoice(mode="live")
WAYS = (EMAILED, HANDED_OVER, EINVOICED, PRINTED, EMAILED, HANDED_OVER, BY_CARD, CREATED)
CARDS = ("EMAIL", "ELECTRONICINVOICE", "PRINTSERVICE")
"""What the customers' cards say, in turn."""

_GOING_ON = frozenset({"waiting", "claimed", "seeking"})


@dataclass(frozen=True, slots=True)
class Client:
    """One company, and what is to become of its invoices."""

    tenant: int
    policy: PolicyChoice


class Supply:
    """Keeps every company in work.

    Parameters:
      backlog: so many contracts of a company wait for their invoice; fewer, and it gets new ones.
    """

    def __init__(self, sandbox: Sandbox, clients: Sequence[Client], backlog: int = BACKLOG) -> None:
        self._sandbox = sandbox
        self.clients = clients
        self._backlog = backlog
        self._added: dict[int, int] = defaultdict(int)
        self._added_at: dict[tuple[int, int], float] = {}
        self._retired: set[tuple[int, int]] = set()
        today = datetime.now(STOCKHOLM).date()
        self.period = (today, _month_after(today))

    async def open(self, ledger: Ledger) -> None:
        """Makes the companies in the sandbox and takes them on."""
        for client in self.clients:
            await self._sandbox.control("POST", "companies", _company(client.tenant))
            tenant = TenantId(client.tenant)
            await tenants.add(ledger, tenant, f"Bolaget {client.tenant}", BY)
            await policies.change(ledger, "tenant", client.policy, BY, tenant=tenant)

    async def fill(self, sight: Sight) -> None:
        """Adds contracts where few are left, and retires old ones; to be called about twice a second."""
        going_on: dict[int, int] = defaultdict(int)
        in_doubt: dict[int, int] = defaultdict(int)
        for (tenant, step, status), number in (await sight.counts()).items():
            if step == "create" and status in _GOING_ON:
                going_on[tenant] += number
            elif step == "create" and status == "in_doubt":
                in_doubt[tenant] += number
        to_be_planned = await self._to_be_planned(sight)
        for client in self.clients:
            coming = going_on[client.tenant] + to_be_planned[client.tenant]
            missing = min(self._backlog, UNFINISHED - in_doubt[client.tenant]) - coming
            if missing > 0:
                await self._add(client.tenant, missing)

    async def _to_be_planned(self, sight: Sight) -> Mapping[int, int]:
        """How many contracts of each company were added just now, and have no billing yet."""
        since = time.monotonic() - PLANNED_WITHIN
        self._added_at = {key: at for key, at in self._added_at.items() if at > since}
        planned = await sight.billed(self._added_at)
        return Counter(tenant for tenant, contract in self._added_at if (tenant, contract) not in planned)

    def contracts(self) -> list[tuple[int, int]]:
        """(tenant, number) of every contract that was added."""
        return [(tenant, number) for tenant, added in self._added.items() for number in range(1, added + 1)]

    async def _add(self, tenant: int, number: int) -> None:
        first = self._added[tenant] + 1
        numbers = range(first, first + number)
        self._added[tenant] += number
        self._added_at |= {(tenant, number): time.monotonic() for number in numbers}
        document = {
            "customers": [_customer(number) for number in numbers],
            "contracts": [_contract(number, *self.period) for number in numbers],
        }
        await self._sandbox.control("PATCH", f"companies/{tenant}", document)

    async def retire(self, sight: Sight) -> None:
        """Deactivates contracts whose billing has long been done; to be called every few seconds."""
        old: dict[int, list[int]] = defaultdict(list)
        for tenant, number in await sight.done_before(datetime.now(UTC) - RETIRES_AFTER):
            if (tenant, number) not in self._retired:
                self._retired.add((tenant, number))
                old[tenant].append(number)
        for tenant, numbers in old.items():
            document = {"contracts": [{"number": number, "active": False} for number in numbers]}
            await self._sandbox.control("PATCH", f"companies/{tenant}", document)


def bureau(number: int, rng: Random) -> list[Client]:
    """So many companies: of eight, two each with e-mail and Fakturatjänster, one each with e-invoice, print service and
    the customer's card, and one with creating alone."""
    clients = [Client(FIRST_TENANT + index, WAYS[index % len(WAYS)]) for index in range(number)]
    rng.shuffle(clients)
    return clients


def _company(tenant: int) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "name": f"Bolaget {tenant}",
        "articles": [{"number": "A1", "description": "Serviceavtal", "price": "495"}],
    }


def _customer(number: int) -> dict[str, Any]:
    return {
        "number": str(number),
        "name": f"Kund {number} AB",
        "email": f"faktura@kund{number}.example",
        "address1": "Storgatan 1",
        "zip_code": "111 22",
        "city": "Stockholm",
        "gln": f"73{number:011}",
        "delivery": CARDS[number % len(CARDS)],
    }


def _contract(number: int, start: date, end: date) -> dict[str, Any]:
    return {
        "number": number,
        "customer_number": str(number),
        "period_start": start.isoformat(),
        "period_end": end.isoformat(),
        "rows": [{"article_number": "A1", "quantity": "1"}],
    }


def _month_after(start: date) -> date:
    return date.fromordinal(add_months(start, 1).toordinal() - 1)
