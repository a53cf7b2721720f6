"""What OpenTelemetry and Sentry are told, where they are set: spans of pushes, errors of ours.

Off unless a setting names them, and then nothing of them is loaded. A process starts it after a
fork, for exporters have threads, and stops it at its end, for a moment at most: whoever listens may
be gone, and no push waits for that.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from pushes import log
from pushes.model import Entry, Push
from pushes.telemetry.settings import TelemetrySettings

# So long the end of a process waits until what it has is told.
_FLUSH_S = 2.0


class PushSpan(Protocol):
    """What is told of a piece of work for one push."""

    @property
    def traceparent(self) -> str | None:
        """What the record keeps, so that what comes later belongs to the same trace."""

    def note(self, push: Push) -> None:
        """Say which push it is, and how it stands now."""


class Tracing(Protocol):
    """Where spans go. Threads share it; it never fails and never waits."""

    def taking(self, brought: str | None) -> AbstractContextManager[PushSpan]:
        """Take in a push."""

    def attempting(self, push: Push) -> AbstractContextManager[PushSpan]:
        """Make an attempt."""

    def called(self, entry: Entry) -> None:
        """Say that a call to Klarna has just ended."""

    def stop(self) -> None:
        """Tell what is left."""


@dataclass(frozen=True, slots=True)
class _NoSpan:
    """Without tracing a push keeps what it has brought."""

    traceparent: str | None = None

    def note(self, push: Push) -> None:
        """Say nothing."""


class _Started:
    """What this process has started. One for the process, for it logs and traces as a whole."""

    def __init__(self) -> None:
        self.tracing: Tracing | None = None
        self.stops: list[Callable[[], None]] = []


_started = _Started()


def start(settings: TelemetrySettings, process: str, version: str) -> None:
    """Begin to tell whom the settings name, as `process`: web or worker."""
    if settings.otlp_endpoint:
        from pushes.telemetry.tracing import OpenTelemetryTracing  # noqa: PLC0415 - an extra

        _started.tracing = OpenTelemetryTracing(process, version)
        _started.stops.append(_started.tracing.stop)
    if settings.sentry_dsn:
        from pushes.telemetry.sentry import SentryErrors  # noqa: PLC0415 - as above

        errors = SentryErrors(settings.sentry_dsn.get_secret_value(), process, version)
        log.tell_errors(errors.tell)
        _started.stops.append(errors.stop)


def stop() -> None:
    """Tell what is left, two seconds at most: before a process ends."""
    log.tell_errors(None)
    _started.tracing = None
    stops, _started.stops = _started.stops, []
    threads = [threading.Thread(target=each, daemon=True) for each in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_FLUSH_S)


def taking(brought: str | None) -> AbstractContextManager[PushSpan]:
    """Tell of taking in a push, which has brought this `traceparent`, or none."""
    tracing = _started.tracing
    return tracing.taking(brought) if tracing else nullcontext(_NoSpan(brought))


def attempting(push: Push) -> AbstractContextManager[PushSpan]:
    """Tell of an attempt, made in this thread."""
    tracing = _started.tracing
    return tracing.attempting(push) if tracing else nullcontext(_NoSpan())


def called(entry: Entry) -> None:
    """Tell of a call to Klarna that has just ended, in the attempt that this thread makes."""
    if tracing := _started.tracing:
        tracing.called(entry)
