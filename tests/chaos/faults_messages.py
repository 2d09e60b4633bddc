"""Faults of the queues: messages doubled, sent again long after, turned round, and things that are no messages."""

import asyncio
import json
import time
from random import Random
from uuid import uuid4

from redis.asyncio import Redis

from common.ids import BillingId, TenantId
from common.queue import layout, outbox
from common.queue.connections import connect_async
from common.queue.messages import POOLS, Bookkeep, CreateInvoice, Deliver, Message, SeekEvidence
from tests.chaos.scene import Scene, chosen
from tests.chaos.sight import Flight
from tests.chaos.strikes import Strike, steps_of

_MESSAGE_OF = {"create": CreateInvoice, "bookkeep": Bookkeep, "deliver": Deliver}
_COPIES = 4
_OLD = 12
_WORKERS_STAND = 1.5
_LOOK_EVERY = 0.05

_TURN_ROUND = """
-- The waiting ids of a queue, the last first. Returns how many there are.
local ids = redis.call('LRANGE', KEYS[1], 0, -1)
if #ids > 1 then
  redis.call('DEL', KEYS[1])
  for _, id in ipairs(ids) do redis.call('LPUSH', KEYS[1], id) end
end
return #ids
"""


async def duplicated(scene: Scene, rng: Random) -> Strike | None:
    """The message of a step that is just being carried out comes again, several times."""
    flights = await scene.claimed()
    if not flights:
        return None
    flight = chosen(rng, flights)
    began = time.time()
    async with scene.lock("redis"), connect_async(scene.stage.redis_url) as redis:
        await outbox.enqueue(redis, [_message(flight, flight.step)] * _COPIES)
    return Strike("", began, time.time(), steps_of([flight]))


async def replayed_late(scene: Scene, rng: Random) -> Strike | None:
    """Messages of steps that are long done come again, among them to create, while steps of the company go on."""
    flights = await scene.claimed()
    if not flights:
        return None
    flight = chosen(rng, flights)
    done = [one for one in await scene.sight.standing("done", limit=400) if one.tenant == flight.tenant]
    old = [_message(one, step) for one in done[:_OLD] for step in _MESSAGE_OF]
    if flight.step != "create":
        old.append(_message(flight, "create"))
    began = time.time()
    async with scene.lock("redis"), connect_async(scene.stage.redis_url) as redis:
        await outbox.enqueue(redis, old)
    return Strike("", began, time.time(), steps_of([flight])) if old else None


async def reordered(scene: Scene, rng: Random) -> Strike | None:
    """The queues are turned round: what was asked for last comes first."""
    began = time.time()
    standing = scene.stage.running("worker")
    turned = 0
    async with scene.lock("redis"), connect_async(scene.stage.redis_url) as redis:
        for worker in standing:
            worker.freeze()
        try:
            turned = await _turn_round(redis)
            flights = await scene.sight.claimed()
        finally:
            for worker in standing:
                worker.thaw()
    return Strike("", began, time.time(), steps_of(flights)) if turned else None


async def _turn_round(redis: Redis) -> int:
    """Turns every queue that holds several messages, as soon as one does; how many messages."""
    turn = redis.register_script(_TURN_ROUND)
    deadline = time.monotonic() + _WORKERS_STAND
    while time.monotonic() < deadline:
        lengths = [int(await turn([layout.waiting(queue)])) for queue in POOLS]
        if turned := sum(length for length in lengths if length > 1):
            return turned
        await asyncio.sleep(_LOOK_EVERY)
    return 0


async def garbage(scene: Scene, rng: Random) -> Strike | None:
    """Things that are no messages, and messages of billings that are not, or are another company's."""
    flights = await scene.claimed()
    if not flights:
        return None
    flight = chosen(rng, flights)
    queue = _MESSAGE_OF[flight.step].queue
    began = time.time()
    async with scene.lock("redis"), connect_async(scene.stage.redis_url) as redis:
        for body in _rubbish(flight, queue):
            await _put(redis, queue, body)
        await redis.rpush(layout.waiting(queue), str(uuid4()))
        await redis.publish(layout.bell(), queue)
        other = TenantId(flight.tenant + 1)
        strangers: list[Message] = [
            CreateInvoice(billing=BillingId(2**40), tenant=other),
            Deliver(billing=BillingId(flight.billing), tenant=other),
            SeekEvidence(tenant=TenantId(2**40)),
        ]
        await outbox.enqueue(redis, strangers)
    return Strike("", began, time.time(), steps_of([flight]))


def _rubbish(flight: Flight, queue: str) -> list[bytes]:
    kind = _MESSAGE_OF[flight.step]
    envelope = {
        "queue_name": queue,
        "actor_name": kind.actor,
        "args": [],
        "kwargs": {},
        "options": {},
        "message_id": str(uuid4()),
        "message_timestamp": 0,
    }
    return [
        b"",
        b"\xff\xfe not json",
        b"[1, 2, 3]",
        json.dumps(envelope).encode(),
        json.dumps({**envelope, "args": [{"billing": "x"}], "options": {"redis_message_id": "y"}}).encode(),
        json.dumps({**envelope, "actor_name": "make_money", "options": {"redis_message_id": "z"}}).encode(),
    ]


async def _put(redis: Redis, queue: str, body: bytes) -> None:
    redis_id = str(uuid4())
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hset(layout.bodies(queue), redis_id, body)
        pipeline.rpush(layout.waiting(queue), redis_id)
        await pipeline.execute()


def _message(flight: Flight, step: str) -> Message:
    return _MESSAGE_OF[step](billing=BillingId(flight.billing), tenant=TenantId(flight.tenant))
