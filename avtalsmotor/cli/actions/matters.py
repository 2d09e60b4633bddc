"""What needs a person besides billings that stand still: what people did in Fortnox, and what no proof could explain.

It reads the ledger alone, and changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from avtalsmotor.cli.printing import say
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import corrections, proofs, unreadable
from common.ledger.corrections import Corrected
from common.ledger.database import Ledger
from common.ledger.proofs import Kept, Open
from common.ledger.unreadable import UnreadableContract
from common.rules.reasons import REASONS, Reason, explain


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that a person should look at."""

    tenant: TenantId
    kind: str
    """What `status` in JSON says of it."""
    why: str
    cure: str
    contract: ContractNumber | None = None
    billing: BillingId | None = None
    reason: Reason | None = None
    since: datetime | None = None


async def read(ledger: Ledger, stopped: Collection[TenantId]) -> list[Matter]:
    """All of them, by kind and company.

    Parameters:
      stopped: the companies that cannot be read at all, which is told of already.
    """
    kept = await proofs.latest(ledger)
    return [
        *(_unreadable(one) for one in await unreadable.of(ledger)),
        *(_unproved(one, line) for one in kept for line in one.lines if line.reason != Reason.UNREADABLE),
        *(_not_proved(one) for one in kept if one.error is not None and one.tenant not in stopped),
        *(_voided(one) for one in await corrections.not_invoiced_again(ledger)),
        *(_set_back(one) for one in await corrections.set_back(ledger)),
    ]


def _unreadable(contract: UnreadableContract) -> Matter:
    number = ContractNumber(int(contract.number)) if contract.number.isdigit() else None
    why, cure = explain(Reason.UNREADABLE, fields=contract.error), REASONS[Reason.UNREADABLE].cure
    return Matter(contract.tenant, "unreadable", why, cure, number, reason=Reason.UNREADABLE, since=contract.since)


def _unproved(kept: Kept, line: Open) -> Matter:
    period = f" {line.period}" if line.period else ""
    return Matter(
        kept.tenant,
        line.finding,
        f"{line.finding.upper()}{period}: {line.why}",
        f"{line.cure} Then prove it: avtalsmotor reconcile --tenant {kept.tenant}. Or, if it is all right:"
        f" {how_to_acknowledge(kept.tenant, line.mark)}",
        line.contract,
        since=kept.made_at,
    )


def _not_proved(kept: Kept) -> Matter:
    return Matter(
        kept.tenant,
        "not_proved",
        f"Nothing is proved of {kept.day} yet, since the company could not be read. {kept.error}",
        f"It is tried again by itself; or see now: avtalsmotor reconcile --tenant {kept.tenant}",
        since=kept.tried_at,
    )


def _voided(corrected: Corrected) -> Matter:
    billing = corrected.billing
    reason = billing.reason or Reason.CANCELLED
    facts = {"invoice": billing.invoice, "period": billing.period, "contract shows": corrected.shown}
    return _of_billing(corrected, "voided", reason, facts)


def _set_back(corrected: Corrected) -> Matter:
    facts = {"invoice": corrected.billing.invoice, "period": corrected.billing.period}
    return _of_billing(corrected, "set_back", Reason.SET_BACK, facts)


def _of_billing(corrected: Corrected, kind: str, reason: Reason, facts: Mapping[str, object]) -> Matter:
    billing = corrected.billing
    return Matter(
        billing.tenant,
        kind,
        explain(reason, **facts),
        REASONS[reason].cure,
        billing.contract,
        billing.id,
        reason,
        billing.changed_at,
    )


def how_to_acknowledge(tenant: TenantId, mark: str) -> str:
    """The command that says so."""
    return f"avtalsmotor reconcile acknowledge {tenant} {mark} --why TEXT"


def as_item(matter: Matter, names: Mapping[TenantId, str]) -> dict[str, object]:
    """By the names that every item of `status` has; there is no step to it."""
    return {
        "tenant": matter.tenant,
        "tenant_name": names[matter.tenant],
        "status": matter.kind,
        "step": None,
        "reason": matter.reason,
        "why": matter.why,
        "cure": matter.cure,
        "since": matter.since,
        "billings": [] if matter.billing is None else [matter.billing],
        "contracts": [] if matter.contract is None else [matter.contract],
    }


_TOLD = 8


def print_matters(matters: Sequence[Matter], names: Mapping[TenantId, str]) -> None:
    """Two lines for each; of many of one kind in one company the first, and how many more there are."""
    for (tenant, kind), of_kind in groupby(matters, key=lambda one: (one.tenant, one.kind)):
        alike = list(of_kind)
        for matter in alike[:_TOLD]:
            contract = f", contract {matter.contract}" if matter.contract is not None else ""
            say(f"{names[tenant]} ({tenant}){contract}: {matter.why}")
            say(f"  {matter.cure}")
        if len(alike) > _TOLD:
            more = f"{len(alike) - _TOLD} more {kind.replace('_', ' ')}"
            say(f"{names[tenant]} ({tenant}): {more}. All of them: avtalsmotor status --json")
