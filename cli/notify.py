"""`klarna-ack notify`: the messages of NOTIFY_URLS, tried out, or sent by no worker."""

import os
import signal
import threading
from datetime import UTC, datetime

import click

from cli import output
from cli.arguments import options
from cli.context import opened
from cli.exits import Refused
from notify import delivery, digest, messages
from notify.messages import Message
from notify.notifier import Notifier
from notify.recipients import Recipient
from notify.settings import NotifySettings
from notify.watching import Watch
from pushes import log
from pushes.settings import ConfigurationError, load

_NOT_TAKEN = (
    "{} of {} did not take it. Look at the URL, at the service behind it, and at the way from here"
    " to it: DNS, firewall, HTTPS_PROXY."
)


@click.group()
def notify() -> None:
    """Tell people that something is wrong, and when it is over.

    The messages themselves are sent by the workers, to each URL of NOTIFY_URLS, and by `watch`.
    """


@notify.command()
@options.as_json
def test(*, as_json: bool) -> None:
    """Send a test message to each URL of NOTIFY_URLS.

    It says of each, by its number and its service, whether it took the message; a URL is a secret
    and is never shown. Set NOTIFY_URLS here as for the workers.
    """
    _send(_read(), messages.TEST, as_json=as_json)


@notify.command(name="digest")
@click.option("--dry-run", is_flag=True, help="Print it, and send it to nobody.")
@options.as_json
def send_digest(*, dry_run: bool, as_json: bool) -> None:
    """Send what came in the last 24 hours, and what became of it, to each URL of NOTIFY_URLS.

    It tells how many pushes were received, how many orders were acknowledged and died, what is at
    risk, and which orders wait longest. With NOTIFY_DIGEST_AT the workers send it each day.
    """
    recipients = () if dry_run else _read()
    with opened() as context:
        message = digest.compose(context.ledger, datetime.now(UTC))
    if not dry_run:
        _send(recipients, message, as_json=as_json)
    elif as_json:
        output.emit_json({"title": message.title, "text": message.body})
    else:
        output.emit(f"{message.title}\n{message.body}")


@notify.command()
def watch() -> None:
    """Send what the workers send, until ctrl-c or SIGTERM.

    It is no worker, so it can tell that there is none. Run it under a supervisor wherever
    NOTIFY_URLS is reached; beside workers and others of its kind nothing is told twice.
    """
    recipients = _read()
    with opened() as context:
        settings = load(NotifySettings, os.environ)
        log.configure(settings.log_level, settings.log_format or log.default_form(os.environ))
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        notifiers = [
            Notifier(context.ledger, each, digest_at=settings.digest_at) for each in recipients
        ]
        Watch(context.redis, notifiers).run(stopping)


def _read() -> tuple[Recipient, ...]:
    """Read whom to tell. Raises ConfigurationError when it is nobody."""
    recipients = load(NotifySettings, os.environ).recipients
    if not recipients:
        raise ConfigurationError(
            "NOTIFY_URLS: is not set; it must be URLs of apprise such as slack://…, with spaces"
            " between"
        )
    return recipients


def _send(recipients: tuple[Recipient, ...], message: Message, *, as_json: bool) -> None:
    errors = [(each, delivery.deliver(each, message)) for each in recipients]
    if as_json:
        items = [
            {
                "number": each.number,
                "service": each.service,
                "taken": not error,
                "error": error or None,
            }
            for each, error in errors
        ]
        output.emit_json({"items": items})
    else:
        rows = [(each.number, each.service, error or "taken") for each, error in errors]
        output.emit(output.Table(("url", "service", "result"), rows, prose="result"))
    if failed := sum(bool(error) for _, error in errors):
        raise Refused(_NOT_TAKEN.format(failed, len(errors)))
