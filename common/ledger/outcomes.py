"""The words of the claim protocol: what a call came to, where that takes the billing, and why a claim was refused.

Values only; `claims` and `settling` act on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from common.clock import STOCKHOLM
from common.ledger.records import AttemptVerdict, Invoice
from common.rules.reasons import Reason


class Refusal(StrEnum):
    """Why a claim was not given. Only what is not `TAKEN` or `GONE` is worth a line in the log."""

    TAKEN = "taken"
    """Another worker has it, or it waits for something else than a call."""
    GONE = "gone"
    """There is no such billing, or it has left this step."""
    NOT_YET = "not_yet"
    PAUSED = "paused"
    PROPOSAL = "proposal"
    BLOCKED = "blocked"
    """A tenant-wide reason stops the step (design, section 5, rule 7)."""
    ALONE = "alone"
    """The first create of a tenant runs alone, as proof (design, section 6)."""
    PRICE = "price"
    """A new price is to be set in the contract before this invoice is made (design, section 10)."""
    HAS_INVOICE = "has_invoice"
    """Rule 3: a create is never called once there is an invoice."""
    NO_VERDICT = "no_verdict"
    """Rule 3: an earlier attempt of the step may have taken effect."""
    PASSED_OVER = "passed_over"
    """The policy now leaves the step out: the billing has moved on."""
    HELD = "held"
    """The policy became more cautious than at planning, or the books were closed: the billing now waits."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No claim. Nothing may be called."""

    why: Refusal


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a call, for its attempt. Without a `verdict` the billing is in doubt, whatever is wished."""

    verdict: AttemptVerdict | None
    http_status: int | None = None
    code: int | None = None
    """Fortnox' error code."""
    message: str = ""
    x_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Seek:
    """Fortnox said yes, and what came of it is still to be seen -> SEEKING.

    At create: the answer did not tell the invoice's number. At deliver: handed over to the finance service, not open.

    Parameters:
      delay: how long until it is worth looking.
    """

    detail: Mapping[str, str] = field(default_factory=dict)
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Made:
    """The invoice of the period exists and is verified -> the next step that the policy and the invoice leave to do.

    Parameters:
      handmade: a person made it, and it is adopted; whether the rest is done is policy (`finish_handmade`).
      early: what our own call made instead, of a later period: it becomes a billing of its own, parked.
      vouched: a person says that it is the one, though it does not tell its contract or its period.
    """

    invoice: Invoice
    handmade: bool = False
    early: Invoice | None = None
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Booked:
    """Bookkept -> the next step. `invoice` as it was last read, if it was."""

    invoice: Invoice | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """Delivered -> DONE. `note` says how."""

    note: str = ""
    invoice: Invoice | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """Nobody knows whether Fortnox acted -> IN_DOUBT."""

    reason: Reason = Reason.NO_ANSWER
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Park:
    """Must be mended -> PARKED; a tenant-wide reason also blocks the step for the tenant."""

    reason: Reason
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """A person must say yes -> HELD."""

    reason: Reason
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Again:
    """Certainly not done, and worth doing again -> WAITING on the same step, not before `delay` from now.

    Parameters:
      failed: counts as a failed attempt.
    """

    reason: Reason
    delay: timedelta = timedelta(0)
    failed: bool = True
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Void:
    """The invoice was cancelled or credited -> VOIDED."""

    reason: Reason
    detail: Mapping[str, str] = field(default_factory=dict)


def sought_until(until: datetime, *, proven: bool) -> dict[str, str]:
    """What a person is told of a call in doubt, as facts of its `Doubt`.

    Parameters:
      until: from then on the absence of its effect may be believed.
      proven: it may be believed at all. That of an invoice may not before looking has found one of the company
        (design, section 6), so that nothing happens then.
    """
    when = f"{until.astimezone(STOCKHOLM):%Y-%m-%d %H:%M}"
    if not proven:
        when += (
            ", and on until an invoice of the company is found for the first time, or a person says what became of"
            " this one"
        )
    return {"sought until": when}


Outcome = Seek | Made | Booked | Delivered | Doubt | Park | Hold | Again | Void
