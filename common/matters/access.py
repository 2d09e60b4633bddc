"""Companies whose refresh token has not been used for so long that it will die, or has died (API notes 7).

While a producer runs, each company is read every few minutes, a paused one too, and its token is renewed by that. So
one grows old only while nothing runs, or while its renewal fails.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from common.consents import LIFE
from common.ids import TenantId
from common.ledger import consents
from common.ledger.consents import Consent
from common.ledger.database import Ledger
from common.matters.matter import Matter
from common.rules.preflight_words import Language, Words
from common.writing import minute

AGEING = "access_ageing"

WARNED_BEFORE = timedelta(days=14)
"""So long before its end a person is told: a fortnight, in which somebody is back from a holiday."""


def dies_at(consent: Consent) -> datetime | None:
    """When its refresh token dies unless it is renewed; `None` where there is none that lives, or might."""
    if consent.refresh_token is None or consent.ended_at is not None:
        return None
    return consent.renewed_at + LIFE


def warning(consent: Consent, now: datetime, language: Language) -> Words | None:
    """What a person should know and do of a company's access; `None` while it is far from its end."""
    dies = dies_at(consent)
    if dies is None or dies >= now + WARNED_BEFORE:
        return None
    words = (_DEAD if dies <= now else _DYING)[language]
    facts = {"renewed": minute(consent.renewed_at), "dies": minute(dies), "days": LIFE.days, "tenant": consent.tenant}
    return Words(words.why.format(**facts), words.cure.format(**facts))


async def ageing(ledger: Ledger, stopped: Collection[TenantId], now: datetime, language: Language) -> list[Matter]:
    """Those that somebody must see to. A stop of everything in a company says already why, and is enough."""
    unused = await consents.unused_since(ledger, now - LIFE + WARNED_BEFORE)
    told = [(one, warning(one, now, language)) for one in unused if one.tenant not in stopped]
    return [_matter(consent, words, now) for consent, words in told if words is not None]


def _matter(consent: Consent, words: Words, now: datetime) -> Matter:
    dead = consent.renewed_at + LIFE <= now
    marks = [f"{AGEING} {'dead' if dead else 'dying'}"]
    return Matter(consent.tenant, AGEING, words.why, words.cure, marks, since=consent.renewed_at)


_DEAD = {
    Language.EN: Words(
        "The access to it was last renewed {renewed}, and has died after {days} days.",
        "Connect the company again: avtalsmotor tenants connect --tenant-id {tenant}",
    ),
    Language.SV: Words(
        "Åtkomsten till det förnyades senast {renewed}, och har dött efter {days} dagar.",
        "Anslut företaget igen: avtalsmotor tenants connect --tenant-id {tenant}",
    ),
}
_DYING = {
    Language.EN: Words(
        "The access to it was last renewed {renewed}, and dies {dies} if it is not used.",
        "See that `avtalsmotor up` runs; or renew it now: avtalsmotor plan --tenant {tenant}",
    ),
    Language.SV: Words(
        "Åtkomsten till det förnyades senast {renewed}, och dör {dies} om den inte används.",
        "Se till att `avtalsmotor up` är igång; eller förnya den nu: avtalsmotor plan --tenant {tenant}",
    ),
}
