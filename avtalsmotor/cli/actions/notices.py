"""`avtalsmotor notices ...`: what people were told, and whether it arrives; and what `status` says of a failing one."""

import secrets
from collections.abc import Sequence
from itertools import groupby

from avtalsmotor.cli.failure import Failure, complain, tell_wait
from avtalsmotor.cli.printing import Column, Row, Tone, heading, minute, print_json, print_table, say
from avtalsmotor.cli.session import log_quietly, open_session, read_settings
from common.ledger import notices
from common.ledger.database import Ledger
from common.ledger.notices import Sending
from common.notices import words
from common.notices.channel import NotDelivered
from common.notices.channels import configured, names
from common.notices.digest import Digest
from common.rules.notices import Kind
from common.settings import Settings

AT_MOST = 50
"""Notices that a list shows."""

_NOBODY = "Nobody is told by e-mail or webhook what needs a person. To set that up: docs/notices.md"


async def list_(as_json: bool) -> None:
    async with open_session() as (settings, ledger):
        found = await notices.sendings(ledger, AT_MOST)
        channels = names(settings)
    by_notice = [list(of_notice) for _, of_notice in groupby(found, key=lambda one: one.notice)]
    if as_json:
        print_json([_as_item(one, channels) for one in by_notice])
        return
    if not found:
        say("Nothing has needed a person so far, so nothing was sent." if channels else _NOBODY)
        return
    columns = [Column("Made", whole=True), Column("Notice", whole=True), Column("Told", cut=True)]
    columns += [Column("By", whole=True), Column("State", whole=True), Column("Tries", number=True)]
    rows = []
    for of_notice in by_notice:
        for place, one in enumerate(of_notice):
            told = [minute(one.made_at), one.notice, words.subject(_digest(one))] if place == 0 else ["", "", ""]
            state = _state(one, channels)
            tone: Tone = "plain" if one.problem is None else "attention"
            rows.append(Row([*told, one.channel, state, str(one.tries)], tone))
    print_table(columns, rows)
    for one in _with_problems(by_notice):
        again = f" It is tried again {minute(one.not_before)}." if _waits(one, channels) else ""
        say(f"{one.notice} by {one.channel}: {one.problem}{again}")


def _with_problems(by_notice: Sequence[Sequence[Sending]]) -> list[Sending]:
    """Of each channel the newest: the older ones mostly say the same."""
    newest: dict[str, Sending] = {}
    for of_notice in by_notice:
        for one in of_notice:
            if one.problem is not None:
                newest.setdefault(one.channel, one)
    return list(newest.values())


def _digest(sending: Sending) -> Digest:
    return Digest.model_validate_json(sending.digest)


def _waits(sending: Sending, channels: Sequence[str]) -> bool:
    return sending.ended_at is None and sending.channel in channels


def _state(sending: Sending, channels: Sequence[str]) -> str:
    if sending.is_sent:
        return "sent" if sending.problem is None else "not to all"
    if sending.ended_at is not None:
        return "given up"
    if sending.channel not in channels:
        return "not set up"
    return "on its way" if sending.problem is None else "to be tried again"


def _as_item(of_notice: Sequence[Sending], channels: Sequence[str]) -> dict[str, object]:
    digest = _digest(of_notice[0])
    return {
        "id": digest.id,
        "kind": digest.kind,
        "made_at": digest.made_at,
        "subject": words.subject(digest),
        "new": digest.new.model_dump(mode="json"),
        "open": digest.open.model_dump(mode="json"),
        "sendings": [_as_sending(one, channels) for one in of_notice],
    }


def _as_sending(sending: Sending, channels: Sequence[str]) -> dict[str, object]:
    return {
        "channel": sending.channel,
        "state": _state(sending, channels),
        "tries": sending.tries,
        "tried_at": sending.tried_at,
        "ended_at": sending.ended_at,
        "next_try": sending.not_before if _waits(sending, channels) else None,
        "problem": sending.problem,
    }


async def test() -> bool:
    """Returns whether all arrived."""
    settings = read_settings()
    log_quietly(settings)
    channels = configured(settings)
    if not channels:
        raise Failure(_NOBODY)
    all_well = True
    for channel in channels:
        digest = Digest(
            id=secrets.token_hex(8),
            kind=Kind.TEST,
            made_at=settings.clock.now(),
            language=settings.notice_language,
        )
        tell_wait(f"Sending to {channel.where} ...")
        try:
            problem = await channel.send(digest)
        except NotDelivered as error:
            problem = str(error)
        if problem is None:
            say(f"By {channel.name}, to {channel.where}: sent.")
        else:
            all_well = False
            complain(f"By {channel.name}, to {channel.where}: {problem}")
    return all_well


async def failing(settings: Settings, ledger: Ledger) -> Sequence[Sending]:
    """Of the channels that are set up, the last sending of each that did not go well."""
    channels = names(settings)
    return await notices.failing(ledger, channels) if channels else []


def as_failing(sending: Sending) -> dict[str, object]:
    """What `status --json` says of a channel that fails."""
    return {"notice": sending.notice, **_as_sending(sending, [sending.channel])}


def print_failing(sendings: Sequence[Sending]) -> None:
    """What `status` says of the channels that fail, if any does."""
    if sendings:
        heading("Notices that did not arrive")
    for one in sendings:
        say(f"By {one.channel}, last tried {minute(one.tried_at)}: {one.problem}")
        say("  Once that is mended, see that it arrives: avtalsmotor notices test")
