"""`avtalsmotor secrets ...`: shows and changes the keys of the key file, and seals anew what the ledger keeps."""

from datetime import datetime

from avtalsmotor.cli.failure import Failure, complain
from avtalsmotor.cli.printing import Column, Row, count, instant, print_json, print_table, say
from avtalsmotor.cli.session import open_session, read_settings, user
from common import key_file
from common.key_file import Key, KeyFileMissing
from common.ledger import resealing
from common.seals import Seals, path_of


async def list_(as_json: bool) -> None:
    async with open_session() as (settings, ledger):
        sealed = dict(await resealing.sealed_by(ledger))
    path = path_of(settings)
    try:
        keys = key_file.read(path).keys
    except KeyFileMissing:
        keys = ()
    unreadable = sealed.pop("", 0)
    gone = sorted(sealed.keys() - {key.id for key in keys})
    if as_json:
        print_json(
            {
                "file": str(path.absolute()),
                "keys": [
                    {
                        "key": key.id,
                        "made_at": key.made_at,
                        "seals": key is keys[0],
                        "secrets": sealed.get(key.id, 0),
                    }
                    for key in keys
                ],
                "missing": [{"key": key, "secrets": sealed[key]} for key in gone],
                "damaged_secrets": unreadable,
            }
        )
        return
    if keys:
        say(f"The keys in {path.absolute()}:")
    else:
        say(f"There is no key file: {path.absolute()} does not exist.")
        if not gone:
            say("Make it with: avtalsmotor secrets new-key")
    columns = [
        Column("Key", whole=True),
        Column("Made", whole=True),
        Column("Secrets", number=True),
        Column(""),
    ]
    rows = [_row(key, sealed.get(key.id, 0), "seals" if key is keys[0] else "unseals") for key in keys]
    rows += [
        Row([key, "", str(sealed[key]), "not in the file: what it sealed cannot be read"], "attention") for key in gone
    ]
    print_table(columns, rows)
    if gone:
        say("Put the lines of the keys that are not in the file back into it, from your copy of it.")
    if unreadable:
        say(f"{count(unreadable, 'secret')} in the ledger cannot be read: damaged, or never sealed.")


def _row(key: Key, secrets: int, does: str) -> Row:
    return Row([key.id, _made(key.made_at), str(secrets), does])


def _made(at: datetime | None) -> str:
    return instant(at) or "not known"


async def new_key() -> None:
    settings = read_settings()
    path = path_of(settings)
    now = settings.clock.now()
    try:
        key = key_file.add(path, now)
    except KeyFileMissing:
        try:
            key = key_file.make(path, now)
        except FileExistsError:
            # Somebody else was quicker.
            key = key_file.add(path, now)
        else:
            say(f"Made {path.absolute()} with the key {key.id}.")
            say("Keep a copy of it apart from the copies of the ledger: without it, what it seals is lost.")
            return
    say(f"The key {key.id} is the first in {path.absolute()}: it seals from now on.")
    say("Copy the file. Seal anew what the older keys sealed with: avtalsmotor secrets reseal")


async def reseal() -> bool:
    """Whether everything is under the first key now."""
    async with open_session() as (settings, ledger):
        seals = Seals.read(settings)
        done = await resealing.reseal(ledger, seals, user())
    current = seals.current
    if done.done:
        say(f"Sealed {count(done.done, 'secret')} anew under the key {current}.")
    elif not done.failed:
        say(f"Every secret in the ledger is under the key {current} already.")
    for why in done.failed:
        complain(why)
    return not done.failed


async def drop_key(key: str) -> None:
    """Raises Failure while the ledger needs it; KeyFileError."""
    async with open_session() as (settings, ledger):
        needed = (await resealing.sealed_by(ledger)).get(key, 0)
    path = path_of(settings)
    if needed:
        raise Failure(
            f"The key {key} was not dropped: {count(needed, 'secret')} in the ledger"
            f" {'is' if needed == 1 else 'are'} sealed by it. Seal them anew first: avtalsmotor secrets reseal"
        )
    key_file.drop(path, key)
    say(f"The key {key} is no longer in {path.absolute()}.")
    say("Copies of the ledger from before the last reseal need it still: keep your copy of it as long as those.")
