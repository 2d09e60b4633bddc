"""Shows and changes the policy (regler) of the bureau, of a company, of a contract template, or of a contract."""

from collections.abc import Collection, Mapping, Sequence
from datetime import time
from enum import Enum

from avtalsmotor.cli.actions.known import known_contract, known_template, known_tenant
from avtalsmotor.cli.policy_options import name_of
from avtalsmotor.cli.printing import Column, Row, count, print_json, print_table, say
from avtalsmotor.cli.session import open_session, user
from common.ledger import contracts, policies, tenants
from common.ledger.policies import PolicyBook
from common.ledger.records import Tenant
from common.rules.policy import Policy, PolicyChoice, decided_by, resolve
from common.rules.states import Delivery
from common.rules.ways import Way, asks_the_card

WHEN_IT_ACTS = (
    "Changed. What is more cautious than before holds at once, for everything not yet called;"
    " what is less cautious holds for what is planned from now on."
)


async def of_bureau(choice: PolicyChoice, unsaid: Collection[str], as_json: bool) -> None:
    async with open_session() as (_, ledger):
        changed = _says(choice, unsaid)
        before = await policies.load(ledger)
        if changed:
            await policies.change(ledger, "bureau", choice, user(), unsay=unsaid)
        after = await policies.load(ledger)
        companies = await tenants.every(ledger)
        levels = {"bureau": await policies.get(ledger, "bureau")}
    if not changed:
        _print({}, levels, changed, as_json)
        return
    live, proposal = (_turned(companies, before, after, mode) for mode in ("live", "proposal"))
    turned = {"became_live": [one.id for one in live], "became_proposal": [one.id for one in proposal]}
    _print(turned, levels, changed, as_json)
    if as_json:
        return
    if live:
        paused = sum(one.paused for one in live)
        but = f" ({count(paused, 'of them is', 'of them are')} paused, and stays so)" if paused else ""
        say(f"{count(len(live), 'company becomes', 'companies become')} live by it{but}: {_named(live)}.")
    elif choice.mode == "live":
        say("No company becomes live by it: each is live already, or says for itself that it is a proposal.")
    if proposal:
        say(f"{count(len(proposal), 'company becomes', 'companies become')} a proposal by it: {_named(proposal)}.")


def _turned(companies: Sequence[Tenant], before: PolicyBook, after: PolicyBook, mode: str) -> list[Tenant]:
    """The companies that have the mode after a change, and had the other before."""
    return [one for one in companies if before.policy_of(one.id).mode != mode == after.policy_of(one.id).mode]


_NAMED = 8


def _named(companies: Sequence[Tenant]) -> str:
    told = ", ".join(f"{one.name} ({one.id})" for one in companies[:_NAMED])
    return f"{told} and {len(companies) - _NAMED} more" if len(companies) > _NAMED else told


async def of_tenant(number: int, choice: PolicyChoice, unsaid: Collection[str], as_json: bool) -> None:
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        changed = _says(choice, unsaid)
        if changed:
            await policies.change(ledger, "tenant", choice, user(), tenant=tenant.id, unsay=unsaid)
        book = await policies.load(ledger, tenant.id)
    _print({"tenant": tenant.id, "name": tenant.name}, book.levels_of(tenant.id), changed, as_json)


async def of_template(
    number: int, template_number: int, choice: PolicyChoice, unsaid: Collection[str], as_json: bool, *, force: bool
) -> None:
    """Raises Failure for a template that the company's contracts do not have, unless `force` says that it will come."""
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        template = str(template_number) if force else await known_template(ledger, tenant, template_number)
        changed = _says(choice, unsaid)
        if changed:
            await policies.change(ledger, "template", choice, user(), tenant=tenant.id, template=template, unsay=unsaid)
        book = await policies.load(ledger, tenant.id)
        having = sum(one.contracts for one in await contracts.templates(ledger, tenant.id) if one.template == template)
    subject = {"tenant": tenant.id, "name": tenant.name, "template": template, "contracts": having}
    _print(subject, book.levels_of(tenant.id, template), changed, as_json)
    if not as_json:
        have = "contract has" if having == 1 else "contracts have"
        say(f"{having} {have} this template now, as last read.")


async def of_contract(number: int, contract: int, choice: PolicyChoice, unsaid: Collection[str], as_json: bool) -> None:
    async with open_session() as (_, ledger):
        view = (await known_contract(ledger, number, contract)).view
        changed = _says(choice, unsaid)
        if changed:
            await policies.change(
                ledger, "contract", choice, user(), tenant=view.tenant, contract=view.number, unsay=unsaid
            )
        book = await policies.load(ledger, view.tenant)
    subject = {"tenant": view.tenant, "contract": view.number}
    _print(subject, book.levels_of(view.tenant, view.template, view.number), changed, as_json)


def _says(choice: PolicyChoice, unsaid: Collection[str]) -> bool:
    return bool(choice.model_dump(exclude_none=True) or unsaid)


def _print(subject: Mapping[str, object], levels: Mapping[str, PolicyChoice], changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({**subject, **as_dict(levels)})
        return
    print_levels(levels)
    if changed:
        say()
        say(WHEN_IT_ACTS)


def as_dict(levels: Mapping[str, PolicyChoice]) -> dict[str, object]:
    """The resolved policy, and for each field the level that decided it."""
    return {"policy": dict(resolve(*levels.values())), "decided_by": decided_by(levels)}


def print_levels(levels: Mapping[str, PolicyChoice]) -> None:
    """Every rule, its value, and the level that decided it."""
    policy, deciders = resolve(*levels.values()), decided_by(levels)
    print_table(
        [Column("Rule", whole=True), Column("Value", whole=True), Column("Decided by", whole=True)],
        [
            Row(
                [name_of(field), told(value), level_name(deciders[field])],
                "quiet" if deciders[field] == "default" else "plain",
            )
            for field, value in policy
        ],
    )


_LEVELS = {"tenant": "company"}


def level_name(level: str) -> str:
    """A level as a person calls it."""
    return _LEVELS.get(level, level)


def in_words(choice: PolicyChoice) -> str:
    """What one level says: `bookkeep yes, deliver none`; empty when it says nothing."""
    return ", ".join(f"{name_of(field)} {told(value)}" for field, value in choice if value is not None)


def told(value: object) -> str:
    """A value of the policy as a person reads it, and could type it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case time():
            return f"{value:%H:%M}"
        case Enum():
            return str(value.value)
    return str(value)


def in_short(policy: Policy, way: Way | None = None) -> str:
    """What is done with an invoice once it is made: `bookkeep, email on banking days`; empty when nothing is.

    Parameters:
      way: by which it would leave, as far as that is known.
    """
    parts = ["bookkeep"] if policy.bookkeep else []
    if policy.deliver is not Delivery.NONE:
        sent = policy.deliver.value
        if asks_the_card(policy):
            sent = _BY_CARD.get(way or Way.UNKNOWN) or _LEFT_TO_CARD[policy.deliver]
        parts.append(sent + (" on banking days" if policy.deliver_on == "banking_days" else ""))
    return ", ".join(parts)


_LEFT_TO_CARD = {
    Delivery.CUSTOMER: "deliver by the customer's card",
    Delivery.EMAIL: "email or einvoice by the customer's card",
    Delivery.PRINT: "print or einvoice by the customer's card",
}
_BY_CARD = {
    Way.EMAIL: "email",
    Way.EINVOICE: "einvoice by the customer's card",
    Way.PRINT: "print",
    Way.BY_HAND: "left to be printed by hand",
}
