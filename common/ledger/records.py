"""The rows of the ledger as frozen values, as everybody outside `common/ledger` sees them.

They hold no connection and change nothing: a change goes through the aggregate's module, which fences and audits it.
Instants are aware and in UTC, days are Swedish days, money is Decimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from common.ids import AttemptId, BillingId, ContractNumber, InvoiceNumber, TenantId
from common.rules.periods import Period
from common.rules.plan import ContractView, TenantFacts
from common.rules.policy import Policy
from common.rules.reasons import Reason
from common.rules.states import Status, Step

AttemptVerdict = Literal["acted", "rejected", "not_sent", "absent"]
"""What is known of one call: Fortnox acted, certainly refused, it never left us, it was looked for in vain."""

GONE = "GONE"
"""The status in the mirror of a contract that a full listing of the active ones did not show."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One company (klientföretag)."""

    id: TenantId
    name: str
    paused: bool
    """Stopped by a person at this level; the bureau's stop is not counted in."""
    facts: TenantFacts
    facts_on: date | None
    """The day for which the facts were read: of one that invoices tomorrow, they are read the evening before."""
    listed_at: datetime | None
    """The start of the last full listing of the active contracts."""
    newest_invoice: InvoiceNumber | None
    """The highest invoice number ever seen."""
    creates_proven: bool
    """Whether a create of ours was verified: until then, the tenant's creates run one at a time (design, section 6)."""
    leased_by: str | None = None
    """The producer that works for it, alive or not (`leases`)."""
    all_listed_at: datetime | None = None
    """The start of the last listing of all contracts, those that are not active included."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract (avtal) as last read. `read_at` is the start of the request that returned this very row."""

    view: ContractView
    read_at: datetime
    paused: bool = False
    """Stopped by a person at this level. `view.paused` counts in the tenant's and the bureau's stop."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as last read.

    A list tells neither the contract nor the period (API notes 1.7): an invoice only seen in one has no `read_at`.
    """

    tenant: TenantId
    number: InvoiceNumber
    invoice_date: date | None
    due_date: date | None
    invoice_type: str
    customer_number: str
    total: Decimal
    """With VAT."""
    currency: str
    booked: bool
    sent: bool
    cancelled: bool
    nox_finans: bool
    vat: Decimal | None = None
    """What of `total` is VAT; `None` where it is not known of this very total: a list does not tell it."""
    contract: ContractNumber | None = None
    period: Period | None = None
    credit: bool = False
    """It is itself a credit invoice."""
    credit_of: InvoiceNumber | None = None
    credited_by: InvoiceNumber | None = None
    accounting_method: str | None = None
    email_to: str = ""
    tax_reduction: str | None = None
    """The kind of deduction (rot, rut, green); `None` for none."""
    warehouse_ready: bool | None = None
    rows_digest: str | None = None
    read_at: datetime | None = None
    """The start of the request that read the whole invoice."""
    listed_at: datetime | None = None
    """The start of the listing that showed it, for an invoice (or what is newer of it) seen in a list."""


@dataclass(frozen=True, slots=True)
class Billing:
    """Our intent to invoice one period of one contract (fakturering): one row, one life."""

    id: BillingId
    tenant: TenantId
    contract: ContractNumber
    period: Period
    generation: int
    """1, or more when an earlier one of the same period was voided."""
    due_on: date
    invoice_date: date
    step: Step
    status: Status
    reason: Reason | None
    detail: Mapping[str, str]
    """The facts that explain `reason`."""
    policy: Policy
    """The policy at planning; `Claim.policy` is what a call must follow."""
    amount: Decimal | None
    currency: str
    customer_number: str
    customer_name: str
    invoice: InvoiceNumber | None
    handmade: bool
    """The invoice was made by a person and adopted."""
    made_total: Decimal | None
    """The invoice's total when it was taken in, or when a person last said yes to a change of it; another one later
    means that somebody changed it."""
    made_rows: str | None
    """The digest of its rows at that time."""
    approved: frozenset[Reason]
    """The reasons for holding it that a person has said yes to: it is not held for them again."""
    not_before: datetime | None
    called_at: datetime | None
    lease_until: datetime | None
    created_at: datetime
    changed_at: datetime
    failures: int
    """Failed attempts on this step since something last went well."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the audit trail, as it is known outside the ledger: by it an older copy of the ledger is found out.

    The instant belongs to it since a restored ledger on SQLite gives the numbers that it has lost to other entries.
    """

    id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call with an effect, and what came back."""

    id: AttemptId
    billing: BillingId
    step: Step
    called_at: datetime
    claimed_by: str
    token_expires_at: datetime
    newest_invoice_before: InvoiceNumber | None
    answered_at: datetime | None
    http_status: int | None
    code: int | None
    message: str
    x_uid: str | None
    verdict: AttemptVerdict | None
    """`None`: nobody knows yet whether Fortnox acted."""
    note: str
    stood: Mapping[str, Any] | None = None
    """The ledger was found to be an older copy (`restoring`): besides this call, or instead of one, there may have been
    others that it has lost. How the billing stood in it, and stands again if none was ever made."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make one call, until the lease ends."""

    billing: Billing
    policy: Policy
    """The stricter of the snapshot and the policy of now: what the call must follow (design, section 5, rule 8)."""
    attempt: AttemptId
    token: str
    held_until: float
    """`boottime()` seconds until which the lease surely holds: after that, the call must not leave."""
    mark: Mark
    """The claim in the audit trail: a ledger that lacks it is too old to be worked with."""
    proven: bool
    """Whether looking has found an invoice of the company before: until then no absence is believed (design 6)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A tenant-wide reason that stops a step, or all steps, of the tenant (design, section 5, rule 7)."""

    tenant: TenantId
    step: Step | None
    """`None`: every step."""
    reason: Reason
    since: datetime
    detail: Mapping[str, str] = field(default_factory=dict)
    probe: BillingId | None = None
    """The one billing that is tried before the rest go."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many billings of a tenant stand at (step, status), and what they come to in one currency."""

    tenant: TenantId
    step: Step
    status: Status
    currency: str
    number: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of state: what, when, on what, by whom, before and after, by which version of the software."""

    id: int
    at: datetime
    by: str
    action: str
    tenant: TenantId | None
    contract: ContractNumber | None
    billing: BillingId | None
    before: Mapping[str, object]
    after: Mapping[str, object]
    version: str
