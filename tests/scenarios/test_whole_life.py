"""The whole life of a company as a new user lives it: everything by the command line, on one machine, from nothing.

Nothing is set up behind its back: the ledger, the key file, Redis and the roles are those that `avtalsmotor up` makes.
What is done in Fortnox is done in the sandbox; what is checked is what the commands print, and the sandbox' books.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from avtalsmotor.embedded import free_port
from common.clock import STOCKHOLM
from sandbox.books import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, By
from tests.consenting import ANSWERS_WITHIN, browsed, connecting, consented
from tests.roles import PROGRAM, environment_for, roles, until
from tests.sandboxes import TENANT, Sandbox, sandbox

__all__ = ["sandbox"]

HERE = str(TENANT)
COMPANY = f"Nordlunds IT-drift AB ({HERE})"
FEBRUARY = "{} 2026-02-01 booked mailed 1"
MARCH = "{} 2026-03-01 booked mailed 1"


@dataclass
class User:
    """Somebody at a terminal, with the two credentials of an integration and nothing else."""

    sandbox: Sandbox
    environment: Mapping[str, str]

    def on(self, when: str) -> None:
        """It is that minute in Sweden, here and in Fortnox."""
        instant = datetime.fromisoformat(when).replace(tzinfo=STOCKHOLM)
        self.sandbox.world.clock.set(instant)
        ahead = (instant.astimezone(UTC) - datetime.now(UTC)).total_seconds()
        self.environment = environment_for(self.environment, CLOCK_SHIFT=repr(ahead))

    async def types(self, *words: str, fails: bool = False) -> str:
        """What a command prints; it fails if that is expected, and prints no error otherwise."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, *words, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        async with asyncio.timeout(ANSWERS_WITHIN):
            out, err = (printed.decode() for printed in await process.communicate())
        assert (process.returncode, err) == (int(fails), ""), f"{words}: {out}{err}"
        return out

    async def asks(self, *words: str) -> Any:
        """What a command says as JSON."""
        return json.loads(await self.types(*words, "--json"))

    async def consents(self, *words: str) -> str:
        """Connects the company: the command here, a yes in the browser; what the command prints after it."""
        async with connecting("--no-service-account", *words, environment=self.environment) as terminal:
            page = await browsed(await consented(self.sandbox, terminal.address))
            assert page[0] == 200, page
            ended, out, err = await terminal.typed()
        assert (ended, err) == (0, ""), f"{out}{err}"
        return out

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """`avtalsmotor up` in another window, until Ctrl-C."""
        async with roles(self.environment, ("up",)) as (up,):
            await up.is_up("Avtalsmotor runs:")
            yield
            up.process.terminate()
            await up.ended()
            assert up.process.returncode == 0

    async def is_told(self, words: str) -> bool:
        """Whether `status` says so by now."""
        return words in await self.types("status")

    async def has_mailed(self, number: int) -> bool:
        """Whether so many invoices have left by now."""
        return len(self.sandbox.world.companies[TENANT].outbox) == number

    def invoices(self) -> list[str]:
        """What the customers of the company have got and what is booked, by contract and period."""
        company = self.sandbox.world.companies[TENANT]
        mailed = [sent.invoice for sent in company.outbox]
        return sorted(
            f"{one.contract_reference} {one.period_start} {'booked' if one.booked else 'open'} mailed"
            f" {mailed.count(number)}"
            for number, one in company.invoices.items()
            if one.created_by is not By.SEED
        )


@pytest.fixture
def user(sandbox: Sandbox, tmp_path: Path) -> User:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AVTALSMOTOR_")}
    return User(
        sandbox,
        environment_for(
            bare,
            FORTNOX_API_URL=sandbox.url,
            FORTNOX_AUTH_URL=f"{sandbox.url}/oauth-v1",
            FORTNOX_CLIENT_ID=DEFAULT_CLIENT_ID,
            FORTNOX_CLIENT_SECRET=DEFAULT_CLIENT_SECRET,
            FORTNOX_REDIRECT_URI=f"http://localhost:{free_port()}/fortnox",
            DATA_DIR=str(tmp_path / "data"),
            # The sandbox has no rate limit here.
            RATE_WINDOW="0.1",
        ),
    )


async def test_a_company_lives_from_its_first_consent_to_its_second(user: User, sandbox: Sandbox) -> None:
    user.on("2026-01-30 15:00")
    company = await sandbox.company(name="Nordlunds IT-drift AB", consented=False, bankgiro=None)
    for row in ({"quantity": "3"}, {"quantity": "1"}, {"quantity": "1", "price": "0"}):
        rows = [{"article_number": "A1", **row}]
        await sandbox.contract(period_start="2026-02-01", period_end="2026-02-28", rows=rows)

    # Connected, and told at once what would go wrong with every invoice; not told any more when it is mended.
    connected = await user.consents("--bookkeep", "--deliver", "email")
    assert f"Connected {COMPANY}, by a refresh token" in connected
    assert "Hinders: Fortnox shows no bank details" in connected
    company.bankgiro = "5050-1055"
    assert "Hinders" not in await user.types("doctor", "--tenant", HERE)

    # Looked at beforehand: two would go out, one waits for a yes, and nothing at all is called.
    preview = await user.types("plan", "--days", "5")
    assert [preview.count(words) for words in ("would be invoiced, then: bookkeep, email", "would be held")] == [2, 1]
    assert not await sandbox.requests("path=/3/contracts/*/createinvoice")

    user.on("2026-02-01 08:00")
    async with user.up():
        await user.types("tenants", "policy", HERE, "--live")
        await until(lambda: user.has_mailed(2))
        assert user.invoices() == [FEBRUARY.format(number) for number in (1, 2)]
        assert "held at create: The contract's total is zero" in await user.types("status")
        (held,) = await user.asks("billings", "list", "--status", "held")
        await user.types("billings", "approve", str(held["id"]))
        await until(lambda: user.has_mailed(3))
        shown = await user.types("runs", "show", "--tenant", HERE, "--check")
        assert "Made by us       3  500.00 SEK" in shown
        assert "it adds up, invoice by invoice" in shown

    # A month later the consent has been withdrawn in Fortnox: told, with what to do, and nothing is lost by it.
    async with sandbox.admin.post(f"/_sandbox/companies/{TENANT}/revoke", json={"consent": False}) as answer:
        assert answer.status == 200
    user.on("2026-03-01 08:00")
    async with user.up():
        await until(lambda: user.is_told("Fortnox no longer accepts our access to the company"))
        assert "Connect it again: avtalsmotor tenants connect" in await user.types("tenants", "show", HERE)
        again = await user.consents("--tenant-id", HERE)
        assert "What was stopped because the access was dead goes on." in again
        await until(lambda: user.has_mailed(5))
    assert user.invoices() == [
        *(FEBRUARY.format(1), MARCH.format(1), FEBRUARY.format(2), MARCH.format(2)),
        FEBRUARY.format(3),  # its zero in March waits for a yes of its own
    ]
    assert [one["contract"] for one in await user.asks("billings", "list", "--status", "held")] == [3]
    assert f"{COMPANY}: all in order" in await user.types("reconcile")
