"""The words of a digest: number and companies in one line, and per company what, why, what to type and since when."""

from datetime import datetime

import pytest

from common.clock import STOCKHOLM
from common.ids import BillingId, ContractNumber, TenantId
from common.matters.matter import Matter
from common.notices import digest
from common.notices.digest import Digest, compose
from common.notices.words import subject, text
from common.rules.notices import Kind, Mark
from common.rules.reasons import Reason
from common.rules.states import Step

BJORK, GRAN = TenantId(600_001), TenantId(600_002)
NAMES = {BJORK: "Björks Data AB", GRAN: "Gran & Tall AB"}
SINCE = datetime(2026, 2, 2, 0, 3, tzinfo=STOCKHOLM)
MADE = datetime(2026, 2, 2, 0, 10, tzinfo=STOCKHOLM)


def parked(*billings: int, tenant: TenantId = BJORK) -> Matter:
    return Matter(
        tenant,
        "parked",
        'Fortnox nekade: "Kunden saknas".',
        "Åtgärda det.",
        [f"parked {one}" for one in billings],
        [ContractNumber(one * 10) for one in billings],
        [BillingId(one) for one in billings],
        step=Step.CREATE,
        reason=Reason.REFUSED,
        since=SINCE,
    )


def marks(*matters: Matter) -> set[Mark]:
    return {(one.tenant, mark) for one in matters for mark in one.marks}


def composed(new: list[Matter], known: list[Matter], kind: Kind = Kind.NEW, language: str = "sv") -> Digest:
    empty = Digest.model_validate({"id": "a1", "kind": kind, "made_at": MADE, "language": language})
    return compose(empty, [*new, *known], NAMES, new=marks(*new), known=marks(*known))


def test_a_digest_in_swedish_tells_each_company_what_why_what_to_type_and_since_when() -> None:
    made = composed([parked(1, 2), parked(3, tenant=GRAN)], [parked(4)])
    assert subject(made) == "Avtalsmotor: nytt att åtgärda, 3 ärenden: Björks Data AB, Gran & Tall AB"
    assert text(made) == (
        "Nytt som behöver en människa: 3 ärenden i 2 företag, per 2026-02-02 00:10.\n"
        "\n"
        "Björks Data AB (600001)\n"
        '- att åtgärda (skapa): Fortnox nekade: "Kunden saknas".\n'
        "  2 faktureringar: 1, 2. Åtgärda det.\n"
        "  Skriv sedan: avtalsmotor billings retry 1 2\n"
        "  Sedan 2026-02-02 00:03.\n"
        "\n"
        "Gran & Tall AB (600002)\n"
        '- att åtgärda (skapa): Fortnox nekade: "Kunden saknas".\n'
        "  1 fakturering: 3 (avtal 30). Åtgärda det.\n"
        "  Skriv sedan: avtalsmotor billings retry 3\n"
        "  Sedan 2026-02-02 00:03.\n"
        "\n"
        "Sedan tidigare, och fortfarande öppet: 1 ärende i 1 företag.\n"
        "\n"
        "Allt som behöver en människa just nu: avtalsmotor status\n"
        "Meddelande a1. Alla meddelanden: avtalsmotor notices list\n"
    )


def test_of_a_matter_that_is_known_in_part_only_the_new_billings_are_told() -> None:
    empty = Digest(id="a1", kind=Kind.NEW, made_at=MADE, language="en")
    new, known = {(BJORK, "parked 2")}, {(BJORK, "parked 1")}
    made = compose(empty, [parked(1, 2)], NAMES, new=new, known=known)
    (item,) = made.new.items
    assert (item.billings, item.contracts, item.command) == ((2,), (20,), "avtalsmotor billings retry 2")
    assert (made.new.number, made.open.number) == (1, 1)


def test_a_reminder_tells_what_is_still_open() -> None:
    made = composed([], [parked(1)], Kind.REMINDER, "en")
    assert subject(made) == "Avtalsmotor: still to see to, 1 matter: Björks Data AB"
    assert "Then type: avtalsmotor billings retry 1" in text(made)


def test_what_a_company_is_called_cannot_begin_a_line_nor_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMES, BJORK, "Björk\r\nBcc: all@example.se\x1b[2J")
    made = composed([parked(1)], [])
    assert subject(made).endswith("Björk  Bcc: all@example.se [2J")
    assert "\nBcc" not in text(made)


def test_many_companies_are_counted_and_only_the_first_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "TOLD_AT_MOST", 4)
    companies = [TenantId(700_000 + number) for number in range(6)]
    for one in companies:
        monkeypatch.setitem(NAMES, one, f"Bolag {one}")
    made = composed([parked(1, 2, tenant=one) for one in companies], [])
    assert subject(made).endswith("12 ärenden: Bolag 700000, Bolag 700001, Bolag 700002 och 3 till")
    assert len(made.new.items) == 4
    assert "\nOch 4 till.\n" in text(made)
