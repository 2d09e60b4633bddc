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


async def ageing(ledger: Ledger, stopped: Collection[TenantId], now: datetime, language: Language) -> list[Matter]:
    """Those that somebody must see to. A stop of everything in a company says already why, and is enough."""
    unused = await consents.unused_since(ledger, now - LIFE + WARNED_BEFORE)
    return [_matter(one, now, language) for one in unused if one.tenant not in stopped]


def _matter(consent: Consent, now: datetime, language: Language) -> Matter:
    dies = consent.renewed_at + LIFE
    dead = dies <= now
    words = _DEAD[language] if dead else _DYING[language]
    why, cure = (
        one.format(renewed=minute(consent.renewed_at), dies=minute(dies), days=LIFE.days, tenant=consent.tenant)
        for one in (words.why, words.cure)
    )
    marks = [f"{AGEING} {'dead' if dead else 'dying'}"]
    return Matter(consent.tenant, AGEING, why, cure, marks, since=consent.renewed_at)


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
