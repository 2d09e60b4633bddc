"""Pauses and resumes: a person's stop of the bureau, of a company, or of a contract. It acts at the next claim."""

from avtalsmotor.cli.actions.known import known_contract, known_tenant
from avtalsmotor.cli.printing import say
from avtalsmotor.cli.session import open_session, user
from common.ledger import pauses, policies
from common.rules.policy import PolicyChoice


async def pause_bureau(why: str) -> None:
    async with open_session() as (_, ledger):
        await pauses.pause(ledger, "bureau", by=user(), why=why)
    say("Everything is paused: nothing more is created, booked or sent for any company.")
    say("Set it going again with: avtalsmotor resume")


async def resume_bureau(why: str) -> None:
    async with open_session() as (_, ledger):
        await pauses.resume(ledger, "bureau", by=user(), why=why)
    say("The bureau is no longer paused.")


async def pause_tenant(number: int, why: str) -> None:
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        await pauses.pause(ledger, "tenant", tenant=tenant.id, by=user(), why=why)
    say(f"{tenant.name} ({tenant.id}) is paused: nothing more is called for it.")
    say(f"Set it going again with: avtalsmotor tenants resume {tenant.id}")


async def resume_tenant(number: int, why: str) -> None:
    """Ends the pause and sets the company live, whatever the bureau says."""
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        await policies.change(ledger, "tenant", PolicyChoice(mode="live"), user(), tenant=tenant.id)
        await pauses.resume(ledger, "tenant", tenant=tenant.id, by=user(), why=why)
        stopped = await pauses.bureau_paused(ledger)
    say(f"{tenant.name} ({tenant.id}) is live: its due contracts are invoiced as its rules say.")
    if stopped:
        say("The whole bureau is paused, so nothing happens until: avtalsmotor resume")


async def pause_contract(number: int, contract: int, why: str) -> None:
    async with open_session() as (_, ledger):
        found = await known_contract(ledger, number, contract)
        view = found.view
        await pauses.pause(ledger, "contract", tenant=view.tenant, contract=view.number, by=user(), why=why)
    say(f"Contract {contract} of company {number} is paused: nothing more is called for it.")
    say(f"Set it going again with: avtalsmotor contracts resume {number} {contract}")


async def resume_contract(number: int, contract: int, why: str) -> None:
    async with open_session() as (_, ledger):
        found = await known_contract(ledger, number, contract)
        view = found.view
        await pauses.resume(ledger, "contract", tenant=view.tenant, contract=view.number, by=user(), why=why)
    say(f"Contract {contract} of company {number} is no longer paused.")
