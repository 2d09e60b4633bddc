"""The commands as processes of their own: those that run until they are stopped, and one with no server beside it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET


@contextmanager
def running(*words: str, environment: Mapping[str, str] | None = None) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, "-m", "avtalsmotor", *words],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture
def sandbox_url() -> Iterator[str]:
    words = ("sandbox", "--port", "0", "--seed", "3", "--companies", "2", "--at", "2026-12-01 08:00")
    with running(*words) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        found = re.search(r"http://\S+?(?=,|\s)", ready)
        assert found is not None, ready
        yield found[0]


def typed(words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    with running(*words, environment=environment) as process:
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own sandbox
        return json.load(answer)


def test_a_company_is_added_and_planned_with_nothing_of_ours_running(sandbox_url: str, tmp_path: Path) -> None:
    clock = get(f"{sandbox_url}/_sandbox/clock")
    assert isinstance(clock, dict)
    assert clock["now"].startswith("2026-12-01T08:00")
    state = get(f"{sandbox_url}/_sandbox/state")
    assert isinstance(state, dict)
    company = next(iter(state["companies"].values()))
    environment = {
        "AVTALSMOTOR_FORTNOX_API_URL": sandbox_url,
        "AVTALSMOTOR_FORTNOX_AUTH_URL": f"{sandbox_url}/oauth-v1",
        "AVTALSMOTOR_FORTNOX_CLIENT_ID": DEFAULT_CLIENT_ID,
        "AVTALSMOTOR_FORTNOX_CLIENT_SECRET": DEFAULT_CLIENT_SECRET,
        "AVTALSMOTOR_DATA_DIR": str(tmp_path),
        "AVTALSMOTOR_RATE_WINDOW": "0.5",
    }
    added = typed(("tenants", "add", "--tenant-id", str(company["tenant"]), "--live"), environment)
    assert (added.returncode, added.stderr) == (0, "")
    assert company["name"] in added.stdout
    planned = typed(("plan", "--json", "--date", "2026-12-01"), environment)
    assert (planned.returncode, planned.stderr) == (0, "")
    assert {item["outcome"] for item in json.loads(planned.stdout)} >= {"bill", "none"}


def test_a_sandbox_ends_cleanly_when_it_is_told_to() -> None:
    with running("sandbox", "--port", "0", "--companies", "1") as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
