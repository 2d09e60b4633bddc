"""`avtalsmotor runs ...`: prints the runs, and what one of them comes to beside Fortnox."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from avtalsmotor.cli.actions.checking import Checked, as_last_read, in_fortnox
from avtalsmotor.cli.actions.known import known_tenant
from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.printing import (
    Column,
    Row,
    Tone,
    age,
    count,
    heading,
    instant,
    minute,
    money,
    print_json,
    print_table,
    say,
)
from avtalsmotor.cli.session import open_session
from common.clock import STOCKHOLM
from common.ids import TenantId
from common.ledger import runs, tenants
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.ledger.runs import InRun, Run
from common.rules.reasons import REASONS, explain
from common.rules.runs import Difference, Figures, Kind, Net, Part, Sum, took
from common.rules.states import FINAL, Step

AT_MOST_DAYS = 366

_IN_LIST = (Part.DUE, Part.MADE, Part.BOOKED, Part.DELIVERED, Part.HELD, Part.PARKED, Part.IN_DOUBT)


async def list_(first: date | None, last: date | None, number: int | None, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        days = _days(first, last, ledger.clock.today())
        tenant = (await known_tenant(ledger, number)).id if number is not None else None
        found = [one for day in days for one in await runs.of_day(ledger, day, tenant)]
        names = {one.id: one.name for one in await tenants.every(ledger)}
        earlier = None if found else await runs.last_before(ledger, days[0], tenant)
    if as_json:
        print_json([_as_item(one, names) for one in found])
        return
    if not found:
        of_company = f" of {names[tenant]} ({tenant})" if tenant is not None else ""
        say(f"Nothing{of_company} was due or done {_when(days)}.")
        if earlier is not None:
            say(f"The last day before on which something was called: avtalsmotor runs list --day {earlier}")
        return
    _print_list(found, names, with_day=len(days) > 1)


def _days(first: date | None, last: date | None, today: date) -> list[date]:
    last = last or today
    first = first or last
    if first > last:
        raise Failure(f"{first} is after {last}, so there is no day between them. Say the earlier one with --from.")
    if (last - first).days >= AT_MOST_DAYS:
        raise Failure(f"{first} to {last} is more than a year. Ask for a shorter time.")
    return [first + timedelta(days=after) for after in range((last - first).days + 1)]


def _when(days: Sequence[date]) -> str:
    return f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"


def _print_list(found: Sequence[Run], names: Mapping[TenantId, str], *, with_day: bool) -> None:
    columns = [Column("Day", whole=True)] if with_day else []
    columns += [Column("Company", number=True), Column("Name", cut=True)]
    columns += [Column("Began", number=True), Column("Took", number=True)]
    columns += [Column(_title(part), number=True) for part in _IN_LIST]
    columns += [Column("Made, with VAT", number=True), Column("In Fortnox", whole=True)]
    rows = []
    total = Figures()
    for one in found:
        total += one.figures
        began = f"{one.began_at.astimezone(STOCKHOLM):%H:%M:%S}" if one.began_at else ""
        cells = [str(one.day)] if with_day else []
        cells += [str(one.tenant), names[one.tenant], began, age(took(one.began_at, one.ended_at))]
        rows.append(Row([*cells, *_numbers(one.figures), _adds_up(one)], _tone(one)))
    if len(found) > 1:
        cells = ["", "All", "", "", *_numbers(total), ""]
        rows.append(Row([""] * with_day + cells))
    print_table(columns, rows)


def _numbers(figures: Figures) -> list[str]:
    numbers = [figures.number(part) for part in _IN_LIST]
    return [*(str(number) if number else "." for number in numbers), _in_all(figures.parts[Part.MADE]) or "."]


def _in_all(sums: Mapping[str, Sum]) -> str:
    """Kronor first, other currencies beside."""
    ordered = sorted(sums.items(), key=lambda one: (one[0] != "SEK", one[0]))
    return " + ".join(money(one.amount, currency) for currency, one in ordered)


def _needs_person(figures: Figures) -> bool:
    return any(figures.number(part) for part in (Part.HELD, Part.PARKED, Part.IN_DOUBT))


def _tone(run: Run) -> Tone:
    return "attention" if run.differing or _needs_person(run.figures) else "plain"


def _adds_up(run: Run) -> str:
    if run.made_until is None:
        return ""
    if run.differing:
        return f"{run.differing} differ" if run.differing > 1 else "1 differs"
    return "adds up" if run.is_proved else "not read since"


async def show(number: int, of_day: date | None, as_json: bool, *, check: bool) -> bool:
    """Returns whether what was made adds up to Fortnox."""
    async with open_session() as (settings, ledger):
        tenant = await known_tenant(ledger, number)
        day = of_day or ledger.clock.today()
        found = await runs.of_day(ledger, day, tenant.id)
        if not found:
            raise Failure(await _no_run(ledger, tenant, day))
        (run,) = found
        billings = await runs.billings_of(ledger, tenant.id, day)
        checked = (
            await in_fortnox(settings, ledger, run, billings) if check else await as_last_read(ledger, run, billings)
        )
    if as_json:
        print_json(_as_whole(tenant, run, billings, checked))
    else:
        _print(tenant, run, billings, checked)
    return checked.comparison.adds_up


async def _no_run(ledger: Ledger, tenant: Tenant, day: date) -> str:
    last = await runs.last_before(ledger, day, tenant.id)
    told = (
        f"The last one with a call is of {last}: avtalsmotor runs show --tenant {tenant.id} --day {last}"
        if last is not None
        else f"Nothing was called before. See what is to come: avtalsmotor plan --tenant {tenant.id} --days 30"
    )
    return f"Nothing of {tenant.name} ({tenant.id}) was due or done on {day}, so there is no run to show. {told}"


def _print(tenant: Tenant, run: Run, billings: Sequence[InRun], checked: Checked) -> None:
    say(f"{tenant.name} ({tenant.id}), the run of {run.day}")
    if run.began_at is not None:
        say(f"From {instant(run.began_at)} to {instant(run.ended_at)}: {age(took(run.began_at, run.ended_at))}.")
    else:
        say("Nothing was called.")
    say()
    _print_figures(run.figures)
    _print_not_done(billings)
    _print_beside_fortnox(run, checked)


def _print_figures(figures: Figures) -> None:
    columns = [Column(""), Column("Number", number=True), Column("With VAT", number=True), Column("Net", number=True)]
    rows = []
    for part in Part:
        sums = figures.parts[part] or {"SEK": Sum()}
        if not figures.parts[part] and part not in _IN_LIST:
            continue
        for place, (currency, one) in enumerate(sorted(sums.items(), key=lambda one: (one[0] != "SEK", one[0]))):
            net = _net(figures.net.get(currency, Net())) if part is Part.MADE and one.number else ""
            title = _title(part) if place == 0 else ""
            cells = [title, str(one.number), money(one.amount, currency) if one.number else "", net and net + currency]
            stands_still = part in (Part.HELD, Part.PARKED, Part.IN_DOUBT) and one.number > 0
            rows.append(Row(cells, "attention" if stands_still else "plain"))
    print_table(columns, rows)


def _net(net: Net) -> str:
    known = money(net.amount, "?").removesuffix("?")
    return f"without {net.unknown}: {known}" if net.unknown else known


def _title(part: Part) -> str:
    return part.value.replace("_", " ").capitalize()


def _print_not_done(billings: Sequence[InRun]) -> None:
    open_ones = [one.billing for one in billings if one.billing.status not in FINAL]
    if not open_ones:
        return
    heading("What is not done")
    for one in open_ones[:_TOLD]:
        status = one.status.value.replace("_", " ")
        why = f": {explain(one.reason, **one.detail)}" if one.reason is not None else ""
        say(f"Contract {one.contract} ({one.customer_name}), {one.period}, {status} at {one.step.value}{why}")
        if one.reason is not None:
            say(f"  Billing {one.id}. {REASONS[one.reason].cure}")
    if len(open_ones) > _TOLD:
        say(f"And {len(open_ones) - _TOLD} more. All of them: add --json")


_TOLD = 20


def _print_beside_fortnox(run: Run, checked: Checked) -> None:
    heading("How it adds up to Fortnox")
    if run.made_until is None:
        say("No invoice was made.")
        return
    ours, theirs = checked.comparison.ours, checked.comparison.theirs
    columns = [Column(""), Column("Number", number=True), Column("With VAT", number=True)]
    rows = [
        Row([title if place == 0 else "", str(one.number), money(one.amount, currency)])
        for title, sums in (("Made by us", ours), ("In Fortnox", theirs))
        for place, (currency, one) in enumerate(sums.items() or {"SEK": Sum()}.items())
    ]
    print_table(columns, rows)
    again = f"avtalsmotor runs show --tenant {run.tenant} --day {run.day} --check"
    if checked.is_now:
        read = "Read from Fortnox now"
    elif run.is_proved and run.proved_at is not None:
        read = f"As listed for the proof of {minute(run.proved_at)}"
    else:
        read = "As each was last read"
        say(f"No proof was made since the last invoice. Read them all from Fortnox now: {again}")
    differ = checked.comparison.differences
    if not differ:
        say(f"{read}: it adds up, invoice by invoice.")
        return
    say(f"{read}: {count(len(differ), 'invoice differs', 'invoices differ')}.")
    for one in differ[:_TOLD]:
        say(f"  Invoice {one.number}{_of(one)}: {_told(one)}")
    if len(differ) > _TOLD:
        say(f"  And {len(differ) - _TOLD} more. All of them: add --json")
    say(f"What is to be done about each: avtalsmotor reconcile --tenant {run.tenant}")


def _of(one: Difference) -> str:
    if one.contract is not None:
        return f" of contract {one.contract} ({one.who})"
    return f" to customer {one.who}" if one.who else ""


def _told(one: Difference) -> str:
    ours, theirs = money(one.ours, one.currency), money(one.theirs, one.currency)
    match one.kind:
        case Kind.CHANGED:
            return f"somebody changed it: made at {ours}, now {theirs}"
        case Kind.CANCELLED:
            return f"somebody cancelled it (makulerad), {ours}"
        case Kind.CREDITED:
            return f"somebody credited it, {ours}"
        case Kind.NOT_THERE:
            return f"Fortnox does not show it, {ours}"
        case Kind.BY_HAND:
            return f"made by a person from a contract, and not by us, {theirs}"


def _as_item(run: Run, names: Mapping[TenantId, str]) -> dict[str, object]:
    return {
        "tenant": run.tenant,
        "tenant_name": names[run.tenant],
        "day": run.day,
        "began_at": run.began_at,
        "ended_at": run.ended_at,
        "took": took(run.began_at, run.ended_at),
        **{part.value: _as_sums(run.figures.parts[part]) for part in Part},
        "made_net": {
            currency: {"amount": net.amount, "not_known_of": net.unknown}
            for currency, net in sorted(run.figures.net.items())
        },
        "invoices_differing": run.differing,
        "proved_at": run.proved_at,
        "proved_since": run.is_proved,
    }


def _as_sums(sums: Mapping[str, Sum]) -> dict[str, object]:
    return {currency: {"number": one.number, "with_vat": one.amount} for currency, one in sorted(sums.items())}


def _as_whole(tenant: Tenant, run: Run, billings: Sequence[InRun], checked: Checked) -> dict[str, object]:
    return {
        **_as_item(run, {tenant.id: tenant.name}),
        "billings": [_as_billing(one) for one in billings],
        "beside_fortnox": {
            "adds_up": checked.comparison.adds_up,
            "read_now": checked.is_now,
            "made_by_us": _as_sums(checked.comparison.ours),
            "in_fortnox": _as_sums(checked.comparison.theirs),
            "differences": [
                {
                    "kind": one.kind,
                    "invoice": one.number,
                    "contract": one.contract,
                    "customer": one.who,
                    "made_with_vat": one.ours,
                    "in_fortnox_with_vat": one.theirs,
                    "currency": one.currency,
                }
                for one in checked.comparison.differences
            ],
        },
    }


def _as_billing(one: InRun) -> dict[str, object]:
    billing, invoice = one.billing, one.invoice
    net: Decimal | None = invoice.total - invoice.vat if invoice is not None and invoice.vat is not None else None
    return {
        "billing": billing.id,
        "contract": billing.contract,
        "customer_number": billing.customer_number,
        "customer": billing.customer_name,
        "period_start": billing.period.start,
        "period_end": billing.period.end,
        "due": one.is_due,
        "step": billing.step,
        "status": billing.status,
        "reason": billing.reason,
        "made": one.is_made,
        "booked": Step.BOOKKEEP in one.done,
        "delivered": Step.DELIVER in one.done,
        "by_hand": billing.handmade,
        "invoice": billing.invoice,
        "made_with_vat": billing.made_total,
        "in_fortnox_with_vat": invoice.total if invoice is not None else None,
        "in_fortnox_net": net,
        "currency": billing.currency,
    }
