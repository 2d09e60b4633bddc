"""What people were told: by one digest however many producers look, nothing twice as new, and nothing gets lost."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from common.clock import Clock
from common.ids import TenantId
from common.ledger import billings, notices, tenants
from common.ledger.database import Ledger, open_ledger
from common.ledger.notices import Made, Sending
from common.ledger.outcomes import Park
from common.matters import reading
from common.rules.notices import Kind, Mark, Open, Past
from common.rules.reasons import Reason
from tests.integration.ledger.story import OTHER, REJECTED, TENANT, company, now, one, settled

LEASE = timedelta(minutes=3)
FIRST: Mark = (TENANT, "parked 1")
SECOND: Mark = (OTHER, "parked 2")


@pytest.fixture(autouse=True)
async def _companies(ledger: Ledger) -> None:
    await company(ledger)
    await company(ledger, OTHER)


class Reader:
    """Decides to tell whatever is new, and keeps what it was asked."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.seen: Mapping[Mark, Open] = {}
        self.past = Past()

    def __call__(self, seen: Mapping[Mark, Open], past: Past, now: datetime) -> Made | None:
        self.seen, self.past = seen, past
        new = {mark for mark, one in seen.items() if one.told_at is None}
        return Made(f"{self.name} {now.timestamp()}", Kind.NEW, '{"id": 1}', new) if new else None


async def look(
    ledger: Ledger, *marks: Mark, reader: Reader | None = None, channels: Collection[str] = ("mail",)
) -> Made | None:
    began = await notices.begin_look(ledger, timedelta(0))
    assert began is not None
    return await notices.look(ledger, began, marks, reader or Reader(), channels)


async def take(ledger: Ledger, *channels: str) -> Sending | None:
    return await notices.take(ledger, channels or ("mail",), LEASE)


async def taken(ledger: Ledger) -> Sending:
    found = await take(ledger)
    assert found is not None
    return found


def later(ledger: Ledger, by: timedelta) -> None:
    ledger.clock.shift += by


async def test_what_was_told_is_not_new_any_more(ledger: Ledger) -> None:
    first = await look(ledger, FIRST)
    assert first is not None
    assert first.tells == {FIRST}
    assert await look(ledger, FIRST) is None
    again = await look(ledger, FIRST, SECOND)
    assert again is not None
    assert again.tells == {SECOND}


async def test_what_was_settled_and_came_back_is_told_anew(ledger: Ledger) -> None:
    await look(ledger, FIRST)
    assert await look(ledger) is None
    again = await look(ledger, FIRST)
    assert again is not None
    assert again.tells == {FIRST}


async def test_the_reader_is_told_when_each_was_seen_and_told_and_when_the_last_digest_was(ledger: Ledger) -> None:
    before = await ledger.now()
    await look(ledger, FIRST)
    reader = Reader()
    await look(ledger, FIRST, reader=reader)
    one = reader.seen[FIRST]
    assert one.told_at is not None
    assert before <= one.seen_at == one.told_at == reader.past.last
    assert reader.past.last_reminder is None


async def test_a_look_is_one_producer_s_for_its_time(ledger: Ledger) -> None:
    minute = timedelta(minutes=1)
    assert await notices.begin_look(ledger, minute) is not None
    assert await notices.begin_look(ledger, minute) is None
    later(ledger, minute)
    assert await notices.begin_look(ledger, minute) is not None


async def test_a_clock_that_was_set_back_hinders_no_look(ledger: Ledger) -> None:
    assert await notices.begin_look(ledger, timedelta(minutes=1)) is not None
    later(ledger, -timedelta(days=1))
    assert await notices.begin_look(ledger, timedelta(minutes=1)) is not None


async def test_a_look_that_began_before_another_says_nothing(ledger: Ledger) -> None:
    old = await notices.begin_look(ledger, timedelta(0))
    later(ledger, timedelta(seconds=1))
    assert await look(ledger, FIRST) is not None
    assert old is not None
    # To it the matter was not there yet: it must not take it away, to be told again.
    assert await notices.look(ledger, old, [], Reader(), ["mail"]) is None
    assert await look(ledger, FIRST) is None


async def test_of_several_producers_that_look_at_once_one_tells(
    ledger: Ledger, database_url: str, clock: Clock, tmp_path: Path
) -> None:
    others = [await open_ledger(database_url, tmp_path, clock) for _ in range(3)]
    try:
        for _ in range(5):
            mark = (TENANT, f"parked {await ledger.now()}")
            begun = [await notices.begin_look(one, timedelta(0)) for one in others]
            made = await asyncio.gather(
                *(
                    notices.look(one, began, [mark], Reader(str(number)), ["mail"])
                    for number, (one, began) in enumerate(zip(others, begun, strict=True))
                    if began is not None
                )
            )
            assert len([one for one in made if one is not None]) == 1
    finally:
        for one in others:
            await one.close()


async def test_one_digest_goes_once_by_each_channel(ledger: Ledger) -> None:
    await look(ledger, FIRST, channels=("mail", "webhook"))
    sent = [await take(ledger, "mail", "webhook") for _ in range(3)]
    assert [each and each.channel for each in sent] == ["mail", "webhook", None]
    for sending in sent[:2]:
        assert sending is not None
        await notices.arrived(ledger, sending, None)
    later(ledger, timedelta(days=2))
    assert await take(ledger, "mail", "webhook") is None


async def test_two_senders_never_have_the_same_digest(
    ledger: Ledger, database_url: str, clock: Clock, tmp_path: Path
) -> None:
    others = [await open_ledger(database_url, tmp_path, clock) for _ in range(3)]
    try:
        await look(ledger, FIRST)
        got = await asyncio.gather(*(take(one) for one in others))
        assert len([one for one in got if one is not None]) == 1
    finally:
        for one in others:
            await one.close()


async def test_what_a_killed_sender_had_is_another_s_after_its_lease(ledger: Ledger) -> None:
    await look(ledger, FIRST)
    killed = await taken(ledger)
    assert await take(ledger) is None
    later(ledger, LEASE)
    second = await taken(ledger)
    assert (second.notice, second.tries) == (killed.notice, 2)
    # It was only frozen: what it has to say is of a try that is another's now.
    await notices.give_up(ledger, killed, "too late")
    await notices.arrived(ledger, second, None)
    (one,) = await notices.sendings(ledger, 10)
    assert (one.is_sent, one.problem) == (True, None)


async def test_what_did_not_arrive_is_tried_again_after_its_pause(ledger: Ledger) -> None:
    await look(ledger, FIRST)
    await notices.fail(ledger, await taken(ledger), "refused", timedelta(minutes=1))
    assert await take(ledger) is None
    (failing,) = await notices.failing(ledger, ["mail"])
    assert (failing.problem, failing.ended_at) == ("refused", None)
    later(ledger, timedelta(minutes=1))
    await notices.arrived(ledger, await taken(ledger), None)
    assert await notices.failing(ledger, ["mail"]) == []


async def test_a_channel_fails_by_its_last_digest_until_one_arrives(ledger: Ledger) -> None:
    await look(ledger, FIRST, channels=("mail", "webhook"))
    await notices.give_up(ledger, await taken(ledger), "refused")
    assert [one.channel for one in await notices.failing(ledger, ["mail", "webhook"])] == ["mail"]
    assert await notices.failing(ledger, ["webhook"]) == []
    later(ledger, timedelta(seconds=1))
    await look(ledger, SECOND)
    await notices.arrived(ledger, await taken(ledger), None)
    assert await notices.failing(ledger, ["mail"]) == []


async def test_a_channel_that_is_not_set_up_any_more_is_not_tried(ledger: Ledger) -> None:
    await look(ledger, (TenantId(TENANT), "unread"), channels=("mail",))
    assert await take(ledger, "webhook") is None


async def test_a_billing_that_was_tried_again_and_failed_again_has_another_mark(ledger: Ledger) -> None:
    billing = await settled(ledger, await one(ledger), REJECTED, Park(Reason.REFUSED, {}))
    first = await marks_of(ledger)
    assert await marks_of(ledger) == first
    await billings.retry(ledger, billing.id, "test")
    await settled(ledger, await now(ledger, billing), REJECTED, Park(Reason.REFUSED, {}))
    assert len(first) == len(await marks_of(ledger)) == 1
    assert await marks_of(ledger) != first


async def marks_of(ledger: Ledger) -> list[str]:
    """Of what is parked."""
    found = await reading.read(ledger, await tenants.every(ledger), await ledger.now(), 300.0)
    return [mark for matter in found if matter.kind == "parked" for mark in matter.marks]
