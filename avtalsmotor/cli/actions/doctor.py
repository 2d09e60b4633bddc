"""`avtalsmotor doctor`: what would fail before it does, of the installation and of each company, and what cures it.

It reads every company anew, and keeps that for `status` and the plan; nothing in Fortnox is changed.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from avtalsmotor.cli.actions.installation import Check, check, open_ledger_or_say
from avtalsmotor.cli.actions.known import selected_tenants
from avtalsmotor.cli.actions.reading import AT_ONCE
from avtalsmotor.cli.failure import tell_wait
from avtalsmotor.cli.printing import count, heading, minute, print_json, say
from avtalsmotor.cli.session import log_quietly, missing_credentials, open_fortnox, read_settings, user
from avtalsmotor.embedded import EmbeddedError
from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, NotSent
from common.ids import BillingId, TenantId
from common.ledger import preflights
from common.ledger.database import Ledger
from common.ledger.preflights import Judged
from common.ledger.records import Tenant
from common.matters import stops
from common.rules.preflight import Finding, Severity
from common.rules.preflight_words import Language, Words, severity_in_words, told
from common.rules.states import Step
from common.settings import Settings
from producers.preflights import make

Retries = Mapping[tuple[TenantId, Step | None], BillingId]
"""By company and step that is stopped, the billing whose retry ends that."""


async def doctor(number: int | None, as_json: bool, *, swedish: bool) -> bool:
    """Returns whether nothing hinders."""
    language = Language.SV if swedish else Language.EN
    settings = read_settings()
    log_quietly(settings)
    ledger = await open_ledger_or_say(settings)
    if not isinstance(ledger, Ledger):
        _tell([ledger], [], {}, {}, language, as_json)
        return False
    try:
        checks = await check(settings, ledger)
        companies = await selected_tenants(ledger, number)
        errors = await _look(settings, ledger, companies)
        found = await preflights.judged(ledger, [one.id for one in companies])
        retries = {
            (one.block.tenant, one.block.step): one.retry
            for one in await stops.of_companies(ledger)
            if one.retry is not None
        }
    finally:
        await ledger.close()
    judged = [(one, found[one.id]) for one in companies]
    _tell(checks, judged, errors, retries, language, as_json)
    hinders = any(severity is Severity.HINDERS for _, severity, _ in checks)
    return not (hinders or errors or any(one.hinders for one in found.values()))


async def _look(settings: Settings, ledger: Ledger, companies: Sequence[Tenant]) -> dict[TenantId, str]:
    """Reads the companies anew. Returns why, for those that could not be read."""
    if not companies or missing_credentials(settings):
        return {}
    tell_wait(f"Reading {count(len(companies), 'company', 'companies')} from Fortnox ...")
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(fortnox: Fortnox, company: Tenant) -> str | None:
        async with turns:
            try:
                await make(ledger, fortnox, company.id, user())
            except (FortnoxError, NotSent) as error:
                return str(error)
        return None

    try:
        async with open_fortnox(settings, ledger) as fortnox:
            answers = await asyncio.gather(*(one(fortnox, company) for company in companies))
    except EmbeddedError as error:
        return {company.id: str(error) for company in companies}
    return {company.id: why for company, why in zip(companies, answers, strict=True) if why is not None}


def _tell(
    checks: Sequence[Check],
    judged: Sequence[tuple[Tenant, Judged]],
    errors: Mapping[TenantId, str],
    retries: Retries,
    language: Language,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "installation": [_as_item(name, severity, words[language]) for name, severity, words in checks],
                "companies": [
                    {
                        "tenant": company.id,
                        "tenant_name": company.name,
                        "read_at": one.made_at,
                        "error": errors.get(company.id),
                        "findings": [
                            _as_item(finding.kind, finding.severity, _words(finding, company.id, retries, language))
                            for finding in one.findings
                        ],
                    }
                    for company, one in judged
                ],
            }
        )
        return
    fine, not_read = _PLAIN[language]
    heading(_HEADINGS[language].installation)
    for _, severity, words in checks:
        _print(severity, words[language], language)
    if not checks:
        say(fine)
    shared = _shared(judged, language)
    quiet = 0
    for company, one in judged:
        own = [finding for finding in one.findings if told(finding, company.id, language) not in shared]
        if not own and shared and company.id not in errors:
            quiet += 1
            continue
        heading(f"{company.name} ({company.id})")
        if company.id in errors:
            say(not_read.format(since=minute(one.made_at) or "-", why=errors[company.id]))
        for finding in own:
            _print(finding.severity, _words(finding, company.id, retries, language), language)
        if not own and company.id not in errors:
            say(fine)
    for common_words, companies in shared.items():
        heading(_HEADINGS[language].shared.format(companies=companies))
        _print(Severity.TO_KNOW, common_words, language)
    if quiet:
        say()
        say(_HEADINGS[language].quiet.format(companies=quiet))


def _shared(judged: Sequence[tuple[Tenant, Judged]], language: Language) -> Mapping[Words, int]:
    """What is only to know, and the same of so many companies that it is told once, with their number."""
    same = Counter(
        told(finding, company.id, language)
        for company, one in judged
        for finding in one.findings
        if finding.severity is Severity.TO_KNOW
    )
    return {words: companies for words, companies in same.items() if companies >= _TOLD_ONCE_FROM}


_TOLD_ONCE_FROM = 3
"""Companies of which the same is to know: more would drown what hinders."""


class _Headings(NamedTuple):
    installation: str
    shared: str
    quiet: str


_HEADINGS: Mapping[Language, _Headings] = {
    Language.EN: _Headings("Installation", "Of {companies} companies", "Companies with nothing else: {companies}."),
    Language.SV: _Headings("Installationen", "Om {companies} företag", "Företag utan något annat: {companies}."),
}

_PLAIN: Mapping[Language, tuple[str, str]] = {
    Language.EN: ("All in order.", "It could not be read now; this is as of {since}. {why}"),
    Language.SV: ("Allt i sin ordning.", "Det kunde inte läsas nu; detta är per {since}. {why}"),
}


def print_findings(judged: Judged, language: Language = Language.EN) -> None:
    """Two lines for each finding of a company."""
    for finding in judged.findings:
        _print(finding.severity, told(finding, judged.tenant, language), language)


def _words(finding: Finding, tenant: TenantId, retries: Retries, language: Language) -> Words:
    words = told(finding, tenant, language)
    retry = retries.get((tenant, finding.step)) if finding.is_stop else None
    if retry is None:
        return words
    then = "Then type" if language is Language.EN else "Skriv sedan"
    return Words(words.why, f"{words.cure} {then}: avtalsmotor billings retry {retry}")


def _print(severity: Severity, words: Words, language: Language) -> None:
    say(f"{severity_in_words(severity, language)}: {words.why}")
    say(f"  {words.cure}")


def _as_item(kind: str, severity: Severity, words: Words) -> dict[str, object]:
    return {"kind": str(kind), "severity": severity, "why": words.why, "cure": words.cure}
