"""`avtalsmotor billings ...`: the billings (faktureringar), and what a person may decide about one."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, Billing, Billings, ByContract, ByTenant
from common.rules.states import Status, Step

app = typer.Typer(
    help="The billings (faktureringar): look at them, decide.\n\n"
    "A billing is the intent to invoice one period of one contract: to create the invoice, then to bookkeep it and "
    "deliver it as the rules say.",
    no_args_is_help=True,
)

All = Annotated[bool, typer.Option("--all", help="All of them, or all that --tenant and --reason leave.")]


def _words(kind: type[Status] | type[Step]) -> str:
    return ", ".join(word.value.replace("_", "-") for word in kind)


def _status(typed: str) -> Status:
    try:
        return Status(typed.replace("-", "_"))
    except ValueError:
        raise typer.BadParameter(f"{typed} is not a status. Write one of {_words(Status)}.") from None


def _step(typed: str) -> Step:
    try:
        return Step(typed)
    except ValueError:
        raise typer.BadParameter(f"{typed} is not a step. Write one of {_words(Step)}.") from None


ForReason = Annotated[
    str | None, typer.Option("--reason", metavar="REASON", help="With --all: those with this reason.")
]
OfTenant = Annotated[int | None, typer.Option("--tenant", metavar="TENANT", help="With --all: of this company.")]


@app.command("list")
def list_(
    tenant: ByTenant = None,
    contract: ByContract = None,
    status: Annotated[
        list[Status] | None,
        typer.Option("--status", metavar="STATUS", parser=_status, help=f"{_words(Status)}. May be repeated."),
    ] = None,
    step: Annotated[Step | None, typer.Option("--step", metavar="STEP", parser=_step, help=f"{_words(Step)}.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 200,
    as_json: AsJson = False,
) -> None:
    """The billings, each with its step, its status and why."""
    from avtalsmotor.cli.actions import billings

    run(billings.list_(tenant, contract, status or [], step, limit, as_json))


@app.command()
def show(billing: Billing, as_json: AsJson = False) -> None:
    """One billing: its calls, its history, and what to do now."""
    from avtalsmotor.cli.actions import billings

    run(billings.show(billing, as_json))


@app.command()
def approve(billing: Billings = None, all_: All = False, tenant: OfTenant = None, reason: ForReason = None) -> None:
    """Say yes to what is held (väntar på godkännande).

    It goes on with the step where it stopped.

    \b
    avtalsmotor billings approve 17 18
    avtalsmotor billings approve --all --tenant 12345 --reason amount_changed
    """
    from avtalsmotor.cli.actions import billings

    _ids_or_all(billing, all_, tenant, reason)
    run(billings.approve(billing or [], tenant, reason))


@app.command()
def retry(billing: Billings = None, all_: All = False, tenant: OfTenant = None, reason: ForReason = None) -> None:
    """Try again what is parked (att åtgärda), once it is mended.

    Where a whole company is stopped for the reason, one billing is tried first, and the others follow when it went
    well.

    \b
    avtalsmotor billings retry 17
    avtalsmotor billings retry --all --reason bank_details_missing
    """
    from avtalsmotor.cli.actions import billings

    _ids_or_all(billing, all_, tenant, reason)
    run(billings.retry(billing or [], tenant, reason))


@app.command()
def skip(
    billing: Billing,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit trail.")],
) -> None:
    """Leave a billing as it is, for good.

    Nothing more is done with this period of the contract.
    """
    from avtalsmotor.cli.actions import billings

    run(billings.skip(billing, why))


@app.command()
def keep(billing: Billing) -> None:
    """Keep an invoice that was made too early.

    It is dated its due day, and the rest is done then.
    """
    from avtalsmotor.cli.actions import early

    run(early.keep(billing))


@app.command()
def cancel(billing: Billing) -> None:
    """Cancel (makulera) an invoice that was made too early.

    The contract's period is set back, and invoiced anew when it is due. For other invoices this is done in Fortnox.
    """
    from avtalsmotor.cli.actions import early

    run(early.cancel(billing))


@app.command()
def resolve(
    billing: Billing,
    made: Annotated[
        int | None, typer.Option("--made", metavar="INVOICE", help="At create: this is the invoice.", min=1)
    ] = None,
    never_made: Annotated[bool, typer.Option("--never-made", help="At create: there is none. It is made.")] = False,
    bookkept: Annotated[bool, typer.Option("--bookkept", help="At bookkeep: it is booked.")] = False,
    not_bookkept: Annotated[bool, typer.Option("--not-bookkept", help="At bookkeep: it is not. It is booked.")] = False,
    delivered: Annotated[bool, typer.Option("--delivered", help="At deliver: the customer has it.")] = False,
    not_delivered: Annotated[
        bool, typer.Option("--not-delivered", help="At deliver: the customer has not got it. It is sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is so.")] = False,
) -> None:
    """Say what became of a call that is in doubt (oklart utfall).

    Shows what Fortnox shows of it; with one of the choices, decides. Most doubts resolve by themselves: say something
    only if you know.

    \b
    avtalsmotor billings resolve 17
    avtalsmotor billings resolve 17 --made 1234
    avtalsmotor billings resolve 17 --never-made
    """
    from avtalsmotor.cli.actions import resolving

    flags = {
        "never-made": never_made,
        "bookkept": bookkept,
        "not-bookkept": not_bookkept,
        "delivered": delivered,
        "not-delivered": not_delivered,
    }
    said = [word for word, given in flags.items() if given] + (["made"] if made is not None else [])
    if len(said) > 1:
        raise typer.BadParameter(f"Say one thing: --{' or --'.join(said)}.")
    if not said:
        run(resolving.show(billing))
    else:
        run(resolving.decide(billing, said[0], made, yes))


def _ids_or_all(ids: list[int] | None, every: bool, tenant: int | None, reason: str | None) -> None:
    if bool(ids) == every:
        raise typer.BadParameter("Say which: either the ids of billings, or --all.", param_hint="BILLING")
    if ids and (tenant is not None or reason is not None):
        raise typer.BadParameter("--tenant and --reason go with --all, not with ids. Leave them out.")
