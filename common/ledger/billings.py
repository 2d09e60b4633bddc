"""The front door to billings: all that workers, producers and the command line may do with one, under one name.

The protocol is claim, call, settle (design, section 5, rules 2 to 4): `claim` gives the right to one call, `settle`
writes what came back; where no answer came, evidence looks, and `resolve` writes what it found. Only names may stand
here, never a rule: each rule is in the module that its name comes from.
"""

from common.ledger.billing_rows import (
    Postponed,
    Ready,
    carried_out,
    counts,
    expired,
    find,
    get,
    next_ready,
    outrun,
    owner_of,
    postponed,
    ready,
    seekers,
    sought_since,
)
from common.ledger.billing_rows import attempts_of as attempts
from common.ledger.by_person import NotPossible, approve, cancelled_early, keep, known, made_early, retry, skip
from common.ledger.claims import claim
from common.ledger.outcomes import (
    Again,
    Answer,
    Booked,
    Delivered,
    Doubt,
    Hold,
    Made,
    Outcome,
    Park,
    Refusal,
    Refused,
    Seek,
    Void,
)
from common.ledger.settling import move, resolve, settle, take_over

__all__ = [
    "Again",
    "Answer",
    "Booked",
    "Delivered",
    "Doubt",
    "Hold",
    "Made",
    "NotPossible",
    "Outcome",
    "Park",
    "Postponed",
    "Ready",
    "Refusal",
    "Refused",
    "Seek",
    "Void",
    "approve",
    "attempts",
    "cancelled_early",
    "carried_out",
    "claim",
    "counts",
    "expired",
    "find",
    "get",
    "keep",
    "known",
    "made_early",
    "move",
    "next_ready",
    "outrun",
    "owner_of",
    "postponed",
    "ready",
    "resolve",
    "retry",
    "seekers",
    "settle",
    "skip",
    "sought_since",
    "take_over",
]
