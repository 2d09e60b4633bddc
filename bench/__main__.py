"""`python -m bench` runs every bench, `python -m bench NAME [OPTIONS]` one; figures go to bench/out/NAME.json."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from bench import cpu, growth, latency, one_tenant, planning, runs, scaling, small_behind_large
from bench.failure import BenchFailed
from bench.figures import Figures, show, write
from common import logs
from common.settings import Settings


class Bench(Protocol):
    """What a module in this folder offers to be a bench."""

    __doc__: str | None

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declares the bench's own options, each with a default that keeps it under three minutes."""

    async def run(self, options: argparse.Namespace) -> Figures:
        """Runs it once. Raises BenchFailed when there is nothing to measure."""


BENCHES: Mapping[str, Bench] = {
    "latency": latency,
    "one_tenant": one_tenant,
    "small_behind_large": small_behind_large,
    "cpu": cpu,
    "scaling": scaling,
    "growth": growth,
    "planning": planning,
    "runs": runs,
}


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 1 when a bench could not be run to its end."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="bench", metavar="BENCH")
    own = {name: commands.add_parser(name, help=_first_line(bench)) for name, bench in BENCHES.items()}
    for name, command in own.items():
        BENCHES[name].add_options(command)
    asked = parser.parse_args(arguments)
    logs.configure(Settings(log_level="warning"), "bench")
    if asked.bench is not None:
        return _run(asked.bench, asked)
    return max([_run(name, command.parse_args([])) for name, command in own.items()])


def _run(name: str, options: argparse.Namespace) -> int:
    print(f"{name}: {_first_line(BENCHES[name])}", flush=True)
    try:
        figures = asyncio.run(BENCHES[name].run(options))
    except BenchFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    told = {key: value for key, value in vars(options).items() if key != "bench"}
    path = write(name, told, figures)
    show(figures)
    print(f"  -> {path}\n", flush=True)
    return 0


def _first_line(bench: Bench) -> str:
    return (bench.__doc__ or "").splitlines()[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
