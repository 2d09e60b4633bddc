"""What holds for every test: no test is skipped unless tests/SKIPS.md gives the reason, and none leaves its logging.

What tests write is kept in memory where that can be had: thousands of ledgers are made and thrown away, and a disk that
is busy with them stands still for longer than the product's leases last.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.compiled import share_compiled_statements

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - what mkdtemp makes there is as private as elsewhere
_ROOM = 4 * 2**30
"""Bytes that a whole run may need at the most, with room to spare."""

_LISTED = (Path(__file__).parent / "SKIPS.md").read_text(encoding="utf-8")


class SkipsAreListed:
    """Collects the skipped tests, and fails the session for those that nobody has given a reason for."""

    def __init__(self) -> None:
        self._unlisted: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = report.nodeid.split("[")[0]
        if report.skipped and not hasattr(report, "wasxfail") and f"`{test}`" not in _LISTED:
            self._unlisted.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self._unlisted:
            terminalreporter.write_line(f"skipped, and not listed in tests/SKIPS.md: {test}", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-pair",
        action="store_true",
        help="every scenario on each ledger with each answer to createinvoice: four tests of it instead of two",
    )


def pytest_configure(config: pytest.Config) -> None:
    share_compiled_statements()
    _keep_files_in_memory()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipsAreListed(), "skips-are-listed")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a command configures the logging of the whole process; the next one must not feel it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("dramatiq", "aiohttp.access")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def _keep_files_in_memory() -> None:
    """Where nobody has said otherwise, there is room, and programs may be run from there."""
    if "TMPDIR" in os.environ or not os.access(_IN_MEMORY, os.W_OK):
        return
    there = os.statvfs(_IN_MEMORY)
    if there.f_bavail * there.f_frsize >= _ROOM and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(_IN_MEMORY)
        tempfile.tempdir = None
