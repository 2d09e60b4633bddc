"""`avtalsmotor reconcile`: the proof, company by company, and in words whatever is not simply proved.

It changes nothing in Fortnox, and keeps the proof. A company that cannot be read is not proved, and never passed over
in silence; what a person has acknowledged needs nobody, and stays to be listed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from avtalsmotor.cli.actions.known import known_tenant, selected_tenants
from avtalsmotor.cli.actions.reading import AT_ONCE
from avtalsmotor.cli.failure import Failure, complain, tell_wait
from avtalsmotor.cli.printing import count, heading, minute, money, print_json, say
from avtalsmotor.cli.session import open_fortnox, open_session, refuse_without_credentials, user
from common.fortnox.client import Fortnox
from common.fortnox.errors import FortnoxError, NotSent
from common.ledger import proofs
from common.ledger.database import Ledger
from common.ledger.records import Tenant
from common.matters.found import how_to_acknowledge
from common.rules.reconciliation import SETTLED, Finding, Line
from producers.reconciliation import Proof, prove

Answer = Proof | str
"""The proof of a company, or why it could not be read."""


async def reconcile(number: int | None, on: date | None, as_json: bool, *, everything: bool) -> bool:
    """Returns whether everything is proved, explained or acknowledged.

    Parameters:
      everything: print also what was acknowledged.
    """
    async with open_session() as (settings, ledger):
        today = ledger.clock.today()
        if on is not None and on > today:
            raise Failure(
                f"{on} is still to come, so nothing can be proved of it. See what will happen until then with"
                " `avtalsmotor plan --days N`."
            )
        companies = await selected_tenants(ledger, number)
        answers: list[Answer] = []
        if companies:
            refuse_without_credentials(settings, "Nothing was proved, because Fortnox cannot be asked")
            tell_wait(f"Reading the invoices of {count(len(companies), 'company', 'companies')} from Fortnox ...")
            async with open_fortnox(settings, ledger) as fortnox:
                answers = await _prove_all(ledger, fortnox, companies, on or today)
    proved = list(zip(companies, answers, strict=True))
    if as_json:
        print_json([_as_item(company, answer) for company, answer in proved])
    elif not companies:
        say("There are no companies yet. Add the first: avtalsmotor tenants add --tenant-id N")
    else:
        for company, answer in proved:
            _print(company, answer, everything=everything)
    return all(isinstance(answer, Proof) and answer.is_settled for answer in answers)


async def _prove_all(ledger: Ledger, fortnox: Fortnox, companies: Sequence[Tenant], day: date) -> list[Answer]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(company: Tenant) -> Answer:
        async with turns:
            try:
                return await prove(ledger, fortnox, company, day, user())
            except (FortnoxError, NotSent) as error:
                return str(error)

    return await asyncio.gather(*(one(company) for company in companies))


def _sums(lines: Sequence[Line]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        sums[line.currency or "SEK"] += line.amount or Decimal(0)
    return dict(sorted(sums.items()))


def _by_finding(proof: Proof) -> dict[Finding, list[Line]]:
    return {finding: [line for line in proof.lines if line.finding is finding] for finding in Finding}


def _print(company: Tenant, answer: Answer, *, everything: bool) -> None:
    if isinstance(answer, str):
        heading(f"{company.name} ({company.id}): not proved")
        complain(f"{company.name} ({company.id}) could not be read, so nothing is proved of it. {answer}")
        return
    heading(f"{company.name} ({company.id}): {'all in order' if answer.is_settled else 'needs a person'}")
    say(f"What was due from {answer.since} to {answer.day}, and what is not done from before:")
    for finding, lines in _by_finding(answer).items():
        if lines or finding is Finding.PROVED:
            amounts = " and ".join(money(amount, currency) for currency, amount in _sums(lines).items())
            say(f"  {finding.value.capitalize():<12}{len(lines):>6}" + (f"   {amounts}" if amounts else ""))
    acknowledged = [line for line in answer.lines if line.mark in answer.acknowledged]
    if acknowledged:
        more = "" if everything else "; list them with --all"
        say(f"  {'Acknowledged':<12}{len(acknowledged):>6}   of those, by a person{more}")
    # First what needs a person, then the reasons that are known.
    for line in sorted(answer.lines, key=lambda line: not answer.needs_a_person(line)):
        if line.finding is Finding.PROVED or (line.mark in answer.acknowledged and not everything):
            continue
        say(f"{_about(line)}: {line.why}")
        if (seen := answer.acknowledged.get(line.mark)) is not None:
            said = f": {seen.why}" if seen.why else ""
            say(f"  Acknowledged by {seen.by} on {minute(seen.at)}{said}")
        elif answer.needs_a_person(line):
            say(f"  {line.cure} If it is all right: {how_to_acknowledge(company.id, line.mark)}")
        else:
            say(f"  {line.cure}")


async def acknowledge(number: int, mark: str, why: str) -> None:
    """A person has looked at a line of the company's newest proof."""
    async with open_session() as (_, ledger):
        tenant = await known_tenant(ledger, number)
        line = await proofs.acknowledge(ledger, tenant.id, mark, user(), why)
    say(f"Acknowledged for {tenant.name} ({tenant.id}): {line.why}")
    say(f"It needs nobody any more. List it with: avtalsmotor reconcile --tenant {tenant.id} --all")


def _about(line: Line) -> str:
    if line.finding is Finding.UNREADABLE:
        return f"UNREADABLE  {line.state}"
    word = line.finding.value if line.finding not in SETTLED else line.state.replace("_", " ")
    contract = f"contract {line.contract}" if line.contract is not None else "unknown contract"
    customer = f" ({line.customer_name})" if line.customer_name else ""
    period = f", {line.period}" if line.period else ""
    amount = f", {money(line.amount, line.currency)}" if line.amount is not None else ""
    return f"{word.upper() if line.finding not in SETTLED else word.capitalize()}  {contract}{customer}{period}{amount}"


def _as_item(company: Tenant, answer: Answer) -> dict[str, object]:
    about: dict[str, object] = {"tenant": company.id, "tenant_name": company.name}
    if isinstance(answer, str):
        return {**about, "settled": False, "error": answer, "counts": None, "sums": None, "lines": []}
    by_finding = _by_finding(answer)
    return {
        **about,
        "settled": answer.is_settled,
        "error": None,
        "from": answer.since,
        "to": answer.day,
        "counts": {finding.value: len(lines) for finding, lines in by_finding.items()},
        "sums": {finding.value: _sums(lines) for finding, lines in by_finding.items() if lines},
        "lines": [_as_line(line, answer) for line in answer.lines],
    }


def _as_line(line: Line, proof: Proof) -> dict[str, object]:
    seen = proof.acknowledged.get(line.mark)
    return {
        "mark": line.mark,
        "needs_person": proof.needs_a_person(line),
        "acknowledged": None if seen is None else {"by": seen.by, "at": seen.at, "why": seen.why},
        "finding": line.finding,
        "contract": line.contract,
        "customer_number": line.customer_number,
        "customer": line.customer_name,
        "period_start": line.period.start if line.period else None,
        "period_end": line.period.end if line.period else None,
        "due_on": line.due_on,
        "invoices": list(line.invoices),
        "billing": line.billing,
        "amount": line.amount,
        "currency": line.currency or "SEK",
        "state": line.state,
        "reason": line.reason,
        "why": line.why,
        "cure": line.cure,
    }
