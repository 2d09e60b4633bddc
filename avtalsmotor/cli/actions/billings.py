"""`avtalsmotor billings ...`: shows billings, and carries out what a person decides about them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import groupby

import typer

from avtalsmotor.cli.actions import stopped
from avtalsmotor.cli.actions.history import line
from avtalsmotor.cli.actions.known import known_billing, known_tenant
from avtalsmotor.cli.failure import Failure, complain
from avtalsmotor.cli.printing import (
    Column,
    Row,
    Tone,
    count,
    heading,
    instant,
    money,
    print_json,
    print_table,
    say,
)
from avtalsmotor.cli.session import open_session, user
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import audit, billings, blocks, tenants
from common.ledger.database import Ledger
from common.ledger.records import Attempt, AuditEntry, Billing
from common.matters.stops import ahead_of, of_companies
from common.rules.reasons import REASONS, Reason, explain
from common.rules.states import Status, Step

_TONES: Mapping[Status, Tone] = {
    Status.HELD: "attention",
    Status.PARKED: "attention",
    Status.IN_DOUBT: "attention",
    Status.DONE: "good",
    Status.SKIPPED: "quiet",
    Status.VOIDED: "quiet",
}


async def list_(
    tenant: int | None,
    contract: int | None,
    statuses: Sequence[Status],
    step: Step | None,
    limit: int,
    as_json: bool,
) -> None:
    async with open_session() as (_, ledger):
        if tenant is not None:
            await known_tenant(ledger, tenant)
        # One more than is shown tells whether there are more.
        found = await billings.find(
            ledger,
            tenant=TenantId(tenant) if tenant is not None else None,
            contract=ContractNumber(contract) if contract is not None else None,
            status=statuses or None,
            step=step,
            limit=limit + 1,
        )
        names = await _names(ledger)
    shown = found[:limit]
    if as_json:
        print_json([as_dict(billing, names) for billing in shown])
        return
    if not shown:
        say("There are no such billings.")
    print_billings(shown, names)
    if len(found) > limit:
        say(f"There are more than these {limit}: narrow them down, or raise --limit.")


async def _names(ledger: Ledger) -> dict[TenantId, str]:
    return {tenant.id: tenant.name for tenant in await tenants.every(ledger)}


def why(billing: Billing) -> str:
    """The sentence for the billing's reason; empty when nothing is the matter."""
    return explain(billing.reason, **billing.detail) if billing.reason is not None else ""


def as_dict(billing: Billing, names: Mapping[TenantId, str]) -> dict[str, object]:
    """A billing as JSON shows it."""
    return {
        "id": billing.id,
        "tenant": billing.tenant,
        "tenant_name": names.get(billing.tenant, ""),
        "contract": billing.contract,
        "customer_number": billing.customer_number,
        "customer": billing.customer_name,
        "period_start": billing.period.start,
        "period_end": billing.period.end,
        "generation": billing.generation,
        "due_on": billing.due_on,
        "invoice_date": billing.invoice_date,
        "amount": billing.amount,
        "currency": billing.currency or "SEK",
        "step": billing.step,
        "status": billing.status,
        "reason": billing.reason,
        "why": why(billing) or None,
        "cure": REASONS[billing.reason].cure if billing.reason is not None else None,
        "invoice": billing.invoice,
        "handmade": billing.handmade,
        "not_before": billing.not_before,
        "called_at": billing.called_at,
        "failures": billing.failures,
        "created_at": billing.created_at,
        "changed_at": billing.changed_at,
    }


def print_billings(found: Sequence[Billing], names: Mapping[TenantId, str]) -> None:
    """The billings, a table for each company. The reasons are as `--reason` takes them; `show` has them in words."""
    columns = [
        Column("Billing", number=True),
        Column("Contract", number=True),
        Column("Customer", cut=True),
        Column("Period", whole=True),
        Column("Amount", number=True),
        Column("Invoice", number=True),
        Column("Step", whole=True),
        Column("Status", whole=True),
        Column("Reason", whole=True),
    ]
    ordered = sorted(found, key=lambda one: (names.get(one.tenant, ""), one.tenant))
    for tenant, of_company in groupby(ordered, lambda one: one.tenant):
        heading(f"{names.get(tenant, '')} ({tenant})")
        print_table(columns, [_row(one) for one in of_company])


def _row(billing: Billing) -> Row:
    cells = [
        str(billing.id),
        str(billing.contract),
        billing.customer_name,
        str(billing.period),
        money(billing.amount, billing.currency),
        str(billing.invoice or ""),
        billing.step.value,
        billing.status.value.replace("_", " "),
        billing.reason.value if billing.reason is not None else "",
    ]
    return Row(cells, _TONES.get(billing.status, "plain"))


async def show(number: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        billing = await known_billing(ledger, number)
        calls = await billings.attempts(ledger, billing.id)
        trail = await audit.entries(ledger, billing=billing.id)
        stops = ahead_of(billing, await of_companies(ledger, billing.tenant))
        names = await _names(ledger)
    if as_json:
        print_json(
            {
                **as_dict(billing, names),
                "blocks": [stopped.as_dict(stop) for stop in stops],
                "policy": dict(billing.policy),
                "attempts": [_as_attempt(call) for call in calls],
                "audit": [_as_entry(entry) for entry in trail],
            }
        )
        return
    print_table([Column("", whole=True), Column("")], [Row(pair) for pair in _facts(billing, names)])
    if stops:
        heading("What stops the company")
        stopped.print_stops(stops)
    heading("Calls to Fortnox")
    if not calls:
        say("None.")
    print_table(
        [
            Column("Called", whole=True),
            Column("Step", whole=True),
            Column("HTTP", number=True),
            Column("What came back"),
        ],
        [
            Row([instant(call.called_at), call.step.value, str(call.http_status or ""), call_in_words(call)])
            for call in calls
        ],
    )
    heading("What happened to it")
    for entry in trail:
        say(line(entry, billing.currency))


def _facts(billing: Billing, names: Mapping[TenantId, str]) -> list[tuple[str, str]]:
    facts = [
        ("Billing", str(billing.id)),
        ("Company", f"{names.get(billing.tenant, '')} ({billing.tenant})"),
        ("Contract", str(billing.contract)),
        ("Customer", f"{billing.customer_name} ({billing.customer_number})"),
        ("Period", str(billing.period)),
        ("Due, dated", f"{billing.due_on}, {billing.invoice_date}"),
        ("Amount", money(billing.amount, billing.currency)),
        ("Invoice", str(billing.invoice or "none yet") + (", made by hand" if billing.handmade else "")),
        ("Stands at", f"{billing.step.value}, {billing.status.value.replace('_', ' ')}"),
    ]
    if billing.not_before is not None:
        facts.append(("Not before", instant(billing.not_before)))
    if billing.reason is not None:
        facts += [("Why", why(billing)), ("What to do", REASONS[billing.reason].cure)]
    return facts


_VERDICTS = {
    "acted": "Fortnox did it",
    "rejected": "Fortnox did nothing",
    "not_sent": "never sent",
    "absent": "looked for in vain",
    None: "not known yet",
}


def call_in_words(call: Attempt) -> str:
    """What came back from a call, and what is known of it since."""
    facts = [
        _VERDICTS[call.verdict],
        call.message,
        f"code {call.code}" if call.code is not None else "",
        call.note,
        f"X-Uid {call.x_uid}" if call.x_uid else "",
    ]
    return "; ".join(fact for fact in facts if fact)


def _as_attempt(call: Attempt) -> dict[str, object]:
    return {
        "id": call.id,
        "step": call.step,
        "called_at": call.called_at,
        "claimed_by": call.claimed_by,
        "answered_at": call.answered_at,
        "http_status": call.http_status,
        "code": call.code,
        "message": call.message,
        "x_uid": call.x_uid,
        "verdict": call.verdict,
        "note": call.note,
        "newest_invoice_before": call.newest_invoice_before,
        "token_expires_at": call.token_expires_at,
    }


def _as_entry(entry: AuditEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": entry.at,
        "by": entry.by,
        "action": entry.action,
        "before": entry.before,
        "after": entry.after,
        "version": entry.version,
    }


async def approve(numbers: Sequence[int], tenant: int | None, reason: str | None) -> None:
    async with open_session() as (_, ledger):
        chosen = numbers or await _standing(ledger, Status.HELD, tenant, reason)
        await _decide(ledger, chosen, lambda one: billings.approve(ledger, one, user()), "approved", "held")


async def retry(numbers: Sequence[int], tenant: int | None, reason: str | None) -> None:
    async with open_session() as (_, ledger):
        chosen = numbers or await _standing(ledger, Status.PARKED, tenant, reason)
        tried = await _decide(ledger, chosen, lambda one: billings.retry(ledger, one, user()), "tried again", "parked")
        probes = {stop.probe for stop in await blocks.every(ledger)}
    for billing in tried:
        if billing.id in probes:
            say(
                f"Billing {billing.id} is tried first; the others of company {billing.tenant} follow when it went well."
            )


async def skip(number: int, reason: str) -> None:
    async with open_session() as (_, ledger):
        billing = await known_billing(ledger, number)
        await billings.skip(ledger, billing.id, user(), reason)
    say(f"Billing {number} is skipped: nothing more is done with {billing.period} of contract {billing.contract}.")


async def _standing(ledger: Ledger, status: Status, tenant: int | None, reason: str | None) -> list[int]:
    """The ids of all billings that stand at the status, of the company and for the reason if named."""
    if tenant is not None:
        await known_tenant(ledger, tenant)
    wanted = _reason(reason) if reason is not None else None
    found = await billings.find(ledger, status=status, tenant=TenantId(tenant) if tenant is not None else None)
    return [one.id for one in found if wanted in (None, one.reason)]


def _reason(typed: str) -> Reason:
    try:
        return Reason(typed.replace("-", "_"))
    except ValueError:
        known = ", ".join(sorted(reason.value for reason in Reason))
        raise Failure(
            f"{typed} is not a reason that billings stand still for, so none was touched. `avtalsmotor billings list`"
            f" --json shows the reason of each; all there are: {known}."
        ) from None


async def _decide(
    ledger: Ledger,
    numbers: Collection[int],
    decide: Callable[[BillingId], Awaitable[Billing]],
    done: str,
    sought: str,
) -> list[Billing]:
    """Carries out a decision on each. What is not possible for one fails the command, and stops none of the others."""
    if not numbers:
        say(f"Nothing that this concerns is {sought}.")
    decided: list[Billing] = []
    for number in dict.fromkeys(numbers):
        try:
            billing = await known_billing(ledger, number)
            decided.append(await decide(billing.id))
        except (Failure, billings.NotPossible) as refusal:
            complain(str(refusal))
    if decided:
        told = ", ".join(str(billing.id) for billing in decided)
        say(f"{count(len(decided), 'billing')} {done}: {told}.")
    if len(decided) < len(set(numbers)):
        raise typer.Exit(1)
    return decided
