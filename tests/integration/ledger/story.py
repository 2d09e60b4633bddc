"""A small bureau for the ledger's tests: one company, contracts, billings, and the calls of a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from common.ids import BillingId, ContractNumber, InvoiceNumber, TenantId
from common.ledger import billings, contracts, planning, policies, tenants
from common.ledger.database import Ledger
from common.ledger.outcomes import Answer, Booked, Delivered, Made, Outcome, Refused
from common.ledger.records import Attempt, Billing, Claim, Contract, Invoice
from common.rules.periods import Period, following
from common.rules.plan import ContractView, Verdict
from common.rules.policy import Policy, PolicyChoice
from common.rules.reasons import Reason
from common.rules.states import Delivery, Status, Step

TENANT = TenantId(4711)
OTHER = TenantId(4712)
MAY = Period(date(2026, 5, 1), date(2026, 5, 31))
JUNE = following(MAY, 1)

LIVE = PolicyChoice(mode="live")
ALL_STEPS = PolicyChoice(mode="live", bookkeep=True, deliver=Delivery.EMAIL, deliver_from="any")

ACTED = Answer("acted", 200)
REJECTED = Answer("rejected", 400, 2000106, "Kunden saknar adress")
SILENCE = Answer(None)


def view(number: int = 1, *, tenant: TenantId = TENANT, period: Period | None = MAY, **changes: Any) -> ContractView:
    """An active monthly contract."""
    contract = ContractView(
        tenant=tenant,
        number=ContractNumber(number),
        customer_number="1001",
        customer_name="Gran & Tall AB",
        status="ACTIVE",
        continuous=True,
        interval=1,
        period=period,
        invoices_remaining=None,
        total=Decimal("1250.00"),
        currency="SEK",
        template=None,
        paused=False,
    )
    return replace(contract, **changes)


def verdict(
    contract: ContractView,
    *,
    choice: PolicyChoice = ALL_STEPS,
    reason: Reason = Reason.DUE,
    detail: Mapping[str, str] | None = None,
    preview: bool = False,
    due_on: date | None = None,
) -> Verdict:
    """What the plan says of the contract's period."""
    period = contract.period
    day = due_on or (period.start if period else None)
    policy = Policy.model_validate(choice.model_dump(exclude_none=True))
    return Verdict(contract, period, reason, day, day, policy, contract.total, detail or {}, preview)


def read_at(seconds: float = 0) -> datetime:
    """An instant of reading, later by so much."""
    return datetime(2026, 5, 1, 6, tzinfo=UTC) + timedelta(seconds=seconds)


async def company(
    ledger: Ledger, tenant: TenantId = TENANT, *, choice: PolicyChoice = ALL_STEPS, proven: bool = True
) -> TenantId:
    """A company that is served as `choice` says."""
    await tenants.add(ledger, tenant, f"Bolaget {tenant} AB", "anna")
    await policies.change(ledger, "tenant", choice, "anna", tenant=tenant)
    if proven:
        await ledger.transact(lambda connection: tenants.prove_creates(connection, ledger, tenant, "anna"))
    return tenant


async def planned(
    ledger: Ledger,
    numbers: Sequence[int] = (1,),
    *,
    tenant: TenantId = TENANT,
    period: Period = MAY,
    choice: PolicyChoice = ALL_STEPS,
    reason: Reason = Reason.DUE,
) -> list[Billing]:
    """Mirrored contracts, and their billings as planned."""
    views = [view(number, tenant=tenant, period=period) for number in numbers]
    await contracts.mirror(ledger, tenant, [Contract(one, read_at()) for one in views], complete=False)
    return await planning.insert(ledger, [verdict(one, choice=choice, reason=reason) for one in views], "planner")


async def one(ledger: Ledger, **about: Any) -> Billing:
    """One planned billing."""
    (billing,) = await planned(ledger, **about)
    return billing


async def ask(ledger: Ledger, billing: Billing, step: Step | None = None, **how: Any) -> Claim | Refused:
    """A worker asks for a claim."""
    lease = how.pop("lease", timedelta(minutes=2))
    return await billings.claim(
        ledger,
        billing.id,
        step or billing.step,
        by=how.pop("by", "worker-1"),
        lease=lease,
        token_expires_at=how.pop("token_expires_at", datetime.now(UTC) + timedelta(hours=1)),
        newest_invoice=how.pop("newest_invoice", InvoiceNumber(100)),
    )


async def claimed(ledger: Ledger, billing: Billing, step: Step | None = None, **how: Any) -> Claim:
    """A worker gets a claim."""
    claim = await ask(ledger, billing, step, **how)
    assert isinstance(claim, Claim), claim
    return claim


async def settled(ledger: Ledger, billing: Billing, answer: Answer, to: Outcome) -> Billing:
    """One call of the billing's step, from claim to settlement."""
    claim = await claimed(ledger, billing)
    assert await billings.settle(ledger, claim, answer, to)
    return await now(ledger, billing)


async def now(ledger: Ledger, billing: Billing | BillingId) -> Billing:
    """The billing as it stands."""
    found = await billings.get(ledger, billing.id if isinstance(billing, Billing) else billing)
    assert found is not None
    return found


async def only_attempt(ledger: Ledger, billing: Billing) -> Attempt:
    """The one attempt of the billing."""
    (attempt,) = await billings.attempts(ledger, billing.id)
    return attempt


def invoice_of(billing: Billing, number: int = 101, **changes: Any) -> Invoice:
    """The invoice that Fortnox makes for the billing."""
    invoice = Invoice(
        tenant=billing.tenant,
        number=InvoiceNumber(number),
        invoice_date=billing.invoice_date,
        due_date=billing.invoice_date + timedelta(days=30),
        invoice_type="AGREEMENTINVOICE",
        customer_number=billing.customer_number,
        total=Decimal("1562.50"),
        currency="SEK",
        booked=False,
        sent=False,
        cancelled=False,
        nox_finans=False,
        contract=billing.contract,
        period=billing.period,
        accounting_method="ACCRUAL",
        email_to="faktura@gran.example",
        rows_digest="r1",
        read_at=read_at(60),
    )
    return replace(invoice, **changes)


async def made(ledger: Ledger, billing: Billing, number: int = 101, **changes: Any) -> Billing:
    """The billing once its invoice is made."""
    return await settled(ledger, billing, ACTED, Made(invoice_of(billing, number, **changes)))


async def done(ledger: Ledger, billing: Billing, number: int = 101) -> Billing:
    """The billing carried all the way."""
    after = await made(ledger, billing, number)
    after = await settled(ledger, after, ACTED, Booked())
    return await settled(ledger, after, ACTED, Delivered("e-mail"))


def where(billing: Billing) -> tuple[Step, Status]:
    """Where it stands."""
    return billing.step, billing.status
