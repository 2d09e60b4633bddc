"""The one way in which a step is carried out: prepare, permit, claim, call, settle.

Everything that makes a second invoice impossible happens in this order and nowhere else (design, sections 5 and 6). A
step adds what is its own: what must be known before the call, the call, and what its answer means. Nothing here ever
repeats a call: whatever is unclear is written down as in doubt and looked for by the evidence pool.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from common.clock import boottime
from common.fortnox import errors
from common.fortnox.answers import Reply
from common.fortnox.requests import Permit
from common.ids import BillingId
from common.ledger import billings, tenants
from common.ledger.database import LedgerError
from common.ledger.outcomes import Again, Answer, Doubt, Outcome, Park, Refused, sought_until
from common.ledger.records import Billing, Claim
from common.rules.reasons import Reason, of_refusal
from common.rules.states import Status, Step
from workers.absence import believable_from
from workers.runtime import Runtime

log = structlog.get_logger()

PATIENCE = 3
"""How many times in a row an answer that passes by itself (401 with a new token, say) is tried before a person is
asked."""


AWAY = (OSError, RedisError, DBAPIError)
"""What it looks like when Redis or the database is away for a while."""

Value = TypeVar("Value")


class Work(Protocol[Value]):
    """What one step adds to the common way."""

    step: Step

    async def prepare(self, runtime: Runtime, billing: Billing) -> Outcome | None:
        """What must be known before the call. An outcome: no call is needed, or none may be made."""

    async def call(self, runtime: Runtime, permit: Permit, billing: Billing) -> Reply[Value]:
        """The call itself: exactly one request."""

    async def judge(self, runtime: Runtime, billing: Billing, reply: Reply[Value]) -> Outcome:
        """What the answer to the call says."""

    async def refused(self, runtime: Runtime, billing: Billing, refusal: errors.Rejected) -> Outcome:
        """What a refusal means; `judge_refusal` unless the step knows better."""


async def carry_out(runtime: Runtime, work: Work[Value], billing_id: BillingId) -> None:
    """Carries out one step of one billing, or finds that it is not to be done now; both are written in the ledger.

    A duplicate message ends at the first read, before it costs a slot. Raises LetGo when the process is told to stop
    before the claim.
    """
    billing = await billings.get(runtime.ledger, billing_id)
    if billing is None or billing.step is not work.step or billing.status is not Status.WAITING:
        log.debug("message_dropped", billing=billing_id, step=work.step.value)
        return
    with structlog.contextvars.bound_contextvars(
        tenant=billing.tenant, contract=billing.contract, billing=billing.id, step=work.step.value
    ):
        try:
            async with runtime.in_hand.free():
                outcome = await work.prepare(runtime, billing)
                if outcome is None:
                    permit = await runtime.fortnox.permit(billing.tenant, max_wait=runtime.longest_wait)
        except (errors.FortnoxError, errors.NotSent) as error:
            outcome = before_the_call(billing, error)
        if outcome is not None:
            moved = await billings.move(runtime.ledger, billing.id, work.step, outcome, by=runtime.name)
            log.info("step_settled_without_call", outcome=type(outcome).__name__, moved=moved, **told(outcome))
            await runtime.ring()
            return
        await _claim_and_call(runtime, work, billing, permit)


async def _claim_and_call(runtime: Runtime, work: Work[Value], billing: Billing, permit: Permit) -> None:
    tenant = await tenants.get(runtime.ledger, billing.tenant)
    claim = await billings.claim(
        runtime.ledger,
        billing.id,
        work.step,
        by=runtime.name,
        lease=runtime.lease,
        token_expires_at=permit.token.expires_at,
        newest_invoice=tenant.newest_invoice if tenant else None,
    )
    if isinstance(claim, Refused):
        log.info("claim_refused", why=claim.why.value)
        await runtime.ring()
        return
    if not (await _is_vouched_for(runtime, claim) and await _has_its_slot(runtime, claim, permit)):
        return
    if boottime() + runtime.settings.call_timeout > claim.held_until:
        # The process stood still between the commit and here. Whoever takes the lease over may not know whether the
        # request left; it has not, and now it must not.
        await _settle(runtime, claim, NOT_SENT, Again(Reason.NOT_SENT, timedelta(0), failed=False))
        return
    async with runtime.high_water.noting(claim.mark):
        await _call(runtime, work, claim, permit)


async def _is_vouched_for(runtime: Runtime, claim: Claim) -> bool:
    """Whether the claim may be acted upon: one that came over a new connection may be an older copy's (a failover).

    Raises LedgerBehind when it is; nothing is called then.
    """
    try:
        await runtime.high_water.check_new_connections()
    except LedgerError:
        await _settle(runtime, claim, NOT_VOUCHED_FOR, Again(Reason.NOT_SENT, timedelta(0), failed=False))
        raise
    except AWAY as error:
        log.warning("ledger_not_vouched_for", error=str(error))
        await _settle(runtime, claim, NOT_VOUCHED_FOR, Again(Reason.NOT_SENT, timedelta(seconds=1), failed=False))
        return False
    return True


async def _has_its_slot(runtime: Runtime, claim: Claim, permit: Permit) -> bool:
    """Whether the call has a slot that is due now: where the commit took seconds, the one before it had passed."""
    try:
        await runtime.fortnox.still_due(permit, max_wait=runtime.longest_wait)
    except errors.NoSlot as full:
        await _settle(runtime, claim, NO_SLOT, before_the_call(claim.billing, full))
        return False
    except errors.NotSent as error:
        log.warning("slot_not_asked_for_again", error=str(error))
        await _settle(runtime, claim, NO_SLOT, Again(Reason.NOT_SENT, timedelta(seconds=1), failed=False))
        return False
    return True


async def _call(runtime: Runtime, work: Work[Value], claim: Claim, permit: Permit) -> None:
    try:
        reply = await work.call(runtime, permit, claim.billing)
    except errors.Rejected as refusal:
        answer = Answer("rejected", refusal.http_status, refusal.code, refusal.message, refusal.x_uid)
        outcome = await _concluded(work.refused(runtime, claim.billing, refusal))
    except errors.InDoubt as doubt:
        answer = Answer(None, doubt.http_status, doubt.code, doubt.message, doubt.x_uid)
        outcome = Doubt(Reason.NO_ANSWER, doubted(runtime, claim, permit, doubt))
    else:
        answer = Answer("acted", reply.http_status, x_uid=reply.x_uid)
        outcome = await _concluded(work.judge(runtime, claim.billing, reply))
    await _settle(runtime, claim, answer, outcome)


def doubted(runtime: Runtime, claim: Claim, permit: Permit, doubt: errors.InDoubt) -> dict[str, str]:
    """What a person sees of a call in doubt: what came back, and for an invoice to be made, until when it is sought."""
    facts = {"answer": str(doubt)}
    if claim.billing.step is Step.CREATE and claim.billing.called_at is not None:
        until = believable_from(claim.billing.called_at, permit.token.expires_at, runtime.settle)
        facts |= sought_until(until, proven=claim.proven)
    return facts


async def _concluded(conclusion: Awaitable[Outcome]) -> Outcome:
    """What the answer means. A fault of ours on the way to that must not lose the answer: then a look decides."""
    try:
        return await conclusion
    except Exception as error:
        log.exception("answer_not_understood")
        return Doubt(Reason.NO_ANSWER, {"answer": f"{type(error).__name__} while the answer was read: {error}"})


NOT_SENT = Answer("not_sent", message="the lease had run out before the request could leave")
NO_SLOT = Answer("not_sent", message="the claim took so long that its slot had passed, and no other one was at hand")
NOT_VOUCHED_FOR = Answer("not_sent", message="it could not be told whether the ledger is an older copy")


async def _settle(runtime: Runtime, claim: Claim, answer: Answer, outcome: Outcome) -> None:
    moved = await persistently(lambda: billings.settle(runtime.ledger, claim, answer, outcome), until=claim.held_until)
    log.info(
        "step_settled",
        outcome=type(outcome).__name__,
        moved=moved,
        http_status=answer.http_status,
        code=answer.code,
        x_uid=answer.x_uid,
        **told(outcome),
    )
    await runtime.ring()


async def persistently(commit: Callable[[], Awaitable[bool]], *, until: float) -> bool:
    """Commits, again if the database is away for a moment, while the lease holds: what came back must not be lost."""
    pause = 0.1
    while True:
        try:
            return await commit()
        except (OSError, DBAPIError):
            if boottime() + pause > until:
                raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


def told(outcome: Outcome) -> dict[str, str]:
    """The reason of an outcome for the log, if it has one."""
    reason = getattr(outcome, "reason", None)
    return {"reason": reason.value} if isinstance(reason, Reason) else {}


def before_the_call(billing: Billing, error: errors.FortnoxError | errors.NotSent) -> Outcome:
    """What it means that a token, a slot or a read before the call was not to be had. Nothing has been done by then."""
    match error:
        case errors.NoSlot():
            return Again(Reason.THROTTLED, timedelta(seconds=error.wait), failed=False)
        case errors.TokenRefused():
            return Park(Reason.TOKEN_DEAD, {"answer": str(error)})
        case errors.Rejected():
            return judge_refusal(billing, error)
        case _:
            return Again(Reason.UNREACHABLE, pause_after(billing.failures), failed=True)


def judge_refusal(billing: Billing, refusal: errors.Rejected) -> Outcome:
    """What Fortnox' no means: again later where the cause passes by itself, else a person must mend something."""
    match refusal:
        case errors.Throttled():
            return Again(Reason.THROTTLED, timedelta(0), failed=False)
        case errors.Unreachable():
            return Again(Reason.UNREACHABLE, pause_after(billing.failures), failed=True)
        case errors.Unauthorized() if billing.failures < PATIENCE:
            return Again(Reason.UNAUTHORIZED, pause_after(billing.failures), failed=True)
        case errors.Unauthorized():
            return Park(Reason.TOKEN_DEAD, facts_of(refusal))
    reason = of_refusal(billing.step, refusal.http_status or 0, refusal.code, refusal.message)
    return Park(reason, facts_of(refusal))


def facts_of(error: errors.FortnoxError) -> dict[str, str]:
    """What Fortnox said, as a parked billing keeps it for the person who mends it."""
    facts = {"message": error.message}
    if error.code is not None:
        facts["code"] = str(error.code)
    if error.x_uid:
        facts["x_uid"] = error.x_uid
    return facts


def pause_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: 1, 2, 4 ... seconds, five minutes at most."""
    return timedelta(seconds=min(2.0**failures, 300.0))
