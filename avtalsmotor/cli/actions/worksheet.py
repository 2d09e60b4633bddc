"""The worksheet of a changed price: contract by contract, what becomes of each row, and what it comes to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from avtalsmotor.cli.printing import Column, Row, amount, count, day, money, print_table, say
from common.ids import ContractNumber
from common.rules.price_lists import ListPrice
from common.rules.prices import CAUTIONS, WORDS, Caution, Change, Why


@dataclass(frozen=True, slots=True)
class Sheet:
    """What becomes of one contract. `rows`: quantity, price, price afterwards, and why."""

    contract: ContractNumber
    customer: str
    status: str
    rows: tuple[tuple[Decimal, Decimal, Decimal, Why], ...]
    cautions: tuple[Caution, ...]
    first_day: date | None
    a_month: Decimal | None
    currency: str

    @property
    def follows(self) -> bool:
        return any(why is Why.FOLLOWS for *_, why in self.rows)


def print_sheet(sheets: Sequence[Sheet]) -> None:
    """A line for every row of every contract, and what those that follow come to."""
    if not sheets:
        say("No active contract whose rows have been read uses this article.")
        return
    columns = [
        Column("Contract", number=True),
        Column("Customer", cut=True),
        Column("Status", whole=True),
        Column("Quantity", number=True),
        Column("Price", number=True),
        Column("New", number=True),
        Column("From", whole=True),
        Column("A month", number=True),
        Column("Why"),
    ]
    print_table(columns, [row for one in sheets for row in _rows(one)])
    following = [one for one in sheets if one.follows and one.status not in ("off", "rejected", "superseded")]
    say()
    say(
        f"{count(len(following), 'contract')} of {len(sheets)} that use it"
        f" {'follows' if len(following) == 1 else 'follow'}"
        + (f": {sums_told(_sums(following))} a month." if following else ".")
    )


def _rows(sheet: Sheet) -> Iterable[Row]:
    for place, (quantity, price, new, why) in enumerate(sheet.rows):
        first = place == 0
        follows = why is Why.FOLLOWS
        words = [WORDS[why], *(CAUTIONS[one] for one in sheet.cautions if follows)]
        yield Row(
            [
                str(sheet.contract) if first else "",
                sheet.customer if first else "",
                sheet.status if first else "",
                f"{quantity.normalize():f}",
                amount(price),
                amount(new) if follows else "",
                day(sheet.first_day) if follows else "",
                money(sheet.a_month, sheet.currency) if first and sheet.follows else "",
                "; ".join(words),
            ],
            "plain" if follows else "quiet",
        )


def as_dict(sheets: Iterable[Sheet]) -> list[Mapping[str, object]]:
    """The same for a program."""
    return [
        {
            "contract": one.contract,
            "customer": one.customer,
            "status": one.status,
            "first_day": one.first_day,
            "a_month": one.a_month,
            "currency": one.currency,
            "cautions": list(one.cautions),
            "rows": [
                {"quantity": quantity, "price": price, "new_price": new, "why": why}
                for quantity, price, new, why in one.rows
            ],
        }
        for one in sheets
    ]


def steps_told(change: Change) -> str:
    """`A 1000.00 -> 1200.00; B from 10 900.00 -> gone`: the steps that have changed."""
    before, after = ({(one.price_list, one.from_quantity): one for one in of} for of in (change.before, change.after))
    keys = sorted(before.keys() | after.keys())
    differing = [key for key in keys if _price(before.get(key)) != _price(after.get(key))]
    return "; ".join(
        f"{code}{f' from {start.normalize():f}' if start else ''}"
        f" {_price(before.get((code, start)))} -> {_price(after.get((code, start)))}"
        for code, start in differing
    )


def sums_told(sums: Mapping[str, Decimal]) -> str:
    """`1 200.00 SEK`; several currencies one after the other."""
    return ", ".join(money(value, currency) for currency, value in sorted(sums.items()))


def _price(step: ListPrice | None) -> str:
    return "none" if step is None else amount(step.price)


def _sums(sheets: Iterable[Sheet]) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in sheets:
        sums[one.currency] += one.a_month or Decimal(0)
    return sums
