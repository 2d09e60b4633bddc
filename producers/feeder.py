"""Admits what is ready to the queues: a little for every tenant, the oldest first, round-robin over the tenants.

The backlog waits in the ledger; Redis holds only what will get a slot within about two seconds (design, section 9).
What the feeder remembers is a hint: lost, it sends a message twice, and the worker drops the second one. A round asks
for a few billings of each company that has room, and never reads a backlog through.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, zip_longest

import redis.asyncio
import structlog

from common.clock import boottime
from common.fortnox.governor import Governor
from common.ids import BillingId, TenantId
from common.ledger import billings
from common.ledger.billings import Ready
from common.ledger.database import Ledger
from common.queue import outbox
from common.queue.contents import on_their_way
from common.queue.messages import Bookkeep, CreateInvoice, Deliver, Message, SeekEvidence
from common.rules.states import Step
from producers.tenancy import Tenancy

log = structlog.get_logger()

HORIZON = 2.0
"""Seconds ahead for which slots are filled."""

PER_TENANT = 60
"""How many ready billings of a tenant are looked at: more than a window and a horizon can use."""

AT_A_TIME = 100
"""Companies whose ready billings are asked for at once: at midnight the first messages leave before all are read."""

FILLED_FOR = 0.5
"""Seconds for which a company that has more waiting than room is left alone: a fourth of what it was given is used
up by then."""

LISTING_BEGINS_WITHIN = 0.5
"""Seconds after which creates go by the single read of their contract, when the shared listing has not begun: there are
more companies to be listed than can be."""

MESSAGE_LOST_AFTER = 5.0
"""Seconds after which a billing that still waits is looked for on the queues; without a message it is sent again. After
each time that it was, it is left alone for twice as long, up to `SENT_AGAIN_AFTER`."""

SENT_AGAIN_AFTER = 30.0
"""Seconds after which a message is sent again although there is one: whoever has it may never act on it."""

LOOK_SERVES = 12
"""So many answers wait for one look at most (design, section 6) ..."""

LOOK_WAITS = 1.0
"""... and so many seconds."""

FOUND_WITHIN = 15.0
"""Seconds for which an answer keeps a slot free for being looked for; what has not been found by then waits for
something else than a slot."""

LOOK_AT_LEAST_EVERY = 10.0
"""The longest pause, in seconds, between two looks for what is not found."""

STALE_LISTING = 0.6
"""Share of the freshness after which a tenant with several creates waiting is listed again, before they are
admitted."""

SHARED_LISTING_PAYS = 3
"""From so many waiting creates on, one listing is cheaper than the single reads."""


Admission = tuple[TenantId, BillingId, Step, datetime]
"""What a message was sent for: a step of a billing as it then stood. One that has come back since is another."""


@dataclass(slots=True)
class Sent:
    """The messages that were sent for an admission."""

    at: float
    """The last one, by `boottime()`."""
    times: int = 1
    is_lost: bool = False
    """It is to be sent again."""

    def is_overdue(self, now: float) -> bool:
        return now - self.at > min(MESSAGE_LOST_AFTER * 2.0 ** (self.times - 1), SENT_AGAIN_AFTER)


class Feeder:
    """Sends messages for what the ledger says is ready, of the companies that the producer has on lease."""

    def __init__(
        self,
        ledger: Ledger,
        client: redis.asyncio.Redis,
        governor: Governor,
        tenancy: Tenancy,
        fresh_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._redis = client
        self._governor = governor
        self._tenancy = tenancy
        self._fresh = timedelta(seconds=fresh_seconds)
        self._admitted: dict[Admission, Sent] = {}
        self._taken_on: set[TenantId] = set()
        self._looked_for_lost_at = float("-inf")
        self._looks: dict[TenantId, float] = {}
        self._creating: set[TenantId] = set()
        self._reads_to_come: dict[TenantId, int] = {}
        self._filled_until: dict[TenantId, float] = {}
        self._stale_since: dict[TenantId, float] = {}

    async def admit(
        self, listed_at: Mapping[TenantId, float], being_listed: Collection[TenantId] = frozenset()
    ) -> set[TenantId]:
        """Admits what has room now.

        Parameters:
          listed_at: when each tenant's contracts were last listed, by `boottime()`.
          being_listed: the tenants whose listing has begun.

        Returns the tenants whose contracts should be listed before more of their creates are admitted.
        """
        await self._find_what_was_lost()
        stale: set[TenantId] = set()
        held = sorted(self._tenancy.held)
        self._forget_all_but(held)
        # Each time from another company on: what leads the way at midnight, or is cut short, is not always the same.
        first = random.randrange(len(held)) if held else 0
        turns = held[first:] + held[:first]
        for start in range(0, len(turns), AT_A_TIME):
            now = boottime()
            asked = [one for one in turns[start : start + AT_A_TIME] if self._filled_until.get(one, now) <= now]
            if asked:
                stale |= await self._admit(asked, listed_at, being_listed)
        return stale

    async def _admit(
        self, asked: Collection[TenantId], listed_at: Mapping[TenantId, float], being_listed: Collection[TenantId]
    ) -> set[TenantId]:
        """The same for some of the companies."""
        ready = await self._ready(asked)
        self._forget_what_moved(asked, ready)
        by_tenant: dict[TenantId, list[Ready]] = defaultdict(list)
        for billing in ready:
            by_tenant[billing.tenant].append(billing)
        self._creating -= set(asked)
        self._creating |= {billing.tenant for billing in ready if billing.step is Step.CREATE}
        admitted: list[list[Ready]] = []
        stale: set[TenantId] = set()
        for tenant, waiting in by_tenant.items():
            creates = sum(one.step is Step.CREATE for one in waiting)
            reads = 0
            if creates >= SHARED_LISTING_PAYS and self._is_stale(listed_at.get(tenant)):
                stale.add(tenant)
                if self._listing_comes_soon(tenant, being_listed):
                    waiting = [one for one in waiting if one.step is not Step.CREATE]
                else:
                    reads = 1
            else:
                self._stale_since.pop(tenant, None)
            admitted.append(await self._with_room(tenant, waiting, reads_before_creates=reads))
        await self._send(list(round_robin(admitted)))
        return stale

    def _is_stale(self, listed_at: float | None) -> bool:
        return listed_at is None or boottime() - listed_at > self._fresh.total_seconds() * STALE_LISTING

    def _listing_comes_soon(self, tenant: TenantId, being_listed: Collection[TenantId]) -> bool:
        asked_since = self._stale_since.setdefault(tenant, boottime())
        return tenant in being_listed or boottime() - asked_since < LISTING_BEGINS_WITHIN

    async def _with_room(self, tenant: TenantId, waiting: Sequence[Ready], *, reads_before_creates: int) -> list[Ready]:
        on_their_way = [one for one in waiting if self._is_on_its_way(one)]
        candidates = [one for one in waiting if not self._is_on_its_way(one)]
        if not candidates:
            return []
        # Looks come first: behind a queue of creates an answer would be found so late that it is no longer fresh.
        taken = len(on_their_way) + self._reads_to_come.get(tenant, 0)
        room = await self._governor.room(tenant, HORIZON) - taken
        costs = [1 + reads_before_creates * (one.step is Step.CREATE) for one in candidates]
        fitting = sum(spent <= room for spent in accumulate(costs))
        if fitting < len(candidates):
            self._filled_until[tenant] = boottime() + FILLED_FOR
        return candidates[:fitting]

    def _is_on_its_way(self, billing: Ready) -> bool:
        sent = self._admitted.get(admission_of(billing))
        return sent is not None and not sent.is_lost

    def no_listing_comes(self, tenants: Iterable[TenantId]) -> None:
        """These companies will not be listed before midnight: what leaves then goes by single reads at once."""
        self._stale_since.update(dict.fromkeys(tenants, float("-inf")))

    async def until_next(self) -> float:
        """Seconds until something is ready that waits for its instant, as for midnight; `FILLED_FOR` at the most."""
        first = await billings.next_ready(self._ledger, self._tenancy.name)
        return FILLED_FOR if first is None else min(first.total_seconds(), FILLED_FOR)

    async def _send(self, admitted: Sequence[Ready]) -> None:
        # A producer that was frozen meanwhile has nothing to send any more.
        still_ours = [billing for billing in admitted if self._tenancy.holds(billing.tenant)]
        if not still_ours:
            return
        now = boottime()
        await outbox.enqueue(self._redis, [message_for(billing) for billing in still_ours])
        for billing in still_ours:
            before = self._admitted.get(admission_of(billing))
            self._admitted[admission_of(billing)] = Sent(now, 1 + (before.times if before else 0))
        log.debug("billings_admitted", billings=len(still_ours))

    def take_on(self, tenants: Collection[TenantId]) -> None:
        """These companies have just become the producer's: what another has sent for them is not sent again."""
        self._taken_on.update(tenants)

    async def _ready(self, asked: Collection[TenantId]) -> list[Ready]:
        taken_on = self._taken_on & set(asked)
        self._taken_on -= taken_on
        try:
            found = await billings.ready(self._ledger, per_tenant=PER_TENANT, producer=self._tenancy.name, of=asked)
            # Not those that were taken on meanwhile: what was sent for them is not known yet.
            ready = [one for one in found if self._tenancy.holds(one.tenant) and one.tenant not in self._taken_on]
            await self._learn_what_was_sent([one for one in ready if one.tenant in taken_on])
        except BaseException:
            self._taken_on |= taken_on
            raise
        return ready

    async def _learn_what_was_sent(self, unknown: Sequence[Ready]) -> None:
        if unknown:
            sent = await on_their_way(self._redis, {queue_of(billing.step) for billing in unknown})
            now = boottime()
            for billing in unknown:
                if (queue_of(billing.step), billing.id) in sent:
                    self._admitted.setdefault(admission_of(billing), Sent(now))

    def _forget_what_moved(self, asked: Collection[TenantId], ready: Sequence[Ready]) -> None:
        still_ready = {admission_of(one) for one in ready}
        of_these = set(asked)
        moved = [key for key in self._admitted if key[0] in of_these and key not in still_ready]
        for key in moved:
            del self._admitted[key]

    def _forget_all_but(self, held: Collection[TenantId]) -> None:
        """What was sent for companies that another producer has now is that one's to know."""
        ours = set(held)
        self._creating &= ours
        self._admitted = {key: sent for key, sent in self._admitted.items() if key[0] in ours}
        for remembered in (self._filled_until, self._stale_since):
            for tenant in remembered.keys() - ours:
                del remembered[tenant]

    async def _find_what_was_lost(self) -> None:
        """A billing that still waits long after its message was sent, and has none on the queues, is sent for again.

        The message was lost with Redis, or dropped by a worker where a claim was refused for the moment.
        """
        now = boottime()
        overdue = {key: sent for key, sent in self._admitted.items() if not sent.is_lost and sent.is_overdue(now)}
        if not overdue or now - self._looked_for_lost_at < MESSAGE_LOST_AFTER / 5:
            return
        self._looked_for_lost_at = now
        there = await on_their_way(self._redis, {queue_of(step) for _, _, step, _ in overdue})
        for (tenant, billing, step, _), sent in overdue.items():
            sent.is_lost = (queue_of(step), billing) not in there or now - sent.at > SENT_AGAIN_AFTER
            if sent.is_lost:
                self._filled_until.pop(tenant, None)
        lost = sum(sent.is_lost for sent in overdue.values())
        if lost:
            log.warning("messages_lost", messages=lost)

    async def ask_for_evidence(self) -> None:
        """Sends one look to each tenant whose answers have waited long enough, or are enough to share one."""
        now = self._ledger.clock.now()
        ages = {
            tenant: [(now - one).total_seconds() for one in since]
            for tenant, since in (await billings.sought_since(self._ledger, self._tenancy.name)).items()
            if self._tenancy.holds(tenant)
        }
        for tenant in self._looks.keys() - ages.keys():
            del self._looks[tenant]
        self._reads_to_come = {tenant: sum(age < FOUND_WITHIN for age in of_it) for tenant, of_it in ages.items()}
        messages: list[Message] = []
        for tenant, of_it in ages.items():
            if self._until_next_look(tenant, of_it) <= 0:
                messages.append(SeekEvidence(tenant=tenant))
                self._looks[tenant] = boottime()
        if messages:
            await outbox.enqueue(self._redis, messages)

    def _until_next_look(self, tenant: TenantId, ages: Sequence[float]) -> float:
        """Seconds to wait with the next look, given how long ago each billing began to wait for one."""
        since_look = boottime() - self._looks.get(tenant, float("-inf"))
        unlooked = [age for age in ages if age < since_look]
        if unlooked:
            # No more answers are coming that the look could serve as well: it need not wait for them.
            enough = len(unlooked) >= LOOK_SERVES or tenant not in self._creating
            return max(0.0 if enough else LOOK_WAITS - max(unlooked), LOOK_WAITS - since_look)
        pause = min(max(LOOK_WAITS, min(ages) / 2), LOOK_AT_LEAST_EVERY)
        return pause - since_look


MESSAGE_OF: Mapping[Step, type[CreateInvoice] | type[Bookkeep] | type[Deliver]] = {
    Step.CREATE: CreateInvoice,
    Step.BOOKKEEP: Bookkeep,
    Step.DELIVER: Deliver,
}


def queue_of(step: Step) -> str:
    """The queue of the messages that ask for the step."""
    return MESSAGE_OF[step].queue


def admission_of(billing: Ready) -> Admission:
    """What a message for the billing, as it stands, would be sent for."""
    return billing.tenant, billing.id, billing.step, billing.changed_at


def message_for(billing: Ready) -> Message:
    """The message that asks for the billing's step."""
    return MESSAGE_OF[billing.step](billing=billing.id, tenant=billing.tenant)


def round_robin(lists: Iterable[Sequence[Ready]]) -> Iterator[Ready]:
    """One of each, then the second of each, and so on: nobody waits behind a big company."""
    for rank in zip_longest(*lists):
        yield from (one for one in rank if one is not None)
