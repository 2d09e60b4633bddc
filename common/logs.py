"""Sets up logging, once a process: structlog and the libraries' stdlib loggers through one handler, to stderr.

Console or JSON, as the settings say; standard output stays free for what a command prints. Tracebacks never show local
variables, for among them are tokens and secrets.
"""

import logging
import sys
from typing import TYPE_CHECKING

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

if TYPE_CHECKING:
    from common.settings import Settings


def configure(settings: "Settings", role: str) -> None:
    """Send all logs of this process to stderr, from `settings.log_level` on, as `settings.log_format`.

    Parameters:
      role: what this process is ("producer", "worker", ...); a field of every event.

    Raises:
      ValueError: No such level.
    """
    level = logging.getLevelNamesMapping().get(settings.log_level.upper())
    if level is None:
        raise ValueError(
            f"The log level {settings.log_level!r} of AVTALSMOTOR_LOG_LEVEL is not known."
            " Set it to debug, info, warning or error."
        )

    def add_role(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("role", role)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_role,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings.log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Dramatiq tells of every message, aiohttp of every request: ours say it in our own words.
    logging.getLogger("dramatiq").setLevel(max(level, logging.INFO))
    logging.getLogger("aiohttp.access").setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _rendering(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
    ]
