"""The figures of each company: how many billings wait, were created, booked, delivered, and need a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from avtalsmotor.cli.printing import Column, Row, age, print_table
from common.ids import TenantId
from common.ledger import billings, tenants
from common.ledger.database import Ledger
from common.rules.states import Status, Step


@dataclass
class Figures:
    """Numbers of billings of one company; `created`, `bookkept` and `delivered` are those that we carried out."""

    tenant: TenantId
    name: str
    listed_at: datetime | None = None
    """When its contracts were last read."""
    waiting: int = 0
    """Due and on its way, at any step."""
    created: int = 0
    bookkept: int = 0
    delivered: int = 0
    held: int = 0
    parked: int = 0
    in_doubt: int = 0
    done: int = 0

    def as_dict(self) -> dict[str, int]:
        """The numbers alone."""
        return {name: getattr(self, name) for name in _COLUMNS}


_COLUMNS = ("waiting", "created", "bookkept", "delivered", "held", "parked", "in_doubt", "done")
_COUNTED_AS = {
    Status.WAITING: "waiting",
    Status.CLAIMED: "waiting",
    Status.SEEKING: "waiting",
    Status.HELD: "held",
    Status.PARKED: "parked",
    Status.IN_DOUBT: "in_doubt",
    Status.DONE: "done",
}
_CARRIED_OUT = {Step.CREATE: "created", Step.BOOKKEEP: "bookkept", Step.DELIVER: "delivered"}


async def read(ledger: Ledger) -> dict[TenantId, Figures]:
    """The figures of all companies."""
    companies = {tenant.id: Figures(tenant.id, tenant.name, tenant.listed_at) for tenant in await tenants.every(ledger)}
    for counted in await billings.counts(ledger):
        name = _COUNTED_AS.get(counted.status)
        if name is not None:
            _add(companies[counted.tenant], name, counted.number)
    for (tenant, step), number in (await billings.carried_out(ledger)).items():
        _add(companies[tenant], _CARRIED_OUT[step], number)
    return companies


def _add(figures: Figures, name: str, number: int) -> None:
    setattr(figures, name, getattr(figures, name) + number)


def print_figures(companies: Sequence[Figures], modes: Sequence[str] = (), now: datetime | None = None) -> None:
    """The figures as a table, a row a company; `modes`, and with `now` how old the last reading is, as more columns."""
    extra = [Column("Mode", whole=True)] if modes else []
    extra += [Column("Read", number=True)] if now is not None else []
    columns = [Column("Company", number=True), Column("Name", cut=True), *extra]
    columns += [Column(name.replace("_", " ").capitalize(), number=True) for name in _COLUMNS]
    rows = []
    for place, company in enumerate(companies):
        cells = [str(company.tenant), company.name, *modes[place : place + 1]]
        if now is not None:
            cells.append(age(read_age(company.listed_at, now)) or "never")
        cells += [str(number) if number else "." for number in company.as_dict().values()]
        needs_person = company.held + company.parked + company.in_doubt > 0
        rows.append(Row(cells, "attention" if needs_person else "plain"))
    print_table(columns, rows)


def read_age(listed_at: datetime | None, now: datetime) -> timedelta | None:
    """How long ago a company's contracts were last read; `None`: never."""
    return max(now - listed_at, timedelta(0)) if listed_at is not None else None
