"""What the seeding writes down: every invoice that the story expects, and why others must not come, or not wholly.

Plain records, kept on `World.story`. They are made once, at seeding, and must never be changed by what happens
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from sandbox.story_rules import Span, Wishes


class Reason(StrEnum):
    """Why the story expects less than the company wishes."""

    CUSTOMER_WITHOUT_EMAIL = "customer_without_email"
    CUSTOMER_WITHOUT_CITY = "customer_without_city"
    NO_BANK_DETAILS = "no_bank_details"
    CASH_METHOD = "cash_method"
    ZERO_TOTAL = "zero_total"
    MISSED_INTERVALS = "missed_intervals"
    PERIOD_LENGTH = "period_length"
    NO_PERIOD = "no_period"
    NO_ROWS = "no_rows"
    BOOKS_LOCKED = "books_locked"
    NO_LICENCE = "no_licence"
    INACTIVE = "inactive"
    FINISHED = "finished"


SENTENCES: Final[dict[Reason, str]] = {
    Reason.CUSTOMER_WITHOUT_EMAIL: "The customer has no e-mail address, and the invoice is to be e-mailed: it waits "
    "for a person, and no invoice is made.",
    Reason.CUSTOMER_WITHOUT_CITY: "The customer's address has no city, which Fakturatjänster requires: it waits for a "
    "person, and no invoice is made.",
    Reason.NO_BANK_DETAILS: "The company has no bank details, without which Fortnox sends no e-mail: invoices are made "
    "and booked, but none is sent.",
    Reason.CASH_METHOD: "The company uses the cash method, where an invoice is booked when it is paid: bookkeeping is "
    "passed over.",
    Reason.ZERO_TOTAL: "The contract amounts to nothing: it waits for a person, and no invoice is made.",
    Reason.MISSED_INTERVALS: "The contract has missed more than one interval: it waits for a person, and no invoice is "
    "made.",
    Reason.PERIOD_LENGTH: "The contract's period is not as long as its interval: it waits for a person, and no invoice "
    "is made.",
    Reason.NO_PERIOD: "The contract has no period: it cannot be due, and no invoice is made.",
    Reason.NO_ROWS: "The contract has no rows: Fortnox refuses to make an invoice of it.",
    Reason.BOOKS_LOCKED: "The company's books are locked past the invoice date: no invoice is made.",
    Reason.NO_LICENCE: "The company has no licence for contracts: nothing can be read or made.",
    Reason.INACTIVE: "The contract is inactive.",
    Reason.FINISHED: "The contract is finished.",
}

NOT_MADE: Final = frozenset(
    {
        Reason.CUSTOMER_WITHOUT_EMAIL,
        Reason.CUSTOMER_WITHOUT_CITY,
        Reason.ZERO_TOTAL,
        Reason.MISSED_INTERVALS,
        Reason.PERIOD_LENGTH,
        Reason.NO_PERIOD,
        Reason.NO_ROWS,
        Reason.BOOKS_LOCKED,
        Reason.NO_LICENCE,
        Reason.INACTIVE,
        Reason.FINISHED,
    }
)
"""With one of these no invoice is made at all."""

QUIET: Final = frozenset({Reason.INACTIVE, Reason.FINISHED})
"""Nothing fails here: these contracts ask for nothing."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One period of one contract, and what must have become of it from the day on which it is due."""

    tenant: int
    contract: int
    customer: str
    span: Span | None
    """None only for a contract without a period."""
    due_on: date | None
    """None: never due."""
    made: bool
    """Whether there is to be an invoice; the fields below mean nothing without one."""
    invoice_date: date | None = None
    amount: Decimal | None = None
    """The invoice's Total: with VAT, after rounding."""
    booked: bool = False
    delivery: Literal["none", "email", "finance"] = "none"
    reason: Reason | None = None

    @property
    def why(self) -> str:
        """The reason in words; empty where everything is to go as wished."""
        return SENTENCES[self.reason] if self.reason else ""

    def is_due(self, today: date) -> bool:
        return self.due_on is not None and self.due_on <= today


@dataclass(slots=True)
class CompanyStory:
    """What one company wishes, and what is expected of its contracts."""

    tenant: int
    name: str
    line: str
    """What the company does and how it wants its contracts invoiced, in words."""
    wishes: Wishes
    contract_wishes: dict[int, dict[str, object]] = field(default_factory=dict)
    """By contract number: what differs from the company's wishes."""
    expectations: list[Expectation] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """All that was written down at seeding. Days are days in Stockholm."""

    number: int
    """The number that the world was seeded from."""
    seeded_at: datetime
    until: date
    """The last day for which there are expectations."""
    companies: dict[int, CompanyStory] = field(default_factory=dict)
