"""What an invoice costs in commits: two a step, and nothing besides on the way of each."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from common.ledger import database
from tests.bureau import Bureau
from tests.scenarios.companies import proven

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.parametrize("wrapper", ["Contract"], indirect=True),
]


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The writing transactions of this process, by the function that asked for them."""
    counted: Counter[str] = Counter()
    transact = database.Ledger.transact

    async def counting(ledger: database.Ledger, work: Callable[[Any], Any]) -> Any:
        inner = getattr(work, "func", work)
        counted[inner.__qualname__.split(".")[0]] += 1
        return await transact(ledger, work)

    monkeypatch.setattr(database.Ledger, "transact", counting)
    return counted


async def test_each_step_of_an_invoice_is_claimed_and_settled_and_written_no_further(
    bureau: Bureau, commits: Counter[str]
) -> None:
    await proven(bureau, 10)
    commits.clear()
    await bureau.work()
    made = 10
    assert len([one for one in bureau.books(600_001) if "booked mailed" in one and "2026-02-01.." in one]) == made
    # Three calls; evidence tells the number of what was created, which is a change of its own.
    assert commits["claim"] == 3 * made
    assert commits["settle"] == 3 * made
    assert commits["resolve"] == made
    # Each invoice that is looked at is mirrored once; whatever else is written serves many at a time.
    assert commits["mirror"] <= made + 5
    once_each = {"claim", "settle", "resolve", "mirror"}
    assert sum(number for name, number in commits.items() if name not in once_each) <= 2 * made
