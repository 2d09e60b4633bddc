"""What the verdict is made of: the sandbox's books as its control API tells them, and the ledger's rows beside them.

Plain values, read once when the run has come to rest. Nothing here judges.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from common.ledger.database import Ledger
from common.ledger.schema import attempts, billings
from common.rules.policy import Policy
from tests.chaos.stage import Sandbox


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice in the sandbox's books."""

    tenant: int
    number: int
    contract: int
    start: date
    end: date
    by_person: bool
    cancelled: bool = False
    credit: bool = False
    credited: bool = False
    booked: bool = False
    vouchers: int = 0
    left: Sequence[str] = ()
    """By which way, each time that it left: `email`, `einvoice`, `eprint`, `finance`."""
    card: str = ""
    """What the customer's card says of the way."""
    created_at: float = 0.0

    @property
    def live(self) -> bool:
        """Whether it stands."""
        return not (self.cancelled or self.credit or self.credited)

    def __str__(self) -> str:
        return f"invoice {self.number} of contract {self.contract} of company {self.tenant}, {self.start}..{self.end}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call of a billing, as the ledger has it. Times are Unix seconds."""

    step: str
    called_at: float
    worker: str
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A billing of the ledger."""

    id: int
    tenant: int
    contract: int
    start: date
    end: date
    step: str
    status: str
    reason: str | None
    invoice: int | None
    handmade: bool
    bookkeep: bool
    deliver: str
    changed_at: float
    attempts: Sequence[Attempt] = ()
    told_of: int | None = None
    """The invoice that it tells a person of, without taking it in."""

    def __str__(self) -> str:
        return (
            f"billing {self.id} of contract {self.contract} of company {self.tenant}, {self.start}..{self.end}, "
            f"{self.step} {self.status}, reason {self.reason}, invoice {self.invoice}"
        )


@dataclass(frozen=True, slots=True)
class Due:
    """A period that is to have exactly one invoice."""

    tenant: int
    contract: int
    start: date
    end: date


async def of_sandbox(sandbox: Sandbox, tenants: Sequence[int]) -> list[Invoice]:
    """Every invoice of a contract, of those companies."""
    found: list[Invoice] = []
    for tenant in tenants:
        company = await sandbox.control("GET", f"state?tenant={tenant}")
        found += _invoices(tenant, company)
    return found


def _invoices(tenant: int, company: Mapping[str, Any]) -> list[Invoice]:
    vouchers = Counter(voucher["invoice"] for voucher in company["vouchers"])
    left: dict[int, list[str]] = defaultdict(list)
    for sent in company["outbox"]:
        left[sent["invoice"]].append(sent["kind"])
    return [
        Invoice(
            tenant=tenant,
            number=one["number"],
            contract=one["contract_reference"],
            start=date.fromisoformat(one["period_start"]),
            end=date.fromisoformat(one["period_end"]),
            by_person=one["created_by"] == "person",
            cancelled=one["cancelled"],
            credit=one["credit"],
            credited=bool(one["credit_reference"]) and not one["credit"],
            booked=one["booked"],
            vouchers=vouchers[one["number"]],
            left=(
                *left[one["number"]],
                *("finance" for deed in one["deeds"] if deed["action"] == "handover"),
            ),
            card=company["customers"][one["customer_number"]]["delivery"],
            created_at=datetime.fromisoformat(one["created_at"]).timestamp(),
        )
        for one in company["invoices"].values()
        if one["contract_reference"]
    ]


def _told_of(detail: Mapping[str, str] | None) -> int | None:
    told = (detail or {}).get("invoice")
    return int(told) if told else None


async def of_ledger(ledger: Ledger) -> list[Row]:
    """Every billing, with its calls."""
    calls: dict[int, list[Attempt]] = {}
    for row in await ledger.fetch(select(attempts).order_by(attempts.c.id)):
        attempt = Attempt(row.step, row.called_at.timestamp(), row.claimed_by, row.verdict)
        calls.setdefault(row.billing, []).append(attempt)
    rows = []
    for row in await ledger.fetch(select(billings).order_by(billings.c.id)):
        policy = Policy.model_validate_json(row.policy)
        rows.append(
            Row(
                id=row.id,
                tenant=row.tenant,
                contract=row.contract,
                start=row.period_start,
                end=row.period_end,
                step=row.step,
                status=row.status,
                reason=row.reason,
                invoice=row.invoice,
                handmade=row.handmade,
                bookkeep=policy.bookkeep,
                deliver=policy.deliver.value,
                changed_at=row.changed_at.timestamp(),
                attempts=tuple(calls.get(row.id, ())),
                told_of=_told_of(row.detail),
            )
        )
    return rows
