"""Logs: one line an event on stderr, from our own code and the libraries alike, and no secret in a traceback."""

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog

from common.logs import configure
from common.settings import Settings


@pytest.fixture(autouse=True)
def untouched_afterwards() -> Iterator[None]:
    root, names = logging.getLogger(), ("dramatiq", "aiohttp.access")
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(levels[name])
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def settings(log_format: str = "json", log_level: str = "info") -> Settings:
    return Settings(log_format=log_format, log_level=log_level)


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    output = capsys.readouterr()
    assert output.out == ""
    return [json.loads(line) for line in output.err.splitlines()]


def test_an_event_tells_its_fields_its_level_its_time_and_the_role(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(), "producer")
    structlog.get_logger("x").info("invoice_created", tenant=1, amount=Decimal("12.50"), name="Å & Ö")
    (event,) = events(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "invoice_created",
        "tenant": 1,
        "amount": "12.50",
        "name": "Å & Ö",
        "level": "info",
        "logger": "x",
        "role": "producer",
    }


def test_what_is_bound_to_the_context_is_in_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(), "worker")
    with structlog.contextvars.bound_contextvars(billing=7):
        structlog.get_logger().info("invoice_created")
        logging.getLogger("dramatiq.worker").info("message done")
    assert [event["billing"] for event in events(capsys)] == [7, 7]


def test_the_libraries_logs_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(), "worker")
    logging.getLogger("dramatiq.worker.Worker").warning("Failed to requeue on %r.", "invoicing")
    (event,) = events(capsys)
    assert event["event"] == "Failed to requeue on 'invoicing'."
    assert (event["level"], event["role"]) == ("warning", "worker")


def test_the_libraries_chatter_is_left_out_even_when_we_debug(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(log_level="debug"), "worker")
    logging.getLogger("dramatiq.worker").debug("Received message")
    logging.getLogger("aiohttp.access").info("GET /")
    structlog.get_logger().debug("claimed")
    assert [event["event"] for event in events(capsys)] == ["claimed"]


def test_events_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(log_level="WARNING"), "worker")
    structlog.get_logger().info("claimed")
    structlog.get_logger().warning("parked")
    assert [event["event"] for event in events(capsys)] == ["parked"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure(settings(log_format), "worker")
    token = "hush" * 2
    try:
        raise RuntimeError("no answer")
    except RuntimeError:
        structlog.get_logger().exception("call_failed")
        logging.getLogger("dramatiq.worker").exception("Failed to process message")
    said = capsys.readouterr().err
    assert said.count("RuntimeError: no answer") == 2
    assert token not in said


def test_the_console_shows_the_event_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings("console"), "producer")
    structlog.get_logger().info("invoice_created", tenant=1)
    said = capsys.readouterr().err
    assert "invoice_created" in said
    assert "tenant=1" in said


def test_an_unknown_level_is_told_with_the_setting_to_change() -> None:
    with pytest.raises(ValueError, match=r"'loud' of AVTALSMOTOR_LOG_LEVEL"):
        configure(settings(log_level="loud"), "worker")
