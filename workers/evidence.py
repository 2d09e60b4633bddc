"""The pool that looks for what calls have done: one look a tenant for all its billings that need one.

It makes no call with an effect. What it finds moves a billing on; what it does not find moves nothing: absence is not
proof (design, section 6).
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import uuid4

import structlog

from common.fortnox import errors
from common.ids import InvoiceNumber, TenantId
from common.ledger import billings, invoices
from common.ledger.outcomes import Booked, Delivered, Doubt, Made, Outcome, Park, Seek
from common.ledger.records import Attempt, Billing, Invoice
from common.rules.reasons import Reason
from common.rules.states import Delivery, Status, Step
from workers.delivery import is_open
from workers.freshness import read_invoice
from workers.invoice_state import invoice_of
from workers.invoicing import surprise
from workers.look import look
from workers.runtime import Runtime
from workers.steps import told
from workers.verification import is_live, is_unclear, objections

log = structlog.get_logger()

LOOK_AT_MOST_MS = 120_000
"""After so long another worker may look at the tenant, whatever became of the first."""

SETTLE = timedelta(minutes=10)
"""After so long without evidence of a call that was answered yes, a person should know (design, section 6)."""

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
    alone = bool(await runtime.slots.set(key, mine, nx=True, px=LOOK_AT_MOST_MS))
    try:
        yield alone
    finally:
        if alone and await runtime.slots.get(key) == mine.encode():
            await runtime.slots.delete(key)


async def _seek(runtime: Runtime, tenant: TenantId) -> None:
    sought = await billings.seekers(runtime.ledger, tenant)
    creates = [(billing, attempt) for billing, attempt in sought if billing.step is Step.CREATE]
    with structlog.contextvars.bound_contextvars(tenant=tenant):
        try:
            if creates:
                await _seek_invoices(runtime, tenant, creates)
            for billing, attempt in sought:
                match billing.step, billing.status:
                    case Step.BOOKKEEP, _:
                        await _seek_booking(runtime, billing)
                    case Step.DELIVER, Status.SEEKING:
                        await _follow_hand_over(runtime, billing, attempt)
                    case Step.DELIVER, _:
                        await _seek_delivery(runtime, billing)
        except (errors.FortnoxError, errors.NotSent) as error:
            # Nothing is lost: the feeder asks again, with growing pauses, as long as something is sought.
            log.warning("evidence_not_read", error=str(error))


async def _seek_invoices(runtime: Runtime, tenant: TenantId, creates: Sequence[tuple[Billing, Attempt]]) -> None:
    seen = await look(
        runtime,
        tenant,
        above=min((attempt.newest_invoice_before or InvoiceNumber(0) for _, attempt in creates)),
        customers=frozenset(billing.customer_number for billing, _ in creates),
    )
    for billing, _ in creates:
        candidates = await invoices.of_contract(runtime.ledger, tenant, billing.contract, billing.period)
        live = sorted((one for one in candidates if is_live(one)), key=lambda invoice: invoice.number)
        if live:
            await _adopt(runtime, billing, live)
        else:
            await _not_found(runtime, billing, seen)


async def _not_found(runtime: Runtime, billing: Billing, seen: Sequence[Invoice]) -> None:
    """Absence moves nothing; but a new contract invoice that does not say what it is of contradicts it."""
    unclear = next((invoice for invoice in seen if is_unclear(invoice, billing)), None)
    waited = runtime.settings.clock.now() - billing.changed_at
    if unclear is not None:
        facts = {"invoice": str(unclear.number), "contract": str(unclear.contract or "not told"), "period": "not told"}
        await _resolve(runtime, billing, Park(Reason.UNVERIFIED, facts), f"invoice {unclear.number} is unclear")
    elif billing.status is Status.SEEKING and waited > SETTLE:
        note = f"Fortnox said yes, and shows no invoice after {SETTLE}"
        await _resolve(runtime, billing, Doubt(Reason.NUMBER_UNKNOWN), note)
    else:
        log.info("evidence_not_found", billing=billing.id, status=billing.status.value)


async def _adopt(runtime: Runtime, billing: Billing, live: Sequence[Invoice]) -> None:
    """Takes the invoice that was found; says so loudly where there are two, for that must never be."""
    first, others = live[0], live[1:]
    found = objections(first, billing)
    outcome: Outcome = Park(Reason.UNVERIFIED, {"invoice": str(first.number), **found}) if found else Made(first)
    if others:
        await surprise(runtime, billing, {"invoices": ", ".join(str(one.number) for one in live)})
    await _resolve(runtime, billing, outcome, f"invoice {first.number} carries this contract and this period")


async def _seek_booking(runtime: Runtime, billing: Billing) -> None:
    invoice = await read_invoice(runtime, billing.tenant, invoice_of(billing))
    if invoice.booked:
        await _resolve(runtime, billing, Booked(invoice), f"invoice {invoice.number} is booked")


async def _seek_delivery(runtime: Runtime, billing: Billing) -> None:
    """Presence adopts; absence never permits a second sending (design, section 7).

    Handed over is not delivered: that is followed until Fakturatjänster says that it is open.
    """
    invoice = await read_invoice(runtime, billing.tenant, invoice_of(billing))
    if billing.policy.deliver is Delivery.FINANCE:
        if invoice.nox_finans:
            await _resolve(runtime, billing, Seek(), f"invoice {invoice.number} is handed over to Fakturatjänster")
    elif invoice.sent:
        await _resolve(runtime, billing, Delivered("sent"), f"invoice {invoice.number} is sent")


async def _follow_hand_over(runtime: Runtime, billing: Billing, attempt: Attempt) -> None:
    """A hand-over is delivered when Fakturatjänster says that it is open."""
    answer = await runtime.fortnox.finance_invoice(billing.tenant, invoice_of(billing))
    status = answer.value.status
    if is_open(answer.value):
        await _resolve(runtime, billing, Delivered("Fakturatjänster"), f"Fakturatjänster: {status}")
    elif runtime.settings.clock.now() - attempt.called_at > FINANCE_OPEN_WITHIN:
        await _resolve(
            runtime, billing, Park(Reason.FINANCE_NOT_OPEN, {"status": status}), f"Fakturatjänster: {status}"
        )


async def _resolve(runtime: Runtime, billing: Billing, outcome: Outcome, note: str) -> None:
    moved = await billings.resolve(
        runtime.ledger, billing.id, billing.step, outcome, by=runtime.name, verdict="acted", note=note
    )
    log.info("evidence_found", billing=billing.id, note=note, moved=moved, **told(outcome))
