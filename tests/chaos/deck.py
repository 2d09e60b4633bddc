"""The deck: every kind of fault by its name, dealt in an order that the seed alone decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos import (
    faults_answers,
    faults_database,
    faults_messages,
    faults_people,
    faults_processes,
    faults_redis,
    faults_restore,
)
from tests.chaos.explanations import LEDGER_RESTORED
from tests.chaos.points import AS_IT_LEAVES, POINTS
from tests.chaos.scene import Fault
from tests.chaos.stage import Database

KILLS, FREEZES, ANSWERS, PEOPLE, SERVERS = "kills", "freezes", "answers", "people", "servers"
LANES: Mapping[str, int] = {KILLS: 2, FREEZES: 2, ANSWERS: 3, PEOPLE: 2, SERVERS: 1}
"""Lane -> how many of its faults may be under way at a time; lanes run beside each other."""
BREATHES_AFTER: Mapping[str, int] = {SERVERS: 8}
"""Lane -> so many calls are answered before its next fault, for what strikes everybody keeps others from striking."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Parameters:
      lane: what it is dealt among.
    """

    name: str
    lane: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Card:
    """One fault to come, with the number that its own choices grow from."""

    kind: Kind
    number: str

    def rng(self) -> Random:
        return Random(self.number)


def kinds(database: Database) -> list[Kind]:
    """All kinds, for that database."""
    answers, people, redis, messages = faults_answers, faults_people, faults_redis, faults_messages
    return [
        *(Kind(f"kill_worker.{point}", KILLS, faults_processes.kill_worker(point)) for point in POINTS),
        Kind("kill_producer", KILLS, faults_processes.kill_producer),
        Kind("two_producers", KILLS, faults_processes.two_producers),
        *(
            Kind(f"freeze_worker.{point}", FREEZES, faults_processes.freeze_worker(point))
            for point in (*POINTS, AS_IT_LEAVES)
        ),
        *(Kind(f"answer_cut_after_acting.{effect}", ANSWERS, answers.cut_after(effect)) for effect in answers.EFFECTS),
        *(Kind(f"acts_after_our_time_out.{which}", ANSWERS, answers.late_effect(effect)) for which, effect in _LATE),
        Kind("500_before_acting", ANSWERS, answers.error_before_acting()),
        Kind("500_after_acting", ANSWERS, answers.error_after_acting()),
        Kind("429_storm", ANSWERS, answers.storm(retry_after=False)),
        Kind("429_storm_with_retry_after", ANSWERS, answers.storm(retry_after=True)),
        Kind("token_revoked", ANSWERS, answers.token_revoked),
        Kind("redis_restarted", SERVERS, redis.restarted),
        Kind("redis_wiped", SERVERS, redis.wiped),
        Kind("redis_unreachable", SERVERS, redis.unreachable),
        Kind("database_locked", SERVERS, faults_database.locked)
        if database == "sqlite"
        else Kind("database_restarted", SERVERS, faults_database.restarted),
        Kind(LEDGER_RESTORED, SERVERS, faults_restore.restored),
        Kind("messages_duplicated", PEOPLE, messages.duplicated),
        Kind("messages_replayed_late", PEOPLE, messages.replayed_late),
        Kind("messages_reordered", PEOPLE, messages.reordered),
        Kind("garbage_in_the_queue", PEOPLE, messages.garbage),
        Kind("person_creates", PEOPLE, people.creates),
        Kind("person_edits_period", PEOPLE, people.edits_period),
        Kind("person_cancels", PEOPLE, people.undoes("cancel")),
        Kind("person_credits", PEOPLE, people.undoes("credit")),
    ]


_LATE: Sequence[tuple[str, str | None]] = (("create", "create"), ("any", None))


def dealt(lane: str, among: Sequence[Kind], seed: int) -> Iterator[Card]:
    """The lane's cards, for ever: round after round of all its kinds, each round shuffled."""
    rng = Random(f"{seed} {lane}")
    turn = 0
    while True:
        turn += 1
        shuffled = list(among)
        rng.shuffle(shuffled)
        for kind in shuffled:
            yield Card(kind, f"{seed} {kind.name} {turn}")
