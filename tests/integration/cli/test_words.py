"""What may be typed: the help, the policy options, and what is refused before anything is opened."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from avtalsmotor.cli.app import SECTIONS, app
from avtalsmotor.cli.policy_options import OPTIONS, PolicyOption, Said
from common.rules.policy import Policy, PolicyChoice
from tests.integration.cli.conftest import Shell

HEAVY = {"aiohttp", "alembic", "asyncio", "dramatiq", "pydantic", "pydantic_settings", "redis", "rich", "sqlalchemy"}


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    if group is None:
        group = get_command(app)
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            if command.invoke_without_command:
                yield " ".join((*path, name)), command
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_help_imports_nothing_heavy() -> None:
    script = f"import avtalsmotor.cli.app, sys; print(*{HEAVY} & set(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert imported.stdout.split() == []


def test_help_shows_every_command_once_under_a_heading_and_cuts_no_line() -> None:
    shown = Shell().type("--help").out.replace("[ARGS]...", "")
    assert "..." not in shown
    named = [name for names in SECTIONS.values() for name in names]
    assert sorted(named) == sorted(get_command(app).commands)  # type: ignore[attr-defined]
    for name in named:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize(
    "group", ["tenants", "contracts", "billings", "ledger", "audit", "secrets", "policy", "templates"]
)
def test_a_group_s_help_cuts_no_line(group: str) -> None:
    assert "..." not in Shell().type(group, "--help").out.replace("[ARGS]...", "")


def test_whatever_lists_or_shows_also_speaks_json() -> None:
    shows = {"list", "show", "policy", "explain", "plan", "status", "reconcile"}
    without = [
        name
        for name, command in commands()
        if name.split()[-1] in shows and "--json" not in [flag for one in command.params for flag in one.opts]
    ]
    assert without == []


def test_every_rule_of_a_policy_can_be_typed_and_no_other() -> None:
    assert [option.field for option in OPTIONS] == list(PolicyChoice.model_fields) == list(Policy.model_fields)


@pytest.mark.parametrize("command", ["tenants add", "tenants policy", "policy", "templates policy", "contracts policy"])
def test_every_command_that_takes_a_policy_takes_all_of_it(command: str) -> None:
    typed = {flag for one in dict(commands())[command].params for flag in (*one.opts, *one.secondary_opts)}
    assert {flag for option in OPTIONS for flag in option.flags.split("/")} <= typed


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.wants], ids=lambda option: option.field)
def test_every_value_that_the_help_names_is_one(option: PolicyOption) -> None:
    examples = option.values or ["30"]
    for value in examples:
        assert getattr(Said({option.field: value}).choice(), option.field) is not None


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.wants], ids=lambda option: option.field)
def test_both_flags_of_a_yes_or_no_rule_say_something_else(option: PolicyOption) -> None:
    yes, no = (getattr(Said({option.field: value}).choice(), option.field) for value in option.means)
    assert yes is not None
    assert no is not None
    assert yes != no


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deliver", "pigeon"),
        ("deliver_from", "25:00"),
        ("deliver_from", "8"),
        ("deliver_on", "weekdays"),
        ("invoice_on", "christmas"),
        ("lead_days", "400"),
        ("lead_days", "soon"),
        ("invoice_day", "32"),
        ("invoice_day", "first"),
        ("invoice_month", "next"),
        ("invoice_date", "today"),
        ("catch_up", "never"),
        ("amount_change_percent", "-1"),
        ("amount_change_percent", "30%"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_it_must_be(field: str, value: str) -> None:
    option = next(one for one in OPTIONS if one.field == field)
    with pytest.raises(typer.BadParameter) as refused:
        Said({field: value}).choice()
    assert refused.value.message == f"{option.flags} {value} is not {option.wants}. Nothing was changed."


def test_a_bad_policy_value_is_a_usage_error_and_opens_nothing() -> None:
    answer = Shell().type("tenants", "policy", 1, "--lead-days", "400", "--deliver", "pigeon")
    assert answer.status == 2
    assert "--lead-days 400 is not a whole number of days from -366 to 366." in answer.err
    assert "--deliver pigeon is not none, customer, email, einvoice, print or finance." in answer.err


@pytest.mark.parametrize("typed", ["lead-days", "lead_days", "--lead-days"])
def test_a_rule_can_be_unset_by_its_name_however_it_is_written(typed: str) -> None:
    assert Said({}, (typed,)).unsaid() == {"lead_days"}


def test_unsetting_what_is_no_rule_names_the_rules() -> None:
    answer = Shell().type("policy", "--unset", "colour")
    assert answer.status == 2
    assert "colour is not a field of the policy. Write one of mode, bookkeep, deliver," in answer.err


def test_a_rule_is_not_set_and_unset_at_once() -> None:
    answer = Shell().type("policy", "--lead-days", "3", "--unset", "lead-days")
    assert answer.status == 2
    assert "lead-days is both set and unset" in answer.err


def test_an_unknown_pool_is_answered_with_the_pools_there_are() -> None:
    answer = Shell().type("work", "invoicing", "emailing")
    assert answer.status == 2
    assert "no pool called emailing" in answer.err
    assert "invoicing, evidence, bookkeeping, delivery, pricing, or all" in answer.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "--date", "1 December"], "1 December is not a day. Write it as YYYY-MM-DD"),
        (["billings", "list", "--status", "lost"], "lost is not a status. Write one of waiting, claimed,"),
        (["billings", "list", "--step", "pay"], "pay is not a step. Write one of create, bookkeep, deliver."),
        (["billings", "approve"], "either the ids of billings, or --all"),
        (["billings", "retry", "1", "--all"], "either the ids of billings, or --all"),
        (["billings", "retry", "1", "--tenant", "5"], "--tenant and --reason go with --all"),
        (["billings", "skip", "1"], "Missing option '--why'"),
        (["sandbox", "--at", "tomorrow"], 'tomorrow is not an instant. Write it as "2026-12-01 08:00".'),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_that_says_what_to_write(words: list[str], told: str) -> None:
    answer = Shell().type(*words)
    assert answer.status == 2
    assert told in answer.err
