"""The verdict on a run, pure: what is wrong in the sandbox's books, and where the ledger says something else.

The books decide what exists; the ledger only says why something does not, and that must match a fault or a person's
deed that the suite knows of. Nothing is excused here that is not stated in both places.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from tests.chaos.books import Due, Invoice, Row

Why = Callable[[Row], str | None]
"""What struck a billing that waits in plain sight; `None`: nothing that the suite knows of."""

_WAY_OF_CARD = {"EMAIL": "email", "ELECTRONICINVOICE": "einvoice", "PRINTSERVICE": "eprint"}
_WAY_OF_POLICY = {"email": "email", "einvoice": "einvoice", "print": "eprint", "finance": "finance"}

_GOING_ON = frozenset({"waiting", "claimed", "seeking"})
_IN_SIGHT = frozenset({"held", "parked", "in_doubt", "skipped"})


@dataclass
class Verdict:
    """What was found, each offender in words."""

    double: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    booked_twice: list[str] = field(default_factory=list)
    sent_twice: list[str] = field(default_factory=list)
    early_not_caught: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    overlapping_caught: list[str] = field(default_factory=list)
    """No fault: an invoice of ours of a period that a person wrote between our look and our call, over one that she had
    made herself; neither booked nor sent, and parked by its number."""
    early_caught: list[str] = field(default_factory=list)
    """No fault: an invoice of a later period that a click in between made ours, neither booked nor sent, and parked."""
    in_plain_sight: list[str] = field(default_factory=list)
    """No fault: what waits for a person, for a reason that is known."""

    @property
    def wrong(self) -> Mapping[str, Sequence[str]]:
        """The offenders by count; all empty after a good run."""
        return {
            name: getattr(self, name)
            for name in (
                "double",
                "overlapping",
                "lost",
                "unexplained",
                "booked_twice",
                "sent_twice",
                "early_not_caught",
                "disagreements",
            )
        }


def judge(
    due: Iterable[Due],
    invoices: Sequence[Invoice],
    rows: Sequence[Row],
    why: Why,
    edited: Collection[tuple[int, int]] = (),
    forgotten: Callable[[Invoice], bool] = lambda _: False,
    told: Collection[tuple[int, int]] = (),
) -> Verdict:
    """Judges the books.

    Parameters:
      due: the periods that fell due, one a contract.
      invoices: all invoices of contracts in the sandbox's books.
      rows: all billings of the ledger.
      why: see `Why`.
      edited: (company, contract) of those whose period a person changed.
      forgotten: whether the ledger need not know of an invoice, having been put back to an older copy of itself; such a
        one is in plain sight by the product's proof.
      told: (company, invoice) of what the product's proof says needs a look. Of an invoice that a person has made of a
        period that is not due nothing else tells: it was nobody's to make.
    """
    verdict = Verdict()
    of_contract: dict[tuple[int, int], list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        of_contract[invoice.tenant, invoice.contract].append(invoice)
    billed: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        billed[row.tenant, row.contract].append(row)
    for one in due:
        key = one.tenant, one.contract
        known = {row.invoice for row in billed[key]}
        lost_sight_of = {
            invoice.number for invoice in of_contract[key] if invoice.number not in known and forgotten(invoice)
        }
        _judge_contract(verdict, one, of_contract[key], billed[key], why, lost_sight_of, told, edited=key in edited)
    for invoice in invoices:
        _judge_invoice(verdict, invoice)
    by_number = {(invoice.tenant, invoice.number): invoice for invoice in invoices}
    for row in rows:
        _judge_row(verdict, row, by_number, why)
    return verdict


def _judge_contract(
    verdict: Verdict,
    due: Due,
    made: Sequence[Invoice],
    rows: Sequence[Row],
    why: Why,
    forgotten: Collection[int],
    told: Collection[tuple[int, int]],
    *,
    edited: bool,
) -> None:
    live = [invoice for invoice in made if invoice.live]
    for first, second in combinations(live, 2):
        if (first.start, first.end) == (second.start, second.end):
            verdict.double.append(f"{first}, and again {second.number}")
        elif first.start <= second.end and second.start <= first.end:
            caught = edited and first.by_person != second.by_person and _is_parked(_ours(first, second), rows)
            (verdict.overlapping_caught if caught else verdict.overlapping).append(f"{first}, and {second}")
    of_period = [invoice for invoice in made if (invoice.start, invoice.end) == (due.start, due.end)]
    if not any(invoice.live or invoice.number in forgotten for invoice in of_period):
        _judge_missing(verdict, due, rows, why)
    taken_in = {row.invoice for row in rows}
    for invoice in live:
        if invoice.number in forgotten:
            verdict.in_plain_sight.append(f"{invoice} (the older ledger knows nothing of it, the proof tells of it)")
        elif invoice not in of_period and not invoice.by_person:
            _judge_not_asked_for(verdict, invoice, rows, edited=edited)
        elif invoice not in of_period and invoice.number not in taken_in and (invoice.tenant, invoice.number) in told:
            verdict.in_plain_sight.append(
                f"{invoice} (made by hand of a period that is not due; the proof tells of it)"
            )
        elif invoice.number not in taken_in and not any(row.status in _IN_SIGHT for row in rows):
            verdict.disagreements.append(f"{invoice} stands in no row of the ledger")


def _ours(first: Invoice, second: Invoice) -> Invoice:
    return second if first.by_person else first


def _is_parked(invoice: Invoice, rows: Sequence[Row]) -> bool:
    """Whether it waits for a person as what it is, neither booked nor sent."""
    waiting = [row for row in rows if row.status in {"parked", "held"}]
    is_stated = any(invoice.number in (row.invoice, row.told_of) for row in waiting)
    return is_stated and not invoice.vouchers and not invoice.left


def _judge_missing(verdict: Verdict, due: Due, rows: Sequence[Row], why: Why) -> None:
    named = f"contract {due.contract} of company {due.tenant}, {due.start}..{due.end}"
    stating = [row for row in rows if row.status in {*_IN_SIGHT, "voided"} and row.reason is not None]
    if not stating:
        said = "; ".join(map(str, rows)) or "the ledger has no row of it"
        verdict.lost.append(f"no live invoice of {named}: {said}")
    elif not any(why(row) for row in stating):
        verdict.unexplained.append(f"no live invoice of {named}: {'; '.join(map(str, stating))}")


def _judge_not_asked_for(verdict: Verdict, invoice: Invoice, rows: Sequence[Row], *, edited: bool) -> None:
    """An invoice that our call has made of another period than it was to be.

    After a click in between it is an early one, and is parked as what it is. Of a period that a person had just written
    nobody can say what it was to be: there the billing that asked for it must wait in plain sight.
    """
    caught = any(row.invoice == invoice.number and row.status in {"parked", "held"} for row in rows)
    if edited:
        caught = caught or any(row.status in _IN_SIGHT and row.reason is not None for row in rows)
    if invoice.vouchers or invoice.left or not caught:
        rest = "; ".join(map(str, rows))
        verdict.early_not_caught.append(
            f"{invoice}, {invoice.vouchers} vouchers, left {_in_words(invoice.left)}; the ledger: {rest}"
        )
    else:
        verdict.early_caught.append(str(invoice))


def _judge_invoice(verdict: Verdict, invoice: Invoice) -> None:
    if invoice.vouchers > 1:
        verdict.booked_twice.append(f"{invoice}: {invoice.vouchers} vouchers")
    if len(invoice.left) > 1:
        verdict.sent_twice.append(f"{invoice}: {_in_words(invoice.left)}")


def _judge_row(verdict: Verdict, row: Row, by_number: Mapping[tuple[int, int], Invoice], why: Why) -> None:
    if row.status in _GOING_ON:
        verdict.lost.append(f"not come to rest: {row}")
    elif row.status in _IN_SIGHT:
        cause = why(row)
        if row.reason is None and row.status != "skipped":
            verdict.unexplained.append(f"no reason is stated: {row}")
        elif cause is None:
            verdict.unexplained.append(f"nothing is known that would explain it: {row}")
        else:
            verdict.in_plain_sight.append(f"{row} ({cause})")
    if row.invoice is None:
        return
    invoice = by_number.get((row.tenant, row.invoice))
    if invoice is None or (invoice.contract, invoice.start, invoice.end) != (row.contract, row.start, row.end):
        verdict.disagreements.append(f"{row}, but the books have {invoice or 'no such invoice'}")
        return
    if row.status == "voided" and invoice.live:
        verdict.disagreements.append(f"{row}, but {invoice} stands")
    if row.status == "done":
        _judge_done(verdict, row, invoice)
    if not row.bookkeep and invoice.vouchers:
        verdict.disagreements.append(f"{row}: booked, though nobody asked for it")
    if unasked := set(invoice.left) - set(_asked(row, invoice)):
        verdict.disagreements.append(f"{row}: left {_in_words(sorted(unasked))}, though nobody asked for it")


def _asked(row: Row, invoice: Invoice) -> Sequence[str]:
    """The way that it was to leave by, if any."""
    way = _WAY_OF_CARD.get(invoice.card) if row.deliver == "customer" else _WAY_OF_POLICY.get(row.deliver)
    return () if way is None else (way,)


def _in_words(left: Sequence[str]) -> str:
    return f"by {', '.join(left)}" if left else "in no way"


def _judge_done(verdict: Verdict, row: Row, invoice: Invoice) -> None:
    if not invoice.live:
        verdict.disagreements.append(f"{row}, but {invoice} is cancelled or credited")
    elif not row.handmade:
        asked = _asked(row, invoice)
        if row.bookkeep and not invoice.booked:
            verdict.lost.append(f"not booked: {row}")
        if tuple(invoice.left) != tuple(asked) and len(invoice.left) <= 1:
            verdict.lost.append(f"not sent as asked, {_in_words(asked)}: {row}: it left {_in_words(invoice.left)}")
