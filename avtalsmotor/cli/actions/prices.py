"""Shows changed prices and their worksheets, and takes a person's word on them. Calls nothing in Fortnox itself."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from decimal import Decimal

from avtalsmotor.cli.actions.known import known_contract, known_tenant
from avtalsmotor.cli.actions.worksheet import Sheet, as_dict, print_sheet, steps_told, sums_told
from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.printing import Column, Row, count, day, print_json, print_table, say
from avtalsmotor.cli.session import open_session, user
from common.ids import ContractNumber
from common.ledger import contract_rows, policies, price_changes, price_updates, tenants
from common.ledger.database import Ledger
from common.ledger.price_changes import PriceChange
from common.ledger.price_updates import Tally, UpdateStatus, terms_of
from common.ledger.records import Tenant
from common.rules.price_lists import ListPrice
from common.rules.prices import Change, judge

_Saying = Callable[[Ledger, int, Collection[ContractNumber] | None, str], Awaitable[list[ContractNumber]]]
"""How the ledger is told a person's word on a change, for some contracts or all; it says for which."""


async def changes(number: int | None, limit: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        tenant = (await known_tenant(ledger, number)).id if number is not None else None
        found = await price_changes.every(ledger, tenant, limit=limit)
        tallies = await price_updates.tallies(ledger, [one.id for one in found])
        names = {one.id: one.name for one in await tenants.every(ledger)}
    if as_json:
        print_json([_change_as_dict(one, names[one.tenant], tallies[one.id]) for one in found])
        return
    if not found:
        say(
            "No price has changed since the prices were first read, which a running `avtalsmotor up` does for companies"
            " whose rules say so: avtalsmotor tenants policy TENANT --prices propose"
        )
        return
    columns = [
        Column("Change", number=True),
        Column("Day", whole=True),
        Column("Company", cut=True),
        Column("Article", whole=True),
        Column("Price"),
        *(Column(status.value.capitalize(), number=True) for status in _SHOWN),
        Column("Proposed a month", number=True),
    ]
    print_table(columns, [_change_row(one, names[one.tenant], tallies[one.id]) for one in found])
    say()
    say("See the contracts of one with: avtalsmotor prices show CHANGE")


async def show(number: int, as_json: bool) -> None:
    async with open_session() as (_, ledger):
        change = await _known_change(ledger, number)
        tenant = await known_tenant(ledger, change.tenant)
        updates = await price_updates.of_change(ledger, change.id)
        tally = (await price_updates.tallies(ledger, [change.id]))[change.id]
    sheets = [
        Sheet(
            one.contract,
            one.customer_name,
            one.status.value,
            tuple((row.quantity, row.price, row.new, row.why) for row in one.rows),
            one.cautions,
            one.first_day,
            one.a_month,
            one.currency,
        )
        for one in updates
    ]
    if as_json:
        print_json({**_change_as_dict(change, tenant.name, tally), "worksheet": as_dict(sheets)})
        return
    _say_what(tenant, change.facts, f"Change {change.id}, {day(change.facts.day)}")
    print_sheet(sheets)
    standing = {one.status for one in updates}
    for one in updates:
        if one.status is UpdateStatus.REFUSED:
            say()
            said = one.detail.get("message", "")
            say(f"Contract {one.contract} was refused: {said} Its next invoice waits for your word:")
            say(f"avtalsmotor prices approve {change.id} --contract {one.contract}   (to try again) or reject")
    if UpdateStatus.PROPOSED in standing:
        say()
        say(f"Say yes with: avtalsmotor prices approve {change.id}   or no with: avtalsmotor prices reject {change.id}")
    elif UpdateStatus.DONE in standing:
        say()
        say(f"Put the old price back with: avtalsmotor prices undo {change.id}")


async def approve(number: int, only: Sequence[int] | None) -> None:
    done = await _decide(number, only, price_updates.approve, "Nothing is proposed, and nothing was refused,")
    say(f"Approved for {done}: each is set before the contract's next invoice is made.")


async def reject(number: int, only: Sequence[int] | None) -> None:
    done = await _decide(number, only, price_updates.reject, "Nothing is still to be done")
    say(f"Rejected for {done}: they keep their price.")


async def undo(number: int, only: Sequence[int] | None) -> None:
    done = await _decide(
        number, only, price_updates.undo, "Nothing was set by Avtalsmotor, or the price has changed since,"
    )
    say(f"Undone for {done}: the old price is put back wherever nobody has changed it since.")


async def _decide(number: int, only: Sequence[int] | None, say_so: _Saying, nothing: str) -> str:
    """How many contracts it is said for. Raises Failure where it cannot be said of some that were named, or of any."""
    async with open_session() as (_, ledger):
        change = await _known_change(ledger, number)
        wanted = None if only is None else {ContractNumber(one) for one in only}
        taken = await say_so(ledger, change.id, wanted, user())
    done = count(len(taken), "contract")
    missing = sorted((wanted or set()) - set(taken))
    if not taken or missing:
        which = f"contract {', '.join(map(str, missing))}" if missing else "any contract"
        did = f" It is said for {done}." if taken else " Nothing was changed."
        raise Failure(
            f"{nothing} for {which} by change {change.id}.{did} See where each stands with `avtalsmotor prices show"
            f" {change.id}`."
        )
    return done


async def never_touch(number: int, contract_number: int, article: str) -> None:
    async with open_session() as (_, ledger):
        view = (await known_contract(ledger, number, contract_number)).view
        is_new = await price_updates.never_touch(ledger, view.tenant, view.number, article, user())
    if is_new:
        say(f"Marked: rows of {article} in contract {view.number} follow no price list from now on.")
    else:
        say(f"Rows of {article} in contract {view.number} were marked already. Nothing was changed.")


async def may_touch(number: int, contract_number: int, article: str) -> None:
    async with open_session() as (_, ledger):
        view = (await known_contract(ledger, number, contract_number)).view
        was_marked = await price_updates.may_touch(ledger, view.tenant, view.number, article, user())
    if was_marked:
        say(f"Rows of {article} in contract {view.number} follow the price list again when it changes next.")
    else:
        say(f"Rows of {article} in contract {view.number} were not marked. Nothing was changed.")


async def what_if(
    number: int, article: str, price: str, price_list: str | None, from_quantity: str, as_json: bool
) -> None:
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        watch = await price_changes.watch(ledger, tenant.id)
        before = await price_changes.of_article(ledger, tenant.id, article)
        into = price_list or (watch.price_list if watch else None)
        if watch is None or into is None or not before:
            raise _cannot_tell(tenant, article, is_read=watch is not None, is_listed=bool(before))
        step = ListPrice(into, article, Decimal(from_quantity), Decimal(price))
        after = [one for one in before if (one.price_list, one.from_quantity) != (into, step.from_quantity)]
        today = ledger.clock.today()
        change = Change(article, tuple(sorted(before)), tuple(sorted([*after, step])), today, watch.price_list)
        using = await contract_rows.read_using(ledger, tenant.id, article)
        book = await policies.load(ledger, tenant.id)
    sheets = []
    for one in using:
        policy = book.policy_of(tenant.id, one.template, one.priced.number)
        verdict = judge(one.priced, change, terms_of(policy))
        sheets.append(
            Sheet(
                one.priced.number,
                one.customer_name,
                "off" if policy.prices == "off" else "would be proposed" if verdict.follows else "left",
                tuple((row.row.quantity, row.row.price, row.price, row.why) for row in verdict.rows),
                verdict.cautions if verdict.follows else (),
                verdict.first,
                verdict.a_month,
                one.priced.currency,
            )
        )
    if as_json:
        print_json({"tenant": tenant.id, "article": article, "price": Decimal(price), "worksheet": as_dict(sheets)})
        return
    _say_what(tenant, change, "If this were changed today")
    print_sheet(sheets)


async def _known_change(ledger: Ledger, number: int) -> PriceChange:
    change = await price_changes.get(ledger, number)
    if change is None:
        raise Failure(
            f"There is no price change {number} in the ledger. See which there are with `avtalsmotor prices changes`."
        )
    return change


def _cannot_tell(tenant: Tenant, article: str, *, is_read: bool, is_listed: bool) -> Failure:
    if not is_read:
        return Failure(
            f"The prices of {tenant.name} ({tenant.id}) have not been read yet, so nothing can be told. A running"
            " `avtalsmotor up` reads them within some minutes once the rules say so: avtalsmotor tenants"
            f" policy {tenant.id} --prices propose"
        )
    if not is_listed:
        return Failure(
            f"No price list of {tenant.name} ({tenant.id}) had a price of {article} when they were last read. Check the"
            " article's number."
        )
    return Failure(f"{tenant.name} ({tenant.id}) has no pre-selected price list. Say which with --price-list.")


def _say_what(tenant: Tenant, change: Change, headline: str) -> None:
    say(f"{headline}: {change.article} of {tenant.name} ({tenant.id}), {steps_told(change)}")
    say()


def _change_row(change: PriceChange, name: str, tally: Tally) -> Row:
    of = tally.contracts
    cells = [
        str(change.id),
        day(change.facts.day),
        f"{name} ({change.tenant})",
        change.article,
        steps_told(change.facts),
        *(str(of.get(status, 0)) for status in _SHOWN),
        sums_told(tally.a_month),
    ]
    return Row(cells, "attention" if of.get(UpdateStatus.PROPOSED) else "quiet")


def _change_as_dict(change: PriceChange, name: str, tally: Tally) -> dict[str, object]:
    return {
        "change": change.id,
        "tenant": change.tenant,
        "name": name,
        "article": change.article,
        "day": change.facts.day,
        "noticed_at": change.noticed_at,
        "before": _steps_as_dicts(change.facts.before),
        "after": _steps_as_dicts(change.facts.after),
        "contracts": {status.value: number for status, number in tally.contracts.items()},
        "proposed_a_month": dict(tally.a_month),
    }


def _steps_as_dicts(steps: Sequence[ListPrice]) -> list[Mapping[str, object]]:
    return [{"price_list": one.price_list, "from_quantity": one.from_quantity, "price": one.price} for one in steps]


_SHOWN = (
    UpdateStatus.PROPOSED,
    UpdateStatus.APPROVED,
    UpdateStatus.REFUSED,
    UpdateStatus.DONE,
    UpdateStatus.REJECTED,
    UpdateStatus.LEFT,
)
