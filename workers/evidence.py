"""The pool that looks for what calls have done: one look a tenant for all its billings that need one.

It makes no call with an effect. What it finds moves a billing on; what it does not find moves nothing until the call
can no longer have an effect: absence is not proof (design, section 6).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import structlog
from redis.exceptions import RedisError

from common.clock import STOCKHOLM
from common.fortnox import errors
from common.ids import InvoiceNumber, TenantId
from common.ledger import billings, invoices, tenants
from common.ledger.early import take_in_late
from common.ledger.outcomes import Again, Booked, Delivered, Doubt, Made, Outcome, Park, Seek, Void
from common.ledger.records import Attempt, AttemptVerdict, Billing, Invoice
from common.rules.reasons import Reason
from common.rules.states import Delivery, Status, Step
from workers.absence import in_words, is_believable
from workers.delivery import is_open
from workers.freshness import read_contract, read_invoice
from workers.invoice_state import changed_or_gone, invoice_of
from workers.invoicing import EARLY, surprise
from workers.look import Look, later_one, look
from workers.runtime import Runtime
from workers.steps import pause_after, told
from workers.verification import is_live, is_unclear, objections

log = structlog.get_logger()

HELD_FOR = 15.0
"""Seconds for which a worker that has died while it looked keeps others from looking at the tenant; one that lives
renews it three times as often."""

OF_ONE_DOCUMENT = (errors.Missing, errors.Invalid, errors.Faulty, errors.Unreadable, errors.Unexpected)
"""What may be wrong with one document for ever, and says nothing of the next."""

FINANCE_OPEN_WITHIN = timedelta(hours=24)
"""A hand-over to Fakturatjänster that is not open by then is for a person (design, section 7)."""


async def seek_evidence(runtime: Runtime, tenant: TenantId) -> None:
    """Looks once for everything of the tenant that waits for evidence, unless another worker is just doing that."""
    async with only_one(runtime, tenant) as alone:
        if alone:
            await _seek(runtime, tenant)
    await runtime.ring()


@contextlib.asynccontextmanager
async def only_one(runtime: Runtime, tenant: TenantId) -> AsyncIterator[bool]:
    """Whether this worker is the one that looks at the tenant now. Two would read the same invoices, nothing worse."""
    key, mine = f"avtalsmotor:looking:{tenant}", f"{runtime.name}:{uuid4()}"
    if not await runtime.slots.set(key, mine, nx=True, px=int(HELD_FOR * 1000)):
        yield False
        return
    renewing = asyncio.create_task(_renew(runtime, key))
    try:
        yield True
    finally:
        renewing.cancel()
        if await runtime.slots.get(key) == mine.encode():
            await runtime.slots.delete(key)


async def _renew(runtime: Runtime, key: str) -> None:
    while True:
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
                await _read(_seek_late_effects(runtime, tenant, outrun))
            if creates:
                unread = await _read(_seek_invoices(runtime, tenant, creates))
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
            await _resolve(runtime, billing, attempt, outcome, "Fortnox said yes, and its invoices cannot be read")


async def _was_not_done(runtime: Runtime, billing: Billing, attempt: Attempt) -> bool:
    """Sets a billing waiting whose call, given up long ago, was refused or never sent: that came late, but it is sure.

    Only what came after the doubt counts: a doubt that is younger than the answer is about something else.
    """
    late = attempt.answered_at is not None and attempt.answered_at > billing.changed_at
    if billing.status is not Status.IN_DOUBT or not late or attempt.verdict not in ("rejected", "not_sent"):
        return False
    outcome = Again(Reason.NOT_SENT, pause_after(billing.failures))
    await _resolve(runtime, billing, attempt, outcome, f"the call was answered late: {attempt.message}", verdict=None)
    return True


async def _seek_invoices(runtime: Runtime, tenant: TenantId, creates: Sequence[tuple[Billing, Attempt]]) -> None:
    seen = await _look_for(runtime, tenant, creates)
    for billing, attempt in creates:
        live = await _live_invoices(runtime, billing)
        if live:
            await _adopt(runtime, billing, attempt, live, seen)
        else:
            await _not_found(runtime, billing, attempt, seen)


async def _look_for(runtime: Runtime, tenant: TenantId, creates: Sequence[tuple[Billing, Attempt]]) -> Look:
    return await look(
        runtime.ledger,
        runtime.fortnox,
        tenant,
        above=min((attempt.newest_invoice_before or InvoiceNumber(0) for _, attempt in creates)),
        customers=frozenset(billing.customer_number for billing, _ in creates),
    )


async def _live_invoices(runtime: Runtime, billing: Billing) -> Sequence[Invoice]:
    """The mirrored invoices of the billing's contract and period that stand, oldest first."""
    found = await invoices.of_contract(runtime.ledger, billing.tenant, billing.contract, billing.period)
    return sorted((invoice for invoice in found if is_live(invoice)), key=lambda invoice: invoice.number)


async def _not_found(runtime: Runtime, billing: Billing, attempt: Attempt, seen: Look) -> None:
    """Absence moves nothing, but for `_believe_absence`; an invoice that does not say what it is of contradicts it."""
    unclear = next((invoice for invoice in seen.invoices if is_unclear(invoice, billing)), None)
    astray = await _made_astray(runtime, billing, attempt, seen)
    waited = runtime.settings.clock.now() - billing.changed_at
    if unclear is not None:
        facts = {"invoice": str(unclear.number), "contract": str(unclear.contract or "not told"), "period": "not told"}
        await _resolve(
            runtime, billing, attempt, Park(Reason.UNVERIFIED, facts), f"invoice {unclear.number} is unclear"
        )
    elif astray is not None:
        # Somebody changed the contract's period between our look and our call; or made this one by hand just now.
        facts = {"invoice": str(astray.number), "period": f"{astray.period}, not {billing.period}"}
        note = f"invoice {astray.number} of {astray.period} is newer than the call, and nobody's"
        await _resolve(runtime, billing, attempt, Park(Reason.UNVERIFIED, facts), note)
    elif billing.status is Status.SEEKING and waited > runtime.settle:
        note = f"Fortnox said yes, and shows no invoice after {runtime.settle}"
        await _resolve(runtime, billing, attempt, Doubt(Reason.NUMBER_UNKNOWN), note)
    elif seen.complete and is_believable(attempt, runtime.settings.clock.now(), runtime.settle):
        await _believe_absence(runtime, billing, attempt)
    else:
        log.info("evidence_not_found", billing=billing.id, status=billing.status.value)


async def _made_astray(runtime: Runtime, billing: Billing, attempt: Attempt, seen: Look) -> Invoice | None:
    """A new invoice of the contract, of another period than the one asked for, that no billing has."""
    mark = attempt.newest_invoice_before or InvoiceNumber(0)
    for invoice in seen.invoices:
        if not is_live(invoice) or invoice.contract != billing.contract or invoice.number <= mark:
            continue
        if invoice.period != billing.period:
            owner = await billings.owner_of(runtime.ledger, billing.tenant, invoice.number)
            if owner is None:
                return invoice
    return None


async def _believe_absence(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """Makes the invoice after all, once nothing can still come of the call that was in doubt (design, section 6).

    A second complete look, begun now, must not find it either; looking must have found an invoice of this company
    before, so that it is known to work here; and the contract must still show the period.
    """
    tenant = await tenants.get(runtime.ledger, billing.tenant)
    if tenant is None or not tenant.creates_proven:
        log.info("absence_not_believed", billing=billing.id, why="no invoice of the company was ever found by looking")
        return
    shown = (await read_contract(runtime.ledger, runtime.fortnox, billing.tenant, billing.contract)).view
    again = await _look_for(runtime, billing.tenant, [(billing, attempt)])
    live = await _live_invoices(runtime, billing)
    if live:
        await _adopt(runtime, billing, attempt, live, again)
    elif not again.complete or any(is_unclear(invoice, billing) for invoice in again.invoices):
        log.info("absence_not_believed", billing=billing.id, why="the second look was not complete or not clear")
    elif shown.period != billing.period:
        log.info("absence_not_believed", billing=billing.id, why="the contract shows another period")
    else:
        outcome = Again(Reason.NOT_SENT, timedelta(0))
        note = f"no invoice after the token of the call had expired at {in_words(attempt.token_expires_at)}"
        await _resolve(runtime, billing, attempt, outcome, note, verdict="absent")


async def _adopt(runtime: Runtime, billing: Billing, attempt: Attempt, live: Sequence[Invoice], seen: Look) -> None:
    """Takes the invoice that was found; says so loudly where there are two, for that must never be."""
    first, others = live[0], live[1:]
    note = f"invoice {first.number} carries this contract and this period"
    early = await _made_too_early(runtime, billing, attempt)
    if early is not None:
        await _take_in_both(runtime, billing, attempt, first, early)
        return
    astray = await _made_astray(runtime, billing, attempt, seen) if is_uncertain(billing) else None
    if astray is not None:
        await _leave_to_a_person(runtime, billing, attempt, first, astray)
        return
    if EARLY in billing.detail and runtime.settings.clock.now() - billing.changed_at <= runtime.settle:
        log.info("early_invoice_not_found", billing=billing.id)
        return
    found = objections(first, as_called(billing, attempt, first))
    outcome: Outcome = Park(Reason.UNVERIFIED, {"invoice": str(first.number), **found}) if found else Made(first)
    if others:
        await surprise(runtime, billing, {"invoices": ", ".join(str(one.number) for one in live)})
    await _resolve(runtime, billing, attempt, outcome, note)


def is_uncertain(billing: Billing) -> bool:
    """Whether the invoice of the period may be a person's, and another one ours."""
    return billing.status is Status.IN_DOUBT or EARLY in billing.detail


async def _leave_to_a_person(
    runtime: Runtime, billing: Billing, attempt: Attempt, of_period: Invoice, astray: Invoice
) -> None:
    """Somebody made the invoice by hand and changed the contract's period, all between our look and our call."""
    facts = {
        "invoice": str(astray.number),
        "period": f"{astray.period}, not {billing.period}",
        "invoice of the period": str(of_period.number),
    }
    if EARLY not in billing.detail:
        await surprise(runtime, billing, facts)
    note = f"invoice {of_period.number} is of the period; {astray.number} is newer than the call, and nobody's"
    await _resolve(runtime, billing, attempt, Park(Reason.UNVERIFIED, facts), note)


def as_called(billing: Billing, attempt: Attempt, invoice: Invoice) -> Billing:
    """The billing with the date that was asked for. In the time that an old ledger has lost that may have been any day
    from the planned one on (`claims` never dates an invoice back)."""
    dated, last = invoice.invoice_date, attempt.called_at.astimezone(STOCKHOLM).date()
    if attempt.stood is None or dated is None or not billing.invoice_date <= dated <= last:
        return billing
    return replace(billing, invoice_date=dated)


async def _made_too_early(runtime: Runtime, billing: Billing, attempt: Attempt) -> Invoice | None:
    """The invoice of a later period that our call has made, because a person had just made that of the period asked
    for (design, section 6: the click in between).

    Where Fortnox has said yes to the period asked for there is none: a later one is then a person's own affair.
    """
    if not is_uncertain(billing):
        return None
    return await later_one(runtime.ledger, billing, attempt)


async def _seek_late_effects(runtime: Runtime, tenant: TenantId, outrun: Sequence[tuple[Billing, Attempt]]) -> None:
    """A call that was never answered may act when its billing has long gone on with an invoice that somebody made by
    hand: then it has made the next period's."""
    await _look_for(runtime, tenant, outrun)
    for billing, attempt in outrun:
        early = await later_one(runtime.ledger, billing, attempt)
        if early is None:
            continue
        taken_in = await take_in_late(runtime.ledger, billing.id, early, runtime.name)
        if taken_in is not None:
            log.warning("call_acted_late", billing=billing.id, invoice=early.number, taken_in_as=taken_in.id)
            await surprise(runtime, billing, {"invoice": str(early.number), "its period": str(early.period)})


async def _take_in_both(runtime: Runtime, billing: Billing, attempt: Attempt, by_hand: Invoice, early: Invoice) -> None:
    """The invoice of the period is a person's, and is taken in as that; ours is parked before its time."""
    if EARLY not in billing.detail:
        await surprise(runtime, billing, {"invoice": str(early.number), "its period": str(early.period)})
    note = f"invoice {by_hand.number} was made by hand, and invoice {early.number} of {early.period} by our call"
    await _resolve(runtime, billing, attempt, Made(by_hand, handmade=True, early=early), note)


async def _seek_booking(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """Presence adopts. Absence permits another try once nothing can come of the first any more: Fortnox books an
    invoice once, and refuses what is booked, which is then read and adopted (API notes 2.5)."""
    begun = runtime.settings.clock.now()
    invoice = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, invoice_of(billing))
    objection = changed_or_gone(invoice, billing)
    if invoice.booked:
        await _resolve(runtime, billing, attempt, Booked(invoice), f"invoice {invoice.number} is booked")
    elif isinstance(objection, Void):
        await _resolve(
            runtime, billing, attempt, objection, f"invoice {invoice.number} no longer stands", verdict="absent"
        )
    elif is_believable(attempt, begun, runtime.settle):
        note = f"not booked after the token of the call had expired at {in_words(attempt.token_expires_at)}"
        await _resolve(runtime, billing, attempt, Again(Reason.NOT_SENT), note, verdict="absent")


async def _seek_delivery(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """Presence adopts; absence never permits a second sending (design, section 7).

    Handed over is not delivered: that is followed until Fakturatjänster says that it is open.
    """
    invoice = await read_invoice(runtime.ledger, runtime.fortnox, billing.tenant, invoice_of(billing))
    if billing.policy.deliver is Delivery.FINANCE:
        if invoice.nox_finans:
            await _resolve(
                runtime, billing, attempt, Seek(), f"invoice {invoice.number} is handed over to Fakturatjänster"
            )
    elif invoice.sent and Reason.SENT_BEFORE not in billing.approved:
        # What was marked as sent before our call proves nothing of it.
        await _resolve(runtime, billing, attempt, Delivered("sent"), f"invoice {invoice.number} is sent")
    elif isinstance(gone := changed_or_gone(invoice, billing), Void):
        # Whether it was sent stays unknown, and no longer matters: nothing will be sent.
        await _resolve(runtime, billing, attempt, gone, f"invoice {invoice.number} no longer stands", verdict=None)


async def _follow_hand_over(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """A hand-over is delivered when Fakturatjänster says that it is open."""
    try:
        answer = (await runtime.fortnox.finance_invoice(billing.tenant, invoice_of(billing))).value
        status, opened = answer.status, is_open(answer)
    except OF_ONE_DOCUMENT as error:
        log.warning("evidence_not_read", error=str(error))
        status, opened = str(error), False
    if opened:
        await _resolve(runtime, billing, attempt, Delivered("Fakturatjänster"), f"Fakturatjänster: {status}")
    elif runtime.settings.clock.now() - attempt.called_at > FINANCE_OPEN_WITHIN:
        await _resolve(
            runtime, billing, attempt, Park(Reason.FINANCE_NOT_OPEN, {"status": status}), f"Fakturatjänster: {status}"
        )


async def _resolve(
    runtime: Runtime,
    billing: Billing,
    attempt: Attempt,
    outcome: Outcome,
    note: str,
    *,
    verdict: AttemptVerdict | None = "acted",
) -> None:
    moved = await billings.resolve(
        runtime.ledger,
        billing.id,
        billing.step,
        outcome,
        by=runtime.name,
        verdict=verdict,
        note=note,
        looked_for=attempt.id,
    )
    log.info("evidence_found", billing=billing.id, note=note, moved=moved, **told(outcome))
