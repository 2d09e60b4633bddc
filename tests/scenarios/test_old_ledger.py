"""The ledger is put back from an older copy: what was done since is found in Fortnox, and nothing is done twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.ids import TenantId
from common.ledger import billings, tenants
from common.ledger.continuity import LedgerBehind
from common.ledger.records import Mark
from common.rules.states import Status
from producers.reconciliation import reconcile
from tests.bureau import Bureau, lines
from tests.databases import Databases
from tests.scenarios.companies import BJORK, february, proven
from workers.invoicing import create_invoice

EFFECTS = ("contracts/*/createinvoice", "invoices/*/bookkeep", "invoices/*/email")
ALL_WENT_WELL = """
    1 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    1 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
    2 2026-01-01..2026-01-31 2026-01-01 125 booked mailed
    2 2026-02-01..2026-02-28 2026-02-01 125 booked mailed
"""


class Copies:
    """Backups of the bureau's ledger."""

    def __init__(self, bureau: Bureau, databases: Databases, directory: Path, urls: list[str]) -> None:
        self._bureau = bureau
        self._databases = databases
        self._directory = directory
        self.urls = urls

    async def make(self) -> None:
        """A backup of now; the work can go on."""
        async with self._bureau.without_ledger():
            url = self._bureau.settings.ledger_url
            assert url is not None
            self.urls.append(await self._databases.copy(url, self._directory))

    async def put_back(self) -> None:
        """The backup takes the ledger's place, which is refused until a person has said so."""
        await self._bureau.stop()
        async with self._bureau.without_ledger():
            self._bureau.keep_books_in(self.urls[-1])
        with pytest.raises(LedgerBehind):
            await self._bureau.high_water.check()
        await self._bureau.type("ledger", "restored", "--yes")
        await self._bureau.high_water.check()
        self._bureau.start()


@pytest.fixture
def copied(databases: Databases) -> Iterator[list[str]]:
    """The URLs of the backups, dropped when nobody has one open any more."""
    urls: list[str] = []
    yield urls
    for url in urls:
        if url.startswith("postgresql"):
            databases.drop_postgresql(url)


@pytest.fixture
async def copies(copied: list[str], bureau: Bureau, databases: Databases, tmp_path: Path) -> Copies:
    return Copies(bureau, databases, tmp_path, copied)


async def copied_once_planned(bureau: Bureau, copies: Copies, contracts: int, *, then_pause: int | None = None) -> None:
    """A company whose February is planned, and nothing of it called, when the backup is made.

    Parameters:
      then_pause: the contract that is paused after the backup, before anything of it can be called.
    """
    await proven(bureau, contracts)
    async with bureau.without_workers():
        await bureau.plan(billings=2 * contracts)
        await copies.make()
        if then_pause is not None:
            await bureau.pause(BJORK, then_pause)


async def calls(bureau: Bureau) -> list[int]:
    """How many invoices were asked for, booked and e-mailed, all in all."""
    return [await bureau.calls(BJORK, f"/3/{path}") for path in EFFECTS]


async def test_invoices_made_booked_and_sent_after_the_copy_are_found_and_nothing_is_repeated(
    bureau: Bureau, copies: Copies
) -> None:
    await copied_once_planned(bureau, copies, 2)
    await bureau.work()
    assert bureau.books(BJORK) == lines(ALL_WENT_WELL)
    await copies.put_back()
    await bureau.work()
    assert bureau.books(BJORK) == lines(ALL_WENT_WELL)
    assert await calls(bureau) == [4, 4, 4]
    assert {billing.status for billing in await bureau.billings()} == {Status.DONE}
    # And what comes after goes its usual way.
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert await calls(bureau) == [6, 6, 6]


async def test_what_was_sent_after_the_copy_is_not_sent_again(bureau: Bureau, copies: Copies) -> None:
    await proven(bureau, 2, deliver_from="09:20")
    bureau.at("2026-01-01 09:30")
    await bureau.work()
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    await copies.make()
    bureau.at("2026-02-01 09:30")
    await bureau.work()
    assert bureau.books(BJORK) == lines(ALL_WENT_WELL)
    await copies.put_back()
    await bureau.work()
    assert await calls(bureau) == [4, 4, 4]
    assert {billing.status for billing in await bureau.billings()} == {Status.DONE}


async def test_what_was_not_sent_after_the_copy_waits_for_a_person(bureau: Bureau, copies: Copies) -> None:
    await proven(bureau, 1)
    await bureau.choose(BJORK, deliver_from="09:20")
    await bureau.work()
    await copies.make()
    await bureau.pause(BJORK)
    await bureau.high_water.follow()
    await copies.put_back()
    bureau.at("2026-02-01 12:00")
    await bureau.work(until=bureau.looked_for)
    assert (await bureau.stands(BJORK))[-1] == "1 2026-02-01..2026-02-28 deliver in_doubt old_ledger"
    assert await calls(bureau) == [2, 2, 1]


async def test_what_was_not_called_after_the_copy_is_called_once_nothing_lost_can_take_effect_any_more(
    bureau: Bureau, copies: Copies
) -> None:
    await copied_once_planned(bureau, copies, 2, then_pause=2)
    await bureau.work()
    assert len(bureau.books(BJORK, 2)) == 1
    await copies.put_back()
    # The pause is lost, as the person is told; but nothing is called before Fortnox has been searched.
    await bureau.work(until=bureau.looked_for)
    assert await bureau.stands(BJORK, 1) == lines("""
        1 2026-01-01..2026-01-31 done
        1 2026-02-01..2026-02-28 done
    """)
    assert (await bureau.stands(BJORK, 2))[-1] == "2 2026-02-01..2026-02-28 create in_doubt old_ledger"
    bureau.at("2026-02-01 10:30")
    await bureau.work()
    assert bureau.books(BJORK) == lines(ALL_WENT_WELL)
    assert await calls(bureau) == [4, 4, 4]


async def test_what_was_held_in_the_copy_is_held_again_unless_it_was_invoiced_since(
    bureau: Bureau, copies: Copies
) -> None:
    await proven(bureau, 1)
    free = [{"article_number": "A1", "quantity": "1", "price": "0"}]
    await february(bureau, customer_number="1", rows=free)
    await february(bureau, customer_number="1", rows=free)
    await bureau.work()
    held = ["create held amount_zero"] * 2
    assert [line.split(" ", 2)[2] for line in (await bureau.stands(BJORK))[2:]] == held
    await copies.make()
    await bureau.approve(BJORK, 2)
    await bureau.work()
    assert len(bureau.books(BJORK, 2)) == 1
    await copies.put_back()
    await bureau.work(until=bureau.looked_for)
    bureau.at("2026-02-01 10:30")
    await bureau.work()
    assert (await bureau.stands(BJORK))[2:] == lines("""
        2 2026-02-01..2026-02-28 done
        3 2026-02-01..2026-02-28 create held amount_zero
    """)
    assert len(bureau.books(BJORK, 2)) == 1
    assert bureau.books(BJORK, 3) == []


async def test_an_invoice_that_was_dated_later_than_planned_is_adopted_all_the_same(
    bureau: Bureau, copies: Copies
) -> None:
    await copied_once_planned(bureau, copies, 1)
    bureau.at("2026-02-03 09:00")
    await bureau.work()
    assert bureau.books(BJORK)[1:] == ["1 2026-02-01..2026-02-28 2026-02-03 125 booked mailed"]
    await copies.put_back()
    await bureau.work()
    assert await bureau.stands(BJORK) == lines("""
        1 2026-01-01..2026-01-31 done
        1 2026-02-01..2026-02-28 done
    """)
    assert await calls(bureau) == [2, 2, 2]


async def test_a_period_planned_and_invoiced_after_the_copy_is_told_of_and_the_next_one_is_held(
    bureau: Bureau, copies: Copies
) -> None:
    await proven(bureau, 1)
    bureau.at("2026-01-20 09:00")
    await copies.make()
    bureau.at("2026-02-01 09:00")
    await bureau.work()
    assert len(bureau.books(BJORK)) == 2
    await copies.put_back()
    await bureau.work()
    assert await bureau.stands(BJORK) == ["1 2026-01-01..2026-01-31 done"]
    company = await tenants.get(bureau.ledger, TenantId(BJORK))
    assert company is not None
    (line,) = [
        one for one in (await reconcile(bureau.ledger, bureau.fortnox, company, bureau.today())).lines if one.why
    ]
    assert line.why.startswith(
        "Invoice 2 of this period was made in the time that the ledger lost when it was restored"
    )
    assert "(2026-01-" in line.why
    assert line.cure.endswith("If the contract's next period is held because of it, approve that one.")
    bureau.at("2026-03-01 09:00")
    await bureau.work()
    assert (await bureau.stands(BJORK))[-1] == "1 2026-03-01..2026-03-31 create held period_moved"
    await bureau.approve(BJORK, 1)
    await bureau.work()
    assert [line.split()[1] for line in bureau.books(BJORK)] == [
        "2026-01-01..2026-01-31",
        "2026-02-01..2026-02-28",
        "2026-03-01..2026-03-31",
    ]


async def test_an_invoice_that_a_lost_call_made_too_early_is_parked_all_the_same(
    bureau: Bureau, copies: Copies
) -> None:
    await proven(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        await copies.make()
        # Read once more: the click comes after our look, however long the copy took.
        await bureau.plan(billings=2)
        bureau.in_fortnox(BJORK, "create_invoice", contract=1, invoice_date="2026-02-01")
    await bureau.work_on(bureau.at_rest)
    await copies.put_back()
    await bureau.work()
    assert await bureau.stands(BJORK) == lines("""
        1 2026-01-01..2026-01-31 done
        1 2026-02-01..2026-02-28 done
        1 2026-03-01..2026-03-31 bookkeep parked early
    """)
    assert bureau.books(BJORK)[1:] == lines("""
        1 2026-02-01..2026-02-28 2026-02-01 125 by-hand
        1 2026-03-01..2026-03-31 2026-02-01 125
    """)


async def test_a_worker_whose_ledger_turns_into_an_older_copy_under_its_feet_does_not_call(bureau: Bureau) -> None:
    await proven(bureau, 1)
    async with bureau.without_workers():
        await bureau.plan(billings=2)
        runtime = await bureau.another_worker()
        # Another worker's claim, which a standby has not got before it takes over: all connections are made anew.
        async with runtime.high_water.noting(Mark(9999, await bureau.ledger.now())):
            runtime.ledger._backend.connections += 1
        billing = await bureau.billing(BJORK, 1)
        with pytest.raises(LedgerBehind):
            await create_invoice(runtime, billing.id)
        await runtime.close()
    assert await calls(bureau) == [1, 1, 1]
    assert [one.verdict for one in await billings.attempts(bureau.ledger, billing.id)] == ["not_sent"]


async def test_a_producer_whose_ledger_turns_into_an_older_copy_stops(bureau: Bureau) -> None:
    await proven(bureau, 1)
    async with bureau.high_water.noting(Mark(9999, await bureau.ledger.now())):
        pass

    async def never() -> bool:
        return False

    with pytest.raises(ExceptionGroup) as stopped:
        await bureau.work(until=never)
    assert stopped.group_contains(LedgerBehind)
