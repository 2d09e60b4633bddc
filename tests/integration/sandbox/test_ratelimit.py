"""25 requests in any 5 seconds, per client id and tenant: exactly, and what the 26th is told."""

from sandbox.behaviour import Behaviour
from sandbox.ratelimit import RateLimit
from tests.sandboxes import Sandbox


def test_the_window_slides_and_admits_exactly_the_limit() -> None:
    limits = RateLimit(Behaviour())
    assert all(limits.admit("client", 1, now=index / 10) is None for index in range(25))
    assert limits.admit("client", 1, now=4.999) is not None
    assert limits.admit("client", 1, now=5.0) is None
    assert limits.admit("client", 1, now=5.05) is not None
    assert limits.admit("client", 1, now=5.1) is None


def test_any_window_of_five_seconds_holds_at_most_25() -> None:
    limits = RateLimit(Behaviour())
    admitted = [now / 100 for now in range(3000) if limits.admit("client", 1, now=now / 100) is None]
    assert len(admitted) == 150
    assert all(sum(start <= at < start + 5 for at in admitted) <= 25 for start in admitted)


def test_tenants_and_clients_have_windows_of_their_own() -> None:
    limits = RateLimit(Behaviour(limit=1))
    assert limits.admit("client", 1, now=0) is None
    assert limits.admit("client", 2, now=0) is None
    assert limits.admit("other", 1, now=0) is None
    assert limits.admit("client", 1, now=0) is not None


def test_rejected_requests_do_not_count_unless_switched() -> None:
    lenient, strict = RateLimit(Behaviour(limit=1)), RateLimit(Behaviour(limit=1, rejected_counts=True))
    for limits in (lenient, strict):
        assert limits.admit("client", 1, now=0) is None
        assert limits.admit("client", 1, now=4) is not None
    assert lenient.admit("client", 1, now=5.5) is None
    assert strict.admit("client", 1, now=5.5) is not None


async def test_the_26th_request_is_429_with_nothing_but_the_reason(sandbox: Sandbox) -> None:
    await sandbox.company()
    sandbox.world.behaviour.limit = 25
    replies = [await sandbox.call("GET", "contracts") for _ in range(26)]
    assert [reply.status for reply in replies] == [200] * 25 + [429]
    refused = replies[-1]
    assert (refused.reason, refused.raw) == ("Too Many Requests", b"")
    assert "Retry-After" not in refused.headers


async def test_body_and_retry_after_of_a_429_are_switches(sandbox: Sandbox) -> None:
    await sandbox.company()
    await sandbox.control("PATCH", "behaviour", {"limit": 1, "retry_after": "seconds", "throttle_body": "slow down"})
    await sandbox.call("GET", "contracts")
    refused = await sandbox.call("GET", "contracts")
    assert refused.raw == b"slow down"
    assert 1 <= int(refused.headers["Retry-After"]) <= 5


async def test_a_throttled_request_has_no_effect(sandbox: Sandbox) -> None:
    company = await sandbox.company()
    await sandbox.contract()
    sandbox.world.behaviour.limit = 1
    await sandbox.put("contracts/1/createinvoice")
    assert (await sandbox.call("PUT", "contracts/1/createinvoice")).status == 429
    assert len(company.invoices) == 1
