"""What a look has found of one call, told to the ledger.

It decides nothing: the ledger moves the billing only if that is still where the look has found it.
"""

import structlog

from common.ledger import billings
from common.ledger.outcomes import Outcome
from common.ledger.records import Attempt, AttemptVerdict, Billing
from workers.runtime import Runtime
from workers.steps import told

log = structlog.get_logger()


async def conclude(
    runtime: Runtime,
    billing: Billing,
    attempt: Attempt,
    outcome: Outcome,
    note: str,
    *,
    verdict: AttemptVerdict | None = "acted",
) -> None:
    """Moves the billing by what was found of its attempt, unless it has moved on meanwhile.

    Parameters:
      note: what was found, in words, for the billing's history.
      verdict: of the attempt; `None` leaves it without one.
    """
    moved = await billings.resolve(
        runtime.ledger,
        billing.id,
        billing.step,
        outcome,
        by=runtime.name,
        verdict=verdict,
        note=note,
        looked_for=attempt.id,
    )
    log.info("evidence_found", billing=billing.id, note=note, moved=moved, **told(outcome))
