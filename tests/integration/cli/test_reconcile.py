"""`avtalsmotor reconcile`: what Fortnox' books show is compared with what the ledger has, through the real commands."""

from datetime import timedelta
from typing import Any

import pytest

from common import mirror
from common.fortnox import models
from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.ledger import audit, billings, blocks, tenants
from common.ledger.billings import Answer, Doubt, Hold, Made, Park
from common.ledger.database import Ledger
from common.ledger.records import Billing, Claim
from common.rules.reasons import Reason
from common.rules.states import Step
from producers.planner import insert_due
from sandbox.books import By
from tests.integration.cli.conftest import Answer as Said
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT, Sandbox

DECEMBER: dict[str, Any] = {"period_start": "2026-12-01", "period_end": "2026-12-31"}
MINE = TenantId(TENANT)


@pytest.fixture
async def company(bureau: Shell, sandbox: Sandbox) -> Sandbox:
    """A live company with one contract that is due today, read once; an invoice of before is history."""
    await sandbox.company(name="Nordlund")
    await by_hand(sandbox, "write_invoice", customer="1", rows=[{"article_number": "A1", "quantity": "1"}])
    await sandbox.contract(**DECEMBER)
    assert (await bureau("tenants", "add", "--tenant-id", TENANT, "--live")).status == 0
    assert (await bureau("plan")).status == 0
    return sandbox


async def by_hand(sandbox: Sandbox, action: str, **deed: Any) -> dict[str, Any]:
    """A person's click in Fortnox."""
    done = await sandbox.control("POST", f"companies/{TENANT}/person", {"action": action, **deed})
    return dict(next(iter(done.values())))


async def planned(ledger: Ledger, contract: int = 1) -> Billing:
    await insert_due(ledger, MINE, ledger.clock.today(), "test")
    return (await billings.find(ledger, tenant=MINE, contract=ContractNumber(contract)))[-1]


async def called(ledger: Ledger, billing: Billing) -> Claim:
    claim = await billings.claim(
        ledger,
        billing.id,
        billing.step,
        by="test",
        lease=timedelta(minutes=2),
        token_expires_at=ledger.clock.now() + timedelta(hours=1),
        newest_invoice=InvoiceNumber(1),
    )
    assert isinstance(claim, Claim)
    return claim


async def invoiced(sandbox: Sandbox, ledger: Ledger, contract: int = 1, *, read_later: float = 0) -> int:
    """The billing of the contract is carried out as a worker does it; returns the invoice's number."""
    billing = await planned(ledger, contract)
    claim = await called(ledger, billing)
    await sandbox.put(f"contracts/{contract}/createinvoice?invoicedate={billing.invoice_date}")
    number = max(sandbox.world.companies[TENANT].invoices)
    shown = models.Invoice.model_validate((await sandbox.get(f"invoices/{number}"))["Invoice"])
    invoice = mirror.invoice(MINE, shown, ledger.clock.now() + timedelta(seconds=read_later))
    assert await billings.settle(ledger, claim, Answer("acted", 200), Made(invoice))
    return number


async def lines(answer: Said) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.json[0]["lines"]
    return found


async def found(bureau: Shell, *words: str | int) -> list[tuple[str, int | None, list[int]]]:
    answer = await bureau("reconcile", "--json", *words)
    assert answer.err == ""
    assert answer.status == (0 if all(one["settled"] for one in answer.json) else 1)
    return [(line["finding"], line["contract"], line["invoices"]) for line in await lines(answer)]


async def test_a_period_with_one_live_invoice_is_proved(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    number = await invoiced(company, ledger)
    assert await found(bureau) == [("proved", 1, [number])]
    answer = await bureau("reconcile")
    assert answer.status == 0
    assert f"Nordlund ({TENANT}): all in order" in answer.out
    assert "Proved           1   125.00 SEK" in answer.out


async def test_what_was_there_before_the_company_is_history(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    noted = next(one for one in await audit.entries(ledger) if one.action == tenants.HISTORY_NOTED)
    assert noted.after == {"newest_invoice": 1}
    invoice = company.world.companies[TENANT].invoices[1]
    invoice.invoice_type, invoice.contract_reference = "AGREEMENTINVOICE", 1
    assert [finding for finding, *_ in await found(bureau)] == ["explained"]


async def test_an_invoice_of_after_that_by_hand_is_found_although_newer_ones_are_known(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await company.contract(period_start="2027-02-01", period_end="2027-02-28")
    by_person = await by_hand(company, "create_invoice", contract=2)
    number = await invoiced(company, ledger)
    await tenants.see_invoices(ledger, MINE, InvoiceNumber(number))
    assert await found(bureau) == [
        ("proved", 1, [number]),
        ("handmade", 2, [int(by_person["DocumentNumber"])]),
    ]


async def test_a_doubled_invoice_is_found(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    number = await invoiced(company, ledger)
    await by_hand(company, "set_period", contract=1, **DECEMBER)
    again = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    assert ("doubled", 1, [number, again]) in await found(bureau)
    told = await bureau("reconcile")
    assert told.status == 1
    assert f"The period has 2 live invoices: {number} and {again}." in told.out
    assert "cancel or credit the other there" in told.out


@pytest.mark.parametrize("deed", ["cancel", "credit"])
async def test_a_doubled_invoice_that_was_cancelled_or_credited_is_doubled_no_more(
    bureau: Shell, company: Sandbox, ledger: Ledger, deed: str
) -> None:
    number = await invoiced(company, ledger)
    await by_hand(company, "set_period", contract=1, **DECEMBER)
    again = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    assert (await bureau("reconcile")).status == 1
    await by_hand(company, deed, invoice=again)
    assert await found(bureau) == [("proved", 1, [number])]


async def test_invoices_that_share_days_are_found(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    number = await invoiced(company, ledger)
    await by_hand(company, "set_period", contract=1, period_start="2026-12-15", period_end="2027-01-14")
    again = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    shown = await found(bureau)
    assert ("proved", 1, [number]) in shown
    assert ("overlapping", 1, [number, again]) in shown


async def test_a_period_that_was_due_and_never_planned_is_missing(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await company.contract(period_start="2026-11-20", period_end="2026-12-19")
    answer = await bureau("reconcile", "--json")
    assert answer.status == 1
    today, late = await lines(answer)
    assert (today["finding"], today["state"]) == ("explained", "waiting")
    assert (late["finding"], late["contract"], late["state"]) == ("missing", 2, "not_planned")
    assert "See that `avtalsmotor up` runs" in late["cure"]


async def test_a_billing_that_has_waited_since_before_today_for_no_known_reason_is_missing(
    bureau: Shell, company: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clock_shift: float
) -> None:
    await planned(ledger)
    assert [finding for finding, *_ in await found(bureau)] == ["explained"]
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift + 86_400))
    company.world.clock.move(timedelta(days=1))
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["state"]) == ("missing", "waiting")
    assert line["why"] == "It waits to be invoiced since 2026-12-01, and nothing is known that stops it."


async def test_an_invoice_that_fortnox_no_longer_shows_is_missing(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    number = await invoiced(company, ledger)
    del company.world.companies[TENANT].invoices[number]
    assert await found(bureau) == [("missing", 1, [number])]


async def test_days_that_a_moved_period_has_passed_over_are_missing(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await company.contract(period_start="2026-10-01", period_end="2026-10-31")
    await bureau("tenants", "policy", TENANT, "--catch-up", "invoice")
    await bureau("plan")
    number = await invoiced(company, ledger, contract=2)
    await by_hand(company, "set_period", contract=2, period_start="2027-01-01", period_end="2027-01-31")
    _, made, gap = await lines(await bureau("reconcile", "--json"))
    assert (made["finding"], made["invoices"]) == ("proved", [number])
    assert (gap["finding"], gap["state"]) == ("missing", "passed_over")
    assert (gap["period_start"], gap["period_end"]) == ("2026-11-01", "2026-12-31")


async def test_a_person_s_invoice_of_a_period_is_found(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    number = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    assert await found(bureau) == [("handmade", 1, [number])]
    assert "Handmade         1   125.00 SEK" in (await bureau("reconcile")).out


async def test_a_person_s_invoice_is_found_while_its_billing_waits(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await planned(ledger)
    number = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    assert await found(bureau) == [("handmade", 1, [number])]


async def test_a_person_s_invoice_that_was_taken_in_is_explained(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    billing = await planned(ledger)
    number = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    shown = models.Invoice.model_validate((await company.get(f"invoices/{number}"))["Invoice"])
    invoice = mirror.invoice(MINE, shown, ledger.clock.now())
    assert await billings.move(ledger, billing.id, Step.CREATE, Made(invoice, handmade=True), "test")
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["state"], line["invoices"]) == ("explained", "handmade", [number])


async def test_where_nothing_is_invoiced_from_here_a_person_s_invoice_is_explained(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await bureau("contracts", "pause", TENANT, 1)
    number = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    assert await found(bureau) == [("explained", 1, [number])]


async def test_an_invoice_of_another_type_is_looked_at_before_its_period_is_called_missing(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await company.contract(period_start="2026-11-20", period_end="2026-12-19")
    number = int((await by_hand(company, "create_invoice", contract=2))["DocumentNumber"])
    company.world.companies[TENANT].invoices[number].invoice_type = "INVOICE"
    await by_hand(company, "set_period", contract=2, period_start="2026-11-20", period_end="2026-12-19")
    assert ("handmade", 2, [number]) in await found(bureau)


async def test_a_contract_s_invoice_that_does_not_say_which_is_found(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    number = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    company.world.companies[TENANT].invoices[number].contract_reference = 0
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["contract"], line["invoices"]) == ("handmade", None, [number])


async def test_an_edited_invoice_is_found(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    number = await invoiced(company, ledger)
    row = (await company.get(f"invoices/{number}"))["Invoice"]["InvoiceRows"][0]
    changed = {"InvoiceRows": [{"RowId": row["RowId"], "Price": 200}], "InvoiceDate": "2026-12-02"}
    await company.put(f"invoices/{number}", {"Invoice": changed})
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["state"], line["amount"]) == ("differs", "amount date", "250.00")
    assert "amount is 250.00 instead of 125.00; date is 2026-12-02 instead of 2026-12-01" in line["why"]


async def test_an_invoice_made_after_the_list_was_asked_for_is_known_from_its_own_answer(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    number = await invoiced(company, ledger, read_later=60)
    del company.world.companies[TENANT].invoices[number]
    assert await found(bureau) == [("proved", 1, [number])]


@pytest.mark.parametrize("inherits", [True, False])
@pytest.mark.parametrize(("deed", "reason"), [("cancel", "cancelled"), ("credit", "credited")])
async def test_an_invoice_that_a_person_ended_is_explained(
    bureau: Shell, company: Sandbox, ledger: Ledger, deed: str, reason: str, inherits: bool
) -> None:
    company.world.behaviour.credit_inherits_contract = inherits
    number = await invoiced(company, ledger)
    assert (await bureau("reconcile")).status == 0
    await by_hand(company, deed, invoice=number)
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["reason"], line["invoices"]) == ("explained", reason, [number])


@pytest.mark.parametrize(
    ("to", "state"),
    [(Park(Reason.REFUSED), "parked"), (Hold(Reason.AMOUNT_ZERO), "held"), (Doubt(Reason.NO_ANSWER), "in_doubt")],
)
async def test_what_waits_for_a_person_or_for_evidence_is_explained(
    bureau: Shell, company: Sandbox, ledger: Ledger, to: Any, state: str
) -> None:
    billing = await planned(ledger)
    answer = Answer(None) if isinstance(to, Doubt) else Answer("rejected", 400)
    await billings.settle(ledger, await called(ledger, billing), answer, to)
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["state"], line["billing"]) == ("explained", state, billing.id)
    assert line["why"]
    assert line["cure"]


async def test_an_invoice_that_is_still_looked_for_is_not_called_a_person_s(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    billing = await planned(ledger)
    claim = await called(ledger, billing)
    await company.put("contracts/1/createinvoice?invoicedate=2026-12-01")
    await billings.settle(ledger, claim, Answer(None), Doubt(Reason.NO_ANSWER))
    assert [finding for finding, *_ in await found(bureau)] == ["explained"]


async def test_skipped_paused_stopped_and_proposed_are_explained(
    bureau: Shell, company: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clock_shift: float
) -> None:
    for _ in range(2):
        await company.contract(**DECEMBER)
    await bureau("plan")
    await planned(ledger)
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift + 86_400))
    company.world.clock.move(timedelta(days=1))
    first, second, _ = await billings.find(ledger, tenant=MINE)
    await billings.skip(ledger, first.id, "anna", "paid in cash")
    await bureau("contracts", "pause", TENANT, second.contract)
    await blocks.put(ledger, MINE, Step.CREATE, Reason.LICENCE_MISSING, {}, "test")
    told = await lines(await bureau("reconcile", "--json"))
    assert [line["state"] for line in told] == ["skipped", "paused", "stopped"]
    assert told[0]["why"] == "A person skipped it: paid in cash."
    assert told[2]["reason"] == "licence_missing"
    await blocks.clear(ledger, MINE, Step.CREATE, Reason.LICENCE_MISSING, "test")
    await bureau("tenants", "policy", TENANT, "--proposal")
    answer = await bureau("reconcile", "--json")
    assert answer.status == 0
    assert [line["state"] for line in await lines(answer)] == ["skipped", "paused", "proposal"]


async def test_a_second_look_reads_no_invoice_again(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    await invoiced(company, ledger)
    await by_hand(company, "create_invoice", contract=1)
    await found(bureau)
    await company.control("DELETE", "requests")
    await found(bureau)
    asked = [one["path"] for one in await company.requests() if one["path"].startswith("/3/")]
    assert asked == ["/3/contracts", "/3/invoices"]


async def test_proving_changes_nothing_in_fortnox_and_no_billing(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await by_hand(company, "create_invoice", contract=1)
    before = [one.id for one in await audit.entries(ledger)]
    await bureau("reconcile")
    assert {one["method"] for one in await company.requests() if one["path"].startswith("/3/")} == {"GET"}
    (entry,) = [one for one in await audit.entries(ledger) if one.id not in before]
    assert (entry.action, entry.after["handmade"], entry.after["day"]) == ("reconciled", 1, "2026-12-01")
    assert await billings.find(ledger) == []
    assert all(one.created_by is not By.API for one in company.world.companies[TENANT].invoices.values())


async def test_an_old_invoice_is_read_again_when_a_new_one_shares_its_days(
    bureau: Shell, company: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clock_shift: float
) -> None:
    old = await invoiced(company, ledger)
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift + 120 * 86_400))
    company.world.clock.move(timedelta(days=120))
    await by_hand(company, "finish", contract=1)
    assert await found(bureau) == []
    await by_hand(company, "activate", contract=1)
    await by_hand(company, "set_period", contract=1, **DECEMBER)
    new = int((await by_hand(company, "create_invoice", contract=1))["DocumentNumber"])
    await by_hand(company, "finish", contract=1)
    assert await found(bureau) == [("doubled", 1, [old, new])]
    await by_hand(company, "cancel", invoice=old)
    assert await found(bureau) == [("handmade", 1, [new])]


async def test_what_is_not_done_is_told_however_old_it_is(
    bureau: Shell, company: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clock_shift: float
) -> None:
    await company.contract(**DECEMBER)
    await bureau("tenants", "policy", TENANT, "--deliver", "email", "--deliver-from", "any")
    await bureau("plan")
    billing = await planned(ledger)
    await billings.settle(ledger, await called(ledger, billing), Answer("rejected", 400), Park(Reason.REFUSED))
    not_sent = await invoiced(company, ledger, contract=2)
    for contract in (1, 2):
        await by_hand(company, "finish", contract=contract)
    monkeypatch.setenv("AVTALSMOTOR_CLOCK_SHIFT", repr(clock_shift + 120 * 86_400))
    company.world.clock.move(timedelta(days=120))
    assert await found(bureau) == [("explained", 1, []), ("explained", 2, [not_sent])]


async def test_an_invoice_that_cannot_be_understood_leaves_nothing_settled(
    bureau: Shell, company: Sandbox, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await invoiced(company, ledger)
    rows = [{"article_number": "A1", "quantity": "1"}]
    number = int((await by_hand(company, "write_invoice", customer="1", rows=rows))["DocumentNumber"])
    company.world.companies[TENANT].invoices[number].invoice_date = "when?"  # type: ignore[assignment]
    monkeypatch.setattr("sandbox.invoice_shapes.day", str)
    answer = await bureau("reconcile")
    assert answer.status == 1
    assert f"UNREADABLE  invoice {number}" in answer.out


async def test_what_is_not_due_by_the_day_is_not_asked_for(bureau: Shell, company: Sandbox, ledger: Ledger) -> None:
    await invoiced(company, ledger)
    assert await found(bureau, "--date", "2026-11-30") == []
    assert [finding for finding, *_ in await found(bureau, "--date", "2026-12-01")] == ["proved"]


async def test_a_day_to_come_is_refused(bureau: Shell, company: Sandbox) -> None:
    answer = await bureau("reconcile", "--date", "2026-12-02")
    assert answer.status == 1
    assert "2026-12-02 is still to come" in answer.err


async def test_a_company_that_cannot_be_read_is_not_proved(bureau: Shell, company: Sandbox) -> None:
    await company.fault(kind="error", method="GET", path="/3/invoices", status=403)
    answer = await bureau("reconcile")
    assert answer.status == 1
    assert "could not be read, so nothing is proved of it." in answer.err
    assert (await bureau("reconcile", "--json")).json[0]["settled"] is False


async def test_a_line_that_a_person_acknowledges_needs_nobody_until_it_is_another(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await invoiced(company, ledger)
    company.world.companies[TENANT].invoices[2].invoice_date += timedelta(days=1)
    (line,) = await lines(await bureau("reconcile", "--json"))
    assert (line["finding"], line["needs_person"], line["acknowledged"]) == ("differs", True, None)
    said = await bureau("reconcile", "acknowledge", TENANT, line["mark"], "--why", "the customer asked")
    assert said.status == 0
    answer = await bureau("reconcile", "--json")
    assert answer.status == 0
    (line,) = await lines(answer)
    assert (line["needs_person"], line["acknowledged"]["why"]) == (False, "the customer asked")

    company.world.companies[TENANT].invoices[2].invoice_date += timedelta(days=1)
    assert (await bureau("reconcile")).status == 1


async def test_a_line_that_is_not_there_or_is_acknowledged_cannot_be_acknowledged(
    bureau: Shell, company: Sandbox, ledger: Ledger
) -> None:
    await by_hand(company, "create_invoice", contract=1)
    answer = await bureau("reconcile", "acknowledge", TENANT, "00000000", "--why", "x")
    assert (answer.status, "has no line 00000000" in answer.err) == (1, True)
    mark = next(one["mark"] for one in await lines(await bureau("reconcile", "--json")) if one["needs_person"])
    assert (await bureau("reconcile", "acknowledge", TENANT, mark, "--why", "x")).status == 0
    again = await bureau("reconcile", "acknowledge", TENANT, mark, "--why", "x")
    assert (again.status, "is acknowledged already" in again.err) == (1, True)
