"""Prints the stops of companies, for a person or as JSON."""

from collections.abc import Sequence

from avtalsmotor.cli.printing import minute, say
from common.matters.stops import Stop


def print_stops(stops: Sequence[Stop]) -> None:
    """Two lines for each stop: what and why, and what to do."""
    for stop in stops:
        say(f"{stop.step} stopped since {minute(stop.block.since)}: {stop.why}")
        say(f"  {stop.cure}")


def as_dict(stop: Stop) -> dict[str, object]:
    """A stop as JSON shows it."""
    block = stop.block
    return {
        "tenant": block.tenant,
        "step": block.step,
        "reason": block.reason,
        "why": stop.why,
        "cure": stop.cure,
        "retry": stop.retry,
        "since": block.since,
        "tried_first": block.probe,
    }
