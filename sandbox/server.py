"""Starting and stopping the sandbox: the whole of it on one port, in this process or as a command.

It listens on 127.0.0.1 unless told otherwise and must never be reachable from outside by default: its secrets
are public.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from sandbox import endpoints
from sandbox.behaviour import Behaviour
from sandbox.books import World
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.gateway import Gateway
from sandbox.stream import PATH, Stream

_LARGEST_BODY = 8 * 1024 * 1024
GATEWAY = web.AppKey("gateway", Gateway)
STREAM = web.AppKey("stream", Stream)


@dataclass(slots=True, frozen=True)
class Running:
    """A sandbox that answers."""

    url: str
    world: World
    gateway: Gateway
    stream: Stream
    _runner: web.AppRunner

    async def stop(self) -> None:
        """Stop answering; whoever hangs in a fault is let go."""
        self.gateway.closing.set()
        await self.stream.close()
        await self._runner.cleanup()


def build_app(world: World) -> web.Application:
    """The API, the token endpoint, the websocket and the control API of one world."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    gateway = Gateway(world, endpoints.router())
    app[GATEWAY] = gateway
    stream = app[STREAM] = Stream(world, gateway.tokens, gateway.faults)
    Control(gateway, stream).add_to(app)
    app.router.add_route("GET", PATH, stream.serve)
    app.router.add_route("*", "/{path:.*}", gateway.serve)
    return app


async def start(world: World, host: str = "127.0.0.1", port: int = 0) -> Running:
    """Start answering; port 0 takes a free one, which is then in `url`."""
    app = build_app(world)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    bound = runner.addresses[0][1]
    return Running(f"http://{host}:{bound}", world, app[GATEWAY], app[STREAM], runner)


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 8150,
    seed: int | None = None,
    companies: int = 12,
    scale: float = 1.0,
    at: datetime | None = None,
    token_life: int = 3600,
    json_line: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT. Prints one line when ready, as JSON if asked; returns the exit code.

    Parameters:
      seed: the story to begin with; without one the sandbox is empty.
      at: the virtual instant to begin at; without a zone it is Stockholm's wall clock. None: the real time.
      token_life: seconds.
    """
    world = World(clock=Clock(at), behaviour=Behaviour(token_life=token_life))
    if seed is not None:
        from sandbox import story  # only wanted when asked for

        story.seed(world, seed, companies=companies, scale=scale)
    try:
        asyncio.run(_serve(world, host, port, json_line=json_line))
    except OSError as error:
        print(  # noqa: T201 - the command's only other line
            f"The sandbox could not listen on {host}:{port} ({error.strerror}): take another port, or 0 for any.",
            file=sys.stderr,
        )
        return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m sandbox.server`."""
    parser = argparse.ArgumentParser(prog="sandbox", description="A Fortnox of our own, in memory.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8150, help="0 takes a free one")
    parser.add_argument("--seed", type=int, help="the story to begin with")
    parser.add_argument("--companies", type=int, default=12)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--at", type=datetime.fromisoformat, help="virtual instant to begin at")
    parser.add_argument("--token-life", type=int, default=3600, help="seconds")
    parser.add_argument("--json", action="store_true", dest="json_line", help="print the ready line as JSON")
    return run(**vars(parser.parse_args(argv)))


def _ready_line(running: Running) -> str:
    clock = running.world.clock
    said = f"sandbox ready: {running.url}, {len(running.world.companies)} companies"
    ahead = round(clock.ahead())
    return said if ahead == 0 else f"{said}, its clock at {clock.now():%Y-%m-%d %H:%M} ({ahead} s ahead)"


async def _serve(world: World, host: str, port: int, *, json_line: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = await start(world, host, port)
    try:
        ready = {"ready": True, "url": running.url, "pid": os.getpid(), "companies": len(world.companies)}
        line = json.dumps(ready) if json_line else _ready_line(running)
        print(line, flush=True)  # noqa: T201 - the parent process reads it
        await stop.wait()
    finally:
        await running.stop()


if __name__ == "__main__":
    sys.exit(main())
