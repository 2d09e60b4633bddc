"""Faults between us and Fortnox: answers cut or late, faults of Fortnox, 429 storms, tokens that are revoked.

They are rules of the sandbox, and count when its log shows that a call with an effect was struck.
"""

import asyncio
import re
import time
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any

from tests.chaos.scene import STRIKES_WITHIN, Fault, Scene, chosen
from tests.chaos.sight import Flight
from tests.chaos.strikes import Step, Strike, steps_of

EFFECTS: Mapping[str, tuple[str, str]] = {
    "create": ("PUT", "/3/contracts/*/createinvoice"),
    "bookkeep": ("PUT", "/3/invoices/*/bookkeep"),
    "email": ("GET", "/3/invoices/*/email"),
    "einvoice": ("GET", "/3/invoices/*/einvoice"),
    "print": ("GET", "/3/invoices/*/eprint"),
    "hand_over": ("POST", "/3/noxfinansinvoices"),
}
"""Effect -> the request that has it."""

STEP_OF = {effect: effect if effect in ("create", "bookkeep") else "deliver" for effect in EFFECTS}

ANY_EFFECT = ("create", *EFFECTS)

_LATE_BY = (0.2, 3.0)
_OF_EACH_EFFECT = 4
_OF_THE_REST = 4
_LOOK_EVERY = 0.05

_PATHS = (
    ("create", re.compile(r"/3/contracts/(\d+)/createinvoice")),
    ("bookkeep", re.compile(r"/3/invoices/(\d+)/bookkeep")),
    ("email", re.compile(r"/3/invoices/(\d+)/email")),
    ("einvoice", re.compile(r"/3/invoices/(\d+)/einvoice")),
    ("print", re.compile(r"/3/invoices/(\d+)/eprint")),
    ("hand_over", re.compile(r"/3/(noxfinansinvoices)")),
)


def cut_after(effect: str) -> Fault:
    """The connection is cut when Fortnox has acted and not answered."""
    return _once("cut_after", effect)


def error_before_acting() -> Fault:
    """500, and nothing is done."""
    return _once("error", None)


def error_after_acting() -> Fault:
    """500, and it is done."""
    return _once("error_after", None)


def late_effect(effect: str | None) -> Fault:
    """Fortnox acts only when we have given the call up."""

    async def strike(scene: Scene, rng: Random) -> Strike | None:
        given_up_after = scene.stage.times.call_timeout
        late = {"seconds": given_up_after * 4, "linger": rng.uniform(*_LATE_BY)}
        struck = await _strike_once(scene, "act_late", effect or rng.choice(ANY_EFFECT), late)
        if struck is not None:
            struck.ended += given_up_after + late["linger"]
        return struck

    return strike


def _once(kind: str, effect: str | None) -> Fault:
    async def strike(scene: Scene, rng: Random) -> Strike | None:
        return await _strike_once(scene, kind, effect or rng.choice(ANY_EFFECT), {})

    return strike


async def _strike_once(scene: Scene, kind: str, effect: str, more: Mapping[str, object]) -> Strike | None:
    method, path = EFFECTS[effect]
    async with scene.lock(f"rule {effect}"):
        rule = await scene.sandbox.control(
            "POST", "faults", {"kind": kind, "method": method, "path": path, "times": 1, **more}
        )
        try:
            entries = await _struck_by(scene, rule["id"], kind)
        finally:
            await scene.sandbox.control("DELETE", f"faults/{rule['id']}")
    if not entries:
        return None
    flight = await billing_of(scene, entries[0])
    arrived = entries[0]["arrived"]
    return Strike("", arrived, arrived, _at(STEP_OF[effect], flight) if flight else ())


def _at(step: str, flight: Flight) -> tuple[Step, ...]:
    # By now it may have gone on.
    return (Step(flight.billing, flight.tenant, flight.contract, step),)


async def _struck_by(scene: Scene, rule: int, kind: str) -> list[dict[str, Any]]:
    """The requests that the rule has struck, waited for."""
    since = time.time() - 1.0
    deadline = time.monotonic() + STRIKES_WITHIN
    while time.monotonic() < deadline:
        known = (await scene.sandbox.control("GET", "faults"))["faults"]
        if any(one["id"] == rule and one["hits"] for one in known):
            log = await scene.sandbox.control("GET", f"requests?fault={kind}&since={since}")
            return [entry for entry in log["requests"] if entry["rule"] == rule]
        await asyncio.sleep(_LOOK_EVERY)
    return []


async def billing_of(scene: Scene, entry: Mapping[str, Any]) -> Flight | None:
    """The billing that a logged call was for."""
    for effect, path in _PATHS:
        found = path.fullmatch(entry["path"])
        if found is None:
            continue
        if effect == "create":
            return await scene.sight.of_contract(entry["tenant"], int(found[1]))
        if effect == "hand_over":
            delivering = [one for one in await scene.sight.claimed() if one.step == "deliver"]
            doubted = await scene.sight.standing("in_doubt", "deliver", limit=20)
            return next((one for one in (*delivering, *doubted) if one.tenant == entry["tenant"]), None)
        return await scene.sight.of_invoice(entry["tenant"], int(found[1]))
    return None


def storm(retry_after: bool) -> Fault:
    """429s on end for one company, whatever it asks for."""

    async def strike(scene: Scene, rng: Random) -> Strike | None:
        async with scene.lock("storm"):
            header = "seconds" if retry_after else "absent"
            await scene.sandbox.control("PATCH", "behaviour", {"retry_after": header})
            flights = await scene.claimed()
            if not flights:
                return None
            tenant = chosen(rng, flights).tenant
            began = time.time()
            rules = [await _throttle(scene, tenant, path, _OF_EACH_EFFECT) for _, path in EFFECTS.values()]
            rules.append(await _throttle(scene, tenant, "/3/**", _OF_THE_REST))
            try:
                effects = await _effects_thrown_back(scene, tenant, rules, began)
            finally:
                for rule in rules:
                    await scene.sandbox.control("DELETE", f"faults/{rule}")
        struck = [flight for entry in effects if (flight := await billing_of(scene, entry)) is not None]
        return Strike("", began, time.time(), steps_of(struck)) if effects else None

    return strike


async def _throttle(scene: Scene, tenant: int, path: str, times: int) -> int:
    rule = {"kind": "throttle", "tenant": tenant, "path": path, "times": times}
    return int((await scene.sandbox.control("POST", "faults", rule))["id"])


async def _effects_thrown_back(
    scene: Scene, tenant: int, rules: Collection[int], since: float
) -> Sequence[dict[str, Any]]:
    """The requests thrown back that would have had an effect; waits until there are two, or for long enough."""
    deadline = time.monotonic() + STRIKES_WITHIN
    while True:
        log = await scene.sandbox.control("GET", f"requests?fault=throttle&tenant={tenant}&since={since}")
        thrown_back = [entry for entry in log["requests"] if entry["rule"] in rules]
        effects = [entry for entry in thrown_back if any(path.fullmatch(entry["path"]) for _, path in _PATHS)]
        if len(effects) > 1 or time.monotonic() > deadline:
            return effects
        await asyncio.sleep(_LOOK_EVERY * 2)


async def token_revoked(scene: Scene, rng: Random) -> Strike | None:
    """All tokens of a company end at once, while a call of it is under way."""
    flights = await scene.claimed()
    if not flights:
        return None
    tenant = chosen(rng, flights).tenant
    began = time.time()
    await scene.sandbox.control("POST", f"companies/{tenant}/revoke")
    return Strike("", began, time.time(), steps_of(one for one in flights if one.tenant == tenant))
