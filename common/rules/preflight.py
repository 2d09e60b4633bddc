"""What fails for all of a company's contracts, judged before the first invoice: from what was read of the company, what
its policies choose, and what has been refused already.

Pure: nothing here reads, or looks at a clock. Only what the policies choose hinders; what cannot be known beforehand is
said to be unknown, and never held against anybody.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from common.rules.policy import Policy
from common.rules.reasons import Reason
from common.rules.states import Delivery, Step
from common.rules.ways import asks_the_card

YEAR_AHEAD = timedelta(days=31)
"""So long before the last known financial year ends somebody is told: all December, where it ends with the year."""


class Area(StrEnum):
    """What is read of a company beforehand, each by one request."""

    CONTRACTS = "contracts"
    SETTINGS = "settings"
    """The company's settings, its bank details among them."""
    LOCKED_PERIOD = "locked_period"
    YEARS = "years"
    CUSTOMERS = "customers"
    FINANCE = "finance"
    """Fakturatjänster: whether we may ask it anything. Whether it is activated, nothing tells (API notes 3)."""


SCOPE_OF: Mapping[Area, str] = MappingProxyType(
    {
        Area.CONTRACTS: "invoice",
        Area.SETTINGS: "settings",
        Area.LOCKED_PERIOD: "settings",
        Area.YEARS: "bookkeeping",
        Area.CUSTOMERS: "customer",
        Area.FINANCE: "noxfinansinvoice",
    }
)
"""API notes 7.1."""


class Refusal(BaseModel):
    """Fortnox' no to a read."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    message: str = ""
    code: int | None = None


class Year(BaseModel):
    """A financial year (räkenskapsår), both days included."""

    model_config = ConfigDict(frozen=True)

    start: date
    end: date
    cash: bool = False
    """The cash method (kontantmetoden)."""

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end


class Observed(BaseModel):
    """What was read of a company at one time; what is `None` is not known."""

    model_config = ConfigDict(frozen=True)

    scopes: frozenset[str] | None = None
    """Those that were granted."""
    access: Refusal | None = None
    """Fortnox gives no access token; then nothing else was read."""
    refused: Mapping[Area, Refusal] = {}
    unread: Mapping[Area, str] = {}
    """What could not be read for a cause that passes by itself."""
    bank_details: bool | None = None
    """Whether the settings show a bankgiro, a plusgiro or an IBAN. There may be others, which they do not show."""
    locked_until: date | None = None
    """`None`: nothing is locked, or that could not be read."""
    years: tuple[Year, ...] | None = None


@dataclass(frozen=True, slots=True)
class Wants:
    """What the policies of a company's contracts choose, all together."""

    bookkeep: bool = False
    deliver: frozenset[Delivery] = frozenset()
    asks_card: bool = False
    """The customer's card has a say in how an invoice leaves."""

    @property
    def sends(self) -> bool:
        """Whether Fortnox itself is to send anything, other than by Fakturatjänster."""
        return bool(self.deliver - {Delivery.NONE, Delivery.FINANCE})

    @property
    def hands_over(self) -> bool:
        return Delivery.FINANCE in self.deliver


def wants_of(policies: Iterable[Policy]) -> Wants:
    """What any of the policies chooses."""
    chosen = list(policies)
    return Wants(
        bookkeep=any(one.bookkeep for one in chosen),
        deliver=frozenset(one.deliver for one in chosen),
        asks_card=any(asks_the_card(one) for one in chosen),
    )


@dataclass(frozen=True, slots=True)
class Stopped:
    """A refusal that stops a step of the company, or with `None` all of them."""

    step: Step | None
    reason: Reason
    message: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Experience:
    """What is known of the company from calls that were made."""

    stops: Sequence[Stopped] = ()
    has_sent: bool = False
    """An invoice of ours was sent, so licence and bank details have been good for it."""
    has_handed_over: bool = False


class Severity(StrEnum):
    HINDERS = "hinders"
    WILL_HINDER = "will_hinder"
    """From a day on."""
    TO_KNOW = "to_know"


class Kind(StrEnum):
    """What may be found. `preflight_words` has the words."""

    ACCESS_DEAD = "access_dead"
    SCOPE_MISSING = "scope_missing"
    LICENCE_MISSING = "licence_missing"
    FEATURE_MISSING = "feature_missing"
    PERIOD_LOCKED = "period_locked"
    YEAR_MISSING = "year_missing"
    BANK_DETAILS_MISSING = "bank_details_missing"
    FINANCE_INACTIVE = "finance_inactive"
    FINANCE_UNBOOKED = "finance_unbooked"
    """The cash method books nothing here, and Fakturatjänster takes only what is bookkept."""
    SURPRISE = "surprise"
    YEAR_ENDS = "year_ends"
    CASH_METHOD = "cash_method"
    SCOPE_OPTIONAL = "scope_optional"
    LICENCE_OPTIONAL = "licence_optional"
    NOT_READ = "not_read"
    LEARNED_LATER = "learned_later"


_TO_KNOW = frozenset({Kind.CASH_METHOD, Kind.SCOPE_OPTIONAL, Kind.LICENCE_OPTIONAL, Kind.NOT_READ, Kind.LEARNED_LATER})

KIND_OF: Mapping[Reason, Kind] = MappingProxyType(
    {
        Reason.TOKEN_DEAD: Kind.ACCESS_DEAD,
        Reason.SCOPE_MISSING: Kind.SCOPE_MISSING,
        Reason.LICENCE_MISSING: Kind.LICENCE_MISSING,
        Reason.FEATURE_MISSING: Kind.FEATURE_MISSING,
        Reason.PERIOD_LOCKED: Kind.PERIOD_LOCKED,
        Reason.YEAR_MISSING: Kind.YEAR_MISSING,
        Reason.BANK_DETAILS_MISSING: Kind.BANK_DETAILS_MISSING,
        Reason.FINANCE_INACTIVE: Kind.FINANCE_INACTIVE,
        Reason.SURPRISE: Kind.SURPRISE,
    }
)
"""What a step of a company is stopped for, as a finding."""


class Topic(StrEnum):
    """What cannot be known of a company before something is refused."""

    LICENCE_TO_SEND = "licence_to_send"
    BANK_DETAILS = "bank_details"
    FINANCE_ACTIVE = "finance_active"
    LOCKED_PERIOD = "locked_period"
    YEARS = "years"
    ADDRESSES = "addresses"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a person should know of a company; of what was read, one of a kind."""

    kind: Kind
    about: tuple[str, ...] = ()
    """Scopes, areas or topics, as the kind has it."""
    day: date | None = None
    """Until when the books are locked, or from when there is no financial year."""
    message: str = ""
    """Fortnox' own words."""
    code: str = ""
    is_stop: bool = field(default=False)
    """A call was refused for it, and a step of the company stands still since."""
    step: Step | None = None
    """Of a stop: which step; `None` for all."""

    @property
    def severity(self) -> Severity:
        if self.kind is Kind.YEAR_ENDS:
            return Severity.WILL_HINDER
        return Severity.TO_KNOW if self.kind in _TO_KNOW else Severity.HINDERS


def judge(observed: Observed, wants: Wants, known: Experience, today: date) -> list[Finding]:
    """What hinders the company first, then what will, then what is to be known.

    What a step is stopped for stands there once, as the stop.
    """
    stops = [_of_stop(one) for one in known.stops if one.reason in KIND_OF]
    stopped_for = {one.kind for one in stops}
    seen = [one for one in _seen(observed, wants, known, today) if one.kind not in stopped_for]
    order = list(Kind)
    return [*stops, *sorted(seen, key=lambda one: order.index(one.kind))]


def _of_stop(stop: Stopped) -> Finding:
    return Finding(KIND_OF[stop.reason], message=stop.message, code=stop.code, is_stop=True, step=stop.step)


def _seen(observed: Observed, wants: Wants, known: Experience, today: date) -> Iterator[Finding]:
    dead = observed.access or next((one for one in observed.refused.values() if one.reason is Reason.TOKEN_DEAD), None)
    if dead is not None:
        yield _met(Kind.ACCESS_DEAD, [dead])
        return
    yield from _rights(observed, wants)
    yield from _books(observed, wants, today)
    if wants.sends and observed.bank_details is False and not known.has_sent:
        yield Finding(Kind.BANK_DETAILS_MISSING)
    topics = list(_unknown(observed, wants, known))
    if topics:
        yield Finding(Kind.LEARNED_LATER, tuple(topic.value for topic in topics))
    unread = [area for area in Area if area in observed.unread or _is_refused_oddly(observed, area)]
    if unread:
        said = [observed.refused[area] for area in unread if area in observed.refused]
        yield _met(Kind.NOT_READ, said, tuple(area.value for area in unread))


def _rights(observed: Observed, wants: Wants) -> Iterator[Finding]:
    """Scopes, licences and features."""
    needed = _needed(wants)
    lacking = sorted(missing_scopes(observed))
    lacked = {SCOPE_OF[area] for area in needed}
    for kind, scopes in (
        (Kind.SCOPE_MISSING, [one for one in lacking if one in lacked]),
        (Kind.SCOPE_OPTIONAL, [one for one in lacking if one not in lacked]),
    ):
        if scopes:
            yield Finding(kind, tuple(scopes))
    unlicensed = [area for area in Area if _is_refused_for(observed, area, Reason.LICENCE_MISSING)]
    for kind, areas in (
        (Kind.LICENCE_MISSING, [one for one in unlicensed if one in needed]),
        (Kind.LICENCE_OPTIONAL, [one for one in unlicensed if one not in needed]),
    ):
        if areas:
            yield _met(kind, [observed.refused[one] for one in areas], tuple(one.value for one in areas))
    for reason in (Reason.FEATURE_MISSING, Reason.FINANCE_INACTIVE):
        off = [
            area
            for area in Area
            if area in needed and reason in _of_reading(area) and _is_refused_for(observed, area, reason)
        ]
        if off:
            yield _met(KIND_OF[reason], [observed.refused[area] for area in off])


def _needed(wants: Wants) -> frozenset[Area]:
    """What must be open to us for the work itself; the rest only lets us know things beforehand."""
    needed = {Area.CONTRACTS: True, Area.FINANCE: wants.hands_over, Area.CUSTOMERS: wants.asks_card}
    return frozenset(area for area, is_needed in needed.items() if is_needed)


def _of_reading(area: Area) -> frozenset[Reason]:
    """For what its reading may be refused, besides its scope, that the work itself would be refused for as well."""
    always = frozenset({Reason.LICENCE_MISSING, Reason.FEATURE_MISSING})
    return always | {Reason.FINANCE_INACTIVE} if area is Area.FINANCE else always


def missing_scopes(observed: Observed) -> frozenset[str]:
    """The scopes that the product asks for here, and has not been granted."""
    return frozenset(scope for area, scope in SCOPE_OF.items() if _is_without_scope(observed, area))


def _is_without_scope(observed: Observed, area: Area) -> bool:
    if _is_refused_for(observed, area, Reason.SCOPE_MISSING):
        return True
    return observed.scopes is not None and SCOPE_OF[area] not in observed.scopes


def _is_refused_for(observed: Observed, area: Area, reason: Reason) -> bool:
    refusal = observed.refused.get(area)
    return refusal is not None and refusal.reason is reason


def _is_refused_oddly(observed: Observed, area: Area) -> bool:
    refusal = observed.refused.get(area)
    return refusal is not None and refusal.reason not in KIND_OF


def _books(observed: Observed, wants: Wants, today: date) -> Iterator[Finding]:
    years = observed.years
    is_cash = years is not None and any(today in year and year.cash for year in years)
    if is_cash and wants.hands_over:
        yield Finding(Kind.FINANCE_UNBOOKED)
    elif is_cash and wants.bookkeep:
        yield Finding(Kind.CASH_METHOD)
    # No invoice is dated in closed books, whoever bookkeeps it.
    if observed.locked_until is not None and today <= observed.locked_until:
        yield Finding(Kind.PERIOD_LOCKED, day=observed.locked_until)
    missing = None if years is None else _first_day_without(years, today)
    if missing == today:
        yield Finding(Kind.YEAR_MISSING, day=today)
    elif missing is not None:
        yield Finding(Kind.YEAR_ENDS, day=missing)


def _first_day_without(years: Sequence[Year], today: date) -> date | None:
    """The first day within `YEAR_AHEAD` that no financial year has."""
    days = (today + timedelta(days=number) for number in range(YEAR_AHEAD.days + 1))
    return next((day for day in days if not any(day in year for year in years)), None)


def _unknown(observed: Observed, wants: Wants, known: Experience) -> Iterator[Topic]:
    stops_delivery = any(one.step in (None, Step.DELIVER) for one in known.stops)
    if _is_closed(observed, Area.LOCKED_PERIOD):
        yield Topic.LOCKED_PERIOD
    if _is_closed(observed, Area.YEARS):
        yield Topic.YEARS
    if wants.deliver - {Delivery.NONE} and _is_closed(observed, Area.CUSTOMERS) and not wants.asks_card:
        yield Topic.ADDRESSES
    if stops_delivery:
        return
    if wants.sends and not known.has_sent:
        yield Topic.LICENCE_TO_SEND
        if _is_closed(observed, Area.SETTINGS):
            yield Topic.BANK_DETAILS
    if wants.hands_over and not known.has_handed_over and not _is_closed(observed, Area.FINANCE):
        yield Topic.FINANCE_ACTIVE


def _is_closed(observed: Observed, area: Area) -> bool:
    return area in observed.refused or _is_without_scope(observed, area)


def _met(kind: Kind, refusals: Sequence[Refusal], about: tuple[str, ...] = ()) -> Finding:
    """With Fortnox' words for the first of them that has any."""
    said = next((one for one in refusals if one.message), None)
    if said is None:
        return Finding(kind, about)
    return Finding(kind, about, message=said.message, code="" if said.code is None else str(said.code))


class Need(StrEnum):
    """What a contract's policy needs of the company after its invoice is made."""

    BOOKKEEP = "bookkeep"
    CARD = "card"
    """The customers' cards, which say how an invoice leaves."""
    FINANCE = "finance"
    DELIVER = "deliver"


STEP_OF: Mapping[Need, Step] = MappingProxyType(
    {
        Need.BOOKKEEP: Step.BOOKKEEP,
        Need.CARD: Step.DELIVER,
        Need.FINANCE: Step.DELIVER,
        Need.DELIVER: Step.DELIVER,
    }
)


def needs_of(policy: Policy) -> Iterator[Need]:
    """In the order in which they would be met."""
    if policy.bookkeep:
        yield Need.BOOKKEEP
    if asks_the_card(policy):
        yield Need.CARD
    if policy.deliver is Delivery.FINANCE:
        yield Need.FINANCE
    if policy.deliver is not Delivery.NONE:
        yield Need.DELIVER


def certain(observed: Observed | None, stops: Iterable[Stopped]) -> dict[Need, Reason]:
    """What of a company's needs would certainly be refused: an invoice made all the same would lie there half done.

    Missing bank details are not among them: the settings may not show all that there are. Neither are the locked period
    and the financial years, which the plan judges by each invoice's own date.
    """
    found: dict[Need, Reason] = {}
    if observed is not None:
        for need, area in ((Need.CARD, Area.CUSTOMERS), (Need.FINANCE, Area.FINANCE)):
            refusal = observed.refused.get(area)
            if _is_without_scope(observed, area):
                found[need] = Reason.SCOPE_MISSING
            elif refusal is not None and refusal.reason in _of_reading(area):
                found[need] = refusal.reason
    for stop in stops:
        for need in (Need.BOOKKEEP, Need.DELIVER):
            if stop.step is STEP_OF[need]:
                found[need] = stop.reason
    return found
