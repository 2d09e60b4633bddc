"""The rules of the rate limit under whatever may come, judged by what left when and by nothing else."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common.fortnox.errors import NoSlot
from common.fortnox.governor import PUNCTUAL, WINDOW
from common.ids import TenantId
from tests.integration.fortnox.street import TENANT, Caller, Left, Street, Trouble

STRICT = 5.0
"""The seconds in which Fortnox lets 25 through (API notes 6)."""
TOLERANCE = 0.03
"""Seconds: a little more than what counts as punctual."""

# The judges -----------------------------------------------------------------------------------------------------------


def most_in_any(seconds: float, left: Sequence[Left]) -> int:
    """The most requests that left in any half-open interval as long as that."""
    return max((sum(one.at <= other.at < one.at + seconds for other in left) for one in left), default=0)


def overtakers(left: Sequence[Left]) -> list[tuple[Left, Left]]:
    """Who came later and might go before somebody who was awake all the time."""
    return [
        (first, later)
        for first, later in itertools.permutations(left, 2)
        if first.caller.at < later.caller.at and not first.caller.frozen and first.may > later.may + TOLERANCE
    ]


def earliest(arrivals: Sequence[float], pauses: Sequence[tuple[float, float]], window: float) -> list[float]:
    """When each could leave at the earliest, had somebody with a list and a watch let them go in their order."""
    leaves: list[float] = []
    for place, arrival in enumerate(sorted(arrivals)):
        leave = max(arrival, leaves[-1] if leaves else 0, leaves[place - 25] + window if place >= 25 else 0)
        for began, ended in sorted(pauses):
            leave = ended if began < leave < ended else leave
        leaves.append(leave)
    return leaves


# What may come --------------------------------------------------------------------------------------------------------

SECONDS = st.integers(0, 15_000).map(lambda milliseconds: milliseconds / 1000)


@st.composite
def crowds(draw: st.DrawFn, of: st.SearchStrategy[Caller], most: int = 40) -> list[Caller]:
    """Several who come together, alike but for the process that they ask from and a few milliseconds."""
    one = draw(of)
    count = draw(st.integers(5, most))
    return [
        Caller(one.at + place / 1000, place % 3, one.frozen, one.late, one.dies, one.cancelled)
        for place in range(count)
    ]


def crowd(of: st.SearchStrategy[Caller], crowds_at_most: int = 6) -> st.SearchStrategy[list[Caller]]:
    return st.lists(crowds(of), min_size=1, max_size=crowds_at_most).map(lambda lists: list(itertools.chain(*lists)))


EAGER = crowd(st.builds(Caller, SECONDS))


def anybody(late: st.SearchStrategy[float]) -> st.SearchStrategy[list[Caller]]:
    return crowd(
        st.builds(
            Caller,
            SECONDS,
            frozen=st.sampled_from([0, 0, 0, 0.01, 0.5, 4.0, 20.0]),
            late=late,
            dies=st.sampled_from([False, False, False, True]),
            cancelled=st.sampled_from([None, None, None, 0.5, 6.0]),
        )
    )


PUNCTUAL_CALLERS = anybody(st.sampled_from([0, 0.01, 0.02]))
ANY = anybody(st.sampled_from([0, 0, 0, 0.01, 0.02, 0.3, 2.0, WINDOW - 2 * PUNCTUAL]))
THROTTLES = st.lists(st.builds(Trouble, SECONDS, st.just("throttle"), st.sampled_from([None, 0, 3.0])), max_size=3)
TROUBLES = st.lists(
    st.builds(
        Trouble,
        SECONDS,
        st.sampled_from(["throttle", "wipe", "restart"]),
        st.sampled_from([None, 0, 3.0]),
    ),
    max_size=3,
)

fast = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    database=None,
    # The server is emptied by each example, not by the fixture.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def on_a_street(redis_url: str, happens: Callable[[Street], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Street(redis_url) as street:
            await happens(street)

    asyncio.run(main())


# The rules ------------------------------------------------------------------------------------------------------------


@fast
@given(callers=ANY, troubles=TROUBLES)
def test_whatever_happens_no_more_than_25_leave_in_any_five_seconds(
    redis_url: str, callers: list[Caller], troubles: list[Trouble]
) -> None:
    """Frozen, late, dead and cancelled callers, 429s, wipes and restarts. Half of the margin is still there then."""

    async def happens(street: Street) -> None:
        await street.watch(callers, troubles)
        assert most_in_any(STRICT + (WINDOW - STRICT) / 2, street.leaving) <= 25

    on_a_street(redis_url, happens)


@fast
@given(callers=PUNCTUAL_CALLERS, troubles=THROTTLES)
def test_nobody_overtakes(redis_url: str, callers: list[Caller], troubles: list[Trouble]) -> None:
    """Where requests leave long after they might, who had to wait for one of them may see another pass."""

    async def happens(street: Street) -> None:
        await street.watch(callers, troubles)
        assert overtakers(street.leaving)[:1] == []

    on_a_street(redis_url, happens)


@fast
@given(callers=EAGER, throttles=THROTTLES)
def test_nobody_waits_longer_than_the_limit_and_the_pauses_demand(
    redis_url: str, callers: list[Caller], throttles: list[Trouble]
) -> None:
    async def happens(street: Street) -> None:
        await street.watch(callers, throttles)
        pauses = [
            (one.at, one.at + (WINDOW if one.retry_after is None else max(one.retry_after, 1))) for one in throttles
        ]
        assert not street.turned_away
        floor = earliest([caller.at for caller in callers], pauses, WINDOW + 0.05 * len(throttles))
        for left, leave in zip(sorted(street.leaving, key=lambda left: left.place), floor, strict=True):
            assert left.at <= leave + TOLERANCE

    on_a_street(redis_url, happens)


@fast
@given(callers=ANY, troubles=TROUBLES, horizon=st.sampled_from([0, 0.5, 2.0, 5.25, 12.0]), later=SECONDS)
def test_room_is_as_many_slots_as_can_be_booked_no_more_and_no_fewer(
    redis_url: str, callers: list[Caller], troubles: list[Trouble], horizon: float, later: float
) -> None:
    async def happens(street: Street) -> None:
        coming = [caller for caller in callers if caller.at <= later]
        for caller in sorted(coming, key=lambda caller: caller.at):
            await street.turn(max(caller.at, street.now))
            try:
                await street.governors[caller.governor].slot(TENANT, 60)
            except NoSlot:
                break
        await street.watch([], [trouble for trouble in troubles if trouble.at <= later])
        promised = await street.governors[0].room(TENANT, horizon)
        booked = []
        try:
            while True:
                booked.append(await street.governors[1].slot(TENANT, horizon))
        except NoSlot:
            assert len(booked) == promised
        for slot in booked:
            await street.governors[2].give_back(TENANT, slot)
        assert await street.governors[0].room(TENANT, horizon) == promised

    on_a_street(redis_url, happens)


def test_what_is_kept_is_bounded_however_often_somebody_asks(redis_url: str) -> None:
    """Twelve windows to come within the longest wait, and two that have been."""

    async def happens(street: Street) -> None:
        for _ in range(20):
            with contextlib.suppress(NoSlot):
                while True:
                    await street.governors[0].slot(TENANT, 3600)
            await street.turn(street.now + 7)
        assert len(await street.redis.keys("governor:*")) == 2
        assert 12 * 25 <= await street.redis.zcard("governor:{client}:1001:slots") <= 14 * 25

    on_a_street(redis_url, happens)


def test_a_tenant_that_is_never_asked_for_again_leaves_nothing_behind(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        for number in range(20):
            tenant = TenantId(number)
            await street.governors[0].slot(tenant, 60)
            await street.governors[0].throttle(tenant, None)
        await street.turn(602.1)
        assert await street.redis.keys("governor:*") == [b"governor:{client}:epoch"]

    on_a_street(redis_url, happens)


# The clock ------------------------------------------------------------------------------------------------------------


def test_a_clock_put_back_by_an_hour_costs_a_window_and_opens_no_burst(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.turn(3600)
        await street.watch(Caller(3600) for _ in range(40))
        await street.turn(0)
        waits = [(await street.governors[0].slot(TENANT, 60)).wait for _ in range(26)]
        assert waits[:25] == [6.0] * 25
        assert waits[25] >= 11.25

    on_a_street(redis_url, happens)


def test_a_clock_put_back_does_not_prolong_a_pause(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.turn(7200)
        await street.governors[0].throttle(TENANT, 3.0)
        await street.turn(0)
        assert (await street.governors[0].slot(TENANT, 60)).wait <= 6.0

    on_a_street(redis_url, happens)


def test_a_clock_put_back_makes_no_window_wider_than_six_seconds(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.turn(7200)
        for _ in range(15):
            await street.governors[0].throttle(TENANT, 0)
            await street.turn(street.now + 1)
        await street.turn(0)
        assert await width(street) == 6.0

    on_a_street(redis_url, happens)


def test_a_clock_put_back_to_before_redis_began_to_count_costs_a_window(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.turn(3600)
        await street.wipe()
        await street.governors[0].room(TENANT, 0)
        await street.turn(0)
        assert 5.0 < (await street.governors[0].slot(TENANT, 60)).wait <= WINDOW

    on_a_street(redis_url, happens)


def test_a_clock_put_back_by_seconds_costs_as_many_and_opens_no_burst(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.turn(20)
        await street.watch(Caller(20) for _ in range(25))
        await street.turn(0)
        assert 20 <= (await street.governors[0].slot(TENANT, 60)).wait <= 25.25

    on_a_street(redis_url, happens)


def test_a_clock_put_forward_costs_one_429_at_most(redis_url: str) -> None:
    """Nothing tells it from a tenant that was idle. From then on the window is kept as ever."""

    async def happens(street: Street) -> None:
        await street.watch(Caller(0) for _ in range(25))
        await street.turn(3600)
        waits = [(await street.governors[0].slot(TENANT, 60)).wait for _ in range(26)]
        assert waits[:25] == [0] * 25
        assert waits[25] > 5

    on_a_street(redis_url, happens)


# One thing at a time --------------------------------------------------------------------------------------------------


def test_a_booked_slot_that_nobody_uses_is_lost_and_no_more(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        dead = [Caller(0, dies=True) for _ in range(25)]
        await street.watch([*dead, *(Caller(1) for _ in range(25))])
        assert [round(left.at, 3) for left in street.leaving] == [WINDOW] * 25

    on_a_street(redis_url, happens)


def test_a_slot_given_back_is_somebody_elses(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch([*(Caller(0) for _ in range(49)), Caller(0.1, cancelled=0.5), Caller(1)])
        assert round(street.leaving[-1].at, 3) == WINDOW

    on_a_street(redis_url, happens)


def test_what_is_given_back_lets_nobody_overtake(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        late = Caller(0, late=4.0)
        waits_for_it, latecomer = Caller(4.6), Caller(4.8)
        crowd = [*(Caller(0) for _ in range(24)), *(Caller(4.5) for _ in range(22))]
        await street.watch([late, *crowd, *(Caller(4.5, cancelled=0.2) for _ in range(2)), waits_for_it, latecomer])
        leaves = {left.caller: left.at for left in street.leaving}
        assert leaves[latecomer] >= leaves[waits_for_it] >= 4 + WINDOW

    on_a_street(redis_url, happens)


def test_room_knows_during_a_pause_who_waits_behind_it(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        for _ in range(50):
            await street.governors[0].slot(TENANT, 60)
        await street.governors[0].throttle(TENANT, 8.0)
        assert await street.governors[1].room(TENANT, 8 + WINDOW) == 0
        assert await street.governors[1].room(TENANT, 8 + 2 * WINDOW) >= 25

    on_a_street(redis_url, happens)


def test_one_who_cannot_wait_any_longer_leaves_no_slot_booked(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch([Caller(0) for _ in range(25)])
        slot = await street.governors[0].slot(TENANT, 6)
        await street.governors[1].throttle(TENANT, 30)
        await street.turn(slot.wait)
        with pytest.raises(NoSlot):
            await street.governors[0].slot(TENANT, 0.75, slot)
        assert await street.redis.zcard("governor:{client}:1001:slots") == 25

    on_a_street(redis_url, happens)


def test_one_who_was_frozen_for_long_takes_a_new_slot_and_keeps_to_the_window(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        crowd = [Caller(0) for _ in range(25)]
        late = [Caller(0.5, frozen=40) for _ in range(10)]
        await street.watch([*crowd, *late, *(Caller(45.2) for _ in range(25))])
        assert len(street.leaving) == 60
        assert most_in_any(STRICT, street.leaving) <= 25

    on_a_street(redis_url, happens)


def test_one_who_was_frozen_for_a_little_is_counted_from_when_it_left(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        frozen = Caller(0.1, frozen=4.0)
        await street.watch([*(Caller(0) for _ in range(25)), frozen, *(Caller(0.2) for _ in range(49))])
        assert len(street.leaving) == 75
        assert most_in_any(STRICT, street.leaving) <= 25

    on_a_street(redis_url, happens)


def test_one_who_was_frozen_when_the_429_came_waits_out_its_pause(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        frozen = Caller(0.1, frozen=0.5)
        await street.watch([*(Caller(0) for _ in range(25)), frozen], [Trouble(5.5, "throttle", 3.0)])
        assert street.leaving[-1].at >= 8.5

    on_a_street(redis_url, happens)


def test_a_request_that_leaves_late_holds_back_the_one_a_window_after_it(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch([Caller(0, late=2.0), *(Caller(0) for _ in range(24)), *(Caller(1) for _ in range(25))])
        leaves = [round(left.at, 3) for left in street.leaving[25:]]
        assert leaves[:24] == [WINDOW] * 24, "the punctual ones are not held back"
        assert leaves[24] == 2 + WINDOW

    on_a_street(redis_url, happens)


def test_a_request_that_leaves_longer_than_a_window_late_is_counted_from_then(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch([Caller(0, late=20.0), *(Caller(21) for _ in range(25))])
        assert [round(left.at, 3) for left in street.leaving] == [20.0, *[21.0] * 24, 20 + WINDOW]

    on_a_street(redis_url, happens)


def test_a_reply_that_was_lost_costs_no_second_slot(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        slot = await street.governors[0].slot(TENANT, 60)
        assert await street.governors[1].slot(TENANT, 60, slot) == slot
        assert await street.governors[0].room(TENANT, 0) == 24

    on_a_street(redis_url, happens)


def test_who_waits_after_a_wipe_waits_a_window_more(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch((Caller(0) for _ in range(40)), [Trouble(3, "wipe")])
        assert [round(left.at, 3) for left in street.leaving[25:]] == [WINDOW * 2] * 15

    on_a_street(redis_url, happens)


# The window's width ---------------------------------------------------------------------------------------------------


async def width(street: Street) -> float:
    """How long after 25 slots in a row the next one is."""
    first = await street.governors[0].slot(TENANT, 60)
    waits = [(await street.governors[0].slot(TENANT, 60)).wait for _ in range(25)]
    await street.redis.delete("governor:{client}:1001:slots")
    return round(waits[-1] - first.wait, 3)


def test_each_429_widens_the_window_by_50_ms_up_to_six_seconds(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        widths = []
        for _ in range(17):
            await street.governors[0].throttle(TENANT, 0)
            widths.append(await width(street))
            await street.turn(street.now + 1.0)
        assert widths[:3] == [5.3, 5.35, 5.4]
        assert widths[-2:] == [6.0, 6.0]
        assert max(widths) == 6.0

    on_a_street(redis_url, happens)


def test_the_429s_of_one_surge_widen_the_window_once(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        for governor in street.governors:
            await governor.throttle(TENANT, None)
            await street.turn(street.now + 0.1)
        assert await width(street) == 5.3

    on_a_street(redis_url, happens)


def test_the_window_narrows_again_by_50_ms_in_ten_minutes(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        for _ in range(2):
            await street.governors[0].throttle(TENANT, 0)
            await street.turn(street.now + 2)
        widths = []
        for minutes in (5, 10, 15, 25):
            await street.turn(minutes * 60)
            widths.append(await width(street))
        assert widths == [5.325, 5.3, 5.275, 5.25]

    on_a_street(redis_url, happens)


def test_a_wider_window_is_the_tenants_own_and_holds_for_all_processes(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.governors[0].throttle(TENANT, 0)
        await street.turn(1)
        callers = [Caller(1, tenant=tenant) for tenant in (TENANT, TenantId(1002)) for _ in range(26)]
        await street.watch(callers)
        last = {left.caller.tenant: round(left.at - 1, 3) for left in street.leaving}
        assert last == {TENANT: 5.3, TenantId(1002): 5.25}

    on_a_street(redis_url, happens)


def test_a_429_widens_the_window_also_for_those_who_had_booked(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch((Caller(0) for _ in range(75)), [Trouble(1, "throttle", 0)])
        leaves = [round(left.at, 2) for left in street.leaving]
        assert (leaves[25], leaves[50]) == (5.3, 10.6)

    on_a_street(redis_url, happens)


def test_a_429_delays_those_who_had_booked_by_its_pause_and_no_more(redis_url: str) -> None:
    async def happens(street: Street) -> None:
        await street.watch((Caller(0) for _ in range(50)), [Trouble(1, "throttle", None)])
        assert [round(left.at, 3) for left in street.leaving[25:]] == [1 + WINDOW] * 25

    on_a_street(redis_url, happens)
