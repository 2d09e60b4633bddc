"""Digests by e-mail, to a real mail server: what arrives, and what is said of each way in which it does not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.notices.channel import NotDelivered
from common.notices.digest import Digest, Item, Told
from common.notices.mail import Mail
from common.rules.notices import Kind
from tests.mail_server import MailServer, mail_server

PASSWORD = "tall och gran 17"
DIGEST = Digest(
    id="0a1b2c3d",
    kind=Kind.NEW,
    made_at=datetime(2026, 2, 2, 0, 10, tzinfo=UTC),
    language="sv",
    new=Told(
        number=1,
        companies=1,
        names=("Åkes\r\nBcc: all@example.se",),
        items=(
            Item(
                tenant=1,
                tenant_name="Åkes",
                status="unread",
                step=None,
                reason=None,
                about="",
                why="Dess avtal har aldrig lästs.",
                cure="Se till det.",
                command="",
                since=None,
                billings=(),
                contracts=(),
            ),
        ),
    ),
)


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with mail_server(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        running.logins["byran"] = PASSWORD
        yield running


@pytest.fixture
def mail(server: MailServer, tmp_path: Path) -> Mail:
    (tmp_path / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    return Mail(
        host="127.0.0.1",
        port=server.port,
        security="starttls",
        user="byran",
        password_file=tmp_path / "password",
        sender="avtalsmotor@byran.example",
        recipients=("anna@byran.example", "drift@byran.example"),
    )


async def refusal(mail: Mail) -> str:
    with pytest.raises(NotDelivered) as said:
        await mail.send(DIGEST)
    assert PASSWORD not in str(said.value)
    return str(said.value)


async def test_a_digest_arrives_encrypted_by_starttls_with_all_its_headers(mail: Mail, server: MailServer) -> None:
    assert await mail.send(DIGEST) is None
    (message,) = server.taken
    assert server.envelopes == [("avtalsmotor@byran.example", ("anna@byran.example", "drift@byran.example"))]
    assert message["From"] == "avtalsmotor@byran.example"
    assert message["To"] == "anna@byran.example, drift@byran.example"
    assert message["Subject"] == "Avtalsmotor: nytt att åtgärda, 1 ärende: Åkes  Bcc: all@example.se"
    assert message["Bcc"] is None
    assert message["Date"] == "Mon, 02 Feb 2026 00:10:00 +0000"
    assert message["Message-ID"] == "<notice.0a1b2c3d@byran.example>"
    assert message.get_content_type() == "text/plain"
    assert message.get_content_charset() == "utf-8"
    assert "Dess avtal har aldrig lästs." in message.get_content()
    assert server.unencrypted == ["EHLO", "STARTTLS"]


async def test_a_login_may_have_letters_that_are_not_english(mail: Mail, server: MailServer, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("tåg & ärtor", encoding="utf-8")
    server.logins["drift@byrån.example"] = "tåg & ärtor"
    await replace(mail, user="drift@byrån.example").send(DIGEST)
    assert len(server.taken) == 1
    server.logins.clear()
    server.logins["x"] = ""
    assert "refused the login" in await refusal(replace(mail, user="drift@byrån.example"))


async def test_a_second_try_is_known_by_its_message_id(mail: Mail, server: MailServer) -> None:
    server.breaks_off_after_data = True
    assert "broke off" in await refusal(mail)
    server.breaks_off_after_data = False
    await mail.send(DIGEST)
    assert len({one["Message-ID"] for one in server.taken}) == 1


async def test_a_digest_arrives_encrypted_from_the_first_byte_on(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tls").mkdir()
    async with mail_server(tmp_path / "tls", tls=True) as encrypted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls" / "certificate.pem"))
        await replace(mail, port=encrypted.port, security="tls", user="").send(DIGEST)
        assert len(encrypted.taken) == 1


async def test_without_encryption_a_digest_goes_but_never_a_password(mail: Mail, server: MailServer) -> None:
    server.logins.clear()
    plain = replace(mail, security="none")
    assert "would go unencrypted" in await refusal(plain)
    assert server.unencrypted == []
    await replace(plain, user="").send(DIGEST)
    assert len(server.taken) == 1


async def test_where_no_encryption_is_offered_nothing_is_sent(mail: Mail, server: MailServer) -> None:
    server.offers_starttls = False
    assert "does not offer what is needed" in await refusal(mail)
    assert server.unencrypted == ["EHLO"]


async def test_a_certificate_that_nobody_trusts_is_named(
    mail: Mail, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "is not trusted (self-signed certificate)" in await refusal(mail)
    assert server.unencrypted == ["EHLO", "STARTTLS"]


async def test_a_refused_login_tells_the_server_s_words_and_where_the_password_is_looked_for(
    mail: Mail, server: MailServer
) -> None:
    server.logins["byran"] = "another"
    said = await refusal(mail)
    assert "refused the login of byran: 535 5.7.8 Username and password not accepted" in said
    assert "_PASSWORD_FILE" in said


async def test_a_refused_sender_and_refused_recipients_are_told_by_their_answers(
    mail: Mail, server: MailServer
) -> None:
    server.refuses["MAIL"] = "553 5.7.1 not yours to send for"
    assert "553 5.7.1 not yours to send for. Check that it may send for" in await refusal(mail)
    server.refuses = dict.fromkeys(mail.recipients, "550 5.1.1 no such user")
    assert "anna@byran.example: 550 5.1.1 no such user; drift@byran.example" in await refusal(mail)


async def test_whom_it_did_not_reach_is_told_when_it_reached_others(mail: Mail, server: MailServer) -> None:
    server.refuses["drift@byran.example"] = "550 5.1.1 no such user"
    problem = await mail.send(DIGEST)
    assert problem is not None
    assert "drift@byran.example: 550 5.1.1 no such user" in problem
    assert server.envelopes[0][1] == ("anna@byran.example",)


async def test_what_goes_wrong_after_a_message_was_taken_is_no_reason_to_send_it_again(
    mail: Mail, server: MailServer
) -> None:
    server.refuses["QUIT"] = "421 too busy to say farewell"
    assert await mail.send(DIGEST) is None


async def test_a_server_that_is_not_there_is_told_by_its_address(mail: Mail) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert f"127.0.0.1:{port} could not be reached" in await refusal(replace(mail, port=port))


async def test_a_host_that_nobody_knows_is_told(mail: Mail) -> None:
    assert "mail server mail.invalid is not known" in await refusal(replace(mail, host="mail.invalid"))


async def test_a_server_that_speaks_another_way_is_told_from_one_that_is_away(mail: Mail) -> None:
    assert "No encrypted connection came about" in await refusal(replace(mail, security="tls"))


async def test_a_password_file_that_cannot_be_read_is_named_by_its_setting(mail: Mail, tmp_path: Path) -> None:
    said = await refusal(replace(mail, password_file=tmp_path / "nowhere"))
    assert "AVTALSMOTOR_NOTICE_SMTP_PASSWORD_FILE names: No such file" in said
    (tmp_path / "password").write_text("\n", encoding="utf-8")
    assert "is empty" in await refusal(mail)
    assert "is not set" in await refusal(replace(mail, password_file=None))


async def test_what_is_not_set_is_named(mail: Mail) -> None:
    said = await refusal(replace(mail, sender="", recipients=()))
    assert "AVTALSMOTOR_NOTICE_MAIL_FROM and AVTALSMOTOR_NOTICE_MAIL_TO not set" in said


async def test_a_mail_server_that_does_not_answer_keeps_nothing_else_waiting(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.notices.mail._ANSWERS_WITHIN", 0.3)
    ended = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    try:
        port = silent.sockets[0].getsockname()[1]
        sending = asyncio.create_task(refusal(replace(mail, port=port)))
        await asyncio.sleep(0)
        assert not sending.done()
        assert "could not be reached" in await sending
        await ended.wait()
    finally:
        silent.close()
