"""What a run (körning) is, in figures, and how it adds up to Fortnox: pure arithmetic over what was read.

A run is what was due and done of one company on one Swedish day (docs/decisions/0018-runs.md). Amounts of different
currencies are never added, and every amount says whether it is with VAT.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from common.ids import ContractNumber, InvoiceNumber


class Part(StrEnum):
    """What is counted of a run, in the order in which it is told."""

    DUE = "due"
    """What was planned for the day, whatever became of it."""
    MADE = "made"
    """Invoices that our calls of the day have made; and so with the next two."""
    BOOKED = "booked"
    DELIVERED = "delivered"
    """Sent, or handed over."""
    BY_HAND = "by_hand"
    """Of what was due, the invoices that a person had made, and that were taken in."""
    WAITING = "waiting"
    """Of what was due, what still goes on by itself; and so with the next three, as they stand now."""
    HELD = "held"
    PARKED = "parked"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True)
class Sum:
    """So many, and what they come to with VAT; invoices at the total that they were made with, the rest as planned."""

    number: int = 0
    amount: Decimal = Decimal(0)

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.number + other.number, self.amount + other.amount)


Sums = Mapping[str, Sum]
"""By currency."""


@dataclass(frozen=True, slots=True)
class Net:
    """What the invoices made come to without VAT, as far as they were read whole."""

    amount: Decimal = Decimal(0)
    unknown: int = 0
    """Invoices of which that is not known: they were changed in Fortnox, and only a list has shown it."""

    def __add__(self, other: "Net") -> "Net":
        return Net(self.amount + other.amount, self.unknown + other.unknown)


@dataclass(slots=True)
class Figures:
    """The figures of one run, or of several together."""

    parts: dict[Part, dict[str, Sum]] = field(default_factory=lambda: {part: {} for part in Part})
    net: dict[str, Net] = field(default_factory=dict)
    """Of the invoices made, by currency."""

    def add(self, part: Part, currency: str, sum_: Sum) -> None:
        """Counts some more."""
        self.parts[part][currency] = self.parts[part].get(currency, Sum()) + sum_

    def add_net(self, currency: str, net: Net) -> None:
        """Counts the net amount of some more invoices made."""
        self.net[currency] = self.net.get(currency, Net()) + net

    def number(self, part: Part) -> int:
        """How many in all currencies together."""
        return sum(one.number for one in self.parts[part].values())

    def __iadd__(self, other: "Figures") -> "Figures":
        for part, sums in other.parts.items():
            for currency, one in sums.items():
                self.add(part, currency, one)
        for currency, net in other.net.items():
            self.add_net(currency, net)
        return self


@dataclass(frozen=True, slots=True)
class OursMade:
    """An invoice that we say we have made."""

    number: InvoiceNumber
    contract: ContractNumber
    customer_name: str
    total: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An invoice as Fortnox shows it."""

    number: InvoiceNumber
    total: Decimal
    currency: str
    invoice_date: date | None
    customer_number: str
    cancelled: bool = False
    credited: bool = False
    of_contract: bool = True
    """It came from a contract."""


class Kind(StrEnum):
    """How Fortnox differs from what we say."""

    CHANGED = "changed"
    CANCELLED = "cancelled"
    CREDITED = "credited"
    NOT_THERE = "not_there"
    BY_HAND = "by_hand"
    """A contract's invoice that nobody of ours has made or taken in."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One invoice by which Fortnox differs."""

    kind: Kind
    number: InvoiceNumber
    contract: ContractNumber | None
    who: str
    """The customer, by name where we know it, else by number."""
    ours: Decimal | None
    theirs: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What we say was made beside what stands in Fortnox, by currency."""

    ours: Sums
    theirs: Sums
    differences: Sequence[Difference]

    @property
    def adds_up(self) -> bool:
        """Whether number and total are the same, invoice by invoice."""
        return not self.differences


def compare(
    day: date, ours: Sequence[OursMade], shown: Iterable[Shown], accounted: Collection[InvoiceNumber]
) -> Comparison:
    """Invoice by invoice, by number.

    Of the invoices that we have not made, those of contracts count that are numbered among ours or dated the day.

    Parameters:
      shown: all invoices that are newer than the newest before the run, ours among them.
      accounted: the invoices of other runs' billings, and those that were taken in: they are no difference.
    """
    seen = {one.number: one for one in shown}
    mine = {one.number for one in ours}
    newest = max(mine, default=InvoiceNumber(0))
    theirs: dict[str, Sum] = defaultdict(Sum)
    differences = []
    for one in ours:
        found = seen.get(one.number)
        if found is not None and not (found.cancelled or found.credited):
            theirs[found.currency] += Sum(1, found.total)
        kind = _differs(one, found)
        if kind is not None:
            total = found.total if found is not None and kind is Kind.CHANGED else None
            differences.append(
                Difference(kind, one.number, one.contract, one.customer_name, one.total, total, one.currency)
            )
    for number, found in sorted(seen.items()):
        stranger = found.of_contract and number not in mine and number not in accounted and not found.cancelled
        if stranger and not found.credited and (number <= newest or found.invoice_date == day):
            theirs[found.currency] += Sum(1, found.total)
            differences.append(
                Difference(Kind.BY_HAND, number, None, found.customer_number, None, found.total, found.currency)
            )
    said: dict[str, Sum] = defaultdict(Sum)
    for one in ours:
        said[one.currency] += Sum(1, one.total)
    differences.sort(key=lambda one: one.number)
    return Comparison(dict(sorted(said.items())), dict(sorted(theirs.items())), differences)


def _differs(ours: OursMade, found: Shown | None) -> Kind | None:
    if found is None:
        return Kind.NOT_THERE
    if found.cancelled:
        return Kind.CANCELLED
    if found.credited:
        return Kind.CREDITED
    return Kind.CHANGED if (found.total, found.currency) != (ours.total, ours.currency) else None


def took(began_at: datetime | None, ended_at: datetime | None) -> timedelta | None:
    """From the first call of a run to the answer of its last; `None`: nothing was called."""
    return ended_at - began_at if began_at is not None and ended_at is not None else None
