"""An older copy of the ledger is found out by what Redis and the data directory know of it."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from common.clock import Clock
from common.fortnox.governor import governor_redis
from common.high_water import FILE, HighWater, MarksUnreadable
from common.ledger import continuity, pauses
from common.ledger.continuity import LedgerBehind, LedgerReplaced
from common.ledger.database import Ledger, open_ledger
from common.ledger.records import Mark
from common.ledger.restoring import restore
from tests.databases import Databases
from tests.integration.ledger.story import TENANT, claimed, company, one
from tests.valkeys import redis_url, valkey_server

__all__ = ["redis_url", "valkey_server"]


@pytest.fixture
async def slots(redis_url: str) -> AsyncIterator[Redis]:
    async with governor_redis(redis_url) as client:
        yield client


@pytest.fixture
def copies(databases: Databases) -> Iterator[list[str]]:
    """URLs of copies, dropped afterwards where that is needed."""
    urls: list[str] = []
    yield urls
    for url in urls:
        if url.startswith("postgresql"):
            databases.drop_postgresql(url)


def known(ledger: Ledger, slots: Redis | None, tmp_path: Path, directory: str = "data") -> HighWater:
    return HighWater(ledger, slots, tmp_path / directory)


async def newest(ledger: Ledger) -> Mark:
    mark = (await continuity.standing(ledger)).newest
    assert mark is not None
    return mark


async def test_a_ledger_that_has_all_that_was_written_is_worked_with(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    await company(ledger)
    high_water = known(ledger, slots, tmp_path)
    await high_water.follow()
    async with high_water.noting((await claimed(ledger, await one(ledger))).mark):
        pass
    await known(ledger, slots, tmp_path).check()


async def test_a_copy_that_lacks_one_claim_is_refused_in_words_that_tell_what_to_do(
    database_url: str, databases: Databases, copies: list[str], slots: Redis, tmp_path: Path
) -> None:
    ledger = await open_ledger(database_url, tmp_path, Clock())
    await company(ledger)
    billing = await one(ledger)
    await known(ledger, slots, tmp_path).check()
    await ledger.close()
    copies.append(await databases.copy(database_url, tmp_path))
    ledger = await open_ledger(database_url, tmp_path, Clock())
    high_water = known(ledger, slots, tmp_path, "another machine")
    await high_water.check()
    async with high_water.noting((await claimed(ledger, billing)).mark):
        pass
    await ledger.close()
    copy = await open_ledger(copies[0], tmp_path, Clock())
    with pytest.raises(LedgerBehind, match=r"older copy.* ends 1 entries before.* run: avtalsmotor ledger restored$"):
        await known(copy, slots, tmp_path).check()
    await copy.close()


async def test_the_data_directory_knows_it_when_redis_was_wiped(ledger: Ledger, slots: Redis, tmp_path: Path) -> None:
    await company(ledger)
    await known(ledger, slots, tmp_path).follow()
    mark = await newest(ledger)
    file = tmp_path / "data" / FILE
    file.write_text(file.read_text().replace(f'"entry": {mark.id}', f'"entry": {mark.id + 5}'))
    await slots.flushall()
    with pytest.raises(LedgerBehind, match="ends 5 entries before"):
        await known(ledger, slots, tmp_path).check()
    with pytest.raises(LedgerBehind):
        await known(ledger, None, tmp_path).check()


async def test_a_copy_that_has_gone_on_is_found_out_though_its_numbers_have_caught_up(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    await company(ledger)
    high_water = known(ledger, slots, tmp_path)
    await high_water.check()
    mark = await newest(ledger)
    async with high_water.noting(Mark(mark.id, mark.at - timedelta(seconds=1))):
        pass
    with pytest.raises(LedgerBehind, match="has gone on without it"):
        await high_water.check()


async def test_a_lost_claim_is_found_out_though_one_with_a_higher_number_is_there(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    # On PostgreSQL commits that overlap may reach a standby in another order than that of their numbers.
    await company(ledger)
    high_water = known(ledger, slots, tmp_path)
    await high_water.follow()
    async with high_water.noting(Mark(1, (await newest(ledger)).at)):
        pass
    with pytest.raises(LedgerBehind):
        await known(ledger, slots, tmp_path).check()


async def test_what_other_ledgers_have_come_to_in_the_same_redis_is_no_matter(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    other = await open_ledger(f"sqlite:///{tmp_path / 'other.sqlite3'}", tmp_path, Clock(), migrate=True)
    high_water = known(other, slots, tmp_path, "elsewhere")
    await high_water.check()
    async with high_water.noting(Mark(999, await other.now())):
        pass
    await other.close()
    await known(ledger, slots, tmp_path).check()


@pytest.mark.parametrize("unfinished", [True, False])
async def test_another_ledger_in_the_place_of_one_is_refused_only_if_that_one_had_unfinished_work(
    ledger: Ledger, slots: Redis, tmp_path: Path, unfinished: bool
) -> None:
    await company(ledger)
    if unfinished:
        await one(ledger)
    await known(ledger, slots, tmp_path).follow()
    other = await open_ledger(f"sqlite:///{tmp_path / 'other.sqlite3'}", tmp_path, Clock(), migrate=True)
    high_water = known(other, slots, tmp_path)
    if unfinished:
        with pytest.raises(LedgerReplaced, match=r"not the ledger .*AVTALSMOTOR_DATABASE_URL .* ledger restored$"):
            await high_water.check()
        # A person says that it is to take its place.
        await restore(other, "anna", token_life=timedelta(hours=1), settle=timedelta(minutes=10))
    await high_water.check()
    await other.close()
    # And the first one may always come back.
    await known(ledger, slots, tmp_path).check()


async def test_after_a_person_has_said_that_it_is_a_copy_it_is_worked_with_everywhere(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    await company(ledger)
    for directory in ("here", "on another machine"):
        high_water = known(ledger, slots, tmp_path, directory)
        await high_water.follow()
        file = tmp_path / directory / FILE
        mark = await newest(ledger)
        file.write_text(file.read_text().replace(f'"entry": {mark.id}', f'"entry": {mark.id + 5}'))
    async with high_water.noting(Mark(mark.id + 5, mark.at)):
        pass
    await restore(ledger, "anna", token_life=timedelta(hours=1), settle=timedelta(minutes=10))
    await known(ledger, slots, tmp_path, "here").forget()
    for directory in ("here", "on another machine"):
        await known(ledger, slots, tmp_path, directory).check()
    # What is lost once more after that is found out again.
    mark = await newest(ledger)
    async with high_water.noting(Mark(mark.id + 1, mark.at + timedelta(seconds=1))):
        pass
    with pytest.raises(LedgerBehind):
        await known(ledger, slots, tmp_path, "here").check()


async def test_a_file_that_cannot_be_read_stops_the_start_and_says_so(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text("{")
    with pytest.raises(MarksUnreadable, match=r"ledger-marks\.json.* cannot be read .* ledger restored$"):
        await known(ledger, slots, tmp_path).check()
    await known(ledger, slots, tmp_path).forget()
    await known(ledger, slots, tmp_path).check()


async def test_a_data_directory_that_cannot_be_written_in_stops_nothing(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    await company(ledger)
    (tmp_path / "data").write_text("a file where a directory is to be")
    high_water = known(ledger, slots, tmp_path, "data/deeper")
    await high_water.follow()
    await high_water.follow()
    # Redis knows it all the same.
    assert len(await slots.keys("avtalsmotor:ledger:*")) == 1


async def test_a_connection_made_anew_is_asked_before_it_is_trusted(
    ledger: Ledger, slots: Redis, tmp_path: Path
) -> None:
    await company(ledger)
    high_water = known(ledger, slots, tmp_path)
    await high_water.check()
    async with high_water.noting(Mark(999, await ledger.now())):
        pass
    await high_water.check_new_connections()
    ledger._backend.connections += 1
    with pytest.raises(LedgerBehind):
        await high_water.check_new_connections()


async def test_what_is_known_follows_the_ledger(ledger: Ledger, slots: Redis, tmp_path: Path) -> None:
    await company(ledger)
    high_water = known(ledger, slots, tmp_path)
    await high_water.follow()
    await pauses.pause(ledger, "tenant", tenant=TENANT, by="anna")
    await high_water.follow()
    mark = await newest(ledger)
    assert f'"entry": {mark.id},' in (tmp_path / "data" / FILE).read_text()
    identity = (await continuity.standing(ledger)).identity
    assert (await slots.zrange(f"avtalsmotor:ledger:{{{identity}}}:marks", -1, -1, withscores=True))[0][1] == mark.id
