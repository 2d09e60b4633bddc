"""The commands that run until they are stopped: the demo, all roles at once, each role by itself, and the sandbox."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The number that the made-up companies grow from.")]
Companies = Annotated[int, typer.Option("--companies", metavar="N", min=1, help="How many client companies.")]


def _instant(typed: str) -> datetime:
    try:
        return datetime.fromisoformat(typed)
    except ValueError:
        raise typer.BadParameter(f'{typed} is not an instant. Write it as "2026-12-01 08:00".') from None


def demo(
    seed: Seed = 1,
    companies: Companies = 12,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Keep ledger and logs here, not in a folder that is removed."),
    ] = None,
) -> None:
    """Watch a night of invoicing, on a made-up Fortnox.

    Starts a sandbox Fortnox, a queue server and all workers on this machine, lets a night's contracts be invoiced,
    bookkept and delivered, and shows at the end what was done, what waits for a person, and whether the sandbox agrees.
    Needs no account, and touches nothing else.
    """
    from avtalsmotor.cli.actions import roles

    raise typer.Exit(roles.demo(seed, companies, data_dir))


def up() -> None:
    """Run everything on this machine, against the real Fortnox.

    Producer and all workers in one process tree, on an embedded queue server unless AVTALSMOTOR_REDIS_URL names one,
    and a ledger in AVTALSMOTOR_DATA_DIR unless AVTALSMOTOR_DATABASE_URL names one. Ctrl-C lets what is in hand finish.

    Nothing is invoiced for a company until it is live: see `avtalsmotor plan` and `tenants policy N --live`.
    """
    from avtalsmotor.cli.actions import roles

    raise typer.Exit(roles.up())


def produce() -> None:
    """Run a producer: reads contracts, plans, feeds the queues.

    Needs the Redis that all roles share (AVTALSMOTOR_REDIS_URL). Several may run.
    """
    from avtalsmotor.cli.actions import roles

    roles.produce()


def work(
    pool: Annotated[
        list[str], typer.Argument(metavar="POOL", help="invoicing, evidence, bookkeeping, delivery, or all.")
    ],
) -> None:
    """Run a worker for one or several pools.

    \b
    invoicing    creates the invoices of due contracts
    evidence     finds out in Fortnox what became of each call
    bookkeeping  books invoices (bokför)
    delivery     sends them: e-mail, e-invoice, print service, or a hand-over to Fakturatjänster
    all          all of these in one process

    Needs the Redis that all roles share (AVTALSMOTOR_REDIS_URL). Start as many as you like.
    """
    from avtalsmotor.cli.actions import roles

    roles.work(pool)


def sandbox(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Its secrets are public: keep it off the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 for any free one.")] = 8150,
    seed: Seed = 1,
    companies: Companies = 12,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            metavar='"YYYY-MM-DD HH:MM"',
            parser=_instant,
            help="What its clock shows at the start, Swedish time; else the real time.",
        ),
    ] = None,
    token_life: Annotated[
        int, typer.Option("--token-life", metavar="SECONDS", min=1, help="How long its access tokens live.")
    ] = 3600,
) -> None:
    """Run a made-up Fortnox to rehearse against.

    A stateful simulator with believable Swedish companies, the real rate limit, a clock that can be moved, and faults
    on demand. It listens on 127.0.0.1, keeps nothing, and is controlled under /_sandbox/. To rehearse against it:

    \b
    export AVTALSMOTOR_FORTNOX_API_URL=http://127.0.0.1:8150
    export AVTALSMOTOR_FORTNOX_AUTH_URL=http://127.0.0.1:8150/oauth-v1
    export AVTALSMOTOR_FORTNOX_CLIENT_ID=sandbox-client
    export AVTALSMOTOR_FORTNOX_CLIENT_SECRET=sandbox-secret
    """
    from avtalsmotor.cli.actions import roles

    raise typer.Exit(roles.sandbox(host, port, seed, companies, at, token_life))


def declare(app: typer.Typer) -> None:
    for command in (demo, up, produce, work, sandbox):
        app.command()(command)
