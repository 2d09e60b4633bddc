"""Why a billing is not simply on its way: every cause, in the user's words, and the one safe thing to do next.

The words are English with Fortnox' own Swedish ones where the user knows those from the screen. Nothing here decides
what happens to a billing, save which reason an answer of Fortnox amounts to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from common.rules.states import Step


class Scope(StrEnum):
    """Whom a reason concerns when a billing parks for it (design, section 5, rule 7)."""

    BILLING = "billing"
    TENANT = "tenant"
    """The step stops for the whole company, shows as one item, and is tried again with one billing."""


class Reason(StrEnum):
    """Every cause. `REASONS` has its words."""

    # What the plan says of a contract's period.
    DUE = "due"
    NOT_YET = "not_yet"
    ALREADY_BILLED = "already_billed"
    SET_BACK = "set_back"
    EARLIER_OPEN = "earlier_open"
    FINISHED = "finished"
    INACTIVE = "inactive"
    PAUSED = "paused"
    PROPOSAL = "proposal"
    NO_PERIOD = "no_period"
    UNREADABLE = "unreadable"

    # A warning in the plan.
    ACCRUAL_MISSING = "accrual_missing"

    # Held: a person's yes is needed (those in `PASSING` may pass without).
    PERIOD_MOVED = "period_moved"
    PERIOD_LENGTH = "period_length"
    CATCH_UP = "catch_up"
    AMOUNT_CHANGED = "amount_changed"
    AMOUNT_ZERO = "amount_zero"
    ONE_A_DAY = "one_a_day"
    PERIOD_LOCKED = "period_locked"
    YEAR_MISSING = "year_missing"
    DELIVERY_UNSUPPORTED = "delivery_unsupported"
    TAX_REDUCTION = "tax_reduction"
    INVOICE_CHANGED = "invoice_changed"
    HANDMADE = "handmade"
    SENT_BEFORE = "sent_before"
    RECIPIENT_MISSING = "recipient_missing"
    COMPANY_HINDERED = "company_hindered"

    # Parked: something must be mended.
    REFUSED = "refused"
    BANK_DETAILS_MISSING = "bank_details_missing"
    LICENCE_MISSING = "licence_missing"
    SCOPE_MISSING = "scope_missing"
    FEATURE_MISSING = "feature_missing"
    FINANCE_INACTIVE = "finance_inactive"
    TOKEN_DEAD = "token_dead"  # noqa: S105 - a reason's name
    CONTRACT_MISSING = "contract_missing"
    INVOICE_MISSING = "invoice_missing"
    NOT_WAREHOUSE_READY = "not_warehouse_ready"
    UNVERIFIED = "unverified"
    FINANCE_NOT_OPEN = "finance_not_open"
    PRINT_BY_HAND = "print_by_hand"
    SURPRISE = "surprise"
    EARLY = "early"

    # In doubt: Fortnox is being looked at.
    NO_ANSWER = "no_answer"
    NUMBER_UNKNOWN = "number_unknown"
    OLD_LEDGER = "old_ledger"

    # Waiting again: passes by itself.
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    NOT_SENT = "not_sent"
    UNAUTHORIZED = "unauthorized"

    # Voided.
    CANCELLED = "cancelled"
    CREDITED = "credited"
    WITHDRAWN = "withdrawn"


PASSING: frozenset[Reason] = frozenset(
    {
        Reason.ONE_A_DAY,
        Reason.PERIOD_LOCKED,
        Reason.YEAR_MISSING,
        Reason.RECIPIENT_MISSING,
        Reason.COMPANY_HINDERED,
    }
)
"""Reasons to hold that can pass without anybody deciding anything about the billing itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The words of a reason: `title` says what happened, `cure` the one safe thing to do next."""

    scope: Scope
    title: str
    cure: str


REASONS: Mapping[Reason, Entry] = MappingProxyType(
    {
        Reason.DUE: Entry(Scope.BILLING, "The period is due", "Nothing: it is invoiced by itself."),
        Reason.NOT_YET: Entry(Scope.BILLING, "The period is not due yet", "Nothing: it is invoiced on its due day."),
        Reason.ALREADY_BILLED: Entry(
            Scope.BILLING,
            "The period that the contract shows is already invoiced, on its way, or skipped",
            "Nothing: the next period is planned when the contract shows it.",
        ),
        Reason.SET_BACK: Entry(
            Scope.BILLING,
            "The contract shows a period again that has its invoice already",
            "Cancel (makulera) or credit that invoice in Fortnox if the period is to be invoiced again; if not, set the"
            " contract's period forward there.",
        ),
        Reason.EARLIER_OPEN: Entry(
            Scope.BILLING,
            "An earlier period of the contract has not got its invoice yet",
            "Settle the earlier billing first; this period is planned then.",
        ),
        Reason.FINISHED: Entry(
            Scope.BILLING,
            "The contract is finished (avslutat), or all its invoices are made",
            "Nothing, or renew the contract in Fortnox.",
        ),
        Reason.INACTIVE: Entry(
            Scope.BILLING,
            "The contract is not among the active contracts in Fortnox",
            "Nothing, or activate the contract in Fortnox if it is to be invoiced.",
        ),
        Reason.PAUSED: Entry(
            Scope.BILLING,
            "Invoicing is paused by a person, for the contract, the company or the whole bureau",
            "Resume it when it is to be invoiced again.",
        ),
        Reason.PROPOSAL: Entry(
            Scope.BILLING,
            "The company is in proposal mode: this is what would happen, and nothing is called",
            "Check the plan, then set the company live.",
        ),
        Reason.NO_PERIOD: Entry(
            Scope.BILLING,
            "The contract has no period (Period), so there is nothing to invoice",
            "Enter the first period on the contract in Fortnox.",
        ),
        Reason.UNREADABLE: Entry(
            Scope.BILLING,
            "Fortnox shows the contract in a way that cannot be understood, so nothing of it is seen or invoiced",
            "Open the contract in Fortnox and correct what is named here; it is read again by itself.",
        ),
        Reason.ACCRUAL_MISSING: Entry(
            Scope.BILLING,
            "The invoice is for many months and to be bookkept at once, and its contract has no accrual"
            " (periodisering)",
            "Nothing; or enter an accrual on the contract in Fortnox before the invoice is made.",
        ),
        Reason.PERIOD_MOVED: Entry(
            Scope.BILLING,
            "The period on the contract is not the one expected: it overlaps, repeats or leaves a gap",
            "Compare the two periods, correct the contract in Fortnox if it is wrong, then approve it or skip it.",
        ),
        Reason.PERIOD_LENGTH: Entry(
            Scope.BILLING,
            "The period on the contract is not as long as its interval (Fakturaintervall)",
            "Correct the period or the interval in Fortnox and skip the billing, or approve it as it is.",
        ),
        Reason.CATCH_UP: Entry(
            Scope.BILLING,
            "The period should have been invoiced more than one interval ago",
            "Check that nobody invoiced it in another way, then approve the billing or skip it.",
        ),
        Reason.AMOUNT_CHANGED: Entry(
            Scope.BILLING,
            "The amount differs from the last invoiced one by more than the policy allows",
            "Check the rows of the contract in Fortnox, then approve the billing.",
        ),
        Reason.AMOUNT_ZERO: Entry(
            Scope.BILLING,
            "The contract's total is zero",
            "Check the rows of the contract in Fortnox, then approve the billing or skip it.",
        ),
        Reason.ONE_A_DAY: Entry(
            Scope.BILLING,
            "The contract has already been invoiced today",
            "Nothing: it is invoiced tomorrow. Approve the billing if it is to go out today.",
        ),
        Reason.PERIOD_LOCKED: Entry(
            Scope.TENANT,
            "The bookkeeping is locked (låst period) on the date of the invoice",
            "Unlock the period in Fortnox, then retry.",
        ),
        Reason.YEAR_MISSING: Entry(
            Scope.TENANT,
            "There is no financial year (räkenskapsår) for the date of the invoice",
            "Create the financial year in Fortnox, then retry.",
        ),
        Reason.DELIVERY_UNSUPPORTED: Entry(
            Scope.BILLING,
            "The invoice cannot be delivered in the way that the policy says",
            "Choose another way of delivery for the contract, or mend what is missing, then approve the billing.",
        ),
        Reason.TAX_REDUCTION: Entry(
            Scope.BILLING,
            "The invoice has a tax reduction (ROT, RUT or grön teknik)",
            "Check the reduction on the invoice in Fortnox, then approve the billing.",
        ),
        Reason.INVOICE_CHANGED: Entry(
            Scope.BILLING,
            "Somebody changed the invoice in Fortnox after it was made",
            "Look at the invoice in Fortnox, then approve the billing if it is to go on as it is now.",
        ),
        Reason.HANDMADE: Entry(
            Scope.BILLING,
            "A person made the invoice of this period by hand",
            "Approve the billing if the rest is to be done automatically, or skip it.",
        ),
        Reason.SENT_BEFORE: Entry(
            Scope.BILLING,
            "The invoice was marked as sent (skickad) before anything was sent from here",
            "Find out whether the customer has it; skip the billing if so, approve it to send it.",
        ),
        Reason.REFUSED: Entry(
            Scope.BILLING,
            "Fortnox refused",
            "Mend what Fortnox' message says, then retry the billing.",
        ),
        Reason.RECIPIENT_MISSING: Entry(
            Scope.BILLING,
            "The customer lacks the address that this way of delivery needs",
            "Enter what is missing on the customer's card in Fortnox. An invoice not made yet then goes by itself; on"
            " one that is made, enter it too, and retry the billing.",
        ),
        Reason.COMPANY_HINDERED: Entry(
            Scope.BILLING,
            "The invoice could be made, but a later step of it would certainly be refused for the whole company",
            "Mend what `avtalsmotor doctor` says of the company; it goes by itself then. Approve the billing if its"
            " invoice is to be made all the same.",
        ),
        Reason.BANK_DETAILS_MISSING: Entry(
            Scope.TENANT,
            "The company's bank details (bankuppgifter) are missing in Fortnox; without them no invoice can be sent",
            "Enter them in the company settings in Fortnox, then retry one billing; the others follow.",
        ),
        Reason.LICENCE_MISSING: Entry(
            Scope.TENANT,
            "The company lacks a licence in Fortnox that this needs",
            "Order the licence in Fortnox, then retry one billing; the others follow.",
        ),
        Reason.SCOPE_MISSING: Entry(
            Scope.TENANT,
            "Our access to the company does not include this (behörighet saknas)",
            "Connect the company to Avtalsmotor again with all rights, then retry one billing; the others follow.",
        ),
        Reason.FEATURE_MISSING: Entry(
            Scope.TENANT,
            "The feature is not switched on for the company in Fortnox (Feature inte tillgänglig)",
            "Switch on Avtalsfakturering in Fortnox' settings, then retry one billing; the others follow. For sending"
            " it is the e-invoice or the print service.",
        ),
        Reason.FINANCE_INACTIVE: Entry(
            Scope.TENANT,
            "Fortnox Fakturatjänster is not activated for the company",
            "Activate it in Fortnox, then retry one billing; the others follow. Or choose another way of delivery for"
            " what is planned from now on.",
        ),
        Reason.TOKEN_DEAD: Entry(
            Scope.TENANT,
            "Fortnox no longer accepts our access to the company",
            "Connect the company again with `avtalsmotor tenants connect`; what waits for it goes on by itself.",
        ),
        Reason.CONTRACT_MISSING: Entry(
            Scope.BILLING,
            "Fortnox does not find the contract",
            "Look for the contract in Fortnox; skip the billing if the contract is gone.",
        ),
        Reason.INVOICE_MISSING: Entry(
            Scope.BILLING,
            "Fortnox does not find the invoice",
            "Look for the invoice in Fortnox; skip the billing if the invoice is gone.",
        ),
        Reason.NOT_WAREHOUSE_READY: Entry(
            Scope.BILLING,
            "The invoice is not marked as ready (klarmarkerad), which warehouse invoices must be before booking",
            "Mark the invoice as ready in Fortnox; it is booked by itself then.",
        ),
        Reason.UNVERIFIED: Entry(
            Scope.BILLING,
            "The invoice that Fortnox shows is not the one that was asked for",
            "Compare the invoice with the contract in Fortnox; correct or cancel it there before all else.",
        ),
        Reason.FINANCE_NOT_OPEN: Entry(
            Scope.BILLING,
            "Fortnox Fakturatjänster has not accepted the invoice within a day",
            "Look at the invoice under Fakturatjänster in Fortnox; it is never sent in another way by itself.",
        ),
        Reason.PRINT_BY_HAND: Entry(
            Scope.BILLING,
            "The customer's card says that the invoice is printed by the company itself (Utskrift), which cannot be"
            " done from here",
            "Print it in Fortnox and post it, or choose another way on the customer's card; then retry the billing.",
        ),
        Reason.SURPRISE: Entry(
            Scope.TENANT,
            "Fortnox did something else with a contract than invoicing the period asked for",
            "Compare the contract and its latest invoice in Fortnox, correct them, then retry one billing.",
        ),
        Reason.EARLY: Entry(
            Scope.BILLING,
            "Somebody made the contract's invoice by hand just before our call, which then made the next period's",
            "Keep it, so that it goes out on its due day: avtalsmotor billings keep ID. Or cancel it, and have it made"
            " anew when it is due: avtalsmotor billings cancel ID.",
        ),
        Reason.NO_ANSWER: Entry(
            Scope.BILLING,
            "No readable answer came from Fortnox, so the call may or may not have taken effect",
            "Wait while Fortnox is searched for the effect; do not repeat it by hand.",
        ),
        Reason.NUMBER_UNKNOWN: Entry(
            Scope.BILLING,
            "Fortnox made the invoice, but has not said which number it has",
            "Wait while the invoice is looked up; do not create it by hand.",
        ),
        Reason.OLD_LEDGER: Entry(
            Scope.BILLING,
            "The ledger was restored from an older copy, so this may have been done already without its knowing",
            "Wait while Fortnox is searched for the effect; do not repeat it by hand. What was never sent only you can"
            " say.",
        ),
        Reason.THROTTLED: Entry(
            Scope.BILLING, "Fortnox asked us to slow down for this company", "Nothing: it is tried again by itself."
        ),
        Reason.UNREACHABLE: Entry(
            Scope.BILLING, "Fortnox could not be reached", "Nothing: it is tried again by itself."
        ),
        Reason.NOT_SENT: Entry(
            Scope.BILLING, "The call was not made, so nothing has happened", "Nothing: it is tried again by itself."
        ),
        Reason.UNAUTHORIZED: Entry(
            Scope.BILLING, "Fortnox did not accept the access token", "Nothing: it is tried again with a new token."
        ),
        Reason.CANCELLED: Entry(
            Scope.BILLING,
            "The invoice was cancelled (makulerad) in Fortnox",
            "Nothing, or set the contract's period back in Fortnox if the period is to be invoiced again.",
        ),
        Reason.WITHDRAWN: Entry(
            Scope.BILLING,
            "It was planned the evening before, and not to be invoiced any more when its day came",
            "Nothing: what holds for its period now stands in the plan.",
        ),
        Reason.CREDITED: Entry(
            Scope.BILLING,
            "The invoice was credited (krediterad) in Fortnox",
            "Nothing, or set the contract's period back in Fortnox if the period is to be invoiced again.",
        ),
    }
)


ROWS_SEEN = "rows_seen"
"""The digest of an invoice's rows as they were when somebody's change of it was noticed."""


def explain(reason: Reason, /, **facts: object) -> str:
    """One sentence: the reason's title, Fortnox' own words if any (`message`, `code`), and the other facts by name.

    Facts that are `None` or empty are left out, and `ROWS_SEEN`, which tells a person nothing. `verdict` names another
    reason and is given in that one's words.
    """
    known = {name: str(fact) for name, fact in facts.items() if fact is not None and str(fact) and name != ROWS_SEEN}
    message, code = known.pop("message", ""), known.pop("code", "")
    if "verdict" in known:
        known["verdict"] = REASONS[Reason(known["verdict"])].title
    sentence = REASONS[reason].title
    if message:
        sentence += f': "{message}"'
    if code:
        sentence += f" (code {code})"
    if known:
        told = [f"{name.replace('_', ' ')}: {fact}" for name, fact in known.items()]
        sentence += f" ({'; '.join(told)})"
    return f"{sentence}."


_BY_CODE: Mapping[int, Reason] = MappingProxyType(
    {
        2000663: Reason.SCOPE_MISSING,
        2001393: Reason.SCOPE_MISSING,
        2001101: Reason.LICENCE_MISSING,
        2001103: Reason.LICENCE_MISSING,
        2000310: Reason.TOKEN_DEAD,
        2000311: Reason.TOKEN_DEAD,
        2003275: Reason.TOKEN_DEAD,
        2004054: Reason.TOKEN_DEAD,
        2000401: Reason.PERIOD_LOCKED,
        2002141: Reason.PERIOD_LOCKED,
        2003498: Reason.NOT_WAREHOUSE_READY,
    }
)

_NO_CODE_KNOWN: tuple[tuple[str, Reason], ...] = (
    ("feature inte tillgänglig", Reason.FEATURE_MISSING),
    ("bankuppgifter saknas", Reason.BANK_DETAILS_MISSING),
    ("fiscal year", Reason.YEAR_MISSING),
    ("financial year", Reason.YEAR_MISSING),
    ("räkenskapsår", Reason.YEAR_MISSING),
)
"""Parts of messages, in lower case, whose code nobody has written down (API notes 2.5, 5.3)."""

_SOMETHING_ELSE_MISSING: frozenset[int] = frozenset(
    {
        2000204,
        2000423,
        2000427,
        2000428,
        2000429,
        2000430,
        2000431,
        2000432,
        2000433,
        2000435,
        2001161,
        2001302,
        2001304,
    }
)
"""Codes that come as 404 and mean a customer, an article, an account and the like (API notes 5.3)."""


def of_refusal(step: Step, http_status: int, code: int | None, message: str) -> Reason:
    """The reason that a refusal by Fortnox amounts to; `REFUSED` where nothing more is known (API notes 5.2, 5.3).

    The code decides where it is known, then the status, and the text only for causes whose code is not known.
    """
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    said = message.casefold()
    for part, reason in _NO_CODE_KNOWN:
        if part in said:
            return reason
    if http_status == 401:
        return Reason.UNAUTHORIZED
    if http_status == 429:
        return Reason.THROTTLED
    if http_status == 403:
        return Reason.LICENCE_MISSING if "licens" in said else Reason.SCOPE_MISSING
    if http_status == 404 and code not in _SOMETHING_ELSE_MISSING:
        return Reason.CONTRACT_MISSING if step is Step.CREATE else Reason.INVOICE_MISSING
    return Reason.REFUSED


def is_not_activated(message: str) -> bool:
    """Whether a refusal of a service says that the company has not activated it. Neither the code nor the words are
    known (API notes 3); those of a refusal that is about one invoice do not speak of that."""
    said = message.casefold()
    return any(words in said for words in ("inte aktiverad", "inte aktiverat", "ej aktivera", "not activated"))
