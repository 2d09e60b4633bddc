"""Faults by rule: which requests, how often, and what goes wrong before, after or instead of acting.

The cases that make doubled invoices are here by name: acting and then cutting the line or never answering, and acting
only after the caller has given up. A rule sees requests that were authorized and within the rate limit, and those of
OAuth; control calls never.
"""

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["delay", "error", "error_after", "cut", "cut_after", "hang", "hang_after", "act_late", "throttle"]


class Rule(BaseModel):
    """What to do to which requests. A condition left out always holds; of several rules the first that fires wins."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(
        description="delay: wait `seconds`, then act. error / error_after: answer `status` before / after acting. "
        "cut / cut_after: close the connection before / after acting. hang / hang_after: never answer, before / after "
        "acting. act_late: act only when the caller has gone, or after `seconds`, and `linger` more. throttle: a 429."
    )
    method: str | None = None
    path: str = Field("**", description="A glob of the path: * within a segment, ** over segments.")
    tenant: int | None = None
    times: int | None = Field(None, ge=1, description="Fires at most so often.")
    after: int = Field(0, ge=0, description="Passes over so many matching requests first.")
    every: int = Field(1, ge=1, description="Fires on every n-th matching request.")
    probability: float = Field(1.0, ge=0, le=1)
    seed: int = Field(0, description="Of the generator that the probability uses: the same seed, the same faults.")
    seconds: float = Field(30.0, ge=0)
    linger: float = Field(0.0, ge=0)
    status: int = Field(500, ge=400, le=599)
    code: int = 1000003
    message: str = Field(
        "System exception",
        description="{sent} in it, or in `body`, is what the request carried: its Authorization, and its body.",
    )
    body: str | None = Field(None, description="The answer's whole body, instead of an ErrorInformation envelope.")


@dataclass(slots=True)
class Fault:
    """A rule at work."""

    id: int
    rule: Rule
    seen: int = 0
    hits: int = 0
    _path: re.Pattern[str] = field(init=False)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self._path = path_pattern(self.rule.path)
        self._random = Random(self.rule.seed)

    def fires(self, method: str, path: str, tenant: int | None) -> bool:
        """Whether it strikes this request; counts what it has seen."""
        rule = self.rule
        if rule.method is not None and rule.method.upper() != method:
            return False
        if rule.tenant is not None and rule.tenant != tenant:
            return False
        if not self._path.fullmatch(path):
            return False
        self.seen += 1
        if rule.times is not None and self.hits >= rule.times:
            return False
        if self.seen <= rule.after or (self.seen - rule.after) % rule.every:
            return False
        if rule.probability < 1 and self._random.random() >= rule.probability:
            return False
        self.hits += 1
        return True

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "seen": self.seen, "hits": self.hits, **self.rule.model_dump(mode="json")}


class Faults:
    """The rules in force, in the order in which they were made."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._made = 0

    def add(self, rule: Rule) -> Fault:
        self._made += 1
        fault = self._faults[self._made] = Fault(self._made, rule)
        return fault

    def remove(self, id_: int) -> bool:
        return self._faults.pop(id_, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def all(self) -> list[Fault]:
        return list(self._faults.values())

    def strike(self, method: str, path: str, tenant: int | None) -> Fault | None:
        """The fault that hits this request, if any."""
        if not self._faults:
            return None
        return next((fault for fault in self._faults.values() if fault.fires(method, path, tenant)), None)


def path_pattern(glob: str) -> re.Pattern[str]:
    """`*` within a segment, `**` over segments."""
    parts = re.findall(r"\*\*|\*|[^*]+", glob)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts))
