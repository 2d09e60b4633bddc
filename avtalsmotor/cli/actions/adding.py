"""`avtalsmotor tenants add`: asks Fortnox for a company, and takes it into the ledger.

What keeps this client out of the company is an error, and nothing is added; what can be mended, or passes, is a
warning. It only reads.
"""

import asyncio
from dataclasses import dataclass, field

from avtalsmotor.cli.actions.doctor import print_findings
from avtalsmotor.cli.actions.policies import in_short
from avtalsmotor.cli.failure import Failure, tell_wait, warn
from avtalsmotor.cli.printing import count, say
from avtalsmotor.cli.session import open_fortnox, open_session, refuse_without_credentials, user
from avtalsmotor.embedded import EmbeddedError
from common.fortnox.client import Fortnox
from common.fortnox.errors import Forbidden, FortnoxError, NotSent, TokenRefused
from common.ids import TenantId
from common.ledger import policies, preflights, tenants
from common.ledger.database import Ledger
from common.rules.policy import Policy, PolicyChoice
from common.rules.preflight import Observed
from common.rules.reasons import REASONS, explain, of_refusal
from common.rules.states import Step
from common.settings import Settings
from producers.preflights import look, take_in

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
        answer = await _ask_fortnox(settings, ledger, tenant) if check else _Answer()
        called = name or answer.name or f"Company {number}"
        await tenants.add(ledger, tenant, called, user())
        if choice.model_dump(exclude_none=True):
            await policies.change(ledger, "tenant", choice, user(), tenant=tenant)
        policy = (await policies.load(ledger, tenant)).policy_of(tenant)
        if answer.observed is not None:
            await take_in(ledger, tenant, answer.observed, user())
        found = (await preflights.judged(ledger, [tenant]))[tenant]
    for warning in answer.warnings:
        warn(f"{called} ({number}) is added, but {warning}")
    known = f", with {count(answer.contracts, 'active contract')}" if answer.contracts is not None else ""
    say(f"Added {called} ({number}){known}.")
    print_findings(found)
    tell_what_next(tenant, policy)


def tell_what_next(tenant: TenantId, policy: Policy) -> None:
    """What becomes of a company that is new."""
    if policy.mode == "live":
        onward = f" ({in_short(policy)})" if in_short(policy) else ""
        say(f"It is live: its due contracts are invoiced{onward} while `avtalsmotor up` runs.")
    else:
        say("Nothing is invoiced for it until it is live.")
        say(f"See what would be:  avtalsmotor plan --tenant {tenant}")
        say(f"Set it going:       avtalsmotor tenants policy {tenant} --live")


@dataclass
class _Answer:
    """What Fortnox told of a company that is to be added."""

    name: str = ""
    contracts: int | None = None
    observed: Observed | None = None
    """What would fail for all its contracts; `None`: it was not read."""
    warnings: list[str] = field(default_factory=list)


async def _ask_fortnox(settings: Settings, ledger: Ledger, tenant: TenantId) -> _Answer:
    """Raises Failure when Fortnox does not let this client in to the company at all; all else is a warning."""
    refuse_without_credentials(
        settings,
        f"Company {tenant} was not added, because Fortnox cannot be asked for it",
        "; or add it unasked with --no-check",
    )
    answer = _Answer()
    tell_wait(f"Asking Fortnox for company {tenant} ...")
    try:
        async with asyncio.timeout(ASKED_WITHIN), open_fortnox(settings, ledger) as fortnox:
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
        return
    answer.observed = await look(fortnox, tenant)


def _in_words(refusal: FortnoxError) -> str:
    reason = of_refusal(Step.CREATE, refusal.http_status or 0, refusal.code, refusal.message)
    cure = REASONS[reason].cure.partition(", then retry")[0].rstrip(".")
    return f"{explain(reason, message=refusal.message, code=refusal.code)} {cure}; no need to add the company again."
