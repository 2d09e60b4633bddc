"""Tells of the pauses that hold: what is stopped, who stopped it, when and why. It stops and starts nothing itself."""

from collections.abc import Mapping, Sequence

from avtalsmotor.cli.printing import minute
from common.ids import ContractNumber, TenantId
from common.ledger.pauses import Pause
from common.rules.plan import Verdict
from common.rules.reasons import Reason


def told(pause: Pause) -> str:
    """`by anna since 2026-12-01 06:00: dispute with the customer`."""
    return f"by {pause.by} since {minute(pause.since)}" + (f": {pause.why}" if pause.why else "")


def end_of(pause: Pause) -> str:
    """The command that ends it."""
    match pause.level:
        case "bureau":
            return "avtalsmotor resume"
        case "tenant":
            return f"avtalsmotor tenants resume {pause.tenant}"
        case "contract":
            return f"avtalsmotor contracts resume {pause.tenant} {pause.contract}"


def what(pause: Pause, names: Mapping[TenantId, str]) -> str:
    """What it stops, by name: `Contract 3 of Nordlund (12345)`."""
    if pause.tenant is None:
        return "The whole bureau"
    company = f"{names[pause.tenant]} ({pause.tenant})"
    return company if pause.contract is None else f"Contract {pause.contract} of {company}"


def on(pauses: Sequence[Pause], tenant: TenantId, contract: ContractNumber | None = None) -> list[Pause]:
    """Those that stop a company, or a contract of it: its own, and those of the levels above."""
    return [one for one in pauses if one.tenant in (None, tenant) and one.contract in (None, contract)]


def stopping(verdict: Verdict, pauses: Sequence[Pause]) -> list[Pause]:
    """Those for which the plan leaves a contract alone."""
    if verdict.reason is not Reason.PAUSED:
        return []
    return on(pauses, verdict.contract.tenant, verdict.contract.number)


def facts(pauses: Sequence[Pause]) -> list[tuple[str, str]]:
    """Lines of a table of facts, one for each pause."""
    level = {"bureau": "Paused, all companies", "tenant": "Paused, the company", "contract": "Paused, the contract"}
    return [(level[one.level], told(one)) for one in pauses]


def as_dict(pause: Pause) -> dict[str, object]:
    """A pause as JSON shows it."""
    return {
        "level": pause.level,
        "tenant": pause.tenant,
        "contract": pause.contract,
        "by": pause.by,
        "since": pause.since,
        "why": pause.why,
    }
