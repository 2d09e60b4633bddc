"""`avtalsmotor prices ...`: changed list prices, and which contracts should follow them."""

from typing import Annotated

import typer

from avtalsmotor.cli.failure import run
from avtalsmotor.cli.options import AsJson, ByTenant, Contract, Tenant

app = typer.Typer(
    help="Changed prices: see which contracts should follow, decide.\n\n"
    "A contract keeps the price that it was made with. When an article's price changes in Fortnox, what each contract "
    "that uses it should then cost is put on a worksheet, and set in the contract once that is approved.",
    no_args_is_help=True,
)

Change = Annotated[int, typer.Argument(metavar="CHANGE", help="The change's id, as `prices changes` shows it.")]
Article = Annotated[str, typer.Option("--article", metavar="ARTICLE", help="The article's number (artikelnummer).")]


def _amount(typed: str) -> str:
    from decimal import Decimal, InvalidOperation

    try:
        amount = Decimal(typed.replace(",", "."))
    except InvalidOperation:
        raise typer.BadParameter(f"{typed} is not an amount. Write it like 1200 or 99.50.") from None
    if not amount.is_finite():
        raise typer.BadParameter(f"{typed} is not an amount. Write it like 1200 or 99.50.")
    return str(amount)


@app.command()
def changes(
    tenant: ByTenant = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The changed prices, the newest first, and what each comes to.

    As Fortnox was last read. Makes no call to it.
    """
    from avtalsmotor.cli.actions import prices

    run(prices.changes(tenant, limit, as_json))


@app.command()
def show(change: Change, as_json: AsJson = False) -> None:
    """The worksheet of one change: every contract that uses the article, row by row, and why a row does not follow."""
    from avtalsmotor.cli.actions import prices

    run(prices.show(change, as_json))


Only = Annotated[
    list[int] | None,
    typer.Option("--contract", metavar="CONTRACT", help="Only for this contract. May be repeated."),
]


@app.command()
def approve(change: Change, contract: Only = None) -> None:
    """Say yes to what is proposed: each contract gets the new price before its next invoice is made.

    Of periods that began before the price changed, the old one is still invoiced, unless the rules say `at_once`. What
    Fortnox has refused is tried again.

    \b
    avtalsmotor prices approve 4
    avtalsmotor prices approve 4 --contract 17 --contract 18
    """
    from avtalsmotor.cli.actions import prices

    run(prices.approve(change, contract))


@app.command()
def reject(change: Change, contract: Only = None) -> None:
    """Say no to what is not done yet: the contracts keep their prices.

    Those count as negotiated from then on, and are left alone when the price changes again.
    """
    from avtalsmotor.cli.actions import prices

    run(prices.reject(change, contract))


@app.command()
def undo(change: Change, contract: Only = None) -> None:
    """Put the old price back where it was set by Avtalsmotor, and nobody has changed it since."""
    from avtalsmotor.cli.actions import prices

    run(prices.undo(change, contract))


@app.command("never-touch")
def never_touch(
    tenant: Tenant,
    contract: Contract,
    article: Article,
    off: Annotated[bool, typer.Option("--off", help="Take the mark away, for changes to come.")] = False,
) -> None:
    """Mark a contract's rows of an article: they follow no price list."""
    from avtalsmotor.cli.actions import prices

    run(prices.may_touch(tenant, contract, article) if off else prices.never_touch(tenant, contract, article))


@app.command("what-if")
def what_if(
    tenant: Tenant,
    article: Article,
    price: Annotated[
        str, typer.Option("--price", metavar="AMOUNT", parser=_amount, help="What the article would cost.")
    ],
    price_list: Annotated[
        str | None, typer.Option("--price-list", metavar="LIST", help="In this price list [the pre-selected one].")
    ] = None,
    from_quantity: Annotated[
        str, typer.Option("--from-quantity", metavar="N", parser=_amount, help="From this quantity on [0].")
    ] = "0",
    as_json: AsJson = False,
) -> None:
    """The worksheet of a price that has not been changed: what would follow, from when, and what it comes to.

    As Fortnox was last read. Makes no call to it, and changes nothing.

    \b
    avtalsmotor prices what-if 12345 --article A100 --price 1200
    """
    from avtalsmotor.cli.actions import prices

    run(prices.what_if(tenant, article, price, price_list, from_quantity, as_json))
