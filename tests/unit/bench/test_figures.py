"""The arithmetic between the sandbox's log and a figure: a bench that counts wrongly misleads everybody after it."""

import inspect
import os

import pytest

from bench import growth, one_tenant, scaling
from bench.cpu_time import cpu_seconds
from bench.failure import BenchFailed
from bench.figures import floor, quantile, spans, spread
from bench.latency import between, found_to_called
from bench.requests import Request, kind_of, read
from bench.sampled import package_of

TENANT = 7


def request(kind: str, arrived: float, *, answered: float | None = None, status: int | None = 200) -> Request:
    return Request(round(arrived * 1000), kind, "/", TENANT, arrived, arrived if answered is None else answered, status)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("PUT /3/contracts/12/createinvoice", "create"),
        ("GET /3/contracts/12", "read contract"),
        ("GET /3/contracts", "list contracts"),
        ("PUT /3/invoices/9/bookkeep", "bookkeep"),
        ("GET /3/invoices/9/email", "e-mail"),
        ("GET /3/invoices/9", "read invoice"),
        ("GET /3/invoices", "list invoices"),
        ("POST /oauth-v1/token", "token"),
        ("GET /3/settings/lockedperiod", "other"),
    ],
)
def test_a_request_is_known_by_what_it_is_for(asked: str, kind: str) -> None:
    method, _, path = asked.partition(" ")
    assert kind_of(method, path) == kind


def test_the_log_is_read_in_the_order_of_arrival() -> None:
    entry = {"method": "GET", "path": "/3/invoices", "tenant": 7, "answered": None, "status": None}
    assert [
        one.number for one in read([{**entry, "number": 1, "arrived": 2.0}, {**entry, "number": 2, "arrived": 1.0}])
    ] == [2, 1]


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([3.0], 0.99)) == (50.0, 99.0, 3.0)


def test_a_spread_is_in_milliseconds() -> None:
    assert spread([0.001, 0.002, 0.0105]) == {"n": 3, "p50_ms": 2.0, "p90_ms": 10.5, "p99_ms": 10.5, "max_ms": 10.5}


@pytest.mark.parametrize(("requests", "seconds"), [(0, 0), (1, 0), (25, 0), (26, 5), (50, 5), (51, 10), (2000, 395)])
def test_the_floor_is_25_at_once_and_25_more_every_five_seconds(requests: int, seconds: float) -> None:
    assert floor(requests) == seconds


def test_a_span_is_from_a_request_to_the_25th_after_it() -> None:
    assert spans([request("create", 0.1 * at) for at in range(27)]) == pytest.approx([2.5, 2.5])


def test_what_is_found_due_is_timed_from_the_last_list_before_the_call() -> None:
    log = [
        request("list contracts", 1.0, answered=1.1),
        request("list contracts", 2.0, answered=2.25),
        request("read contract", 2.26),
        request("create", 2.5),
        request("list contracts", 3.0, answered=3.1),
    ]
    assert found_to_called(log, TENANT) == pytest.approx(0.25)
    assert between(log, TENANT) == 1


def test_the_floor_counts_what_is_needed_and_the_invoice_what_was_spent() -> None:
    each = ("create", "read invoice", "read invoice", "bookkeep", "e-mail")
    log = [request("list contracts", 0.0), *(request(kind, float(at)) for at, kind in enumerate(each * 10, start=1))]
    log.insert(3, request("create", 2.5, status=429))
    figures = one_tenant.figures_of(log, due=10)
    assert figures["floor_seconds"] == 5.0  # 41 requests needed
    assert (figures["seconds"], figures["time_to_floor"]) == (50.0, 10.0)
    assert (figures["requests_an_invoice"], figures["shared_requests"]) == (5.0, 1)
    assert (figures["refused_429"], figures["refused_429_percent"]) == (1, round(100 / 52, 3))


def test_the_floor_of_many_companies_is_that_of_the_one_which_needed_the_most() -> None:
    each = [request("e-mail", 0.0), *(request("create", 0.1 * n) for n in range(24)), request("e-mail", 11.0)]
    figures = scaling.figures_of([*each, request("list contracts", 3.0), request("create", 4.0, status=429)], due=7)
    assert (figures["seconds"], figures["floor_seconds"], figures["time_to_floor"]) == (11.0, 5.0, 2.2)
    assert (figures["requests"], figures["refused_429"]) == (28, 1)


def test_a_script_takes_the_companies_one_after_the_other() -> None:
    log = [request("list contracts", 0.0), request("e-mail", 10.0)]
    assert scaling.figures_of(log, due=7, times=25)["seconds"] == 250.0


def test_polls_are_counted_by_the_second() -> None:
    lists = [request("list contracts", second) for second in (1.1, 1.2, 1.3, 7.0)]
    assert growth.polling(lists, 8.0) == {"polls_a_second_mean": 0.5, "polls_a_second_most": 3}


def test_what_a_process_has_used_grows_and_is_asked_of_the_living() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(3_000_000))
    assert cpu_seconds(os.getpid()) > before
    with pytest.raises(BenchFailed, match="--keep"):
        cpu_seconds(2**22 + 1)


@pytest.mark.parametrize(
    ("module", "package"),
    [(one_tenant, "bench"), (pytest, "pytest"), (os, "os"), (cpu_seconds, "bench")],
)
def test_a_source_file_is_told_by_its_package(module: object, package: str) -> None:
    source = inspect.getsourcefile(module)  # type: ignore[arg-type]
    assert package in package_of(str(source))
