"""How events become lines.

What libraries log (RQ, gunicorn) comes out in the same form. Logging never fails and never waits:
see `pushes.log.writer`. Refused: bodies, secrets and personal data, which nobody passes here; a
test looks.
"""

import atexit
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from pushes.log import TellError
from pushes.log.writer import LogWriter

_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

# They speak of each request or job at info; our own events say the same with facts.
_TALKATIVE = ("rq", "rq.worker", "rq.job")


class _Listener:
    """Hears of each error of ours that has a traceback, and hands it on to whoever is told."""

    def __init__(self) -> None:
        self.tell: TellError | None = None

    def __call__(
        self,
        _logger: Any,  # noqa: ANN401 - structlog's own
        _name: str,
        event: structlog.typing.EventDict,
    ) -> structlog.typing.EventDict:
        """Let the event pass; that somebody cannot be told of it harms nobody."""
        if self.tell and event.get("exc_info") and event.get("level") == "error":
            with suppress(Exception):
                info = event["exc_info"]
                if isinstance(info, BaseException):
                    info = (type(info), info, info.__traceback__)
                self.tell(event, info if isinstance(info, tuple) else sys.exc_info())
        return event


listener = _Listener()

_writer = LogWriter()
atexit.register(_writer.close)


class _Lines:
    """Where our own events end, rendered: structlog calls the method of the level."""

    def msg(self, line: str) -> None:
        """Hand a line on."""
        _writer.write(line)

    debug = info = warning = error = critical = msg


class _LineHandler(logging.Handler):
    """Where the events of libraries end."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line on."""
        try:
            _writer.write(self.format(record))
        except Exception:  # noqa: BLE001 - what a library logs may not be formatted at all
            _writer.drop()


def configure(level: str, form: str) -> None:
    """Send every log line of this process to stderr, in `form`: json or console.

    Our own events are written straight away, for they are many; what libraries log goes through
    the root logger, whose handlers are replaced, and comes out the same. Safe to call again.
    """
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if form == "console":
        # A plain traceback: the pretty one shows local variables, secrets included.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    handler = _LineHandler()
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
    processors: list[structlog.typing.Processor] = [
        *_SHARED,
        listener,
        structlog.processors.format_exc_info,
        _or_dropped(renderer),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    _writer.open(_descriptor(), _dropped_notice(processors))


def flush() -> None:
    """Wait until everything is written, a second at most: before a process ends itself."""
    _writer.close()


def _descriptor() -> int | None:
    """Return the number of stderr; None when the process was started without one."""
    return None if sys.stderr is None else sys.stderr.fileno()


def _or_dropped(renderer: structlog.typing.Processor) -> structlog.typing.Processor:
    """Render an event, or count it as dropped when something in it cannot be rendered."""

    def render(logger: Any, name: str, event: structlog.typing.EventDict) -> Any:  # noqa: ANN401 - structlog's own
        try:
            return renderer(logger, name, event)
        except Exception:  # noqa: BLE001 - an event may hold anything
            _writer.drop()
            raise structlog.DropEvent from None

    return render


def _dropped_notice(processors: list[structlog.typing.Processor]) -> Callable[[int], str]:
    """Make what renders the line about lines that were dropped."""
    _log = structlog.wrap_logger(
        structlog.testing.ReturnLogger(),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        module=__name__,
    )

    def render(lines: int) -> str:
        rendered = _log.warning(
            "log.lines_dropped",
            lines=lines,
            meaning="these log lines could not be written; no push is concerned",
            action="look at whatever reads this log, and at its disk",
        )
        return str(rendered)

    return render
