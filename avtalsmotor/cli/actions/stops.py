"""Pauses and resumes: a person's stop of the bureau, of a company, or of a contract. It acts at the next claim."""

from collections.abc import Sequence

from avtalsmotor.cli.actions import pausing
from avtalsmotor.cli.actions.known import known_contract, known_tenant
from avtalsmotor.cli.failure import warn
from avtalsmotor.cli.printing import say
from avtalsmotor.cli.session import open_session, user
from common.ids import TenantId
from common.ledger import pauses, policies
from common.ledger.database import Ledger
from common.ledger.pauses import Pause
from common.rules.policy import PolicyChoice


async def pause_bureau(why: str) -> None:
    async with open_session() as (_, ledger):
        before = [one for one in await pauses.standing(ledger) if one.level == "bureau"]
        await pauses.pause(ledger, "bureau", by=user(), why=why)
    if before:
        _say_paused_before("Everything", before[0])
    else:
        say("Everything is paused: nothing more is created, booked or sent for any company.")
    say("Set it going again with: avtalsmotor resume")


async def resume_bureau(why: str) -> None:
    async with open_session() as (_, ledger):
        before = await pauses.standing(ledger)
        await pauses.resume(ledger, "bureau", by=user(), why=why)
    if not any(one.level == "bureau" for one in before):
        say("The bureau was not paused, so nothing has changed.")
    else:
        say("The bureau is no longer paused.")
    if any(one.level != "bureau" for one in before):
        say("Companies and contracts that are paused by themselves stay so: avtalsmotor status")


async def pause_tenant(number: int, why: str) -> None:
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        before = await _own_pause(ledger, tenant.id)
        await pauses.pause(ledger, "tenant", tenant=tenant.id, by=user(), why=why)
    company = f"{tenant.name} ({tenant.id})"
    if before is not None:
        _say_paused_before(company, before)
    else:
        say(f"{company} is paused: nothing more is called for it.")
    say(f"Set it going again with: avtalsmotor tenants resume {tenant.id}")


async def resume_tenant(number: int, why: str) -> None:
    """Ends the pause of a company that is paused, and no more; sets one live that is a proposal and not paused."""
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        before = (await policies.load(ledger, tenant.id)).policy_of(tenant.id).mode
        if tenant.paused:
            await pauses.resume(ledger, "tenant", tenant=tenant.id, by=user(), why=why)
        elif before == "proposal":
            await policies.change(ledger, "tenant", PolicyChoice(mode="live"), user(), tenant=tenant.id)
        above = pausing.on(await pauses.standing(ledger, tenant.id), tenant.id)
    company = f"{tenant.name} ({tenant.id})"
    if why and not tenant.paused:
        warn("The reason is not kept: it belongs to the end of a pause, and the company was not paused.")
    match tenant.paused, before:
        case True, "live":
            say(f"{company} is no longer paused. It is live: its due contracts are invoiced as its rules say.")
        case True, _:
            say(f"{company} is no longer paused. It is a proposal as before: nothing is called for it.")
            say(f"See what would be:  avtalsmotor plan --tenant {number}")
            say(f"Set it live:        avtalsmotor tenants policy {number} --live")
        case False, "live":
            say(f"{company} is live and was not paused, so nothing has changed.")
        case _:
            say(f"{company} is live: its due contracts are invoiced as its rules say.")
    _say_what_stops_it_still(above)


async def pause_contract(number: int, contract: int, why: str) -> None:
    async with open_session() as (_, ledger):
        view = (await known_contract(ledger, number, contract)).view
        before = await _own_pause(ledger, view.tenant, contract)
        await pauses.pause(ledger, "contract", tenant=view.tenant, contract=view.number, by=user(), why=why)
    named = f"Contract {contract} of company {number}"
    if before is not None:
        _say_paused_before(named, before)
    else:
        say(f"{named} is paused: nothing more is called for it.")
    say(f"Set it going again with: avtalsmotor contracts resume {number} {contract}")


async def resume_contract(number: int, contract: int, why: str) -> None:
    """Ends the pause of the contract. Its rules, and so its mode, stay as they are."""
    async with open_session() as (_, ledger):
        found = await known_contract(ledger, number, contract)
        view = found.view
        await pauses.resume(ledger, "contract", tenant=view.tenant, contract=view.number, by=user(), why=why)
        book = await policies.load(ledger, view.tenant)
        above = pausing.on(await pauses.standing(ledger, view.tenant), view.tenant)
    named = f"Contract {contract} of company {number}"
    if not found.paused:
        say(f"{named} was not paused, so nothing has changed.")
    else:
        say(f"{named} is no longer paused.")
    if book.policy_of(view.tenant, view.template, view.number).mode == "proposal":
        of_company = book.policy_of(view.tenant).mode == "proposal"
        live = f"tenants policy {number} --live" if of_company else f"contracts policy {number} {contract} --live"
        say(f"It is a proposal: nothing is called for it until avtalsmotor {live}")
    _say_what_stops_it_still(above)


async def _own_pause(ledger: Ledger, tenant: TenantId, contract: int | None = None) -> Pause | None:
    standing = await pauses.standing(ledger, tenant)
    return next((one for one in standing if (one.tenant, one.contract) == (tenant, contract)), None)


def _say_paused_before(named: str, before: Pause) -> None:
    say(f"{named} was paused already, {pausing.told(before)}. It stays so, and nothing has changed.")


def _say_what_stops_it_still(above: Sequence[Pause]) -> None:
    for one in above:
        named = "The whole bureau" if one.level == "bureau" else f"Company {one.tenant}"
        say(f"{named} is paused, so nothing happens until: {pausing.end_of(one)}")
