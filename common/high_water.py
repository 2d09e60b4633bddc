"""Keeps outside the ledger how far it has come, so that an older copy of it (restored, failed over) is found out.

Two places know it: Redis, where every claim is noted as its call leaves, and a file in the data directory, which
follows within about a second. Whoever works with the ledger asks both first; a ledger that lacks what they know has
forgotten calls that were made, and must not be worked with before `avtalsmotor ledger restored` (design, section 6).
Losing either place harms nothing, and noting never stops a step.

In Redis, in the governor's database (the broker scans its own):
  avtalsmotor:ledger:{<identity>}:marks  sorted set of "<audit id>:<microseconds since 1970>" by audit id: the newest
                                         KEPT claims, and what the producer's sweep saw. Never expires.
The file `ledger-marks.json`, for each ledger that this installation has worked with by its identity: the newest entry
that was seen, and whether anything of it was unfinished then.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, cast
from uuid import uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.clock import STOCKHOLM
from common.ledger import continuity
from common.ledger.continuity import LedgerBehind, LedgerReplaced, Standing
from common.ledger.database import Ledger, LedgerError
from common.ledger.records import Mark

log = structlog.get_logger()

FILE = "ledger-marks.json"

KEPT = 200
"""How many claims Redis remembers: more than can be under way at once. Commits that overlap may be lost in another
order than that of their numbers, so that the highest number alone does not tell what a copy lacks."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Noted:
    """What the file says of one ledger."""

    entry: int
    at: int
    """Microseconds since 1970."""
    unfinished: bool

    @property
    def mark(self) -> Mark:
        return Mark(self.entry, _instant(self.at))


class MarksUnreadable(LedgerError):  # noqa: N818 - what is wrong with it
    """The file in the data directory cannot be read."""


class HighWater:
    """How far one ledger is known to have come.

    Parameters:
      slots: the governor's database; `None` where no Redis is to be had, as for a command beside a stopped product.
      data_dir: of the installation.
    """

    def __init__(self, ledger: Ledger, slots: Redis | None, data_dir: Path) -> None:
        self._ledger = ledger
        self._slots = slots
        self._file = data_dir / FILE
        self._identity = ""
        self._written: Noted | None = None
        self._file_failed = False
        self._vouched_for = -1

    async def check(self) -> Standing:
        """Sees that the ledger has all that it is known to have had.

        Raises:
          LedgerBehind, LedgerReplaced, MarksUnreadable: it must not be worked with; each says what to do.
          RedisError: Redis did not answer, and who knows.
        """
        connections = self._ledger.connections
        standing = await continuity.standing(self._ledger)
        noted = await asyncio.to_thread(self._read_file)
        known = [noted[standing.identity].mark] if standing.identity in noted else []
        if not known:
            self._refuse_a_stranger(standing, noted)
        known += await self._known_to_redis(standing.identity)
        lost = await self._lost(standing, known)
        if lost:
            self._refuse(standing, lost)
        self._identity = standing.identity
        self._vouched_for = connections
        return standing

    async def check_new_connections(self) -> None:
        """`check`, if the ledger has been connected to anew since: only where a connection ends can another copy begin.

        Costs nothing otherwise, so that it can stand between a claim and its call. Raises as `check`.
        """
        if self._ledger.connections != self._vouched_for:
            await self.check()

    async def follow(self) -> None:
        """`check`, and then notes how far the ledger has come. For the producer's sweep, about once a second."""
        standing = await self.check()
        if standing.newest is None:
            return
        await self._note_in_redis(standing.newest)
        noted = Noted(standing.newest.id, _since_epoch(standing.newest.at), standing.has_unfinished)
        if noted == self._written:
            return
        try:
            await asyncio.to_thread(self._add_to_file, standing.identity, noted)
        except OSError as error:
            # Redis knows it still; to stop for a full disk would be to stop twice.
            (log.debug if self._file_failed else log.error)("mark_not_written", file=str(self._file), error=str(error))
            self._file_failed = True
        else:
            self._written, self._file_failed = noted, False

    @contextlib.asynccontextmanager
    async def noting(self, claim: Mark) -> AsyncIterator[None]:
        """Notes a claim in Redis while the block makes its call. That it cannot be noted stops nothing."""
        task = asyncio.create_task(self._note_claim(claim))
        try:
            yield
        finally:
            await task

    async def forget(self) -> None:
        """The ledger's newest entry is its newest, whatever was known: a person has said so. Raises RedisError."""
        standing = await continuity.standing(self._ledger)
        if self._slots is not None:
            await self._slots.delete(_key(standing.identity))
        try:
            noted = await asyncio.to_thread(self._read_file)
        except MarksUnreadable:
            noted = {}
        others = {identity: one for identity, one in noted.items() if identity != standing.identity}
        await asyncio.to_thread(self._write_file, others)
        await self.follow()

    # What is known elsewhere ------------------------------------------------------------------------------------------

    async def _known_to_redis(self, identity: str) -> list[Mark]:
        if self._slots is None:
            return []
        members = await self._slots.zrange(_key(identity), 0, -1)
        return [_mark_of(member.decode()) for member in cast(list[bytes], members)]

    async def _note_claim(self, claim: Mark) -> None:
        try:
            await self._note_in_redis(claim)
        except (RedisError, OSError) as error:
            log.warning("claim_not_noted", entry=claim.id, error=str(error))

    async def _note_in_redis(self, mark: Mark) -> None:
        if self._slots is None:
            return
        key = _key(self._identity)
        async with self._slots.pipeline(transaction=False) as pipeline:
            pipeline.zadd(key, {f"{mark.id}:{_since_epoch(mark.at)}": mark.id})
            pipeline.zremrangebyrank(key, 0, -KEPT - 1)
            await pipeline.execute()

    def _read_file(self) -> Mapping[str, Noted]:
        try:
            written = json.loads(self._file.read_text(encoding="utf-8"))
            return {identity: Noted(**noted) for identity, noted in written.items()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise MarksUnreadable(
                f"It cannot be told whether the ledger is an older copy: {self._file.absolute()}, which says how far it"
                f" had come, cannot be read ({error}). Nothing was started. If the ledger was not restored from a copy"
                " since it was last used, remove that file and start again; else run: avtalsmotor ledger restored"
            ) from None

    def _add_to_file(self, identity: str, noted: Noted) -> None:
        self._write_file({**self._read_file(), identity: noted})

    def _write_file(self, noted: Mapping[str, Noted]) -> None:
        """Replaces the file at once and for good: half a file would keep everything from starting."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(f"{FILE}.{uuid4().hex}")
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump({identity: asdict(one) for identity, one in noted.items()}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._file)
        directory = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    # What it means ----------------------------------------------------------------------------------------------------

    async def _lost(self, standing: Standing, known: list[Mark]) -> list[Mark]:
        """What the ledger lacks, but for what was written off when a person said that it is an older copy."""
        written_off = standing.restored_at
        asked = [mark for mark in known if written_off is None or mark.at > written_off]
        return await continuity.lacking(self._ledger, asked)

    def _refuse_a_stranger(self, standing: Standing, noted: Mapping[str, Noted]) -> None:
        """Another ledger's unfinished work would be forgotten by beginning with this one."""
        since = standing.restored_at
        left = [one for one in noted.values() if one.unfinished and (since is None or one.mark.at > since)]
        if not left:
            return
        last = max(left, key=lambda one: one.at)
        raise LedgerReplaced(
            f"This is not the ledger that this installation has worked with: the other one had unfinished billings on"
            f" {_in_words(last.mark.at)}, and this one ({self._ledger.where}) knows nothing of them. Nothing is done"
            " with it. See that AVTALSMOTOR_DATABASE_URL and AVTALSMOTOR_DATA_DIR name the right one. Only if the"
            " other is lost, and this one is to take its place, run: avtalsmotor ledger restored"
        )

    def _refuse(self, standing: Standing, lost: list[Mark]) -> NoReturn:
        ends = standing.newest
        if ends is None:
            end = "has none at all"
        elif ends.id < lost[-1].id:
            end = f"ends {lost[-1].id - ends.id} entries before it, on {_in_words(ends.at)}"
        else:
            end = f"has gone on without it, until {_in_words(ends.at)}"
        raise LedgerBehind(
            f"The ledger is an older copy of itself: the last entry known of its history is no. {lost[-1].id} of"
            f" {_in_words(lost[-1].at)}, and this one {end}. It is {self._ledger.where}. Nothing is done with it, since"
            " invoices may have been made and sent that it does not know of. Put back the newer one if there is any;"
            " else stop everything that works with this one, and run: avtalsmotor ledger restored"
        )


def _key(identity: str) -> str:
    return f"avtalsmotor:ledger:{{{identity}}}:marks"


def _mark_of(member: str) -> Mark:
    entry, at = member.split(":")
    return Mark(int(entry), _instant(int(at)))


def _since_epoch(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _in_words(instant: datetime) -> str:
    return f"{instant.astimezone(STOCKHOLM):%Y-%m-%d %H:%M:%S}"
