"""The channels that the settings name, by which digests leave."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.settings import Settings

if TYPE_CHECKING:
    from common.notices.channel import Channel

MAIL, WEBHOOK = "mail", "webhook"


def names(settings: Settings) -> Sequence[str]:
    """What the ledger knows them by; none where nobody is to be told."""
    found = []
    if settings.notice_mail_to or settings.notice_smtp_host:
        found.append(MAIL)
    if settings.notice_webhook_url is not None:
        found.append(WEBHOOK)
    return found


def configured(settings: Settings) -> "Sequence[Channel]":
    """All of them. One that is set up by halves is among them, and says so when it is to send."""
    # Slow to import, for a command that only asks for the names.
    from common.notices.mail import PORTS, Mail
    from common.notices.webhook import Webhook

    found: list[Channel] = []
    for name in names(settings):
        if name == MAIL:
            security = settings.notice_smtp_security
            found.append(
                Mail(
                    host=settings.notice_smtp_host,
                    port=settings.notice_smtp_port or PORTS[security],
                    security=security,
                    user=settings.notice_smtp_user,
                    password_file=settings.notice_smtp_password_file,
                    sender=settings.notice_mail_from,
                    recipients=tuple(one for one in settings.notice_mail_to.split(", ") if one),
                )
            )
        elif settings.notice_webhook_url is not None:
            secret_file = settings.notice_webhook_secret_file
            found.append(Webhook(settings.notice_webhook_url, secret_file, settings.clock.now))
    return found
