"""`avtalsmotor tenants ...`: adds companies, after asking Fortnox for them, and shows them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from avtalsmotor.cli.actions import figures
from avtalsmotor.cli.actions.known import known_tenant
from avtalsmotor.cli.actions.policies import as_dict, in_short, print_levels, told
from avtalsmotor.cli.failure import Failure, warn
from avtalsmotor.cli.printing import Column, Row, count, day, heading, instant, print_json, print_table, say
from avtalsmotor.cli.session import missing_credentials, open_fortnox, open_session, user
from avtalsmotor.embedded import EmbeddedError
from common.fortnox.client import Fortnox
from common.fortnox.errors import Forbidden, FortnoxError, NotSent, TokenRefused
from common.ids import TenantId
from common.ledger import blocks, policies, tenants
from common.ledger.records import Block, Tenant
from common.rules.policy import Policy, PolicyChoice
from common.rules.reasons import REASONS, explain, of_refusal
from common.rules.states import Step
from common.settings import Settings

ASKED_WITHIN = 30.0
"""Seconds that a person waits for Fortnox' answers about a new company."""


async def add(number: int, name: str | None, choice: PolicyChoice, *, check: bool) -> None:
    tenant = TenantId(number)
    async with open_session() as (settings, ledger):
        there = await tenants.get(ledger, tenant)
        if there is not None:
            raise Failure(
                f"{there.name} ({number}) is in the ledger already, so nothing was added. Look at it with `avtalsmotor"
                f" tenants show {number}`, and change its rules with `avtalsmotor tenants policy {number}`."
            )
        answer = await _ask_fortnox(settings, tenant) if check else _Answer()
        called = name or answer.name or f"Company {number}"
        await tenants.add(ledger, tenant, called, user())
        if choice.model_dump(exclude_none=True):
            await policies.change(ledger, "tenant", choice, user(), tenant=tenant)
        policy = (await policies.load(ledger, tenant)).policy_of(tenant)
    for warning in answer.warnings:
        warn(f"{called} ({number}) is added, but {warning}")
    known = f", with {count(answer.contracts, 'active contract')}" if answer.contracts is not None else ""
    say(f"Added {called} ({number}){known}.")
    if policy.mode == "live":
        say(f"It is live: its due contracts are invoiced ({in_short(policy)}) as soon as `avtalsmotor up` runs.")
    else:
        say("Nothing is invoiced for it until it is live.")
        say(f"See what would be:  avtalsmotor plan --tenant {number}")
        say(f"Set it going:       avtalsmotor tenants resume {number}")


@dataclass
class _Answer:
    """What Fortnox told of a company that is to be added."""

    name: str = ""
    contracts: int | None = None
    warnings: list[str] = field(default_factory=list)


async def _ask_fortnox(settings: Settings, tenant: TenantId) -> _Answer:
    """Raises Failure when Fortnox does not let this client in to the company at all; all else is a warning."""
    absent = missing_credentials(settings)
    if absent:
        raise Failure(
            f"Company {tenant} was not added, because Fortnox cannot be asked for it: {' and '.join(absent)} not set."
            " Set them to what Fortnox' developer portal shows for your integration; or add it unasked with --no-check."
        )
    answer = _Answer()
    try:
        async with asyncio.timeout(ASKED_WITHIN), open_fortnox(settings) as fortnox:
            await _ask(fortnox, tenant, answer)
    except TokenRefused as refused:
        raise Failure(f"Company {tenant} was not added. {refused}") from refused
    except (FortnoxError, NotSent, EmbeddedError) as error:
        answer.warnings.append(f"Fortnox could not be asked for it. {error}")
    except TimeoutError:
        answer.warnings.append(
            f"Fortnox had not told everything of it within {ASKED_WITHIN:.0f} s."
            f" See with `avtalsmotor plan --tenant {tenant}` that its contracts can be read."
        )
    return answer


async def _ask(fortnox: Fortnox, tenant: TenantId, answer: _Answer) -> None:
    try:
        answer.name = (await fortnox.company(tenant)).company_name
    except Forbidden as refusal:
        answer.warnings.append(f"its name cannot be read. {_in_words(refusal)}")
    try:
        answer.contracts = len((await fortnox.contracts(tenant)).rows)
    except FortnoxError as refusal:
        if refusal.code is None and not isinstance(refusal, Forbidden):
            raise
        answer.warnings.append(f"its contracts cannot be read, so nothing can be invoiced for it. {_in_words(refusal)}")


def _in_words(refusal: FortnoxError) -> str:
    reason = of_refusal(Step.CREATE, refusal.http_status or 0, refusal.code, refusal.message)
    cure = REASONS[reason].cure.partition(", then retry")[0].rstrip(".")
    return f"{explain(reason, message=refusal.message, code=refusal.code)} {cure}; no need to add the company again."


async def list_(as_json: bool) -> None:
    async with open_session() as (_, ledger):
        companies = await tenants.every(ledger)
        book = await policies.load(ledger)
    rules = {company.id: book.policy_of(company.id) for company in companies}
    if as_json:
        print_json([_summary(company, rules[company.id]) for company in companies])
        return
    if not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    columns = [
        Column("Company", number=True),
        Column("Name"),
        Column("Mode", whole=True),
        Column("Then"),
        Column("Last read", whole=True),
    ]
    print_table(columns, [_row(company, rules[company.id]) for company in companies])


def mode_of(company: Tenant, policy: Policy) -> str:
    """`live`, `proposal` or `paused`: what the company is to the work."""
    return "paused" if company.paused else policy.mode


def _row(company: Tenant, policy: Policy) -> Row:
    mode = mode_of(company, policy)
    cells = [str(company.id), company.name, mode, in_short(policy), instant(company.listed_at) or "never"]
    return Row(cells, "attention" if mode == "paused" else "quiet" if mode == "proposal" else "plain")


def _summary(company: Tenant, policy: Policy) -> dict[str, object]:
    return {
        "tenant": company.id,
        "name": company.name,
        "paused": company.paused,
        "mode": policy.mode,
        "bookkeep": policy.bookkeep,
        "deliver": policy.deliver,
        "listed_at": company.listed_at,
    }


async def show(number: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        company = await known_tenant(ledger, number)
        levels = (await policies.load(ledger, company.id)).levels_of(company.id)
        stops = await blocks.every(ledger, company.id)
        counted = (await figures.read(ledger))[company.id]
        policy = (await policies.load(ledger, company.id)).policy_of(company.id)
    if as_json:
        facts = company.facts
        print_json(
            {
                **_summary(company, policy),
                "locked_until": facts.locked_until,
                "financial_years": None
                if facts.years is None
                else [{"from": year.start, "to": year.end} for year in facts.years],
                "newest_invoice": company.newest_invoice,
                "first_invoice_verified": company.creates_proven,
                "figures": counted.as_dict(),
                "blocks": [as_block(stop) for stop in stops],
                **as_dict(levels),
            }
        )
        return
    print_table([Column("", whole=True), Column("")], [Row(pair) for pair in _facts(company, policy)])
    heading("Figures")
    figures.print_figures([counted])
    if stops:
        heading("What stops it")
        for stop in stops:
            say(f"{stop.step.value if stop.step else 'everything'}: {explain(stop.reason, **stop.detail)}")
            say(f"  {REASONS[stop.reason].cure}")
    heading("Rules")
    print_levels(levels)


def _facts(company: Tenant, policy: Policy) -> Sequence[tuple[str, str]]:
    years = company.facts.years
    return [
        ("Company", f"{company.name} ({company.id})"),
        ("Mode", mode_of(company, policy)),
        ("Contracts last read", instant(company.listed_at) or "never"),
        ("Books locked until", day(company.facts.locked_until) or "not locked, or not known"),
        ("Financial years", ", ".join(map(str, years)) if years is not None else "not known"),
        ("Newest invoice seen", str(company.newest_invoice or "none")),
        ("A first invoice verified", told(company.creates_proven)),
    ]


def as_block(block: Block) -> dict[str, object]:
    """A block as JSON shows it."""
    return {
        "tenant": block.tenant,
        "step": block.step,
        "reason": block.reason,
        "why": explain(block.reason, **block.detail),
        "cure": REASONS[block.reason].cure,
        "since": block.since,
        "tried_first": block.probe,
    }
