"""`avtalsmotor status`: one screen of how it stands. It reads the ledger, and the queues where there are any."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError

from avtalsmotor.cli.actions import figures
from avtalsmotor.cli.actions.tenants import mode_of
from avtalsmotor.cli.printing import Column, Row, age, count, heading, instant, print_json, print_table, say
from avtalsmotor.cli.session import data_directory, open_session, running_redis
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import billings, blocks, pauses, policies, tenants
from common.ledger.database import Ledger
from common.ledger.records import Billing, Block
from common.queue.connections import connect_async
from common.queue.depth import QueueDepth, depths
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
    since: datetime | None
    billings: Sequence[BillingId]
    contracts: Sequence[ContractNumber]

    @property
    def cure(self) -> str:
        return REASONS[self.reason].cure


async def status(as_json: bool) -> None:
    async with open_session() as (settings, ledger):
        companies = await tenants.every(ledger)
        stopped = await pauses.bureau_paused(ledger)
        book = await policies.load(ledger)
        counted = await figures.read(ledger)
        names = {company.id: company.name for company in companies}
        items = await needing_a_person(ledger, names)
        queues, why_not = await _queues(settings)
    modes = {company.id: mode_of(company, book.policy_of(company.id)) for company in companies}
    if as_json:
        print_json(
            {
                "bureau_paused": stopped,
                "companies": [
                    {"tenant": one.tenant, "name": one.name, "mode": modes[one.tenant], **one.as_dict()}
                    for one in counted.values()
                ],
                "queues": [_as_queue(depth) for depth in queues] if why_not is None else None,
                "queues_unknown": why_not,
                "needs_person": [_as_item(item) for item in items],
            }
        )
        return
    if stopped:
        say("EVERYTHING IS PAUSED: nothing is called for any company until `avtalsmotor resume`.")
        say()
    if not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    figures.print_figures(list(counted.values()), [modes[one] for one in counted])
    _print_queues(queues, why_not)
    _print_items(items)


async def needing_a_person(ledger: Ledger, names: Mapping[TenantId, str]) -> list[Item]:
    """Blocks first, each with the billings that it stops; then the others, by company, status, step and reason."""
    stops = await blocks.every(ledger)
    standing = await billings.find(ledger, status=_FOR_A_PERSON)
    under: dict[tuple[TenantId, Step | None, Reason], list[Billing]] = {
        (stop.tenant, stop.step, stop.reason): [] for stop in stops
    }
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
    items = [_stop(stop, under[stop.tenant, stop.step, stop.reason], names) for stop in stops]
    order = {status: place for place, status in enumerate(_FOR_A_PERSON)}
    for (tenant, status, step, reason), concerned in sorted(
        groups.items(), key=lambda group: (order[group[0][1]], group[0][0], group[0][2], group[0][3])
    ):
        # One billing is told with its own facts; of many, only what they have in common.
        facts = concerned[0].detail if len(concerned) == 1 else {}
        why = explain(reason, **facts)
        items.append(Item(tenant, names[tenant], status, step, reason, why, None, *_numbers(concerned)))
    return items


def _stop(stop: Block, concerned: Sequence[Billing], names: Mapping[TenantId, str]) -> Item:
    why = explain(stop.reason, **stop.detail)
    return Item(stop.tenant, names[stop.tenant], None, stop.step, stop.reason, why, stop.since, *_numbers(concerned))


def _numbers(concerned: Sequence[Billing]) -> tuple[list[BillingId], list[ContractNumber]]:
    return [one.id for one in concerned], [one.contract for one in concerned]


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


def _print_items(items: Sequence[Item]) -> None:
    heading("What needs a person")
    if not items:
        say("Nothing.")
    for item in items:
        say(f"{item.name} ({item.tenant}), {_standing(item)}: {item.why}")
        say(f"  {_concerned(item)}{item.cure}")


def _standing(item: Item) -> str:
    if item.status is None:
        return f"{item.step.value if item.step else 'everything'} stopped since {instant(item.since)}"
    return f"{item.status.value.replace('_', ' ')} at {item.step.value if item.step else ''}"


_TOLD = 8


def _concerned(item: Item) -> str:
    if not item.billings:
        return ""
    told = ", ".join(str(one) for one in item.billings[:_TOLD])
    more = f" and {len(item.billings) - _TOLD} more" if len(item.billings) > _TOLD else ""
    contract = f" (contract {item.contracts[0]})" if len(item.contracts) == 1 else ""
    return f"{count(len(item.billings), 'billing')}: {told}{more}{contract}. "
