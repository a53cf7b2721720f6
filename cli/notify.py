"""`klarna-ack notify`: the messages of NOTIFY_URLS, tried out."""

import os

import click

from cli import output
from cli.arguments import options
from cli.exits import Refused
from notify import delivery, messages
from notify.messages import Message
from notify.recipients import Recipient
from notify.settings import NotifySettings
from pushes.settings import ConfigurationError, load

_NOT_TAKEN = (
    "{} of {} did not take it. Look at the URL, at the service behind it, and at the way from here"
    " to it: DNS, firewall, HTTPS_PROXY."
)


@click.group()
def notify() -> None:
    """Try out what tells people that something is wrong.

    The messages themselves are sent by the workers, to each URL of NOTIFY_URLS.
    """


@notify.command()
@options.as_json
def test(*, as_json: bool) -> None:
    """Send a test message to each URL of NOTIFY_URLS.

    It says of each, by its number and its service, whether it took the message; a URL is a secret
    and is never shown. Set NOTIFY_URLS here as for the workers.
    """
    _send(read(), messages.TEST, as_json=as_json)


def read() -> tuple[Recipient, ...]:
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
