"""The pool that looks for what calls have done: one look a tenant for all its billings that need one.

It makes no call with an effect. What it finds moves a billing on; what it does not find moves nothing until the call
can no longer have an effect: absence is not proof (design, section 6).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from uuid import uuid4

import structlog
from redis.exceptions import RedisError

from common.fortnox import errors
from common.ids import TenantId
from common.ledger import billings
from common.ledger.outcomes import Again, Booked, Delivered, Doubt, Park, Seek, Void
from common.ledger.records import Attempt, Billing
from common.rules.reasons import Reason
from common.rules.states import Delivery, Status, Step
from workers.absence import in_words, is_believable
from workers.conclusion import conclude
from workers.delivery import is_open
from workers.freshness import read_invoice
from workers.invoice_state import changed_or_gone, invoice_of
from workers.made_invoices import seek_invoices, seek_late_effects
from workers.runtime import Runtime
from workers.steps import AWAY, pause_after

log = structlog.get_logger()

HELD_FOR = 15.0
"""Seconds for which a worker that has died while it looked keeps others from looking at the tenant; one that lives
renews it three times as often."""

OF_ONE_DOCUMENT = (errors.Missing, errors.Invalid, errors.Faulty, errors.Unreadable, errors.Unexpected)
"""What may be wrong with one document for ever, and says nothing of the next."""

FINANCE_OPEN_WITHIN = timedelta(hours=24)
"""A hand-over to Fakturatjänster that is not open by then is for a person (design, section 7)."""


async def seek_evidence(runtime: Runtime, tenant: TenantId) -> None:
    """Looks once for everything of the tenant that waits for evidence, unless another worker is just doing that.

    Raises LetGo when the process is told to stop meanwhile: what is found is written down finding by finding.
    """
    try:
        async with only_one(runtime, tenant) as alone:
            if alone:
                async with runtime.in_hand.free():
                    await _seek(runtime, tenant)
    except AWAY as error:
        # The feeder asks again, as after any look that finds nothing.
        log.warning("evidence_not_looked_for", tenant=tenant, error=str(error))
    await runtime.ring()


@contextlib.asynccontextmanager
async def only_one(runtime: Runtime, tenant: TenantId) -> AsyncIterator[bool]:
    """Whether this worker is the one that looks at the tenant now. Two would read the same invoices, nothing worse."""
    key, mine = f"avtalsmotor:looking:{tenant}", f"{runtime.name}:{uuid4()}"
    if not await runtime.slots.set(key, mine, nx=True, px=int(HELD_FOR * 1000)):
        yield False
        return
    done = asyncio.Event()
    renewing = asyncio.create_task(_renew(runtime, key, done))
    try:
        yield True
    finally:
        done.set()
        renewing.cancel()
        if await runtime.slots.get(key) == mine.encode():
            await runtime.slots.delete(key)


async def _renew(runtime: Runtime, key: str, done: asyncio.Event) -> None:
    # Not by its cancellation alone: Redis' client loses one that comes as a send ends.
    while not done.is_set():
        await asyncio.sleep(HELD_FOR / 3)
        with contextlib.suppress(RedisError):
            await runtime.slots.pexpire(key, int(HELD_FOR * 1000))


async def _seek(runtime: Runtime, tenant: TenantId) -> None:
    sought = [
        (billing, attempt)
        for billing, attempt in await billings.seekers(runtime.ledger, tenant)
        if not await _was_not_done(runtime, billing, attempt)
    ]
    creates = [(billing, attempt) for billing, attempt in sought if billing.step is Step.CREATE]
    outrun = await billings.outrun(runtime.ledger, tenant)
    with structlog.contextvars.bound_contextvars(tenant=tenant):
        try:
            if outrun:
                await _read(seek_late_effects(runtime, tenant, outrun))
            if creates:
                unread = await _read(seek_invoices(runtime, tenant, creates))
                if unread is not None:
                    await _doubt_what_is_not_seen(runtime, creates, unread)
            for billing, attempt in sought:
                match billing.step, billing.status:
                    case Step.BOOKKEEP, _:
                        await _read(_seek_booking(runtime, billing, attempt))
                    case Step.DELIVER, Status.SEEKING:
                        await _follow_hand_over(runtime, billing, attempt)
                    case Step.DELIVER, _:
                        await _read(_seek_delivery(runtime, billing, attempt))
        except (errors.FortnoxError, errors.NotSent) as error:
            # Nothing is lost: the feeder asks again, with growing pauses, as long as something is sought.
            log.warning("evidence_not_read", error=str(error))


async def _read(look: Awaitable[None]) -> errors.FortnoxError | None:
    """Looks for one thing. What is wrong with a document of that keeps nothing else from being looked for; it is
    returned."""
    try:
        await look
    except OF_ONE_DOCUMENT as error:
        log.warning("evidence_not_read", error=str(error))
        return error
    return None


async def _doubt_what_is_not_seen(
    runtime: Runtime, creates: Sequence[tuple[Billing, Attempt]], error: errors.FortnoxError
) -> None:
    """What Fortnox said yes to needs somebody, too, when it is an unreadable invoice that keeps it from being found."""
    for billing, attempt in creates:
        if billing.status is Status.SEEKING and runtime.settings.clock.now() - billing.changed_at > runtime.settle:
            outcome = Doubt(Reason.NUMBER_UNKNOWN, {"answer": str(error)})
            await conclude(runtime, billing, attempt, outcome, "Fortnox said yes, and its invoices cannot be read")


async def _was_not_done(runtime: Runtime, billing: Billing, attempt: Attempt) -> bool:
    """Sets a billing waiting whose call, given up long ago, was refused or never sent: that came late, but it is sure.

    Only what came after the doubt counts: a doubt that is younger than the answer is about something else.
    """
    late = attempt.answered_at is not None and attempt.answered_at > billing.changed_at
    if billing.status is not Status.IN_DOUBT or not late or attempt.verdict not in ("rejected", "not_sent"):
        return False
    outcome = Again(Reason.NOT_SENT, pause_after(billing.failures))
    await conclude(runtime, billing, attempt, outcome, f"the call was answered late: {attempt.message}", verdict=None)
    return True


async def _seek_booking(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """Presence adopts. Absence permits another try once nothing can come of the first any more: Fortnox books an
    invoice once, and refuses what is booked, which is then read and adopted (API notes 2.5)."""
    begun = runtime.settings.clock.now()
    invoice = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, invoice_of(billing))
    objection = changed_or_gone(invoice, billing)
    if invoice.booked:
        await conclude(runtime, billing, attempt, Booked(invoice), f"invoice {invoice.number} is booked")
    elif isinstance(objection, Void):
        await conclude(
            runtime, billing, attempt, objection, f"invoice {invoice.number} no longer stands", verdict="absent"
        )
    elif is_believable(attempt, begun, runtime.settle):
        note = f"not booked after the token of the call had expired at {in_words(attempt.token_expires_at)}"
        await conclude(runtime, billing, attempt, Again(Reason.NOT_SENT), note, verdict="absent")


async def _seek_delivery(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """Presence adopts; absence never permits a second sending (design, section 7).

    Handed over is not delivered: that is followed until Fakturatjänster says that it is open.
    """
    invoice = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, invoice_of(billing))
    if billing.policy.deliver is Delivery.FINANCE:
        if invoice.nox_finans:
            await conclude(
                runtime, billing, attempt, Seek(), f"invoice {invoice.number} is handed over to Fakturatjänster"
            )
    elif invoice.sent and Reason.SENT_BEFORE not in billing.approved:
        # What was marked as sent before our call proves nothing of it.
        await conclude(runtime, billing, attempt, Delivered("sent"), f"invoice {invoice.number} is sent")
    elif isinstance(gone := changed_or_gone(invoice, billing), Void):
        # Whether it was sent stays unknown, and no longer matters: nothing will be sent.
        await conclude(runtime, billing, attempt, gone, f"invoice {invoice.number} no longer stands", verdict=None)


async def _follow_hand_over(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """A hand-over is delivered when Fakturatjänster says that it is open."""
    try:
        answer = (await runtime.fortnox.finance_invoice(billing.tenant, invoice_of(billing))).value
        status, opened = answer.status, is_open(answer)
    except OF_ONE_DOCUMENT as error:
        log.warning("evidence_not_read", error=str(error))
        status, opened = str(error), False
    if opened:
        await conclude(runtime, billing, attempt, Delivered("Fakturatjänster"), f"Fakturatjänster: {status}")
    elif runtime.settings.clock.now() - attempt.called_at > FINANCE_OPEN_WITHIN:
        await conclude(
            runtime, billing, attempt, Park(Reason.FINANCE_NOT_OPEN, {"status": status}), f"Fakturatjänster: {status}"
        )
