"""The history of a billing in words: one line for each entry of its audit. JSON has the entries as they are written."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from avtalsmotor.cli.printing import minute, money
from common.ledger.records import AuditEntry
from common.rules.reasons import REASONS, Reason, explain

_WORDS: Mapping[str, str] = {
    "claimed": "taken up by a worker",
    "sought": "looked for in Fortnox",
    "made": "invoice made",
    "set_waiting": "to be tried again",
    "retried": "to be tried again, by a person",
    "retried_as_probe": "to be tried again, by a person, before the others of the company",
    "policy_applied": "moved on by a change of the rules",
    "answered_late": "answered after the worker's time was up",
    "freed": "free to go on: what stopped the company has passed",
    "superseded": "replaced: the contract shows another period now",
}
"""The audit's verbs that are not a person's words; the others are."""


def line(entry: AuditEntry, currency: str) -> str:
    """`2026-12-01 06:00 producer: planned, due 2026-12-01, 1 250.00 SEK`, Swedish time."""
    told = [_what(entry), *_facts(entry.before, entry.after, currency)]
    return f"{minute(entry.at)} {entry.by}: {', '.join(told)}"


def _what(entry: AuditEntry) -> str:
    words = _WORDS.get(entry.action, entry.action.replace("_", " "))
    if not entry.before or entry.before.get("status") == entry.after.get("status"):
        return words
    step, status = entry.after.get("step", entry.before.get("step")), str(entry.after.get("status"))
    return f"{words} at {step}" if status == entry.action else f"{words}, now at {step}, {status.replace('_', ' ')}"


def _facts(before: Mapping[str, Any], after: Mapping[str, Any], currency: str) -> list[str]:
    """What is not as it was, the most telling first."""
    changed = {name: value for name, value in after.items() if value != before.get(name) and value is not None}
    facts = []
    if "due_on" in changed:
        facts.append(f"due {changed['due_on']}")
    if "amount" in changed:
        facts.append(money(Decimal(changed["amount"]), currency))
    if "invoice" in changed:
        facts.append(f"invoice {changed['invoice']}")
    if "invoice_date" in changed and changed["invoice_date"] != after.get("due_on"):
        facts.append(f"dated {changed['invoice_date']}")
    facts += _reason(changed, after)
    if "not_before" in changed:
        facts.append(f"not before {minute(datetime.fromisoformat(changed['not_before']))}")
    if "failures" in changed:
        facts.append(f"{changed['failures']} failed so far")
    if "approved" in changed:
        given = [reason for reason in changed["approved"] if reason not in before.get("approved", [])]
        facts += [f"a yes to: {_lower(REASONS[Reason(reason)].title)}" for reason in given]
    if "http_status" in changed:
        facts.append(f"HTTP {changed['http_status']}")
    if "note" in changed:
        facts.append(str(changed["note"]))
    return facts


def _reason(changed: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    detail = after.get("detail") or {}
    if "reason" in changed:
        why = _lower(explain(Reason(changed["reason"]), **detail).rstrip("."))
        return [f"held: {why}" if "amount" in after and after.get("status") == "held" else why]
    # A person's words when skipping have no reason beside them.
    return [f"{name}: {fact}" for name, fact in detail.items()] if "detail" in changed else []


def _lower(sentence: str) -> str:
    return sentence if sentence.startswith("Fortnox") else sentence[:1].lower() + sentence[1:]
