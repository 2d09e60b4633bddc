"""What an answer means: only what is surely a refusal is `Rejected`."""

import json

import pytest

from common.fortnox import errors
from common.fortnox.answers import classify, fortnox_error, read_json, retry_after
from common.ids import TenantId

LOWER = {"ErrorInformation": {"error": 1, "message": "Ett ogiltigt filter har använts.", "code": 2000587}}
UPPER = {"ErrorInformation": {"Error": 1, "Message": "Kan inte hitta fakturan.", "Code": 2000434}}
TEXT = {"ErrorInformation": {"error": "1", "message": "Ett ogiltigt filter har använts.", "code": "2000587"}}
SYSTEM = {"ErrorInformation": {"error": 1, "message": "System exception", "code": "1000003"}}
GATEWAY = {"message": "unauthorized"}


def classified(status: int, body: object = None, headers: dict[str, str] | None = None) -> errors.FortnoxError | None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify("PUT /3/invoices/7/bookkeep", TenantId(1), status, content, headers or {})


@pytest.mark.parametrize("status", [200, 201])
def test_only_200_and_201_are_a_yes(status: int) -> None:
    assert classified(status, b"") is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, LOWER, errors.Invalid),
        (400, UPPER, errors.Invalid),
        (400, TEXT, errors.Invalid),
        (422, LOWER, errors.Invalid),
        (401, GATEWAY, errors.Unauthorized),
        (403, LOWER, errors.Forbidden),
        (404, UPPER, errors.Missing),
        (429, b"", errors.Throttled),
        (404, b"<html>", errors.Missing),
    ],
)
def test_a_refusal_is_rejected(status: int, body: object, kind: type[errors.FortnoxError]) -> None:
    error = classified(status, body)

    assert type(error) is kind
    assert isinstance(error, errors.Rejected)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, SYSTEM, errors.Faulty),
        (403, SYSTEM, errors.Faulty),
        (400, GATEWAY, errors.Unexpected),
        (400, b"", errors.Unexpected),
        (400, {"ErrorInformation": {}}, errors.Unexpected),
        (400, {"ErrorInformation": "no"}, errors.Unexpected),
        (422, b"<html>", errors.Unexpected),
        (405, LOWER, errors.Unexpected),
        (409, LOWER, errors.Unexpected),
        (408, b"", errors.Faulty),
        (500, LOWER, errors.Faulty),
        (502, b"<html>", errors.Faulty),
        (599, b"", errors.Faulty),
        (202, b"{}", errors.Unexpected),
        (204, b"", errors.Unexpected),
        (302, b"", errors.Unexpected),
        (307, b"", errors.Unexpected),
        (600, b"", errors.Unexpected),
    ],
)
def test_whatever_is_not_surely_a_refusal_is_in_doubt(
    status: int, body: object, kind: type[errors.FortnoxError]
) -> None:
    error = classified(status, body)

    assert type(error) is kind
    assert isinstance(error, errors.InDoubt)


@pytest.mark.parametrize("body", [LOWER, TEXT])
def test_the_code_is_a_number_however_it_was_sent(body: object) -> None:
    assert fortnox_error(json.dumps(body).encode()) == (2000587, "Ett ogiltigt filter har använts.")


def test_a_code_in_words_leaves_the_message_to_speak() -> None:
    body = {"ErrorInformation": {"error": 1, "message": "Rättighet saknas", "code": "missing.rights"}}

    assert fortnox_error(json.dumps(body).encode()) == (None, "Rättighet saknas")


def test_a_message_without_a_code_is_fortnox_error_too() -> None:
    body = {"ErrorInformation": {"error": 1, "message": "Bankuppgifter saknas"}}

    error = classified(400, body)

    assert isinstance(error, errors.Invalid)
    assert (error.code, error.message) == (None, "Bankuppgifter saknas")


def test_what_the_gateway_says_is_kept() -> None:
    error = classified(401, GATEWAY)

    assert error is not None
    assert error.message == "unauthorized"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "86400"}, 600),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 01 Apr 2026 08:00:09 GMT"}, None),
        ({"Retry-After": "Wed, 01 Apr 2026 08:00:09 GMT", "Date": "Wed, 01 Apr 2026 08:00:00 GMT"}, 9),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_absurd(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("content", [b"", b"{", b'{"Total": NaN}', b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_said_to_be_unreadable_in_one_way(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the one kind is the point
        read_json(content)


def test_an_error_says_what_happened_to_what_and_what_to_do() -> None:
    text = str(classified(500, b"", {"X-Uid": "1a2b"}))

    assert text == (
        "PUT /3/invoices/7/bookkeep of tenant 1 met a fault in Fortnox (HTTP 500, X-Uid 1a2b)."
        " Fortnox may have carried it out: look there before anything is repeated."
    )
