"""The options and arguments that several commands share, so that each is written, explained and checked in one way."""

from datetime import date
from typing import Annotated

import typer


def day(typed: str) -> date:
    """A day as it is typed."""
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise typer.BadParameter(f"{typed} is not a day. Write it as YYYY-MM-DD, such as 2026-12-01.") from None


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for a program to read.")]
ByTenant = Annotated[int | None, typer.Option("--tenant", metavar="TENANT", help="Of this company only.")]
ByContract = Annotated[int | None, typer.Option("--contract", metavar="CONTRACT", help="Of this contract only.")]
OnDay = Annotated[
    date | None,
    typer.Option("--date", metavar="YYYY-MM-DD", parser=day, help="As of that day in Sweden, instead of today."),
]
FromDay = Annotated[
    date | None, typer.Option("--from", metavar="YYYY-MM-DD", parser=day, help="From that day in Sweden on.")
]
ToDay = Annotated[
    date | None, typer.Option("--to", metavar="YYYY-MM-DD", parser=day, help="Until the end of that day in Sweden.")
]
Tenant = Annotated[
    int, typer.Argument(metavar="TENANT", help="The company's number in Fortnox (tenantId, DatabaseNumber).")
]
Template = Annotated[
    int, typer.Argument(metavar="TEMPLATE", help="The contract template's number in Fortnox (avtalsmall).")
]
Contract = Annotated[int, typer.Argument(metavar="CONTRACT", help="The contract's number in Fortnox (avtalsnummer).")]
Billing = Annotated[int, typer.Argument(metavar="BILLING", help="The billing's id, as `billings list` shows it.")]
Billings = Annotated[
    list[int] | None, typer.Argument(metavar="BILLING", help="The billings' ids, as `billings list` shows them.")
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit trail.")]
