"""What travels on the queues: the ids of what is to be done, and nothing that the ledger does not know better.

A message names its queue and its actor; on the wire it is one dict, the actor's only argument. A message is never a
permission: the worker reads the ledger before it acts, so one that is lost, late or doubled does no harm.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from common.ids import BillingId, ContractNumber, TenantId


class MessageUnreadable(ValueError):  # noqa: N818 - the word for what happened
    """The payload of a message is not what its actor expects."""


class Message(BaseModel):
    """One message. Fields that a newer producer has added are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    queue: ClassVar[str]
    actor: ClassVar[str]

    tenant: TenantId

    def payload(self) -> dict[str, int]:
        """The dict that travels."""
        return self.model_dump(mode="json")

    @classmethod
    def read(cls, payload: object) -> Self:
        """The message in a payload that has arrived.

        Raises:
          MessageUnreadable: It lacks a field or has one of another type.
        """
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'payload'}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            )
            raise MessageUnreadable(
                f"A message on the queue {cls.queue!r} cannot be read as {cls.__name__} ({faults}). It is put aside"
                " with the dead letters; the ledger sends again what is not done. If such messages return, a producer"
                " of another version is running: run the same version everywhere."
            ) from None


class CreateInvoice(Message):
    """Create the invoice of a billing."""

    queue = "invoicing"
    actor = "create_invoice"

    billing: BillingId


class Bookkeep(Message):
    """Book the invoice of a billing."""

    queue = "bookkeeping"
    actor = "bookkeep"

    billing: BillingId


class Deliver(Message):
    """Deliver the invoice of a billing."""

    queue = "delivery"
    actor = "deliver"

    billing: BillingId


class SeekEvidence(Message):
    """Look in Fortnox for what the calls of a tenant have done."""

    queue = "evidence"
    actor = "seek_evidence"


class SetPrices(Message):
    """Set the new prices that are to be set in a contract."""

    queue = "pricing"
    actor = "set_prices"

    contract: ContractNumber


POOLS: Mapping[str, type[Message]] = MappingProxyType(
    {message.queue: message for message in (CreateInvoice, SeekEvidence, Bookkeep, Deliver, SetPrices)}
)
"""The worker pools by name. A pool, its queue and its module in `workers/` have the same name."""
