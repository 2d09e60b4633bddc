"""The cast of the sandbox's story: a dozen client companies, what each sells, how each wants its contracts invoiced,
and what is wrong in its books.

A table and nothing else. How many contracts a company has due tonight is bound by Fortnox' rate limit: the largest, at
four to five requests an invoice and 25 requests in five seconds, takes most of a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from sandbox.story_record import Reason
from sandbox.story_rules import Wishes


@dataclass(frozen=True, slots=True)
class Good:
    """An article. The price is in whole kronor, with VAT where the company's prices are."""

    number: str
    description: str
    price: int | Decimal
    vat: int = 25
    unit: str = "mån"
    account: int = 3001
    most: int = 1
    """The largest quantity on a contract row."""


@dataclass(frozen=True, slots=True)
class Part:
    """One client company of the story."""

    name: str
    trade: str
    """Names further companies of the same kind."""
    line: str
    """What it does and wants, in words."""
    wishes: Wishes
    due: int
    """Contracts due tonight at scale 1, those that will fail among them."""
    goods: tuple[Good, ...]
    customers: Mapping[Literal["company", "municipality", "person"], int]
    """How common each kind of customer is."""
    intervals: tuple[int, ...] = (1,)
    """Months between invoices, one drawn for each contract."""
    anchors: tuple[int, ...] = (1,)
    """Days of the month on which periods begin, one drawn for each contract."""
    fixed: float = 0.2
    """The share of contracts with a fixed length; the others are continuous."""
    contract_wishes: tuple[Mapping[str, object], ...] = ()
    """What single contracts wish otherwise; each is given to one contract."""
    failing: tuple[Reason, ...] = ()
    """Contracts that fail, one for each reason."""
    trouble: Reason | None = None
    """What is wrong with the whole company."""
    prices_with_vat: bool = False
    whole_kronor: bool = True
    price_list_b: bool = False
    """Some customers have a price list of their own, ten per cent lower."""
    broken_year: bool = False
    """The financial year runs from May to April."""


CAST: Final[tuple[Part, ...]] = (
    Part(
        name="Nordlunds IT-drift AB",
        trade="IT-drift",
        line="Runs servers and desktops; every contract is booked and e-mailed on the first day of its period.",
        wishes=Wishes(bookkeep=True, deliver="email"),
        due=45,
        goods=(
            Good("A100", "Serverdrift, virtuell server", 1490, most=4),
            Good("A110", "Arbetsplats som tjänst", 690, unit="st", most=20),
            Good("A120", "Säkerhetskopiering per TB", 240, unit="TB", most=8),
            Good("A130", "Brandvägg, övervakad", 950),
            Good("A140", "Supportavtal vardagar 8-17", 2400),
            Good("A150", "Licens Office, per användare", 130, unit="st", most=25),
        ),
        customers={"company": 8, "municipality": 2},
        intervals=(1, 1, 1, 1, 3, 12),
        anchors=(1, 1, 1, 1, 15),
        contract_wishes=({"deliver": "none"}, {"bookkeep": False}, {"lead_days": 5}),
        failing=(
            Reason.CUSTOMER_WITHOUT_EMAIL,
            Reason.ZERO_TOTAL,
            Reason.MISSED_INTERVALS,
            Reason.PERIOD_LENGTH,
        ),
        price_list_b=True,
    ),
    Part(
        name="Fastighets AB Kvarnkullen",
        trade="Fastigheter",
        line="Lets offices, flats and parking; rents are booked and e-mailed fifteen days before the period begins.",
        wishes=Wishes(bookkeep=True, deliver="email", lead_days=15),
        due=36,
        goods=(
            Good("H10", "Hyra bostad", 8450, vat=0, account=3911),
            Good("H20", "Hyra kontorslokal", 14900, account=3913),
            Good("H30", "Parkeringsplats i garage", 950, unit="st", account=3914, most=3),
            Good("H40", "Hyra förråd", 420, vat=0, unit="st", account=3911, most=2),
            Good("H50", "Fastighetsskatt enligt avtal", 610, account=3915),
        ),
        customers={"company": 5, "person": 5},
        intervals=(1, 1, 1, 3),
        failing=(Reason.NO_PERIOD, Reason.CUSTOMER_WITHOUT_EMAIL),
        contract_wishes=({"lead_days": 30}, {"deliver": "none"}),
    ),
    Part(
        name="Rena Rum Städservice AB",
        trade="Städservice",
        line="Cleans offices; every invoice is booked and handed over to Fakturatjänster.",
        wishes=Wishes(bookkeep=True, deliver="finance"),
        due=30,
        goods=(
            Good("S1", "Kontorsstädning enligt schema", 4200),
            Good("S2", "Fönsterputs", 780, unit="tim", most=6),
            Good("S3", "Entrémattor, byte", 190, unit="st", most=8),
            Good("S4", "Fruktkorg till personalrummet", 450, vat=12, unit="st", account=3002, most=4),
        ),
        customers={"company": 9, "municipality": 1},
        intervals=(1, 1, 1, 3),
        anchors=(1, 1, 16),
        failing=(Reason.CUSTOMER_WITHOUT_CITY,),
        contract_wishes=({"deliver": "email"},),
    ),
    Part(
        name="Lindgrens Redovisningsbyrå HB",
        trade="Redovisningsbyrå",
        line="Keeps books for small firms, itself by the cash method; wishes bookkeeping and e-mail.",
        wishes=Wishes(bookkeep=True, deliver="email"),
        due=24,
        goods=(
            Good("R1", "Löpande bokföring", 1950),
            Good("R2", "Lönehantering per anställd", 160, unit="st", most=12),
            Good("R3", "Momsdeklaration", 690, unit="st"),
            Good("R4", "Bokslut och årsredovisning, delbetalning", 1200),
        ),
        customers={"company": 9, "person": 1},
        trouble=Reason.CASH_METHOD,
    ),
    Part(
        name="Elmätarna i Bergslagen AB",
        trade="Elmätning",
        line="Reads meters; bills in arrears, five days before the period's end, books, and sends the paper itself.",
        wishes=Wishes(bookkeep=True, deliver="none", invoice_on="period_end", lead_days=5),
        due=28,
        goods=(
            Good("E1", "Mätaravläsning per mätpunkt", Decimal("58.40"), unit="st", most=40),
            Good("E2", "Rapport till nätägare", Decimal("312.80")),
            Good("E3", "Larm vid avvikande förbrukning", Decimal("129.60"), unit="st", most=5),
        ),
        customers={"company": 6, "municipality": 4},
        intervals=(1, 1, 3),
        contract_wishes=({"deliver": "email"}, {"invoice_on": "period_start", "lead_days": 0}),
        whole_kronor=False,
        broken_year=True,
    ),
    Part(
        name="Studio Sjöstad Webbyrå AB",
        trade="Webbyrå",
        line="Hosts web sites; e-mails at once but leaves the bookkeeping to its accountant.",
        wishes=Wishes(bookkeep=False, deliver="email"),
        due=32,
        goods=(
            Good("W1", "Webbhotell", 290),
            Good("W2", "Domännamn", 150, unit="år", most=6),
            Good("W3", "Underhåll av webbplats", 1100, unit="tim", most=4),
            Good("W4", "Nyhetsbrev, utskick", 390),
        ),
        customers={"company": 7, "person": 2, "municipality": 1},
        intervals=(1, 1, 12, 12, 3),
        anchors=(1, 10, 20, 25),
        failing=(Reason.NO_ROWS, Reason.CUSTOMER_WITHOUT_EMAIL),
        contract_wishes=({"bookkeep": True},),
    ),
    Part(
        name="Larmcentralen Västerbo AB",
        trade="Larm",
        line="Watches alarms; wants its invoices made and nothing more, and looks through them itself.",
        wishes=Wishes(),
        due=34,
        goods=(
            Good("L1", "Larmövervakning dygnet runt", 370),
            Good("L2", "Utryckning, beredskap", 220),
            Good("L3", "Kamera, hyra", 180, unit="st", most=10),
            Good("L4", "Serviceavtal brandlarm", 640),
        ),
        customers={"company": 6, "person": 3, "municipality": 1},
        intervals=(3, 3, 1, 12),
        failing=(Reason.ZERO_TOTAL,),
        contract_wishes=({"bookkeep": True, "deliver": "email"},),
    ),
    Part(
        name="Hisservice i Norrådal AB",
        trade="Hisservice",
        line="Services lifts; wishes bookkeeping and e-mail, but has not entered its bank details.",
        wishes=Wishes(bookkeep=True, deliver="email"),
        due=22,
        goods=(
            Good("HS1", "Hissavtal bas", 1250, unit="st", most=3),
            Good("HS2", "Nödtelefon i hiss", 240, unit="st", most=3),
            Good("HS3", "Årlig besiktning, delbetalning", 330, unit="st", most=3),
        ),
        customers={"company": 7, "municipality": 3},
        intervals=(1, 3),
        trouble=Reason.NO_BANK_DETAILS,
    ),
    Part(
        name="Skyltverkstan i Åkerby AB",
        trade="Skyltar",
        line="Hires out signs; wishes bookkeeping, but somebody locked the books a year too far ahead.",
        wishes=Wishes(bookkeep=True, deliver="email"),
        due=12,
        goods=(
            Good("SK1", "Hyra ljusskylt", 540, unit="st", most=3),
            Good("SK2", "Serviceavtal skylt", 210, unit="st", most=3),
        ),
        customers={"company": 1},
        trouble=Reason.BOOKS_LOCKED,
    ),
    Part(
        name="Rotebro Kaffe & Vatten AB",
        trade="Kaffe & Vatten",
        line="Delivers coffee and water; its licence for contracts has not been renewed.",
        wishes=Wishes(bookkeep=True, deliver="email"),
        due=8,
        goods=(
            Good("K1", "Kaffe, bryggmalet", 89, vat=12, unit="kg", account=3002, most=12),
            Good("K2", "Hyra kaffemaskin", 790, unit="st", most=2),
            Good("K3", "Källvatten 18 l", 120, vat=12, unit="st", account=3002, most=10),
        ),
        customers={"company": 1},
        trouble=Reason.NO_LICENCE,
    ),
    Part(
        name="Aktivitetshuset Gym & Hälsa AB",
        trade="Gym & Hälsa",
        line="Trains private persons at prices with VAT; books and e-mails, and lets some members pay by paper.",
        wishes=Wishes(bookkeep=True, deliver="email"),
        due=38,
        goods=(
            Good("G1", "Träningskort", 399, vat=6, account=3003),
            Good("G2", "Bad och relax, tillägg", 149, vat=6, account=3003),
            Good("G3", "Hyra klädskåp", 75),
            Good("G4", "Personlig tränare", 650, vat=6, unit="tim", account=3003, most=4),
        ),
        customers={"person": 9, "company": 1},
        anchors=(1, 1, 5, 10, 25),
        fixed=0.5,
        failing=(Reason.CUSTOMER_WITHOUT_EMAIL, Reason.MISSED_INTERVALS),
        contract_wishes=({"deliver": "none"}, {"deliver": "none"}, {"lead_days": 10}),
        prices_with_vat=True,
    ),
    Part(
        name="Förlaget Björkbladet AB",
        trade="Tidskrifter",
        line="Sells subscriptions to schools and libraries; books, and e-mails ten days before the period begins.",
        wishes=Wishes(bookkeep=True, deliver="email", lead_days=10),
        due=30,
        goods=(
            Good("T1", "Tidskrift, klassuppsättning", 1180, vat=6, unit="st", account=3003, most=6),
            Good("T2", "Tidskrift, enstaka prenumeration", 320, vat=6, unit="st", account=3003, most=4),
            Good("T3", "Digitalt läromedel", 2650, vat=25, unit="licens", most=3),
            Good("T4", "Arkivtillgång", 90, vat=25, unit="licens", most=30),
        ),
        customers={"municipality": 6, "company": 3, "person": 1},
        intervals=(12, 12, 3, 6),
        failing=(Reason.PERIOD_LENGTH,),
        contract_wishes=({"deliver": "none"}, {"invoice_on": "period_end", "lead_days": 7}),
        price_list_b=True,
    ),
)
