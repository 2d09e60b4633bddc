"""`avtalsmotor status`: one screen of how it stands. It reads the ledger, and the queues where there are any."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from avtalsmotor.cli.actions import figures, matters, notices, pausing
from avtalsmotor.cli.actions.ledger import high_water_of
from avtalsmotor.cli.actions.tenants import mode_of
from avtalsmotor.cli.printing import Column, Row, age, count, heading, minute, print_json, print_table, say
from avtalsmotor.cli.session import data_directory, open_session, running_redis
from common.clock import STOCKHOLM
from common.ids import TenantId
from common.ledger import billings, pauses, policies, tenants
from common.ledger.billings import Postponed
from common.ledger.database import Ledger, LedgerError
from common.ledger.pauses import Pause
from common.matters import reading
from common.queue.connections import connect_async
from common.queue.depth import QueueDepth, depths
from common.rules.banking_days import banking_day_from
from common.settings import Settings


async def status(as_json: bool) -> None:
    async with open_session() as (settings, ledger):
        companies = await tenants.every(ledger)
        paused = await pauses.standing(ledger)
        now = await ledger.now()
        book = await policies.load(ledger)
        counted = await figures.read(ledger)
        later = await billings.postponed(ledger)
        names = {company.id: company.name for company in companies}
        standing = await reading.read(ledger, companies, now, settings.poll_interval)
        queues, why_not = await _queues(settings)
        unusable = await _why_unusable(settings, ledger)
        not_told = await notices.failing(settings, ledger)
    of_bureau = [one for one in paused if one.level == "bureau"]
    modes = {company.id: mode_of(company, book.policy_of(company.id)) for company in companies}
    if as_json:
        print_json(
            {
                "ledger_unusable": unusable,
                "bureau_paused": bool(of_bureau),
                "pauses": [pausing.as_dict(one) for one in paused],
                "companies": [
                    {
                        "tenant": one.tenant,
                        "name": one.name,
                        "mode": modes[one.tenant],
                        "listed_at": one.listed_at,
                        "listed_age": figures.read_age(one.listed_at, now),
                        **one.as_dict(),
                    }
                    for one in counted.values()
                ],
                "to_be_sent": [_as_postponed(one, names) for one in later],
                "queues": [_as_queue(depth) for depth in queues] if why_not is None else None,
                "queues_unknown": why_not,
                "notices_failing": [notices.as_failing(one) for one in not_told],
                "needs_person": [matters.as_item(one, names) for one in standing],
            }
        )
        return
    if unusable is not None:
        say(f"NOTHING IS DONE WITH THIS LEDGER. {unusable}")
        say()
    for pause in of_bureau:
        say(f"EVERYTHING IS PAUSED {pausing.told(pause)}")
        say("Nothing is called for any company until: avtalsmotor resume")
        say()
    if not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    figures.print_figures(list(counted.values()), [modes[one] for one in counted], now)
    _print_postponed(later, names, now)
    _print_queues(queues, why_not)
    _print_pauses([one for one in paused if one.level != "bureau"], names)
    notices.print_failing(not_told)
    heading("What needs a person")
    if not standing:
        say("Nothing.")
    matters.print_matters(standing, names)


async def _why_unusable(settings: Settings, ledger: Ledger) -> str | None:
    """Why no producer and no worker works with the ledger, if that is so: it is an older copy."""
    async with high_water_of(settings, ledger) as high_water:
        try:
            await high_water.check()
        except LedgerError as error:
            return str(error)
        except (RedisError, OSError):
            return None  # told with the queues
    return None


async def _queues(settings: Settings) -> tuple[Sequence[QueueDepth], str | None]:
    """The queues, or why nothing is known of them."""
    url = running_redis(settings)
    if url is None:
        return [], (
            f"no queue server runs in {data_directory(settings)}, and AVTALSMOTOR_REDIS_URL names none."
            " Start one with all roles: avtalsmotor up"
        )
    client = connect_async(url)
    try:
        return await depths(client), None
    except (RedisError, OSError) as error:
        return [], (
            f"Redis did not answer ({error}). Nothing is lost; see that the server in AVTALSMOTOR_REDIS_URL is up."
        )
    finally:
        await client.aclose()


_TOLD = 8


def _as_postponed(postponed: Postponed, names: Mapping[TenantId, str]) -> dict[str, object]:
    return {
        "tenant": postponed.tenant,
        "tenant_name": names[postponed.tenant],
        "from": postponed.opens,
        "billings": postponed.number,
    }


def _print_postponed(later: Sequence[Postponed], names: Mapping[TenantId, str], now: datetime) -> None:
    if later:
        heading("Waits to be sent")
    for one in later[:_TOLD]:
        number = count(one.number, "invoice")
        say(f"{names[one.tenant]} ({one.tenant}): {number}, from {_opening(one.opens, now)}.")
    if len(later) > _TOLD:
        number = count(sum(one.number for one in later[_TOLD:]), "more invoice")
        say(f"{number}. All of them: avtalsmotor status --json")


def _opening(opens: datetime, now: datetime) -> str:
    """`08:00 today`, `2026-12-28 08:00 (the next banking day)`."""
    today, day = (instant.astimezone(STOCKHOLM).date() for instant in (now, opens))
    if day == today:
        return f"{opens.astimezone(STOCKHOLM):%H:%M} today"
    is_next = day == banking_day_from(today + timedelta(days=1))
    return f"{minute(opens)} (the next banking day)" if is_next else minute(opens)


def _as_queue(depth: QueueDepth) -> dict[str, object]:
    return {
        "queue": depth.queue,
        "ready": depth.ready,
        "in_flight": depth.in_flight,
        "dead": depth.dead,
        "oldest_age": depth.oldest_age,
    }


def _print_queues(queues: Sequence[QueueDepth], why_not: str | None) -> None:
    heading("Queues")
    if why_not is not None:
        say(f"Not known: {why_not}")
    columns = [
        Column("Queue", whole=True),
        Column("Ready", number=True),
        Column("In flight", number=True),
        Column("Dead", number=True),
        Column("Oldest", number=True),
    ]
    print_table(
        columns,
        [
            Row(
                [depth.queue, str(depth.ready), str(depth.in_flight), str(depth.dead), age(depth.oldest_age)],
                "attention" if depth.dead else "plain",
            )
            for depth in queues
        ],
    )


def _print_pauses(paused: Sequence[Pause], names: Mapping[TenantId, str]) -> None:
    if paused:
        heading("Paused")
    for pause in paused:
        say(f"{pausing.what(pause, names)}, {pausing.told(pause)}")
        say(f"  Set it going again with: {pausing.end_of(pause)}")
