"""A short run of the chaos suite, on each database: a hit of each kind of a selection, and nothing wrong in the books.

The long runs are `make chaos`; what they came to is in docs/reliability.md.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from avtalsmotor.children import bound_to_parent

BOTH = [
    "kill_worker.after_called_at",
    "kill_worker.after_answer",
    "kill_producer",
    "freeze_worker.after_called_at",
    "answer_cut_after_acting.create",
    "answer_cut_after_acting.email",
    "acts_after_our_time_out.create",
    "500_after_acting",
    "redis_wiped",
    "messages_duplicated",
    "person_creates",
    "person_cancels",
]


RUN = ["-m", "tests.chaos", "--seed", "7", "--companies", "8", "--longest", "150"]


@pytest.mark.timeout(420)
@pytest.mark.parametrize(("database", "own"), [("sqlite", "database_locked"), ("postgresql", "database_restarted")])
def test_nothing_is_doubled_or_lost_while_everything_fails(database: str, own: str, tmp_path: Path) -> None:
    kinds = [*BOTH, own]
    only = [word for kind in kinds for word in ("--only", kind)]
    asked = ["--ledger", database, "--faults", str(len(kinds)), "--keep", str(tmp_path), *only]
    ended = subprocess.run(bound_to_parent([sys.executable, *RUN, *asked]), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
