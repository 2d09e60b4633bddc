"""`avtalsmotor tenants connect`: a person consents in the browser, and the company is served from then on.

The consent is kept only when Fortnox has shown with it that it is the company's. With a service account tokens come by
client credentials, and nothing has to be kept secret; else the refresh token is sealed and kept (common/consents.py).
"""

import secrets
import sys
from asyncio import to_thread
from collections.abc import Sequence

import typer

from avtalsmotor.cli.actions.adding import tell_what_next
from avtalsmotor.cli.actions.doctor import print_findings
from avtalsmotor.cli.failure import Failure, warn
from avtalsmotor.cli.printing import say
from avtalsmotor.cli.session import open_fortnox, open_session, refuse_without_credentials, user
from avtalsmotor.consenting import SCOPES, ConsentFailed, Redirect, address, code_of, is_local
from common.consents import purpose
from common.fortnox.client import Fortnox
from common.fortnox.errors import Forbidden, FortnoxError, NotSent, TokenError, TokenRefused
from common.fortnox.token import Granted, tenant_of
from common.ids import TenantId
from common.ledger import blocks, consents, policies, tenants
from common.ledger.database import Ledger
from common.ledger.preflights import Judged
from common.ledger.records import Tenant
from common.rules.policy import PolicyChoice
from common.rules.reasons import Reason
from common.seals import Seals
from common.settings import Settings
from producers.preflights import make


async def connect(
    expected: int | None,
    name: str | None,
    choice: PolicyChoice,
    *,
    scopes: Sequence[str] = SCOPES,
    service: bool = True,
    paste: bool = False,
) -> None:
    """Parameters:
    expected: the company that is to be connected; `None` for whichever consents.
    """
    async with open_session() as (settings, ledger):
        known = await _known(ledger, expected, name, choice)
        refuse_without_credentials(settings, "No company can be connected")
        if not service:
            # A key that is not there is told of before anybody consents.
            Seals.read(settings)
        try:
            code = await _consented(settings, scopes, service=service, paste=paste)
        except ConsentFailed as failed:
            raise Failure(str(failed)) from None
        async with open_fortnox(settings, ledger) as fortnox:
            granted = await _granted(fortnox, code, settings.fortnox_redirect_uri)
            tenant = _whose(granted, expected)
            company_name = await _name(fortnox, tenant, granted)
            by_service = service and await _has_service_account(fortnox, tenant)
        if not by_service and granted.refresh_token is None:
            raise Failure(
                f"Fortnox gave neither a service account nor a refresh token for company {tenant}, so it could be"
                " reached for an hour only. Nothing was changed. Allow service accounts for the integration in Fortnox'"
                " developer portal, and run the command again."
            )
        there = known or await tenants.get(ledger, tenant)
        called = there.name if there else name or company_name or f"Company {tenant}"
        if there is None:
            await tenants.add(ledger, tenant, called, user())
            if choice.model_dump(exclude_none=True):
                await policies.change(ledger, "tenant", choice, user(), tenant=tenant)
        if by_service or granted.refresh_token is None:
            await consents.put(ledger, tenant, "service", granted.scopes or scopes, None, user())
        else:
            sealed = Seals.read(settings).seal(granted.refresh_token, purpose(tenant))
            await consents.put(ledger, tenant, "user", granted.scopes or scopes, sealed, user())
        freed = await blocks.clear(ledger, tenant, None, Reason.TOKEN_DEAD, user())
        policy = (await policies.load(ledger, tenant)).policy_of(tenant)
        found = await _looked_at(settings, ledger, tenant)
    missing = sorted(set(scopes) - granted.scopes) if granted.scopes else []
    if missing:
        warn(
            f"{called} ({tenant}) is connected, but Fortnox did not give all that was asked for: {', '.join(missing)}."
        )
    way = "by a service account" if by_service else "by a refresh token, which lives for 45 days if it is not used"
    say(f"{'Connected' if there is None else 'Connected again:'} {called} ({tenant}), {way}.")
    if freed:
        say("What was stopped because the access was dead goes on.")
    if found is not None:
        print_findings(found)
    if there is None:
        tell_what_next(tenant, policy)


async def _looked_at(settings: Settings, ledger: Ledger, tenant: TenantId) -> Judged | None:
    """What would fail for all its contracts; `None`: it could not be read now, which the producer tries again."""
    try:
        async with open_fortnox(settings, ledger) as fortnox:
            return await make(ledger, fortnox, tenant, user())
    except (FortnoxError, NotSent) as error:
        warn(f"What would fail for company {tenant} could not be read now. {error}")
        return None


def scopes_without(left_out: Sequence[str]) -> tuple[str, ...]:
    """What is asked for. Raises typer.BadParameter for what is not asked for anyway."""
    unknown = sorted(set(left_out) - set(SCOPES))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not among the scopes asked for, {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope not in left_out)


async def _known(ledger: Ledger, expected: int | None, name: str | None, choice: PolicyChoice) -> Tenant | None:
    there = await tenants.get(ledger, TenantId(expected)) if expected is not None else None
    if there is not None and (name or choice.model_dump(exclude_none=True)):
        raise Failure(
            f"{there.name} ({there.id}) is in the ledger already, so connecting it changes neither its name nor its"
            f" rules. Leave them out, and change its rules with `avtalsmotor tenants policy {there.id}`."
        )
    return there


async def _consented(settings: Settings, scopes: Sequence[str], *, service: bool, paste: bool) -> str:
    """The code of a person's consent. Raises ConsentFailed."""
    state = secrets.token_urlsafe(24)
    opens = address(settings, state, scopes, service=service)
    say("Open this address as a system administrator of the company, and approve:")
    say(opens)
    if paste or not is_local(settings):
        say(f"Then paste the address that the browser ends at (it begins with {settings.fortnox_redirect_uri}):")
        sys.stdout.flush()
        return code_of(await to_thread(sys.stdin.readline), state)
    async with Redirect(settings, state) as redirect:
        say(f"Waiting for the answer at {settings.fortnox_redirect_uri} ...")
        sys.stdout.flush()
        return await redirect.code()


async def _granted(fortnox: Fortnox, code: str, redirect_uri: str) -> Granted:
    try:
        return await fortnox.tokens.by_code(code, redirect_uri)
    except TokenRefused as refused:
        raise Failure(
            f"Fortnox did not take the code of the consent ({refused.description or refused.error}). Nothing was"
            " changed. A code lives for ten minutes and is good once: run the command again. If this stays, check that"
            " AVTALSMOTOR_FORTNOX_REDIRECT_URI is what the developer portal has, and the client secret."
        ) from refused
    except TokenError as error:
        raise Failure(
            f"The consent was given, but could not be taken to Fortnox ({error}). Nothing was changed. Run the command"
            " again."
        ) from error


def _whose(granted: Granted, expected: int | None) -> TenantId:
    tenant = tenant_of(granted.token)
    if tenant is None:
        raise Failure(
            "The access that Fortnox gave does not say which company it is for. Nothing was changed. Try again, and"
            " report this if it stays."
        )
    if expected is not None and tenant != expected:
        raise Failure(
            f"The consent was given for company {tenant}, not for {expected}. Nothing was changed. Choose company"
            f" {expected} in Fortnox before you approve; or connect {tenant} with `avtalsmotor tenants connect`."
        )
    return tenant


async def _name(fortnox: Fortnox, tenant: TenantId, granted: Granted) -> str:
    """The company's name, read with what was granted. Raises Failure when that opens another company."""
    await fortnox.tokens.adopt(tenant, granted.token)
    try:
        company = await fortnox.company(tenant)
    except Forbidden:
        warn(f"The name of company {tenant} cannot be read: the consent is without companyinformation.")
        return ""
    if company.database_number != tenant:
        raise Failure(
            f"Fortnox says that the access is for company {company.database_number}, and its token that it is for"
            f" {tenant}. Nothing was changed. Report this."
        )
    return company.company_name


async def _has_service_account(fortnox: Fortnox, tenant: TenantId) -> bool:
    try:
        await fortnox.tokens.by_client_credentials(tenant)
    except TokenError:
        return False
    return True
