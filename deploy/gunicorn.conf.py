# ruff: noqa: INP001 - gunicorn runs it as a file; it is in no package
"""How gunicorn serves `service:create_app()`; what it logs leaves through the root logger, as ours.

Settings not named here keep gunicorn's defaults. `forwarded_allow_ips` is left alone on purpose: it
trusts loopback, or what FORWARDED_ALLOW_IPS names, and never everyone. The `Server` header says
`gunicorn` without a version.
"""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import structlog
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from pushes import telemetry
from pushes.settings import ConfigurationError, complain
from service import make_process
from service.settings import reading

try:
    _settings = reading.again(os.environ)  # at SIGHUP gunicorn runs this file again
except ConfigurationError as error:
    sys.exit(complain("web", error))

bind = _settings.listens_on
limit_request_line = 8190  # As nginx's: a push URL with a long token and tracking parameters fits.

# A push is a fraction of a millisecond of Python and a wait for Redis: threads fill the wait. Two
# processes, so that one can be replaced, or stand still in garbage collection, unnoticed.
workers = _settings.processes
threads = 8

# The application is made once, before the fork, so that wrong settings end gunicorn with exit code
# 78; made in each worker they would be a restart for ever. It opens no connection while it is made,
# and redis-py drops a connection that another process opened, so none is shared over the fork.
preload_app = True


def on_reload(server: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    """Let the workers that take over at SIGHUP serve the settings as they are now."""
    server.app.callable = make_process(_settings)


def post_fork(_server: Any, _worker: Any) -> None:  # noqa: ANN401 - as above
    """Tell of traces and errors, if that is set: exporters have threads, which no fork copies."""
    telemetry.start(_settings, "web", version("klarna-ack"))


def worker_exit(_server: Any, _worker: Any) -> None:  # noqa: ANN401 - as above
    """Tell what is left, two seconds at most."""
    telemetry.stop()


# `timeout` is a worker's silence, not a request's length: only a worker that hangs as a whole is
# replaced. A stop waits for running pushes, and ends before systemd's or Kubernetes' own patience.
timeout = 30
graceful_timeout = 20
# Longer than a proxy keeps idle connections (nginx: 60 s), so the proxy is the one that closes and
# no push is sent into a closing connection.
keepalive = 75
# Heartbeats are writes to a file; on a container's overlay disk they can stall and look like death.
_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes the file's name
try:
    worker_tmp_dir = _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else tempfile.gettempdir()
except FileNotFoundError:
    sys.exit(
        complain(
            "web",
            ConfigurationError(
                f"TMPDIR: gunicorn can write to no directory for its heartbeats; mount {_MEMORY} or"
                " /tmp to be written to, or name a directory in TMPDIR"
            ),
        )
    )

# On by default since 25.1: a socket through which local users reach the running server.
control_socket_disable = True

accesslog = "-"  # On; where it goes is decided in RootLogger.

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})  # Every few seconds, for ever.
_PUSHES = "/push"

# A request is shown up to the first sign that no path of ours has. Behind it the push token may
# stand, as in /push?token=…, /push%3Ftoken=… and /push;token=….
_PLAIN = re.compile(r"[A-Za-z0-9/_.~: -]*")
_TOKENS = [token.get_secret_value() for token in _settings.tokens.values() if token]
_access = structlog.get_logger(module="gunicorn.access")
_FIRST_ERROR_STATUS = 400


def _shown(text: str) -> str:
    """Return the plain beginning of what was sent, without a push token that is a part of it."""
    plain = _PLAIN.match(text)[0]  # type: ignore[index]  # it matches the empty text, too
    for token in _TOKENS:
        plain = plain.replace(token, "…")
    return plain if len(plain) == len(text) else f"{plain}…"


class PlainRequests(logging.Filter):
    """Cuts what gunicorn says of a request: of each at debug, else of one it failed to answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, cut."""
        if record.exc_info or record.levelno == logging.DEBUG:
            record.msg, record.args = _shown(record.getMessage()), ()
        return True


class ReticentWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's threads; what of a request cannot be read is neither answered nor logged."""

    def handle_error(self, req: object, client: object, addr: object, exc: BaseException) -> None:
        """Answer, and log, what kind of fault it is."""
        if isinstance(exc, ParseException):
            kind = type(exc)
            nameless = type(kind.__name__, (kind,), {"__str__": lambda _: kind.__name__})
            exc.__class__ = nameless
        super().handle_error(req, client, addr, exc)


class RootLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's two loggers without handlers and levels of their own: the root decides."""

    def setup(self, cfg: object) -> None:
        """Undo what gunicorn just set up; it calls this again when it reloads."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
        self.error_log.filters[:] = [PlainRequests()]

    def access(
        self,
        resp: Any,  # noqa: ANN401 - gunicorn has no types
        _req: object,
        environ: Mapping[str, str],
        request_time: timedelta,
    ) -> None:
        """Log method, path, status and milliseconds; neither query string nor addresses.

        Not of an accepted push: `push.accepted` has just said so, with the order id.
        """
        path = _shown(environ["RAW_URI"].partition("?")[0])
        status = int(str(resp.status).split(maxsplit=1)[0])
        if status < _FIRST_ERROR_STATUS and (path in _PROBES or path.startswith(_PUSHES)):
            return
        ms = round(request_time / timedelta(milliseconds=1), 1)
        _access.info(
            "http.request", method=environ["REQUEST_METHOD"], path=path, status=status, ms=ms
        )


worker_class = ReticentWorker
logger_class = RootLogger
