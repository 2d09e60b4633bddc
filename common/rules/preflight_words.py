"""The findings of the pre-flight in words, Swedish and English: what is wrong, and the one thing that cures it.

Nothing is decided here. The commands and Fortnox' own words are the same in both languages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from common.ids import TenantId
from common.rules.preflight import Area, Finding, Kind, Severity, Topic
from common.rules.states import Step


class Language(StrEnum):
    EN = "en"
    SV = "sv"


@dataclass(frozen=True, slots=True)
class Words:
    """`why` says what is wrong, `cure` the one safe thing to do next."""

    why: str
    cure: str


def told(finding: Finding, tenant: TenantId, language: Language) -> Words:
    """The finding of that company in whole sentences."""
    words = _WORDS[finding.kind][language]
    named = _NAMES[language]
    about = ", ".join(named.get(one, one) for one in finding.about)
    until = "" if finding.day is None else _UNTIL[language].format(day=finding.day)
    why = words.why.format(about=about, day=finding.day, until=until)
    if finding.is_stop:
        why += f" {_STOPPED[language].format(step=STEPS[language][finding.step])}"
    if finding.message:
        code = f" ({_CODE[language]} {finding.code})" if finding.code else ""
        why += f' Fortnox: "{finding.message}"{code}.'
    return Words(why, words.cure.format(about=about, day=finding.day, tenant=tenant))


def severity_in_words(severity: Severity, language: Language) -> str:
    """One or two words, to stand before a finding."""
    return _SEVERITIES[language][severity]


_UNTIL: Mapping[Language, str] = MappingProxyType({Language.EN: " until {day}", Language.SV: " t.o.m. {day}"})
_CODE: Mapping[Language, str] = MappingProxyType({Language.EN: "code", Language.SV: "kod"})
_STOPPED: Mapping[Language, str] = MappingProxyType(
    {
        Language.EN: "It was refused, and stops {step} for the whole company.",
        Language.SV: "Det nekades, och stoppar {step} för hela företaget.",
    }
)
STEPS: Mapping[Language, Mapping[Step | None, str]] = MappingProxyType(
    {
        Language.EN: {None: "everything", Step.CREATE: "create", Step.BOOKKEEP: "bookkeep", Step.DELIVER: "deliver"},
        Language.SV: {None: "allt", Step.CREATE: "skapa", Step.BOOKKEEP: "bokföra", Step.DELIVER: "skicka"},
    }
)
"""What each step is called; `None` is all of them."""

_SEVERITIES: Mapping[Language, Mapping[Severity, str]] = MappingProxyType(
    {
        Language.EN: {
            Severity.HINDERS: "Hinders",
            Severity.WILL_HINDER: "Will hinder",
            Severity.TO_KNOW: "To know",
        },
        Language.SV: {
            Severity.HINDERS: "Hindrar",
            Severity.WILL_HINDER: "Kommer att hindra",
            Severity.TO_KNOW: "Att veta",
        },
    }
)
_NAMES: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {
        Language.EN: {
            Area.CONTRACTS: "contracts",
            Area.SETTINGS: "company settings",
            Area.LOCKED_PERIOD: "locked period",
            Area.YEARS: "financial years",
            Area.CUSTOMERS: "customers",
            Area.FINANCE: "Fakturatjänster",
            Topic.LICENCE_TO_SEND: "whether the company's licence allows sending"
            " (an agency's licence may book, but not send)",
            Topic.BANK_DETAILS: "bank details",
            Topic.FINANCE_ACTIVE: "whether Fakturatjänster is activated",
            Topic.ADDRESSES: "customers' addresses",
        },
        Language.SV: {
            Area.CONTRACTS: "avtal",
            Area.SETTINGS: "företagsinställningar",
            Area.LOCKED_PERIOD: "låst period",
            Area.YEARS: "räkenskapsår",
            Area.CUSTOMERS: "kunder",
            Area.FINANCE: "Fakturatjänster",
            Topic.LICENCE_TO_SEND: "om företagets licens räcker till att skicka"
            " (en byrålicens får bokföra men inte skicka)",
            Topic.BANK_DETAILS: "bankuppgifter",
            Topic.FINANCE_ACTIVE: "om Fakturatjänster är aktiverad",
            Topic.ADDRESSES: "kundernas adresser",
        },
    }
)


def _both(why: str, cure: str, swedish_why: str, swedish_cure: str) -> Mapping[Language, Words]:
    return MappingProxyType({Language.EN: Words(why, cure), Language.SV: Words(swedish_why, swedish_cure)})


_WORDS: Mapping[Kind, Mapping[Language, Words]] = MappingProxyType(
    {
        Kind.ACCESS_DEAD: _both(
            "Fortnox does not accept our access to the company, so nothing of it can be read or done.",
            "Connect the company again: avtalsmotor tenants connect",
            "Fortnox godtar inte vår åtkomst till företaget, så inget kan läsas eller göras.",
            "Anslut företaget igen: avtalsmotor tenants connect",
        ),
        Kind.SCOPE_MISSING: _both(
            "Our access to the company does not include what is needed for what is chosen (scope): {about}.",
            "Connect the company again with all rights: avtalsmotor tenants connect. Or choose without it.",
            "Vår åtkomst till företaget omfattar inte det som behövs för det som är valt (behörighet): {about}.",
            "Anslut företaget igen med alla behörigheter: avtalsmotor tenants connect. Eller välj bort det.",
        ),
        Kind.SCOPE_OPTIONAL: _both(
            "Our access to the company does not include (scope): {about}. Nothing that is chosen stops for it.",
            "Nothing; or connect the company again with all rights: avtalsmotor tenants connect",
            "Vår åtkomst till företaget omfattar inte (behörighet): {about}. Inget som är valt stannar av det.",
            "Inget; eller anslut företaget igen med alla behörigheter: avtalsmotor tenants connect",
        ),
        Kind.LICENCE_MISSING: _both(
            "The company lacks a licence in Fortnox that is needed.",
            "Order the licence in Fortnox. An agency's licence may book, but sending needs the company's own.",
            "Företaget saknar en licens i Fortnox som behövs.",
            "Beställ licensen i Fortnox. En byrålicens räcker till att bokföra, men att skicka kräver företagets egen.",
        ),
        Kind.LICENCE_OPTIONAL: _both(
            "The company has no licence in Fortnox for: {about}. Nothing that is chosen stops for it.",
            "Nothing.",
            "Företaget har ingen licens i Fortnox för: {about}. Inget som är valt stannar av det.",
            "Inget.",
        ),
        Kind.FEATURE_MISSING: _both(
            "A feature is not switched on for the company in Fortnox (Feature inte tillgänglig).",
            "Switch it on in Fortnox: for contracts, under Inställningar, Fakturering, Avtalsfakturering; for sending,"
            " the e-invoice or the print service.",
            "En funktion är inte påslagen för företaget i Fortnox (Feature inte tillgänglig).",
            "Slå på den i Fortnox: för avtal under Inställningar, Fakturering, Avtalsfakturering; för att skicka,"
            " e-faktura eller utskriftstjänsten.",
        ),
        Kind.PERIOD_LOCKED: _both(
            "The bookkeeping is locked (låst period){until}, so no invoice is made that would be dated within it.",
            "Unlock the period in Fortnox, or let the invoices wait.",
            "Bokföringen är låst (låst period){until}, så ingen faktura görs som skulle få ett datum i den.",
            "Lås upp perioden i Fortnox, eller låt fakturorna vänta.",
        ),
        Kind.YEAR_MISSING: _both(
            "There is no financial year (räkenskapsår) for today's date, so no invoice is made today.",
            "Create the financial year in Fortnox.",
            "Det finns inget räkenskapsår för dagens datum, så ingen faktura görs i dag.",
            "Lägg upp räkenskapsåret i Fortnox.",
        ),
        Kind.YEAR_ENDS: _both(
            "From {day} on there is no financial year (räkenskapsår), so no invoice is made from that day on.",
            "Create the next financial year in Fortnox before {day}.",
            "Från och med {day} finns inget räkenskapsår, så ingen faktura görs från den dagen.",
            "Lägg upp nästa räkenskapsår i Fortnox före {day}.",
        ),
        Kind.BANK_DETAILS_MISSING: _both(
            "Fortnox shows no bank details (bankuppgifter) of the company; without any, no invoice can be sent.",
            "Enter bankgiro, plusgiro or IBAN in the company settings in Fortnox.",
            "Fortnox visar inga bankuppgifter för företaget; utan dem kan ingen faktura skickas.",
            "Ange bankgiro, plusgiro eller IBAN i företagsinställningarna i Fortnox.",
        ),
        Kind.FINANCE_INACTIVE: _both(
            "Fakturatjänster is not activated for the company, so no invoice can be handed over to it.",
            "Activate Fakturatjänster in Fortnox, or choose another way of delivery.",
            "Fakturatjänster är inte aktiverad för företaget, så ingen faktura kan lämnas över dit.",
            "Aktivera Fakturatjänster i Fortnox, eller välj ett annat leveranssätt.",
        ),
        Kind.FINANCE_UNBOOKED: _both(
            "The company has the cash method (kontantmetoden), so nothing is bookkept when it is invoiced, and"
            " Fakturatjänster takes only what is bookkept.",
            "Choose another way of delivery for it: `avtalsmotor tenants policy {tenant} --deliver email`, say.",
            "Företaget har kontantmetoden, så inget bokförs vid faktureringen, och Fakturatjänster tar bara emot det"
            " som är bokfört.",
            "Välj ett annat leveranssätt för det: till exempel `avtalsmotor tenants policy {tenant} --deliver email`.",
        ),
        Kind.CASH_METHOD: _both(
            "The company has the cash method (kontantmetoden): bookkeeping is chosen, and passed over.",
            "Nothing: Fortnox bookkeeps the invoices when they are paid.",
            "Företaget har kontantmetoden: bokföring är vald, och hoppas över.",
            "Inget: Fortnox bokför fakturorna när de betalas.",
        ),
        Kind.SURPRISE: _both(
            "Fortnox did something else with a contract than invoicing the period asked for.",
            "Compare the contract and its latest invoice in Fortnox, and correct them there.",
            "Fortnox gjorde något annat med ett avtal än att fakturera den begärda perioden.",
            "Jämför avtalet och dess senaste faktura i Fortnox, och rätta dem där.",
        ),
        Kind.NOT_READ: _both(
            "Not everything could be read now: {about}.",
            "Nothing: it is tried again by itself.",
            "Allt kunde inte läsas nu: {about}.",
            "Inget: ett nytt försök görs av sig självt.",
        ),
        Kind.LEARNED_LATER: _both(
            "Not to be known beforehand: {about}.",
            "Nothing: it is learned from the first refusal, once for the whole company, which then stands in"
            " `avtalsmotor status`.",
            "Går inte att veta i förväg: {about}.",
            "Inget: det visar sig vid det första nekandet, en gång för hela företaget, och står då i"
            " `avtalsmotor status`.",
        ),
    }
)
