"""/3/customers and /3/articles: the registers, read only in the sandbox (API notes 4.1).

An article's SalesPrice is a string in the list and a number in the single answer, as recorded. Prices are in
sandbox.pricing.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sandbox import listing, refusals
from sandbox.api import Answer, Call, Router
from sandbox.books import Article, Company, Customer
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


def add_to(router: Router) -> None:
    router.add("GET", "customers", "customer", list_customers)
    router.add("GET", "customers/{CustomerNumber}", "customer", get_customer)
    router.add("GET", "articles", "article", list_articles)
    router.add("GET", "articles/{ArticleNumber}", "article", get_article)


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
    article = call.company.articles.get(call.path["ArticleNumber"])
    if article is None:
        raise refusals.no_article()
    return Answer({"Article": _article(article, call.company)})


def _active(query: Mapping[str, str]) -> bool | None:
    wanted = query.get("filter")
    if wanted not in {None, "active", "inactive"}:
        raise refusals.bad_filter()
    return None if wanted is None else wanted == "active"


def _natural(text: str) -> tuple[int, str]:
    return (int(text), text) if text.isdigit() else (1 << 62, text)


def _sales_price(article: Article, company: Company) -> Decimal | None:
    """The price in the default price list; None where it has none (API notes 4.1)."""
    code = next((code for code, price_list in company.price_lists.items() if price_list.preselected), "A")
    price = company.prices.get((code, article.number, Decimal(0)))
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
