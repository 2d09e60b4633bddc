"""Companies whose contracts were never read, or not for so long that what falls due there may be missed."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from common.ids import TenantId
from common.ledger.records import Tenant
from common.matters.matter import Matter
from common.rules.preflight_words import Language, Words
from common.writing import minute

UNREAD = "unread"

POLLS_MISSED = 3
"""After so many intervals without a reading, something is wrong."""


def unread(
    companies: Sequence[Tenant], stopped: Collection[TenantId], now: datetime, interval: float, language: Language
) -> list[Matter]:
    """Those not read within the limit. A stop of everything in a company says already why, and is enough.

    Parameters:
      interval: seconds between two readings of a company.
    """
    limit = timedelta(seconds=interval) * POLLS_MISSED
    return [
        _unread(one, language)
        for one in companies
        if one.id not in stopped and (one.listed_at is None or now - one.listed_at > limit)
    ]


def _unread(company: Tenant, language: Language) -> Matter:
    words = _NEVER[language] if company.listed_at is None else _LONG_AGO[language]
    why, cure = words.why.format(read=minute(company.listed_at)), words.cure.format(tenant=company.id)
    return Matter(company.id, UNREAD, why, cure, [UNREAD], since=company.listed_at)


_CURE = {
    Language.EN: "See that `avtalsmotor up` runs, and that Fortnox is reachable: avtalsmotor plan --tenant {tenant}",
    Language.SV: "Se till att `avtalsmotor up` är igång, och att Fortnox nås: avtalsmotor plan --tenant {tenant}",
}
_NEVER = {
    Language.EN: Words(
        "Its contracts have never been read, so what falls due there may not be seen.", _CURE[Language.EN]
    ),
    Language.SV: Words(
        "Dess avtal har aldrig lästs, så det som ska faktureras där kan vara osett.", _CURE[Language.SV]
    ),
}
_LONG_AGO = {
    Language.EN: Words(
        "Its contracts were last read {read}, so what falls due there may not be seen.", _CURE[Language.EN]
    ),
    Language.SV: Words(
        "Dess avtal lästes senast {read}, så det som ska faktureras där kan vara osett.", _CURE[Language.SV]
    ),
}
