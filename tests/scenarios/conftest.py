"""What every scenario runs on: both ledgers, and both things that Fortnox may answer a createinvoice with.

A scenario that uses `bureau` is two tests: which answer goes with which ledger alternates between scenarios, and
`make scenarios` runs all four. The edition of Fortnox' API goes with the answer: the older one is published with an
`Invoice`, the newer one with a `Contract` (API notes 0.1, 1.6).
"""

import logging
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from tests.bureau import Bureau, bureau_for
from tests.databases import database_url, databases, postgresql_url, sqlite_url
from tests.sandboxes import Sandbox, sandbox
from tests.valkeys import redis_url, valkey_server

__all__ = ["database_url", "databases", "postgresql_url", "redis_url", "sandbox", "sqlite_url", "valkey_server"]

EDITIONS = {"Invoice": "older", "Contract": "newer"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--every-pair"):
        left_out = [one for one in items if isinstance(one, pytest.Function) and not _is_its_pair(one)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [one for one in items if one not in left_out]


def _is_its_pair(scenario: pytest.Function) -> bool:
    """Whether the answer goes with the ledger in this scenario; one that asks for an answer itself has it with both."""
    chosen = any("wrapper" in mark.args[0] for mark in scenario.iter_markers("parametrize"))
    parameters = scenario.callspec.params if hasattr(scenario, "callspec") else {}
    if chosen or not {"wrapper", "database_url"} <= parameters.keys():
        return True
    newer_on_sqlite = zlib.crc32(scenario.originalname.encode()) % 2 == 0
    return (parameters["wrapper"] == "Contract") == (newer_on_sqlite == (parameters["database_url"] == "sqlite"))


@pytest.fixture(autouse=True)
def _no_line_for_every_request() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    yield
    structlog.reset_defaults()


@pytest.fixture(params=EDITIONS)
def wrapper(request: pytest.FixtureRequest, sandbox: Sandbox) -> str:
    """What createinvoice answers with."""
    wrapped = str(request.param)
    sandbox.world.behaviour.create_answer = wrapped  # type: ignore[assignment]
    sandbox.world.behaviour.edition = EDITIONS[wrapped]  # type: ignore[assignment]
    return wrapped


@pytest.fixture
async def bureau(
    sandbox: Sandbox, wrapper: str, database_url: str, redis_url: str, tmp_path: Path
) -> AsyncIterator[Bureau]:
    """A bureau at work on a morning of January 2026, with no company yet."""
    async with bureau_for(sandbox, redis_url, database_url, tmp_path) as running:
        running.at("2026-01-01 09:00")
        yield running
