"""What a bench says: figures with the machine and the day they were taken on, as JSON and as a short table.

The arithmetic that turns a log into figures is here too, and is pure.
"""

import json
import math
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.requests import Request

OUT = Path(__file__).parent / "out"

LIMIT = 25
WINDOW = 5.0
"""Seconds: what Fortnox allows (API notes 6)."""

Figure = int | float | str | bool | None
Figures = Mapping[str, Figure | Mapping[str, Figure]]
"""Named figures; those that belong together share a name."""


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def spread(seconds: Sequence[float]) -> dict[str, Figure]:
    """A distribution of times in a few figures, in milliseconds."""
    shown = {"p50": quantile(seconds, 0.5), "p90": quantile(seconds, 0.9), "p99": quantile(seconds, 0.99)}
    return {
        "n": len(seconds),
        **{f"{name}_ms": round(value * 1000, 1) for name, value in shown.items()},
        "max_ms": round(max(seconds) * 1000, 1),
    }


def floor(requests: int) -> float:
    """The seconds from the first of so many requests to the last, at the fastest that Fortnox allows."""
    return max(requests - 1, 0) // LIMIT * WINDOW


def spans(requests: Sequence[Request]) -> list[float]:
    """The seconds from each request to the one 25 after it: below 5 of them, the later one was one too many."""
    arrived = sorted(request.arrived for request in requests)
    return [later - earlier for earlier, later in zip(arrived, arrived[LIMIT:], strict=False)]


def by_kind(requests: Sequence[Request]) -> dict[str, int]:
    """How many there were of each kind, the most frequent first."""
    return dict(Counter(request.kind for request in requests).most_common())


def write(name: str, options: Mapping[str, object], figures: Figures) -> Path:
    """Writes the figures of one run, over those of the one before."""
    document = {
        "bench": name,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "options": {key: str(value) if isinstance(value, Path) else value for key, value in options.items()},
        "figures": figures,
    }
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def show(figures: Figures) -> None:
    """Prints the figures, one name a line."""
    width = max(map(len, figures))
    for name, value in figures.items():
        told = "  ".join(f"{key} {_text(one)}" for key, one in value.items()) if isinstance(value, Mapping) else None
        print(f"  {name.replace('_', ' '):<{width}}  {_text(value) if not isinstance(value, Mapping) else told}")


def _text(value: Figure) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str:
    """The commit that was measured, with a `+` when the working copy differs from it."""
    asked = ("git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*")
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True, cwd=OUT.parent).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
