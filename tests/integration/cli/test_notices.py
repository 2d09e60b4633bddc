"""`avtalsmotor notices`: a test by each channel, and what came of it in plain words; and `list` before there is any."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import Shell
from tests.mail_server import mail_server
from tests.webhooks import receiver

SECRET = "byrans hemlighet"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET, encoding="utf-8")
    return path


def set_mail(monkeypatch: pytest.MonkeyPatch, port: int, secret_file: Path) -> None:
    for name, value in {
        "MAIL_TO": "anna@byran.example,drift@byran.example",
        "MAIL_FROM": "avtalsmotor@byran.example",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "SMTP_USER": "byran",
        "SMTP_PASSWORD_FILE": str(secret_file),
    }.items():
        monkeypatch.setenv(f"AVTALSMOTOR_NOTICE_{name}", value)


def set_webhook(monkeypatch: pytest.MonkeyPatch, url: str, secret_file: Path) -> None:
    monkeypatch.setenv("AVTALSMOTOR_NOTICE_WEBHOOK_URL", url)
    monkeypatch.setenv("AVTALSMOTOR_NOTICE_WEBHOOK_SECRET_FILE", str(secret_file))


async def test_a_test_goes_by_each_channel(
    shell: Shell, secret_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(tmp_path) as server, receiver() as hook:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        server.logins["byran"] = SECRET
        set_mail(monkeypatch, server.port, secret_file)
        set_webhook(monkeypatch, hook.url, secret_file)
        answer = await shell("notices", "test")
        assert (answer.status, answer.err) == (0, "")
        assert answer.out.splitlines() == [
            f"By mail, to anna@byran.example, drift@byran.example by 127.0.0.1:{server.port}: sent.",
            f"By webhook, to {hook.url.split('/')[2]}: sent.",
        ]
        assert server.taken[0]["Subject"] == "Avtalsmotor: provmeddelande"
        assert hook.received[0].json["kind"] == "test"


async def test_one_channel_that_fails_is_told_of_without_its_secrets_and_the_other_is_tried_all_the_same(
    shell: Shell, secret_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mail_server(tmp_path) as server, receiver() as hook:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        server.logins["byran"] = "another"
        set_mail(monkeypatch, server.port, secret_file)
        set_webhook(monkeypatch, hook.url, secret_file)
        answer = await shell("notices", "test")
        assert answer.status == 1
        assert "refused the login of byran: 535" in answer.err
        assert answer.out.startswith("By webhook, ")
        hook.status = 403
        answer = await shell("notices", "test")
        assert "answered HTTP 403" in answer.err
        assert not any(word in answer.err + answer.out for word in (SECRET, "another", "a-secret-path"))


async def test_where_nobody_is_to_be_told_it_says_how_to_set_it_up(shell: Shell) -> None:
    answer = await shell("notices", "test")
    assert answer.status == 1
    assert "docs/notices.md" in answer.err
    assert "docs/notices.md" in (await shell("notices", "list")).out
    assert (await shell("notices", "list", "--json")).json == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAIL_TO", "anna@byran.example\nBcc: all@byran.example"),
        ("MAIL_FROM", "Anna <anna@byran.example>"),
        ("MAIL_FROM", "anna@byran.example, drift@byran.example"),
        ("SMTP_SECURITY", "maybe"),
        ("SMTP_PORT", "587x"),
        ("WEBHOOK_URL", "hooks.example/a-secret-path"),
        ("LANGUAGE", "de"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_named_and_not_shown(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"AVTALSMOTOR_NOTICE_{name}", value)
    answer = await shell("notices", "list")
    assert answer.status == 1
    assert f"AVTALSMOTOR_NOTICE_{name} " in answer.err
    assert value not in answer.err
