"""Logging: one event, one name, facts as fields; JSON for machines, lines for a terminal.

Loads structlog when it is configured: `configure_on_use` puts that off to the first line, which
most commands of the terminal never write.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

# Takes the fields of an event, and the error.
TellError = Callable[
    [Mapping[str, object], tuple[type[BaseException], BaseException, TracebackType | None]], None
]


class Logger:
    """The logger of a module: `.info("some.event", fact=1)`, and so on for the other levels."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._events: Any = None

    def __getattr__(self, level: str) -> Any:  # noqa: ANN401 - structlog types its loggers as Any
        if self._events is None:
            import structlog  # noqa: PLC0415 - see above

            for handler in logging.getLogger().handlers[:]:
                if isinstance(handler, _Unconfigured):
                    handler.configure()
            self._events = structlog.get_logger(module=self._name)
        return getattr(self._events, level)


class _Unconfigured(logging.Handler):
    """Configures the log when a library has something to say, and hands that on."""

    def __init__(self, level: str, form: str) -> None:
        super().__init__()
        self._level = level
        self._form = form

    def configure(self) -> None:
        """Configure; takes the place of this handler."""
        configure(self._level, self._form)

    def emit(self, record: logging.LogRecord) -> None:
        """Configure first."""
        self.configure()
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)


def get(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


def configure(level: str, form: str) -> None:
    """Send every log line of this process to stderr, in `form`: json or console.

    The root logger's handlers are replaced. Safe to call again.
    """
    from pushes.log import events  # noqa: PLC0415 - see above

    events.configure(level, form)


def configure_on_use(level: str, form: str) -> None:
    """Do the same when something is logged."""
    root = logging.getLogger()
    root.handlers[:] = [_Unconfigured(level, form)]
    root.setLevel(level.upper())


def tell_errors(tell: TellError | None) -> None:
    """Tell of each error that is logged with a traceback, too; None: nobody any more."""
    if tell is None and "pushes.log.events" not in sys.modules:
        return
    from pushes.log import events  # noqa: PLC0415 - see above

    events.listener.tell = tell


def flush() -> None:
    """Wait until everything is written, a second at most: before a process ends itself."""
    from pushes.log import events  # noqa: PLC0415 - see above

    events.flush()


def default_form(environment: Mapping[str, str]) -> str:
    """Choose the form when LOG_FORMAT is not set: lines on a terminal, else JSON."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return environment.get("LOG_FORMAT") or ("console" if is_terminal else "json")
