"""`avtalsmotor plan`: what the producer would do, for every contract, and why. It inserts and creates nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby

from avtalsmotor.cli.actions.known import selected_tenants
from avtalsmotor.cli.actions.policies import in_short
from avtalsmotor.cli.actions.reading import read_contracts
from avtalsmotor.cli.failure import warn
from avtalsmotor.cli.printing import (
    Column,
    Row,
    Tone,
    count,
    day,
    heading,
    instant,
    money,
    print_json,
    print_table,
    say,
)
from avtalsmotor.cli.session import open_session
from common.ids import TenantId
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
        tenant = TenantId(number) if number is not None else None
        decided = await verdicts(ledger, tenant, on or ledger.clock.today(), days)
        names = {company.id: company.name for company in companies}
    if as_json:
        print_json([as_item(verdict, names) for verdict in decided])
    elif not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    else:
        shown = _without_what_a_preview_tells(decided)
        print_verdicts(shown, names)
        _sum_up(shown)


def _without_what_a_preview_tells(decided: Sequence[Verdict]) -> list[Verdict]:
    """A period that will be due within the days asked for is shown once, as what will be."""
    previewed = {(one.contract.tenant, one.contract.number, one.period) for one in decided if one.preview}
    return [
        one
        for one in decided
        if one.preview
        or one.reason is not Reason.NOT_YET
        or (one.contract.tenant, one.contract.number, one.period) not in previewed
    ]


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
    """The verdicts, a table for each company."""
    columns = [
        Column("Contract", number=True),
        Column("Customer", cut=True),
        Column("Period", whole=True),
        Column("Dated", whole=True),
        Column("Amount", number=True),
        Column("What happens"),
    ]
    for tenant, of_company in groupby(decided, lambda verdict: verdict.contract.tenant):
        heading(f"{names.get(tenant, '')} ({tenant})")
        print_table(columns, [_row(verdict) for verdict in of_company])


def _row(verdict: Verdict) -> Row:
    contract = verdict.contract
    what, tone = _what_happens(verdict)
    cells = [
        str(contract.number),
        contract.customer_name,
        str(verdict.period or "none"),
        day(verdict.invoice_date or verdict.due_on),
        money(verdict.amount, contract.currency),
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
        onward = in_short(verdict.policy)
        return f"{would} invoiced" + (f", then: {onward}" if onward else ""), tone
    why = explain(reason, **facts)
    why = why[0].lower() + why[1:]
    if reason in HOLDS:
        return f"{would} held: {why}", "attention" if tone == "good" else tone
    return f"nothing: {why}", "quiet"


@dataclass
class _Sum:
    number: int = 0
    amounts: dict[str, Decimal] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        self.number += 1
        if verdict.amount is not None:
            currency = verdict.contract.currency or "SEK"
            self.amounts[currency] = self.amounts.get(currency, Decimal(0)) + verdict.amount

    def told(self, unit: str) -> str:
        amounts = " and ".join(money(amount, currency) for currency, amount in sorted(self.amounts.items()))
        return count(self.number, unit) + (f", {amounts}" if amounts else "")


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
            say(f"{what}: {sums[what].told('period' if what == 'Later' else 'contract')}")
