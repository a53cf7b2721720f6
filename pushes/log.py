"""Logging: one event, one name, facts as fields; JSON for machines, lines for a terminal.

What libraries log (RQ, gunicorn) comes out in the same form. Refused: bodies, secrets and
personal data, which nobody passes here; a test looks.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog

_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

# They speak of each request or job at info; our own events say the same with facts.
_TALKATIVE = ("rq", "rq.worker", "rq.job")


def configure(level: str, form: str) -> None:
    """Send every log line of this process to stderr, in `form`: json or console.

    Our own events are written straight away, for they are many; what libraries log goes through
    the root logger, whose handlers are replaced, and comes out the same. Safe to call again.
    """
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if form == "console":
        # A plain traceback: the pretty one shows local variables, secrets included.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=(*_SHARED, structlog.stdlib.add_logger_name),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings quote what a server said
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def default_form(environment: Mapping[str, str]) -> str:
    """Choose the form when LOG_FORMAT is not set: lines on a terminal, else JSON."""
    return environment.get("LOG_FORMAT") or ("console" if sys.stderr.isatty() else "json")


def get(name: str) -> Any:  # noqa: ANN401 - structlog types its loggers as Any
    """Return the logger of a module."""
    return structlog.get_logger(module=name)
