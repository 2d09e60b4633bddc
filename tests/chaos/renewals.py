"""Processes that renew one company's refresh token at once, and are killed while they do.

`python -m tests.chaos.renewals --times 1000 --kills 100 --ledger sqlite`: a summary as JSON last on standard output;
the exit status says whether every count is as it must be. Everything is real and a process of its own. While nobody is
killed, half of the processes have another Redis than the other half, as if they had lost the one that they shared:
between the halves is the ledger alone. The sandbox ends a consent when a used refresh token is shown again.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import structlog
from redis.asyncio import Redis

from avtalsmotor.children import bound_to_parent
from avtalsmotor.consenting import SCOPES, address
from avtalsmotor.embedded import EmbeddedServer
from common.consents import Consents, purpose
from common.fortnox.client import Fortnox
from common.fortnox.governor import governor_redis
from common.ids import TenantId
from common.ledger import audit, consents, tenants
from common.ledger.database import Ledger, open_ledger
from common.seals import Seals
from tests.chaos.points import Arms
from tests.chaos.renewal_points import AFTER_TOKEN, POINTS, STEP
from tests.chaos.renewer import SHORT
from tests.chaos.stage import Database, Stage, set_up

log = structlog.get_logger()

STRUCK, OTHER = TenantId(4711), TenantId(4712)
"""The company whose renewals are struck, and one beside it."""

BEFORE_ANSWER = "before_answer"
"""Fortnox has renewed; its answer is on the way."""

LOSE = frozenset({BEFORE_ANSWER, AFTER_TOKEN})
"""Where a kill costs the consent: the new token was in the dead process alone, or nowhere."""

BEHAVIOUR = {"reused_refresh_ends": True, "latency": 0.005, "limit": 1_000_000, "token_life": 3600}

_ANSWERS_WITHIN = 60.0


@dataclass
class Summary:
    """What a run came to.

    Parameters:
      renewals: that Fortnox has answered.
      met: rounds in which both halves have renewed, one after the other.
      refused: refresh tokens that Fortnox did not take; one for each consent that a kill cost.
      failed: answers of living processes that were not as they should be.
      kills: by point; `lost`: those that cost the consent.
      other_company: what happened to the company that nobody struck.
    """

    ledger: str
    processes: int
    times: int = 0
    renewals: int = 0
    met: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    reconnected: int = 0
    other_company: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def went_well(self) -> bool:
        """Whether nothing was lost but where it must be, and told there."""
        lost = sum(self.lost.values())
        expected = Counter({point: number for point, number in self.kills.items() if point in LOSE})
        nobody_else = not self.failed and not self.other_company
        return nobody_else and self.lost == expected and self.refused == self.reconnected == lost


class Renewer:
    """A process that renews; started anew when it has been killed."""

    def __init__(self, stage: Stage, redis_url: str, number: int, *, short: bool) -> None:
        self._environment = {
            **stage.surroundings,
            "AVTALSMOTOR_REDIS_URL": redis_url,
            "AVTALSMOTOR_RATE_WINDOW": "0.05",
            SHORT: "yes" if short else "",
        }
        self._log = stage.home / f"renewer-{number}.log"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it, if it does not run."""
        if self.process is not None and self.process.returncode is None:
            return
        with self._log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *bound_to_parent([sys.executable, "-m", "tests.chaos.renewer"]),
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
            )

    async def told(self, tenant: TenantId) -> str | None:
        """Lets it ask for the company; why it could not. A dead one says nothing."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{tenant}\n".encode())
        async with asyncio.timeout(_ANSWERS_WITHIN):
            line = await self.process.stdout.readline()
            if not line:
                await self.process.wait()
                return "dead"
        answer: str | None = json.loads(line)
        return answer

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class Run:
    """One run on a stage that is set up."""

    def __init__(self, stage: Stage, ledger: Ledger, renewers: Sequence[Renewer], summary: Summary) -> None:
        self._stage = stage
        self._ledger = ledger
        self._renewers = renewers
        self._arms = Arms(stage.home / "arms")
        self._summary = summary

    async def take_on_companies(self) -> None:
        """Both companies, each connected by a person."""
        for tenant in (STRUCK, OTHER):
            await self._stage.sandbox.control("POST", "companies", {"tenant": tenant, "consented": False})
            await tenants.add(self._ledger, tenant, f"Company {tenant}", "chaos")
            await self._connect(tenant)

    async def renew_at_once(self, times: int) -> None:
        """All processes at once, so many times."""
        for number in range(times):
            await self._end_access_tokens(STRUCK)
            for answer in await self._all_told(STRUCK):
                if answer is not None:
                    self._summary.failed.append(f"round {number}: {answer}")
            self._summary.times += 1
            self._summary.met += await self._count() > 1
            if await self._has_ended(STRUCK):
                self._summary.failed.append(f"round {number}: the consent has ended")
                return
            if number % 100 == 99:
                log.info("renewed", times=number + 1)

    async def kill_at(self, point: str) -> None:
        """Kills one process at the point, while all renew; then brings everything in order again."""
        await self._end_access_tokens(STRUCK)
        await (self._killed_before_the_answer() if point == BEFORE_ANSWER else self._killed_at(point))
        self._summary.kills[point] += 1
        for renewer in self._renewers:
            await renewer.start()
        await self._all_told(STRUCK)
        if await self._has_ended(STRUCK):
            self._summary.lost[point] += 1
            await self._is_told_why()
            await self._connect(STRUCK)
            self._summary.reconnected += 1
        for tenant, wrong in ((STRUCK, self._summary.failed), (OTHER, self._summary.other_company)):
            await self._end_access_tokens(tenant)
            wrong += [f"after {point}: {answer}" for answer in await self._all_told(tenant) if answer is not None]
        if await self._has_ended(OTHER):
            self._summary.other_company.append(f"after {point}: its consent has ended")
        await self._count()
        log.info("killed", point=point, lost=self._summary.lost[point])

    async def _killed_at(self, point: str) -> None:
        self._arms.arm("kill", point, STEP)
        answers = await self._all_told(STRUCK)
        if self._arms.disarm("kill", point, STEP) or answers.count("dead") != 1:
            self._summary.failed.append(f"not killed at {point}: {answers}")

    async def _killed_before_the_answer(self) -> None:
        first, *others = self._renewers
        fault = {"kind": "hang_after", "path": "/oauth-v1/token", "tenant": STRUCK, "times": 1}
        made = await self._stage.sandbox.control("POST", "faults", fault)
        asking = asyncio.create_task(first.told(STRUCK))
        async with asyncio.timeout(_ANSWERS_WITHIN):
            # It comes about in another process.
            while not (await self._stage.sandbox.control("GET", "faults"))["faults"][0]["hits"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        first.kill()
        await asyncio.gather(asking, *(one.told(STRUCK) for one in others))
        await self._stage.sandbox.control("DELETE", f"faults/{made['id']}")

    async def _is_told_why(self) -> None:
        consent = await consents.get(self._ledger, STRUCK)
        assert consent is not None
        if "when the answer to a renewal was lost" not in (consent.ended_because or ""):
            self._summary.failed.append(f"not told why: {consent.ended_because}")
        ended = [one for one in await audit.entries(self._ledger, tenant=STRUCK) if one.action == "consent_ended"]
        if len(ended) != self._summary.reconnected + 1:
            self._summary.failed.append(f"{len(ended)} ends of the consent in the audit")

    async def _all_told(self, tenant: TenantId) -> Sequence[str | None]:
        return await asyncio.gather(*(renewer.told(tenant) for renewer in self._renewers))

    async def _end_access_tokens(self, tenant: TenantId) -> None:
        await self._stage.sandbox.control("POST", f"companies/{tenant}/revoke")

    async def _count(self) -> int:
        """Counts what Fortnox has been asked since the last time; how many renewals it has answered."""
        found = await self._stage.sandbox.control("GET", "requests?grant=refresh_token")
        await self._stage.sandbox.control("DELETE", "requests")
        answered = Counter(one["status"] for one in found["requests"])
        self._summary.renewals += answered[200]
        self._summary.refused += answered[400]
        return answered[200]

    async def _has_ended(self, tenant: TenantId) -> bool:
        consent = await consents.get(self._ledger, tenant)
        return consent is None or consent.ended_at is not None

    async def _connect(self, tenant: TenantId) -> None:
        """A person consents, and the refresh token is kept."""
        settings = self._stage.settings
        asked = {"url": address(settings, "state", SCOPES, service=False)}
        answer = await self._stage.sandbox.control("POST", f"companies/{tenant}/consent", asked)
        code = dict(parse_qsl(urlsplit(answer["redirect"]).query))["code"]
        async with _redis(self._stage.redis_url) as redis:
            fortnox = await Fortnox.open(settings, redis, Consents(self._ledger, settings))
            try:
                granted = await fortnox.tokens.by_code(code, settings.fortnox_redirect_uri)
            finally:
                await fortnox.close()
        assert granted.refresh_token is not None
        sealed = Seals.read(settings).seal(granted.refresh_token, purpose(tenant))
        await consents.put(self._ledger, tenant, "user", granted.scopes, sealed, "chaos")


async def run(home: Path, *, database: Database, times: int, kills: int, processes: int) -> Summary:
    """Renews so many times by all processes at once, and kills so many of them, at each point in turn."""
    summary = Summary(database, processes)
    began = time.monotonic()
    async with set_up(home, database, "scaled") as stage:
        settings = stage.settings
        # A ledger on a server has no key but one that a person has made.
        Seals.read(settings.model_copy(update={"database_url": None}))
        await stage.sandbox.control("PATCH", "behaviour", BEHAVIOUR)
        ledger = await open_ledger(settings.ledger_url, settings.data_dir, settings.clock)
        try:
            async with _renewing(stage, ledger, summary, short=False) as one:
                await one.take_on_companies()
                await one.renew_at_once(times)
            async with _renewing(stage, ledger, summary, short=True) as one:
                for _, point in zip(range(kills), itertools.cycle((BEFORE_ANSWER, *POINTS)), strict=False):
                    await one.kill_at(point)
        finally:
            await ledger.close()
    summary.seconds = round(time.monotonic() - began, 1)
    return summary


@contextlib.asynccontextmanager
async def _renewing(stage: Stage, ledger: Ledger, summary: Summary, *, short: bool) -> AsyncIterator[Run]:
    """Parameters:
    short: with short times, and one Redis for all; else with two."""
    with EmbeddedServer(stage.home / "other-redis") as other:
        servers = (stage.redis_url, stage.redis_url if short else other.url)
        renewers = [Renewer(stage, servers[number % 2], number, short=short) for number in range(summary.processes)]
        try:
            for renewer in renewers:
                await renewer.start()
            yield Run(stage, ledger, renewers, summary)
        finally:
            for renewer in renewers:
                await renewer.stop()


@contextlib.asynccontextmanager
async def _redis(url: str) -> AsyncIterator[Redis]:
    redis = governor_redis(url)
    try:
        yield redis
    finally:
        await redis.aclose()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs once; 0 when all is well, 1 when a count is off."""
    parser = argparse.ArgumentParser(prog="renewals", description="Refresh tokens, renewed by several at once.")
    parser.add_argument("--times", type=int, default=1000, help="renewals by all processes at once")
    parser.add_argument("--kills", type=int, default=100, help="processes killed, at each point in turn")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite")
    asked = parser.parse_args(argv)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="avtalsmotor-renewals-") as home:
        summary = asyncio.run(
            run(Path(home), database=asked.ledger, times=asked.times, kills=asked.kills, processes=asked.processes)
        )
    print(json.dumps({**vars(summary), "went_well": summary.went_well}, indent=2))  # noqa: T201 - what it is for
    return 0 if summary.went_well else 1


if __name__ == "__main__":
    sys.exit(main())
