"""`avtalsmotor status`: one screen of how it stands. It reads the ledger, and the queues where there are any."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from avtalsmotor.cli.actions import figures, matters, pausing, stopped
from avtalsmotor.cli.actions.ledger import high_water_of
from avtalsmotor.cli.actions.matters import Matter
from avtalsmotor.cli.actions.stopped import Stop
from avtalsmotor.cli.actions.tenants import mode_of
from avtalsmotor.cli.printing import Column, Row, age, count, heading, minute, print_json, print_table, say
from avtalsmotor.cli.session import data_directory, open_session, running_redis
from common.clock import STOCKHOLM
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import billings, pauses, policies, tenants
from common.ledger.billings import Postponed
from common.ledger.database import Ledger, LedgerError
from common.ledger.pauses import Pause
from common.ledger.records import Billing, Tenant
from common.queue.connections import connect_async
from common.queue.depth import QueueDepth, depths
from common.rules.banking_days import banking_day_from
from common.rules.reasons import REASONS, Reason, explain
from common.rules.states import Status, Step
from common.settings import Settings

_FOR_A_PERSON = (Status.PARKED, Status.HELD, Status.IN_DOUBT)


@dataclass(frozen=True)
class Item:
    """One thing that needs a person: a stop of a company, or billings that stand still for the same reason."""

    tenant: TenantId
    name: str
    status: Status | None
    """`None`: a whole company is stopped."""
    step: Step | None
    """`None`: at every step."""
    reason: Reason
    why: str
    cure: str
    since: datetime | None
    billings: Sequence[BillingId]
    contracts: Sequence[ContractNumber]


@dataclass(frozen=True)
class Unread:
    """A company whose contracts were never read, or not for so long that what falls due may be missed."""

    tenant: TenantId
    name: str
    since: datetime | None
    """The last reading; `None`: never."""

    @property
    def why(self) -> str:
        read = f"were last read {minute(self.since)}" if self.since is not None else "have never been read"
        return f"Its contracts {read}, so what falls due there may not be seen."

    @property
    def cure(self) -> str:
        return f"See that `avtalsmotor up` runs, and that Fortnox is reachable: avtalsmotor plan --tenant {self.tenant}"


async def status(as_json: bool) -> None:
    async with open_session() as (settings, ledger):
        companies = await tenants.every(ledger)
        paused = await pauses.standing(ledger)
        now = await ledger.now()
        book = await policies.load(ledger)
        counted = await figures.read(ledger)
        later = await billings.postponed(ledger)
        names = {company.id: company.name for company in companies}
        stops = await stopped.of_companies(ledger)
        items = await needing_a_person(ledger, names, stops)
        besides = await matters.read(ledger, {stop.block.tenant for stop in stops if stop.block.step is None})
        queues, why_not = await _queues(settings)
        unusable = await _why_unusable(settings, ledger)
    unread = _unread(companies, stops, now, timedelta(seconds=settings.poll_interval) * _POLLS_MISSED)
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
                "needs_person": [
                    *(_as_item(item) for item in items),
                    *(matters.as_item(one, names) for one in besides),
                    *(_as_unread(one) for one in unread),
                ],
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
    _print_items(items, besides, unread, names)


_POLLS_MISSED = 3
"""After so many intervals without a reading, something is wrong."""


def _unread(companies: Sequence[Tenant], stops: Sequence[Stop], now: datetime, limit: timedelta) -> list[Unread]:
    """Those not read within the limit. A stop of everything in a company says already why, and is enough."""
    told = {stop.block.tenant for stop in stops if stop.block.step is None}
    return [
        Unread(one.id, one.name, one.listed_at)
        for one in companies
        if one.id not in told and (one.listed_at is None or now - one.listed_at > limit)
    ]


async def needing_a_person(ledger: Ledger, names: Mapping[TenantId, str], stops: Sequence[Stop]) -> list[Item]:
    """Blocks first, each with the billings that it stops; then the others, by company, status, step and reason."""
    standing = await billings.find(ledger, status=_FOR_A_PERSON)
    under: dict[tuple[TenantId, Step | None, Reason], list[Billing]] = {_key(stop): [] for stop in stops}
    groups: dict[tuple[TenantId, Status, Step, Reason], list[Billing]] = defaultdict(list)
    for billing in standing:
        if billing.reason is None:
            continue
        for step in (billing.step, None):
            stop = (billing.tenant, step, billing.reason)
            if billing.status is Status.PARKED and stop in under:
                under[stop].append(billing)
                break
        else:
            groups[billing.tenant, billing.status, billing.step, billing.reason].append(billing)
    items = [_stop(stop, under[_key(stop)], names) for stop in stops]
    order = {status: place for place, status in enumerate(_FOR_A_PERSON)}
    for (tenant, status, step, reason), concerned in sorted(
        groups.items(), key=lambda group: (order[group[0][1]], group[0][0], group[0][2], group[0][3])
    ):
        # One billing is told with its own facts; of many, only what they have in common.
        facts = concerned[0].detail if len(concerned) == 1 else {}
        why = explain(reason, **facts)
        cure = REASONS[reason].cure
        items.append(Item(tenant, names[tenant], status, step, reason, why, cure, None, *_numbers(concerned)))
    return items


def _key(stop: Stop) -> tuple[TenantId, Step | None, Reason]:
    return stop.block.tenant, stop.block.step, stop.block.reason


def _stop(stop: Stop, concerned: Sequence[Billing], names: Mapping[TenantId, str]) -> Item:
    tenant, step, reason = _key(stop)
    since = stop.block.since
    return Item(tenant, names[tenant], None, step, reason, stop.why, stop.cure, since, *_numbers(concerned))


def _numbers(concerned: Sequence[Billing]) -> tuple[list[BillingId], list[ContractNumber]]:
    return [one.id for one in concerned], [one.contract for one in concerned]


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


def _as_item(item: Item) -> dict[str, object]:
    return {
        "tenant": item.tenant,
        "tenant_name": item.name,
        "status": "blocked" if item.status is None else item.status,
        "step": item.step,
        "reason": item.reason,
        "why": item.why,
        "cure": item.cure,
        "since": item.since,
        "billings": item.billings,
        "contracts": item.contracts,
    }


def _as_unread(unread: Unread) -> dict[str, object]:
    """The same names as of every item; there is no billing and no step to it."""
    return {
        "tenant": unread.tenant,
        "tenant_name": unread.name,
        "status": "unread",
        "step": None,
        "reason": None,
        "why": unread.why,
        "cure": unread.cure,
        "since": unread.since,
        "billings": [],
        "contracts": [],
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


def _print_items(
    items: Sequence[Item], besides: Sequence[Matter], unread: Sequence[Unread], names: Mapping[TenantId, str]
) -> None:
    heading("What needs a person")
    if not items and not besides and not unread:
        say("Nothing.")
    for item in items:
        say(f"{item.name} ({item.tenant}), {_standing(item)}: {item.why}")
        say(f"  {_concerned(item)}{item.cure}")
    matters.print_matters(besides, names)
    if len(unread) <= _TOLD:
        for one in unread:
            say(f"{one.name} ({one.tenant}): {one.why}")
            say(f"  {one.cure}")
    else:
        _print_many_unread(unread)


def _print_many_unread(unread: Sequence[Unread]) -> None:
    # So many have one cause, and one of them shows it.
    told = ", ".join(f"{one.name} ({one.tenant}, {minute(one.since) or 'never'})" for one in unread[:_TOLD])
    say(f"{len(unread)} companies' contracts have not been read for long, so what falls due there may not be seen.")
    say(f"  Last read: {told} and {len(unread) - _TOLD} more. {unread[0].cure}")


def _standing(item: Item) -> str:
    if item.status is None:
        return f"{item.step.value if item.step else 'everything'} stopped since {minute(item.since)}"
    return f"{item.status.value.replace('_', ' ')} at {item.step.value if item.step else ''}"


_TOLD = 8


def _concerned(item: Item) -> str:
    if not item.billings:
        return ""
    told = ", ".join(str(one) for one in item.billings[:_TOLD])
    more = f" and {len(item.billings) - _TOLD} more" if len(item.billings) > _TOLD else ""
    contract = f" (contract {item.contracts[0]})" if len(item.contracts) == 1 else ""
    return f"{count(len(item.billings), 'billing')}: {told}{more}{contract}. "
