"""Tells people what needs them: looks for it in the ledger, makes the digest that is due, and sends it.

It asks nothing of Fortnox. Whatever goes wrong with a channel stays with that channel's digests.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from common.clock import boottime
from common.ids import TenantId
from common.ledger import notices, tenants
from common.ledger.database import Ledger
from common.ledger.notices import Made, Sending
from common.matters import reading
from common.matters.matter import Matter
from common.notices.channel import Channel, NotDelivered
from common.notices.channels import configured
from common.notices.digest import Digest, compose
from common.rules.notices import Kind, Mark, Open, Past, Rhythm, due, has_gathered
from common.rules.preflight_words import Language
from common.settings import Settings

log = structlog.get_logger()

LOOK_EVERY = timedelta(minutes=1)

LOOK_SHARE = 20
"""With many companies, so many times as long as a look takes: it may not use the whole database."""

TAKEN_FOR = timedelta(minutes=3)
"""So long a digest is one sender's: longer than a channel takes."""

TRY_AGAIN_AFTER = timedelta(minutes=1)
TRY_AGAIN_AT_LAST = timedelta(hours=1)
"""When a digest that did not leave is tried again; doubled with each further time, up to this."""

GIVEN_UP_AFTER = timedelta(days=1)
"""What is still open then is told by the reminders."""


class Notices:
    """The digests of the bureau."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._channels: Mapping[str, Channel] = {one.name: one for one in configured(settings)}
        self._language = Language(settings.notice_language)
        self._interval = settings.poll_interval
        self._rhythm = Rhythm(
            gather=timedelta(seconds=settings.notice_gather),
            spacing=timedelta(seconds=settings.notice_spacing),
            reminder_from=settings.notice_reminder_from,
        )
        self._look_took = timedelta(0)

    @property
    def are_wanted(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self._channels)

    async def pass_over(self) -> None:
        """Makes the digest that is due, and sends what is to go now. Raises what says that the database is away."""
        await self.look()
        while (taken := await notices.take(self._ledger, self._channels.keys(), TAKEN_FOR)) is not None:
            await self._send(taken)

    async def look(self) -> None:
        """Takes in what needs a person, unless somebody has just done so."""
        began = await notices.begin_look(self._ledger, max(LOOK_EVERY, LOOK_SHARE * self._look_took))
        if began is None:
            return
        started = boottime()
        known = await tenants.every(self._ledger)
        matters = await reading.read(self._ledger, known, await self._ledger.now(), self._interval, self._language)
        self._look_took = timedelta(seconds=boottime() - started)
        names = {one.id: one.name for one in known}
        # Of a company that was added meanwhile the next look tells.
        told = [one for one in matters if one.tenant in names]
        marks = {(one.tenant, mark) for one in told for mark in one.marks}

        def decide(seen: Mapping[Mark, Open], past: Past, now: datetime) -> Made | None:
            kind = due(seen.values(), past, self._rhythm, now)
            return None if kind is None else self._made(kind, told, names, seen, now)

        made = await notices.look(self._ledger, began, marks, decide, self._channels.keys())
        if made is not None:
            log.info("notice_made", notice=made.id, kind=made.kind.value, new=len(made.tells))

    def _made(
        self,
        kind: Kind,
        matters: Sequence[Matter],
        names: Mapping[TenantId, str],
        seen: Mapping[Mark, Open],
        now: datetime,
    ) -> Made:
        untold = {mark for mark, one in seen.items() if one.told_at is None}
        # A reminder tells nothing new that may have settled itself a moment later.
        new = untold if has_gathered(seen.values(), self._rhythm, now) else set()
        empty = Digest(id=secrets.token_hex(8), kind=kind, made_at=now, language=self._language.value)
        digest = compose(empty, matters, names, new=new, known=seen.keys() - untold)
        return Made(digest.id, kind, digest.model_dump_json(), new)

    async def _send(self, sending: Sending) -> None:
        digest = Digest.model_validate_json(sending.digest)
        about = {"notice": sending.notice, "channel": sending.channel, "tries": sending.tries}
        try:
            problem = await self._channels[sending.channel].send(digest)
        except NotDelivered as error:
            await self._failed(sending, str(error))
            log.warning("notice_not_sent", **about)
        except Exception:
            # A fault of ours on the way of one message must not stop the others, nor anything else.
            await self._failed(sending, "It could not be sent, by a fault of the product. See the producer's log.")
            log.exception("notice_not_sent", **about)
        else:
            await notices.arrived(self._ledger, sending, problem)
            log.info("notice_sent", **about)

    async def _failed(self, sending: Sending, problem: str) -> None:
        if await self._ledger.now() - sending.made_at >= GIVEN_UP_AFTER:
            await notices.give_up(self._ledger, sending, problem)
        else:
            await notices.fail(self._ledger, sending, problem, pause_after(sending.tries))


def pause_after(tries: int) -> timedelta:
    """How long to wait after so many tries that came to nothing."""
    return min(TRY_AGAIN_AFTER * (1 << min(tries - 1, 10)), TRY_AGAIN_AT_LAST)
