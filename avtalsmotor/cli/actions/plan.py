"""`avtalsmotor plan`: what the producer would do, for every contract, and why. It inserts and creates nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from avtalsmotor.cli.actions.known import selected_tenants
from avtalsmotor.cli.actions.policies import in_short
from avtalsmotor.cli.actions.reading import read_contracts
from avtalsmotor.cli.failure import warn
from avtalsmotor.cli.printing import Column, Row, Tone, count, day, instant, money, print_json, print_table, say
from avtalsmotor.cli.session import open_session
from common.ids import TenantId
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.rules.plan import HOLDS, Verdict
from common.rules.reasons import Reason, explain
from producers.planner import verdicts


async def plan(number: int | None, on: date | None, days: int, as_json: bool, *, read: bool) -> None:
    async with open_session() as (settings, ledger):
        companies = await selected_tenants(ledger, number)
        if read and companies:
            unread = await read_contracts(settings, ledger, companies)
            _warn_of_unread(companies, unread)
        decided = await _verdicts(ledger, number, on or ledger.clock.today(), days)
        names = {company.id: company.name for company in companies}
    if as_json:
        print_json([as_item(verdict, names) for verdict in decided])
    elif not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    else:
        print_verdicts(decided, names)
        _sum_up(decided)


async def _verdicts(ledger: Ledger, number: int | None, on: date, days: int) -> list[Verdict]:
    decided = await verdicts(ledger, TenantId(number) if number is not None else None, on, days)
    return sorted(
        decided,
        key=lambda one: (one.contract.tenant, one.contract.number, (one.period is not None and one.period.start) or on),
    )


def _warn_of_unread(companies: Sequence[Tenant], unread: Mapping[TenantId, str]) -> None:
    """One warning for each cause, not for each company: what is wrong with Redis is wrong with all of them."""
    by_cause: dict[str, list[Tenant]] = defaultdict(list)
    for company in companies:
        if company.id in unread:
            by_cause[unread[company.id]].append(company)
    for why, concerned in by_cause.items():
        told = ", ".join(
            f"{company.name} ({company.id}, {_last_read(company)})" for company in concerned[:_TOLD_BY_NAME]
        )
        more = f" and {count(len(concerned) - _TOLD_BY_NAME, 'more')}" if len(concerned) > _TOLD_BY_NAME else ""
        warn(f"Could not be read from Fortnox, so the plan is of what was read before: {told}{more}. {why}")


_TOLD_BY_NAME = 5


def _last_read(company: Tenant) -> str:
    return f"last read {instant(company.listed_at)}" if company.listed_at is not None else "never read"


def as_item(verdict: Verdict, names: Mapping[TenantId, str]) -> dict[str, object]:
    """A verdict as JSON shows it."""
    contract = verdict.contract
    return {
        "tenant": contract.tenant,
        "tenant_name": names.get(contract.tenant, ""),
        "contract": contract.number,
        "customer_number": contract.customer_number,
        "customer": contract.customer_name,
        "period_start": verdict.period.start if verdict.period else None,
        "period_end": verdict.period.end if verdict.period else None,
        "due_on": verdict.due_on,
        "invoice_date": verdict.invoice_date,
        "amount": verdict.amount,
        "currency": contract.currency or "SEK",
        "bookkeep": verdict.policy.bookkeep,
        "deliver": verdict.policy.deliver,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "why": explain(verdict.reason, **verdict.detail),
        "preview": verdict.preview,
    }


def print_verdicts(decided: Sequence[Verdict], names: Mapping[TenantId, str]) -> None:
    """The verdicts as a table."""
    columns = [
        Column("Company"),
        Column("Contract", number=True),
        Column("Customer"),
        Column("Period", whole=True),
        Column("Due", whole=True),
        Column("Dated", whole=True),
        Column("Amount", number=True),
        Column("Then"),
        Column("What happens"),
    ]
    print_table(columns, [_row(verdict, names) for verdict in decided])


def _row(verdict: Verdict, names: Mapping[TenantId, str]) -> Row:
    contract = verdict.contract
    what, tone = _what_happens(verdict)
    cells = [
        names.get(contract.tenant, str(contract.tenant)),
        str(contract.number),
        contract.customer_name,
        str(verdict.period or ""),
        day(verdict.due_on),
        day(verdict.invoice_date),
        money(verdict.amount, contract.currency),
        in_short(verdict.policy),
        what,
    ]
    return Row(cells, tone)


def _what_happens(verdict: Verdict) -> tuple[str, Tone]:
    reason, facts = verdict.reason, dict(verdict.detail)
    if proposed := reason is Reason.PROPOSAL:
        reason = Reason(facts.pop("verdict"))
    would = "would be" if proposed else "will be" if verdict.preview else "is"
    tone: Tone = "quiet" if verdict.preview else "plain" if proposed else "good"
    if reason is Reason.DUE:
        return f"{would} invoiced" + (", if the company were live" if proposed else ""), tone
    why = explain(reason, **facts)
    why = why[0].lower() + why[1:]
    if reason in HOLDS:
        return f"{would} held: {why}", "attention" if tone == "good" else tone
    return f"nothing: {why}", "quiet"


@dataclass
class _Sum:
    contracts: int = 0
    amounts: dict[str, Decimal] | None = None

    def add(self, verdict: Verdict) -> None:
        self.contracts += 1
        self.amounts = self.amounts or {}
        if verdict.amount is not None:
            currency = verdict.contract.currency or "SEK"
            self.amounts[currency] = self.amounts.get(currency, Decimal(0)) + verdict.amount

    def __str__(self) -> str:
        amounts = " and ".join(money(amount, currency) for currency, amount in sorted((self.amounts or {}).items()))
        return count(self.contracts, "contract") + (f", {amounts}" if amounts else "")


def _sum_up(decided: Sequence[Verdict]) -> None:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for verdict in decided:
        if verdict.preview:
            sums["Later"].add(verdict)
        elif verdict.outcome == "bill":
            sums["To invoice"].add(verdict)
        elif verdict.outcome == "hold":
            sums["Held for a yes"].add(verdict)
        elif verdict.reason is Reason.PROPOSAL and verdict.detail.get("verdict") == Reason.DUE.value:
            sums["To invoice if the company were live"].add(verdict)
        else:
            sums["Nothing now"].add(verdict)
    if decided:
        say()
    else:
        say("No contract has been read yet.")
    for what in ("To invoice", "To invoice if the company were live", "Held for a yes", "Later", "Nothing now"):
        if what in sums:
            say(f"{what}: {sums[what]}")
