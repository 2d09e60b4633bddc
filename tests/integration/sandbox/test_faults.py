"""Faults by rule: before, after or instead of acting, as often as asked, and each hit in the log."""

import asyncio
from typing import Any

import aiohttp
import pytest

from sandbox.faults import Fault, Rule
from tests.sandboxes import TENANT, Sandbox

CREATE = "contracts/1/createinvoice"
ON_CREATE = {"method": "PUT", "path": "/3/contracts/*/createinvoice"}


@pytest.fixture
async def ready(sandbox: Sandbox) -> Sandbox:
    """A company with a contract, and a token in hand."""
    await sandbox.company()
    await sandbox.contract()
    await sandbox.get("contracts/1")
    return sandbox


def made(sandbox: Sandbox) -> int:
    return len(sandbox.world.companies[TENANT].invoices)


async def once(sandbox: Sandbox, path: str = CREATE, patience: float = 30.0) -> None:
    """One request on a connection of its own, which no layer repeats."""
    headers = {"Authorization": f"Bearer {await sandbox.token()}"}
    limit = aiohttp.ClientTimeout(total=patience)
    async with aiohttp.ClientSession(sandbox.url, timeout=limit) as session:
        session._retry_connection = False
        async with session.put(f"/3/{path}", headers=headers) as response:
            await response.read()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the sandbox has no event for it, and needs none
            await asyncio.sleep(0.005)


async def test_an_error_before_acting_has_no_effect(ready: Sandbox) -> None:
    await ready.fault(kind="error", status=503, code=1000003, message="System exception", **ON_CREATE)
    reply = await ready.call("PUT", CREATE)
    assert reply.status == 503
    assert reply.document["ErrorInformation"]["code"] == 1000003
    assert made(ready) == 0


async def test_an_error_after_acting_has_made_the_invoice(ready: Sandbox) -> None:
    await ready.fault(kind="error_after", status=500, body="<html>", **ON_CREATE)
    reply = await ready.call("PUT", CREATE)
    assert (reply.status, reply.raw) == (500, b"<html>")
    assert made(ready) == 1


@pytest.mark.parametrize(("kind", "invoices"), [("cut", 0), ("cut_after", 1)])
async def test_a_cut_connection_leaves_no_answer_and_acts_only_after(ready: Sandbox, kind: str, invoices: int) -> None:
    await ready.fault(kind=kind, **ON_CREATE)
    with pytest.raises(aiohttp.ClientConnectionError):
        await once(ready)
    assert made(ready) == invoices
    (entry,) = await ready.requests("path=/3/contracts/*/createinvoice")
    assert (entry["fault"], entry["status"], entry["answered"]) == (kind, None, None)


@pytest.mark.parametrize(("kind", "invoices"), [("hang", 0), ("hang_after", 1)])
async def test_a_hanging_request_is_never_answered(ready: Sandbox, kind: str, invoices: int) -> None:
    await ready.fault(kind=kind, **ON_CREATE)
    with pytest.raises(TimeoutError):
        await once(ready, patience=0.2)
    assert made(ready) == invoices


async def test_acting_late_waits_until_the_caller_has_given_up(ready: Sandbox) -> None:
    await ready.fault(kind="act_late", **ON_CREATE)
    calling = asyncio.create_task(once(ready))
    await until(lambda: any(entry.fault == "act_late" for entry in ready.running.gateway.journal))
    assert made(ready) == 0
    calling.cancel()
    await until(lambda: made(ready) == 1)


async def test_acting_late_acts_in_the_end_also_for_a_patient_caller(ready: Sandbox) -> None:
    await ready.fault(kind="act_late", seconds=0.05, **ON_CREATE)
    await once(ready)
    assert made(ready) == 1


async def test_a_delay_comes_before_acting(ready: Sandbox) -> None:
    await ready.fault(kind="delay", seconds=0.1, **ON_CREATE)
    await ready.put(CREATE)
    (entry,) = await ready.requests("fault=delay")
    assert entry["answered"] - entry["arrived"] >= 0.1


async def test_a_throttle_fault_is_a_429_without_effect(ready: Sandbox) -> None:
    await ready.fault(kind="throttle", times=1, **ON_CREATE)
    assert (await ready.call("PUT", CREATE)).status == 429
    assert made(ready) == 0
    assert (await ready.call("PUT", CREATE)).status == 200


async def test_the_token_endpoint_can_fail_too(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.fault(kind="error", path="/oauth-v1/token", status=500, body="oops", times=1)
    assert (await sandbox.ask_token()).status == 500
    assert (await sandbox.ask_token()).status == 200


async def test_a_rule_for_one_company_leaves_the_others_alone(ready: Sandbox) -> None:
    await ready.company(tenant=7)
    await ready.fault(kind="error", tenant=TENANT)
    assert (await ready.call("GET", "contracts")).status == 500
    assert (await ready.call("GET", "contracts", tenant=7)).status == 200


async def test_a_rule_does_not_strike_what_was_refused_before(ready: Sandbox) -> None:
    id_ = await ready.fault(kind="error", times=1)
    async with ready.admin.get("/3/contracts") as response:
        assert response.status == 401
    assert (await ready.control("GET", "faults"))["faults"][0]["hits"] == 0
    assert (await ready.call("GET", "contracts")).status == 500
    await ready.control("DELETE", f"faults/{id_}")
    assert (await ready.control("GET", "faults"))["faults"] == []


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ({"times": 2}, [1, 2]),
        ({"after": 3}, [4, 5, 6, 7, 8, 9]),
        ({"every": 3}, [3, 6, 9]),
        ({"after": 1, "every": 4, "times": 1}, [5]),
        ({"probability": 0.0}, []),
    ],
)
def test_how_often_a_rule_fires(rule: dict[str, Any], hits: list[int]) -> None:
    fault = Fault(1, Rule(kind="cut", **rule))
    assert [n for n in range(1, 10) if fault.fires("GET", "/3/contracts", 1)] == hits


def test_the_same_seed_gives_the_same_faults() -> None:
    first, second = (Fault(1, Rule(kind="cut", probability=0.3, seed=5)) for _ in range(2))
    struck = [first.fires("GET", "/", 1) for _ in range(100)]
    assert struck == [second.fires("GET", "/", 1) for _ in range(100)]
    assert 10 < sum(struck) < 50


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/3/contracts/*/createinvoice", "/3/contracts/12/createinvoice", True),
        ("/3/contracts/*", "/3/contracts/12/createinvoice", False),
        ("/3/**", "/3/contracts/12/createinvoice", True),
        ("/3/contracts", "/3/contractsx", False),
    ],
)
def test_a_path_is_a_glob(glob: str, path: str, matches: bool) -> None:
    assert Fault(1, Rule(kind="cut", path=glob)).fires("GET", path, 1) is matches
