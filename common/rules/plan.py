"""What will happen to every contract, and why: the producer inserts what this says, and the preview prints it.

Pure: the same contracts, ledger, facts and day always give the same verdicts. It never looks at a clock and never
plans a period that the contract does not show now, save as a preview.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from common.ids import ContractNumber, TenantId
from common.rules.periods import Period
from common.rules.policy import Policy
from common.rules.reasons import Reason
from common.rules.states import Status, Step

Outcome = Literal["bill", "hold", "none"]

HOLDS: frozenset[Reason] = frozenset(
    {
        Reason.PERIOD_LENGTH,
        Reason.PERIOD_MOVED,
        Reason.CATCH_UP,
        Reason.ONE_A_DAY,
        Reason.AMOUNT_ZERO,
        Reason.AMOUNT_CHANGED,
        Reason.PERIOD_LOCKED,
        Reason.YEAR_MISSING,
        Reason.DELIVERY_UNSUPPORTED,
    }
)
"""The verdicts that hold a billing for a person's yes."""


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract as last read from Fortnox (API notes 1.3), and whether a person has paused it."""

    tenant: TenantId
    number: ContractNumber
    customer_number: str
    customer_name: str
    status: str
    """`ACTIVE`, `INACTIVE`, `FINISHED`; anything else counts as not active."""
    continuous: bool
    """Löpande: never finishes by count."""
    interval: int | None
    """Months between invoices (Fakturaintervall); `None` = not known."""
    period: Period | None
    invoices_remaining: int | None
    """How many invoices are left to make, the period shown included; `None` = not known."""
    total: Decimal | None
    currency: str
    """ISO code; empty = the company's own."""
    template: str | None
    paused: bool
    """By a person, at the level of the contract, the company or the bureau."""


@dataclass(frozen=True, slots=True)
class BilledView:
    """A billing of the contract in the ledger, voided ones excluded."""

    period: Period
    generation: int
    step: Step
    status: Status
    amount: Decimal | None
    """The contract's total when it was planned."""
    invoice_date: date | None
    created_on: date
    """The Swedish day on which the billing was planned."""


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What a company's bookkeeping allows; `None` = nothing locked, or years not known."""

    locked_until: date | None = None
    years: tuple[Period, ...] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the plan says of one period of one contract."""

    contract: ContractView
    period: Period | None
    reason: Reason
    due_on: date | None
    invoice_date: date | None
    """The date that the invoice gets; `None` where none is foreseen."""
    policy: Policy
    amount: Decimal | None
    detail: Mapping[str, str]
    """The facts behind the reason, fit for `reasons.explain`."""
    preview: bool
    """A later period or day: shown, never inserted."""

    @property
    def outcome(self) -> Outcome:
        """What the producer does: insert a billing that waits, insert one that is held, or nothing."""
        if self.preview:
            return "none"
        if self.reason is Reason.DUE:
            return "bill"
        return "hold" if self.reason in HOLDS else "none"
