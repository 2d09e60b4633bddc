"""Messages: what an actor accepts, and how it says what it does not."""

import pytest

from common.ids import BillingId, TenantId
from common.queue.messages import POOLS, CreateInvoice, Message, MessageUnreadable, SeekEvidence


def test_a_message_survives_the_journey() -> None:
    message = CreateInvoice(billing=BillingId(7), tenant=TenantId(12))
    assert CreateInvoice.read(message.payload()) == message


def test_every_pool_has_a_queue_and_an_actor_of_its_own() -> None:
    assert set(POOLS) == {"invoicing", "evidence", "bookkeeping", "delivery", "pricing"}
    assert all(message.queue == pool for pool, message in POOLS.items())
    assert len({message.actor for message in POOLS.values()}) == len(POOLS)


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    assert SeekEvidence.read({"tenant": 12, "why": "x"}) == SeekEvidence(tenant=TenantId(12))


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({"tenant": 12}, "billing: Field required"),
        ({"tenant": 12, "billing": "7"}, "billing: Input should be a valid integer"),
        ({"tenant": None, "billing": 7}, "tenant: Input should be a valid integer"),
        ([1, 2], "payload: Input should be a valid dictionary"),
        (None, "payload: Input should be a valid dictionary"),
    ],
)
def test_a_payload_that_cannot_be_read_is_told_with_its_queue_its_fault_and_what_to_do(
    payload: object, fault: str
) -> None:
    with pytest.raises(MessageUnreadable, match="dead letters") as caught:
        CreateInvoice.read(payload)
    assert fault in str(caught.value)
    assert "'invoicing'" in str(caught.value)


def test_a_message_cannot_be_changed() -> None:
    message: Message = SeekEvidence(tenant=TenantId(12))
    with pytest.raises(ValueError, match="frozen"):
        message.tenant = TenantId(13)  # type: ignore[misc]
