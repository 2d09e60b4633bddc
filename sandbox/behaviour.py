"""Every assumed behaviour of Fortnox as a switch, with its default and what is known about it.

A default is the sandbox's best guess, never a fact: where the API notes say NOT FOUND or ASSUMED there is a switch, so
that a client can be run against the other answer. Nothing here may depend on the product.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PLACEHOLDER_CODES = {
    "contract_missing": 9000404,
    "contract_finished": 9000001,
    "contract_inactive": 9000002,
    "contract_incomplete": 9000003,
    "already_booked": 9000010,
    "booked_update": 9000011,
    "year_missing": 9000012,
    "cash_bookkeep": 9000013,
    "invoice_cancelled": 9000014,
    "not_creditable": 9000015,
    "recipient_missing": 9000020,
    "bank_details_missing": 9000021,
    "einvoice_missing": 9000022,
    "post_address_missing": 9000023,
    "resource_missing": 9000405,
    "page_missing": 9000030,
    "wrong_action": 9000031,
    "feature_missing": 9000032,
    "template_missing": 9000033,
    "year_not_found": 9000034,
    "accrual_missing": 9000035,
    "finance_refused": 9000040,
    "finance_missing": 9000041,
    "already_exists": 9000050,
}
"""Clearly fake codes where the real one is not known (API notes 5.3, NOT FOUND)."""


class Behaviour(BaseModel):
    """The switches; changed at run time by PATCH /_sandbox/behaviour."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    edition: Literal["older", "newer"] = Field(
        "older",
        description="Which published specification the answers follow (API notes 0.1): the newer one says VATIncluded, "
        "has a number as the single contract's DocumentNumber, and both InvoiceInterval and Invoiceinterval in lists.",
    )
    create_answer: Literal["Contract", "Invoice"] = Field(
        "Contract", description="What createinvoice answers with (API notes 1.6)."
    )
    contract_number: Literal["edition", "string", "number"] = Field(
        "edition", description="Wire type of the single contract's DocumentNumber; 'edition' follows the edition."
    )
    contract_reference: Literal["number", "string"] = Field(
        "number", description="Wire type of an invoice's ContractReference: a number in 2023, a string in 2024."
    )
    period_moves: bool = Field(True, description="createinvoice moves the contract's period by its interval.")
    month_end: Literal["last", "drift"] = Field(
        "last",
        description="A period that ends on a month's last day goes on ending on the last day, or drifts (31, 28, 28).",
    )
    continuous_remaining: Literal["zero", "empty", "null"] = Field(
        "zero", description="InvoicesRemaining of a continuous contract (single; the list says 0 for 'empty')."
    )
    remaining_counts_down: bool = Field(
        True, description="createinvoice lowers InvoicesRemaining of a fixed-length contract."
    )
    finishes_at_zero: bool = Field(True, description="A fixed-length contract with nothing remaining becomes FINISHED.")
    increase_count: Literal["a", "b"] = Field(
        "a", description="increaseinvoicecount: a = one invoice counts as made, period moves; b = one more remains."
    )
    default_invoice_date: Literal["today", "period_start"] = Field(
        "today", description="Invoice date of createinvoice without ?invoicedate."
    )
    inactive_creates: bool = Field(False, description="createinvoice is allowed on an inactive contract.")
    inherits_references: bool = Field(
        True, description="The invoice takes over references, remarks and e-mail information from its contract."
    )
    contract_lastmodified_by_day: bool = Field(
        False, description="lastmodified on contracts compares days only (the newer edition declares a date)."
    )
    period_filter: Literal["exact", "bound"] = Field(
        "exact", description="periodstart/periodend of the contract list: equal to, or not before / not after."
    )
    limit: int = Field(25, ge=1, description="Requests allowed in one window, per client id and tenant.")
    window: float = Field(5.0, gt=0, description="Length of the sliding window in real seconds.")
    rejected_counts: bool = Field(False, description="A request answered 429 takes a place in the window too.")
    retry_after: Literal["absent", "seconds"] = Field("absent", description="The header Retry-After of a 429.")
    throttle_body: str = Field("", description="Body of a 429; empty by default.")
    flip_envelopes: bool = Field(
        False, description="404 in lower case and 400 in upper case, instead of the other way."
    )
    credit_inherits_contract: bool = Field(
        True, description="A credit invoice keeps the contract reference, period and type of what it credits."
    )
    booked_cancel: bool = Field(True, description="A booked invoice can be cancelled.")
    unlocked: Literal["absent", "null"] = Field(
        "absent", description="EndDate of the locked period where nothing is locked."
    )
    feature_status: Literal[400, 403] = Field(
        400, description="HTTP status of `Feature inte tillgänglig`, contracts without their module (API notes 1.6)."
    )
    cash_bookkeep: Literal["refused", "booked"] = Field("refused", description="bookkeep in a cash-method company.")
    finance_needs_booking: bool = Field(True, description="A hand-over is refused unless the invoice is booked.")
    finance_first_status: Literal["UNKNOWN", "NOT_AUTHORIZED"] = Field(
        "UNKNOWN", description="Status of a hand-over before it ripens."
    )
    finance_final_status: str = Field("OPEN", description="Status of a hand-over once it is ripe.")
    finance_delay: float = Field(60.0, ge=0, description="Virtual seconds from hand-over until it is ripe.")
    date_ahead: float = Field(0.0, description="Seconds by which the answers' header Date is ahead of real time.")
    latency: float = Field(
        0.0,
        ge=0,
        description="Median of the way over the network in real seconds, once to the sandbox and once back; 0 = none.",
    )
    latency_sigma: float = Field(
        0.5,
        ge=0,
        description="How far the ways lie apart: they are log-normal; with 0.5 one in a hundred takes three medians.",
    )
    token_life: int = Field(3600, ge=1, description="Life of a new access token in seconds.")
    code_life: int = Field(600, ge=1, description="Life of an authorization code in virtual seconds.")
    refresh_life: int = Field(45 * 86_400, ge=1, description="Life of a new refresh token in virtual seconds.")
    reused_refresh_ends: bool = Field(
        False, description="A refresh token shown a second time ends the one that it was traded for, too."
    )
    consent_from: Literal["approval", "code"] = Field(
        "approval", description="A consent counts from the person's approval, or from when its code is traded."
    )
    article_follows_price: Literal["never", "sales_price", "always"] = Field(
        "sales_price",
        description="A changed price is announced as a change of its article, and moves the article's lastmodified: "
        "never, only where it is the article's SalesPrice, or always (API notes 4.3).",
    )
    unknown_row: Literal["refused", "new"] = Field(
        "refused", description="A row that comes with a RowId that the document does not have (any more)."
    )
    created_announced: bool = Field(True, description="createinvoice is announced as invoice-created-v1.")
    resume: Literal["at", "after"] = Field(
        "at", description="A topic that is added with an offset begins with the event that has it, or with the next."
    )
    one_invalid_token: Literal["none_added", "others_added"] = Field(
        "none_added", description="What becomes of the other tokens of an add-tenants-v1 with an invalid one."
    )
    expired_token: Literal["silent", "closes", "goes_on"] = Field(
        "silent",
        description="When a tenant's access token expires: its events are not told any more, the connection is closed, "
        "or nothing happens.",
    )
    event_delay: float = Field(0.0, ge=0, description="Real seconds from a change until it is announced.")
    event_duplicates: float = Field(
        0.0, ge=0, le=0.4, description="How likely an event is followed by the last one to three of its topic again."
    )
    stream_answer_delay: float = Field(0.0, ge=0, description="Real seconds before a command's answer.")
    answers_pings: bool = Field(True, description="A ping on the websocket is answered.")
    placeholder_codes: dict[str, int] = Field(
        default_factory=lambda: dict(PLACEHOLDER_CODES), description="Codes that are not known of the real Fortnox."
    )

    def code(self, name: str) -> int:
        return self.placeholder_codes[name]
