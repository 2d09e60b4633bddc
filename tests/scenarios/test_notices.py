"""People are told of what needs them: of all that is new by one digest, and of nothing where there is nothing to do."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from common.ledger.schema import notice_looks
from producers import notices, run
from tests.bureau import Bureau, bureau_for
from tests.mail_server import MailServer, mail_server
from tests.sandboxes import Sandbox
from tests.scenarios.companies import BJORK, GRAN, february, monthly
from tests.webhooks import Receiver, receiver

CREATES = "/3/contracts/*/createinvoice"
FREE = [{"article_number": "A1", "quantity": "1", "price": "0"}]


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path) as running:
        yield running


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


@pytest.fixture
async def telling(
    sandbox: Sandbox,
    wrapper: str,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    mailbox: MailServer,
    hook: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Bureau]:
    """A bureau that tells by e-mail and by webhook."""
    monkeypatch.setattr(run, "TELL_EVERY", 0.02)
    monkeypatch.setattr(notices, "LOOK_EVERY", timedelta(0))
    monkeypatch.setattr(notices, "LOOK_SHARE", 0)
    (tmp_path / "secret").write_text("hemligt", encoding="utf-8")
    settings: dict[str, Any] = {
        "notice_mail_to": "anna@byran.example",
        "notice_mail_from": "avtalsmotor@byran.example",
        "notice_smtp_host": "127.0.0.1",
        "notice_smtp_port": mailbox.port,
        "notice_smtp_security": "none",
        "notice_webhook_url": SecretStr(hook.url),
        "notice_webhook_secret_file": tmp_path / "secret",
    }
    async with bureau_for(sandbox, redis_url, database_url, tmp_path, **settings) as running:
        yield running


async def look(bureau: Bureau, when: str) -> None:
    """Moves the clock there, and lets the producer read every company, and then look and tell what is to be told."""
    bureau.at(when)
    begun: set[datetime] = set()

    async def looked() -> bool:
        if not begun and not await bureau.at_rest():
            return False
        begun.update(row.began_at for row in await bureau.ledger.fetch(select(notice_looks.c.began_at)))
        # The first may have begun before; the second is whole, and what it made is sent, when a third has begun.
        return len(begun) > 2

    await bureau.work(until=looked)


async def three_of_two_companies(bureau: Bureau) -> None:
    """In February two of one company are refused, and one of another is held."""
    bureau.at("2026-01-31 12:00")
    await monthly(bureau, 2, told={"name": "Björks Data AB"})
    await monthly(bureau, 1, GRAN, told={"name": "Gran & Tall AB"})
    await february(bureau, GRAN, customer_number="1", rows=FREE)
    await bureau.sandbox.fault(
        kind="error", method="PUT", path=CREATES, tenant=BJORK, status=400, code=2000433, message="Kunden saknas"
    )


def subjects(mailbox: MailServer) -> list[str]:
    return [one["Subject"] for one in mailbox.taken]


async def test_three_contracts_of_two_companies_are_one_digest_and_are_not_told_again_as_new(
    telling: Bureau, mailbox: MailServer, hook: Receiver
) -> None:
    await three_of_two_companies(telling)
    await look(telling, "2026-02-01 00:10")
    assert mailbox.taken == []  # others may follow

    await look(telling, "2026-02-01 00:16")
    new = "Avtalsmotor: nytt att åtgärda, 3 ärenden: Björks Data AB, Gran & Tall AB"
    assert subjects(mailbox) == [new]
    text = mailbox.taken[0].get_content()
    assert 'Fortnox nekade: "Kunden saknas" (kod 2000433)' in text
    assert "Avtalets summa är noll" in text
    assert "Skriv sedan: avtalsmotor billings approve " in text
    (sent,) = [one.json for one in hook.received]
    assert (sent["subject"], sent["new"]["number"], sent["new"]["companies"]) == (new, 3, 2)

    await look(telling, "2026-02-01 09:00")  # a Sunday
    await look(telling, "2026-02-02 07:59")
    assert subjects(mailbox) == [new]
    await look(telling, "2026-02-02 08:01")
    await look(telling, "2026-02-02 18:00")
    left = "Avtalsmotor: fortfarande att åtgärda, 3 ärenden: Björks Data AB, Gran & Tall AB"
    assert subjects(mailbox) == [new, left]
    listed = json.loads(await telling.type("notices", "list", "--json"))
    assert [one["kind"] for one in listed] == ["reminder", "new"]
    assert {told["state"] for one in listed for told in one["sendings"]} == {"sent"}


async def test_what_was_tried_again_and_failed_again_is_told_anew_and_what_went_well_is_not(
    telling: Bureau, mailbox: MailServer
) -> None:
    await three_of_two_companies(telling)
    await look(telling, "2026-02-01 00:10")
    await look(telling, "2026-02-01 00:16")
    await telling.retry(BJORK, 1)
    await telling.approve(GRAN, 2)
    await look(telling, "2026-02-01 10:00")
    await look(telling, "2026-02-01 10:06")
    assert subjects(mailbox)[1:] == ["Avtalsmotor: nytt att åtgärda, 1 ärende: Björks Data AB"]
    assert "fortfarande öppet: 1 ärende i 1 företag" in mailbox.taken[1].get_content()


async def test_a_night_in_which_all_goes_well_is_told_by_nobody(telling: Bureau, mailbox: MailServer) -> None:
    telling.at("2026-01-31 12:00")
    await monthly(telling, 2)
    for when in ("2026-02-01 00:10", "2026-02-01 00:16", "2026-02-02 08:01"):
        await look(telling, when)
    assert len(telling.books(BJORK)) == 2
    assert mailbox.taken == []
    assert await telling.type("notices", "list") == "Nothing has needed a person so far, so nothing was sent.\n"


async def test_a_mail_server_that_refuses_stops_no_invoice_stands_in_status_and_is_tried_again(
    telling: Bureau, mailbox: MailServer, hook: Receiver
) -> None:
    mailbox.refuses["MAIL"] = "451 4.7.1 come back later"
    await three_of_two_companies(telling)
    await look(telling, "2026-02-01 00:10")
    await look(telling, "2026-02-01 00:16")
    assert len(telling.books(GRAN)) == 1
    assert len(hook.received) == 1
    shown = await telling.type("status")
    assert "Notices that did not arrive\nBy mail, last tried 2026-02-01 00:1" in shown
    assert "451 4.7.1 come back later" in shown
    (failing,) = json.loads(await telling.type("status", "--json"))["notices_failing"]
    assert (failing["channel"], failing["state"]) == ("mail", "to be tried again")
    assert "It is tried again 2026-02-01 00:1" in await telling.type("notices", "list")

    mailbox.refuses.clear()
    await look(telling, "2026-02-01 00:30")
    assert len(mailbox.taken) == 1
    assert "Notices that did not arrive" not in await telling.type("status")
    assert len(hook.received) == 1
