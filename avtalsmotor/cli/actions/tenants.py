"""`avtalsmotor tenants ...`: shows the companies (klientföretag)."""

from collections.abc import Sequence
from datetime import datetime

from avtalsmotor.cli.actions import figures, pausing, stopped
from avtalsmotor.cli.actions.known import known_tenant
from avtalsmotor.cli.actions.policies import as_dict, in_short, print_levels, told
from avtalsmotor.cli.printing import Column, Row, count, day, heading, instant, minute, print_json, print_table, say
from avtalsmotor.cli.session import open_session
from common.ledger import consents, pauses, policies, tenants
from common.ledger.consents import Consent
from common.ledger.pauses import Pause
from common.ledger.records import Tenant
from common.matters.access import dies_at, warning
from common.matters.stops import of_companies
from common.rules.policy import Policy
from common.rules.preflight_words import Language


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
        Column("Name", cut=True),
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
    cells = [
        str(company.id),
        company.name,
        mode,
        in_short(policy) or "create only",
        instant(company.listed_at) or "never",
    ]
    return Row(cells, "attention" if mode == "paused" else "quiet" if mode == "proposal" else "plain")


def _summary(company: Tenant, policy: Policy) -> dict[str, object]:
    return {
        "tenant": company.id,
        "name": company.name,
        "paused": company.paused,
        "mode": policy.mode,
        "bookkeep": policy.bookkeep,
        "deliver": policy.deliver,
        "deliver_on": policy.deliver_on,
        "listed_at": company.listed_at,
    }


async def show(number: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        company = await known_tenant(ledger, number)
        levels = (await policies.load(ledger, company.id)).levels_of(company.id)
        stops = await of_companies(ledger, company.id)
        paused = await pauses.standing(ledger, company.id)
        counted = (await figures.read(ledger))[company.id]
        policy = (await policies.load(ledger, company.id)).policy_of(company.id)
        consent = await consents.get(ledger, company.id)
        now = await ledger.now()
    # A stop of everything says already why, and is enough.
    is_stopped = any(stop.block.step is None for stop in stops)
    ageing = None if consent is None or is_stopped else warning(consent, now, Language.EN)
    if as_json:
        facts = company.facts
        print_json(
            {
                **_summary(company, policy),
                "access": None
                if consent is None
                else {
                    "way": consent.kind,
                    "scopes": sorted(consent.scopes),
                    "renewed_at": consent.renewed_at,
                    "dies_at": dies_at(consent),
                    "days_left": _days_left(consent, now),
                    "warning": None if ageing is None else {"why": ageing.why, "cure": ageing.cure},
                    "ended_because": consent.ended_because,
                },
                "locked_until": facts.locked_until,
                "financial_years": None
                if facts.years is None
                else [{"from": year.start, "to": year.end} for year in facts.years],
                "newest_invoice": company.newest_invoice,
                "first_invoice_verified": company.creates_proven,
                "figures": counted.as_dict(),
                "pauses": [pausing.as_dict(one) for one in paused],
                "blocks": [stopped.as_dict(stop) for stop in stops],
                **as_dict(levels),
            }
        )
        return
    facts_told = _facts(company, policy, paused, _access(consent, now))
    print_table([Column("", whole=True), Column("")], [Row(pair) for pair in facts_told])
    if ageing is not None:
        heading("Its access needs a person")
        say(ageing.why)
        say(f"  {ageing.cure}")
    heading("Figures")
    figures.print_figures([counted])
    if stops:
        heading("What stops it")
        stopped.print_stops(stops)
    heading("Rules")
    print_levels(levels)


def _facts(company: Tenant, policy: Policy, paused: Sequence[Pause], access: str) -> Sequence[tuple[str, str]]:
    years = company.facts.years
    return [
        ("Company", f"{company.name} ({company.id})"),
        ("Mode", f"paused, otherwise {policy.mode}" if company.paused else policy.mode),
        *pausing.facts(pausing.on(paused, company.id)),
        *_paused_contracts(paused),
        ("Access", access),
        ("Contracts last read", instant(company.listed_at) or "never"),
        ("Books locked until", day(company.facts.locked_until) or "not locked, or not known"),
        ("Financial years", ", ".join(map(str, years)) if years is not None else "not known"),
        ("Newest invoice seen", str(company.newest_invoice or "none")),
        ("A first invoice verified", told(company.creates_proven)),
    ]


def _access(consent: Consent | None, now: datetime) -> str:
    if consent is None:
        return "by client credentials, as added; not connected here"
    if consent.ended_because is not None:
        return f"ended: {consent.ended_because}. Connect it again: avtalsmotor tenants connect"
    if consent.kind == "service":
        return f"by a service account, since {instant(consent.renewed_at)}"
    left = count(_days_left(consent, now) or 0, "day")
    return f"by a refresh token, renewed {instant(consent.renewed_at)}; {left} left, until {minute(dies_at(consent))}"


def _days_left(consent: Consent, now: datetime) -> int | None:
    """Whole days; `None` where nothing dies."""
    dies = dies_at(consent)
    return None if dies is None else max(0, (dies - now).days)


def _paused_contracts(paused: Sequence[Pause]) -> list[tuple[str, str]]:
    return [(f"Paused, contract {one.contract}", pausing.told(one)) for one in paused if one.contract is not None]
