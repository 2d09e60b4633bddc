"""What people did in Fortnox, what cannot be read of it, and what no proof could explain."""

from collections.abc import Collection, Mapping

from common.ids import ContractNumber, TenantId
from common.ledger import corrections, preflights, proofs, tenants, unreadable
from common.ledger.corrections import Corrected
from common.ledger.database import Ledger
from common.ledger.preflights import Judged
from common.ledger.proofs import Kept, Open
from common.ledger.unreadable import UnreadableContract
from common.matters.matter import Matter
from common.rules.preflight import Finding, Severity
from common.rules.preflight_words import Language
from common.rules.preflight_words import told as told_finding
from common.rules.reason_words import told
from common.rules.reasons import Reason


async def read(ledger: Ledger, stopped: Collection[TenantId], language: Language) -> list[Matter]:
    """All of it, by kind and company.

    Parameters:
      stopped: the companies that cannot be read at all, which is told of already.
    """
    kept = await proofs.latest(ledger)
    flown = await preflights.judged(ledger, [one.id for one in await tenants.every(ledger) if one.id not in stopped])
    return [
        *(_hindering(one, found, language) for one in flown.values() for found in one.findings if _is_new(found)),
        *(_unreadable(one, language) for one in await unreadable.of(ledger)),
        *(_unproved(one, line, language) for one in kept for line in one.lines if line.reason != Reason.UNREADABLE),
        *(_not_proved(one, language) for one in kept if one.error is not None and one.tenant not in stopped),
        *(_voided(one, language) for one in await corrections.not_invoiced_again(ledger)),
        *(_set_back(one, language) for one in await corrections.set_back(ledger)),
    ]


def _is_new(finding: Finding) -> bool:
    """Whether it needs somebody, and no stop of the company tells of it."""
    return finding.severity is not Severity.TO_KNOW and not finding.is_stop


def _hindering(judged: Judged, finding: Finding, language: Language) -> Matter:
    words = told_finding(finding, judged.tenant, language)
    cure = f"{words.cure} {_SEE_CURED[language]}: avtalsmotor doctor --tenant {judged.tenant}"
    day = "" if finding.day is None else f" {finding.day}"
    marks = [" ".join([finding.kind.value, *sorted(str(one) for one in finding.about)]) + day]
    return Matter(judged.tenant, finding.kind.value, words.why, cure, marks, since=judged.made_at)


def _unreadable(contract: UnreadableContract, language: Language) -> Matter:
    number = ContractNumber(int(contract.number)) if contract.number.isdigit() else None
    words = told(Reason.UNREADABLE, {"fields": contract.error}, language)
    numbers = () if number is None else (number,)
    return Matter(
        contract.tenant,
        "unreadable",
        words.why,
        words.cure,
        [f"unreadable {contract.number}"],
        numbers,
        reason=Reason.UNREADABLE,
        since=contract.since,
    )


def _unproved(kept: Kept, line: Open, language: Language) -> Matter:
    period = f" {line.period}" if line.period else ""
    prove, or_acknowledge = _PROVE[language]
    return Matter(
        kept.tenant,
        line.finding,
        f"{line.finding.upper()}{period}: {line.why}",
        f"{line.cure} {prove}: avtalsmotor reconcile --tenant {kept.tenant}. {or_acknowledge}:"
        f" {how_to_acknowledge(kept.tenant, line.mark)}",
        [f"{line.finding} {line.mark}"],
        () if line.contract is None else (line.contract,),
        since=kept.made_at,
    )


def _not_proved(kept: Kept, language: Language) -> Matter:
    why, cure = _NOT_PROVED[language]
    return Matter(
        kept.tenant,
        "not_proved",
        why.format(day=kept.day, error=kept.error),
        f"{cure}: avtalsmotor reconcile --tenant {kept.tenant}",
        ["not_proved"],
        since=kept.tried_at,
    )


_SEE_CURED = {Language.EN: "See whether it is cured", Language.SV: "Se om det är åtgärdat"}
_PROVE = {
    Language.EN: ("Then prove it", "Or, if it is all right"),
    Language.SV: ("Stäm sedan av", "Eller, om det är som det ska"),
}
_NOT_PROVED = {
    Language.EN: (
        "Nothing is proved of {day} yet, since the company could not be read. {error}",
        "It is tried again by itself; or see now",
    ),
    Language.SV: (
        "Inget är avstämt för {day} ännu, eftersom företaget inte kunde läsas. {error}",
        "Ett nytt försök görs av sig självt; eller se nu",
    ),
}


def _voided(corrected: Corrected, language: Language) -> Matter:
    billing = corrected.billing
    reason = billing.reason or Reason.CANCELLED
    facts = {"invoice": billing.invoice, "period": billing.period, "contract shows": corrected.shown}
    return _of_billing(corrected, "voided", reason, facts, language)


def _set_back(corrected: Corrected, language: Language) -> Matter:
    facts = {"invoice": corrected.billing.invoice, "period": corrected.billing.period}
    return _of_billing(corrected, "set_back", Reason.SET_BACK, facts, language)


def _of_billing(
    corrected: Corrected, kind: str, reason: Reason, facts: Mapping[str, object], language: Language
) -> Matter:
    billing = corrected.billing
    words = told(reason, facts, language)
    return Matter(
        billing.tenant,
        kind,
        words.why,
        words.cure,
        [f"{kind} {billing.id}"],
        (billing.contract,),
        (billing.id,),
        reason=reason,
        since=billing.changed_at,
    )


def how_to_acknowledge(tenant: TenantId, mark: str) -> str:
    """The command that says so."""
    return f"avtalsmotor reconcile acknowledge {tenant} {mark} --why TEXT"
