"""What a person decides about billings, on both databases: approve, retry, skip, and what is not possible."""

from datetime import UTC, datetime, timedelta

from avtalsmotor.cli.session import user
from common.ids import BillingId, TenantId
from common.ledger import billings, blocks
from common.ledger.billings import Answer, Park
from common.ledger.database import Ledger
from common.ledger.records import Billing, Claim
from common.rules.reasons import Reason
from common.rules.states import Status, Step
from tests.databases import database_url
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT

__all__ = ["database_url"]


async def status_of(ledger: Ledger, billing: BillingId) -> Status:
    found = await billings.get(ledger, billing)
    assert found is not None
    return found.status


async def call(ledger: Ledger, billing: Billing, answer: Answer, to: Park) -> None:
    claim = await billings.claim(
        ledger,
        billing.id,
        billing.step,
        by="test",
        lease=timedelta(minutes=1),
        token_expires_at=datetime.now(UTC) + timedelta(hours=1),
        newest_invoice=None,
    )
    assert isinstance(claim, Claim)
    assert await billings.settle(ledger, claim, answer, to)


async def park(ledger: Ledger, billing: Billing, reason: Reason = Reason.RECIPIENT_MISSING) -> None:
    assert await billings.move(ledger, billing.id, Step.CREATE, Park(reason), "test")


async def test_billings_are_listed_with_step_status_and_the_reason_in_words(
    bureau: Shell, planned: list[Billing]
) -> None:
    listed = (await bureau("billings", "list", "--json")).json
    assert [(one["contract"], one["step"], one["status"], one["reason"]) for one in listed] == [
        (1, "create", "waiting", None),
        (2, "create", "waiting", None),
        (3, "create", "held", "amount_zero"),
    ]
    assert listed[0]["tenant_name"] == "Nordlunds IT-drift AB"
    assert listed[2]["why"].startswith("The contract's total is zero")
    assert listed[2]["cure"].startswith("Check the rows of the contract")
    shown = (await bureau("billings", "list", "--status", "held")).out.splitlines()
    assert shown[1] == f"Nordlunds IT-drift AB ({TENANT})"
    assert len(shown) == 4
    assert shown[3].endswith("create  held    amount_zero")


async def test_a_list_is_narrowed_by_everything_that_is_said(bureau: Shell, planned: list[Billing]) -> None:
    async def contracts(*words: str | int) -> list[int]:
        return [one["contract"] for one in (await bureau("billings", "list", "--json", *words)).json]

    assert await contracts("--tenant", TENANT) == [1, 2, 3]
    assert await contracts("--contract", 2) == [2]
    assert await contracts("--status", "held", "--status", "waiting", "--step", "create") == [1, 2, 3]
    assert await contracts("--step", "deliver") == []
    assert await contracts("--limit", 1) == [1]
    assert "There are more than these 1" in (await bureau("billings", "list", "--limit", 1)).out
    assert "no such billings" in (await bureau("billings", "list", "--status", "voided")).out


async def test_a_billing_is_shown_with_its_calls_and_its_history(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    refused = Answer("rejected", http_status=400, code=2000433, message="Kan inte hitta kunden.", x_uid="abc-1")
    await call(ledger, planned[0], refused, Park(Reason.REFUSED, {"message": "Kan inte hitta kunden."}))
    shown = (await bureau("billings", "show", planned[0].id, "--json")).json
    assert [(one["http_status"], one["code"], one["verdict"], one["x_uid"]) for one in shown["attempts"]] == [
        (400, 2000433, "rejected", "abc-1")
    ]
    assert shown["audit"][0]["action"] == "planned"
    assert shown["audit"][-1]["after"]["status"] == "parked"
    text = (await bureau("billings", "show", planned[0].id)).out
    for told in ("Kan inte hitta kunden.", "code 2000433", "X-Uid abc-1", "Fortnox did nothing", "create, parked"):
        assert told in text
    assert "What to do" in text


async def test_the_history_is_a_line_an_entry_in_words(bureau: Shell, planned: list[Billing], ledger: Ledger) -> None:
    refused = Answer("rejected", http_status=400, code=2000433, message="Kan inte hitta kunden.", x_uid="abc-1")
    await call(ledger, planned[0], refused, Park(Reason.REFUSED, {"message": "Kan inte hitta kunden."}))
    await bureau("billings", "retry", planned[0].id)
    await bureau("billings", "skip", planned[0].id, "--why", "invoiced by hand")
    await bureau("billings", "approve", planned[2].id)
    shown = (await bureau("billings", "show", planned[0].id)).out.split("What happened to it\n")[1].splitlines()
    assert shown == [
        "2026-12-01 06:00 test: planned, due 2026-12-01, 375.00 SEK",
        "2026-12-01 06:00 test: taken up by a worker at create",
        '2026-12-01 06:00 test: parked at create, Fortnox refused: "Kan inte hitta kunden."',
        f"2026-12-01 06:00 {user()}: to be tried again, by a person, now at create, waiting",
        f"2026-12-01 06:00 {user()}: skipped at create, why: invoiced by hand",
    ]
    held = (await bureau("billings", "show", planned[2].id)).out
    assert "planned, due 2026-12-01, 0.00 SEK, held: the contract's total is zero" in held
    assert "approved, now at create, waiting, a yes to: the contract's total is zero" in held
    assert "{" not in held


async def test_approving_sets_a_held_billing_waiting(bureau: Shell, planned: list[Billing], ledger: Ledger) -> None:
    answer = await bureau("billings", "approve", planned[2].id)
    assert (answer.status, answer.out) == (0, f"1 billing approved: {planned[2].id}.\n")
    assert await status_of(ledger, planned[2].id) is Status.WAITING


async def test_what_is_not_possible_for_one_stops_none_of_the_others_and_fails_the_command(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    answer = await bureau("billings", "approve", planned[0].id, 999, planned[2].id)
    assert answer.status == 1
    assert f"1 billing approved: {planned[2].id}." in answer.out
    assert f"Billing {planned[0].id} cannot be approved: it is waiting" in answer.err
    assert f"See what it needs: avtalsmotor billings show {planned[0].id}\n" in answer.err
    assert "There is no billing 999 in the ledger." in answer.err
    assert await status_of(ledger, planned[2].id) is Status.WAITING


async def test_all_that_stand_still_for_a_reason_are_taken_together(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    for billing in planned[:2]:
        await park(ledger, billing)
    none = await bureau("billings", "retry", "--all", "--reason", "refused")
    assert (none.status, none.out) == (0, "Nothing that this concerns is parked.\n")
    answer = await bureau("billings", "retry", "--all", "--reason", "recipient-missing", "--tenant", TENANT)
    assert answer.status == 0
    assert answer.out.startswith("2 billings tried again: ")
    assert [await status_of(ledger, one.id) for one in planned] == [Status.WAITING, Status.WAITING, Status.HELD]


async def test_a_reason_that_there_is_not_is_answered_with_those_there_are(
    bureau: Shell, planned: list[Billing]
) -> None:
    answer = await bureau("billings", "retry", "--all", "--reason", "bad_luck")
    assert answer.status == 1
    assert "bad_luck is not a reason" in answer.err
    assert "bank_details_missing" in answer.err


async def test_where_a_company_is_stopped_the_first_retried_is_tried_alone(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    for billing in planned[:2]:
        await park(ledger, billing, Reason.LICENCE_MISSING)
    answer = await bureau("billings", "retry", "--all")
    assert answer.status == 0
    assert f"Billing {planned[0].id} is tried first; the others of company {TENANT} follow" in answer.out
    assert [stop.probe for stop in await blocks.every(ledger, TenantId(TENANT))] == [planned[0].id]


async def test_a_call_that_may_have_taken_effect_is_never_retried(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    await call(ledger, planned[0], Answer(None), Park(Reason.REFUSED))
    assert await status_of(ledger, planned[0].id) is Status.IN_DOUBT
    answer = await bureau("billings", "retry", planned[0].id)
    assert answer.status == 1
    assert "may have taken effect" in answer.err
    assert await status_of(ledger, planned[0].id) is Status.IN_DOUBT


async def test_skipping_is_final_and_its_reason_is_in_the_history(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    answer = await bureau("billings", "skip", planned[2].id, "--why", "invoiced by hand")
    assert answer.status == 0
    assert await status_of(ledger, planned[2].id) is Status.SKIPPED
    assert "invoiced by hand" in (await bureau("billings", "show", planned[2].id)).out
    again = await bureau("billings", "skip", planned[2].id, "--why", "again")
    assert again.status == 1
    assert "cannot be skipped" in again.err


async def test_an_unknown_billing_is_an_error_that_says_how_to_find_it(bureau: Shell, planned: list[Billing]) -> None:
    for words in (("show", 4711), ("retry", 4711), ("approve", 4711), ("skip", 4711, "--why", "x")):
        answer = await bureau("billings", *words)
        assert answer.status == 1
        assert (
            "There is no billing 4711 in the ledger. See which there are with `avtalsmotor billings list`."
            in answer.err
        )
