"""Every history of a step's calls, against the real ledger: none makes a call twice, and none loses an invoice.

More workers, looks and calls at once: `NIGHTS=1 make test PYTEST=tests/model/test_protocol.py`.
"""

import os
from collections import defaultdict, deque
from typing import TypedDict

from common.ledger.database import Ledger
from common.rules.states import Status, Step
from tests.model.protocol import Protocol, World


class Bounds(TypedDict):
    workers: int
    looks: int
    calls: int


BOUNDS: Bounds = (
    {"workers": 2, "looks": 2, "calls": 3} if "NIGHTS" in os.environ else {"workers": 2, "looks": 1, "calls": 2}
)


async def test_no_history_of_creates_makes_one_twice_and_from_every_one_the_invoice_is_still_made(
    ledger: Ledger,
) -> None:
    protocol = Protocol(ledger, Step.CREATE, **BOUNDS)
    await protocol.explore()
    stuck = [world for world in lost(protocol) if len(world.effects) < BOUNDS["calls"]]
    assert not stuck, protocol.history(stuck[0])


async def test_no_history_of_deliveries_sends_twice_and_what_is_not_done_is_in_doubt(ledger: Ledger) -> None:
    protocol = Protocol(ledger, Step.DELIVER, **BOUNDS)
    await protocol.explore()
    stuck = [world for world in lost(protocol) if len(world.effects) < BOUNDS["calls"]]
    hidden = [world for world in stuck if protocol.standing(world).billing.status not in IN_PLAIN_SIGHT]
    assert not hidden, protocol.history(hidden[0])


IN_PLAIN_SIGHT = {Status.IN_DOUBT, Status.CLAIMED}
"""Where a delivery stands of which nobody knows: in doubt for a person, or about to be once its lease runs out."""


def lost(protocol: Protocol) -> list[World]:
    """The worlds from which the step is never done, whatever happens by itself."""
    before: dict[World, list[World]] = defaultdict(list)
    for world, turns_into in protocol.after.items():
        for after in turns_into:
            before[after].append(world)
    ends = deque(world for world in protocol.after if protocol.is_at_its_end(world))
    reached = set(ends)
    while ends:
        for world in before[ends.popleft()]:
            if world not in reached:
                reached.add(world)
                ends.append(world)
    return [world for world in protocol.after if world not in reached]
