"""What the user has chosen: the four levels (bureau < tenant < template < contract) and how they become one policy.

Nothing here acts or looks up; a policy is a value. Nothing said means caution: the defaults call nothing, book
nothing and send nothing (design, section 8).
"""

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from common.rules.prices import PriceFrom, PriceRows
from common.rules.states import Delivery

LevelT = TypeVar("LevelT")

Mode = Literal["proposal", "live"]
InvoiceOn = Literal["period_start", "period_end"]
InvoiceMonth = Literal["before", "same", "after"]
InvoiceDate = Literal["due_day", "period_start"]
DeliverOn = Literal["any", "banking_days"]
CatchUp = Literal["hold", "invoice"]
Prices = Literal["off", "propose", "apply"]
PRICES: tuple[Prices, ...] = get_args(Prices)
"""From the most cautious on."""


def _clock_time(value: object) -> object:
    # Left to itself, pydantic reads the number 8 as eight seconds past midnight.
    if not isinstance(value, (str, time)):
        raise ValueError("expected a time of day such as 08:00, or any")
    return value


def _as_on_a_clock_face(value: time | Literal["any"]) -> time | Literal["any"]:
    if value == "any":
        return value
    if value.tzinfo is not None:
        raise ValueError("expected a time of day in Sweden, without a time zone")
    # The fold says which of two equal hours is meant, and would move the instant by an hour twice a year.
    return value.replace(fold=0)


LeadDays = Annotated[int, Field(ge=-366, le=366)]
InvoiceDay = Annotated[int, Field(ge=1, le=31)] | Literal["last"]
DeliverFrom = Annotated[time | Literal["any"], BeforeValidator(_clock_time), AfterValidator(_as_on_a_clock_face)]
Percent = Annotated[int, Field(ge=0)]


class PolicyChoice(BaseModel):
    """What one level says. `None` means that the level says nothing of it. The fields are those of `Policy`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode | None = None
    bookkeep: bool | None = None
    deliver: Delivery | None = None
    einvoice_by_card: bool | None = None
    deliver_from: DeliverFrom | None = None
    deliver_on: DeliverOn | None = None
    invoice_on: InvoiceOn | None = None
    lead_days: LeadDays | None = None
    invoice_day: InvoiceDay | None = None
    invoice_month: InvoiceMonth | None = None
    invoice_date: InvoiceDate | None = None
    catch_up: CatchUp | None = None
    amount_change_percent: Percent | None = None
    allow_zero: bool | None = None
    finish_handmade: bool | None = None
    allow_tax_reduction: bool | None = None
    prices: Prices | None = None
    price_rows: PriceRows | None = None
    price_from: PriceFrom | None = None
    price_rise_percent: Percent | None = None


class Policy(BaseModel):
    """All that is decided about one contract, with the defaults of design, section 8."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "proposal"
    """`proposal`: planned and shown, nothing called."""
    bookkeep: bool = False
    deliver: Delivery = Delivery.NONE
    einvoice_by_card: bool = False
    """With `deliver` by e-mail or print: customers whose card says e-invoice get that instead."""
    deliver_from: DeliverFrom = time(8, 0)
    """The time of day in Stockholm before which nothing is sent, every day."""
    deliver_on: DeliverOn = "any"
    """`banking_days`: nothing is sent on a day on which Swedish banks are closed (`rules.banking_days`)."""
    invoice_on: InvoiceOn = "period_start"
    """The anchor of the due day: in advance (förskott), or in arrears (efterskott)."""
    lead_days: LeadDays = 0
    """Days before the anchor that the billing falls due; negative = after it."""
    invoice_day: InvoiceDay | None = None
    """That day of a month (clamped to its length) instead of `lead_days`; which month is said by `invoice_month`."""
    invoice_month: InvoiceMonth = "same"
    """With `invoice_day`: the month before, of, or after the anchor."""
    invoice_date: InvoiceDate = "due_day"
    catch_up: CatchUp = "hold"
    """What to do with a period that should have been billed more than one interval ago."""
    amount_change_percent: Percent = 30
    """Held when the amount differs from the last billed one by more than this."""
    allow_zero: bool = False
    finish_handmade: bool = False
    """Whether an invoice that a person made by hand is booked and sent by us."""
    allow_tax_reduction: bool = False
    """Whether invoices with ROT, RUT or green deduction are booked and sent without a person's yes."""
    prices: Prices = "off"
    """What becomes of a changed list price: nothing at all; a worksheet of the contracts that should follow, for a
    person's yes; or they follow, but for what is only ever proposed (an accrual, a rise above the bound)."""
    price_rows: PriceRows = "following"
    """`following`: rows that had the list's price; `all`: negotiated ones, too."""
    price_from: PriceFrom = "next_period"
    """`next_period`: periods that begin on or after the day of the change; `at_once`: the one that is shown."""
    price_rise_percent: Percent = 10
    """A row that rises by more is proposed, never applied."""


def resolve(*levels: PolicyChoice) -> Policy:
    """One policy out of the levels, the least specific first: bureau, tenant, template, contract.

    The most specific level that says something of a field wins. The due day is one choice in two fields: a level that
    says `lead_days` and not `invoice_day` also puts an end to the `invoice_day` of the levels before it.
    """
    return Policy.model_validate(_said(enumerate(levels)))


def decided_by(levels: Mapping[str, PolicyChoice]) -> dict[str, str]:
    """For each field of the policy the name of the level that decided it, or `default`; levels as for `resolve`.

    A level that puts an end to the `invoice_day` of the levels before it decides that there is none.
    """
    decisions = _decisions(levels.items())
    return {field: decisions[field][1] if field in decisions else "default" for field in Policy.model_fields}


def said_by(levels: Mapping[str, PolicyChoice]) -> dict[str, dict[str, object]]:
    """For each field of the policy what each level says of it, the least specific first; who says nothing is left out.

    The first is `default`: what holds when nobody says anything.
    """
    return {
        field: {
            "default": default.default,
            **{level: said for level, choice in levels.items() if (said := getattr(choice, field)) is not None},
        }
        for field, default in Policy.model_fields.items()
    }


def amended(choice: PolicyChoice, change: PolicyChoice) -> PolicyChoice:
    """One level's choice after a person changed it: what the change says replaces, the rest stays.

    As in `resolve`, a change to `lead_days` alone ends the level's `invoice_day`: otherwise nobody could go back to it.
    """
    return PolicyChoice.model_validate(_said(enumerate((choice, change))))


def stricter(snapshot: Policy, current: Policy) -> Policy:
    """The more cautious of the policy at planning and the policy now, field by field (design, section 5, rule 8).

    Never automates more than either. Where neither is the more cautious, what was planned stays: the day and the date
    of the invoice, and the way of delivery if both name one (a change of way, that of `einvoice_by_card` included, acts
    on what is planned later).
    """
    return snapshot.model_copy(
        update={
            "mode": "live" if snapshot.mode == current.mode == "live" else "proposal",
            "bookkeep": snapshot.bookkeep and current.bookkeep,
            "deliver": Delivery.NONE if current.deliver is Delivery.NONE else snapshot.deliver,
            "deliver_from": max(snapshot.deliver_from, current.deliver_from, key=earliest),
            "deliver_on": "any" if snapshot.deliver_on == current.deliver_on == "any" else "banking_days",
            "catch_up": "invoice" if snapshot.catch_up == current.catch_up == "invoice" else "hold",
            "amount_change_percent": min(snapshot.amount_change_percent, current.amount_change_percent),
            "allow_zero": snapshot.allow_zero and current.allow_zero,
            "finish_handmade": snapshot.finish_handmade and current.finish_handmade,
            "allow_tax_reduction": snapshot.allow_tax_reduction and current.allow_tax_reduction,
            "prices": min(snapshot.prices, current.prices, key=PRICES.index),
            "price_rows": "all" if snapshot.price_rows == current.price_rows == "all" else "following",
            "price_from": "at_once" if snapshot.price_from == current.price_from == "at_once" else "next_period",
            "price_rise_percent": min(snapshot.price_rise_percent, current.price_rise_percent),
        }
    )


def earliest(deliver_from: time | Literal["any"]) -> time:
    """The first time of day at which something may be sent."""
    return time.min if deliver_from == "any" else deliver_from


def _said(levels: Iterable[tuple[object, PolicyChoice]]) -> dict[str, object]:
    return {field: value for field, (value, _) in _decisions(levels).items()}


def _decisions(levels: Iterable[tuple[LevelT, PolicyChoice]]) -> dict[str, tuple[object, LevelT]]:
    decisions: dict[str, tuple[object, LevelT]] = {}
    for level, choice in levels:
        if choice.lead_days is not None and choice.invoice_day is None and "invoice_day" in decisions:
            decisions["invoice_day"] = (None, level)
        decisions.update({field: (value, level) for field, value in choice if value is not None})
    return decisions
