"""Building companies by hand from JSON documents, for tests and rehearsals: the field names are those of sandbox.books.

What is left out is filled in as Fortnox would: a row from its article, a contract from its customer. It is a test's
tool, never part of the API, and it refuses a misspelt field.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from sandbox import pricing
from sandbox.books import (
    Article,
    Company,
    Contract,
    ContractTemplate,
    Customer,
    EmailInformation,
    FinancialYear,
    Price,
    PriceList,
    Row,
    World,
)

T = TypeVar("T")

_REGISTERS = ("customers", "articles", "price_lists", "prices", "templates", "contracts", "financial_years")
_ADAPTERS: Mapping[type[Any], Mapping[str, TypeAdapter[Any]]] = {
    kind: {name: TypeAdapter(hint) for name, hint in get_type_hints(kind).items()}
    for kind in (
        Article,
        Company,
        Contract,
        ContractTemplate,
        Customer,
        EmailInformation,
        FinancialYear,
        Price,
        PriceList,
        Row,
    )
}


class DocumentError(ValueError):
    """A document that cannot be used; the message says which field of what, and why."""


def make_company(world: World, document: Mapping[str, Any]) -> Company:
    """Add a company; the years around today are its financial years unless it has its own.

    Raises:
      DocumentError: an unknown field, a wrong type, or a tenant that exists.
    """
    own = {name: value for name, value in document.items() if name not in _REGISTERS}
    values = read(Company, own)
    if "tenant" not in values or values["tenant"] in world.companies:
        raise DocumentError("Company: give a `tenant` that is not taken, or PATCH the one that is.")
    company = Company(**{"name": f"Bolag {values['tenant']}", **values})
    if "financial_years" not in document:
        year = world.clock.today().year
        company.financial_years = [
            FinancialYear(index, date(year + index - 2, 1, 1), date(year + index - 2, 12, 31)) for index in (1, 2, 3)
        ]
    _fill_registers(world, company, document)
    return world.add_company(company)


def change_company(world: World, company: Company, document: Mapping[str, Any]) -> Company:
    """Change fields, and add or change what is in the registers; nothing is removed.

    Raises:
      DocumentError: as for make_company.
    """
    own = {name: value for name, value in document.items() if name not in _REGISTERS}
    for name, value in read(Company, own).items():
        setattr(company, name, value)
    _fill_registers(world, company, document)
    return company


def read(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's values, each of the type that the field has.

    Raises:
      DocumentError: an unknown field or a value of another type.
    """
    values = {}
    known = _ADAPTERS[kind]
    for name, value in document.items():
        adapter = known.get(name)
        if adapter is None:
            raise DocumentError(f"{kind.__name__} has no `{name}`; it has {', '.join(sorted(known))}.")
        try:
            values[name] = adapter.validate_python(value)
        except ValidationError as error:
            raise DocumentError(f"{kind.__name__}.{name}: {error.errors()[0]['msg']}, not {value!r}.") from None
    return values


def make_rows(company: Company, documents: Sequence[Mapping[str, Any]], price_list: str = "A") -> list[Row]:
    """Rows; with an `article_number` that is known, the rest comes from the article and its price."""
    made = []
    for document in documents:
        values = read(Row, document)
        article = company.articles.get(values.get("article_number", ""))
        if article is not None:
            price = company.prices.get((price_list, article.number, Decimal(0)))
            defaults = {
                "description": article.description,
                "price": price.price if price else Decimal(0),
                "vat": article.vat,
                "unit": article.unit,
                "account_number": article.sales_account,
            }
            values = {**defaults, **values}
        made.append(Row(**{"article_number": "", "description": "", "quantity": 1, "price": 0, **values}))
        made[-1].quantity, made[-1].price = Decimal(made[-1].quantity), Decimal(made[-1].price)
    return made


def _fill_registers(world: World, company: Company, document: Mapping[str, Any]) -> None:
    """What a company that stands gets is announced; what one has from the beginning is not."""
    now = world.clock.now()
    stands = company.tenant in world.companies
    for item in document.get("financial_years", ()):
        company.financial_years.append(
            FinancialYear(**{"id": len(company.financial_years) + 1, **read(FinancialYear, item)})
        )
    for item in document.get("price_lists", ()):
        values = read(PriceList, item)
        company.price_lists[values["code"]] = PriceList(**{"description": values["code"], **values})
    for item in document.get("customers", ()):
        values = {"modified_at": now, **read(Customer, item)}
        number = values.setdefault("number", str(len(company.customers) + 1))
        if stands:
            known = number in company.customers
            kind = "customer-updated-v2" if known else "customer-created-v1"
            world.topics.announce("customers", kind, company.tenant, number)
        company.customers[number] = _merged(Customer, company.customers.get(number), {"name": f"Kund {number}"}, values)
    for item in document.get("articles", ()):
        price = item.get("price")
        values = {"modified_at": now, **read(Article, {key: value for key, value in item.items() if key != "price"})}
        number = values.setdefault("number", str(len(company.articles) + 1))
        if stands:
            known = number in company.articles
            kind = "article-updated-v1" if known else "article-created-v1"
            world.topics.announce("articles", kind, company.tenant, number)
        company.articles[number] = _merged(Article, company.articles.get(number), {"description": number}, values)
        if price is not None:
            company.add_price(Price("A", number, Decimal(str(price)), modified_at=now))
    for item in document.get("prices", ()):
        added = company.add_price(Price(**{"price_list": "A", "modified_at": now, **read(Price, item)}))
        if stands and "modified_at" not in item:
            pricing.changed(world, company, added)
    for item in document.get("templates", ()):
        values = read(ContractTemplate, {key: value for key, value in item.items() if key != "rows"})
        values.setdefault("number", len(company.templates) + 1)
        template = ContractTemplate(**{"name": f"Mall {values['number']}", **values})
        template.rows = make_rows(company, item.get("rows", ()))
        company.templates[template.number] = template
    for item in document.get("contracts", ()):
        _fill_contract(world, company, item)


def _fill_contract(world: World, company: Company, document: Mapping[str, Any]) -> None:
    values = read(Contract, {key: value for key, value in document.items() if key not in {"rows", "email"}})
    contract = company.contracts.get(values.get("number", 0))
    if contract is None:
        contract = _new_contract(world, company, values)
    for name, value in values.items():
        setattr(contract, name, value)
    for name, value in read(EmailInformation, document.get("email", {})).items():
        setattr(contract.email, name, value)
    if "rows" in document:
        contract.rows = make_rows(company, document["rows"], contract.price_list)
        company.number_rows(contract.rows)
    contract.modified_at = world.clock.now()


def _new_contract(world: World, company: Company, values: Mapping[str, Any]) -> Contract:
    """As its customer's card says, until the document says otherwise."""
    number = values.get("customer_number", next(iter(company.customers), ""))
    customer = company.customers.get(number)
    if customer is None:
        raise DocumentError(f"Contract: customer {number!r} is not in the register; add it under `customers`.")
    contract = Contract(
        values.get("number") or company.take_contract_number(),
        number,
        None,
        None,
        contract_date=world.clock.today(),
        currency=customer.currency,
        price_list=customer.price_list,
        terms_of_payment=customer.terms_of_payment,
        email=EmailInformation(to=customer.invoice_address),
    )
    if not values.get("continuous", True):
        contract.invoices_remaining = values.get("length", contract.length) // values.get("interval", contract.interval)
    return company.add_contract(contract)


def _merged(kind: type[T], known: T | None, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> T:
    if known is None:
        return kind(**{**defaults, **values})
    for name, value in values.items():
        setattr(known, name, value)
    return known
