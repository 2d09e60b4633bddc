"""People at work in Fortnox at the same moment: the same invoice made by hand, a period edited, an invoice cancelled or
credited. A worker stands still for the moment of the click, between its look and its call.
"""

import time
from datetime import timedelta
from random import Random

from tests.chaos.points import AFTER_ANSWER, AFTER_LOOK, AFTER_SLOT, Struck
from tests.chaos.scene import Fault, Scene
from tests.chaos.strikes import Strike, steps_of

_BEFORE_THE_CALL = (AFTER_LOOK, AFTER_SLOT)


async def creates(scene: Scene, rng: Random) -> Strike | None:
    """Somebody makes the very invoice by hand, after our look and before our call."""
    struck = await scene.strikes_at("freeze", rng.choice(_BEFORE_THE_CALL), "create")
    if struck is None:
        return None
    clicked = await _click(scene, struck, "create_invoice", contract=struck.contract)
    return _strike(struck) if clicked else None


async def edits_period(scene: Scene, rng: Random) -> Strike | None:
    """Somebody moves the period that we are about to invoice."""
    struck = await scene.strikes_at("freeze", rng.choice(_BEFORE_THE_CALL), "create")
    if struck is None:
        return None
    start, end = scene.supply.period
    by = timedelta(days=rng.choice((-40, 1, 5, 70)))
    clicked = await _click(
        scene, struck, "set_period", contract=struck.contract, period_start=start + by, period_end=end + by
    )
    return _strike(struck) if clicked else None


def undoes(action: str) -> Fault:
    """Somebody cancels, or credits, an invoice that is just being bookkept or sent."""

    async def strike(scene: Scene, rng: Random) -> Strike | None:
        point = rng.choice((*_BEFORE_THE_CALL, AFTER_ANSWER))
        struck = await scene.strikes_at("freeze", point, rng.choice(("bookkeep", "deliver")))
        if struck is None:
            return None
        flight = next(iter(await scene.sight.of({struck.billing})), None)
        invoice = flight.invoice if flight else None
        clicked = await _click(scene, struck, action, invoice=invoice or 0)
        return _strike(struck) if clicked else None

    return strike


async def _click(scene: Scene, struck: Struck, action: str, **about: object) -> bool:
    try:
        return await scene.person(action, struck.tenant, struck.contract, **about)
    finally:
        scene.stage.thaw(struck.pid)


def _strike(struck: Struck) -> Strike:
    return Strike("", struck.at, time.time(), steps_of([struck]))
