"""Prints what needs a person, or gives it to JSON."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from avtalsmotor.cli.printing import minute, say
from common.ids import TenantId
from common.matters import words
from common.matters.companies import UNREAD
from common.matters.matter import Matter

_TOLD = 8


def as_item(matter: Matter, names: Mapping[TenantId, str]) -> dict[str, object]:
    """By the names that every item of `status` has."""
    return {
        "tenant": matter.tenant,
        "tenant_name": names[matter.tenant],
        "status": matter.kind,
        "step": matter.step,
        "reason": matter.reason,
        "why": matter.why,
        "cure": matter.cure,
        "since": matter.since,
        "billings": list(matter.billings),
        "contracts": list(matter.contracts),
    }


def print_matters(matters: Sequence[Matter], names: Mapping[TenantId, str]) -> None:
    """Two lines for each; of many of one kind in one company the first, and how many more there are."""
    unread = [one for one in matters if one.kind == UNREAD]
    others = [one for one in matters if one.kind != UNREAD]
    for (tenant, kind), of_kind in groupby(others, key=lambda one: (one.tenant, one.kind)):
        alike = list(of_kind)
        # What stops billings is one matter for many of them already.
        told = alike if alike[0].step is not None else alike[:_TOLD]
        for matter in told:
            _print(matter, names)
        if len(alike) > len(told):
            more = f"{len(alike) - len(told)} more {kind.replace('_', ' ')}"
            say(f"{names[tenant]} ({tenant}): {more}. All of them: avtalsmotor status --json")
    if len(unread) <= _TOLD:
        for matter in unread:
            _print(matter, names)
    else:
        _print_many_unread(unread, names)


def _print(matter: Matter, names: Mapping[TenantId, str]) -> None:
    about = f", {words.about(matter)}" if words.about(matter) else ""
    say(f"{names[matter.tenant]} ({matter.tenant}){about}: {matter.why}")
    say(f"  {words.to_do(matter)}")


def _print_many_unread(unread: Sequence[Matter], names: Mapping[TenantId, str]) -> None:
    # So many have one cause, and one of them shows it.
    told = ", ".join(f"{names[one.tenant]} ({one.tenant}, {minute(one.since) or 'never'})" for one in unread[:_TOLD])
    say(f"{len(unread)} companies' contracts have not been read for long, so what falls due there may not be seen.")
    say(f"  Last read: {told} and {len(unread) - _TOLD} more. {unread[0].cure}")
