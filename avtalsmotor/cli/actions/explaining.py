"""`avtalsmotor policy explain`: where each rule of a company or a contract comes from. Changes nothing."""

from collections.abc import Mapping, Sequence

from avtalsmotor.cli.actions.known import known_contract, known_tenant
from avtalsmotor.cli.actions.policies import as_dict, in_words, level_name, told
from avtalsmotor.cli.policy_options import name_of
from avtalsmotor.cli.printing import Column, Row, heading, print_json, print_table, say
from avtalsmotor.cli.session import open_session
from common.ledger import policies
from common.ledger.policies import Level
from common.rules.policy import PolicyChoice, decided_by, resolve, said_by


async def of_tenant(number: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        company = await known_tenant(ledger, number)
        book = await policies.load(ledger, company.id)
    levels, below = book.levels_of(company.id), book.below(company.id)
    if as_json:
        more = {"overridden_by": [_as_override(*where, choice) for where, choice in below.items()]}
        print_json({"tenant": company.id, "name": company.name, **_as_dict(levels), **more})
        return
    _print_facts([("Company", f"{company.name} ({company.id})")])
    _print_rules(levels)
    _print_below(below)


async def of_contract(number: int, contract: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        company = await known_tenant(ledger, number)
        view = (await known_contract(ledger, number, contract)).view
        book = await policies.load(ledger, company.id)
    levels = book.levels_of(view.tenant, view.template, view.number)
    if as_json:
        subject = {"tenant": company.id, "name": company.name, "contract": view.number, "customer": view.customer_name}
        print_json({**subject, "template": view.template, **_as_dict(levels)})
        return
    _print_facts(
        [
            ("Company", f"{company.name} ({company.id})"),
            ("Contract", str(view.number)),
            ("Customer", f"{view.customer_name} ({view.customer_number})"),
            ("Template", view.template or "none"),
        ]
    )
    _print_rules(levels)


def _as_dict(levels: Mapping[str, PolicyChoice]) -> dict[str, object]:
    return {**as_dict(levels), "said": said_by(levels)}


def _as_override(level: Level, number: str, choice: PolicyChoice) -> dict[str, object]:
    return {"level": level, "number": number, "said": choice.model_dump(exclude_none=True)}


def _print_facts(facts: Sequence[tuple[str, str]]) -> None:
    print_table([Column("", whole=True), Column("")], [Row(pair) for pair in facts])
    heading("Rules")


def _print_rules(levels: Mapping[str, PolicyChoice]) -> None:
    deciders, said = decided_by(levels), said_by(levels)
    columns = [
        Column("Rule", whole=True),
        Column("Value", whole=True),
        Column("Decided by", whole=True),
        Column("The other levels"),
    ]
    rows = []
    for field, value in resolve(*levels.values()):
        decider = deciders[field]
        others = [f"{level_name(level)} {told(what)}" for level, what in said[field].items() if level != decider]
        cells = [name_of(field), told(value), level_name(decider), ", ".join(others)]
        rows.append(Row(cells, "quiet" if decider == "default" else "plain"))
    print_table(columns, rows)


def _print_below(below: Mapping[tuple[Level, str], PolicyChoice]) -> None:
    heading("What its templates and contracts say otherwise")
    if not below:
        say("Nothing.")
    columns = [Column("Level", whole=True), Column("Number", number=True), Column("Its rules")]
    print_table(columns, [Row([level, number, in_words(choice)]) for (level, number), choice in below.items()])
