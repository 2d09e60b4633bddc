"""Tells of the blocks: what stops a step of a whole company, and which command tries it again once it is mended.

It only looks: whether a retry is possible is for the ledger to say when it is typed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.ids import BillingId, TenantId
from common.ledger import billings, blocks
from common.ledger.database import Ledger
from common.ledger.records import Billing, Block
from common.rules.preflight_words import Language, Words
from common.rules.reason_words import told
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
        return self.told(Language.EN).why

    @property
    def cure(self) -> str:
        """What to do, ending with the command to type."""
        return self.told(Language.EN).cure

    def told(self, language: Language) -> Words:
        """The reason in a sentence; and what to do, ending with the command to type."""
        words, probing = told(self.block.reason, self.block.detail, language), _PROBING[language]
        cure = [words.cure]
        if self.in_doubt:
            cure.append(probing.in_doubt.format(probe=self.block.probe))
            if self.retry is not None:
                cure.append(f"{probing.another}: avtalsmotor billings retry {self.retry}")
        elif self.block.probe is not None:
            cure.append(probing.tried.format(probe=self.block.probe))
        elif self.retry is not None:
            cure.append(f"{probing.then}: avtalsmotor billings retry {self.retry}")
        return Words(words.why, " ".join(cure))


class _Probing(NamedTuple):
    in_doubt: str
    another: str
    tried: str
    then: str


_PROBING = {
    Language.EN: _Probing(
        "Billing {probe} was tried first, and what that has done is not known yet.",
        "To try another",
        "Billing {probe} is being tried now; the others follow when it goes well.",
        "Then type",
    ),
    Language.SV: _Probing(
        "Fakturering {probe} prövades först, och vad den har gjort är inte känt ännu.",
        "För att pröva en annan",
        "Fakturering {probe} prövas nu; de andra följer efter när den går väl.",
        "Skriv sedan",
    ),
}


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
