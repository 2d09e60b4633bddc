"""The two databases that a ledger may lie on, for a bench: SQLite's file in its folder, or a PostgreSQL of its own.

The PostgreSQL is as a bureau would run it: every commit is on disk before it is confirmed.
"""

import argparse
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from bench.cpu_time import cpu_seconds, cpu_seconds_with_children
from bench.failure import BenchFailed
from tests.postgresql import DURABLE, Cluster

DATABASES = ("sqlite", "postgresql")


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ledger", choices=DATABASES, default="sqlite", help="what the ledger lies on (%(default)s)")


async def postgresql(stack: AsyncExitStack, instead: str) -> Cluster:
    """A running server, which ends with the stack.

    Parameters:
      instead: the option that does without.

    Raises:
      BenchFailed: there are no binaries of PostgreSQL.
    """
    try:
        cluster = stack.enter_context(Cluster(DURABLE))
    except SystemExit as missing:
        raise BenchFailed(f"{missing}. Or measure SQLite alone: {instead}") from None
    await cluster.start()
    return cluster


def cpu_of(cluster: Cluster) -> float:
    """The CPU seconds that the server has used by now: itself, its backends, and those that have ended."""
    return cpu_seconds_with_children(cluster.process) + sum(cpu_seconds(pid) for pid in _children(cluster.process))


def _children(pid: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[1]) == pid:
            yield int(stat.parent.name)
