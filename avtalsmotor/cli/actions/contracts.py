"""`avtalsmotor contracts ...`: shows the contracts as they were last read. Makes no call to Fortnox."""

from collections.abc import Mapping
from itertools import groupby

from avtalsmotor.cli.actions import billings as billing_actions
from avtalsmotor.cli.actions import pausing, stopped
from avtalsmotor.cli.actions.known import known_contract, known_tenant, selected_tenants
from avtalsmotor.cli.actions.plan import as_item, print_verdicts
from avtalsmotor.cli.actions.policies import as_dict as policy_as_dict
from avtalsmotor.cli.actions.policies import print_levels
from avtalsmotor.cli.printing import Column, Row, count, heading, instant, money, print_json, print_table, say
from avtalsmotor.cli.session import open_session
from common.ids import TenantId
from common.ledger import billings, contracts, pauses, policies
from common.ledger.records import Contract
from common.matters.stops import of_companies
from producers.planner import verdicts


async def list_(number: int | None, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        names = {company.id: company.name for company in await selected_tenants(ledger, number)}
        found = await contracts.of_tenant(ledger, TenantId(number) if number is not None else None)
    if as_json:
        print_json([_as_dict(contract, names) for contract in found])
        return
    if not found:
        say("No contract has been read yet. Read them with: avtalsmotor plan")
    columns = [
        Column("Contract", number=True),
        Column("Customer", cut=True),
        Column("Status", whole=True),
        Column("Months", number=True),
        Column("Left", number=True),
        Column("Period", whole=True),
        Column("Total", number=True),
        Column("Read", whole=True),
    ]
    for tenant, of_company in groupby(found, lambda contract: contract.view.tenant):
        heading(f"{names.get(tenant, '')} ({tenant})")
        print_table(columns, [_row(contract) for contract in of_company])


def _row(contract: Contract) -> Row:
    view = contract.view
    cells = [
        str(view.number),
        view.customer_name,
        view.status.lower() + (", paused" if contract.paused else ""),
        str(view.interval or ""),
        _left(contract),
        str(view.period or "none"),
        money(view.total, view.currency),
        instant(contract.read_at),
    ]
    return Row(cells, "attention" if contract.paused else "plain" if view.status == "ACTIVE" else "quiet")


def _left(contract: Contract) -> str:
    view = contract.view
    if view.continuous:
        return "continuous"
    return str(view.invoices_remaining) if view.invoices_remaining is not None else ""


def _as_dict(contract: Contract, names: Mapping[TenantId, str]) -> dict[str, object]:
    view = contract.view
    return {
        "tenant": view.tenant,
        "tenant_name": names.get(view.tenant, ""),
        "contract": view.number,
        "customer_number": view.customer_number,
        "customer": view.customer_name,
        "status": view.status,
        "continuous": view.continuous,
        "interval": view.interval,
        "invoices_remaining": view.invoices_remaining,
        "period_start": view.period.start if view.period else None,
        "period_end": view.period.end if view.period else None,
        "total": view.total,
        "currency": view.currency or "SEK",
        "template": view.template,
        "paused": contract.paused,
        "read_at": contract.read_at,
    }


async def show(number: int, contract_number: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        company = await known_tenant(ledger, number)
        contract = await known_contract(ledger, number, contract_number)
        view = contract.view
        levels = (await policies.load(ledger, view.tenant)).levels_of(view.tenant, view.template, view.number)
        paused = pausing.on(await pauses.standing(ledger, view.tenant), view.tenant, view.number)
        stops = await of_companies(ledger, view.tenant)
        made = await billings.find(ledger, tenant=view.tenant, contract=view.number)
        decided = [
            verdict
            for verdict in await verdicts(ledger, view.tenant, ledger.clock.today())
            if verdict.contract.number == view.number
        ]
    names = {company.id: company.name}
    if as_json:
        print_json(
            {
                **_as_dict(contract, names),
                "pauses": [pausing.as_dict(one) for one in paused],
                "blocks": [stopped.as_dict(stop) for stop in stops],
                "plan": [as_item(verdict, names, paused) for verdict in decided],
                "billings": [billing_actions.as_dict(billing, names) for billing in made],
                **policy_as_dict(levels),
            }
        )
        return
    facts = [
        ("Company", f"{company.name} ({company.id})"),
        ("Contract", str(view.number)),
        ("Customer", f"{view.customer_name} ({view.customer_number})"),
        ("Template", view.template or "none"),
        ("Status", view.status.lower() + (", paused" if contract.paused else "")),
        *pausing.facts(paused),
        ("Interval", count(view.interval, "month") if view.interval else "not known"),
        ("Invoices left", _left(contract) or "not known"),
        ("Period shown", str(view.period or "none")),
        ("Total", money(view.total, view.currency)),
        ("Last read", instant(contract.read_at)),
    ]
    print_table([Column("", whole=True), Column("")], [Row(pair) for pair in facts])
    heading("What happens now")
    print_verdicts(decided, names, paused)
    if stops:
        heading("What stops the company")
        stopped.print_stops(stops)
    heading("Billings")
    if not made:
        say("None yet.")
    billing_actions.print_billings(made, names)
    heading("Rules")
    print_levels(levels)
