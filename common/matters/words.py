"""How a matter is told to a person: what it is about, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.matters.matter import Matter
from common.matters.standing import BLOCKED, FOR_A_PERSON
from common.rules.preflight_words import STEPS, Language
from common.rules.reasons import Reason
from common.rules.states import Status
from common.writing import count, minute

_STANDS_STILL = {BLOCKED, *(status.value for status in FOR_A_PERSON)}

_NAMED = 8
"""Billings that are told by their numbers, of one matter."""


def about(matter: Matter, language: Language = Language.EN) -> str:
    """`held at create`, `everything stopped since 2026-12-01 06:00`, `contract 3`; empty for the company as such."""
    words = _WORDS[language]
    step = STEPS[language][matter.step]
    if matter.kind == BLOCKED:
        return words.stopped.format(step=step, since=minute(matter.since))
    if matter.kind in _STANDS_STILL and matter.step is not None:
        return words.at_step.format(status=words.statuses[Status(matter.kind)], step=step)
    return f"{words.contract} {matter.contracts[0]}" if matter.contracts else ""


def to_do(matter: Matter, language: Language = Language.EN) -> str:
    """Which billings it concerns, if it holds any up, and the cure."""
    if matter.kind not in _STANDS_STILL or not matter.billings:
        return matter.cure
    words = _WORDS[language]
    named = ", ".join(str(one) for one in matter.billings[:_NAMED])
    more = f" {words.more.format(more=len(matter.billings) - _NAMED)}" if len(matter.billings) > _NAMED else ""
    contract = f" ({words.contract} {matter.contracts[0]})" if len(matter.contracts) == 1 else ""
    return f"{count(len(matter.billings), words.billing, words.billings)}: {named}{more}{contract}. {matter.cure}"


def to_type(matter: Matter) -> str:
    """The command with which a person goes on with the billings that stand still; empty where the cure has it."""
    if matter.kind not in _STANDS_STILL - {BLOCKED} or not matter.billings:
        return ""
    if len(matter.billings) > _NAMED:
        return f"avtalsmotor billings list --tenant {matter.tenant} --status {matter.kind}"
    verb = "show" if matter.reason is Reason.EARLY else _VERBS.get(Status(matter.kind), "show")
    if verb == "show" and len(matter.billings) > 1:
        return f"avtalsmotor billings list --tenant {matter.tenant} --status {matter.kind}"
    return f"avtalsmotor billings {verb} {' '.join(str(one) for one in matter.billings)}"


_VERBS = {Status.HELD: "approve", Status.PARKED: "retry"}


@dataclass(frozen=True, slots=True)
class _Words:
    stopped: str
    at_step: str
    statuses: Mapping[Status, str]
    contract: str
    billing: str
    billings: str
    more: str


_WORDS = {
    Language.EN: _Words(
        "{step} stopped since {since}",
        "{status} at {step}",
        {status: status.value.replace("_", " ") for status in FOR_A_PERSON},
        "contract",
        "billing",
        "billings",
        "and {more} more",
    ),
    Language.SV: _Words(
        "{step} är stoppat sedan {since}",
        "{status} ({step})",
        {
            Status.PARKED: "att åtgärda",
            Status.HELD: "väntar på godkännande",
            Status.IN_DOUBT: "oklart utfall",
        },
        "avtal",
        "fakturering",
        "faktureringar",
        "och {more} till",
    ),
}
