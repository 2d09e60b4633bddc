"""A digest in words: the subject and the text of a message, in Swedish or English.

A company's name, or Fortnox' own words, can neither begin a line nor steer a terminal: they come through `clean`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from common.notices.digest import Digest, Item, Told
from common.rules.notices import Kind
from common.rules.preflight_words import Language
from common.writing import clean, count, minute

_NAME_AT_MOST = 40
"""Letters of a company's name in a subject."""


def subject(digest: Digest) -> str:
    """One line: how much, and of whom."""
    words = _WORDS[Language(digest.language)]
    match digest.kind:
        case Kind.TEST:
            return words.test_subject
        case Kind.REMINDER if not digest.new.number:
            return words.reminder_subject.format(number=_things(digest.open, words), names=_names(digest.open, words))
        case _:
            return words.new_subject.format(number=_things(digest.new, words), names=_names(digest.new, words))


def text(digest: Digest) -> str:
    """The whole message."""
    return "\n".join(_lines(digest, _WORDS[Language(digest.language)])) + "\n"


def _lines(digest: Digest, words: "_Words") -> Iterator[str]:
    if digest.kind is Kind.TEST:
        yield words.test.format(at=minute(digest.made_at))
        return
    at = minute(digest.made_at)
    if digest.new.number:
        told = digest.new
        yield words.new.format(number=_things(told, words), companies=_companies(told, words), at=at)
        yield from _told(told, words)
        yield ""
    if digest.open.number:
        told = digest.open
        yield words.open.format(number=_things(told, words), companies=_companies(told, words), at=at)
        yield from _told(told, words)
        yield ""
    yield words.where
    yield words.which.format(id=digest.id)


def _told(told: Told, words: "_Words") -> Iterator[str]:
    for (tenant, name), items in groupby(told.items, key=lambda one: (one.tenant, one.tenant_name)):
        yield ""
        yield f"{clean(name)} ({tenant})"
        for item in items:
            yield from _item(item, words)
    if told.left_out:
        yield ""
        yield words.left_out.format(number=told.left_out)


def _item(item: Item, words: "_Words") -> Iterator[str]:
    about = f"{item.about}: " if item.about else ""
    yield f"- {clean(about + item.why)}"
    yield f"  {clean(item.cure)}"
    if item.command:
        yield f"  {words.type_}: {item.command}"
    if item.since is not None:
        yield f"  {words.since} {minute(item.since)}."


def _things(told: Told, words: "_Words") -> str:
    return count(told.number, words.thing, words.things)


def _companies(told: Told, words: "_Words") -> str:
    return count(told.companies, words.company, words.companies)


def _names(told: Told, words: "_Words") -> str:
    named = ", ".join(clean(name)[:_NAME_AT_MOST] for name in told.names)
    more = told.companies - len(told.names)
    return f"{named} {words.more.format(more=more)}" if more > 0 else named


@dataclass(frozen=True, slots=True)
class _Words:
    new_subject: str
    reminder_subject: str
    test_subject: str
    thing: str
    things: str
    company: str
    companies: str
    more: str
    new: str
    open: str
    left_out: str
    type_: str
    since: str
    where: str
    which: str
    test: str


_WORDS = {
    Language.SV: _Words(
        new_subject="Avtalsmotor: nytt att åtgärda, {number}: {names}",
        reminder_subject="Avtalsmotor: fortfarande att åtgärda, {number}: {names}",
        test_subject="Avtalsmotor: provmeddelande",
        thing="ärende",
        things="ärenden",
        company="företag",
        companies="företag",
        more="och {more} till",
        new="Nytt som behöver en människa: {number} i {companies}, per {at}.",
        open="Sedan tidigare, och fortfarande öppet: {number} i {companies}.",
        left_out="Och {number} till.",
        type_="Skriv sedan",
        since="Sedan",
        where="Allt som behöver en människa just nu: avtalsmotor status",
        which="Meddelande {id}. Alla meddelanden: avtalsmotor notices list",
        test="Detta är ett prov, skickat {at}. Meddelanden om det som behöver en människa kommer fram hit.",
    ),
    Language.EN: _Words(
        new_subject="Avtalsmotor: new to see to, {number}: {names}",
        reminder_subject="Avtalsmotor: still to see to, {number}: {names}",
        test_subject="Avtalsmotor: a test",
        thing="matter",
        things="matters",
        company="company",
        companies="companies",
        more="and {more} more",
        new="New, and needing a person: {number} in {companies}, as of {at}.",
        open="Told before, and still open: {number} in {companies}.",
        left_out="And {number} more.",
        type_="Then type",
        since="Since",
        where="Everything that needs a person just now: avtalsmotor status",
        which="Notice {id}. All notices: avtalsmotor notices list",
        test="This is a test, sent {at}. Notices of what needs a person arrive here.",
    ),
}
