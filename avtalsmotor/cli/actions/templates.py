"""`avtalsmotor templates list`: the contract templates of each company, as its contracts were last read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avtalsmotor.cli.actions.known import selected_tenants
from avtalsmotor.cli.actions.policies import in_words
from avtalsmotor.cli.printing import Column, Row, heading, print_json, print_table, say
from avtalsmotor.cli.session import open_session
from common.ids import TenantId
from common.ledger import contracts, policies
from common.ledger.contracts import TemplateUse
from common.ledger.policies import Level
from common.ledger.records import Tenant
from common.rules.policy import PolicyChoice


@dataclass(frozen=True, slots=True)
class _Template:
    number: str | None
    """`None`: the contracts without a template."""
    contracts: int
    active: int
    choice: PolicyChoice


async def list_(number: int | None, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        companies = await selected_tenants(ledger, number)
        tenant = TenantId(number) if number is not None else None
        used = await contracts.templates(ledger, tenant)
        book = await policies.load(ledger, tenant)
    found = [
        (company, _of_company([one for one in used if one.tenant == company.id], book.below(company.id)))
        for company in companies
    ]
    if as_json:
        print_json([_as_dict(company, one) for company, of_company in found for one in of_company])
        return
    if not any(of_company for _, of_company in found):
        say("No contract has been read yet. Read them with: avtalsmotor plan")
    columns = [
        Column("Template", number=True),
        Column("Contracts", number=True),
        Column("Active", number=True),
        Column("Its rules"),
    ]
    for company, of_company in found:
        if of_company:
            heading(f"{company.name} ({company.id})")
            print_table(columns, [_row(one) for one in of_company])


def _of_company(used: Sequence[TemplateUse], below: Mapping[tuple[Level, str], PolicyChoice]) -> list[_Template]:
    """By number, the contracts without a template last. One that has rules and no contract is shown, too."""
    choices = {number: choice for (level, number), choice in below.items() if level == "template"}
    uses = {one.template: one for one in used}
    numbers = sorted({number for number in (*uses, *choices) if number is not None}, key=int)
    templates = [_template(number, uses.get(number), choices.get(number, PolicyChoice())) for number in numbers]
    return templates + ([_template(None, uses[None], PolicyChoice())] if None in uses else [])


def _template(number: str | None, use: TemplateUse | None, choice: PolicyChoice) -> _Template:
    return _Template(number, use.contracts if use else 0, use.active if use else 0, choice)


def _as_dict(company: Tenant, template: _Template) -> dict[str, object]:
    return {
        "tenant": company.id,
        "tenant_name": company.name,
        "template": template.number,
        "contracts": template.contracts,
        "active": template.active,
        "said": template.choice.model_dump(exclude_none=True),
    }


def _row(template: _Template) -> Row:
    cells = [template.number or "none", str(template.contracts), str(template.active), in_words(template.choice)]
    return Row(cells, "plain" if template.active else "quiet")
