"""Billings that stand still until a person does something, and the stops of companies that they have run into."""

from collections import defaultdict
from collections.abc import Sequence

from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import billings
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.matters.matter import Matter
from common.matters.stops import Stop
from common.rules.preflight_words import Language
from common.rules.reason_words import told
from common.rules.reasons import Reason
from common.rules.states import Status, Step

FOR_A_PERSON = (Status.PARKED, Status.HELD, Status.IN_DOUBT)
BLOCKED = "blocked"
"""The kind of a company's stop."""


async def read(ledger: Ledger, stops: Sequence[Stop], language: Language) -> list[Matter]:
    """Stops first, each with the billings that it stops; then the others, by status, company, step and reason."""
    standing = await billings.find(ledger, status=FOR_A_PERSON)
    under: dict[tuple[TenantId, Step | None, Reason], list[Billing]] = {_key(stop): [] for stop in stops}
    groups: dict[tuple[TenantId, Status, Step, Reason], list[Billing]] = defaultdict(list)
    for billing in standing:
        if billing.reason is None:
            continue
        for step in (billing.step, None):
            stop = (billing.tenant, step, billing.reason)
            if billing.status is Status.PARKED and stop in under:
                under[stop].append(billing)
                break
        else:
            groups[billing.tenant, billing.status, billing.step, billing.reason].append(billing)
    found = [_stopped(stop, under[_key(stop)], language) for stop in stops]
    order = {status: place for place, status in enumerate(FOR_A_PERSON)}
    for (tenant, status, step, reason), concerned in sorted(
        groups.items(), key=lambda group: (order[group[0][1]], group[0][0], group[0][2], group[0][3])
    ):
        # One billing is told with its own facts; of many, only what they have in common, such as Fortnox' words.
        facts = {
            name: fact
            for name, fact in concerned[0].detail.items()
            if all(one.detail.get(name) == fact for one in concerned)
        }
        words = told(reason, facts, language)
        marks = [_mark(one) for one in concerned]
        since = min(one.changed_at for one in concerned)
        found.append(
            Matter(
                tenant,
                status.value,
                words.why,
                words.cure,
                marks,
                *_numbers(concerned),
                step=step,
                reason=reason,
                since=since,
            )
        )
    return found


def _key(stop: Stop) -> tuple[TenantId, Step | None, Reason]:
    return stop.block.tenant, stop.block.step, stop.block.reason


def _mark(billing: Billing) -> str:
    # With its last call: what was tried again, and has failed again, is another failure.
    called = "" if billing.called_at is None else f" {billing.called_at.isoformat()}"
    return f"{billing.status} {billing.id} {billing.step} {billing.reason}{called}"


def _stopped(stop: Stop, concerned: Sequence[Billing], language: Language) -> Matter:
    tenant, step, reason = _key(stop)
    words, since = stop.told(language), stop.block.since
    marks = [f"{BLOCKED} {step or 'everything'} {reason} {since.isoformat()}"]
    return Matter(
        tenant, BLOCKED, words.why, words.cure, marks, *_numbers(concerned), step=step, reason=reason, since=since
    )


def _numbers(concerned: Sequence[Billing]) -> tuple[list[ContractNumber], list[BillingId]]:
    return [one.contract for one in concerned], [one.id for one in concerned]
