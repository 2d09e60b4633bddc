"""What needs a person: one thing that somebody should look at, and what to do about it.

It is the same thing wherever it is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.ids import BillingId, ContractNumber, TenantId
from common.rules.reasons import Reason
from common.rules.states import Step


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that a person should look at."""

    tenant: TenantId
    kind: str
    """`blocked` (a stop of the company), a status in which billings stand still, or a word for what was found."""
    why: str
    cure: str
    """What to do, with the command to type."""
    marks: Sequence[str]
    """By these it is known from one reading to the next, within its company; of billings that stand still, one for
    each. Whatever is another thing that needs a person has another mark."""
    contracts: Sequence[ContractNumber] = ()
    billings: Sequence[BillingId] = ()
    step: Step | None = None
    """Where billings stand still; `None`: at no step, or, of what is `blocked`, at all of them."""
    reason: Reason | None = None
    since: datetime | None = None
