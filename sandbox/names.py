"""Names, addresses and registration numbers for the sandbox's made-up companies and customers.

Everything looks Swedish and nothing is meant to reach anybody: e-mail addresses end in ``.example``, telephone numbers
are from the series that is kept for fiction, and registration numbers are well-formed but not from a register. The file
must never draw from anything but the generator that it is given, or seeding would no longer be repeatable.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

_PLACES: Final = (
    ("Stockholm", "111 22"),
    ("Göteborg", "411 05"),
    ("Malmö", "211 34"),
    ("Uppsala", "753 20"),
    ("Västerås", "722 11"),
    ("Örebro", "702 10"),
    ("Linköping", "582 22"),
    ("Helsingborg", "252 20"),
    ("Jönköping", "553 16"),
    ("Norrköping", "602 22"),
    ("Lund", "222 22"),
    ("Umeå", "903 26"),
    ("Gävle", "802 50"),
    ("Borås", "503 30"),
    ("Eskilstuna", "632 20"),
    ("Halmstad", "302 42"),
    ("Växjö", "352 30"),
    ("Karlstad", "652 24"),
    ("Sundsvall", "852 30"),
    ("Luleå", "972 31"),
    ("Östersund", "831 30"),
    ("Falun", "791 30"),
    ("Kalmar", "392 32"),
    ("Karlskrona", "371 30"),
    ("Kristianstad", "291 31"),
    ("Skövde", "541 30"),
    ("Visby", "621 57"),
    ("Nyköping", "611 32"),
)

_STREETS: Final = (
    "Storgatan",
    "Kungsgatan",
    "Drottninggatan",
    "Järnvägsgatan",
    "Industrigatan",
    "Skolgatan",
    "Kyrkogatan",
    "Hantverkargatan",
    "Vasagatan",
    "Ringvägen",
    "Björkvägen",
    "Parkgatan",
    "Hamngatan",
    "Verkstadsgatan",
    "Fabriksgatan",
    "Lingonvägen",
    "Backvägen",
    "Nygatan",
    "Trädgårdsgatan",
    "Smedjegatan",
)

# Municipalities that are not on the map: a sandbox should not appear to hold anybody's accounts.
_MUNICIPALITIES: Final = (
    "Aspvik",
    "Björkerud",
    "Ekelösa",
    "Fagerhamn",
    "Granfors",
    "Hasselbo",
    "Ingelby",
    "Kvarnholm",
    "Lindenäs",
    "Mosshult",
    "Norrvalla",
    "Rönnåker",
    "Sjöberga",
    "Tallsele",
    "Ulvberg",
    "Vintrosa Norra",
    "Älvsätra",
    "Österlanda",
)

_SURNAMES: Final = (
    "Andersson",
    "Johansson",
    "Karlsson",
    "Nilsson",
    "Eriksson",
    "Larsson",
    "Olsson",
    "Persson",
    "Svensson",
    "Gustafsson",
    "Pettersson",
    "Jonsson",
    "Lindberg",
    "Lindström",
    "Lindqvist",
    "Bergström",
    "Sandberg",
    "Forsberg",
    "Sjöberg",
    "Wallin",
    "Engström",
    "Danielsson",
    "Håkansson",
    "Lundgren",
    "Björk",
    "Ekström",
    "Öberg",
    "Åkesson",
    "Nyström",
    "Holmgren",
    "Söderlund",
    "Wikström",
    "Al-Hassan",
    "Kovačević",
    "Nowak",
    "Hedlund",
)

_GIVEN_NAMES: Final = (
    "Anna",
    "Erik",
    "Maria",
    "Lars",
    "Karin",
    "Johan",
    "Eva",
    "Mikael",
    "Sara",
    "Anders",
    "Emma",
    "Per",
    "Lena",
    "Karl",
    "Ingrid",
    "Nils",
    "Åsa",
    "Björn",
    "Elin",
    "Oskar",
    "Amira",
    "Gustav",
    "Märta",
    "Hugo",
    "Linnéa",
    "Sven",
    "Kerstin",
    "Ali",
    "Birgitta",
    "Jonas",
)

_TRADES: Final = (
    "Bygg",
    "El",
    "Rör",
    "Måleri",
    "Plåt",
    "Fastigheter",
    "Transport",
    "Åkeri",
    "Mekaniska",
    "Snickeri",
    "Konsult",
    "Redovisning",
    "Juristbyrå",
    "Tandvård",
    "Optik",
    "Bageri",
    "Livs",
    "Trädgård",
    "Städ",
    "Bilservice",
    "Glas",
    "Golv",
    "Ventilation",
    "Catering",
    "Reklam",
    "Arkitekter",
    "Tryckeri",
    "Bemanning",
    "Ljudteknik",
    "Verkstad",
)

_LANDSCAPE: Final = (
    "Nord",
    "Syd",
    "Väst",
    "Mälar",
    "Roslags",
    "Vänern",
    "Dal",
    "Skärgårds",
    "Bergslags",
    "Kust",
    "Ås",
    "Slätt",
    "Fjäll",
    "Skogs",
    "Älv",
    "Sund",
)

_ASCII: Final = str.maketrans({"å": "a", "ä": "a", "ö": "o", "é": "e", "č": "c", "ć": "c", "&": None, ".": None})


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with a name and an address: a client company, or a customer of one."""

    name: str
    organisation_number: str
    """NNNNNN-NNNN with a valid check digit; empty for a private person."""
    street: str
    zip_code: str
    city: str
    email: str
    phone: str
    contact: str
    """The person to ask for; empty for a private person."""


class Register:
    """Draws parties; no company or municipality name and no registration number is given out twice.

    Parameters
    ----------
    random
        The seeded generator; two registers on equal generators give out the same parties in the same order.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._names: set[str] = set()
        self._numbers: set[str] = set()

    def client(self, name: str) -> Party:
        """A client company of the bureau with this name."""
        return self._organisation(self._unused(name), "5599", mailbox="ekonomi")

    def branch(self, trade: str) -> Party:
        """A client company of the bureau in this trade, in some town."""
        return self.client(f"{trade} i {self._random.choice(_PLACES)[0]} AB")

    def company(self) -> Party:
        """A limited company."""
        return self._organisation(self._unused(self._company_name()), "5599", mailbox="faktura")

    def municipality(self) -> Party:
        """A municipality, or one of its boards when all have been given out."""
        place = self._random.choice(_MUNICIPALITIES)
        board = self._random.choice(("", "", ", Barn- och utbildningsnämnden", ", Tekniska nämnden", ", Socialnämnden"))
        return self._organisation(self._unused(f"{place} kommun{board}"), "2120", mailbox="leverantorsfaktura")

    def person(self) -> Party:
        """A private person. Two may share a name, as people do."""
        given, surname = self._random.choice(_GIVEN_NAMES), self._random.choice(_SURNAMES)
        street, zip_code, city = self._address()
        mailbox = f"{slug(given)}.{slug(surname)}{self._random.randint(1, 99)}"
        return Party(
            f"{given} {surname}", "", street, zip_code, city, f"{mailbox}@post.example", self._phone(), contact=""
        )

    def _organisation(self, name: str, series: str, mailbox: str) -> Party:
        street, zip_code, city = self._address()
        return Party(
            name=name,
            organisation_number=self._organisation_number(series),
            street=street,
            zip_code=zip_code,
            city=city,
            email=f"{mailbox}@{slug(name.partition(',')[0])}.example",
            phone=self._phone(),
            contact=f"{self._random.choice(_GIVEN_NAMES)} {self._random.choice(_SURNAMES)}",
        )

    def _company_name(self) -> str:
        trade = self._random.choice(_TRADES)
        surname = self._random.choice(_SURNAMES)
        city = self._random.choice(_PLACES)[0]
        forms = (
            f"{surname}s {trade} AB",
            f"{surname} & {self._random.choice(_SURNAMES)} {trade} AB",
            f"{trade} i {city} AB",
            f"{city}s {trade} AB",
            f"{self._random.choice(_LANDSCAPE)}{trade.lower()} AB",
            f"AB {surname} {trade}",
        )
        return self._random.choice(forms).replace("ss ", "s ")

    def _unused(self, name: str) -> str:
        """The name, with a number when it has been given out before: large seeds must not run out of names."""
        candidate, number = name, 2
        while candidate in self._names:
            candidate = f"{name} {number}"
            number += 1
        self._names.add(candidate)
        return candidate

    def _organisation_number(self, series: str) -> str:
        while True:
            digits = f"{series}{self._random.randrange(100_000):05d}"
            number = f"{digits[:6]}-{digits[6:]}{check_digit(digits)}"
            if number not in self._numbers:
                self._numbers.add(number)
                return number

    def _address(self) -> tuple[str, str, str]:
        city, zip_code = self._random.choice(_PLACES)
        number, entrance = self._random.randint(1, 89), self._random.choice(("", "", "", "A", "B"))
        return f"{self._random.choice(_STREETS)} {number}{entrance}", zip_code, city

    def _phone(self) -> str:
        return f"08-465 004 {self._random.randrange(100):02d}"


def check_digit(digits: str) -> int:
    """The last digit of a Swedish registration number (Luhn) for the digits before it."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        product = int(digit) * (2 - position % 2)
        total += product - 9 if product > 9 else product
    return -total % 10


def slug(name: str) -> str:
    """The name as part of an internet address: lower case, no Swedish letters, words joined by hyphens."""
    return "-".join(name.lower().translate(_ASCII).split())
