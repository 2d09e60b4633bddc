"""Tells of the blocks: what stops a step of a whole company, and which command tries it again once it is mended.

It only looks: whether a retry is possible is for the ledger to say when it is typed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from avtalsmotor.cli.printing import minute, say
from common.ids import BillingId, TenantId
from common.ledger import billings, blocks
from common.ledger.database import Ledger
from common.ledger.records import Billing, Block
from common.rules.reasons import REASONS, explain
from common.rules.states import FINAL, Status, Step


@dataclass(frozen=True, slots=True)
class Stop:
    """A block of a company, and the billing whose retry shows whether it has passed; `None`: there is no such now."""

    block: Block
    retry: BillingId | None
    in_doubt: bool
    """Whether what was tried first is in doubt, so that it may be long before it shows anything."""

    @property
    def step(self) -> str:
        """What is stopped: `create`, or `everything`."""
        return self.block.step.value if self.block.step is not None else "everything"

    @property
    def why(self) -> str:
        """The reason in a sentence."""
        return explain(self.block.reason, **self.block.detail)

    @property
    def cure(self) -> str:
        """What to do, ending with the command to type."""
        cure = REASONS[self.block.reason].cure
        if self.in_doubt:
            cure = f"{cure} Billing {self.block.probe} was tried first, and what that has done is not known yet."
            return cure if self.retry is None else f"{cure} To try another: avtalsmotor billings retry {self.retry}"
        if self.block.probe is not None:
            return f"{cure} Billing {self.block.probe} is being tried now; the others follow when it goes well."
        if self.retry is not None:
            return f"{cure} Then type: avtalsmotor billings retry {self.retry}"
        return cure


async def of_companies(ledger: Ledger, tenant: TenantId | None = None) -> list[Stop]:
    """The stops of one company, or of all, the oldest first."""
    return [await _stop(ledger, block) for block in await blocks.every(ledger, tenant)]


async def _stop(ledger: Ledger, block: Block) -> Stop:
    probe = await billings.get(ledger, block.probe) if block.probe is not None else None
    in_doubt = probe is not None and probe.status is Status.IN_DOUBT
    return Stop(block, await _to_retry(ledger, block) if probe is None or in_doubt else None, in_doubt)


async def _to_retry(ledger: Ledger, block: Block) -> BillingId | None:
    """One that is parked for the reason, else one that waits at the step."""
    parked = await billings.find(ledger, tenant=block.tenant, status=Status.PARKED, step=block.step)
    for one in parked:
        if one.reason is block.reason and not await _may_have_acted(ledger, one):
            return one.id
    waiting = await billings.find(ledger, tenant=block.tenant, status=Status.WAITING, step=block.step, limit=1)
    return waiting[0].id if waiting else None


async def _may_have_acted(ledger: Ledger, billing: Billing) -> bool:
    """Whether the ledger would refuse its retry, because a call of its step may have taken effect."""
    calls = await billings.attempts(ledger, billing.id)
    return any(
        call.verdict is None or (call.step is Step.CREATE and call.verdict == "acted")
        for call in calls
        if call.step is billing.step
    )


def ahead_of(billing: Billing, stops: Sequence[Stop]) -> list[Stop]:
    """Those that the billing runs into at its step."""
    if billing.status in FINAL:
        return []
    return [stop for stop in stops if stop.block.step in (None, billing.step)]


def print_stops(stops: Sequence[Stop]) -> None:
    """Two lines for each stop: what and why, and what to do."""
    for stop in stops:
        say(f"{stop.step} stopped since {minute(stop.block.since)}: {stop.why}")
        say(f"  {stop.cure}")


def as_dict(stop: Stop) -> dict[str, object]:
    """A stop as JSON shows it."""
    block = stop.block
    return {
        "tenant": block.tenant,
        "step": block.step,
        "reason": block.reason,
        "why": stop.why,
        "cure": stop.cure,
        "retry": stop.retry,
        "since": block.since,
        "tried_first": block.probe,
    }
