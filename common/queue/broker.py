"""Dramatiq's Redis broker with a doorbell, and without the leaks that were measured in it (engine study, 1.4 and 1.5).

It transports, and never decides: no retries, no delays, no results. "Later" is `not_before` in the ledger, and what is
lost on the way the ledger's feeder sends again. The key layout stays Dramatiq's own (`common/queue/layout.py`).
"""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import timedelta
from typing import Any, cast

import dramatiq
import redis
import structlog
from dramatiq import Worker
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.brokers.redis import MAINTENANCE_SCALE, RedisBroker
from dramatiq.common import compute_backoff, current_millis, iter_queue
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import AsyncIO, Middleware, TimeLimit
from redis.client import PubSub

from common.queue import layout
from common.queue.connections import connect

HEARTBEAT_TIMEOUT = timedelta(seconds=15)
"""A worker process silent for so long is taken for dead, and what it had in hand is given to others. Compared by the
processes' own clocks: hosts must agree on the time to within a few seconds."""

TIME_LIMIT = timedelta(minutes=10)
"""An actor that has run for so long is stuck, and is cancelled. Far above all time-outs of a request together, for
what is cancelled during a call is in doubt."""

_TAKE_BACK_EVERY = 15.0
_RECONNECT_DELAY = 0.5
_LISTEN_FOR = 0.25
_PAUSE_WHILE_STOPPING = 100
"""Milliseconds; whoever stops the worker waits for its consumers."""

_log = structlog.get_logger()


def make_broker(url: str, *, heartbeat_timeout: timedelta = HEARTBEAT_TIMEOUT) -> "DoorbellBroker":
    """The broker of one process, to declare actors on. Connects on first use; to be made after a fork, not before.

    Parameters:
      url: of Redis; its database must be the broker's alone.
      heartbeat_timeout: see `HEARTBEAT_TIMEOUT`; rounded to milliseconds.
    """
    return DoorbellBroker(
        client=connect(url),
        # Every look also gives the messages of dead processes back; by chance, as by default, it takes 12-21 minutes.
        maintenance_chance=MAINTENANCE_SCALE,
        heartbeat_timeout=round(heartbeat_timeout / timedelta(milliseconds=1)),
        middleware=[
            AsyncIO(),
            TimeLimit(time_limit=TIME_LIMIT / timedelta(milliseconds=1)),
            _DeadLetters(),
        ],
    )


def start_worker(broker: "DoorbellBroker", *, queues: Collection[str], threads: int) -> Worker:
    """Start the process' one worker, on declared queues. Stop it with `.stop(timeout=milliseconds)`.

    `stop` puts back what is not begun, and then finishes what is.

    Parameters:
      threads: how many messages are worked on at a time, all queues together; also the most that a queue's consumer
        fetches, so that no process hoards what another could begin.
    """
    worker = Worker(broker, queues=set(queues), worker_threads=threads)
    worker.queue_prefetch = threads
    broker.emit_after("process_boot")
    worker.start()
    return worker


class GivenBack(Exception):  # noqa: N818 - what happened
    """Raised by an actor of a worker that is told to stop: its message goes back on its queue, for another to begin.

    While the worker runs on it would come round again at once. Name it in the actor's `throws`.
    """


class DoorbellBroker(RedisBroker):
    """A `RedisBroker` whose workers are woken by pub/sub and hold on to nothing by mistake.

    - A message put on a queue rings; polling with Dramatiq's back-off stays as the fallback.
    - A body that cannot be read goes to the dead letters alone.
    - Any trouble with Redis, time-outs included, counts as a lost connection: the consumer starts again.
    - What Redis believes to be in this process' hands and is not, goes back on its queue.
    - A message whose actor raises goes to the dead letters; one that is given back, on its queue.
    - A worker that is told to stop puts back at once what it has not begun.

    Parameters: those of `RedisBroker`. Use `make_broker`.
    """

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)  # type: ignore[no-untyped-call]
        self.bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        """Set when there may be something to fetch from the queue."""
        self.in_hand: defaultdict[str, set[str]] = defaultdict(set)
        """By queue, the Redis ids that this process has fetched and not settled. It outlives a consumer, because
        Dramatiq makes a new one after each lost connection while threads go on with what the old one had fetched."""
        self.given_back: set[str] = set()
        """The Redis ids of messages in hand whose actors have given them back."""
        self.stopping = False
        """Set while the worker finishes what is in hand: what it fetched now would only wait, and go back."""
        self.add_middleware(_Listener(self))

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the delay queue that the stock broker would have a thread poll."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Put a message on its queue and ring. From asyncio use `common.queue.outbox`.

        Raises:
          ValueError: A delay was asked for.
        """
        if delay is not None:
            raise ValueError(
                f"A delay was asked for a message to {message.actor_name!r}. This broker has none, for delays are lost"
                " when Redis restarts. Set `not_before` in the ledger instead."
            )
        sent: dramatiq.Message[Any] = super().enqueue(message)
        self.ring(sent.queue_name)
        return sent

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A consumer of the queue; `timeout` (milliseconds) is the longest pause between two looks."""
        return _DoorbellConsumer(self, queue_name, prefetch, timeout)

    def ring(self, queue_name: str) -> None:
        """Wake the queue's workers in all processes. A missed ring costs them a poll's pause: failing is no error."""
        try:
            self.client.publish(layout.bell(self.namespace), queue_name)
        except redis.RedisError as error:
            _log.debug("bell_not_rung", queue=queue_name, error=str(error))

    def beat(self) -> None:
        """Show that this process is alive. Fetching does it too, but a process whose hands are full does not fetch."""
        self.client.zadd(layout.heartbeats(self.namespace), {self.broker_id: current_millis()})

    def leave(self) -> None:
        """Show that this process is about to end: the next maintenance takes it for dead."""
        # Where Redis is away, what this process holds comes back when its heartbeat is missed.
        with contextlib.suppress(redis.RedisError):
            self.client.zadd(layout.heartbeats(self.namespace), {self.broker_id: 0})


class _DoorbellConsumer(Consumer):
    """Fetches from one queue, in one thread; the worker threads call `ack` and `nack`."""

    def __init__(self, broker: DoorbellBroker, queue: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._queue = queue
        self._prefetch = prefetch
        self._longest_pause = min(timeout, broker.heartbeat_timeout // 3)
        self._in_hand = broker.in_hand[queue]
        self._bell = broker.bells[queue]
        self._fetched: deque[dramatiq.Message[Any]] = deque()
        self._misses = 0
        self._may_see_more = True
        # At once, too: a new consumer may stand where the answer to a fetch was lost.
        self._take_back_at = time.monotonic()

    def __next__(self) -> MessageProxy | None:
        # When the last look has left nothing behind, there is nothing to be seen before the next ring.
        if not self._fetched and (self._may_see_more or self._bell.is_set()):
            # Cleared before looking: a ring from here on means another look.
            self._bell.clear()
            with _lost_connection():
                self._look()
        if self._broker.stopping:
            self.close()
        if self._fetched:
            self._misses = 0
            return MessageProxy(self._fetched.popleft())
        longest = _PAUSE_WHILE_STOPPING if self._broker.stopping else self._longest_pause
        self._misses, pause = compute_backoff(self._misses, max_backoff=longest)
        self._bell.wait(pause / 1000)
        self._may_see_more = True
        return None

    def ack(self, message: MessageProxy) -> None:
        if _redis_id(message) in self._broker.given_back:
            self._settle(self._broker.do_requeue, message)
            self._broker.given_back.discard(_redis_id(message))
            self._broker.ring(self._queue)
        else:
            self._settle(self._broker.do_ack, message)

    def nack(self, message: MessageProxy) -> None:
        self._settle(self._broker.do_nack, message)

    def requeue(self, messages: Iterable[MessageProxy | dramatiq.Message[Any]]) -> None:
        ids = [_redis_id(message) for message in messages]
        if not ids:
            return
        self._in_hand.difference_update(ids)
        with _lost_connection():
            self._broker.do_requeue(self._queue, *ids)
        self._broker.ring(self._queue)

    def close(self) -> None:
        """Put back what was fetched and not handed to a thread."""
        unbegun = list(self._fetched)
        self._fetched.clear()
        self.requeue(unbegun)

    def _settle(self, command: Callable[[str, str], object], message: MessageProxy) -> None:
        # Dramatiq calls again after a lost connection, so the message stays in hand until Redis has confirmed.
        try:
            with _lost_connection():
                command(self._queue, _redis_id(message))
        except ConnectionClosed as error:
            if not self._broker.stopping:
                raise
            # Nothing waits for that: it comes back to somebody who reads in the ledger what became of it.
            _log.warning("message_not_settled", queue=self._queue, error=str(error))
            return
        self._in_hand.discard(_redis_id(message))
        if self._may_see_more:
            # There is room for another: look now, not at the next poll.
            self._bell.set()

    def _look(self) -> None:
        if time.monotonic() >= self._take_back_at:
            self._take_back()
        # Also for what is settled while this thread looks; with room left over, a ring tells of the next message.
        self._may_see_more = True
        room = self._prefetch - len(self._in_hand)
        if room <= 0 or self._broker.stopping:
            self._broker.beat()
            return
        bodies = self._broker.do_fetch(self._queue, room)
        self._may_see_more = len(bodies) >= room
        for body in bodies:
            message = self._read(body)
            if message is None:
                # The answer to a fetch does not tell which id the body belongs to; `_take_back` finds that out.
                self._take_back_at = time.monotonic()
            elif (redis_id := _redis_id(message)) not in self._in_hand:
                self._in_hand.add(redis_id)
                self._fetched.append(message)
            # Else we were silent for so long that we were taken for dead: it is still being worked on here.
        if time.monotonic() >= self._take_back_at:
            self._take_back()

    def _take_back(self) -> None:
        """Settle what Redis counts as fetched by this process and what is not in hand.

        That is what a lost answer, or a body that cannot be read, leaves behind. Only this thread fetches from the
        queue, and Redis moves an id only while it is in the set, so no message that is in hand can be hit.
        """
        client, namespace = self._broker.client, self._broker.namespace
        own_set = layout.fetched(self._broker.broker_id, self._queue, namespace)
        for raw_id in cast(set[bytes], client.smembers(own_set)):
            redis_id = raw_id.decode(errors="replace")
            if redis_id in self._in_hand:
                continue
            body = cast(bytes | None, client.hget(layout.bodies(self._queue, namespace), raw_id))
            message = self._read(body) if body is not None else None
            if body is not None and (message is None or _redis_id(message) != redis_id):
                self._broker.do_nack(self._queue, raw_id)
                _log.error("unreadable_message_put_aside", queue=self._queue, redis_id=redis_id, size=len(body))
            else:
                self._broker.do_requeue(self._queue, raw_id)
                _log.warning(
                    "stranded_message_put_back", queue=self._queue, redis_id=redis_id, has_body=body is not None
                )
        self._take_back_at = time.monotonic() + _TAKE_BACK_EVERY

    def _read(self, body: bytes | None) -> dramatiq.Message[Any] | None:
        """The message, or None when handing it on would harm the thread that gets it."""
        if body is None:
            return None
        try:
            message: dramatiq.Message[Any] = dramatiq.Message.decode(body)
        except DecodeError:
            return None
        options: object = message.options
        sound = (
            message.queue_name == self._queue
            and isinstance(message.actor_name, str)
            and isinstance(options, dict)
            and isinstance(options.get("redis_message_id"), str)
            and "eta" not in options
        )
        return message if sound else None


class _DeadLetters(Middleware):
    """Rejects a message whose actor raised, unless it is given back. Without `Retries` nobody else does: Dramatiq would
    acknowledge it."""

    @property
    def actor_options(self) -> set[str]:
        """What Dramatiq itself reads: exceptions that are logged in a line."""
        return {"throws"}

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: object = None, exception: BaseException | None = None
    ) -> None:
        if isinstance(exception, GivenBack):
            cast(DoorbellBroker, broker).given_back.add(_redis_id(message))
        elif exception is not None:
            message.fail()


class _Listener(Middleware):
    """Hears the rings of all queues while the process has a worker: one thread, one connection."""

    def __init__(self, broker: DoorbellBroker) -> None:
        self._broker = broker
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._thread = threading.Thread(target=self._listen, name="queue-bells", daemon=True)
        self._thread.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._broker.stopping = True
        # Dramatiq would put back what nobody has begun when the last call in hand is done.
        for thread in worker.workers:
            thread.stop()
        _put_back_unbegun(worker)

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        # Not among the living any more: what it has left over, if anything, is anybody's at once.
        self._broker.leave()
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._broker.client.pubsub() as pubsub:
                    pubsub.subscribe(layout.bell(self._broker.namespace))
                    self._hear(pubsub)
            except redis.RedisError as error:
                _log.warning("queue_bells_silent", error=str(error))
                self._stopped.wait(_RECONNECT_DELAY)

    def _hear(self, pubsub: PubSub) -> None:
        bells = self._broker.bells
        while not self._stopped.is_set():
            heard = pubsub.get_message(timeout=_LISTEN_FOR)
            if heard is None:
                continue
            if heard["type"] == "subscribe":
                # What was rung while nobody listened was not heard.
                for bell in list(bells.values()):
                    bell.set()
            elif heard["type"] == "message":
                queue = heard["data"].decode(errors="replace")
                if queue in bells:
                    bells[queue].set()


def _put_back_unbegun(worker: Worker) -> None:
    unbegun: defaultdict[str, list[MessageProxy]] = defaultdict(list)
    for item in iter_queue(worker.work_queue):  # type: ignore[no-untyped-call]
        unbegun[item.message.queue_name].append(item.message)
    for queue, messages in unbegun.items():
        try:
            worker.consumers[queue].requeue_messages(messages)
        except ConnectionClosed as error:
            _log.warning("messages_not_put_back", queue=queue, messages=len(messages), error=str(error))


@contextlib.contextmanager
def _lost_connection() -> Iterator[None]:
    """Tell Dramatiq of any trouble with Redis as it expects it; the stock broker lets time-outs and refusals through,
    and a consumer thread dies of some of them."""
    try:
        yield
    except redis.RedisError as error:
        raise ConnectionClosed(  # type: ignore[no-untyped-call]
            f"Redis did not serve the queues ({error}). Nothing is lost, and this is tried again until Redis answers."
            " See that the server that AVTALSMOTOR_REDIS_URL names is running and takes writes."
        ) from None


def _redis_id(message: MessageProxy | dramatiq.Message[Any]) -> str:
    redis_id: str = message.options["redis_message_id"]
    return redis_id
