"""The states of a billing and the ways of delivery, as words that the ledger, the workers and the page share.

A billing is (step, status) (design, section 5). Only the words are here: which change is allowed, and how it is made
safe, is the ledger's business.
"""

from enum import StrEnum


class Step(StrEnum):
    """One call with an effect on Fortnox. A billing only moves forward through them, in this order."""

    CREATE = "create"
    BOOKKEEP = "bookkeep"
    DELIVER = "deliver"


class Status(StrEnum):
    """Where a billing stands on its step."""

    WAITING = "waiting"
    """Ready to be called, once `not_before` has passed."""
    CLAIMED = "claimed"
    """A worker holds the lease, and may have called."""
    SEEKING = "seeking"
    """Söks: Fortnox said yes to the create, but not with which number; nobody doubts that the invoice exists."""
    IN_DOUBT = "in_doubt"
    """Oklart utfall: the call may or may not have taken effect; resolved by looking, never by repeating."""
    HELD = "held"
    """Väntar på godkännande: waits for a person's yes."""
    PARKED = "parked"
    """Att åtgärda: failed for a stated reason that must be mended."""
    DONE = "done"
    SKIPPED = "skipped"
    """A person said that this billing is not to be finished."""
    VOIDED = "voided"
    """Its invoice was cancelled or credited; the period may be billed again as another generation."""


FINAL: frozenset[Status] = frozenset({Status.DONE, Status.SKIPPED, Status.VOIDED})
OPEN: frozenset[Status] = frozenset(Status) - FINAL
UNRESOLVED: frozenset[Status] = frozenset({Status.SEEKING, Status.IN_DOUBT})
"""What a call has done is not known, or not wholly: only looking resolves it."""


class Delivery(StrEnum):
    """How an invoice reaches the customer (design, section 7)."""

    NONE = "none"
    CUSTOMER = "customer"
    """The way of the customer's card (`common.rules.ways`)."""
    EMAIL = "email"
    EINVOICE = "einvoice"
    PRINT = "print"
    """A letter by Fortnox' print service (`eprint`, API notes 2.5)."""
    FINANCE = "finance"
    """Fortnox Fakturatjänster (`noxfinansinvoices`, API notes 3)."""
