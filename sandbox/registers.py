"""/3/customers, read only in the sandbox, and /3/articles (API notes 4.1).

An article's SalesPrice is a string in the list and a number in the single answer, as recorded. It is read only: prices
are changed in sandbox.pricing.
"""

import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sandbox import listing, payload, pricing, refusals
from sandbox.api import Answer, Call, Router
from sandbox.books import Article, Company, Customer, Price
from sandbox.listing import Test
from sandbox.wire import API, number, text_number

_CUSTOMER_SUBSTRINGS: Mapping[str, Callable[[Customer], str]] = {
    "customernumber": lambda customer: customer.number,
    "name": lambda customer: customer.name,
    "zipcode": lambda customer: customer.zip_code,
    "city": lambda customer: customer.city,
    "email": lambda customer: customer.email,
    "phone": lambda customer: customer.phone,
    "organisationnumber": lambda customer: customer.organisation_number,
    "gln": lambda customer: customer.gln,
    "glndelivery": lambda customer: "",
}
_ARTICLE_SUBSTRINGS: Mapping[str, Callable[[Article], str]] = {
    "articlenumber": lambda article: article.number,
    "description": lambda article: article.description,
    "ean": lambda article: "",
    "suppliernumber": lambda article: "",
    "manufacturer": lambda article: "",
    "manufacturerarticlenumber": lambda article: "",
    "webshop": lambda article: "",
}
_ARTICLE_FIELDS: payload.Fields = {
    "Active": ("active", payload.yes_no),
    "ArticleNumber": ("number", payload.text(50)),
    "Description": ("description", payload.text(200)),
    "Housework": ("housework", payload.yes_no),
    "Note": ("note", payload.text(10000)),
    "SalesAccount": ("sales_account", payload.whole),
    "Type": ("type", payload.one_of("STOCK", "SERVICE")),
    "Unit": ("unit", payload.text()),
    "VAT": ("vat", payload.money),
}
"""What the books keep of an article."""


def add_to(router: Router) -> None:
    router.add("GET", "customers", "customer", list_customers)
    router.add("GET", "customers/{CustomerNumber}", "customer", get_customer)
    router.add("GET", "articles", "article", list_articles)
    router.add("POST", "articles", "article", create_article)
    router.add("GET", "articles/{ArticleNumber}", "article", get_article)
    router.add("PUT", "articles/{ArticleNumber}", "article", update_article)
    router.add("DELETE", "articles/{ArticleNumber}", "article", delete_article)


def list_customers(call: Call) -> Answer:
    listing.check_parameters(call.query, _CUSTOMER_SUBSTRINGS)
    tests: list[Test[Customer]] = [
        listing.contains(call.query[name], read) for name, read in _CUSTOMER_SUBSTRINGS.items() if name in call.query
    ]
    if (wanted := _active(call.query)) is not None:
        tests.append(lambda customer: customer.active is wanted)
    if (text := call.query.get("lastmodified")) is not None:
        tests.append(listing.modified_since(text, lambda customer: customer.modified_at))
    found = listing.select(call.company.customers.values(), tests)
    keys: Mapping[str, listing.Sort[Customer]] = {
        "customernumber": lambda customer: _natural(customer.number),
        "name": lambda customer: customer.name.casefold(),
    }
    shown, meta = listing.page(
        listing.sort(found, call.query, keys, "customernumber"), call.query, call.world.behaviour
    )
    return Answer({"MetaInformation": meta, "Customers": [_customer_item(customer) for customer in shown]})


def get_customer(call: Call) -> Answer:
    customer = call.company.customers.get(call.path["CustomerNumber"])
    if customer is None:
        raise refusals.no_customer()
    return Answer({"Customer": _customer(customer)})


def list_articles(call: Call) -> Answer:
    listing.check_parameters(call.query, _ARTICLE_SUBSTRINGS)
    tests: list[Test[Article]] = [
        listing.contains(call.query[name], read) for name, read in _ARTICLE_SUBSTRINGS.items() if name in call.query
    ]
    if (wanted := _active(call.query)) is not None:
        tests.append(lambda article: article.active is wanted)
    if (text := call.query.get("lastmodified")) is not None:
        tests.append(listing.modified_since(text, lambda article: article.modified_at))
    found = listing.select(call.company.articles.values(), tests)
    keys: Mapping[str, listing.Sort[Article]] = {
        "articlenumber": lambda article: _natural(article.number),
        "quantityinstock": lambda article: 0,
        "reservedquantity": lambda article: 0,
        "stockvalue": lambda article: 0,
    }
    shown, meta = listing.page(listing.sort(found, call.query, keys, "articlenumber"), call.query, call.world.behaviour)
    return Answer({"MetaInformation": meta, "Articles": [_article_item(article, call.company) for article in shown]})


def get_article(call: Call) -> Answer:
    return Answer({"Article": _article(_find_article(call), call.company)})


def create_article(call: Call) -> Answer:
    """Needs a description; takes the next free number where none is given.

    It gets a base price row, from quantity 0, in the default price list (API notes 4.2). Assumed: of nothing.

    Raises:
      Refusal: 2001392 no description; an article that exists.
    """
    company = call.company
    given = _given_article(call)
    if not given.get("description"):
        raise refusals.bad_body()
    number = given.pop("number", "") or next(str(n) for n in itertools.count(1) if str(n) not in company.articles)
    if number in company.articles:
        raise refusals.placeholder(call.world.behaviour, "already_exists", f"Artikelnumret {number} används redan.")
    now = call.world.clock.now()
    article = company.add_article(Article(number=number, **given, modified_at=now))
    company.add_price(Price(pricing.default_list(company), number, Decimal(0), modified_at=now))
    call.world.topics.announce("articles", "article-created-v1", company.tenant, number)
    return Answer({"Article": _article(article, company)}, 201)


def update_article(call: Call) -> Answer:
    """Partial; its number stays, and SalesPrice is passed over."""
    article = _find_article(call)
    given = _given_article(call)
    given.pop("number", None)
    for attribute, value in given.items():
        setattr(article, attribute, value)
    article.modified_at = call.world.clock.now()
    call.world.topics.announce("articles", "article-updated-v1", call.company.tenant, article.number)
    return Answer({"Article": _article(article, call.company)})


def delete_article(call: Call) -> Answer:
    """With its prices. Assumed: also one that rows of contracts have; they keep what they are."""
    company = call.company
    article = _find_article(call)
    del company.articles[article.number]
    company.prices = {key: price for key, price in company.prices.items() if price.article_number != article.number}
    call.world.topics.announce("articles", "article-deleted-v1", company.tenant, article.number)
    return Answer(None, 204)


def _find_article(call: Call) -> Article:
    article = call.company.articles.get(call.path["ArticleNumber"])
    if article is None:
        raise refusals.no_article()
    return article


def _given_article(call: Call) -> dict[str, Any]:
    body = payload.wrapped(call, "Article")
    known = call.company.articles.get(call.path.get("ArticleNumber", "")) or Article("", "")
    return payload.fields(body, _ARTICLE_FIELDS, frozenset(_article(known, call.company)))


def _active(query: Mapping[str, str]) -> bool | None:
    wanted = query.get("filter")
    if wanted not in {None, "active", "inactive"}:
        raise refusals.bad_filter()
    return None if wanted is None else wanted == "active"


def _natural(text: str) -> tuple[int, str]:
    return (int(text), text) if text.isdigit() else (1 << 62, text)


def _sales_price(article: Article, company: Company) -> Decimal | None:
    """The price in the default price list; None where it has none (API notes 4.1)."""
    price = company.prices.get((pricing.default_list(company), article.number, Decimal(0)))
    return price.price if price else None


def _customer_item(customer: Customer) -> dict[str, Any]:
    return {
        "@url": f"{API}/customers/{customer.number}",
        "Address1": customer.address1,
        "Address2": customer.address2,
        "City": customer.city,
        "CustomerNumber": customer.number,
        "Email": customer.email,
        "Name": customer.name,
        "OrganisationNumber": customer.organisation_number,
        "Phone": customer.phone,
        "ZipCode": customer.zip_code,
    }


def _customer(customer: Customer) -> dict[str, Any]:
    return {
        "@url": f"{API}/customers/{customer.number}",
        "Active": customer.active,
        "Address1": customer.address1,
        "Address2": customer.address2,
        "City": customer.city,
        "Comments": customer.comments,
        "CostCenter": None,
        "Country": customer.country,
        "CountryCode": customer.country_code,
        "Currency": customer.currency,
        "CustomerNumber": customer.number,
        "DefaultDeliveryTypes": {"Invoice": customer.delivery, "Offer": "PRINT", "Order": "PRINT"},
        "DefaultTemplates": {
            "CashInvoice": "DEFAULTTEMPLATE",
            "Invoice": "DEFAULTTEMPLATE",
            "Offer": "DEFAULTTEMPLATE",
            "Order": "DEFAULTTEMPLATE",
        },
        "DeliveryAddress1": None,
        "DeliveryAddress2": None,
        "DeliveryCity": None,
        "DeliveryCountry": None,
        "DeliveryCountryCode": None,
        "DeliveryFax": None,
        "DeliveryName": None,
        "DeliveryPhone1": None,
        "DeliveryPhone2": None,
        "DeliveryZipCode": None,
        "Email": customer.email,
        "EmailInvoice": customer.email_invoice,
        "EmailInvoiceBCC": "",
        "EmailInvoiceCC": "",
        "EmailOffer": "",
        "EmailOfferBCC": "",
        "EmailOfferCC": "",
        "EmailOrder": "",
        "EmailOrderBCC": "",
        "EmailOrderCC": "",
        "ExternalReference": None,
        "Fax": None,
        "GLN": customer.gln or None,
        "GLNDelivery": None,
        "InvoiceAdministrationFee": None,
        "InvoiceDiscount": None,
        "InvoiceFreight": None,
        "InvoiceRemark": "",
        "Name": customer.name,
        "OrganisationNumber": customer.organisation_number,
        "OurReference": customer.our_reference,
        "Phone1": customer.phone,
        "Phone2": None,
        "PriceList": customer.price_list,
        "Project": "",
        "SalesAccount": None,
        "ShowPriceVATIncluded": False,
        "TermsOfDelivery": "",
        "TermsOfPayment": customer.terms_of_payment,
        "Type": customer.type,
        "VATNumber": customer.vat_number,
        "VATType": customer.vat_type,
        "VisitingAddress": None,
        "VisitingCity": None,
        "VisitingCountry": None,
        "VisitingCountryCode": None,
        "VisitingZipCode": None,
        "WWW": "",
        "WayOfDelivery": "",
        "YourReference": customer.your_reference,
        "ZipCode": customer.zip_code,
    }


def _article_item(article: Article, company: Company) -> dict[str, Any]:
    """As recorded: amounts are strings, and a missing price is null (API notes A.4)."""
    price = _sales_price(article, company)
    return {
        "@url": f"{API}/articles/{article.number}",
        "ArticleNumber": article.number,
        "Description": article.description,
        "DisposableQuantity": "0",
        "EAN": "",
        "Housework": article.housework,
        "PurchasePrice": "0",
        "SalesPrice": None if price is None else text_number(price),
        "QuantityInStock": "0",
        "ReservedQuantity": "0",
        "StockPlace": "",
        "StockValue": "0",
        "Unit": article.unit,
        "VAT": text_number(article.vat),
        "WebshopArticle": False,
    }


def _article(article: Article, company: Company) -> dict[str, Any]:
    price = _sales_price(article, company)
    return {
        "@url": f"{API}/articles/{article.number}",
        "Active": article.active,
        "ArticleNumber": article.number,
        "Bulky": False,
        "ConstructionAccount": None,
        "Depth": None,
        "Description": article.description,
        "DirectCost": 0,
        "DisposableQuantity": 0,
        "EAN": None,
        "EUAccount": None,
        "EUVATAccount": None,
        "Expired": False,
        "ExportAccount": None,
        "FreightCost": None,
        "Height": None,
        "Housework": article.housework,
        "HouseworkType": None,
        "Manufacturer": None,
        "ManufacturerArticleNumber": None,
        "Note": article.note,
        "OtherCost": None,
        "PurchaseAccount": None,
        "PurchasePrice": 0,
        "QuantityInStock": 0,
        "ReservedQuantity": 0,
        "SalesAccount": article.sales_account,
        "SalesPrice": None if price is None else number(price),
        "StockGoods": article.type == "STOCK",
        "StockPlace": None,
        "StockValue": 0,
        "StockWarning": None,
        "SupplierName": None,
        "SupplierNumber": None,
        "Type": article.type,
        "Unit": article.unit,
        "VAT": number(article.vat),
        "WebshopArticle": False,
        "Weight": None,
        "Width": None,
    }
