"""The summary of a run, as JSON: the seed, hits by kind, the longest recoveries, and the verdict with its offenders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.strikes import Record
from tests.chaos.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for, and what a run came to."""

    seed: int
    faults: int
    database: str
    duration: float
    kinds: Sequence[str]
    least_hits: int
    invoices: int
    left: Mapping[str, int]
    """How many times invoices left, by way."""
    record: Record
    verdict: Verdict
    ended_early: str | None = None

    @property
    def too_few(self) -> list[str]:
        """The kinds that have not struck often enough."""
        return [kind for kind in self.kinds if self.record.hits[kind] < self.least_hits]

    @property
    def went_well(self) -> bool:
        return (
            not any(self.verdict.wrong.values())
            and not self.too_few
            and self.record.total() >= self.faults
            and self.ended_early is None
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "faults": self.faults,
            "database": self.database,
            "duration_s": round(self.duration, 1),
            "invoices": self.invoices,
            "left": dict(self.left),
            "hits": self.record.total(),
            "injections": self.record.injections.total(),
            "kinds": {kind: self._kind(kind) for kind in self.kinds},
            "too_few_hits": self.too_few,
            **{name: len(offenders) for name, offenders in self.verdict.wrong.items()},
            "overlapping_caught": len(self.verdict.overlapping_caught),
            "early_caught": len(self.verdict.early_caught),
            "in_plain_sight": len(self.verdict.in_plain_sight),
            "offenders": {name: offenders for name, offenders in self.verdict.wrong.items() if offenders},
            "ended_early": self.ended_early,
            "went_well": self.went_well,
        }

    def _kind(self, kind: str) -> dict[str, object]:
        return {
            "injections": self.record.injections[kind],
            "hits": self.record.hits[kind],
            "longest_recovery_s": round(self.record.longest_recovery[kind], 1),
            "longest_resolution_s": round(self.record.longest_resolution[kind], 1),
        }
