"""The policy on the command line: four levels, the most specific decides, and everybody can see which."""

from typing import Any

import pytest

from common.ids import TenantId
from common.ledger import audit, policies
from common.ledger.database import Ledger
from common.ledger.records import Billing
from common.rules.policy import PolicyChoice
from tests.databases import database_url
from tests.integration.cli.conftest import Shell
from tests.sandboxes import TENANT, Sandbox

__all__ = ["database_url"]


async def decided(shell: Shell, *words: str | int) -> dict[str, tuple[Any, str]]:
    shown = (await shell(*words, "--json")).json
    return {field: (value, shown["decided_by"][field]) for field, value in shown["policy"].items()}


async def test_each_level_overrides_the_one_above_and_is_named(
    bureau: Shell, planned: list[Billing], ledger: Ledger
) -> None:
    assert (await bureau("policy", "--bookkeep", "--lead-days", "10", "--deliver", "email")).status == 0
    assert (await bureau("tenants", "policy", TENANT, "--lead-days", "5", "--deliver", "none")).status == 0
    assert (await bureau("contracts", "policy", TENANT, 1, "--deliver", "finance")).status == 0

    of_bureau = await decided(bureau, "policy")
    assert of_bureau["lead_days"] == (10, "bureau")
    assert of_bureau["mode"] == ("proposal", "default")
    of_tenant = await decided(bureau, "tenants", "policy", TENANT)
    assert of_tenant["mode"] == ("live", "tenant")
    assert of_tenant["bookkeep"] == (True, "bureau")
    assert of_tenant["lead_days"] == (5, "tenant")
    of_contract = await decided(bureau, "contracts", "policy", TENANT, 1)
    assert of_contract["deliver"] == ("finance", "contract")
    assert of_contract["lead_days"] == (5, "tenant")
    assert of_contract["catch_up"] == ("hold", "default")


async def test_a_template_s_choice_is_shown_as_the_template_s(
    bureau: Shell, sandbox: Sandbox, planned: list[Billing]
) -> None:
    await sandbox.contract(number=9, template_number=7)
    await bureau("plan")
    answer = await bureau("templates", "policy", TENANT, 7, "--bookkeep")
    assert (answer.status, answer.err) == (0, "")
    assert "1 contract has this template now" in answer.out
    assert (await decided(bureau, "templates", "policy", TENANT, 7))["bookkeep"] == (True, "template")
    assert (await decided(bureau, "templates", "policy", TENANT, 7))["mode"] == ("live", "tenant")
    assert (await decided(bureau, "contracts", "policy", TENANT, 9))["bookkeep"] == (True, "template")
    assert (await decided(bureau, "contracts", "policy", TENANT, 1))["bookkeep"] == (False, "default")
    await bureau("templates", "policy", TENANT, 7, "--unset", "bookkeep")
    assert (await decided(bureau, "contracts", "policy", TENANT, 9))["bookkeep"] == (False, "default")


async def test_the_templates_of_a_company_s_contracts_are_listed(
    bureau: Shell, sandbox: Sandbox, planned: list[Billing]
) -> None:
    for number, template in ((9, 12), (10, 7), (11, 12)):
        await sandbox.contract(number=number, template_number=template)
    await bureau("plan")
    await bureau("templates", "policy", TENANT, 12, "--bookkeep", "--deliver", "none")
    named = {"tenant": TENANT, "tenant_name": "Nordlunds IT-drift AB"}
    assert (await bureau("templates", "list", "--tenant", TENANT, "--json")).json == [
        {**named, "template": "7", "contracts": 1, "active": 1, "said": {}},
        {**named, "template": "12", "contracts": 2, "active": 2, "said": {"bookkeep": True, "deliver": "none"}},
        {**named, "template": None, "contracts": 3, "active": 3, "said": {}},
    ]
    shown = (await bureau("templates", "list")).out
    assert f"Nordlunds IT-drift AB ({TENANT})\n" in shown
    assert "      12          2       2  bookkeep yes, deliver none\n" in shown
    facts = (await bureau("contracts", "show", TENANT, 11)).out.splitlines()
    assert ["Template", "12"] in [line.split() for line in facts]


async def test_a_template_that_no_contract_has_is_refused_with_those_there_are(
    bureau: Shell, sandbox: Sandbox, planned: list[Billing], ledger: Ledger
) -> None:
    answer = await bureau("templates", "policy", TENANT, 8, "--bookkeep")
    assert answer.status == 1
    assert f"No contract of Nordlunds IT-drift AB ({TENANT}) has the template 8" in answer.err
    assert "None that was read has a template." in answer.err
    for number, template in ((9, 12), (10, 7), (11, 12)):
        await sandbox.contract(number=number, template_number=template)
    await bureau("plan")
    for said in (("--bookkeep",), ()):
        answer = await bureau("templates", "policy", TENANT, 8, *said)
        assert (answer.status, answer.out) == (1, "")
        assert "The templates that they have: 7 (1 contract), 12 (2 contracts)." in answer.err
        assert "with --force" in answer.err
    assert await policies.get(ledger, "template", tenant=TenantId(TENANT), template="8") == PolicyChoice()


async def test_a_template_may_get_its_rules_before_its_first_contract(
    bureau: Shell, sandbox: Sandbox, planned: list[Billing]
) -> None:
    assert (await bureau("templates", "policy", TENANT, 8, "--bookkeep", "--force")).status == 0
    assert (await decided(bureau, "templates", "policy", TENANT, 8))["bookkeep"] == (True, "template")
    listed = (await bureau("templates", "list", "--json")).json
    assert [(one["template"], one["contracts"], one["said"]) for one in listed] == [
        ("8", 0, {"bookkeep": True}),
        (None, 3, {}),
    ]
    await sandbox.contract(number=9, template_number=8)
    await bureau("plan")
    assert (await decided(bureau, "contracts", "policy", TENANT, 9))["bookkeep"] == (True, "template")


async def test_what_is_unset_is_decided_by_the_level_above(bureau: Shell, planned: list[Billing]) -> None:
    await bureau("policy", "--invoice-day", "last")
    await bureau("tenants", "policy", TENANT, "--invoice-day", "15", "--bookkeep")
    answer = await bureau("tenants", "policy", TENANT, "--unset", "invoice-day", "--unset", "bookkeep")
    assert answer.status == 0
    after = await decided(bureau, "tenants", "policy", TENANT)
    assert after["invoice_day"] == ("last", "bureau")
    assert after["bookkeep"] == (False, "default")


async def test_looking_changes_nothing(bureau: Shell, planned: list[Billing], ledger: Ledger) -> None:
    before = len(await audit.entries(ledger))
    said = ("policy", "explain", "--tenant", TENANT)
    for words in (("policy",), ("tenants", "policy", TENANT), ("contracts", "policy", TENANT, 1), said):
        answer = await bureau(*words)
        assert answer.status == 0
        assert "Changed." not in answer.out
    assert len(await audit.entries(ledger)) == before


async def test_a_change_says_when_it_acts(bureau: Shell) -> None:
    assert "What is more cautious than before holds at once" in (await bureau("policy", "--bookkeep")).out


async def test_the_policy_is_shown_in_words_that_can_be_typed(bureau: Shell) -> None:
    said = ("--bookkeep", "--deliver-from", "07:30", "--deliver-on", "banking_days", "--invoice-day", "last")
    shown = (await bureau("policy", *said)).out
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[1:16]}
    assert lines["bookkeep"] == ["yes", "bureau"]
    assert lines["deliver-from"] == ["07:30", "bureau"]
    assert lines["deliver-on"] == ["banking_days", "bureau"]
    assert lines["invoice-day"] == ["last", "bureau"]
    assert lines["allow-zero"] == ["no", "default"]


async def test_each_rule_of_a_contract_is_explained_by_what_every_level_says(
    bureau: Shell, sandbox: Sandbox, planned: list[Billing]
) -> None:
    await sandbox.contract(number=9, template_number=7)
    await bureau("plan")
    await bureau("policy", "--deliver-from", "07:30", "--invoice-day", "last", "--deliver", "email")
    await bureau("tenants", "policy", TENANT, "--lead-days", "5", "--bookkeep")
    await bureau("templates", "policy", TENANT, 7, "--no-bookkeep")
    await bureau("contracts", "policy", TENANT, 9, "--deliver", "none")

    words = ("policy", "explain", "--tenant", TENANT, "--contract", 9)
    shown = (await bureau(*words, "--json")).json
    assert (shown["tenant"], shown["contract"], shown["template"]) == (TENANT, 9, "7")
    assert shown["policy"] == (await bureau("contracts", "policy", TENANT, 9, "--json")).json["policy"]
    assert {field: (shown["decided_by"][field], said) for field, said in shown["said"].items() if len(said) > 1} == {
        "mode": ("tenant", {"default": "proposal", "tenant": "live"}),
        "bookkeep": ("template", {"default": False, "tenant": True, "template": False}),
        "deliver": ("contract", {"default": "none", "bureau": "email", "contract": "none"}),
        "deliver_from": ("bureau", {"default": "08:00", "bureau": "07:30"}),
        "lead_days": ("tenant", {"default": 0, "tenant": 5}),
        "invoice_day": ("tenant", {"default": None, "bureau": "last"}),
    }
    lines = [" ".join(line.split()) for line in (await bureau(*words)).out.splitlines()]
    assert "Template 7" in lines
    assert "bookkeep no template default no, company yes" in lines
    assert "invoice-day - company default -, bureau last" in lines
    assert "allow-zero no default" in lines


async def test_a_company_is_explained_with_what_its_contracts_say_otherwise(
    bureau: Shell, planned: list[Billing]
) -> None:
    words = ("policy", "explain", "--tenant", TENANT)
    assert (await bureau(*words)).out.endswith("What its templates and contracts say otherwise\nNothing.\n")
    await bureau("contracts", "policy", TENANT, 2, "--bookkeep", "--deliver", "none")
    await bureau("templates", "policy", TENANT, 8, "--live", "--force")
    shown = (await bureau(*words, "--json")).json
    assert shown["decided_by"]["mode"] == "tenant"
    assert shown["overridden_by"] == [
        {"level": "template", "number": "8", "said": {"mode": "live"}},
        {"level": "contract", "number": "2", "said": {"bookkeep": True, "deliver": "none"}},
    ]
    assert "contract       2  bookkeep yes, deliver none\n" in (await bureau(*words)).out
    await bureau("contracts", "policy", TENANT, 2, "--unset", "bookkeep", "--unset", "deliver")
    assert [one["level"] for one in (await bureau(*words, "--json")).json["overridden_by"]] == ["template"]


async def test_what_is_not_known_is_not_explained(bureau: Shell, planned: list[Billing]) -> None:
    assert "There is no company 1 in the ledger." in (await bureau("policy", "explain", "--tenant", 1)).err
    answer = await bureau("policy", "explain", "--tenant", TENANT, "--contract", 4711)
    assert answer.status == 1
    assert f"Contract 4711 of company {TENANT} has never been read from Fortnox." in answer.err


def test_explaining_changes_no_rule() -> None:
    answer = Shell().type("policy", "--live", "explain", "--tenant", 1)
    assert answer.status == 2
    assert "`policy explain` only shows rules, and changes none." in answer.err


async def test_a_contract_never_read_has_no_policy_to_change(bureau: Shell, planned: list[Billing]) -> None:
    answer = await bureau("contracts", "policy", TENANT, 4711, "--bookkeep")
    assert answer.status == 1
    assert f"Contract 4711 of company {TENANT} has never been read from Fortnox." in answer.err
    assert f"avtalsmotor plan --tenant {TENANT}" in answer.err


async def test_the_bureau_says_which_companies_become_live_by_its_mode(shell: Shell, ledger: Ledger) -> None:
    for number, said in ((1, ()), (2, ()), (3, ("--live",)), (4, ("--proposal",))):
        words = ("tenants", "add", "--tenant-id", number, "--name", f"Bolag {number}", "--no-check")
        assert (await shell(*words, *said)).status == 0
    await shell("tenants", "pause", 2)
    answer = await shell("policy", "--live")
    assert "2 companies become live by it (1 of them is paused, and stays so): Bolag 1 (1), Bolag 2 (2)." in answer.out
    assert "No company becomes live by it" in (await shell("policy", "--live")).out
    assert (
        "2 companies become a proposal by it: Bolag 1 (1), Bolag 2 (2)."
        in (await shell("policy", "--unset", "mode")).out
    )
    assert (await shell("policy", "--live", "--json")).json["became_live"] == [1, 2]
    assert "becomes" not in (await shell("policy", "--bookkeep")).out


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--live", "--proposal"), "--live and --proposal say one rule, which is said more than once."),
        (("--no-bookkeep", "--bookkeep"), "--bookkeep and --no-bookkeep say one rule"),
        (("--allow-zero", "--hold-zero"), "--allow-zero and --hold-zero say one rule"),
        (("--deliver", "email", "--deliver", "none"), "--deliver is said more than once."),
        (("--invoice-month", "before"), "Say the day too: --invoice-day N."),
        (("--invoice-day", "25", "--lead-days", "5"), "--invoice-day and --lead-days both say on which day"),
        (("--deliver", "finance", "--no-bookkeep"), "takes only invoices that are bookkept"),
    ],
)
@pytest.mark.parametrize(
    "command", [("policy",), ("tenants", "policy", 1), ("templates", "policy", 1, 7), ("contracts", "policy", 1, 1)]
)
def test_rules_that_contradict_each_other_are_a_usage_error_and_open_nothing(
    command: tuple[str | int, ...], typed: tuple[str, ...], told: str
) -> None:
    answer = Shell().type(*command, *typed)
    assert answer.status == 2
    assert told in answer.err
    assert "Nothing was changed." in answer.err


def test_a_company_is_not_added_with_rules_that_contradict_each_other() -> None:
    answer = Shell().type("tenants", "add", "--tenant-id", 1, "--live", "--proposal")
    assert answer.status == 2
    assert "--live and --proposal say one rule" in answer.err


def test_help_names_one_way_to_set_a_company_live() -> None:
    shown = "".join(Shell().type(*words, "--help").out for words in ((), ("tenants", "add"), ("up",)))
    assert " ".join(shown.split()).count("tenants policy N --live") == 3
    assert "tenants resume" not in shown
