"""`python -m tests.chaos --seed 7 --faults 1000 --ledger sqlite`: one run, its summary as JSON last on standard output.

The exit status says whether every count is as it must be.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from tests.chaos.night import run
from tests.chaos.summary import Run
from tests.chaos.times import TIMES


def main(argv: Sequence[str] | None = None) -> int:
    """Runs once; 0 when all is well, 1 when a count is off."""
    parser = argparse.ArgumentParser(prog="chaos", description="Faults against the whole product, and a verdict.")
    parser.add_argument("--seed", type=int, default=7, help="the same seed deals the same faults")
    parser.add_argument("--faults", type=int, default=1000, help="hits to be reached")
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--companies", type=int, default=24)
    parser.add_argument("--only", action="append", metavar="KIND", help="strike with these kinds only")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep ledger and logs here")
    parser.add_argument("--times", choices=TIMES, default="scaled", help="of leases, calls and looks")
    parser.add_argument("--in-turn", action="store_true", help="a lane strikes again when what it struck goes on")
    parser.add_argument("--longest", type=float, metavar="SECONDS", help="strike no longer than this")
    asked = parser.parse_args(argv)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    # Ended by the one as by the other: everything that was started is ended, too. A shell lets what it starts in the
    # background ignore the first.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with contextlib.ExitStack() as stack:
        home = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avtalsmotor-chaos-")))
        home.mkdir(parents=True, exist_ok=True)
        ended: Run = asyncio.run(
            run(
                home.absolute(),
                seed=asked.seed,
                faults=asked.faults,
                database=asked.ledger,
                companies=asked.companies,
                kinds=asked.only,
                longest=asked.longest,
                times=asked.times,
                in_turn=asked.in_turn,
            )
        )
    print(json.dumps(ended.as_json(), indent=2))  # noqa: T201 - what the command is for
    return 0 if ended.went_well else 1


if __name__ == "__main__":
    sys.exit(main())
