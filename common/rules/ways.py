"""By which way an invoice leaves: the policy's own, or the one that the customer's card says where the policy asks it.

Pure. It never widens the policy: what the card says counts only where the policy asks for it, and a card that says
nothing that is understood names no way.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from common.rules.policy import Policy
from common.rules.states import Delivery


class Way(StrEnum):
    """How one invoice leaves."""

    NONE = "none"
    EMAIL = "email"
    EINVOICE = "einvoice"
    PRINT = "print"
    """A letter by Fortnox' print service (utskriftstjänst)."""
    BY_HAND = "by_hand"
    """The company prints and posts it itself, so that nothing leaves from here."""
    FINANCE = "finance"
    UNKNOWN = "unknown"
    """Only the card tells, and it was not read, or says nothing that is understood."""


def asks_the_card(policy: Policy) -> bool:
    """Whether the customer's card has a say: wholly, or only in who gets e-invoices."""
    if policy.deliver is Delivery.CUSTOMER:
        return True
    return policy.einvoice_by_card and policy.deliver in (Delivery.EMAIL, Delivery.PRINT)


def way_of(policy: Policy, card: str | None) -> Way:
    """The way of one invoice.

    Parameters:
      card: what the customer's card says (`DefaultDeliveryTypes.Invoice`), "" for nothing; `None`: it was not read.
    """
    if not asks_the_card(policy):
        return Way(policy.deliver.value)
    if card is None:
        return Way.UNKNOWN
    said = _OF_CARD.get(card.upper(), Way.UNKNOWN)
    if policy.deliver is Delivery.CUSTOMER or said is Way.EINVOICE:
        return said
    return Way(policy.deliver.value)


def no_way(card: str | None) -> str:
    """What is missing on a card that says no way that is understood, in words."""
    return f"way of delivery (the card says {card})" if card else "way of delivery"


_OF_CARD: Mapping[str, Way] = MappingProxyType(
    {
        "EMAIL": Way.EMAIL,
        "ELECTRONICINVOICE": Way.EINVOICE,
        "PRINTSERVICE": Way.PRINT,
        "PRINT": Way.BY_HAND,
    }
)
