"""Reads a company once a day, before anything of it is due, for what would fail for all its contracts; and keeps that.

Six requests of a company and one to the token server, one after the other, through the same governor as everything
else, so that a call which makes an invoice waits for one slot at most. Fewer where a right is known not to be granted.
It has no effect on Fortnox, and decides nothing: `rules.preflight` judges what was read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import date, datetime, time, timedelta

import structlog

from common.clock import STOCKHOLM
from common.fortnox import listings
from common.fortnox.client import Fortnox
from common.fortnox.errors import (
    FortnoxError,
    InDoubt,
    Missing,
    NotSent,
    Rejected,
    Throttled,
    TokenRefused,
    Unauthorized,
    Unreachable,
)
from common.ids import InvoiceNumber, TenantId
from common.ledger import consents, preflights, tenants
from common.ledger.database import Ledger
from common.ledger.preflights import Judged
from common.ledger.records import Tenant
from common.rules.periods import Period
from common.rules.plan import TenantFacts
from common.rules.preflight import SCOPE_OF, Area, Observed, Refusal, Year
from common.rules.reasons import Reason, of_refusal
from common.rules.states import Step
from producers.pace import share

log = structlog.get_logger()

BY = "producer"

SPREAD = timedelta(hours=1)
"""Within so long each company has its turn, at its own time of it."""

AT_ONCE = 4
"""Companies that are read at the same time."""

TRY_AGAIN_AFTER = timedelta(minutes=15)
"""When a company could not be read, or who tried was killed."""

HINDERED_AGAIN_AFTER = timedelta(hours=1)
"""What hinders a company may have been cured since, and nothing else tells."""

_ANY_INVOICE = InvoiceNumber(1)
"""That there is none of that number at Fakturatjänster is an answer, too."""


async def look(fortnox: Fortnox, tenant: TenantId, consented: frozenset[str] | None = None) -> Observed:
    """Reads what can be known of the company beforehand. A single read that is refused, or fails, leaves the others.

    Parameters:
      consented: what a person has consented to, of a company whose tokens come by a refresh token. `None`: its tokens
        come by client credentials; a new one tells what is granted now, and is used from then on.

    Raises: FortnoxError or NotSent where nothing can be read now.
    """
    looking = _Looking(fortnox, tenant)
    try:
        if consented is None:
            granted = await fortnox.tokens.by_client_credentials(tenant)
            await fortnox.tokens.adopt(tenant, granted.token)
            consented = granted.scopes
        return await looking.all(consented or None)
    except TokenRefused as refused:
        return Observed(access=Refusal(reason=Reason.TOKEN_DEAD, message=refused.description or refused.error))


class _Looking:
    """One pass over the areas of one company."""

    def __init__(self, fortnox: Fortnox, tenant: TenantId) -> None:
        self._fortnox = fortnox
        self._tenant = tenant
        self._refused: dict[Area, Refusal] = {}
        self._unread: dict[Area, str] = {}
        self._bank_details: bool | None = None
        self._locked_until: date | None = None
        self._years: tuple[Year, ...] | None = None

    async def all(self, scopes: frozenset[str] | None) -> Observed:
        reads: dict[Area, Callable[[], Awaitable[None]]] = {
            Area.CONTRACTS: lambda: self._fortnox.may_list(self._tenant, listings.CONTRACTS),
            Area.SETTINGS: self._settings,
            Area.LOCKED_PERIOD: self._locked,
            Area.YEARS: self._financial_years,
            Area.CUSTOMERS: lambda: self._fortnox.may_list(self._tenant, listings.CUSTOMERS),
            Area.FINANCE: self._finance,
        }
        failure: InDoubt | None = None
        for area, read in reads.items():
            if scopes is not None and SCOPE_OF[area] not in scopes:
                continue  # a refusal would cost a request, and the token
            try:
                await read()
            except (Unreachable, Throttled, Unauthorized):
                raise
            except Rejected as refusal:
                reason = of_refusal(Step.CREATE, refusal.http_status or 0, refusal.code, refusal.message)
                self._refused[area] = Refusal(reason=reason, message=refusal.message, code=refusal.code)
            except InDoubt as error:
                failure = error
                self._unread[area] = str(error)
        if failure is not None and len(self._unread) == len(reads):
            raise failure
        return Observed(
            scopes=scopes,
            refused=self._refused,
            unread=self._unread,
            bank_details=self._bank_details,
            locked_until=self._locked_until,
            years=self._years,
        )

    async def _settings(self) -> None:
        found = await self._fortnox.company_settings(self._tenant)
        self._bank_details = bool(found.bg or found.pg or found.iban)

    async def _locked(self) -> None:
        self._locked_until = await self._fortnox.locked_period(self._tenant)

    async def _financial_years(self) -> None:
        self._years = tuple(
            Year(start=one.from_date, end=one.to_date, cash=one.accounting_method == "CASH")
            for one in await self._fortnox.financial_years(self._tenant)
        )

    async def _finance(self) -> None:
        try:
            await self._fortnox.finance_invoice(self._tenant, _ANY_INVOICE)
        except Missing:
            return


async def make(ledger: Ledger, fortnox: Fortnox, tenant: TenantId, by: str) -> Judged:
    """Reads the company, keeps that, and says what it means now.

    Raises: FortnoxError or NotSent where nothing can be read now; that is kept, too.
    """
    consent = await consents.get(ledger, tenant)
    by_refreshing = consent is not None and consent.kind == "user"
    try:
        observed = await look(fortnox, tenant, consent.scopes if consent is not None and by_refreshing else None)
    except (FortnoxError, NotSent) as error:
        await preflights.fail(ledger, tenant, str(error))
        raise
    await take_in(ledger, tenant, observed, by)
    return (await preflights.judged(ledger, [tenant]))[tenant]


async def take_in(ledger: Ledger, tenant: TenantId, observed: Observed, by: str) -> None:
    """Keeps what was read, and lets the plan know of the locked period and the financial years by it."""
    await preflights.keep(ledger, tenant, observed, by)
    known = await tenants.get(ledger, tenant)
    if known is None or observed.access or observed.unread.keys() & {Area.LOCKED_PERIOD, Area.YEARS}:
        return
    today = ledger.clock.today()
    await tenants.note_facts(ledger, tenant, _facts_on(observed, today), max(today, known.facts_on or today))


def _facts_on(observed: Observed, day: date) -> TenantFacts:
    if observed.years is None:
        return TenantFacts(locked_until=observed.locked_until)
    years = tuple(Period(one.start, one.end) for one in observed.years)
    cash = any(day in one and one.cash for one in observed.years)
    return TenantFacts(locked_until=observed.locked_until, years=years, cash=cash)


class Preflights:
    """The pre-flights of all companies.

    Parameters:
      opens: the time of day in Sweden from which on they are made.
    """

    def __init__(self, ledger: Ledger, fortnox: Fortnox, opens: time) -> None:
        self._ledger = ledger
        self._fortnox = fortnox
        self._opens = opens
        self._not_before: dict[TenantId, datetime] = {}
        """When there is something to do for a company again, by the ledger's last word on it."""

    async def make(self, everybody: Collection[Tenant], being_listed: Collection[TenantId]) -> Collection[TenantId]:
        """Makes the pre-flights whose time has come, of the companies that nobody is just reading.

        Returns those of which something new is known. Raises what says that Redis or the ledger is away; what concerns
        one company stays with it.
        """
        now = self._ledger.clock.now()
        wanted = [
            one.id
            for one in everybody
            if one.id not in being_listed
            and self._not_before.get(one.id, now) <= now
            and self._turn(one.id, now) <= now
        ]
        if not wanted:
            return ()
        last = await preflights.judged(self._ledger, wanted)
        for tenant in wanted:
            self._not_before[tenant] = self._next(last[tenant], now)
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(tenant: TenantId) -> TenantId | None:
            async with turns:
                return tenant if await self._made(tenant) else None

        due = [tenant for tenant in wanted if self._not_before[tenant] <= now]
        async with asyncio.TaskGroup() as making:
            tasks = [making.create_task(in_turn(tenant)) for tenant in due]
        return [made for task in tasks if (made := task.result()) is not None]

    async def _made(self, tenant: TenantId) -> bool:
        if not await preflights.begin(self._ledger, tenant, again_after=TRY_AGAIN_AFTER):
            return False
        try:
            found = await make(self._ledger, self._fortnox, tenant, BY)
        except (FortnoxError, NotSent) as error:
            log.warning("preflight_not_made", tenant=tenant, error=str(error))
            return False
        log.info("preflight_made", tenant=tenant, findings=[one.kind.value for one in found.findings])
        return True

    def _next(self, last: Judged, now: datetime) -> datetime:
        """When the company is to be read again."""
        turn = self._turn(last.tenant, now)
        if last.made_at is None or last.made_at < turn:
            due = turn
        elif last.hinders:
            due = last.made_at + HINDERED_AGAIN_AFTER
        else:
            due = turn + timedelta(days=1)
        return due if last.tried_at is None else max(due, last.tried_at + TRY_AGAIN_AFTER)

    def _turn(self, tenant: TenantId, now: datetime) -> datetime:
        """The company's own time of the day."""
        day = now.astimezone(STOCKHOLM).date()
        opens = datetime.combine(day, self._opens, STOCKHOLM)
        # Who opens late has them all before midnight, too.
        width = min(SPREAD, datetime.combine(day, time.max, STOCKHOLM) - opens)
        return opens + width * share(tenant)
