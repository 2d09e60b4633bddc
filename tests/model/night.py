"""One contract's invoice from plan to rest, with disturbances in between, and what must hold whatever happens.

Left alone, the night goes on by the shortest way: a message for what is ready, Fortnox acts and answers, a look for
what is sought, time for what waits. A disturbance strikes after so many moves. What is frozen goes on at the end, at
the latest; then everything that may go on by itself does, and the books and the ledger are compared.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger import audit, billings, blocks, pauses, policies, tenants
from common.ledger.billings import Ready
from common.ledger.records import Billing
from common.rules.policy import PolicyChoice
from common.rules.reconciliation import SETTLED
from common.rules.states import FINAL, UNRESOLVED, Delivery, Status, Step
from producers.reconciliation import reconcile
from producers.run import Producer
from sandbox import person
from sandbox.books import By, Company, Invoice
from sandbox.refusals import Refusal
from tests.model.stage import MORNING, Actor, Call, Stage
from workers import by_hand, early
from workers.runtime import Runtime
from workers.verification import is_live

CONTRACT = ContractNumber(1)
FEBRUARY = (date(2026, 2, 1), date(2026, 2, 28))

LEASE_RUNS_OUT = timedelta(minutes=1)
TOKEN_NEARLY_EXPIRES = timedelta(minutes=59, seconds=30)
ALL_IS_OVER = timedelta(minutes=75)
"""The token has expired and the settling time has passed, whatever was called until now."""

WAITS = 4
"""How often what is in doubt is given so much time."""

AT_MOST = 300
"""Moves after which a night must have come to rest."""


class Wrong(AssertionError):  # noqa: N818 - what the product did, not a fault of the model
    """What must never be."""


class Disturbance(StrEnum):
    """What may happen at any moment."""

    FREEZE = "the worker that would go on next is frozen"
    THAW = "the worker frozen first goes on"
    KILL = "the worker that would go on next is killed"
    AGAIN = "the message is delivered once more, and that worker goes first"
    LOOK = "a look begins, and goes first"
    CUT = "the line of the next call is cut before Fortnox has acted"
    CUT_AFTER = "the line of the next call is cut after Fortnox has acted"
    STUMBLE = "Fortnox answers the next call by 500 and does not act"
    STUMBLE_AFTER = "Fortnox acts on the next call and answers by 500"
    THROTTLE = "Fortnox answers the next call by 429"
    ACT_LATE = "Fortnox acts on a call that was given up"
    REVOKE = "the token is revoked"
    LEASES = "time passes: leases run out"
    NEARLY = "time passes: tokens are about to expire"
    OVER = "time passes: tokens have expired, and all is settled"
    SWEEP = "the sweeper runs"
    POLL = "the producer lists the contracts and plans"
    REFUSE = "Fortnox refuses the next call, for want of a licence"
    CLICK = "a person makes the contract's next invoice"
    CORRECT = "a person cancels the newest invoice and sets the period back"
    CREDIT = "a person credits the newest invoice"
    BOOK = "a person bookkeeps the newest invoice"
    PAUSE = "a person pauses the company"
    RESUME = "a person resumes the company"
    APPROVE = "a person approves what is held"
    RETRY = "a person retries"
    SKIP = "a person skips"
    KEEP = "a person keeps what was made too early"
    CANCEL = "a person cancels what was made too early"
    SAY = "a person says, truly, what became of a call in doubt"


SPOILS = frozenset(
    {
        Disturbance.CUT,
        Disturbance.CUT_AFTER,
        Disturbance.STUMBLE,
        Disturbance.STUMBLE_AFTER,
        Disturbance.THROTTLE,
        Disturbance.REFUSE,
    }
)
"""What the next call meets instead of its answer."""

FOR_PEOPLE = frozenset(list(Disturbance)[list(Disturbance).index(Disturbance.REFUSE) :])
"""After these the night may end with a decision that is somebody's; after the others alone the invoice is made."""

STUMBLED = Refusal(500, 1000003, "System exception")
REFUSALS: Mapping[Disturbance, Refusal] = {
    Disturbance.THROTTLE: Refusal(429, 0, "Too Many Requests"),
    Disturbance.REFUSE: Refusal(403, 2001101, "Det finns ingen aktiv licens för önskat scope"),
}


async def _say(runtime: Runtime, billing: BillingId) -> Billing:
    """She has looked, and says that nothing was done only when nothing can come of the call any more."""
    ledger, fortnox = runtime.ledger, runtime.fortnox
    found = await by_hand.gather(ledger, fortnox, billing, runtime.settle)
    over, invoice = ledger.clock.now() > found.may_act_until, found.invoice
    ours = [one.number for one in found.candidates if is_live(one) and one.period == found.billing.period]
    match found.billing.step:
        case Step.CREATE if ours:
            return await by_hand.made(ledger, fortnox, billing, ours[0], "anna")
        case Step.CREATE if over:
            return await by_hand.never_made(ledger, fortnox, billing, "anna")
        case Step.BOOKKEEP if invoice and invoice.booked:
            return await by_hand.bookkept(ledger, fortnox, billing, "anna")
        case Step.BOOKKEEP if over:
            return await by_hand.not_bookkept(ledger, fortnox, billing, "anna")
        case Step.DELIVER if invoice and invoice.sent:
            return await by_hand.delivered(ledger, billing, "anna")
        case Step.DELIVER if over:
            return await by_hand.not_delivered(ledger, fortnox, billing, "anna")
    raise billings.NotPossible("it is too early to say")


Decision = Callable[[Runtime, BillingId], Awaitable[Billing]]
DECISIONS: Mapping[Disturbance, Decision] = {
    Disturbance.APPROVE: lambda runtime, billing: billings.approve(runtime.ledger, billing, "anna"),
    Disturbance.RETRY: lambda runtime, billing: billings.retry(runtime.ledger, billing, "anna"),
    Disturbance.SKIP: lambda runtime, billing: billings.skip(runtime.ledger, billing, "anna", "as she wishes"),
    Disturbance.KEEP: lambda runtime, billing: early.keep(runtime.ledger, runtime.fortnox, billing, "anna"),
    Disturbance.CANCEL: lambda runtime, billing: early.cancel(runtime.ledger, runtime.fortnox, billing, "anna"),
    Disturbance.SAY: _say,
}

Schedule = Sequence[tuple[int, Disturbance]]
"""After how many more moves which disturbance strikes."""


@dataclass(eq=False)
class Night:
    """One company with one contract, due today, to be invoiced, bookkept and e-mailed."""

    stage: Stage
    tenant: TenantId
    history: list[str] = field(default_factory=list)
    _wrong: list[str] = field(default_factory=list)
    _spoiled: list[Disturbance] = field(default_factory=list)
    """What is to become of the next calls."""
    _clicks: int = 0
    _proven: bool = True
    _kept: set[InvoiceNumber | None] = field(default_factory=set)
    _waits: int = 0
    _looked: dict[int, tuple[object, ...]] = field(default_factory=dict)

    @property
    def books(self) -> Company:
        """The company as Fortnox has it."""
        return self.stage.sandbox.world.companies[self.tenant]

    async def billings(self) -> list[Billing]:
        """The company's billings, oldest first."""
        return sorted(await billings.find(self.stage.runtime.ledger, tenant=self.tenant), key=lambda one: one.id)

    async def begin(self, *, answer: str, proven: bool) -> None:
        """The company is taken on and planned.

        Parameters:
          answer: what createinvoice answers with (API notes 1.6).
          proven: whether an invoice of the company was made before.
        """
        stage, ledger, self._proven = self.stage, self.stage.runtime.ledger, proven
        stage.sandbox.world.behaviour.create_answer = answer  # type: ignore[assignment]
        stage.on_call = self._called
        stage.go_to(MORNING)
        await stage.sandbox.company(self.tenant)
        await stage.sandbox.contract(self.tenant, period_start=str(FEBRUARY[0]), period_end=str(FEBRUARY[1]))
        await tenants.add(ledger, self.tenant, "Björks Data AB", "anna")
        choice = PolicyChoice(mode="live", bookkeep=True, deliver=Delivery.EMAIL, deliver_from="any")
        await policies.change(ledger, "tenant", choice, "anna", tenant=self.tenant)
        if proven:
            await ledger.transact(lambda connection: tenants.prove_creates(connection, ledger, self.tenant, "anna"))
        await self._poll()

    async def live_through(self, schedule: Schedule) -> None:
        """The night with its disturbances, and then to the end.

        Raises:
          Wrong: something that must never be, with the history that led to it.
        """
        try:
            for moves, disturbance in schedule:
                for _ in range(moves):
                    if not await self._move():
                        break
                await self._strike(disturbance)
            await self._come_to_rest()
            await self._poll()
            await self._come_to_rest()
            await self._judge_the_end({disturbance for _, disturbance in schedule})
        except Wrong as wrong:
            raise Wrong("\n".join([str(wrong), "after:", *self.history])) from None

    async def _come_to_rest(self) -> None:
        while True:
            while await self._move():
                if len(self.history) > AT_MOST:
                    raise Wrong(f"no rest: {[_told(one) for one in await self.billings()]}")
            if not self.stage.actors:
                return
            await self._strike(Disturbance.THAW)

    # How it goes on by itself -----------------------------------------------------------------------------------------

    async def _move(self) -> bool:
        """The next thing that happens by itself; whether there was one."""
        moved = await self._fortnox_moves() or await self._a_worker_moves() or await self._the_producer_moves()
        await self._check()
        return moved

    async def _fortnox_moves(self) -> bool:
        for call in self.stage.calls:
            waits = call.by in self._awake() and call.by.call is call
            if waits and self._spoiled:
                await self._spoil(call, self._spoiled.pop(0))
                return True
            if not call.given_up and call.may_still_act:
                self._tell(f"Fortnox acts: {call.request}")
                await self.stage.act(call)
                return True
            if waits:
                self._tell(f"{call.by.name} gets its answer")
                await self.stage.answer(call, call.response)
                return True
        return False

    async def _a_worker_moves(self) -> bool:
        for actor in self._awake():
            at = actor.at
            await self.stage.go_on(actor)
            self._tell(f"{actor.name} ({actor.work}) goes on: {at} -> {_where(actor)}")
            return True
        return False

    async def _the_producer_moves(self) -> bool:
        ledger, stage = self.stage.runtime.ledger, self.stage
        ready = [one for one in await billings.ready(ledger, per_tenant=1) if one.tenant == self.tenant]
        if ready:
            await self._deliver(ready[0])
            return True
        sought = [(one.id, one.changed_at, self._waits) for one, _ in await billings.seekers(ledger, self.tenant)]
        if sought and self._looked.get(0) != tuple(sought):
            self._looked[0] = tuple(sought)
            await self._look()
            return True
        unfinished = [one for one in await self.billings() if one.status not in FINAL]
        for one in unfinished:
            if one.lease_until is not None:
                await self._wait(one.lease_until - stage.now() + timedelta(seconds=1))
                await self._sweep()
                return True
            if one.not_before is not None and one.not_before > stage.now() and not await self._is_stopped():
                await self._wait(one.not_before - stage.now())
                return True
        if any(one.status in UNRESOLVED for one in unfinished) and self._waits < WAITS:
            self._waits += 1
            await self._wait(ALL_IS_OVER)
            return True
        return False

    async def _is_stopped(self) -> bool:
        """Whether the company is paused or blocked, for everybody to see."""
        tenant = await tenants.get(self.stage.runtime.ledger, self.tenant)
        return tenant is None or tenant.paused or bool(await blocks.every(self.stage.runtime.ledger, self.tenant))

    def _awake(self) -> list[Actor]:
        return [actor for actor in self.stage.actors if not actor.frozen]

    async def _deliver(self, billing: Billing | Ready) -> None:
        actor = await self.stage.deliver(billing)
        self._tell(f"{actor.name} gets a message: {billing.step.value}")

    async def _look(self) -> None:
        actor = await self.stage.look(self.tenant)
        self._tell(f"{actor.name} is to look")

    async def _wait(self, duration: timedelta) -> None:
        self.stage.go_to(self.stage.now() + duration)
        self._tell(f"it is {self.stage.now():%d %b %H:%M:%S}")

    async def _sweep(self) -> None:
        ledger = self.stage.runtime.ledger
        for billing in await billings.expired(ledger):
            if billing.tenant == self.tenant and await billings.take_over(ledger, billing.id):
                self._tell(f"the sweeper takes over {_told(billing)}")

    async def _poll(self) -> None:
        runtime = self.stage.runtime
        tenant = await tenants.get(runtime.ledger, self.tenant)
        assert tenant is not None
        producer = Producer(runtime.settings, runtime.ledger, runtime.redis, runtime.fortnox, runtime.high_water)
        await producer.pass_over(tenant)
        self._tell(f"the producer has planned: {[_told(one) for one in await self.billings()]}")

    # What disturbs it -------------------------------------------------------------------------------------------------

    async def _strike(self, disturbance: Disturbance) -> None:
        """Lets it happen; nothing where it cannot."""
        before = len(self.history)
        self._tell(f"{disturbance.value.upper()}:")
        if not await self._struck(disturbance):
            del self.history[before:]
        await self._check()

    async def _struck(self, disturbance: Disturbance) -> bool:
        stage, awake = self.stage, self._awake()
        match disturbance:
            case Disturbance.FREEZE if awake:
                awake[0].frozen = True
                self._tell(f"{awake[0].name} stands at {_where(awake[0])}")
            case Disturbance.THAW if frozen := [actor for actor in stage.actors if actor.frozen]:
                frozen[0].frozen = False
                self._goes_first(frozen[0])
                self._tell(f"{frozen[0].name} stands at {_where(frozen[0])}")
            case Disturbance.KILL if awake:
                self._tell(f"{awake[0].name} stood at {_where(awake[0])}")
                stage.kill(awake[0])
            case Disturbance.AGAIN if unfinished := [one for one in await self.billings() if one.status not in FINAL]:
                await self._deliver(unfinished[-1])
                self._goes_first(stage.actors[-1])
            case Disturbance.LOOK:
                await self._look()
                self._goes_first(stage.actors[-1])
            case _ if disturbance in SPOILS:
                self._spoiled.append(disturbance)
            case Disturbance.ACT_LATE if late := [one for one in stage.calls if one.given_up and one.may_still_act]:
                self._tell(f"Fortnox acts: {late[0].request}")
                await stage.act(late[0])
            case Disturbance.REVOKE:
                stage.sandbox.running.gateway.tokens.revoke(self.tenant)
            case Disturbance.LEASES:
                await self._wait(LEASE_RUNS_OUT)
            case Disturbance.NEARLY:
                await self._wait(TOKEN_NEARLY_EXPIRES)
            case Disturbance.OVER:
                await self._wait(ALL_IS_OVER)
            case Disturbance.SWEEP:
                await self._sweep()
            case Disturbance.POLL:
                await self._poll()
            case _:
                return disturbance in FOR_PEOPLE and await self._person(disturbance)
        return True

    async def _spoil(self, call: Call, disturbance: Disturbance) -> None:
        """Something else than its answer for a call that is waited for."""
        stage = self.stage
        if disturbance in (Disturbance.CUT_AFTER, Disturbance.STUMBLE_AFTER) and call.may_still_act:
            await stage.act(call)
        if disturbance in (Disturbance.STUMBLE, Disturbance.THROTTLE, Disturbance.REFUSE) and not call.acted:
            call.over = True
        # What has acted cannot be refused any more.
        refusal = REFUSALS.get(disturbance, STUMBLED) if call.over else STUMBLED
        is_cut = disturbance in (Disturbance.CUT, Disturbance.CUT_AFTER)
        done = "done" if call.acted else "not done"
        self._tell(f"{call.by.name} gets no answer: {done}, {'cut' if is_cut else refusal.status}")
        await stage.answer(call, None if is_cut else stage.refusal(refusal))

    def _goes_first(self, actor: Actor) -> None:
        self.stage.actors.remove(actor)
        self.stage.actors.insert(0, actor)

    async def _person(self, disturbance: Disturbance) -> bool:
        ledger, by = self.stage.runtime.ledger, "anna"
        newest = max(self._live(), key=lambda one: one.number, default=None)
        match disturbance:
            case Disturbance.CLICK:
                self._clicks += 1
                self._in_fortnox("create_invoice", contract=CONTRACT)
            case Disturbance.CORRECT if newest is not None:
                self._in_fortnox("cancel", invoice=newest.number)
                days = {"period_start": newest.period_start, "period_end": newest.period_end}
                self._in_fortnox("set_period", contract=CONTRACT, **days)
            case Disturbance.CREDIT if newest is not None:
                self._in_fortnox("credit", invoice=newest.number)
            case Disturbance.BOOK if newest is not None and not newest.booked:
                self._in_fortnox("bookkeep", invoice=newest.number)
            case Disturbance.PAUSE:
                await pauses.pause(ledger, "tenant", tenant=self.tenant, by=by)
            case Disturbance.RESUME:
                await pauses.resume(ledger, "tenant", tenant=self.tenant, by=by)
            case _ if disturbance in DECISIONS:
                return await self._decide(disturbance)
            case _:
                return False
        return True

    async def _decide(self, decision: Disturbance) -> bool:
        """She decides so of every billing of which she may."""
        decided = False
        for one in await self.billings():
            try:
                after = await DECISIONS[decision](self.stage.runtime, one.id)
            except billings.NotPossible:
                continue
            decided = True
            if decision is Disturbance.KEEP:
                self._kept.add(after.invoice)
        return decided

    def _in_fortnox(self, action: str, **about: Any) -> None:
        deed = person.Deed.model_validate({"action": action, **about})
        try:
            person.do(self.stage.sandbox.world, self.books, deed)
        except Refusal as refusal:
            self._tell(f"{action}: {refusal}")
        else:
            self._tell(f"{action} {about}")

    # What must hold ---------------------------------------------------------------------------------------------------

    def _called(self, call: Call) -> None:
        """No call is made while an earlier one for the same billing's step has taken effect, or still may."""
        # What a person has cancelled since is undone.
        undone = call.by.work == Step.CREATE and not any(one.created_by is By.API for one in self._live())
        for earlier in self.stage.calls:
            same = (earlier.by.billing, earlier.by.work) == (call.by.billing, call.by.work)
            stands = earlier.took_effect and not undone
            if same and (stands or earlier.may_still_act):
                what = "has taken effect" if stands else "may still act"
                self._wrong.append(f"{call.request} by {call.by.name}, while {earlier.by.name}'s {what}")

    async def _check(self) -> None:
        """What holds at every moment."""
        stood = await self.billings()
        overdue = [f"{request}, whose lease had run out" for request in self.stage.overdue]
        wrong = [*self._wrong, *overdue, *self._wrong_in_the_books(), *self._callable_again(stood)]
        if wrong:
            raise Wrong("; ".join(wrong))

    def _wrong_in_the_books(self) -> Iterator[str]:
        made = [one for one in self.books.invoices.values() if one.created_by is By.API and not one.credit]
        starts = [one.period_start for one in self._live()]
        if len(starts) != len(set(starts)):
            yield f"two live invoices of a period: {starts}"
        for one in made:
            ours = [deed.action for deed in one.deeds if deed.by is By.API]
            booked, sent = ours.count("bookkeep"), ours.count("email")
            if booked > 1 or sent > 1:
                yield f"invoice {one.number} was booked {booked} times and sent {sent} times by us"
            is_early = one.period_start != FEBRUARY[0] and one.number not in self._kept
            if is_early and (booked or sent or not self._clicks):
                yield f"invoice {one.number} is early: clicks {self._clicks}, booked {booked}, sent {sent}"

    def _callable_again(self, stood: Sequence[Billing]) -> Iterator[str]:
        """Where the invoice of the period stands by a call of ours, no billing may wait to make it."""
        owned = {one.invoice for one in stood}
        waits = any((one.step, one.status) == (Step.CREATE, Status.WAITING) for one in stood)
        for one in self._live():
            if waits and one.created_by is By.API and one.period_start == FEBRUARY[0] and one.number not in owned:
                yield f"invoice {one.number} stands by our call, and may be made again: {[_told(it) for it in stood]}"

    async def _judge_the_end(self, struck: set[Disturbance]) -> None:
        """What holds when nothing goes on by itself any more."""
        ledger, stood = self.stage.runtime.ledger, await self.billings()
        for one in stood:
            last = (await audit.entries(ledger, billing=one.id))[-1]
            if (last.after["step"], last.after["status"]) != (one.step.value, one.status.value):
                raise Wrong(f"the audit says {last.after} of {_told(one)}")
            by_itself = one.status in (Status.CLAIMED, Status.SEEKING) or (
                one.status is Status.WAITING and not await self._is_stopped()
            )
            if by_itself or (one.status not in {*FINAL, Status.WAITING} and one.reason is None):
                raise Wrong(f"nobody sees, and nothing moves, {_told(one)}")
        await self._judge_strangers(stood)
        if self._proven and not struck & FOR_PEOPLE and [one.period_start for one in self._live()] != [FEBRUARY[0]]:
            raise Wrong(f"the invoice is not made: {[_told(one) for one in stood]}")

    async def _judge_strangers(self, stood: Sequence[Billing]) -> None:
        """An invoice that stands by a call of ours is a billing's; or a billing or the company stands still for it; or
        at the very least the next morning's proof names it."""
        owned, runtime = {one.invoice for one in stood}, self.stage.runtime
        strange = [one.number for one in self._live() if one.created_by is By.API and one.number not in owned]
        stands_still = any(one.status in {*UNRESOLVED, Status.PARKED, Status.HELD, Status.SKIPPED} for one in stood)
        if not strange or stands_still or await self._is_stopped():
            return
        tenant = await tenants.get(runtime.ledger, self.tenant)
        assert tenant is not None
        proof = await reconcile(runtime.ledger, runtime.fortnox, tenant, runtime.settings.clock.today())
        named = {number for line in proof.lines if line.finding not in SETTLED for number in line.invoices}
        if not named >= set(strange):
            raise Wrong(f"invoices {strange} stand by our call, and nobody says so: {[_told(one) for one in stood]}")

    def _live(self) -> list[Invoice]:
        return [
            one
            for one in self.books.invoices.values()
            if one.contract_reference == CONTRACT and not (one.cancelled or one.credit or one.credit_reference)
        ]

    def _tell(self, what: str) -> None:
        self.history.append(what)


def _where(actor: Actor) -> str:
    if actor.ended:
        return "end"
    return "in Fortnox' hands" if actor.call is not None else actor.at


def _told(billing: Billing) -> str:
    reason = f" {billing.reason.value}" if billing.reason else ""
    return f"{billing.period} {billing.step.value} {billing.status.value}{reason} (invoice {billing.invoice})"
