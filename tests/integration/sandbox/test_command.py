"""The sandbox as a command: a ready line with its address, and an orderly end."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parents[3]


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox.server",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_ends_on_a_signal(number: signal.Signals) -> None:
    process = await started("--port", "0", "--json", "--seed", "1", "--scale", "0.1", "--at", "2026-01-31T12:00")
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    assert ready["pid"] == process.pid
    assert ready["companies"] == 12
    async with aiohttp.ClientSession(ready["url"]) as session, session.get("/_sandbox/clock") as response:
        assert (await response.json())["today"] == "2026-01-31"
    process.send_signal(number)
    rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_a_taken_port_is_told_in_one_line() -> None:
    first = await started("--port", "0", "--json")
    assert first.stdout is not None
    port = json.loads(await first.stdout.readline())["url"].rpartition(":")[2]
    second = await started("--port", port)
    _, errors = await second.communicate()
    assert second.returncode == 1
    assert f"could not listen on 127.0.0.1:{port}".encode() in errors
    assert errors.count(b"\n") == 1
    first.terminate()
    assert await first.wait() == 0
    await first.communicate()
