"""What a person may do in Fortnox' own pages while the product is at work: the API's effects, marked as a person's.

For tests of the click in between: an invoice made by hand, a period set back, a price changed, a contract edited,
something cancelled or credited.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox import (
    bookkeeping,
    contract_shapes,
    contracts,
    deliveries,
    finance,
    invoice_shapes,
    invoices,
    invoicing,
    making,
    pricing,
    refusals,
)
from sandbox.api import Call, Handler
from sandbox.books import By, Company, World


class Deed(BaseModel):
    """One click. `contract` or `invoice` is the number it is about."""

    model_config = ConfigDict(extra="forbid")

    action: Literal[
        "create_invoice",
        "set_period",
        "activate",
        "deactivate",
        "finish",
        "edit_contract",
        "set_price",
        "write_invoice",
        "bookkeep",
        "cancel",
        "credit",
        "email",
        "print",
        "hand_over",
        "mark_ready",
    ]
    contract: int = 0
    invoice: int = 0
    invoice_date: date | None = None
    period_start: date | None = None
    period_end: date | None = None
    customer: str = ""
    rows: list[dict[str, Any]] = []
    price_list: str = "A"
    article: str = ""
    from_quantity: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    fields: dict[str, Any] = Field(
        {}, description="Of edit_contract: what changes, as the body of the API's PUT has it."
    )


def do(world: World, company: Company, deed: Deed) -> dict[str, Any]:
    """Do it, and return the document it was done to (of a credit: the new one).

    Raises:
      Refusal: what Fortnox would refuse; DocumentError for rows that cannot be read.
    """
    if deed.action == "write_invoice":
        customer = company.customers.get(deed.customer)
        if customer is None:
            raise refusals.no_customer()
        rows = making.make_rows(company, deed.rows, customer.price_list)
        written = invoicing.by_hand(world, company, customer, rows, By.PERSON)
        return {"Invoice": invoice_shapes.single(written, company, world.behaviour)}
    if deed.action == "set_price":
        return _set_price(world, company, deed)
    if deed.action == "edit_contract":
        return _ask(contracts.update, world, company, {"DocumentNumber": str(deed.contract)}, {"Contract": deed.fields})
    if deed.action in {"create_invoice", "set_period", "activate", "deactivate", "finish"}:
        return _do_to_contract(world, company, deed)
    return _do_to_invoice(world, company, deed)


def _set_price(world: World, company: Company, deed: Deed) -> dict[str, Any]:
    """A step that there is gets the price; one that there is not is made."""
    path = {"PriceList": deed.price_list, "ArticleNumber": deed.article, "FromQuantity": str(deed.from_quantity)}
    body = {**path, "FromQuantity": deed.from_quantity, "Price": deed.price}
    known = (deed.price_list, deed.article, deed.from_quantity) in company.prices
    act = pricing.update_price if known else pricing.create_price
    return _ask(act, world, company, path, {"Price": body})


def _ask(
    act: Handler, world: World, company: Company, path: Mapping[str, str], body: Mapping[str, Any]
) -> dict[str, Any]:
    """What the API would do, done by a person."""
    content = json.dumps(body, default=str).encode()
    return act(Call(world, company, path, {}, content, "application/json", By.PERSON)).document or {}


def _do_to_contract(world: World, company: Company, deed: Deed) -> dict[str, Any]:
    contract = contracts.find(world, company, str(deed.contract))
    match deed.action:
        case "create_invoice":
            invoice = invoicing.from_contract(world, company, contract, deed.invoice_date, By.PERSON)
            return {"Invoice": invoice_shapes.single(invoice, company, world.behaviour)}
        case "set_period":
            contract.period_start, contract.period_end = deed.period_start, deed.period_end
        case "activate":
            contract.active, contract.finished = True, False
        case "deactivate":
            contract.active = False
        case "finish":
            contract.finished = True
    world.record(company, contract, deed.action, By.PERSON)
    return {"Contract": contract_shapes.single(contract, company, world.behaviour)}


def _do_to_invoice(world: World, company: Company, deed: Deed) -> dict[str, Any]:
    invoice = invoices.find(world, company, str(deed.invoice))
    match deed.action:
        case "bookkeep":
            bookkeeping.book(world, company, invoice, By.PERSON)
        case "cancel":
            invoicing.cancel(world, company, invoice, By.PERSON)
        case "credit":
            invoice = invoicing.credit(world, company, invoice, By.PERSON)
        case "email":
            deliveries.email(world, company, invoice, By.PERSON)
        case "print":
            deliveries.mark_printed(world, company, invoice, "print", By.PERSON)
        case "hand_over":
            finance.hand_over(world, company, invoice, "EMAIL", "LEDGERBASE", By.PERSON)
        case "mark_ready":
            invoicing.mark_ready(world, company, invoice, By.PERSON)
    return {"Invoice": invoice_shapes.single(invoice, company, world.behaviour)}
