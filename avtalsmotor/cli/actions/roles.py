"""The commands that run until they are stopped. Each role logs to stderr; none of them decides anything here."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import typer

from avtalsmotor.cli.failure import plainly
from avtalsmotor.cli.session import log_as, prepare_ledger, read_settings, redis_of_the_roles


def demo(seed: int, companies: int, data_dir: Path | None) -> int:
    from avtalsmotor import demo as night

    with plainly():
        # The demo has its own settings, but what stands in the environment must be readable.
        read_settings()
        return night.demo(seed=seed, companies=companies, data_dir=data_dir)


def up() -> int:
    from avtalsmotor.up import up as run_all

    with plainly():
        settings = read_settings()
        log_as(settings, "up")
        return run_all(settings)


def produce() -> None:
    from producers.run import produce as run_producer

    with plainly():
        settings = read_settings()
        log_as(settings, "producer")
        url = redis_of_the_roles(settings)
        asyncio.run(prepare_ledger(settings))
        run_producer(settings, url)


def work(pools: Sequence[str]) -> None:
    from common.queue.messages import POOLS

    unknown = [pool for pool in pools if pool not in {*POOLS, "all"}]
    if unknown:
        raise typer.BadParameter(
            f"There is no pool called {', '.join(unknown)}. Write one or several of {', '.join(POOLS)}, or all.",
            param_hint="POOL",
        )
    from workers.pools import work as run_worker

    with plainly():
        settings = read_settings()
        log_as(settings, "worker")
        url = redis_of_the_roles(settings)
        asyncio.run(prepare_ledger(settings))
        run_worker(settings, url, list(POOLS) if "all" in pools else list(dict.fromkeys(pools)))


def sandbox(host: str, port: int, seed: int, companies: int, at: datetime | None, token_life: int) -> int:
    from sandbox.server import run

    return run(host=host, port=port, seed=seed, companies=companies, at=at, token_life=token_life)
