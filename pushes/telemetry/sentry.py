"""Errors of ours to Sentry: each that is logged with a traceback. An extra; slow to import.

Sentry gets what kind of error it is, where in the code, and which order and event it concerns. The
text of an error stays in the log: it may quote what Klarna sent, a URL or a person's data.
"""

from collections.abc import Mapping
from types import TracebackType

import sentry_sdk
from sentry_sdk.types import Event, Hint

# What an event of the log says that may leave the machine.
_TAGS = ("event", "module", "order_id", "account", "trace_id", "task", "thread")

_FLUSH_S = 2.0

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class SentryErrors:
    """Sends errors, in a thread of the SDK's; while Sentry is away they are dropped."""

    def __init__(self, dsn: str, process: str, version: str) -> None:
        sentry_sdk.init(
            dsn,
            release=f"klarna-ack@{version}",
            before_send=scrub,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            max_request_body_size="never",
        )
        sentry_sdk.get_global_scope().set_tag("process", process)  # whichever thread it fails in

    def tell(self, facts: Mapping[str, object], error: ErrorInfo) -> None:
        """Send one error that was logged."""
        with sentry_sdk.new_scope() as scope:
            for name in _TAGS:
                if facts.get(name) is not None:
                    scope.set_tag(name, str(facts[name]))
            scope.capture_exception(error)

    def stop(self) -> None:
        """Send what is left, two seconds at most."""
        sentry_sdk.get_client().close(timeout=_FLUSH_S)


def scrub(event: Event, _hint: Hint) -> Event:
    """Take out whatever was not written in our code. Pure."""
    for exception in event.get("exception", {}).get("values", []):
        exception["value"] = ""
        for frame in (exception.get("stacktrace") or {}).get("frames", []):
            frame.pop("vars", None)
    for name in ("request", "user", "extra", "breadcrumbs"):
        event.pop(name, None)  # type: ignore[misc]  # each of them is a key of Event
    return event
