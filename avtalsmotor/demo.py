"""The night of a bureau, from nothing, on this machine: a sandbox Fortnox, all roles, and the sandbox's own verdict.

It talks to the sandbox as the product talks to Fortnox, and sets up the companies as `tenants add` would. It never
touches anything but its own temporary folder and its own processes.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import redis.asyncio
from pydantic import SecretStr
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from avtalsmotor.embedded import EmbeddedServer, free_port
from avtalsmotor.processes import ROLES, Processes, StartFailed
from avtalsmotor.progress import Progress, needing_a_person, read_progress
from avtalsmotor.up import prepare_ledger, stop_on_signals
from common import logs
from common.clock import STOCKHOLM
from common.fortnox.governor import Governor, governor_redis
from common.ids import ContractNumber, TenantId
from common.ledger import policies, tenants
from common.ledger.database import Ledger, open_ledger
from common.ledger.records import Billing
from common.queue.connections import connect_async
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason, explain
from common.rules.states import Status, Step
from common.settings import Settings

BY = "demo"
START_WITHIN = 60.0
NIGHT_WITHIN = 240.0
LOOK_EVERY = 0.4
FINANCE_OPENS_AFTER = 8
"""Seconds in which the sandbox' Fakturatjänster takes an invoice; the real one takes minutes to hours."""

STEP_IN_WORDS = {Step.CREATE: "invoicing", Step.BOOKKEEP: "bookkeeping", Step.DELIVER: "delivery"}

INTERRUPTED = 130
"""The exit status of a command that Ctrl-C has ended."""

WRONG = (
    "doubled", "overlapping", "missing", "unexpected", "wrong_amount", "wrong_date", "wrong_booking", "wrong_delivery",
)  # fmt: skip
"""The ways to differ from the sandbox's story (sandbox/summary.py)."""

SHOWN_AT_MOST = 20

SAY_EVERY = 5.0
"""Seconds between two lines where the output is not a terminal."""


def demo(seed: int = 1, companies: int = 12, data_dir: Path | None = None) -> int:
    """Plays the night and says what happened. Returns 0 only if the sandbox finds everything as its story expects.

    Parameters:
      seed: the number that the sandbox's world grows from.
      data_dir: where ledger and logs are kept; `None`: a temporary folder that is removed at the end.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    logs.configure(Settings(log_level="warning"), "demo")
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        home = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avtalsmotor-demo-")))
        home.mkdir(parents=True, exist_ok=True)
        return _Night(console, stop, home, seed, companies).play()


class _Night:
    def __init__(self, console: Console, stop: threading.Event, home: Path, seed: int, companies: int) -> None:
        self._console = console
        self._stop = stop
        self._home = home
        self._seed = seed
        self._companies = companies

    def play(self) -> int:
        fortnox = Processes({}, self._home / "logs")
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        evening = _first_of_next_month(datetime.now(STOCKHOLM).date())
        fortnox.start(
            "sandbox",
            (
                "sandbox", "--port", str(port), "--seed", str(self._seed), "--companies", str(self._companies),
                "--at", f"{evening} 06:00",
            ),
        )  # fmt: skip
        try:
            shift = self._wait_for_sandbox(url, fortnox)
            _ask("PATCH", f"{url}/_sandbox/behaviour", {"finance_delay": FINANCE_OPENS_AFTER})
            story: Sequence[Mapping[str, Any]] = _ask("GET", f"{url}/_sandbox/wishes")["companies"]
            self._introduce(story, evening)
            with EmbeddedServer(self._home) as server:
                settings = Settings(
                    fortnox_client_id="sandbox-client",
                    fortnox_client_secret=SecretStr("sandbox-secret"),
                    fortnox_api_url=url,
                    fortnox_auth_url=f"{url}/oauth-v1",
                    database_url=None,
                    data_dir=self._home,
                    clock_shift=shift,
                )
                return self._with_roles(settings, server.url, url, story)
        finally:
            fortnox.stop(within=2.0)

    def _with_roles(self, settings: Settings, redis_url: str, url: str, story: Sequence[Mapping[str, Any]]) -> int:
        asyncio.run(prepare_ledger(settings, redis_url))
        asyncio.run(_add_companies(settings, redis_url, story))
        roles = Processes(_environment(settings, redis_url), self._home / "logs")
        started = time.monotonic()
        try:
            for role, command in ROLES.items():
                roles.start(role, command)
            quiet = asyncio.run(self._watch(settings, redis_url, roles, started))
            if self._stop.is_set():
                self._console.print("Stopped in the middle of the night; nothing is kept of it.")
                return INTERRUPTED
            verdict: Mapping[str, Any] = _ask("GET", f"{url}/_sandbox/summary")
            asyncio.run(self._sum_up(settings, redis_url, verdict, time.monotonic() - started))
            if quiet and sys.stdout.isatty() and not self._stop.is_set():
                self._console.print(
                    f"The sandbox Fortnox is still at {url} (its books: {url}/_sandbox/state). Ctrl-C ends the demo."
                )
                while not self._stop.wait(0.5):
                    roles.tend()
            return 0 if quiet and verdict["clean"] else 1
        finally:
            # Nothing of this night is kept, so nobody need wait for what is in hand.
            roles.stop(within=2.0)

    def _introduce(self, story: Sequence[Mapping[str, Any]], evening: date) -> None:
        self._console.print(f"[bold]{len(story)} companies, the morning of {evening}[/bold]")
        for company in story:
            self._console.print(f"  {company['name']}: {company['about']}", markup=False)
        self._console.print()

    def _wait_for_sandbox(self, url: str, fortnox: Processes) -> float:
        """Seconds by which the sandbox's clock is ahead of ours."""
        deadline = time.monotonic() + START_WITHIN
        while True:
            try:
                return float(_ask("GET", f"{url}/_sandbox/clock")["ahead"])
            except (urllib.error.URLError, ConnectionError) as error:
                fortnox.tend()
                if time.monotonic() > deadline or fortnox.died_at_start():
                    raise StartFailed(
                        f"The sandbox did not start ({error}). Its log is {self._home / 'logs' / 'sandbox.log'}:"
                        " see what it says, and run the demo again."
                    ) from error
                time.sleep(0.05)

    async def _watch(self, settings: Settings, redis_url: str, roles: Processes, started: float) -> bool:
        """Shows the progress until nothing is left that goes on by itself. False: interrupted, or not within the
        time."""
        async with _parts(settings, redis_url) as (ledger, client):
            with _Display(self._console) as display:
                quiet_before = False
                while not self._stop.is_set():
                    roles.tend()
                    progress = await read_progress(ledger, client)
                    display.show(progress, time.monotonic() - started)
                    if progress.is_quiet and quiet_before:
                        return True
                    if time.monotonic() - started > NIGHT_WITHIN:
                        return False
                    quiet_before = progress.is_quiet
                    await asyncio.sleep(LOOK_EVERY)
        return False

    async def _sum_up(self, settings: Settings, redis_url: str, verdict: Mapping[str, Any], seconds: float) -> None:
        async with _parts(settings, redis_url) as (ledger, client):
            progress = await read_progress(ledger, client)
            self._console.print(_table(progress))
            await _tell_what_waits(self._console, ledger, progress)
            self._console.print(
                f"\n{progress.total('created')} invoices created, {progress.total('bookkept')} bookkept and"
                f" {progress.total('delivered')} delivered in {seconds:.0f} s."
            )
            _tell_verdict(self._console, verdict)


class _Display:
    """The progress: a table that changes in place on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._said_at = 0.0

    def __enter__(self) -> "_Display":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress, seconds: float) -> None:
        if self._live is not None:
            self._live.update(Group(_table(progress), Text(_queues(progress))))
        elif seconds - self._said_at >= SAY_EVERY or self._said_at == 0.0:
            self._said_at = seconds
            figures = ", ".join(
                f"{progress.total(figure)} {figure}"
                for figure in ("due", "created", "bookkept", "delivered", "held", "parked")
            )
            self._console.print(f"{seconds:4.0f} s  {figures}; {_queues(progress)}", soft_wrap=True)


def _table(progress: Progress) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("company", no_wrap=True, min_width=34)
    for figure in _FIGURES:
        table.add_column(figure.replace("_", " "), justify="right")
    for company in sorted(progress.companies, key=lambda one: -one.due):
        table.add_row(company.name, *(_figure(getattr(company, figure)) for figure in _FIGURES))
    table.add_row("all", *(str(progress.total(figure)) for figure in _FIGURES), style="bold")
    return table


_FIGURES = ("due", "created", "bookkept", "delivered", "under_way", "waiting", "held", "parked")


def _figure(number: int) -> str:
    return str(number) if number else "·"


def _queues(progress: Progress) -> str:
    return "queues (waiting + in hand): " + ", ".join(
        f"{depth.queue} {depth.ready}+{depth.in_flight}" for depth in progress.queues
    )


async def _tell_what_waits(console: Console, ledger: Ledger, progress: Progress) -> None:
    waiting = await needing_a_person(ledger)
    if not waiting and not any(company.blocks for company in progress.companies):
        return
    console.print("\n[bold]What needs a person[/bold]")
    for company in progress.companies:
        for block in company.blocks:
            facts = {name: fact for name, fact in block.detail.items() if name != "x_uid"}
            stopped = STEP_IN_WORDS[block.step] if block.step else "everything"
            console.print(f"  {company.name}, {stopped} stopped: {explain(block.reason, **facts)}", markup=False)
        blocked = {block.reason for block in company.blocks}
        alike: dict[tuple[Status, Reason], list[Billing]] = defaultdict(list)
        for billing in waiting.get(company.tenant, ()):
            if billing.reason is not None and billing.reason not in blocked:
                alike[billing.status, billing.reason].append(billing)
        for (status, reason), found in alike.items():
            contracts = ", ".join(str(billing.contract) for billing in found)
            facts = dict(found[0].detail) if len(found) == 1 else {}
            facts.pop("x_uid", None)
            plural = "s" if len(found) > 1 else ""
            sentence = explain(reason, **facts)
            console.print(f"  {company.name}, contract{plural} {contracts}, {status.value}: {sentence}", markup=False)


def _tell_verdict(console: Console, verdict: Mapping[str, Any]) -> None:
    if verdict["clean"]:
        counts = verdict["counts"]
        console.print(
            "[bold green]The sandbox agrees:[/bold green] exactly one invoice for each of the"
            f" {counts['created']} periods that its story expects one for, and none besides."
        )
        return
    console.print("[bold red]The sandbox does not agree:[/bold red]")
    wrong = [(kind, entry) for kind in WRONG for entry in verdict[kind]]
    for kind, entry in wrong[:SHOWN_AT_MOST]:
        console.print(f"  {kind}: {json.dumps(entry, ensure_ascii=False)}", markup=False)
    if len(wrong) > SHOWN_AT_MOST:
        console.print(f"  and {len(wrong) - SHOWN_AT_MOST} more")


async def _add_companies(settings: Settings, redis_url: str, story: Sequence[Mapping[str, Any]]) -> None:
    """Does for every company of the story what its user would do: `tenants add ... --live`, with its own choices."""
    async with governor_redis(redis_url) as slots:
        # The sandbox is as new as the Valkey: no request of an earlier life can be in its window.
        await Governor(slots, settings.fortnox_client_id).vouch()
    async with _ledger(settings) as ledger:
        for company in story:
            tenant = TenantId(int(company["tenant_id"]))
            await tenants.add(ledger, tenant, str(company["name"]), BY)
            await policies.change(ledger, "tenant", PolicyChoice.model_validate(company["wishes"]), BY, tenant=tenant)
            for contract, wishes in company["contracts"].items():
                await policies.change(
                    ledger,
                    "contract",
                    PolicyChoice.model_validate(wishes),
                    BY,
                    tenant=tenant,
                    contract=ContractNumber(int(contract)),
                )


@contextlib.asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[Ledger]:
    ledger = await open_ledger(None, settings.data_dir, settings.clock)
    try:
        yield ledger
    finally:
        await ledger.close()


@contextlib.asynccontextmanager
async def _parts(settings: Settings, redis_url: str) -> AsyncIterator[tuple[Ledger, redis.asyncio.Redis]]:
    async with _ledger(settings) as ledger:
        client = connect_async(redis_url)
        try:
            yield ledger, client
        finally:
            await client.aclose()


def _environment(settings: Settings, redis_url: str) -> Mapping[str, str]:
    return {
        "AVTALSMOTOR_FORTNOX_CLIENT_ID": settings.fortnox_client_id,
        "AVTALSMOTOR_FORTNOX_CLIENT_SECRET": settings.fortnox_client_secret.get_secret_value(),
        "AVTALSMOTOR_FORTNOX_API_URL": settings.fortnox_api_url,
        "AVTALSMOTOR_FORTNOX_AUTH_URL": settings.fortnox_auth_url,
        "AVTALSMOTOR_REDIS_URL": redis_url,
        "AVTALSMOTOR_DATA_DIR": str(settings.data_dir.absolute()),
        "AVTALSMOTOR_CLOCK_SHIFT": repr(settings.clock_shift),
        "AVTALSMOTOR_DATABASE_URL": "",
        # A proof would read, for nobody, what is just being made and measured.
        "AVTALSMOTOR_RECONCILE_FROM": "23:59:59",
        "AVTALSMOTOR_PREFLIGHT_FROM": "23:59:59",
    }


def _first_of_next_month(today: date) -> date:
    return date(today.year + today.month // 12, today.month % 12 + 1, 1)


def _ask(method: str, url: str, body: Mapping[str, object] | None = None) -> Any:
    content = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(  # noqa: S310 - our own sandbox on the loopback
        url, content, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)
