"""A short run of the renewals, on each database. The long ones are `make renewals`; docs/reliability.md has their
figures."""

import json
import subprocess
import sys

import pytest

from avtalsmotor.children import bound_to_parent

RUN = ["-m", "tests.chaos.renewals", "--times", "25", "--kills", "5"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_processes_that_renew_at_once_and_are_killed_lose_no_consent_but_one_that_nobody_can_keep(
    database: str,
) -> None:
    asked = bound_to_parent([sys.executable, *RUN, "--ledger", database])
    ended = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    assert told["lost"] == {"before_answer": 1, "after_token": 1}
    assert told["met"] > 0
