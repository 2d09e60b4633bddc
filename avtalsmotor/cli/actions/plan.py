"""`avtalsmotor plan`: what the producer would do, for every contract, and why. It inserts and creates nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby

from avtalsmotor.cli.actions import pausing
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
from common.ledger import pauses, unreadable
from common.ledger.pauses import Pause
from common.ledger.records import Tenant
from common.ledger.unreadable import UnreadableContract
from common.rules.plan import HOLDS, Outcome, Verdict
from common.rules.reasons import REASONS, Reason, explain
from producers.planner import verdicts


async def plan(number: int | None, on: date | None, days: int, as_json: bool, *, read: bool) -> None:
    async with open_session() as (settings, ledger):
        companies = await selected_tenants(ledger, number)
        if read and companies:
            unread = await read_contracts(settings, ledger, companies)
            _warn_of_unread(companies, unread)
        tenant = TenantId(number) if number is not None else None
        decided = await verdicts(ledger, tenant, on or ledger.clock.today(), days)
        paused = await pauses.standing(ledger, tenant)
        not_understood = await unreadable.of(ledger, tenant)
        names = {company.id: company.name for company in companies}
    if as_json:
        items = [as_item(verdict, names, paused) for verdict in decided]
        print_json(items + [_as_unreadable(one, names) for one in not_understood])
    elif not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    else:
        shown = _without_what_a_preview_tells(decided)
        print_verdicts(shown, names, paused)
        _print_unreadable(not_understood, names)
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


def as_item(verdict: Verdict, names: Mapping[TenantId, str], paused: Sequence[Pause]) -> dict[str, object]:
    """A verdict as JSON shows it."""
    contract = verdict.contract
    would, would_reason = would_be(verdict)
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
        "way": verdict.way,
        "deliver_on": verdict.policy.deliver_on,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "why": explain(verdict.reason, **verdict.detail),
        "would": would,
        "would_reason": would_reason,
        "paused_levels": [one.level for one in pausing.stopping(verdict, paused)],
        "preview": verdict.preview,
        "warnings": [
            {"reason": reason, "why": explain(reason, **facts), "cure": REASONS[reason].cure}
            for reason, facts in verdict.warnings
        ],
    }


def _as_unreadable(contract: UnreadableContract, names: Mapping[TenantId, str]) -> dict[str, object]:
    """By the names that every item has, of which nothing else is known."""
    return {
        "tenant": contract.tenant,
        "tenant_name": names.get(contract.tenant, ""),
        "contract": int(contract.number) if contract.number.isdigit() else None,
        "outcome": "none",
        "reason": Reason.UNREADABLE,
        "why": explain(Reason.UNREADABLE, fields=contract.error),
        "cure": REASONS[Reason.UNREADABLE].cure,
        "preview": False,
    }


def _print_unreadable(contracts: Sequence[UnreadableContract], names: Mapping[TenantId, str]) -> None:
    if contracts:
        heading("Contracts that cannot be read")
    for one in contracts:
        why = explain(Reason.UNREADABLE, fields=one.error)
        say(f"{names.get(one.tenant, '')} ({one.tenant}), contract {one.number or 'without a number'}: {why}")
        say(f"  {REASONS[Reason.UNREADABLE].cure}")


def would_be(verdict: Verdict) -> tuple[Outcome | None, Reason | None]:
    """What the outcome would be, and why, were a proposal live; `None` for what is live."""
    if verdict.policy.mode == "live":
        return None, None
    if verdict.reason is not Reason.PROPOSAL:
        return verdict.outcome, verdict.reason
    reason = Reason(verdict.detail["verdict"])
    return verdict._replace(reason=reason).outcome, reason


def print_verdicts(decided: Sequence[Verdict], names: Mapping[TenantId, str], paused: Sequence[Pause]) -> None:
    """The verdicts, a table for each company; of a proposal, first what would be invoiced, then what would be held."""
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
        shown = sorted(of_company, key=_group)
        print_table(columns, [_row(verdict, paused) for verdict in shown])
        _print_warnings(shown)


def _print_warnings(decided: Sequence[Verdict]) -> None:
    """What stands in nothing's way, and what is to be done where the plan does nothing until somebody does it."""
    known: set[str] = set()
    for verdict in decided:
        told = [*verdict.warnings]
        if verdict.reason is Reason.SET_BACK:
            told.append((verdict.reason, verdict.detail))
        for reason, facts in told:
            warning = f"Contract {verdict.contract.number}: {explain(reason, **facts)}"
            if warning not in known:
                known.add(warning)
                say(warning)
                say(f"  {REASONS[reason].cure}")


def _group(verdict: Verdict) -> int:
    would, _ = would_be(verdict)
    return 0 if would is None else ("bill", "hold", "none").index(would)


def _row(verdict: Verdict, paused: Sequence[Pause]) -> Row:
    contract = verdict.contract
    what, tone = _what_happens(verdict, paused)
    cells = [
        str(contract.number),
        contract.customer_name,
        str(verdict.period or "none"),
        day(verdict.invoice_date or verdict.due_on),
        money(verdict.amount, contract.currency),
        what,
    ]
    return Row(cells, tone)


_PAUSED = {"bureau": "the whole bureau is paused", "tenant": "the company is paused", "contract": "it is paused"}


def _what_happens(verdict: Verdict, paused: Sequence[Pause]) -> tuple[str, Tone]:
    reason, facts = verdict.reason, dict(verdict.detail)
    if stopping := pausing.stopping(verdict, paused):
        return "nothing: " + "; ".join(f"{_PAUSED[one.level]} {pausing.told(one)}" for one in stopping), "quiet"
    if proposed := reason is Reason.PROPOSAL:
        reason = Reason(facts.pop("verdict"))
    would = "would be" if proposed else "will be" if verdict.preview else "is"
    tone: Tone = "quiet" if verdict.preview else "plain" if proposed else "good"
    if reason is Reason.DUE:
        onward = in_short(verdict.policy, verdict.way)
        return f"{would} invoiced" + (f", then: {onward}" if onward else ""), tone
    why = explain(reason, **facts)
    why = why[0].lower() + why[1:]
    if reason in HOLDS:
        return f"{would} held: {why}", "attention" if tone == "good" else tone
    if reason is Reason.SET_BACK:
        return f"nothing: {why}", "attention"
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


_SUMS = (
    "To invoice",
    "Held for a yes",
    "Would be invoiced, if live",
    "Would be held for a yes, if live",
    "Later",
    "Nothing now",
)


def _sum_up(decided: Sequence[Verdict]) -> None:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for verdict in decided:
        if verdict.preview:
            sums["Later"].add(verdict)
        elif verdict.outcome == "bill":
            sums["To invoice"].add(verdict)
        elif verdict.outcome == "hold":
            sums["Held for a yes"].add(verdict)
        elif would_be(verdict)[0] == "bill":
            sums["Would be invoiced, if live"].add(verdict)
        elif would_be(verdict)[0] == "hold":
            sums["Would be held for a yes, if live"].add(verdict)
        else:
            sums["Nothing now"].add(verdict)
    if decided:
        say()
    else:
        say("No contract has been read yet.")
    for what in _SUMS:
        if what in sums:
            say(f"{what}: {sums[what].told('period' if what == 'Later' else 'contract')}")
