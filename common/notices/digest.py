"""A digest: one message to the bureau's people of what needs somebody, company by company.

What it says is settled when it is made, and kept: a second try sends the very same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from common.ids import TenantId
from common.matters import words
from common.matters.matter import Matter
from common.rules.notices import Kind, Mark
from common.rules.preflight_words import Language

TOLD_AT_MOST = 100
"""Matters that a digest tells by themselves, of the new ones and of the others each; of the rest their number."""


class Item(BaseModel):
    """One matter of a company, in words; and by the names that `avtalsmotor status --json` has."""

    model_config = ConfigDict(frozen=True)

    tenant: int
    tenant_name: str
    status: str
    step: str | None
    reason: str | None
    about: str
    why: str
    cure: str
    command: str
    """What to type; empty where `cure` has it, or there is nothing to type."""
    since: datetime | None
    billings: tuple[int, ...]
    contracts: tuple[int, ...]


class Told(BaseModel):
    """Matters of one sort: how many there are, of how many companies, and those that are told by themselves."""

    model_config = ConfigDict(frozen=True)

    number: int = 0
    """Things that need a person; a matter of five billings that stand still is five."""
    companies: int = 0
    names: tuple[str, ...] = ()
    """Of the first few of them."""
    items: tuple[Item, ...] = ()
    left_out: int = 0
    """How many things `items` does not tell, for their number."""


class Digest(BaseModel):
    """One message.

    Parameters:
      id: drawn at random, so that it is the only one of its kind wherever it arrives.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Kind
    made_at: datetime
    language: Literal["sv", "en"]
    new: Told = Told()
    open: Told = Told()
    """What was told before, and is open still; its items only in a reminder."""


def compose(
    digest: Digest,
    matters: Sequence[Matter],
    names: Mapping[TenantId, str],
    *,
    new: Collection[Mark],
    known: Collection[Mark],
) -> Digest:
    """The digest with what it tells.

    Parameters:
      matters: all that needs a person.
      new: what of that nobody has been told of, and is to be told now.
      known: what of that was told before.
    """
    at_most = TOLD_AT_MOST if digest.kind is Kind.REMINDER else 0
    language = Language(digest.language)
    told = {
        "new": _told(_parts(matters, new), names, language, TOLD_AT_MOST),
        "open": _told(_parts(matters, known), names, language, at_most),
    }
    return digest.model_copy(update=told)


def _parts(matters: Sequence[Matter], marks: Collection[Mark]) -> list[Matter]:
    """What of the matters has these marks: of billings that stand still some may."""
    return [part for one in matters if (part := _part(one, marks)).marks]


def _part(matter: Matter, marks: Collection[Mark]) -> Matter:
    places = [place for place, mark in enumerate(matter.marks) if (matter.tenant, mark) in marks]
    if len(places) == len(matter.marks) or len(matter.marks) != len(matter.billings):
        return replace(matter, marks=[matter.marks[place] for place in places])
    return replace(
        matter,
        marks=[matter.marks[place] for place in places],
        billings=[matter.billings[place] for place in places],
        contracts=[matter.contracts[place] for place in places],
    )


_NAMED = 3
"""Companies that a subject names."""


def _told(matters: Sequence[Matter], names: Mapping[TenantId, str], language: Language, at_most: int) -> Told:
    companies = list(dict.fromkeys(one.tenant for one in matters))
    by_company = sorted(matters, key=lambda one: companies.index(one.tenant))
    return Told(
        number=sum(len(one.marks) for one in matters),
        companies=len(companies),
        names=tuple(names[one] for one in companies[:_NAMED]),
        items=tuple(_item(one, names, language) for one in by_company[:at_most]),
        left_out=sum(len(one.marks) for one in by_company[at_most:]) if at_most else 0,
    )


def _item(matter: Matter, names: Mapping[TenantId, str], language: Language) -> Item:
    return Item(
        tenant=matter.tenant,
        tenant_name=names[matter.tenant],
        status=matter.kind,
        step=matter.step,
        reason=matter.reason,
        about=words.about(matter, language),
        why=matter.why,
        cure=words.to_do(matter, language),
        command=words.to_type(matter),
        since=matter.since,
        billings=tuple(matter.billings),
        contracts=tuple(matter.contracts),
    )
