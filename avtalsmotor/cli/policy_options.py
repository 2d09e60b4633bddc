"""The options by which a person chooses a policy (regler), the same on every command that takes one.

Here are the words only: whether a value is possible is for `common.rules.policy` to say, and the options are checked
against it. Nothing heavy is imported until a choice is made.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from common.rules.policy import PolicyChoice


@dataclass(frozen=True, slots=True)
class PolicyOption:
    """One field of the policy as it is typed.

    Parameters:
      field: its name in `PolicyChoice`.
      flags: as typed; a yes-or-no field has both, divided by a slash.
      help: one line.
      wants: what a value must be, for the sentence "... is not ..."; "" for yes-or-no fields, which have no value.
      metavar: how the value is shown in the help; with bars between them, the values are offered by completion.
      means: what a yes-or-no field's two flags say.
    """

    field: str
    flags: str
    help: str
    wants: str = ""
    metavar: str = ""
    means: tuple[object, object] = (True, False)

    @property
    def parameter(self) -> inspect.Parameter:
        annotation: Any
        if not self.wants:
            annotation = Annotated[bool | None, typer.Option(self.flags, help=self.help)]
        else:
            annotation = Annotated[
                str | None,
                typer.Option(self.flags, help=self.help, metavar=self.metavar, autocompletion=self._complete),
            ]
        return inspect.Parameter(self.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

    @property
    def values(self) -> list[str]:
        """The values that can be listed."""
        return [value for value in self.metavar.split("|") if value.islower()]

    def _complete(self, incomplete: str) -> list[str]:
        return [value for value in self.values if value.startswith(incomplete)]


def _one_of(field: str, flags: str, help: str, *values: str) -> PolicyOption:  # noqa: A002 - as in typer.Option
    *most, last = values
    return PolicyOption(field, flags, help, wants=f"{', '.join(most)} or {last}", metavar="|".join(values))


OPTIONS: tuple[PolicyOption, ...] = (
    PolicyOption(
        "mode",
        "--live/--proposal",
        "Invoice for real; or only plan and show, as at first.",
        means=("live", "proposal"),
    ),
    PolicyOption(
        "bookkeep", "--bookkeep/--no-bookkeep", "Book each invoice (bokför); a booked invoice can no longer be edited."
    ),
    _one_of(
        "deliver",
        "--deliver",
        "How the customer gets the invoice: customer as the card says, print a letter, finance Fakturatjänster.",
        "none",
        "customer",
        "email",
        "einvoice",
        "print",
        "finance",
    ),
    PolicyOption(
        "einvoice_by_card",
        "--einvoice-by-card/--no-einvoice-by-card",
        "With email or print: customers whose card says e-invoice get that; or all get the same.",
    ),
    PolicyOption(
        "deliver_from",
        "--deliver-from",
        "Send nothing before this time of day in Sweden [08:00].",
        wants="a time of day such as 08:00, or any",
        metavar="HH:MM|any",
    ),
    _one_of(
        "deliver_on",
        "--deliver-on",
        "Send on any day, or only on days on which Swedish banks are open (bankdagar).",
        "any",
        "banking_days",
    ),
    _one_of(
        "invoice_on",
        "--invoice-on",
        "Due on the period's first day (förskott) or last day (efterskott).",
        "period_start",
        "period_end",
    ),
    PolicyOption(
        "lead_days",
        "--lead-days",
        "Due this many days before that day; -N for after it.",
        wants="a whole number of days from -366 to 366",
        metavar="N",
    ),
    PolicyOption(
        "invoice_day",
        "--invoice-day",
        "Or due on a fixed day of a month: its number, or last.",
        wants="a day of the month, 1 to 31, or last",
        metavar="N|last",
    ),
    _one_of(
        "invoice_month",
        "--invoice-month",
        "With --invoice-day: the month before that of --invoice-on, the same, or after.",
        "before",
        "same",
        "after",
    ),
    _one_of(
        "invoice_date",
        "--invoice-date",
        "Date the invoice on its due day, or on the period's start if that is later.",
        "due_day",
        "period_start",
    ),
    _one_of(
        "catch_up",
        "--catch-up",
        "A period missed by more than one interval: hold it for a yes, or invoice it.",
        "hold",
        "invoice",
    ),
    PolicyOption(
        "amount_change_percent",
        "--amount-change-percent",
        "Hold an amount that differs by more than this from the last one [30].",
        wants="a whole number of per cent, 0 or more",
        metavar="N",
    ),
    PolicyOption("allow_zero", "--allow-zero/--hold-zero", "Invoice a contract whose total is zero, or hold it."),
    PolicyOption(
        "finish_handmade",
        "--finish-handmade/--leave-handmade",
        "Book and send also an invoice that a person made by hand, or leave it.",
    ),
    PolicyOption(
        "allow_tax_reduction",
        "--allow-tax-reduction/--hold-tax-reduction",
        "Book and send invoices with ROT, RUT or green deduction, or hold them.",
    ),
    _one_of(
        "prices",
        "--prices",
        "When an article's price changes: nothing; a worksheet of the contracts to follow it; or they follow.",
        "off",
        "propose",
        "apply",
    ),
    _one_of(
        "price_rows",
        "--price-rows",
        "Rows that had the list's price, so that no negotiated one is touched; or all.",
        "following",
        "all",
    ),
    _one_of(
        "price_from",
        "--price-from",
        "A new price holds for periods that begin on its day or later, or for the one invoiced next.",
        "next_period",
        "at_once",
    ),
    PolicyOption(
        "price_rise_percent",
        "--price-rise-percent",
        "A row that rises by more than this is proposed, never applied [10].",
        wants="a whole number of per cent, 0 or more",
        metavar="N",
    ),
)

_UNSET = inspect.Parameter(
    "unset",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        list[str] | None,
        typer.Option(
            "--unset",
            metavar="FIELD",
            help="Say nothing of this any more, so that the level above decides. May be repeated.",
            autocompletion=lambda incomplete: [
                name_of(option.field) for option in OPTIONS if name_of(option.field).startswith(incomplete)
            ],
        ),
    ],
)


def name_of(field: str) -> str:
    """The name of a field as it is typed and shown: `lead-days`."""
    return field.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Said:
    """What was typed of the policy: values as typed, by field, and the fields to be unsaid."""

    values: Mapping[str, object]
    unset: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values or self.unset)

    def choice(self) -> "PolicyChoice":
        """The values as a choice. Raises typer.BadParameter, in plain words, for one that cannot be."""
        from pydantic import ValidationError

        from common.rules.policy import PolicyChoice

        try:
            return PolicyChoice.model_validate(self.values)
        except ValidationError as error:
            wrong = {str(fault["loc"][0]) for fault in error.errors()}
            raise _refuse([option for option in OPTIONS if option.field in wrong], self.values) from None

    def unsaid(self) -> frozenset[str]:
        """The fields to be unsaid. Raises typer.BadParameter for one that there is not, or that is said as well."""
        names = {option.field for option in OPTIONS}
        fields = set()
        for typed in self.unset:
            name = typed.removeprefix("--").replace("-", "_")
            if name not in names:
                known = ", ".join(name_of(option.field) for option in OPTIONS)
                raise typer.BadParameter(
                    f"{typed} is not a field of the policy. Write one of {known}.", param_hint="--unset"
                )
            if name in self.values:
                raise typer.BadParameter(f"{typed} is both set and unset. Leave one out.", param_hint="--unset")
            fields.add(name)
        return frozenset(fields)


def _refuse(wrong: list[PolicyOption], values: Mapping[str, object]) -> typer.BadParameter:
    said = " ".join(f"{option.flags} {values[option.field]} is not {option.wants}." for option in wrong)
    return typer.BadParameter(f"{said} Nothing was changed.")


class PolicyCommand(TyperCommand):
    """A command that refuses a rule said twice: who types `--live --proposal` must not get one of them by chance."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_repetition(self, ctx, args)
        return super().parse_args(ctx, args)


class PolicyGroup(TyperGroup):
    """The same for a command that has others below it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_repetition(self, ctx, args)
        return super().parse_args(ctx, args)


def _refuse_repetition(command: TyperCommand | TyperGroup, ctx: Any, args: list[str]) -> None:
    if ctx.resilient_parsing:
        return
    _, _, typed = command.make_parser(ctx).parse_args(args=list(args))
    names = [parameter.name for parameter in typed]
    for option in OPTIONS:
        if names.count(option.field) > 1:
            raise typer.BadParameter(f"{_once(option)} Nothing was changed.")


def _once(option: PolicyOption) -> str:
    if option.wants:
        return f"{option.flags} is said more than once. Say it once."
    yes, no = option.flags.split("/")
    return f"{yes} and {no} say one rule, which is said more than once. Say one of them, once."


def _refuse_contradictions(values: Mapping[str, object]) -> None:
    """Raises typer.BadParameter for rules that cannot be meant together."""
    told = []
    if "invoice_day" in values and "lead_days" in values:
        told.append(
            "--invoice-day and --lead-days both say on which day a contract is due. Say one: a fixed day of a month, or"
            " so many days before."
        )
    if "invoice_month" in values and "invoice_day" not in values:
        told.append("--invoice-month says in which month --invoice-day falls. Say the day too: --invoice-day N.")
    if values.get("deliver") == "finance" and values.get("bookkeep") is False:
        told.append("--deliver finance takes only invoices that are bookkept. Say --bookkeep, or another delivery.")
    if values.get("einvoice_by_card") and values.get("deliver", "email") not in ("email", "print"):
        told.append(
            "--einvoice-by-card goes with --deliver email or print. With --deliver customer the card decides anyhow."
        )
    if told:
        raise typer.BadParameter(f"{' '.join(told)} Nothing was changed.")


def takes_policy(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command all policy options and `--unset`. It gets what was typed of them as its parameter `said`."""
    return _with(command, [*(option.parameter for option in OPTIONS), _UNSET])


def takes_first_policy(command: Callable[..., None]) -> Callable[..., None]:
    """The same without `--unset`, where nothing has been said yet."""
    return _with(command, [option.parameter for option in OPTIONS])


def _with(command: Callable[..., None], added: Sequence[inspect.Parameter]) -> Callable[..., None]:
    own = inspect.signature(command)
    kept = [parameter for parameter in own.parameters.values() if parameter.name != "said"]

    @functools.wraps(command)
    def with_options(**typed: Any) -> None:
        unset = typed.pop("unset", None) or ()
        answers = {option: typed.pop(option.field) for option in OPTIONS}
        values = {
            option.field: answer if option.wants else option.means[0 if answer else 1]
            for option, answer in answers.items()
            if answer is not None
        }
        _refuse_contradictions(values)
        command(**typed, said=Said(values, tuple(unset)))

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept] + [*added]
    # Typer reads both; `__wrapped__` would lead it to the command's own.
    with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del with_options.__wrapped__
    return with_options
