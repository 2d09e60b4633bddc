"""/3/pricelists and /3/prices: price lists, and prices by list, article and quantity (API notes 4.2).

A price change touches the price and nothing else: rows of contracts and invoices keep their own (API notes 4.3).
"""

from decimal import Decimal
from typing import Any

from sandbox import listing, payload, refusals
from sandbox.api import Answer, Call, Router
from sandbox.books import Company, Price, PriceList, World
from sandbox.listing import Test
from sandbox.wire import API, number

_PRICE_FIELDS: payload.Fields = {
    "ArticleNumber": ("article_number", payload.text(50)),
    "FromQuantity": ("from_quantity", payload.money),
    "Percent": ("percent", payload.money),
    "Price": ("price", payload.money),
    "PriceList": ("price_list", payload.text()),
}
_PRICE_LIST_FIELDS: payload.Fields = {
    "Code": ("code", payload.text(100)),
    "Comments": ("comments", payload.text()),
    "Description": ("description", payload.text(50)),
    "PreSelected": ("preselected", payload.yes_no),
}
_PRICE_READ_ONLY = frozenset({"@url", "Date"})


def add_to(router: Router) -> None:
    router.add("GET", "pricelists", "price", list_price_lists)
    router.add("POST", "pricelists", "price", create_price_list)
    router.add("GET", "pricelists/{Code}", "price", get_price_list)
    router.add("PUT", "pricelists/{Code}", "price", update_price_list)
    router.add("GET", "prices", "price", list_prices)
    router.add("POST", "prices", "price", create_price)
    router.add("GET", "prices/sublist/{PriceList}/{ArticleNumber}", "price", list_steps)
    for path in ("prices/{PriceList}/{ArticleNumber}", "prices/{PriceList}/{ArticleNumber}/{FromQuantity}"):
        router.add("GET", path, "price", get_price)
        router.add("PUT", path, "price", update_price)
    router.add("DELETE", "prices/{PriceList}/{ArticleNumber}/{FromQuantity}", "price", delete_price)


def list_price_lists(call: Call) -> Answer:
    listing.check_parameters(call.query, ())
    ordered = sorted(call.company.price_lists.values(), key=lambda price_list: price_list.code)
    shown, meta = listing.page(ordered, call.query, call.world.behaviour)
    return Answer({"MetaInformation": meta, "PriceLists": [_price_list(price_list) for price_list in shown]})


def get_price_list(call: Call) -> Answer:
    return Answer({"PriceList": _price_list(_find_price_list(call))})


def create_price_list(call: Call) -> Answer:
    """Needs a code and a description; it is empty, and no article has a price in it yet.

    Raises:
      Refusal: 2001392 something is missing; a list that exists.
    """
    given = payload.fields(payload.wrapped(call, "PriceList"), _PRICE_LIST_FIELDS, _PRICE_READ_ONLY)
    if not given.get("code") or not given.get("description"):
        raise refusals.bad_body()
    if given["code"] in call.company.price_lists:
        raise refusals.placeholder(call.world.behaviour, "already_exists", "Prislistan finns redan.")
    made = call.company.price_lists[given["code"]] = PriceList(given["code"], given["description"])
    _change_price_list(call.company, made, given)
    return Answer({"PriceList": _price_list(made)}, 201)


def update_price_list(call: Call) -> Answer:
    """Its code stays. There is one default list: who is made it takes the place of the other."""
    given = payload.fields(payload.wrapped(call, "PriceList"), _PRICE_LIST_FIELDS, _PRICE_READ_ONLY)
    price_list = _find_price_list(call)
    _change_price_list(call.company, price_list, given)
    return Answer({"PriceList": _price_list(price_list)})


def list_prices(call: Call) -> Answer:
    """Wrapped in Prices, though both specifications say Price (API notes 4.2)."""
    listing.check_parameters(call.query, {"articlenumber", "fromquantity", "pricelist"})
    return _listed(call, list(call.company.prices.values()))


def list_steps(call: Call) -> Answer:
    listing.check_parameters(call.query, ())
    wanted = (call.path["PriceList"], call.path["ArticleNumber"])
    return _listed(call, [price for key, price in call.company.prices.items() if key[:2] == wanted])


def get_price(call: Call) -> Answer:
    return Answer({"Price": _single(_find(call))})


def create_price(call: Call) -> Answer:
    """Needs a known price list and article.

    Raises:
      Refusal: 2001392 something is missing; 2000431 no such list; 2000428 no such article; a step that exists.
    """
    given = payload.fields(payload.wrapped(call, "Price"), _PRICE_FIELDS, _PRICE_READ_ONLY)
    if not given.get("article_number") or not given.get("price_list"):
        raise refusals.bad_body()
    if given["price_list"] not in call.company.price_lists:
        raise refusals.missing("prislistan", 2000431)
    if given["article_number"] not in call.company.articles:
        raise refusals.no_article()
    price = Price(**{"price": Decimal(0), **given}, modified_at=call.world.clock.now())
    if (price.price_list, price.article_number, price.from_quantity) in call.company.prices:
        raise refusals.placeholder(call.world.behaviour, "already_exists", "Priset finns redan.")
    call.company.add_price(price)
    changed(call.world, call.company, price)
    return Answer({"Price": _single(price)}, 201)


def update_price(call: Call) -> Answer:
    """Only `Price` and `Percent` change; the step's key stays."""
    given = payload.fields(payload.wrapped(call, "Price"), _PRICE_FIELDS, _PRICE_READ_ONLY)
    price = _find(call)
    price.price = given.get("price", price.price)
    price.percent = given.get("percent", price.percent)
    changed(call.world, call.company, price)
    return Answer({"Price": _single(price)})


def delete_price(call: Call) -> Answer:
    price = _find(call)
    del call.company.prices[price.price_list, price.article_number, price.from_quantity]
    changed(call.world, call.company, price)
    return Answer(None, 204)


def changed(world: World, company: Company, price: Price) -> None:
    """The price counts as changed now, and its article too where the switch says so (API notes 4.3)."""
    price.modified_at = world.clock.now()
    article = company.articles.get(price.article_number)
    follows = world.behaviour.article_follows_price
    shown = price.price_list == default_list(company) and price.from_quantity == 0
    if article is not None and (follows == "always" or (follows == "sales_price" and shown)):
        article.modified_at = price.modified_at
        world.topics.announce("articles", "article-updated-v1", company.tenant, article.number)


def default_list(company: Company) -> str:
    """The code of the price list that an article's SalesPrice comes from."""
    return next((code for code, price_list in company.price_lists.items() if price_list.preselected), "A")


def _find_price_list(call: Call) -> PriceList:
    price_list = call.company.price_lists.get(call.path["Code"])
    if price_list is None:
        raise refusals.missing("prislistan", 2000431)
    return price_list


def _change_price_list(company: Company, price_list: PriceList, given: dict[str, Any]) -> None:
    price_list.description = given.get("description", price_list.description)
    price_list.comments = given.get("comments", price_list.comments)
    if given.get("preselected"):
        for other in company.price_lists.values():
            other.preselected = other is price_list


def _find(call: Call) -> Price:
    """The step asked for, or the article's first price where no quantity is in the path."""
    price_list, article = call.path["PriceList"], call.path["ArticleNumber"]
    quantity = call.path.get("FromQuantity")
    if quantity is not None:
        price = call.company.prices.get((price_list, article, listing.parse_decimal(quantity)))
    else:
        steps = [price for key, price in call.company.prices.items() if key[:2] == (price_list, article)]
        price = min(steps, key=lambda step: step.from_quantity, default=None)
    if price is None:
        raise refusals.missing("priset", 2000430)
    return price


def _listed(call: Call, prices: list[Price]) -> Answer:
    tests: list[Test[Price]] = []
    if (text := call.query.get("articlenumber")) is not None:
        tests.append(listing.contains(text, lambda price: price.article_number))
    if (text := call.query.get("pricelist")) is not None:
        tests.append(listing.contains(text, lambda price: price.price_list))
    if (text := call.query.get("fromquantity")) is not None:
        quantity = listing.parse_decimal(text)
        tests.append(lambda price: price.from_quantity == quantity)
    if (text := call.query.get("lastmodified")) is not None:
        tests.append(listing.modified_since(text, lambda price: price.modified_at))
    keys: dict[str, listing.Sort[Price]] = {
        "articlenumber": lambda price: (price.article_number, price.price_list, price.from_quantity),
        "pricelist": lambda price: (price.price_list, price.article_number, price.from_quantity),
    }
    ordered = listing.sort(listing.select(prices, tests), call.query, keys, "articlenumber")
    shown, meta = listing.page(ordered, call.query, call.world.behaviour)
    newer = call.world.behaviour.edition == "newer"
    return Answer({"MetaInformation": meta, "Prices": [_single(p) if newer else _item(p) for p in shown]})


def _item(price: Price) -> dict[str, Any]:
    return {
        "@url": f"{API}/prices/{price.price_list}/{price.article_number}/{number(price.from_quantity)}",
        "ArticleNumber": price.article_number,
        "FromQuantity": number(price.from_quantity),
        "Price": number(price.price),
        "PriceList": price.price_list,
    }


def _single(price: Price) -> dict[str, Any]:
    """`Date` is the day of the last change (API notes 4.2, A.5)."""
    changed = price.modified_at.date().isoformat() if price.modified_at else ""
    return {**_item(price), "Date": changed, "Percent": number(price.percent)}


def _price_list(price_list: PriceList) -> dict[str, Any]:
    return {
        "@url": f"{API}/pricelists/{price_list.code}",
        "Code": price_list.code,
        "Comments": price_list.comments,
        "Description": price_list.description,
        "PreSelected": price_list.preselected,
    }
