"""The reasons in a person's language: in Swedish the same two sentences as `reasons.REASONS` has in English.

Nothing is decided here. Fortnox' own words, and the commands, are the same in both languages.
"""

from collections.abc import Mapping
from types import MappingProxyType

from common.rules.preflight_words import Language, Words
from common.rules.reasons import REASONS, ROWS_SEEN, Reason, explain


def told(reason: Reason, facts: Mapping[str, object], language: Language) -> Words:
    """Why and what to do, with Fortnox' own words if any (`message`, `code`), and the other facts by name."""
    if language is Language.EN:
        return Words(explain(reason, **facts), REASONS[reason].cure)
    return Words(_explained(reason, facts), SWEDISH[reason].cure)


def _explained(reason: Reason, facts: Mapping[str, object]) -> str:
    known = {name: str(fact) for name, fact in facts.items() if fact is not None and str(fact) and name != ROWS_SEEN}
    message, code = known.pop("message", ""), known.pop("code", "")
    if "verdict" in known:
        known["verdict"] = SWEDISH[Reason(known["verdict"])].why
    sentence = SWEDISH[reason].why
    if message:
        sentence += f': "{message}"'
    if code:
        sentence += f" (kod {code})"
    if known:
        named = [f"{_FACTS.get(name, name.replace('_', ' '))}: {fact}" for name, fact in known.items()]
        sentence += f" ({'; '.join(named)})"
    return f"{sentence}."


_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "amount": "belopp",
        "answer": "svar",
        "asked for": "begärt",
        "billed": "fakturerat",
        "changed": "ändrat",
        "contract": "avtal",
        "contract shows": "avtalet visar",
        "contract status": "avtalets status",
        "customer": "kund",
        "customer_name": "kundnamn",
        "customer_number": "kundnummer",
        "dated": "daterad",
        "deliver": "leveranssätt",
        "due": "förfaller",
        "earlier": "tidigare",
        "expected": "väntat",
        "fields": "fält",
        "invoice": "faktura",
        "invoice of the period": "periodens faktura",
        "invoice_date": "fakturadatum",
        "its period": "dess period",
        "last_billed": "senast fakturerat",
        "last_billed_to": "senast fakturerat till",
        "locked_until": "låst t.o.m.",
        "missing": "saknas",
        "period": "period",
        "status": "status",
        "stood as": "stod som",
        "tax_reduction": "skattereduktion",
        "verdict": "bedömning",
    }
)
"""The facts by their names; what is not here is told by the name it has."""

_AGAIN = "Inget: ett nytt försök görs av sig självt."
_RETRY_ONE = "gör sedan ett nytt försök med en fakturering (retry); de andra följer efter."

SWEDISH: Mapping[Reason, Words] = MappingProxyType(
    {
        Reason.DUE: Words("Perioden ska faktureras", "Inget: den faktureras av sig själv."),
        Reason.NOT_YET: Words("Perioden ska inte faktureras ännu", "Inget: den faktureras på sin dag."),
        Reason.ALREADY_BILLED: Words(
            "Perioden som avtalet visar är redan fakturerad, på väg eller överhoppad",
            "Inget: nästa period planeras när avtalet visar den.",
        ),
        Reason.SET_BACK: Words(
            "Avtalet visar åter en period som redan har sin faktura",
            "Makulera eller kreditera den fakturan i Fortnox om perioden ska faktureras igen; annars flytta fram"
            " avtalets period där.",
        ),
        Reason.EARLIER_OPEN: Words(
            "En tidigare period av avtalet har inte fått sin faktura ännu",
            "Avsluta den tidigare faktureringen först; perioden planeras då.",
        ),
        Reason.FINISHED: Words(
            "Avtalet är avslutat, eller alla dess fakturor är gjorda", "Inget, eller förnya avtalet i Fortnox."
        ),
        Reason.INACTIVE: Words(
            "Avtalet är inte bland de aktiva avtalen i Fortnox",
            "Inget, eller aktivera avtalet i Fortnox om det ska faktureras.",
        ),
        Reason.PAUSED: Words(
            "Faktureringen är pausad av en person, för avtalet, företaget eller hela byrån",
            "Återuppta den när det ska faktureras igen.",
        ),
        Reason.PROPOSAL: Words(
            "Företaget är i förslagsläge: detta skulle hända, och inget anropas",
            "Kontrollera planen, och sätt sedan företaget i skarpt läge.",
        ),
        Reason.NO_PERIOD: Words(
            "Avtalet har ingen period, så det finns inget att fakturera",
            "Ange den första perioden på avtalet i Fortnox.",
        ),
        Reason.UNREADABLE: Words(
            "Fortnox visar avtalet på ett sätt som inte går att förstå, så inget av det syns eller faktureras",
            "Öppna avtalet i Fortnox och rätta det som nämns här; det läses om av sig självt.",
        ),
        Reason.ACCRUAL_MISSING: Words(
            "Fakturan gäller många månader och ska bokföras på en gång, och dess avtal har ingen periodisering",
            "Inget; eller lägg in en periodisering på avtalet i Fortnox innan fakturan görs.",
        ),
        Reason.PERIOD_MOVED: Words(
            "Avtalets period är inte den väntade: den överlappar, upprepar eller lämnar en lucka",
            "Jämför de två perioderna, rätta avtalet i Fortnox om det är fel, och godkänn sedan eller hoppa över.",
        ),
        Reason.PERIOD_LENGTH: Words(
            "Avtalets period är inte så lång som dess fakturaintervall",
            "Rätta perioden eller intervallet i Fortnox och hoppa över faktureringen, eller godkänn den som den är.",
        ),
        Reason.CATCH_UP: Words(
            "Perioden skulle ha fakturerats för mer än ett intervall sedan",
            "Kontrollera att ingen har fakturerat den på annat sätt, och godkänn sedan eller hoppa över.",
        ),
        Reason.AMOUNT_CHANGED: Words(
            "Beloppet skiljer sig från det senast fakturerade med mer än vad regeln tillåter",
            "Kontrollera avtalets rader i Fortnox, och godkänn sedan faktureringen.",
        ),
        Reason.AMOUNT_ZERO: Words(
            "Avtalets summa är noll",
            "Kontrollera avtalets rader i Fortnox, och godkänn sedan faktureringen eller hoppa över den.",
        ),
        Reason.ONE_A_DAY: Words(
            "Avtalet har redan fakturerats i dag",
            "Inget: det faktureras i morgon. Godkänn faktureringen om den ska gå ut i dag.",
        ),
        Reason.PERIOD_LOCKED: Words(
            "Bokföringen är låst (låst period) på fakturans datum",
            "Lås upp perioden i Fortnox, och gör sedan ett nytt försök (retry).",
        ),
        Reason.YEAR_MISSING: Words(
            "Det finns inget räkenskapsår för fakturans datum",
            "Lägg upp räkenskapsåret i Fortnox, och gör sedan ett nytt försök (retry).",
        ),
        Reason.DELIVERY_UNSUPPORTED: Words(
            "Fakturan kan inte levereras på det sätt som regeln säger",
            "Välj ett annat leveranssätt för avtalet, eller åtgärda det som saknas, och godkänn sedan faktureringen.",
        ),
        Reason.TAX_REDUCTION: Words(
            "Fakturan har skattereduktion (ROT, RUT eller grön teknik)",
            "Kontrollera skattereduktionen på fakturan i Fortnox, och godkänn sedan faktureringen.",
        ),
        Reason.INVOICE_CHANGED: Words(
            "Någon har ändrat fakturan i Fortnox efter att den gjordes",
            "Titta på fakturan i Fortnox, och godkänn sedan faktureringen om den ska gå vidare som den nu är.",
        ),
        Reason.HANDMADE: Words(
            "En person har gjort periodens faktura för hand",
            "Godkänn faktureringen om resten ska göras av sig självt, eller hoppa över den.",
        ),
        Reason.SENT_BEFORE: Words(
            "Fakturan var markerad som skickad innan något skickades härifrån",
            "Ta reda på om kunden har den; hoppa över faktureringen i så fall, annars godkänn så skickas den.",
        ),
        Reason.REFUSED: Words(
            "Fortnox nekade",
            "Åtgärda det som Fortnox meddelande säger, och gör sedan ett nytt försök (retry).",
        ),
        Reason.RECIPIENT_MISSING: Words(
            "Kunden saknar den adress som leveranssättet behöver",
            "Fyll i det som saknas på kundkortet i Fortnox. En faktura som inte är gjord går då av sig själv; på en"
            " som är gjord fylls det i också där, och sedan görs ett nytt försök (retry).",
        ),
        Reason.COMPANY_HINDERED: Words(
            "Fakturan skulle kunna göras, men ett senare steg av den skulle säkert nekas för hela företaget",
            "Åtgärda det som `avtalsmotor doctor --swedish` säger om företaget; sedan går den av sig själv. Godkänn"
            " faktureringen om fakturan ändå ska göras.",
        ),
        Reason.BANK_DETAILS_MISSING: Words(
            "Företagets bankuppgifter saknas i Fortnox; utan dem kan ingen faktura skickas",
            f"Ange dem i företagsinställningarna i Fortnox; {_RETRY_ONE}",
        ),
        Reason.LICENCE_MISSING: Words(
            "Företaget saknar en licens i Fortnox som detta behöver",
            f"Beställ licensen i Fortnox; {_RETRY_ONE}",
        ),
        Reason.SCOPE_MISSING: Words(
            "Vår åtkomst till företaget omfattar inte detta (behörighet saknas)",
            f"Anslut företaget till Avtalsmotor igen med alla behörigheter; {_RETRY_ONE}",
        ),
        Reason.FEATURE_MISSING: Words(
            "Funktionen är inte påslagen för företaget i Fortnox (Feature inte tillgänglig)",
            "Slå på Avtalsfakturering i Fortnox inställningar; för att skicka är det e-faktura eller"
            f" utskriftstjänsten; {_RETRY_ONE}",
        ),
        Reason.FINANCE_INACTIVE: Words(
            "Fortnox Fakturatjänster är inte aktiverad för företaget",
            f"Aktivera den i Fortnox; {_RETRY_ONE} Eller välj ett annat leveranssätt för det som planeras hädanefter.",
        ),
        Reason.TOKEN_DEAD: Words(
            "Fortnox godtar inte längre vår åtkomst till företaget",
            "Anslut företaget igen med `avtalsmotor tenants connect`; det som väntar på det går då av sig självt.",
        ),
        Reason.CONTRACT_MISSING: Words(
            "Fortnox hittar inte avtalet",
            "Leta efter avtalet i Fortnox; hoppa över faktureringen om avtalet är borta.",
        ),
        Reason.INVOICE_MISSING: Words(
            "Fortnox hittar inte fakturan",
            "Leta efter fakturan i Fortnox; hoppa över faktureringen om fakturan är borta.",
        ),
        Reason.NOT_WAREHOUSE_READY: Words(
            "Fakturan är inte klarmarkerad, vilket lagerfakturor måste vara innan de bokförs",
            "Klarmarkera fakturan i Fortnox; den bokförs då av sig själv.",
        ),
        Reason.UNVERIFIED: Words(
            "Fakturan som Fortnox visar är inte den som begärdes",
            "Jämför fakturan med avtalet i Fortnox; rätta eller makulera den där före allt annat.",
        ),
        Reason.FINANCE_NOT_OPEN: Words(
            "Fortnox Fakturatjänster har inte tagit emot fakturan inom ett dygn",
            "Titta på fakturan under Fakturatjänster i Fortnox; den skickas aldrig på annat sätt av sig själv.",
        ),
        Reason.PRINT_BY_HAND: Words(
            "Kundkortet säger att företaget självt skriver ut fakturan (Utskrift), vilket inte kan göras härifrån",
            "Skriv ut den i Fortnox och posta den, eller välj ett annat sätt på kundkortet; gör sedan ett nytt försök"
            " (retry).",
        ),
        Reason.SURPRISE: Words(
            "Fortnox gjorde något annat med ett avtal än att fakturera den begärda perioden",
            f"Jämför avtalet och dess senaste faktura i Fortnox, och rätta dem; {_RETRY_ONE}",
        ),
        Reason.EARLY: Words(
            "Någon gjorde avtalets faktura för hand strax före vårt anrop, som då gjorde nästa periods",
            "Behåll den, så att den går ut på sin dag: avtalsmotor billings keep ID. Eller makulera den, så att den"
            " görs om när det är dags: avtalsmotor billings cancel ID.",
        ),
        Reason.NO_ANSWER: Words(
            "Inget läsbart svar kom från Fortnox, så anropet kan ha fått verkan eller inte",
            "Vänta medan Fortnox genomsöks efter verkan; gör inte om det för hand.",
        ),
        Reason.NUMBER_UNKNOWN: Words(
            "Fortnox har gjort fakturan, men har inte sagt vilket nummer den har",
            "Vänta medan fakturan letas upp; gör den inte för hand.",
        ),
        Reason.OLD_LEDGER: Words(
            "Liggaren återställdes från en äldre kopia, så detta kan vara gjort utan att den vet det",
            "Vänta medan Fortnox genomsöks efter verkan; gör inte om det för hand. Vad som aldrig skickades kan bara ni"
            " säga.",
        ),
        Reason.THROTTLED: Words("Fortnox bad oss sakta ner för företaget", _AGAIN),
        Reason.UNREACHABLE: Words("Fortnox kunde inte nås", _AGAIN),
        Reason.NOT_SENT: Words("Anropet gjordes inte, så inget har hänt", _AGAIN),
        Reason.UNAUTHORIZED: Words("Fortnox godtog inte åtkomsttoken", _AGAIN),
        Reason.CANCELLED: Words(
            "Fakturan är makulerad i Fortnox",
            "Inget, eller sätt tillbaka avtalets period i Fortnox om perioden ska faktureras igen.",
        ),
        Reason.CREDITED: Words(
            "Fakturan är krediterad i Fortnox",
            "Inget, eller sätt tillbaka avtalets period i Fortnox om perioden ska faktureras igen.",
        ),
        Reason.WITHDRAWN: Words(
            "Den planerades kvällen före, och skulle inte faktureras längre när dess dag kom",
            "Inget: det som nu gäller för dess period står i planen.",
        ),
    }
)
