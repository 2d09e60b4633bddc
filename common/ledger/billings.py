"""The protocol of a billing: claim, settle, and what a person may do (design, section 5)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger.database import Ledger
from common.ledger.outcomes import Again as Again
from common.ledger.outcomes import Answer as Answer
from common.ledger.outcomes import Booked as Booked
from common.ledger.outcomes import Delivered as Delivered
from common.ledger.outcomes import Doubt as Doubt
from common.ledger.outcomes import Hold as Hold
from common.ledger.outcomes import Made as Made
from common.ledger.outcomes import Outcome as Outcome
from common.ledger.outcomes import Park as Park
from common.ledger.outcomes import Refusal as Refusal
from common.ledger.outcomes import Refused as Refused
from common.ledger.outcomes import Seek as Seek
from common.ledger.outcomes import Void as Void
from common.ledger.records import Attempt, AttemptVerdict, Billing, Claim, Count
from common.rules.reasons import Reason
from common.rules.states import Status, Step


class NotPossible(Exception):
    """A person asked for what the billing's state does not allow. Three-part message."""


async def get(ledger: Ledger, billing: BillingId) -> Billing | None:
    raise NotImplementedError


async def find(
    ledger: Ledger,
    *,
    tenant: TenantId | None = None,
    status: Status | Collection[Status] | None = None,
    step: Step | None = None,
    contract: ContractNumber | None = None,
    limit: int | None = None,
) -> list[Billing]:
    raise NotImplementedError


async def attempts(ledger: Ledger, billing: BillingId) -> list[Attempt]:
    """Oldest first."""
    raise NotImplementedError


async def ready(ledger: Ledger, *, per_tenant: int) -> list[Billing]:
    raise NotImplementedError


async def claim(
    ledger: Ledger,
    billing: BillingId,
    step: Step,
    *,
    by: str,
    lease: timedelta,
    token_expires_at: datetime,
    newest_invoice: InvoiceNumber | None,
) -> Claim | Refused:
    raise NotImplementedError


async def settle(ledger: Ledger, claim: Claim, answer: Answer, to: Outcome) -> bool:
    raise NotImplementedError


async def move(ledger: Ledger, billing: BillingId, step: Step, to: Outcome, by: str) -> bool:
    """Changes a WAITING billing without a call. False: it no longer waits at this step."""
    raise NotImplementedError


async def give_back(
    ledger: Ledger, billing: BillingId, step: Step, *, delay: timedelta, reason: Reason, by: str = "worker"
) -> bool:
    """A WAITING billing waits on, at least `delay` from now."""
    raise NotImplementedError


async def resolve(
    ledger: Ledger,
    billing: BillingId,
    step: Step,
    to: Outcome,
    by: str,
    *,
    verdict: AttemptVerdict | None,
    note: str,
) -> bool:
    raise NotImplementedError


async def approve(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """HELD -> WAITING on the same step. Raises NotPossible."""
    raise NotImplementedError


async def retry(ledger: Ledger, billing: BillingId, by: str) -> Billing:
    """PARKED -> WAITING on the same step. Raises NotPossible."""
    raise NotImplementedError


async def skip(ledger: Ledger, billing: BillingId, by: str, why: str) -> Billing:
    """-> SKIPPED. Raises NotPossible."""
    raise NotImplementedError


async def expired(ledger: Ledger) -> list[Billing]:
    """CLAIMED past their lease."""
    raise NotImplementedError


async def take_over(ledger: Ledger, billing: BillingId) -> bool:
    """CLAIMED past its lease -> IN_DOUBT (no_answer)."""
    raise NotImplementedError


async def seekers(ledger: Ledger, tenant: TenantId | None = None) -> list[tuple[Billing, Attempt]]:
    """SEEKING, and IN_DOUBT at create, with the newest attempt of the step; those not to be looked at yet left out."""
    raise NotImplementedError


async def counts(ledger: Ledger) -> list[Count]:
    raise NotImplementedError


async def carried_out(ledger: Ledger) -> Mapping[tuple[TenantId, Step], int]:
    """How many billings had each step done by a call of ours."""
    raise NotImplementedError
