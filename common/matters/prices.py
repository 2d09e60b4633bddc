"""Changed prices that wait for a person's word: one matter for each change, and one for each contract that refused."""

from collections import defaultdict

from common.ledger import price_updates
from common.ledger.database import Ledger
from common.ledger.price_updates import PriceUpdate, UpdateStatus
from common.matters.matter import Matter
from common.rules.preflight_words import Language, Words

PROPOSED, REFUSED = "price_proposed", "price_refused"


async def read(ledger: Ledger, language: Language) -> list[Matter]:
    """All of them, by company and change."""
    proposed: dict[int, list[PriceUpdate]] = defaultdict(list)
    found: list[Matter] = []
    for one in await price_updates.waiting_for_a_person(ledger):
        if one.status is UpdateStatus.PROPOSED:
            proposed[one.change].append(one)
        else:
            found.append(_refused(one, language))
    return [*found, *(_proposed(of_change, language) for of_change in proposed.values())]


def _refused(one: PriceUpdate, language: Language) -> Matter:
    words, said = _REFUSED[language], one.detail.get("message", "")
    why = words.why.format(article=one.article, said=said)
    cure = words.cure.format(change=one.change, contract=one.contract)
    return Matter(one.tenant, REFUSED, why, cure, [f"{REFUSED} {one.id}"], (one.contract,), since=one.changed_at)


def _proposed(of_change: list[PriceUpdate], language: Language) -> Matter:
    words, first = _PROPOSED[language], of_change[0]
    why = words.why.format(article=first.article, contracts=len(of_change))
    cure = words.cure.format(change=first.change)
    since = min(one.changed_at for one in of_change)
    return Matter(first.tenant, PROPOSED, why, cure, [f"{PROPOSED} {first.change}"], since=since)


_REFUSED = {
    Language.EN: Words(
        "The new price of {article} was not set, and the next invoice waits for that. Fortnox said: {said}",
        "Mend it in Fortnox, then try again: avtalsmotor prices approve {change} --contract {contract}. Or keep the "
        "old price: avtalsmotor prices reject {change} --contract {contract}",
    ),
    Language.SV: Words(
        "Det nya priset på {article} kunde inte sättas, och nästa faktura väntar på det. Fortnox svarade: {said}",
        "Åtgärda det i Fortnox och försök igen: avtalsmotor prices approve {change} --contract {contract}. Eller "
        "behåll det gamla priset: avtalsmotor prices reject {change} --contract {contract}",
    ),
}
_PROPOSED = {
    Language.EN: Words(
        "The price of {article} has changed. Contracts that should follow: {contracts}. Until you decide they are "
        "invoiced at the old price.",
        "See the worksheet: avtalsmotor prices show {change}. Then: avtalsmotor prices approve {change}, or reject",
    ),
    Language.SV: Words(
        "Priset på {article} har ändrats. Avtal som bör följa med: {contracts}. Tills du har bestämt dig faktureras de "
        "till det gamla priset.",
        "Se arbetsbladet: avtalsmotor prices show {change}. Sedan: avtalsmotor prices approve {change}, eller reject",
    ),
}
