"""A way by which a digest leaves, and what it says when it did not."""

from pathlib import Path
from typing import Protocol

from common.notices.digest import Digest


class NotDelivered(Exception):  # noqa: N818 - says what happened
    """A digest did not leave, or its answer was lost. The message says what happened, to what, and what to do now."""


class Channel(Protocol):
    """Delivers digests. Two deliveries of one digest can be told to be the same by the receiver."""

    @property
    def name(self) -> str:
        """By which the ledger knows it."""

    @property
    def where(self) -> str:
        """Where it leads, for whoever looks at the settings: without anything secret."""

    async def send(self, digest: Digest) -> str | None:
        """Delivers it. Returns what is not well although it has arrived.

        Raises NotDelivered.
        """


def read_secret(path: Path | None, variable: str, what: str) -> str:
    """What the file holds, without the line's end. Raises NotDelivered.

    Parameters:
      variable: the setting that names the file.
    """
    if path is None:
        raise NotDelivered(f"There is no {what}: {variable} is not set. Set it to the file that holds the {what}.")
    try:
        secret = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise NotDelivered(
            f"The {what} cannot be read from the file that {variable} names: {why}. See that it exists, and that the"
            " producer's user may read it."
        ) from None
    if not secret:
        raise NotDelivered(f"The file that {variable} names is empty. Write the {what} into it.")
    return secret
