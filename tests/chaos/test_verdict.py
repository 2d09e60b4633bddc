"""The verdict bites: each of these tampers with sound books in one place, and sees it reported as what it is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from tests.chaos.books import Due, Invoice, Row
from tests.chaos.verdict import Verdict, judge

DUE = Due(100, 1, date(2026, 3, 1), date(2026, 3, 31))
INVOICE = Invoice(100, 7, 1, DUE.start, DUE.end, by_person=False, booked=True, vouchers=1, left=("email",))
ROW = Row(1, 100, 1, DUE.start, DUE.end, "deliver", "done", None, 7, False, True, "email", changed_at=0.0)
EARLY = replace(INVOICE, number=8, start=date(2026, 4, 1), end=date(2026, 4, 30), booked=False, vouchers=0, left=())
PARKED = replace(
    ROW, id=2, start=EARLY.start, end=EARLY.end, step="bookkeep", status="parked", reason="early", invoice=8
)
DOUBTED = replace(ROW, step="create", status="in_doubt", reason="no_answer", invoice=None)


def judged(
    invoices: Sequence[Invoice], rows: Sequence[Row], *, why: str | None = None, edited: bool = False
) -> Verdict:
    return judge([DUE], invoices, rows, lambda _: why, {(100, 1)} if edited else ())


def wrong(verdict: Verdict) -> set[str]:
    return {name for name, offenders in verdict.wrong.items() if offenders}


def test_sound_books_have_nothing_wrong() -> None:
    assert not wrong(judged([INVOICE], [ROW]))


@pytest.mark.parametrize(
    ("what", "invoices"),
    [
        pytest.param("double", [INVOICE, replace(INVOICE, number=8)], id="an invoice is added"),
        pytest.param(
            "overlapping",
            [INVOICE, replace(EARLY, start=date(2026, 3, 31), end=date(2026, 4, 29))],
            id="an invoice of a day that is invoiced already",
        ),
        pytest.param("lost", [], id="the invoice is removed"),
        pytest.param("lost", [replace(INVOICE, booked=False, vouchers=0)], id="its booking is removed"),
        pytest.param("lost", [replace(INVOICE, left=())], id="its e-mail is removed"),
        pytest.param("booked_twice", [replace(INVOICE, vouchers=2)], id="a second voucher"),
        pytest.param("sent_twice", [replace(INVOICE, left=("email", "email"))], id="a second e-mail"),
        pytest.param("sent_twice", [replace(INVOICE, left=("email", "finance"))], id="e-mailed and handed over"),
        pytest.param("sent_twice", [replace(INVOICE, left=("einvoice", "einvoice"))], id="a second e-invoice"),
        pytest.param("lost", [replace(INVOICE, left=("eprint",))], id="printed instead of e-mailed"),
        pytest.param("disagreements", [replace(INVOICE, left=("eprint",))], id="by a way that nobody asked for"),
        pytest.param("disagreements", [replace(INVOICE, cancelled=True)], id="cancelled, and the ledger does not know"),
        pytest.param("disagreements", [replace(INVOICE, contract=2)], id="another contract's invoice"),
        pytest.param("early_not_caught", [INVOICE, EARLY], id="an invoice of the next period"),
    ],
)
def test_books_that_were_tampered_with_are_found_out(what: str, invoices: list[Invoice]) -> None:
    assert what in wrong(judged(invoices, [ROW]))


@pytest.mark.parametrize(
    ("deliver", "card", "way"),
    [
        ("email", "", "email"),
        ("einvoice", "", "einvoice"),
        ("print", "EMAIL", "eprint"),
        ("finance", "EMAIL", "finance"),
        ("customer", "EMAIL", "email"),
        ("customer", "ELECTRONICINVOICE", "einvoice"),
        ("customer", "PRINTSERVICE", "eprint"),
    ],
)
def test_each_invoice_is_judged_by_the_way_that_was_asked_for(deliver: str, card: str, way: str) -> None:
    row = replace(ROW, deliver=deliver)
    for left in ("email", "einvoice", "eprint", "finance"):
        found = wrong(judged([replace(INVOICE, left=(left,), card=card)], [row]))
        assert found == (set() if left == way else {"lost", "disagreements"})
    assert wrong(judged([replace(INVOICE, left=(), card=card)], [row])) == {"lost"}


def test_an_early_invoice_that_is_parked_is_caught() -> None:
    verdict = judged([INVOICE, EARLY], [ROW, PARKED], why="a person: create_invoice")
    assert (wrong(verdict), len(verdict.early_caught)) == (set(), 1)


@pytest.mark.parametrize("done", [replace(EARLY, booked=True, vouchers=1), replace(EARLY, left=("email",))])
def test_an_early_invoice_that_was_booked_or_sent_is_not_caught(done: Invoice) -> None:
    assert "early_not_caught" in wrong(judged([INVOICE, done], [ROW, PARKED], why="a person: create_invoice"))


def test_a_missing_invoice_is_explained_by_a_reason_and_a_fault_together() -> None:
    assert not wrong(judged([], [DOUBTED], why="500_after_acting"))
    assert wrong(judged([], [DOUBTED])) == {"unexplained"}


def test_a_missing_invoice_of_which_the_ledger_says_nothing_is_lost() -> None:
    assert wrong(judged([], [])) == {"lost"}


def test_what_still_goes_on_has_not_come_to_rest() -> None:
    assert wrong(judged([INVOICE], [replace(ROW, status="claimed")])) == {"lost"}


def test_a_voided_billing_whose_invoice_stands_is_a_disagreement() -> None:
    assert wrong(judged([INVOICE], [replace(ROW, status="voided", reason="cancelled")])) == {"disagreements"}


def test_an_invoice_of_ours_that_no_row_knows_is_a_disagreement() -> None:
    assert "disagreements" in wrong(
        judged([INVOICE], [replace(ROW, invoice=None, status="voided", reason="cancelled")])
    )


def test_what_nobody_asked_for_is_a_disagreement() -> None:
    assert wrong(judged([INVOICE], [replace(ROW, bookkeep=False)])) == {"disagreements"}
    assert wrong(judged([INVOICE], [replace(ROW, deliver="none")])) >= {"disagreements"}


def test_an_invoice_of_a_period_that_a_person_wrote_is_caught_by_a_billing_in_plain_sight() -> None:
    assert not wrong(judged([EARLY], [DOUBTED], why="a person: set_period", edited=True))
    assert "early_not_caught" in wrong(judged([EARLY], [ROW], edited=True))


def test_an_invoice_over_a_handmade_one_is_caught_where_a_person_wrote_its_period_and_it_is_parked() -> None:
    handmade = replace(INVOICE, by_person=True, left=())
    over = replace(EARLY, start=date(2026, 3, 31), end=date(2026, 4, 29))
    parked = replace(PARKED, start=over.start, end=over.end, reason="period_moved")
    billed = replace(ROW, handmade=True)

    def is_wrong(ours: Invoice, row: Row, *, edited: bool = True) -> bool:
        return "overlapping" in wrong(judged([handmade, ours], [billed, row], why="a person", edited=edited))

    verdict = judged([handmade, over], [billed, parked], why="a person", edited=True)
    assert (wrong(verdict), len(verdict.overlapping_caught)) == (set(), 1)
    assert not is_wrong(over, replace(parked, invoice=None, told_of=over.number))
    assert is_wrong(over, parked, edited=False)
    assert is_wrong(over, replace(parked, invoice=None))
    assert is_wrong(replace(over, left=("email",)), parked)
    assert is_wrong(replace(over, booked=True, vouchers=1), parked)


def test_an_invoice_that_an_older_ledger_has_forgotten_is_in_plain_sight_by_the_proof_alone() -> None:
    assert wrong(judge([DUE], [INVOICE], [], lambda _: None)) == {"disagreements"}
    assert not wrong(judge([DUE], [INVOICE], [], lambda _: None, forgotten=lambda _: True))


def test_an_invoice_that_a_person_made_of_a_later_period_is_in_plain_sight_by_the_proof_alone() -> None:
    later = replace(EARLY, by_person=True)
    assert wrong(judged([INVOICE, later], [ROW])) == {"disagreements"}
    told = {(later.tenant, later.number)}
    assert not wrong(judge([DUE], [INVOICE, later], [ROW], lambda _: None, told=told))
    assert "disagreements" in wrong(judge([DUE], [INVOICE, later], [ROW], lambda _: None, told={(200, later.number)}))
    # Nothing of ours is excused by being told.
    assert wrong(judge([DUE], [INVOICE, EARLY], [ROW], lambda _: None, told=told)) == {"early_not_caught"}
    assert wrong(judge([DUE], [INVOICE], [], lambda _: None, told={(100, INVOICE.number)})) == {"disagreements"}


def test_what_is_forgotten_is_never_doubled_for_that() -> None:
    again = replace(INVOICE, number=8)
    assert "double" in wrong(judge([DUE], [INVOICE, again], [], lambda _: None, forgotten=lambda _: True))
