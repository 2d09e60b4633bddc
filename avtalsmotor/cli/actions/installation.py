"""What `doctor` looks at of the installation itself: settings, ledger, Redis, the key file, Fortnox, and the clocks."""

from collections.abc import Mapping
from datetime import timedelta

from redis.exceptions import RedisError

from avtalsmotor.cli.actions.ledger import high_water_of
from avtalsmotor.cli.session import missing_credentials, running_redis
from common import key_file
from common.fortnox.reach import reach
from common.key_file import KeyFileMissing, SealsError
from common.ledger.database import Ledger, LedgerError, open_ledger
from common.queue.connections import connect_async
from common.rules.preflight import Severity
from common.rules.preflight_words import Language, Words
from common.seals import path_of
from common.settings import Settings

CLOCK_OFF = timedelta(seconds=5)
"""By more than so much a clock is wrong: at midnight that is another day, and leases are counted by it."""

Check = tuple[str, Severity, Mapping[Language, Words]]
"""What it is about, how bad it is, and the words."""


def _check(name: str, english: Words, swedish: Words, severity: Severity = Severity.HINDERS) -> Check:
    return name, severity, {Language.EN: english, Language.SV: swedish}


async def open_ledger_or_say(settings: Settings) -> Ledger | Check:
    """The ledger, at the schema of this version; or why there is none to work with."""
    try:
        return await open_ledger(
            settings.ledger_url, settings.data_dir, settings.clock, migrate=settings.ledger_is_file
        )
    except (LedgerError, OSError) as error:
        return _check(
            "ledger",
            Words(f"The ledger cannot be used. {error}", "Mend that first: nothing is done without it."),
            Words(f"Liggaren kan inte användas. {error}", "Åtgärda det först: inget görs utan den."),
        )


async def check(settings: Settings, ledger: Ledger) -> list[Check]:
    """What is not as it should be of everything but the ledger's opening."""
    checks = [
        _credentials(settings),
        await _redis(settings),
        await _old_ledger(settings, ledger),
        _keys(settings),
        await _fortnox(settings),
        await _database_clock(ledger),
    ]
    return [one for one in checks if one is not None]


def _credentials(settings: Settings) -> Check | None:
    absent = missing_credentials(settings)
    if not absent:
        return None
    names = ", ".join(absent)
    return _check(
        "credentials",
        Words(f"Not set: {names}.", "Set them to what Fortnox' developer portal shows for your integration."),
        Words(f"Inte satta: {names}.", "Sätt dem till det som Fortnox utvecklarportal visar för din integration."),
    )


async def _redis(settings: Settings) -> Check | None:
    url = running_redis(settings)
    if url is None:
        return _check(
            "redis",
            Words("No queue server runs, and AVTALSMOTOR_REDIS_URL names none.", "Start one: avtalsmotor up"),
            Words("Ingen köserver är igång, och AVTALSMOTOR_REDIS_URL anger ingen.", "Starta en: avtalsmotor up"),
            Severity.TO_KNOW,
        )
    client = connect_async(url)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return _check(
            "redis",
            Words(f"Redis did not answer: {error}.", "See that the server in AVTALSMOTOR_REDIS_URL is up."),
            Words(f"Redis svarade inte: {error}.", "Se till att servern i AVTALSMOTOR_REDIS_URL är igång."),
        )
    finally:
        await client.aclose()
    return None


async def _old_ledger(settings: Settings, ledger: Ledger) -> Check | None:
    async with high_water_of(settings, ledger) as high_water:
        try:
            await high_water.check()
        except LedgerError as error:
            return _check(
                "ledger",
                Words(f"Nothing is done with this ledger. {error}", "See docs/decisions/0007-an-old-ledger.md."),
                Words(f"Inget görs med den här liggaren. {error}", "Se docs/decisions/0007-an-old-ledger.md."),
            )
        except (RedisError, OSError):
            return None  # told with Redis
    return None


def _keys(settings: Settings) -> Check | None:
    """The file itself, and who may read it. One that is not there yet is made when it is needed, where it may be."""
    try:
        key_file.read(path_of(settings))
    except KeyFileMissing as error:
        if settings.secret_key_file is None and settings.ledger_is_file:
            return None
        problem = str(error)
    except SealsError as error:
        problem = str(error)
    else:
        return None
    return _check(
        "secret_key",
        Words(f"The keys of the secrets cannot be used. {problem}", "See docs/secrets.md."),
        Words(f"Hemligheternas nycklar kan inte användas. {problem}", "Se docs/secrets.md."),
    )


async def _fortnox(settings: Settings) -> Check | None:
    address = settings.fortnox_api_url
    try:
        reached = await reach(settings)
    except (OSError, TimeoutError) as error:
        told = str(error) or type(error).__name__
        return _check(
            "fortnox",
            Words(
                f"Fortnox cannot be reached at {address}: {told}.",
                "Check the network, and AVTALSMOTOR_FORTNOX_API_URL.",
            ),
            Words(f"Fortnox nås inte på {address}: {told}.", "Se över nätet, och AVTALSMOTOR_FORTNOX_API_URL."),
        )
    return None if reached.ahead is None else _clock("Fortnox", reached.ahead, "Fortnox klocka")


async def _database_clock(ledger: Ledger) -> Check | None:
    before = ledger.clock.now()
    there = await ledger.now()
    half_way = before + (ledger.clock.now() - before) / 2
    return _clock("the database", there - half_way, "databasens")


def _clock(whose: str, ahead: timedelta, swedish: str) -> Check | None:
    if abs(ahead) <= CLOCK_OFF:
        return None
    seconds = f"{abs(ahead).total_seconds():.0f}"
    return _check(
        "clock",
        Words(
            f"This machine's clock and that of {whose} differ by {seconds} s.",
            "Set the clock, and let it be kept (NTP): due days, tokens and leases are reckoned by it.",
        ),
        Words(
            f"Datorns klocka och {swedish} skiljer sig med {seconds} s.",
            "Ställ klockan, och låt den hållas rätt (NTP): förfallodagar, token och lån räknas efter den.",
        ),
    )
